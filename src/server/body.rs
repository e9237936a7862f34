//! A request's body on its way upstream: whole, or as it comes, or from disk.
//! Passes the chunks that arrived, never a copy; never decodes.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::domain::coding::DecodeError;
use crate::domain::envelope::scan::ScanError;

use super::sieve::Sieve;
use super::spill::Spilled;
use super::tally::Tally;

/// Why a body did not arrive whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client closed, reset, or broke its framing.
    #[error("the client left before its body was complete")]
    Gone,
    /// No byte for `limits.body_idle`.
    #[error("the client's body stood still")]
    Slow,
    /// Over its route's limit.
    #[error("the body is over its limit")]
    TooLarge,
    /// It does not decode within its limits.
    #[error("the body does not decode")]
    Coding(DecodeError),
    /// Its items cannot be told apart.
    #[error(transparent)]
    Envelope(ScanError),
    /// A limit has no room for the rest of an item that is under way.
    #[error("a limit has no room for the rest of the body")]
    Full,
    /// The file it was read ahead into failed.
    #[error("the body could not be kept on disk")]
    Disk,
}

/// What is known of a body from outside while it is on its way.
#[derive(Debug, Default)]
pub(crate) struct BodyWatch {
    complete: Cell<bool>,
    waits: Cell<bool>,
    paused: Cell<bool>,
}

impl BodyWatch {
    /// Every byte of the body has been taken from the client.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete.get()
    }

    /// The next chunk is the client's to send.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.waits.get()
    }

    /// The upstream has answered early: stop reading the client, for good. The
    /// upstream's connection stays open for the rest of its answer.
    pub(crate) fn pause(&self) {
        self.paused.set(true);
    }
}

/// A body for an upstream. Dropping it drops the client's unread rest.
#[derive(Debug)]
pub(crate) struct Outgoing {
    source: Source,
    watch: Rc<BodyWatch>,
}

#[derive(Debug)]
enum Source {
    Whole(VecDeque<Bytes>),
    Stream(Box<Stream>),
    Disk(Box<Spilled>),
    /// Without the items that stay here.
    Sieved(Box<Sieve>),
    /// Packed as it came, and looked into beside.
    Tallied(Box<Tally>),
    /// The disk's share ran out: what lies there first, then the rest as it comes.
    Joined(Box<Spilled>, Box<Stream>),
}

impl Outgoing {
    fn of(source: Source) -> Self {
        let watch = Rc::new(BodyWatch::default());
        watch
            .complete
            .set(matches!(source, Source::Whole(_) | Source::Disk(_)));
        Self { source, watch }
    }

    /// A body that is here in full.
    pub(crate) fn whole(chunks: VecDeque<Bytes>) -> Self {
        Self::of(Source::Whole(chunks))
    }

    /// A body that goes out as it comes in.
    pub(crate) fn stream(stream: Stream) -> Self {
        Self::of(Source::Stream(Box::new(stream)))
    }

    /// A body that lies on disk in full.
    pub(crate) fn disk(spilled: Spilled) -> Self {
        Self::of(Source::Disk(Box::new(spilled)))
    }

    /// A body whose beginning lies on disk and whose rest is still to come.
    pub(crate) fn joined(spilled: Spilled, stream: Stream) -> Self {
        Self::of(Source::Joined(Box::new(spilled), Box::new(stream)))
    }

    /// A body of which some items stay here.
    pub(crate) fn sieved(sieve: Sieve) -> Self {
        Self::of(Source::Sieved(Box::new(sieve)))
    }

    /// A body that goes out as it comes in, and is looked into beside.
    pub(crate) fn tallied(tally: Tally) -> Self {
        Self::of(Source::Tallied(Box::new(tally)))
    }

    /// Whether it leaves without the coding that it came in.
    pub(crate) fn is_inflated(&self) -> bool {
        match &self.source {
            Source::Sieved(sieve) => sieve.is_unpacked(),
            Source::Whole(_)
            | Source::Stream(_)
            | Source::Disk(_)
            | Source::Joined(..)
            | Source::Tallied(_) => false,
        }
    }

    /// What can be seen of it once it is given away.
    pub(crate) fn watch(&self) -> Rc<BodyWatch> {
        Rc::clone(&self.watch)
    }

