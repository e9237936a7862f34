//! The body of an answer on its way to the client: ours, or the upstream's as
//! it comes. Holds the request's ticket until the last byte is handed over.

use std::collections::VecDeque;
use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::server::access_log::visit::Seen;
use crate::server::delivery::hearing::Hearing;
use crate::server::delivery::pump::Ahead;
use crate::server::ingest::chunks::{gather, total_bytes};
use crate::server::passage::statics::FileBody;
use crate::server::ticket::Ticket;
use crate::server::upstream::framing::Fault;
use crate::server::upstream::pool::Lease;
use crate::server::upstream::send::Sent;

/// Any failure of an answer's body; the connection is broken off.
pub(crate) type ReplyError = Box<dyn Error + Send + Sync>;

/// An answer's body.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Here in full.
    Whole(VecDeque<Bytes>),
    /// The upstream's, as it comes.
    Upstream(Box<Passing>),
    /// The upstream's, read ahead of a slow client.
    Ahead(Box<Ahead>),
    /// A file's.
    File(Box<FileBody>),
    /// One that was begun to be read.
    Begun(Box<Begun>),
    /// Any of these, whose bytes somebody counts.
    Seen(Box<Seen>),
}

impl Reply {
    /// No body.
    pub(crate) fn empty() -> Self {
        Self::Whole(VecDeque::new())
    }

    /// All of a body that has at most `bytes_max`. An upstream that falls silent in its middle
    /// ends it; dropped, the body is.
    ///
    /// # Errors
    /// It is longer, or breaks off: then it comes back as it was.
    pub(crate) async fn collect(mut self, bytes_max: u64) -> Result<VecDeque<Bytes>, Self> {
        let mut chunks = VecDeque::new();
        if let Self::Whole(whole) = &mut self {
            chunks = std::mem::take(whole);
        }
        loop {
            let full = total_bytes(&chunks) > bytes_max;
            let frame = match full {
                true => None,
                false => poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await,
            };
            let rest = match frame {
                None if full => Ok(self),
                None => return Ok(chunks),
                Some(Ok(frame)) => {
                    // Frames here are data: trailers do not cross.
                    if let Ok(chunk) = frame.into_data() {
                        gather(&mut chunks, chunk);
                    }
                    continue;
                }
                Some(Err(error)) => Err(Some(error)),
            };
            return Err(Self::Begun(Box::new(Begun { chunks, rest })));
        }
    }

    /// One chunk.
    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self::Whole(VecDeque::from([text.into()]))
    }
}

/// A body of which some was read ahead of its client, and put back.
#[derive(Debug)]
pub(crate) struct Begun {
    chunks: VecDeque<Bytes>,
    /// What follows; or that it broke off there, which is told once.
    rest: Result<Reply, Option<ReplyError>>,
}

impl Begun {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        if let Some(chunk) = self.chunks.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match &mut self.rest {
            Ok(rest) => Pin::new(rest).poll_frame(cx),
            Err(error) => Poll::Ready(error.take().map(Err)),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty() && self.rest.as_ref().is_ok_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.as_ref().ok().map(Body::size_hint);
        match rest.and_then(|rest| rest.exact()) {
            Some(rest) => SizeHint::with_exact(rest + total_bytes(&self.chunks)),
            None => SizeHint::default(),
        }
    }
}

/// The upstream's body passing through, with all that ends when it ends.
/// Dropped early, it closes the upstream's connection and counts as aborted.
#[derive(Debug)]
pub(crate) struct Passing {
    ahead: VecDeque<Bytes>,
    held: Option<Held>,
    ended: Option<Ticket>,
    /// It broke off behind what was read ahead.
    broken: Option<Fault>,
}

/// What an answer's body holds until its end.
#[derive(Debug)]
pub(crate) struct Held {
    /// The connection that it comes on.
    pub lease: Lease,
    /// Whether it can serve again.
    pub sent: Sent,
    /// Where its words say something about who asked.
    pub hearing: Option<Hearing>,
    /// The request's place in the books.
    pub ticket: Ticket,
}

impl Held {
    /// The last byte is here: the connection may serve again, unless part of its
    /// request never left; then it closes.
    fn finish(self, now: Instant) -> Ticket {
        if let Some(hearing) = self.hearing {
            self.ticket.teach(hearing.end());
        }
        match self.sent {
            Sent::Whole => self.lease.give_back(now),
            Sent::Part => drop(self.lease),
        }
        self.ticket
    }

    /// The body broke off, or nobody wants the rest: the connection closes.
    fn abort(mut self) {
        self.ticket.aborted();
    }
}

/// What could be taken of a body without waiting.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most are whole: a box would be an allocation for each of them"
)]
pub(crate) enum Taken {
    /// All of it; its request is over once the ticket is dropped.
    Whole(VecDeque<Bytes>, Option<Ticket>),
    /// Some; the rest is still to come.
    Part(Box<Passing>),
}

