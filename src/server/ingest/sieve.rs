//! An envelope's items on their way upstream, without those that stay here. What goes
//! on are slices of the chunks that came, never copies; what stays is not held. Never
//! decides: the manifest does, or has done.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::domain::envelope::scan::{Ended, ItemHeader, Scanner, Step, What};
use crate::domain::outcome::Reason;
use crate::policy::inspection::Fate;

use crate::server::client::stream::BodyError;
use crate::server::ingest::inflating::SLICE_BYTES;
use crate::server::ingest::manifest::Manifest;
use crate::server::ingest::unpacked::Unpacked;

/// What is put into the header of a crash of which only the error goes on
/// (PROTOCOL 4.2), right behind its opening brace.
const FLAG: &[u8] = b"\"rate_limited\":true,";

/// Who says what becomes of an item.
pub(crate) enum Judge {
    /// The manifest, as each is met.
    Now(Rc<Manifest>),
    /// It has said so, for all of them in their order.
    Before(VecDeque<Fate>),
}

/// The items that go on.
pub(crate) struct Sieve {
    source: Unpacked,
    /// `None`: the body is one item, and no envelope.
    scanner: Option<Scanner>,
    judge: Judge,
    /// The length of what leaves, where that is known.
    length: Option<u64>,
    /// Line one's own end is still to come.
    awaits_line_end: bool,
    /// The header under way, as far as it lay in earlier chunks.
    header: Vec<Bytes>,
    /// Whether the item under way goes on.
    keeps: bool,
    kept_any: bool,
    over: bool,
    out: VecDeque<Bytes>,
    /// Charged, and to be safe from a crash before more leaves.
    securing: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl std::fmt::Debug for Sieve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sieve").finish_non_exhaustive()
    }
}

impl Sieve {
    /// Items behind line one, which leaves first. The source begins with line one's end.
    pub(crate) fn new(line: Bytes, source: Unpacked, scanner: Scanner, judge: Judge) -> Self {
        Self {
            awaits_line_end: true,
            out: VecDeque::from([line]),
            ..Self::of(source, Some(scanner), judge)
        }
    }

    /// A body that is one item, already met: only its bytes are counted.
    pub(crate) fn metered(source: Unpacked, manifest: Rc<Manifest>) -> Self {
        Self {
            keeps: true,
            kept_any: true,
            ..Self::of(source, None, Judge::Now(manifest))
        }
    }

    /// A body behind line one into which nobody looks.
    pub(crate) fn unread(line: Bytes, source: Unpacked) -> Self {
        Self {
            keeps: true,
            kept_any: true,
            out: VecDeque::from([line]),
            ..Self::of(source, None, Judge::Before(VecDeque::new()))
        }
    }

    fn of(source: Unpacked, scanner: Option<Scanner>, judge: Judge) -> Self {
        Self {
            source,
            scanner,
            judge,
            length: None,
            awaits_line_end: false,
            header: Vec::new(),
            keeps: false,
            kept_any: false,
            over: false,
            out: VecDeque::new(),
            securing: None,
        }
    }

    /// Nothing in it will stay here: it leaves as long as it came.
    pub(crate) fn keeps_length(&mut self, length: Option<u64>) {
        self.length = length;
    }

