//! A look at all items of a body that is here: what each is, how long, and what it says of
//! itself where somebody asks. Keeps nothing else of them, and decides nothing.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Buf as _, Bytes};

use crate::domain::coding::Decoder;
use crate::domain::envelope::scan::{Ended, ItemHeader, ScanLimits, Scanner, What};
use crate::domain::event::Event;
use crate::policy::Refusal;
use crate::policy::wanted::Asking;

/// How much of a body's payloads is copied to be read; what lies beyond is judged unread.
const READ_BYTES_MAX: usize = 1024 * 1024;

/// An item that was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// What it is.
    pub item: ItemHeader,
    /// Its payload's length.
    pub bytes: u64,
    /// Where its payload lies in what was copied, if somebody asks.
    payload: Option<Range<usize>>,
}

/// The look, as far as it has come.
pub(crate) struct Survey<'a> {
    scanner: Scanner,
    asking: Asking<'a>,
    found: Vec<Found>,
    payloads: Vec<u8>,
}

impl<'a> Survey<'a> {
    /// Nothing seen yet; more than so many items are refused.
    pub(crate) fn new(items_max: u32, asking: Asking<'a>) -> Self {
        Self {
            scanner: Scanner::new(ScanLimits { items_max }),
            asking,
            found: Vec::with_capacity(2),
            payloads: Vec::new(),
        }
    }

    /// All that follows a line one of so many bytes and its end.
    pub(crate) fn scan_behind(
        &mut self,
        line_bytes: usize,
        chunks: &VecDeque<Bytes>,
    ) -> Result<(), Refusal> {
        let mut skipped = line_bytes + 1;
        for chunk in chunks {
            let from = skipped.min(chunk.len());
            skipped -= from;
            self.scan(chunk.get(from..).unwrap_or_default())?;
        }
        Ok(())
    }

    /// The next bytes.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let step = self.scanner.push(rest).map_err(Refusal::scan)?;
            let (here, behind) = rest.split_at(step.read.min(rest.len()));
            rest = behind;
            match step.what {
                What::Header => {}
                What::Item(item) => self.finds(item),
                What::Payload { bytes, .. } => {
                    self.passes(here.get(..bytes).unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    fn finds(&mut self, item: ItemHeader) {
        let from = self.payloads.len();
        self.found.push(Found {
            item,
            bytes: 0,
            payload: self.asking.read(item.kind).then_some(from..from),
        });
    }

    /// More payload of the item found last.
    fn passes(&mut self, payload: &[u8]) {
        let Some(found) = self.found.last_mut() else {
            return;
        };
        found.bytes += u64::try_from(payload.len()).unwrap_or(u64::MAX);
        let Some(range) = &mut found.payload else {
            return;
        };
        if range.end + payload.len() > READ_BYTES_MAX {
            self.payloads.truncate(range.start);
            found.payload = None;
            return;
        }
        self.payloads.extend_from_slice(payload);
        range.end = self.payloads.len();
    }

    /// One slice of what is packed. `true`: there is more of it.
    pub(crate) fn unpack(
        &mut self,
        decoder: &mut Decoder,
        packed: &mut Bytes,
        slice: &mut [u8],
    ) -> Result<bool, Refusal> {
        let progress = decoder.push(packed, slice).map_err(Refusal::coding)?;
        packed.advance(progress.read);
        self.scan(slice.get(..progress.written).unwrap_or_default())?;
        Ok(progress.more)
    }

    /// The body is over.
    pub(crate) fn end(&mut self) -> Result<(), Refusal> {
        if let Ended::Item(item) = self.scanner.finish().map_err(Refusal::scan)? {
            self.finds(item);
        }
        Ok(())
    }

    /// What was found, up to the end or to what could not be followed.
    pub(crate) fn found(&self) -> &[Found] {
        &self.found
    }

    /// What an item says of itself, where somebody asks and it can be read.
    pub(crate) fn event(&self, found: &Found) -> Option<Event<'_>> {
        let payload = found.payload.clone()?;
        Event::read(self.payloads.get(payload)?)
    }
}