    /// Its chunks, if it is here in full.
    pub(crate) fn chunks(&self) -> Option<&VecDeque<Bytes>> {
        match &self.source {
            Source::Whole(chunks) => Some(chunks),
            Source::Stream(_)
            | Source::Disk(_)
            | Source::Joined(..)
            | Source::Sieved(_)
            | Source::Tallied(_) => None,
        }
    }

    /// Its exact length, if that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match &self.source {
            Source::Whole(chunks) => Some(total_bytes(chunks)),
            Source::Stream(stream) | Source::Joined(_, stream) => stream.announced(),
            Source::Sieved(sieve) => sieve.length(),
            Source::Tallied(tally) => tally.length(),
            Source::Disk(spilled) => Some(spilled.remaining_bytes()),
        }
    }
}

/// The bytes in a list of chunks.
pub(crate) fn total_bytes(chunks: &VecDeque<Bytes>) -> u64 {
    chunks
        .iter()
        .map(|chunk| u64::try_from(chunk.len()).unwrap_or(u64::MAX))
        .sum()
}

/// How many chunks of a body are kept as they came, and how large later ones are
/// made by joining. A chunk costs a handle of 32 bytes: what is sent byte by byte
/// would take as many times its length, and as many steps each time it is added up.
const SHARED_CHUNKS: usize = 16;
const JOINED_BYTES_MAX: usize = 16 * 1024;

/// Keeps a chunk; where many have come before, small ones are copied together.
pub(crate) fn gather(chunks: &mut VecDeque<Bytes>, chunk: Bytes) {
    let many = chunks.len() >= SHARED_CHUNKS;
    match chunks.back_mut() {
        Some(last) if many && last.len() + chunk.len() <= JOINED_BYTES_MAX => {
            // Copies once: what is joined is nobody else's, and grows in place.
            let mut joined = BytesMut::from(std::mem::take(last));
            joined.extend_from_slice(&chunk);
            *last = joined.freeze();
        }
        Some(_) | None => chunks.push_back(chunk),
    }
}

impl Outgoing {
    /// The next chunk; `None` at the clean end.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        let watch = &self.watch;
        if watch.paused.get() {
            return Poll::Pending;
        }
        match &mut self.source {
            Source::Whole(chunks) => Poll::Ready(chunks.pop_front().map(Ok)),
            Source::Joined(spilled, _) if spilled.remaining_bytes() > 0 => spilled.poll_chunk(cx),
            Source::Stream(stream) | Source::Joined(_, stream) => {
                let polled = stream.poll_chunk(cx);
                watch.waits.set(polled.is_pending());
                let chunk = ready!(polled);
                match &chunk {
                    None => watch.complete.set(true),
                    // Nobody asks further once the announced length has left.
                    Some(Ok(_)) if stream.is_exhausted() => watch.complete.set(true),
                    Some(_) => {}
                }
                Poll::Ready(chunk)
            }
            Source::Disk(spilled) => spilled.poll_chunk(cx),
            Source::Sieved(sieve) => {
                let polled = sieve.poll_chunk(cx);
                watch
                    .waits
                    .set(polled.is_pending() && sieve.waits_for_client());
                watch.complete.set(sieve.is_over());
                polled
            }
            Source::Tallied(tally) => {
                let polled = tally.poll_chunk(cx);
                watch
                    .waits
                    .set(polled.is_pending() && tally.waits_for_client());
                watch.complete.set(tally.is_over());
                polled
            }
        }
    }
}

/// A client's body as it comes: chunks already read first, then hyper's.
#[derive(Debug)]
pub(crate) struct Stream {
    ahead: VecDeque<Bytes>,
    incoming: Incoming,
    /// `Content-Length`; `None` when chunked.
    announced: Option<u64>,
    received: u64,
    limit: u64,
    idle: Duration,
    patience: Option<Pin<Box<Sleep>>>,
    on_bytes: Meter,
}

/// Tells the books of each chunk that came in.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    /// The counters of the worker that reads it.
    pub worker: Rc<super::worker::Worker>,
    /// The route it counts under.
    pub route: crate::telemetry::labels::Route,
}

