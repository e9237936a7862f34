//! A connection's bytes, in the clear or by TLS. The one place in the server that knows the
//! difference; in the clear it costs one comparison a call.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::unconstrained;

use crate::domain::reach::ReachFault;
use crate::server::client::socket::poll_send;
use crate::tls::{self, Reached};

/// One open connection to a server.
#[derive(Debug)]
pub(crate) enum Stream {
    /// As it is.
    Clear(TcpStream),
    /// By TLS. A session is a kilobyte, which connections in the clear need not have.
    Sealed(Box<Reached>),
}

/// What a look at a connection that nobody uses found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It stands.
    Open,
    /// It is over, or brought what nobody asked for.
    Over,
    /// Its server does not accept our certificate.
    Refused(ReachFault),
}

impl Stream {
    /// Writes several slices as one. What TLS has sealed and the socket has not taken is
    /// `owed`.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Clear(socket) => poll_send(socket, cx, slices),
            Self::Sealed(session) => Pin::new(&mut **session).poll_write_vectored(cx, slices),
        }
    }

    /// Whether something was written that the socket has not taken.
    pub(crate) fn owes(&self) -> bool {
        match self {
            Self::Clear(_) => false,
            Self::Sealed(session) => session.get_ref().1.wants_write(),
        }
    }

    /// Whether an error of writing leaves open how much has left.
    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self, Self::Sealed(_))
    }

    /// Looks at what happened while nobody used it.
    pub(crate) fn look(&mut self) -> Look {
        let session = match self {
            Self::Clear(socket) => {
                let looked = socket.try_read(&mut [0]);
                let open = looked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
                return if open { Look::Open } else { Look::Over };
            }
            Self::Sealed(session) => session,
        };
        // Tickets and new keys may lie there unasked, so that the bytes alone say nothing.
        let mut byte = [0];
        let look = pin!(unconstrained(session.read(&mut byte)));
        match look.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Look::Open,
            Poll::Ready(Ok(_)) => Look::Over,
            Poll::Ready(Err(error)) => tls::refusal(&error).map_or(Look::Over, Look::Refused),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(socket) => Pin::new(socket).poll_read(cx, into),
            Self::Sealed(session) => Pin::new(&mut **session).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Sealed(session) => Pin::new(&mut **session).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(socket) => Pin::new(socket).poll_flush(cx),
            Self::Sealed(session) => Pin::new(&mut **session).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Sealed(session) => Pin::new(&mut **session).poll_shutdown(cx),
        }
    }
}
