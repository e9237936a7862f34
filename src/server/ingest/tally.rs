//! A packed body on its way upstream as it came, looked into beside: nothing in it can
//! be refused, but what it carries is counted. Holds one slice of it unpacked.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};

use crate::domain::coding::Decoder;
use crate::domain::envelope::scan::{Ended, Scanner, What};

use crate::server::client::stream::{BodyError, Stream};
use crate::server::ingest::inflating::Place;
use crate::server::ingest::manifest::Manifest;

/// What is unpacked in one go.
const SLICE_BYTES: usize = 64 * 1024;

/// The body, and the look into it.
pub(crate) struct Tally {
    stream: Stream,
    decoder: Decoder,
    scanner: Scanner,
    manifest: Rc<Manifest>,
    /// Line one is still under way.
    in_line_one: bool,
    /// The chunk that is being looked into: all of it, and what is left to look at.
    chunk: Option<(Bytes, Bytes)>,
    slice: Box<[u8]>,
    over: bool,
    _place: Place,
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally").finish_non_exhaustive()
    }
}

impl Tally {
    /// A body from its first byte.
    pub(crate) fn new(
        stream: Stream,
        decoder: Decoder,
        scanner: Scanner,
        manifest: Rc<Manifest>,
        place: Place,
    ) -> Self {
        Self {
            stream,
            decoder,
            scanner,
            manifest,
            in_line_one: true,
            chunk: None,
            slice: vec![0; SLICE_BYTES].into(),
            over: false,
            _place: place,
        }
    }

    /// It leaves as long as it came.
    pub(crate) fn length(&self) -> Option<u64> {
        self.stream.announced()
    }

    /// Whether the next byte is the client's to send.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.chunk.is_none()
    }

    /// All of it has been handed on.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// The next chunk, once it was looked into; `None` at the clean end.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if let Some((whole, left)) = &mut self.chunk {
                let progress = match self.decoder.push(left, &mut self.slice) {
                    Ok(progress) => progress,
                    Err(error) => return Poll::Ready(Some(Err(BodyError::Coding(error)))),
                };
                left.advance(progress.read);
                let whole = (!progress.more).then(|| whole.clone());
                if let Err(error) = self.scan(progress.written) {
                    return Poll::Ready(Some(Err(error)));
                }
                let Some(whole) = whole else {
                    // Others first: a chunk may unpack to megabytes.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                };
                self.chunk = None;
                // Nobody asks further once an announced length has left.
                let ended = match self.stream.is_exhausted() {
                    true => self.end(),
                    false => Ok(()),
                };
                return Poll::Ready(Some(ended.map(|()| whole)));
            }
            match ready!(self.stream.poll_chunk(cx)) {
                Some(Ok(chunk)) => self.chunk = Some((chunk.clone(), chunk)),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if self.over => return Poll::Ready(None),
                None => return Poll::Ready(self.end().err().map(Err)),
            }
        }
    }

    fn scan(&mut self, written: usize) -> Result<(), BodyError> {
        let mut rest = self.slice.get(..written).unwrap_or_default();
        if self.in_line_one {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                return Ok(());
            };
            self.in_line_one = false;
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        while !rest.is_empty() {
            let step = self.scanner.push(rest).map_err(BodyError::Envelope)?;
            rest = rest.get(step.read..).unwrap_or_default();
            match step.what {
                What::Header => {}
                What::Item(item) => {
                    self.manifest.meet(&item, item.length, None);
                }
                What::Payload { bytes, ends } => {
                    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                    self.manifest.passes(bytes)?;
                    if ends {
                        self.manifest.ends();
                    }
                }
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), BodyError> {
        self.over = true;
        self.decoder.finish().map_err(BodyError::Coding)?;
        match self.scanner.finish().map_err(BodyError::Envelope)? {
            Ended::Nothing => {}
            Ended::Payload => self.manifest.ends(),
            Ended::Item(item) => {
                self.manifest.meet(&item, item.length, None);
            }
        }
        Ok(())
    }
}
