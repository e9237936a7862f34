//! One handshake, and what comes of it. Waits as long as it is let: whoever calls it bounds
//! its time and how many there are.

use std::io;
use std::sync::Arc;

use rustls::ServerConnection;
use rustls::server::Acceptor;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, TlsAcceptor};

use super::failure;
use super::proof::Proofs;
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
    /// Agrees on TLS with whoever has connected. Dropping it closes the socket. `Ok(None)`: an
    /// authority wanted to see a proof, has seen it, and nothing is to be said on the connection.
    ///
    /// # Errors
    /// The cause of the failure; the client has been told by an alert where TLS has one.
    pub async fn agree(
        &self,
        socket: TcpStream,
        proofs: &Proofs,
    ) -> Result<Option<Secured>, HandshakeFault> {
        let agreed = match proofs.is_empty() {
            true => {
                let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
                acceptor.accept_with(socket, bounded).await.map(Some)
            }
            // What is asked for must be read before it is known by which terms.
            false => {
                let begun = LazyConfigAcceptor::new(Acceptor::default(), socket).await;
                match begun {
                    Ok(begun) => self.agree_or_prove(begun, proofs).await,
                    Err(error) => Err(error),
                }
            }
        };
        agreed.map_err(|error| failure::cause(&error))
    }

    async fn agree_or_prove(
        &self,
        begun: StartHandshake<TcpStream>,
        proofs: &Proofs,
    ) -> io::Result<Option<Secured>> {
        let Some(proof) = proofs.asked_for(&begun.client_hello()) else {
            let config = Arc::clone(&self.config);
            return begun.into_stream_with(config, bounded).await.map(Some);
        };
        let mut proved = begun.into_stream_with(proof, bounded).await?;
        // It was seen: whether its end is read is nobody's concern.
        proved.shutdown().await.ok();
        Ok(None)
    }
}

fn bounded(session: &mut ServerConnection) {
    session.set_buffer_limit(Some(BUFFER_BYTES));
}
