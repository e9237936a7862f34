//! Copying forward: a segment with little left in it goes, and what is left goes on
//! under the same order. A crash between the two leaves records twice, of which a
//! restart takes one.

use super::acks::Ack;
use super::disk::{Disk, forgive};
use super::frame::Frame;
use super::segment::{Framed, Segment, read_frame};
use super::{AppendError, Log, Place};
use bytes::Bytes;

/// A segment is copied forward when less than one part in so many of its file is live.
const LIVE_PART: u64 = 10;

/// The same where room is scarce.
const SCARCE_PART: u64 = 2;

/// What one step of compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compacted {
    /// No segment has so little left in it.
    Nothing,
    /// A segment went; so many records of it go on.
    Moved {
        /// Records that were copied.
        records: usize,
    },
    /// A segment could not be read whole: it stays until its records are done with.
    Stuck,
}

impl<D: Disk> Log<D> {
    /// Copies the live records of one segment forward and removes it, if less than a
    /// tenth of it is live; where room is `scarce`, less than half. Takes the memory and
    /// the time of that part. Places stay good.
    ///
    /// # Errors
    /// The copy cannot be written; everything is as before.
    pub fn compact(&mut self, scarce: bool) -> Result<Compacted, AppendError> {
        let newest = self.newest.as_ref().map(|newest| newest.id.number);
        let part = if scarce { SCARCE_PART } else { LIVE_PART };
        let mut sealed = self
            .segments
            .values()
            .filter(|it| Some(it.id.number) != newest);
        let few = sealed.find(|segment| {
            !segment.stuck
                && segment.live_records() > 0
                && segment.live_bytes.saturating_mul(part) < segment.file_bytes
        });
        let Some(segment) = few else {
            return Ok(Compacted::Nothing);
        };
        let number = segment.id.number;
        let Some(records) = self.live_frames(segment) else {
            if let Some(segment) = self.segments.get_mut(&number) {
                segment.stuck = true;
            }
            return Ok(Compacted::Stuck);
        };
        let framed: Vec<Framed<'_>> = records
            .iter()
            .map(|(_, frame, payload)| Framed {
                frame: *frame,
                payload: std::slice::from_ref(payload),
            })
            .collect();
        let mut refused = None;
        for ((offset, ..), copied) in records.iter().zip(self.write(&framed)) {
            match copied {
                Ok(to) => self.move_record(number, *offset, to),
                Err(error) => refused = Some(error),
            }
        }
        self.drop_if_done(number);
        // What went on in part is told at once: its copies may be gone before this is.
        if let Some(segment) = self.segments.get_mut(&number) {
            let told = segment.acks.write(&self.disk, segment.id, true);
            let told = told.and_then(|()| self.disk.sync_dir());
            forgive(told, "a crash may bring copied records back");
        }
        refused.map_or(
            Ok(Compacted::Moved {
                records: records.len(),
            }),
            Err,
        )
    }

    /// What is live in a segment; `None` if any of it cannot be read as it was written.
    fn live_frames(&self, segment: &Segment) -> Option<Vec<(u32, Frame, Bytes)>> {
        let read = self.with_file(segment.id, |file| {
            segment
                .live()
                .map(|offset| {
                    let Some((_, entry)) = segment.find(offset) else {
                        return Ok(None);
                    };
                    let read = read_frame(&self.disk, file, segment.id, entry)?;
                    let whole = read
                        .filter(|(frame, payload)| crc32fast::hash(payload) == frame.payload_crc)
                        .map(|(frame, payload)| (offset, frame, payload));
                    // Kept for whoever looks into it, as if its owner had come upon it.
                    segment
                        .damaged
                        .set(segment.damaged.get() || whole.is_none());
                    Ok(whole)
                })
                .collect()
        });
        read.ok().flatten()
    }

    /// The record goes on at `to`: its old place is done with, its body is not.
    fn move_record(&mut self, number: u32, offset: u32, to: Place) {
        let from = Place {
            segment: number,
            offset,
        };
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.settle(offset, Ack::Elsewhere);
        }
        self.moved.note(from, to);
    }
}
