//! A new connection to an upstream: the first of its addresses that takes one.
//! Never retries an address within one call, and never keeps a connection.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::telemetry::labels::Upstream;

use super::super::socket::poll_send;
use super::super::worker::{InForce, Worker};
use super::Target;
use super::line::Line;
use super::pool::{Lease, Slot};
use super::talk::Talk;

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The name has never resolved.
    #[error("the upstream's name does not resolve")]
    Unresolved,
    /// No address took a connection in time.
    #[error("the upstream does not take connections")]
    Unreachable,
    /// `upstream.connections` are open already.
    #[error("all connections to the upstream are in use")]
    Full,
}

/// Bytes of one read. A buffer that may hold a long head would otherwise grow to
/// that size for every body, and stay with whoever reads it slowly.
const READ_BYTES_MAX: usize = 64 * 1024;

/// Dials the target's addresses in turn, beginning where the last call ended.
pub(crate) async fn connect(
    worker: &Rc<Worker>,
    rules: &InForce,
    target: &Target,
) -> Result<Lease, ConnectError> {
    let pool = worker.pool(target.upstream);
    let workers = u64::try_from(rules.workers()).unwrap_or(1);
    let share = (rules.config.upstream.connections / workers.max(1)).max(1);
    let slot = pool
        .slot(share, &worker.metrics)
        .ok_or(ConnectError::Full)?;
    let addresses = target.addresses().clone();
    if addresses.is_empty() {
        target.doubt();
        return Err(ConnectError::Unresolved);
    }
    let limit = rules.config.upstream.timeouts.connect;
    let first = pool.turn() % addresses.len();
    for address in addresses.iter().cycle().skip(first).take(addresses.len()) {
        let Some(stream) = dial(*address, limit).await else {
            continue;
        };
        target.trust();
        let line = greet(rules, target.upstream, *address, stream, slot).await?;
        pool.watch(Rc::clone(&line.talk));
        return Ok(Lease::new(Rc::clone(worker), line, target));
    }
    target.doubt();
    Err(ConnectError::Unreachable)
}

async fn dial(address: std::net::SocketAddr, limit: Duration) -> Option<TcpStream> {
    let stream = match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "connect failed");
            return None;
        }
        Err(_) => {
            tracing::debug!(%address, "connect timed out");
            return None;
        }
    };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%error, "TCP_NODELAY refused");
    }
    Some(stream)
}

/// HTTP/1.1 over a connection that stands. No byte is exchanged yet.
async fn greet(
    rules: &InForce,
    upstream: Upstream,
    address: std::net::SocketAddr,
    stream: TcpStream,
    slot: Slot,
) -> Result<Line, ConnectError> {
    let talk = Rc::new(Talk::default());
    let io = UpstreamIo {
        stream,
        talk: Rc::clone(&talk),
    };
    let limits = &rules.config.limits;
    // One number bounds head and read buffer alike: web may send long heads
    // (a 100 KiB Link header is seen in practice), ingest never does.
    let buffer_bytes = match upstream {
        Upstream::Ingest => limits.header_bytes,
        Upstream::Web => limits.response_header_bytes,
    };
    let (sender, connection) = Builder::new()
        .max_buf_size(usize::try_from(buffer_bytes).unwrap_or(usize::MAX))
        .handshake(TokioIo::new(io))
        .await
        .map_err(|_| ConnectError::Unreachable)?;
    Ok(Line::new(sender, connection, talk, address, slot))
}

/// An upstream's socket that tells whether a byte came back: only then is a
/// request known to have been seen.
#[derive(Debug)]
pub(crate) struct UpstreamIo {
    stream: TcpStream,
    talk: Rc<Talk>,
}

impl UpstreamIo {
    /// An upstream may answer early and close while we still send. hyper would
    /// take the failed write for the end and never read that answer, so it is
    /// told nothing: the read side has the answer, or the same failure.
    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(_)) => self.talk.wrote(),
            Poll::Ready(Err(_)) => return Poll::Pending,
            Poll::Pending => {}
        }
        written
    }

    /// Reads no more than `READ_BYTES_MAX` into a buffer that has room for more.
    fn read_some(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(READ_BYTES_MAX));
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut part);
        let n = part.filled().len();
        buf.advance(n);
        read
    }
}

impl AsyncRead for UpstreamIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = match buf.remaining() > READ_BYTES_MAX {
            true => self.read_some(cx, buf),
            false => Pin::new(&mut self.stream).poll_read(cx, buf),
        };
        if buf.filled().len() > before {
            self.talk.read();
        }
        read
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = poll_send(&self.stream, cx, bufs);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