    /// The length of what leaves, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether the next byte is the client's to send.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.securing.is_none() && self.source.waits_for_client()
    }

    /// Whether it came packed, and leaves unpacked.
    pub(crate) fn is_unpacked(&self) -> bool {
        matches!(self.source, Unpacked::Packed(_))
    }

    /// Whether nothing of it is still to come from a client.
    pub(crate) fn is_here(&self) -> bool {
        self.source.is_here()
    }

    /// All of it has been handed on.
    pub(crate) fn is_over(&self) -> bool {
        self.over && self.out.is_empty()
    }

    /// Reads on until something is known to leave, or all is over. `false`: nothing is left.
    pub(crate) async fn begins(&mut self) -> Result<bool, BodyError> {
        while !self.kept_any && !self.over {
            poll_fn(|cx| self.poll_read(cx)).await?;
        }
        Ok(self.kept_any)
    }

    /// The next chunk; `None` at the clean end.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if let Some(securing) = &mut self.securing {
                ready!(securing.as_mut().poll(cx));
                self.securing = None;
            }
            if let Some(chunk) = self.out.pop_front() {
                return Poll::Ready(Some(Ok(chunk)));
            }
            if self.over {
                return Poll::Ready(None);
            }
            if let Err(error) = ready!(self.poll_read(cx)) {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    /// Takes all that leaves, of a body that is here in full.
    pub(crate) fn drain(mut self) -> Result<VecDeque<Bytes>, BodyError> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while !self.over {
            match self.poll_read(&mut cx) {
                Poll::Ready(read) => read?,
                Poll::Pending => break,
            }
        }
        Ok(self.out)
    }

    /// All that leaves of a packed body that is here, if it is short: of no more than so many bytes,
    /// and unpacked in no more slices than these take. Else the body stays as it was. Lets nobody
    /// run meanwhile.
    pub(crate) fn gather(&mut self, bytes_max: usize) -> Result<Option<Bytes>, BodyError> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let (mut gathered, mut slices_left) = (Vec::new(), bytes_max / SLICE_BYTES + 1);
        while gathered.len() <= bytes_max {
            match self.poll_chunk(&mut cx) {
                Poll::Ready(Some(chunk)) => gathered.extend_from_slice(&chunk?),
                Poll::Ready(None) => return Ok(Some(gathered.into())),
                // Between two slices.
                Poll::Pending if slices_left > 0 => slices_left -= 1,
                Poll::Pending => break,
            }
        }
        self.out.push_front(gathered.into());
        Ok(None)
    }

    /// Reads one chunk through.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let came = ready!(self.source.poll_chunk(cx));
        if let Judge::Now(manifest) = &self.judge {
            // A body may take longer than a quota's window.
            manifest.looks_at_clock();
        }
        let mut read = match came {
            Some(Ok(chunk)) => self.scan(&chunk),
            Some(Err(error)) => Err(error),
            None => self.end(),
        };
        // Nobody asks further once an announced length has left.
        if read.is_ok() && !self.over && self.source.is_exhausted() {
            read = self.end();
        }
        if let Judge::Now(manifest) = &self.judge
            && !manifest.is_secure()
        {
            let manifest = Rc::clone(manifest);
            self.securing = Some(Box::pin(async move { manifest.secured().await }));
        }
        Poll::Ready(read)
    }

    fn scan(&mut self, chunk: &Bytes) -> Result<(), BodyError> {
        let mut run = Run::default();
        let mut at = 0;
        if self.awaits_line_end && !chunk.is_empty() {
            self.awaits_line_end = false;
            at = 1;
            run.leaves(0);
        }
        while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty()) {
            let step = match &mut self.scanner {
                Some(scanner) => scanner.push(rest).map_err(BodyError::Envelope)?,
                None => whole_payload(rest),
            };
            match step.what {
                What::Header => run.undecided(at),
                What::Item(item) => {
                    run.undecided(at);
                    let here = rest.len().saturating_sub(step.read);
                    self.fits(&item, here)?;
                    self.meet(&item, chunk, &mut run, at + step.read);
                }
                What::Payload { bytes, ends } => {
                    self.payload(bytes, ends)?;
                    if self.keeps {
                        run.leaves(at);
                    }
                }
            }
            at += step.read;
        }
        run.cut(chunk, run.header_from.unwrap_or(at), &mut self.out);
        if let Some(from) = run.header_from {
            self.header.push(chunk.slice(from..));
        }
        Ok(())
    }

    /// Refuses an item that is longer than what can still come: what is reserved for it would be
    /// kept from others until its sender deigns to go.
    fn fits(&self, item: &ItemHeader, here: usize) -> Result<(), BodyError> {
        let here = u64::try_from(here).unwrap_or(u64::MAX);
        match (&self.judge, item.length) {
            (Judge::Now(_), Some(length)) => self.source.holds(length.saturating_sub(here)),
            (Judge::Now(_) | Judge::Before(_), _) => Ok(()),
        }
    }

    /// An item's header is here, and ends at `end` of the chunk.
    fn meet(&mut self, item: &ItemHeader, chunk: &Bytes, run: &mut Run, end: usize) {
        let from = run.header_from.take().unwrap_or(end);
        match self.decide(item) {
            Fate::Kept => {
                self.out.extend(self.header.drain(..));
                run.leaves(from);
            }
            Fate::KeptAsError => {
                run.cut(chunk, from, &mut self.out);
                self.header.push(chunk.slice(from..end));
                self.flag(item);
            }
            Fate::Dropped(_) => {
                run.cut(chunk, from, &mut self.out);
                self.header.clear();
            }
        }
    }

    fn decide(&mut self, item: &ItemHeader) -> Fate {
        let fate = match &mut self.judge {
            Judge::Now(manifest) => manifest.meet(item, item.length, None),
            Judge::Before(fates) => fates.pop_front().unwrap_or(Fate::Dropped(Reason::Internal)),
        };
        self.keeps = !matches!(fate, Fate::Dropped(_));
        self.kept_any |= self.keeps;
        fate
    }

    /// Lets a header go on with the flag in it. It is short, and rare: it is copied.
    fn flag(&mut self, item: &ItemHeader) {
        let header = self.header.drain(..).flatten().collect::<Vec<u8>>();
        let behind_brace = memchr::memchr(b'{', &header).map_or(0, |brace| brace + 1);
        let (open, rest) = header.split_at(behind_brace.min(header.len()));
        let flag = if item.flag.is_some() { &[][..] } else { FLAG };
        self.out.push_back([open, flag, rest].concat().into());
    }

    fn payload(&mut self, bytes: usize, ends: bool) -> Result<(), BodyError> {
        if let Judge::Now(manifest) = &self.judge {
            manifest.passes(u64::try_from(bytes).unwrap_or(u64::MAX))?;
            if ends {
                manifest.ends();
            }
        }
        Ok(())
    }

    /// The body is over.
    fn end(&mut self) -> Result<(), BodyError> {
        self.over = true;
        let ended = match &mut self.scanner {
            Some(scanner) => scanner.finish().map_err(BodyError::Envelope)?,
            None => Ended::Payload,
        };
        match ended {
            Ended::Nothing => {}
            // Its header had no end of its own, and it has no payload.
            Ended::Item(item) => self.meet(&item, &Bytes::new(), &mut Run::default(), 0),
            Ended::Payload => self.payload(0, true)?,
        }
        Ok(())
    }
}

/// All of it is payload of the one item there is.
fn whole_payload(chunk: &[u8]) -> Step {
    Step {
        read: chunk.len(),
        what: What::Payload {
            bytes: chunk.len(),
            ends: false,
        },
    }
}

/// Where in a chunk the run begins that leaves in one slice, and the header that is
/// undecided behind it.
#[derive(Debug, Default)]
struct Run {
    from: Option<usize>,
    header_from: Option<usize>,
}

impl Run {
    fn leaves(&mut self, at: usize) {
        self.from.get_or_insert(at);
    }

    fn undecided(&mut self, at: usize) {
        self.header_from.get_or_insert(at);
    }

    /// Ends the run, and lets it out.
    fn cut(&mut self, chunk: &Bytes, end: usize, out: &mut VecDeque<Bytes>) {
        if let Some(from) = self.from.take()
            && from < end
        {
            out.push_back(chunk.slice(from..end));
        }
    }
}

#[cfg(test)]
mod tests;
