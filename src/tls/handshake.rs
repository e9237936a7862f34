//! One handshake, and what comes of it. Waits as long as it is let: whoever calls it bounds
//! its time and how many there are.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::failure;
use super::terms::{H2, Terms};
use crate::domain::handshake::HandshakeFault;

/// What one connection holds at most of what it was given to send and the socket has not
/// taken: one record. The library's own bound is four times that.
const BUFFER_BYTES: usize = 16 * 1024;

/// A socket with TLS agreed upon.
pub type Secured = TlsStream<TcpStream>;

/// The version of HTTP that is spoken inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    H2,
}

impl Protocol {
    /// What both sides have agreed upon. `None`: the client has not named any.
    #[must_use]
    pub fn agreed(secured: &Secured) -> Option<Self> {
        let agreed = secured.get_ref().1.alpn_protocol()?;
        Some(match agreed {
            H2 => Self::H2,
            _ => Self::Http1,
        })
    }
}

impl Terms {
    /// Agrees on TLS with whoever has connected. Dropping it closes the socket.
    ///
    /// # Errors
    /// The cause of the failure; the client has been told by an alert where TLS has one.
    pub async fn agree(&self, socket: TcpStream) -> Result<Secured, HandshakeFault> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let agreed = acceptor.accept_with(socket, |session| {
            session.set_buffer_limit(Some(BUFFER_BYTES));
        });
        agreed.await.map_err(|error| failure::cause(&error))
    }
}