impl Meter {
    fn add(&self, bytes: u64) {
        self.worker
            .metrics
            .request_bytes
            .at(self.route.index())
            .add(bytes);
    }
}

impl Stream {
    /// The body of a request, refused beyond `limit` bytes or when it stands
    /// still for `idle`.
    pub(crate) fn new(
        incoming: Incoming,
        announced: Option<u64>,
        limit: u64,
        idle: Duration,
        on_bytes: Meter,
    ) -> Self {
        Self {
            ahead: VecDeque::new(),
            incoming,
            announced,
            received: 0,
            limit,
            idle,
            patience: None,
            on_bytes,
        }
    }

    /// `Content-Length`, if the client sent one.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.announced
    }

    /// All of an announced length has been handed on.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.announced == Some(self.received) && self.ahead.is_empty()
    }

    /// How much can still be handed on: up to the announced length, else up to the limit.
    pub(crate) fn left_bytes_max(&self) -> u64 {
        let most = self.announced.unwrap_or(self.limit);
        let coming = most.saturating_sub(self.received);
        total_bytes(&self.ahead).saturating_add(coming)
    }

    /// Puts chunks that were read for a look back in front.
    pub(crate) fn put_back(&mut self, chunks: VecDeque<Bytes>) {
        let mut chunks = chunks;
        chunks.append(&mut self.ahead);
        self.ahead = chunks;
    }

    /// The next chunk; `None` at the clean end.
    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, BodyError>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// hyper's body back, for one who only wants to throw the rest away.
    pub(crate) fn into_incoming(self) -> Incoming {
        self.incoming
    }

    /// As `chunk`, for one who is polled.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        if let Some(chunk) = self.ahead.pop_front() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
                return self.poll_patience(cx);
            };
            self.patience = None;
            return Poll::Ready(match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => Some(self.accept(chunk)),
                    // Trailers end here: nothing upstream reads them.
                    Err(_) => continue,
                },
                // HTTP/2 tells of a reset after the last byte; the body is whole all the same.
                Some(Err(_)) if self.announced == Some(self.received) => None,
                Some(Err(_)) => Some(Err(BodyError::Gone)),
                None => None,
            });
        }
    }

    fn accept(&mut self, chunk: Bytes) -> Result<Bytes, BodyError> {
        let n = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(n);
        self.on_bytes.add(n);
        if self.received > self.limit {
            return Err(BodyError::TooLarge);
        }
        Ok(chunk)
    }

    /// The timer exists only while a body makes somebody wait.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let idle = self.idle;
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(patience.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::Slow)))
    }
}

/// Throws the rest of a refused request's body away, so that its answer is read
/// and its connection stays usable: at most `bytes`, at most until `deadline`.
pub(crate) async fn discard(mut incoming: Incoming, bytes: u64, deadline: Instant) -> bool {
    let mut left = bytes;
    let drained = tokio::time::timeout_at(deadline, async {
        while let Some(frame) =
            std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await
        {
            let Ok(frame) = frame else { return false };
            let n = frame
                .data_ref()
                .map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
            match left.checked_sub(n) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    });
    drained.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_sent_byte_by_byte_takes_few_handles_and_stays_the_same() {
        let body: Vec<u8> = (0..=255).cycle().take(256 * 1024).collect();
        let mut chunks = VecDeque::new();
        for byte in &body {
            gather(&mut chunks, Bytes::copy_from_slice(&[*byte]));
        }
        assert!(chunks.len() <= 64, "{} chunks", chunks.len());
        assert_eq!(chunks.iter().flatten().copied().collect::<Vec<_>>(), body);
    }

    #[test]
    fn a_body_in_few_chunks_is_shared_not_copied() {
        let whole = Bytes::from(vec![b'x'; 64 * 1024]);
        let mut chunks = VecDeque::new();
        let parts: Vec<Bytes> = (0..4)
            .map(|at| whole.slice(at * 10..at * 10 + 10))
            .collect();
        for part in &parts {
            gather(&mut chunks, part.clone());
        }
        let kept = chunks.iter().map(|chunk| chunk.as_ptr());
        assert!(kept.eq(parts.iter().map(|part| part.as_ptr())));
    }
}
