//! A request's body on its way upstream: whole, or as it comes, or from disk.
//! Passes the chunks that arrived, never a copy; never decodes.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::server::client::stream::{BodyError, Stream};
use crate::server::delivery::spill::Spilled;
use crate::server::delivery::tee::{Copied, Keepsake, Tee, TeeBudget};
use crate::server::ingest::chunks::total_bytes;
use crate::server::ingest::sieve::Sieve;
use crate::server::ingest::tally::Tally;

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
    /// The copy of what goes by.
    tee: Option<Box<Tee>>,
    /// Who gets it in the end.
    keepsake: Option<Keepsake>,
}

#[derive(Debug)]
enum Source {
    Whole(VecDeque<Bytes>),
    /// The same, which came packed.
    Unpacked(VecDeque<Bytes>),
    Stream(Box<Stream>),
    Disk(Box<Spilled>),
    /// Another beginning than the file's own, and the rest of that.
    Led(Bytes, Box<Spilled>),
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
        watch.complete.set(matches!(
            source,
            Source::Whole(_) | Source::Unpacked(_) | Source::Disk(_) | Source::Led(..)
        ));
        Self {
            source,
            watch,
            tee: None,
            keepsake: None,
        }
    }

    /// From here on what goes by is copied, unless it is here in full.
    pub(crate) fn is_copied(&mut self, budget: TeeBudget) {
        self.tee = Some(Box::new(Tee::new(budget)));
    }

    /// Where the copy will be once the upstream has answered, if one is made.
    pub(crate) fn keepsake(&mut self) -> Option<Keepsake> {
        self.tee.as_ref()?;
        Some(Rc::clone(self.keepsake.get_or_insert_default()))
    }

    /// The upstream has answered: the copy goes to whoever asked for it.
    pub(crate) fn bequeaths(&mut self) {
        if let Some(keepsake) = self.keepsake.take() {
            keepsake.replace(self.tee.take());
        }
    }

    /// Whether what has gone by of it is still at hand.
    pub(crate) fn has_copy(&self) -> bool {
        self.tee.is_some()
    }

    /// Reads what is still to come, and yields all of the body. `None`: some of it has
    /// gone by without a copy.
    pub(crate) async fn rest(mut self) -> Result<Option<Copied>, BodyError> {
        let Some(mut tee) = self.tee.take() else {
            return Ok(match self.source {
                Source::Whole(chunks) | Source::Unpacked(chunks) => Some(Copied::Chunks(chunks)),
                Source::Stream(_)
                | Source::Disk(_)
                | Source::Led(..)
                | Source::Sieved(_)
                | Source::Tallied(_)
                | Source::Joined(..) => None,
            });
        };
        // Asked again, a client that has sent its last byte but not said so would be waited for.
        while !tee.gave_up() && !self.watch.is_complete() {
            poll_fn(|cx| tee.poll_ready(cx)).await;
            match poll_fn(|cx| self.poll_source(cx)).await {
                Some(chunk) => tee.add(&chunk?),
                None => break,
            }
        }
        Ok(tee.finish().await)
    }

    /// A body that is here in full.
    pub(crate) fn whole(chunks: VecDeque<Bytes>) -> Self {
        Self::of(Source::Whole(chunks))
    }

    /// A body that came packed, and is here in full without its coding.
    pub(crate) fn unpacked(all: Bytes) -> Self {
        Self::of(Source::Unpacked(VecDeque::from([all])))
    }

    /// A body that goes out as it comes in.
    pub(crate) fn stream(stream: Stream) -> Self {
        Self::of(Source::Stream(Box::new(stream)))
    }

    /// A body that lies on disk in full.
    pub(crate) fn disk(spilled: Spilled) -> Self {
        Self::of(Source::Disk(Box::new(spilled)))
    }

    /// A body that begins like this, and goes on as a file does.
    pub(crate) fn led(beginning: Bytes, spilled: Spilled) -> Self {
        Self::of(Source::Led(beginning, Box::new(spilled)))
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
            Source::Unpacked(_) => true,
            Source::Whole(_)
            | Source::Stream(_)
            | Source::Disk(_)
            | Source::Led(..)
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
            Source::Whole(chunks) | Source::Unpacked(chunks) => Some(chunks),
            Source::Stream(_)
            | Source::Disk(_)
            | Source::Led(..)
            | Source::Joined(..)
            | Source::Sieved(_)
            | Source::Tallied(_) => None,
        }
    }

    /// Its exact length, if that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match &self.source {
            Source::Whole(chunks) | Source::Unpacked(chunks) => Some(total_bytes(chunks)),
            Source::Stream(stream) | Source::Joined(_, stream) => stream.announced(),
            Source::Sieved(sieve) => sieve.length(),
            Source::Tallied(tally) => tally.length(),
            Source::Disk(spilled) => Some(spilled.remaining_bytes()),
            Source::Led(beginning, spilled) => {
                let bytes = u64::try_from(beginning.len()).unwrap_or(u64::MAX);
                Some(bytes + spilled.remaining_bytes())
            }
        }
    }
}

impl Outgoing {
    /// The next chunk; `None` at the clean end.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.watch.paused.get() {
            return Poll::Pending;
        }
        let Some(tee) = &mut self.tee else {
            return self.poll_source(cx);
        };
        ready!(tee.poll_ready(cx));
        let polled = ready!(self.poll_source(cx));
        if let (Some(Ok(chunk)), Some(tee)) = (&polled, &mut self.tee) {
            tee.add(chunk);
        }
        Poll::Ready(polled)
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let watch = &self.watch;
        match &mut self.source {
            Source::Whole(chunks) | Source::Unpacked(chunks) => {
                Poll::Ready(chunks.pop_front().map(Ok))
            }
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
            Source::Led(beginning, _) if !beginning.is_empty() => {
                Poll::Ready(Some(Ok(std::mem::take(beginning))))
            }
            Source::Disk(spilled) | Source::Led(_, spilled) => spilled.poll_chunk(cx),
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
