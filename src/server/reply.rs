//! The body of an answer on its way to the client: ours, or the upstream's as
//! it comes. Holds the request's ticket until the last byte is handed over.

use std::collections::VecDeque;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::body::total_bytes;
use super::pump::Ahead;
use super::statics::FileBody;
use super::ticket::Ticket;
use super::upstream::pool::Lease;
use super::upstream::send::Sent;

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
}

impl Reply {
    /// No body.
    pub(crate) fn empty() -> Self {
        Self::Whole(VecDeque::new())
    }

    /// One chunk.
    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self::Whole(VecDeque::from([text.into()]))
    }
}

/// The upstream's body passing through, with all that ends when it ends.
/// Dropped early, it closes the upstream's connection and counts as aborted.
#[derive(Debug)]
pub(crate) struct Passing {
    ahead: VecDeque<Bytes>,
    incoming: Incoming,
    held: Option<Held>,
    ended: Option<Ticket>,
    /// It broke off behind what was read ahead.
    broken: Option<hyper::Error>,
}

/// What an answer's body holds until its end.
#[derive(Debug)]
pub(crate) struct Held {
    /// The connection, to be driven until then.
    pub lease: Lease,
    /// Whether it can serve again.
    pub sent: Sent,
    /// The request's place in the books.
    pub ticket: Ticket,
}

impl Held {
    /// The last byte is here: the connection may serve again, unless part of its
    /// request never left; then it closes.
    fn finish(self) -> Ticket {
        match self.sent {
            Sent::Whole => self.lease.give_back(Instant::now()),
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
pub(crate) enum Taken {
    /// All of it; its request is over once the ticket is dropped.
    Whole(VecDeque<Bytes>, Option<Ticket>),
    /// Some; the rest is still to come.
    Part(Box<Passing>),
}

impl Passing {
    /// A body, and what it holds until its end.
    pub(crate) fn new(incoming: Incoming, held: Held) -> Self {
        Self {
            ahead: VecDeque::new(),
            incoming,
            held: Some(held),
            ended: None,
            broken: None,
        }
    }

    /// Takes what is here already, up to `bytes_max`. One small answer then
    /// leaves in one write, and its connection is free at once.
    pub(crate) fn take_at_once(mut self, cx: &mut Context<'_>, bytes_max: u64) -> Taken {
        let mut chunks = VecDeque::new();
        loop {
            let full = total_bytes(&chunks) >= bytes_max;
            match if full {
                Poll::Pending
            } else {
                self.poll_chunk(cx)
            } {
                Poll::Ready(Some(Ok(chunk))) => chunks.push_back(chunk),
                Poll::Ready(None) => return Taken::Whole(chunks, self.ended.take()),
                Poll::Ready(Some(Err(error))) => {
                    // Told behind the chunks, or what came of it would look whole.
                    self.broken = Some(error);
                    self.ahead = chunks;
                    return Taken::Part(Box::new(self));
                }
                Poll::Pending => {
                    self.ahead = chunks;
                    return Taken::Part(Box::new(self));
                }
            }
        }
    }

    /// The next data chunk; trailers end here.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        if let Some(chunk) = self.ahead.pop_front() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        loop {
            let frame = match &mut self.held {
                Some(held) => ready!(held.lease.line.poll_body(cx, &mut self.incoming)),
                None => ready!(Pin::new(&mut self.incoming).poll_frame(cx)),
            };
            return Poll::Ready(match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => Some(Ok(chunk)),
                    Err(_) => continue,
                },
                Some(Err(error)) => {
                    if let Some(held) = self.held.take() {
                        held.abort();
                    }
                    Some(Err(error))
                }
                None => {
                    self.ended = self.held.take().map(Held::finish);
                    None
                }
            });
        }
    }

    /// The ticket of a body whose end was reached, for one who outlives it.
    pub(crate) fn ended(&mut self) -> Option<Ticket> {
        self.ended.take()
    }

    fn is_over(&self) -> bool {
        self.ahead.is_empty() && self.broken.is_none() && self.incoming.is_end_stream()
    }

    /// The exact length of what is left, if the upstream told it.
    pub(crate) fn size_hint(&self) -> SizeHint {
        let rest = self.incoming.size_hint();
        let Some(exact) = rest.exact() else {
            return SizeHint::default();
        };
        SizeHint::with_exact(exact + total_bytes(&self.ahead))
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            // hyper drops a body that says it is over without asking again.
            match self.is_over() {
                true => drop(held.finish()),
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
        };
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(chunks) => chunks.is_empty(),
            Self::Upstream(passing) => passing.is_over(),
            Self::Ahead(_) => false,
            Self::File(file) => file.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(chunks) => SizeHint::with_exact(total_bytes(chunks)),
            Self::Upstream(passing) => passing.size_hint(),
            Self::Ahead(ahead) => ahead.size_hint(),
            Self::File(file) => file.size_hint(),
        }
    }
}
