//! A client's socket with what its keeper must know of it: bytes that were
//! read ahead, when it last moved, whether it is stuck. Never closes it over HTTP/1: hyper's
//! shutdown is put off until the keeper has seen whether the client still sends.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::server::client::bad_head::BadHead;
use crate::server::client::closing::Rest;
use crate::server::client::conduct::{Conduct, LAST_FRAME};
use crate::server::client::wire::Wire;

/// What the keeper of a connection looks at once a second, and what a request
/// tells it. One for each connection; never shared with another thread.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// Grows with each read and write that moved bytes.
    pub moves: Cell<u64>,
    /// A write found the client's window full.
    pub stuck: Cell<bool>,
    /// Requests that were begun and whose answer is not over.
    pub in_flight: Cell<u32>,
    /// Requests begun since the connection stands.
    pub requests: Cell<u64>,
    /// Bytes came in since the last request began: a head is on its way.
    pub head_begun: Cell<bool>,
    /// The first bytes of the head on its way, as they came: hyper drops a
    /// `Content-Length` that stands beside `Transfer-Encoding`, and only these
    /// can tell that it was there.
    pub head: RefCell<Vec<u8>>,
    /// A head that could not be read, and was answered so.
    pub bad_head: Cell<Option<BadHead>>,
    /// A request was answered with part of its body unread: linger before closing.
    pub unread: Cell<bool>,
    /// A body in chunks ended with trailers. hyper takes them up to a CRLF behind a CRLF,
    /// others up to a blank line however it is written: what is left on the connection
    /// could be a request to one and a trailer to the other.
    pub trailers: Cell<bool>,
}

/// How much of a head is remembered; a `Content-Length` further in goes unseen,
/// which leaves what RFC 9112 allows: `Transfer-Encoding` alone decides.
const HEAD_BYTES_MAX: usize = 8 * 1024;

impl Pulse {
    fn came_in(&self, bytes: &[u8]) {
        self.head_begun.set(true);
        if self.in_flight.get() == 0 {
            let mut head = self.head.borrow_mut();
            let room = HEAD_BYTES_MAX.saturating_sub(head.len()).min(bytes.len());
            head.extend_from_slice(bytes.get(..room).unwrap_or_default());
        }
    }

    /// What its client may still be sending as it closes.
    pub(crate) fn rest(&self) -> Rest {
        match self.unread.get() {
            true => Rest::Unread,
            false => Rest::None,
        }
    }

    /// Whether the head that was just read named both framings, and forgets it.
    pub(crate) fn head_names_length(&self) -> bool {
        let head = std::mem::take(&mut *self.head.borrow_mut());
        let end = memchr::memmem::find(&head, b"\r\n\r\n").unwrap_or(head.len());
        let head = head.get(..end).unwrap_or_default();
        head.split(|byte| *byte == b'\n').any(|line| {
            line.get(..15)
                .is_some_and(|name| name.eq_ignore_ascii_case(b"content-length:"))
        })
    }
}

impl Pulse {
    /// What to say in the place of hyper's own bare answer to a head that it
    /// cannot read, which it writes without asking anybody. `None`: these bytes
    /// are an answer of ours.
    fn answer_to_bad_head(&self, bytes: &[u8]) -> Option<String> {
        let unasked = self.head_begun.get() && self.in_flight.get() == 0;
        if !unasked || memchr::memmem::find(bytes, b"content-length: 0\r\n").is_none() {
            return None;
        }
        let status = bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
        let bad = BadHead::answered_with(status)?;
        self.bad_head.set(Some(bad));
        Some(bad.answer())
    }
}

/// The connection as hyper sees it.
#[derive(Debug)]
pub(crate) struct ClientIo {
    wire: Wire,
    ahead: Bytes,
    pulse: Rc<Pulse>,
    /// Where HTTP/2 is spoken.
    conduct: Option<Rc<Conduct>>,
    /// Its client is over what it may, and is not listened to any more.
    was_cut: bool,
    /// What a closing connection is still read of, so that its last words arrive.
    scrap_bytes: usize,
}

/// More than this is not thrown away for anybody: its sender has to do without the last words.
const SCRAP_BYTES_MAX: usize = 1 << 20;

/// Bytes thrown away at a time.
const SCRAP_PIECE: usize = 4096;

impl ClientIo {
    /// A connection of which `ahead` was read already.
    pub(crate) fn new(wire: Wire, ahead: Bytes, pulse: Rc<Pulse>) -> Self {
        Self {
            wire,
            ahead,
            pulse,
            conduct: None,
            was_cut: false,
            scrap_bytes: 0,
        }
    }

    /// The same for HTTP/2, and for hyper alone, which does not give it back: its shutdown is
    /// the connection's, since an end of TLS must be said.
    pub(crate) fn multiplexed(self, conduct: Rc<Conduct>) -> Self {
        Self {
            conduct: Some(conduct),
            ..self
        }
    }

