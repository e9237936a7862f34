//! A client's connection as bytes: in the clear or inside TLS, as its listener has it. Never
//! knows what is said on it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::server::client::arrival::Scheme;
use crate::server::client::socket::poll_send;
use crate::tls::{Protocol, Secured};

/// A client's connection.
#[derive(Debug)]
pub(crate) enum Wire {
    /// The bare socket.
    Clear(TcpStream),
    /// With TLS agreed upon. Boxed: it is large, and moved with every spell of service.
    Secured(Box<Secured>),
}

impl Wire {
    /// How whoever is at the other end speaks.
    pub(crate) fn scheme(&self) -> Scheme {
        match self {
            Self::Clear(_) => Scheme::Http,
            Self::Secured(_) => Scheme::Https,
        }
    }

    /// The version of HTTP that was agreed upon with TLS; `None`: none was, and the first
    /// bytes tell.
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::Clear(_) => None,
            Self::Secured(secured) => Protocol::agreed(secured),
        }
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Clear(socket) => socket,
            Self::Secured(secured) => secured.get_ref().0,
        }
    }

    /// The socket below, for whoever has no more to say on it.
    pub(crate) fn into_socket(self) -> TcpStream {
        match self {
            Self::Clear(socket) => socket,
            Self::Secured(secured) => secured.into_inner().0,
        }
    }

    /// Waits until there is something to read; true: the connection stands. What TLS has
    /// unsealed already does not make the socket readable.
    pub(crate) async fn wakes(&self) -> bool {
        if let Self::Secured(secured) = self
            && !secured.get_ref().1.wants_read()
        {
            return true;
        }
        self.socket().readable().await.is_ok()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Clear(socket) => Pin::new(socket).poll_read(cx, buf),
            // An end that TLS does not announce is one all the same: what it may have cut off
            // is missing by HTTP's own count.
            Self::Secured(secured) => match Pin::new(secured).poll_read(cx, buf) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Poll::Ready(Ok(()))
                }
                read @ (Poll::Ready(_) | Poll::Pending) => read,
            },
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Clear(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Secured(secured) => Pin::new(secured).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Clear(socket) => poll_send(socket, cx, bufs),
            Self::Secured(secured) => Pin::new(secured).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Clear(_) => Poll::Ready(Ok(())),
            Self::Secured(secured) => Pin::new(secured).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Clear(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Secured(secured) => Pin::new(secured).poll_shutdown(cx),
        }
    }
}