impl Passing {
    /// A body, and what it holds until its end.
    pub(crate) fn new(held: Held) -> Self {
        Self {
            ahead: VecDeque::new(),
            held: Some(held),
            ended: None,
            broken: None,
        }
    }

    /// Takes what is here already, up to `bytes_max`. One small answer then
    /// leaves in one write, and its connection is free at once: `now`.
    pub(crate) fn take_at_once(
        mut self,
        now: Instant,
        cx: &mut Context<'_>,
        bytes_max: u64,
    ) -> Taken {
        let mut chunks = VecDeque::with_capacity(1);
        loop {
            let full = total_bytes(&chunks) >= bytes_max;
            match if full {
                Poll::Pending
            } else {
                self.poll_next(cx, Some(now))
            } {
                Poll::Ready(Some(Ok(chunk))) => gather(&mut chunks, chunk),
                Poll::Ready(None) => return Taken::Whole(chunks, self.ended.take()),
                // A failure is told behind the chunks, or they would look whole.
                Poll::Ready(Some(Err(_))) | Poll::Pending => {
                    self.ahead = chunks;
                    return Taken::Part(Box::new(self));
                }
            }
        }
    }

    /// The next chunk.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        match self.ahead.pop_front() {
            Some(chunk) => Poll::Ready(Some(Ok(chunk))),
            None => self.poll_next(cx, None),
        }
    }

    /// The next chunk behind what was read ahead. `now` spares a look at the clock.
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        now: Option<Instant>,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        if let Some(fault) = self.broken {
            return Poll::Ready(Some(Err(fault)));
        }
        let Some(held) = &mut self.held else {
            return Poll::Ready(None);
        };
        let brought = ready!(held.lease.line.poll_body(cx));
        match &brought {
            Some(Ok(chunk)) => {
                if let Some(hearing) = &mut held.hearing {
                    hearing.hear(chunk);
                }
            }
            Some(Err(fault)) => {
                self.broken = Some(*fault);
                if let Some(held) = self.held.take() {
                    held.abort();
                }
            }
            None => {
                let now = now.unwrap_or_else(Instant::now);
                self.ended = self.held.take().map(|held| held.finish(now));
            }
        }
        Poll::Ready(brought)
    }

    /// Nobody waits for the rest: the connection closes, and what was judged stands.
    pub(crate) fn forsake(mut self) {
        self.held = None;
    }

    /// The ticket of a body whose end was reached, for one who outlives it.
    pub(crate) fn ended(&mut self) -> Option<Ticket> {
        self.ended.take()
    }

    fn is_over(&self) -> bool {
        self.ahead.is_empty() && self.broken.is_none() && self.to_come() == Some(0)
    }

    /// The exact length of what is left, if the upstream told it.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.to_come() {
            Some(bytes) if self.broken.is_none() => {
                SizeHint::with_exact(bytes + total_bytes(&self.ahead))
            }
            Some(_) | None => SizeHint::default(),
        }
    }

    /// What the connection has still to bring.
    fn to_come(&self) -> Option<u64> {
        match &self.held {
            Some(held) => held.lease.line.length(),
            None => Some(0),
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // Asked before the connection is taken out: without one nothing is to come.
        let is_over = self.is_over();
        if let Some(held) = self.held.take() {
            // hyper drops a body that says it is over without asking again.
            match is_over {
                true => drop(held.finish(Instant::now())),
                false => held.abort(),
            }
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = ReplyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        let chunk = match self.get_mut() {
            Self::Whole(chunks) => chunks.pop_front().map(Ok),
            Self::Upstream(passing) => {
                ready!(passing.poll_chunk(cx)).map(|chunk| chunk.map_err(ReplyError::from))
            }
            Self::Ahead(ahead) => ready!(ahead.poll_chunk(cx)),
            Self::File(file) => ready!(file.poll_chunk(cx)),
            Self::Begun(begun) => return begun.poll_frame(cx),
            Self::Seen(seen) => return seen.poll_frame(cx),
        };
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(chunks) => chunks.is_empty(),
            Self::Upstream(passing) => passing.is_over(),
            Self::Ahead(_) => false,
            Self::File(file) => file.is_end_stream(),
            Self::Begun(begun) => begun.is_end_stream(),
            Self::Seen(seen) => seen.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(chunks) => SizeHint::with_exact(total_bytes(chunks)),
            Self::Upstream(passing) => passing.size_hint(),
            Self::Ahead(ahead) => ahead.size_hint(),
            Self::File(file) => file.size_hint(),
            Self::Begun(begun) => begun.size_hint(),
            Self::Seen(seen) => seen.size_hint(),
        }
    }
}