    /// The connection alone, and what of its bytes nobody has taken yet.
    pub(crate) fn into_parts(self) -> (Wire, Bytes) {
        (self.wire, self.ahead)
    }

    fn took_in(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        if let Some(bytes) = buf.filled().get(before..)
            && !bytes.is_empty()
        {
            self.pulse.came_in(bytes);
            self.moved();
            if let Some(conduct) = &self.conduct
                && let Some(cut) = conduct.came_in(bytes)
            {
                buf.set_filled(before.saturating_add(cut));
                self.was_cut = true;
                self.ahead = Bytes::from_static(LAST_FRAME);
                self.read_ahead(buf);
            }
        }
    }

    fn read_ahead(&mut self, buf: &mut ReadBuf<'_>) {
        let n = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead.split_to(n));
    }

    fn moved(&self) {
        self.pulse.moves.set(self.pulse.moves.get().wrapping_add(1));
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let behind_trailers = self.pulse.trailers.get() && self.pulse.in_flight.get() == 0;
        if behind_trailers && self.conduct.is_none() {
            // The connection's end, as far as hyper is concerned.
            return Poll::Ready(Ok(()));
        }
        if self.was_cut {
            // Nobody reads on behind the last frame.
            self.read_ahead(buf);
            return Poll::Ready(Ok(()));
        }
        if !self.ahead.is_empty() {
            self.read_ahead(buf);
            // What follows is usually there already: one call for both.
            if buf.remaining() > 0
                && let Poll::Ready(Err(error)) = Pin::new(&mut self.wire).poll_read(cx, buf)
            {
                tracing::trace!(%error, "read failed behind bytes read ahead");
            }
            self.took_in(buf, before);
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.wire).poll_read(cx, buf);
        if read.is_ready()
            && let Some(conduct) = &self.conduct
        {
            conduct.ended.set(buf.filled().len() == before);
        }
        self.took_in(buf, before);
        read
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(answer) = self.pulse.answer_to_bad_head(buf) {
            let written = Pin::new(&mut self.wire).poll_write(cx, answer.as_bytes());
            return written.map_ok(|_| buf.len());
        }
        let written = Pin::new(&mut self.wire).poll_write(cx, buf);
        self.wrote(&written);
        self.answered(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = bufs.first()
            && let Some(answer) = self.pulse.answer_to_bad_head(first)
        {
            let written = Pin::new(&mut self.wire).poll_write(cx, answer.as_bytes());
            return written.map_ok(|_| bufs.iter().map(|buf| buf.len()).sum());
        }
        let written = Pin::new(&mut self.wire).poll_write_vectored(cx, bufs);
        self.wrote(&written);
        self.answered(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.wire, Wire::Clear(_)) {
            return Poll::Ready(Ok(()));
        }
        // TLS took what a client with a full window has no room for, up to a record.
        let flushed = Pin::new(&mut self.wire).poll_flush(cx);
        if flushed.is_pending() || self.pulse.stuck.get() {
            self.wrote(&flushed);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let told_to_go = match &self.conduct {
            None => return Poll::Ready(Ok(())),
            Some(conduct) => {
                conduct.closing.set(true);
                conduct.is_told_to_go()
            }
        };
        if self.scrap_bytes == 0 {
            let ended = ready!(self.poll_end(cx));
            if ended.is_err() || !told_to_go {
                return Poll::Ready(ended);
            }
        }
        self.poll_throw_away(cx)
    }
}

impl ClientIo {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.wire).poll_shutdown(cx);
        self.wrote(&ended);
        ended
    }

    /// Closing now would reset the connection of a client that is still sending, and destroy
    /// what it was told.
    fn poll_throw_away(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scrap = [0; SCRAP_PIECE];
        while self.scrap_bytes < SCRAP_BYTES_MAX {
            let mut scrap = ReadBuf::new(&mut scrap);
            // One more than nothing: the end has been said.
            self.scrap_bytes = self.scrap_bytes.max(1);
            if ready!(Pin::new(&mut self.wire).poll_read(cx, &mut scrap)).is_err() {
                break;
            }
            match scrap.filled().len() {
                0 => break,
                bytes => self.scrap_bytes = self.scrap_bytes.saturating_add(bytes),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn answered(&self, written: &Poll<io::Result<usize>>) {
        if let Some(conduct) = &self.conduct
            && let Poll::Ready(Ok(bytes)) = written
        {
            conduct.wrote(*bytes);
        }
    }

    fn wrote<T>(&self, written: &Poll<io::Result<T>>) {
        self.pulse.stuck.set(written.is_pending());
        if written.is_ready() {
            self.moved();
        }
    }
}

/// Puts bytes read from a socket by an earlier owner in front of those not yet
/// taken. Copies; both are a few bytes in practice.
pub(crate) fn joined(first: Bytes, second: Bytes) -> Bytes {
    if first.is_empty() {
        return second;
    }
    if second.is_empty() {
        return first;
    }
    let mut both = first.chain(second);
    both.copy_to_bytes(both.remaining())
}
