//! A look at all items of a body that is here: what each is, and how long. Keeps
//! nothing of them, and decides nothing.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};

use crate::domain::coding::Decoder;
use crate::domain::envelope::scan::{Ended, ItemHeader, ScanLimits, Scanner, What};
use crate::policy::Refusal;

/// An item that was found, and its payload's length.
pub(crate) type Found = (ItemHeader, u64);

/// The look, as far as it has come.
pub(crate) struct Survey {
    scanner: Scanner,
    found: Vec<Found>,
}

impl Survey {
    /// Nothing seen yet; more than so many items are refused.
    pub(crate) fn new(items_max: u32) -> Self {
        Self {
            scanner: Scanner::new(ScanLimits { items_max }),
            found: Vec::with_capacity(2),
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
            rest = rest.get(step.read..).unwrap_or_default();
            match step.what {
                What::Header => {}
                What::Item(item) => self.found.push((item, 0)),
                What::Payload { bytes, .. } => {
                    if let Some((_, length)) = self.found.last_mut() {
                        *length += u64::try_from(bytes).unwrap_or(u64::MAX);
                    }
                }
            }
        }
        Ok(())
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
            self.found.push((item, 0));
        }
        Ok(())
    }

    /// What was found, up to the end or to what could not be followed.
    pub(crate) fn found(self) -> Vec<Found> {
        self.found
    }
}
