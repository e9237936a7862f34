//! Being done with records: acks, erasure, and what becomes of a file once nothing
//! in it is live. Nothing goes here that a record not done with needs.

use std::io;

use super::acks::Ack;
use super::body::erase;
use super::disk::{Disk, forgive, write_zeros};
use super::frame::HEAD_LEN;
use super::names::{Name, SegmentId};
use super::segment::HEADER_LEN;
use super::{Log, Place};

/// Acks in memory before they are written: what a crash may forget of an idle log.
const UNSAVED_ACKS_MAX: usize = 256;

/// The newest segment, with nothing live in it, is given up for a new one when so
/// much of it is used: one part in this many. Sooner, a trickle of records that are
/// delivered at once would pay for a file each.
const USED_PART: u32 = 16;

/// Files that are kept because they lost records, by number.
#[derive(Debug, Default)]
pub(super) struct DamagedFiles(Vec<(SegmentId, u64)>);

impl DamagedFiles {
    /// Those that are there.
    pub(super) fn new(mut files: Vec<(SegmentId, u64)>) -> Self {
        files.sort_unstable();
        Self(files)
    }

    /// Bytes of all.
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Removes the oldest until `bytes_max` holds.
    pub(super) fn trim<D: Disk>(&mut self, disk: &D, bytes_max: u64) {
        while self.bytes() > bytes_max && !self.0.is_empty() {
            let (id, _) = self.0.remove(0);
            let unlinked = disk.unlink(&Name::Damaged(id).to_string());
            forgive(unlinked, "a damaged file stays over its limit");
        }
    }
}

impl<D: Disk> Log<D> {
    /// Is done with a record. A segment goes with its last one; a large body goes
    /// once the ack is on disk. Acking twice, or what is gone, does nothing.
    pub fn ack(&mut self, place: Place) {
        let place = self.moved.forget(place);
        self.settle(place);
        if self.unsaved_acks >= UNSAVED_ACKS_MAX {
            self.flush_acks();
        }
        self.drop_if_done(place.segment);
    }

    /// Is done with a record, and overwrites its bytes with zeros, on disk, first.
    ///
    /// For privacy: a plain ack leaves the bytes until their segment goes. Copies
    /// that [`Log::compact`] left in a removed file are beyond reach.
    ///
    /// # Errors
    /// What the system says. The record is then as it was, or its ack is not known
    /// to be on disk; try again.
    pub fn erase(&mut self, place: Place) -> io::Result<()> {
        let now = self.moved.now(place);
        let Some(segment) = self.segments.get(&now.segment) else {
            return Ok(());
        };
        let id = segment.id;
        let live = segment.find(now.offset);
        let live = live.filter(|(index, _)| !segment.acks.has(*index));
        if let Some((_, entry)) = live {
            let at = u64::from(now.offset) + u64::from(HEAD_LEN);
            // The head stays, so that the records behind it are found.
            let erased = self.with_file(id, |file| {
                write_zeros(&self.disk, file, at, u64::from(entry.payload_bytes))?;
                self.disk.sync_data(file)
            });
            let body = segment.bodies.get(&now.offset).copied();
            if erased.is_err() && self.newest.as_ref().is_some_and(|newest| newest.id == id) {
                self.retire();
            }
            erased?;
            body.map_or(Ok(()), |body| erase(&self.disk, body))?;
        }
        self.settle(now);
        // On disk, or a restart would take the zeros for a loss.
        if let Some(segment) = self.segments.get_mut(&now.segment) {
            segment.acks.write(&self.disk, id, true)?;
            self.disk.sync_dir()?;
        }
        self.moved.forget(place);
        self.drop_if_done(now.segment);
        Ok(())
    }

    /// Writes the acks that are pending: an owner with nothing else to do calls this,
    /// since a crash forgets them. Appending does it by itself.
    pub fn flush_acks(&mut self) {
        let mut left = std::collections::BTreeSet::new();
        let mut gone = Vec::new();
        for number in std::mem::take(&mut self.unsaved) {
            let Some(segment) = self.segments.get_mut(&number) else {
                continue;
            };
            let durable = segment.acks.has_doomed();
            let written = segment.acks.write(&self.disk, segment.id, durable);
            if !forgive(written, "acks are not written yet") {
                left.insert(number);
            } else if durable {
                gone.push(number);
            }
        }
        // The side file's name must last as well before a body goes.
        let lasting =
            gone.is_empty() || forgive(self.disk.sync_dir(), "large bodies done with stay for now");
        for number in gone {
            match self.segments.get_mut(&number) {
                Some(segment) if lasting => {
                    for body in segment.acks.take_doomed() {
                        self.bodies.remove(&self.disk, body);
                    }
                }
                _ => {
                    left.insert(number);
                }
            }
        }
        self.unsaved = left;
        self.unsaved_acks = 0;
    }

    /// Notes that a record is done with; its body is let go with the next flush.
    fn settle(&mut self, place: Place) {
        let Some(segment) = self.segments.get_mut(&place.segment) else {
            return;
        };
        let Some((entry, body)) = segment.settle(place.offset, Ack::Done) else {
            return;
        };
        let bytes = entry.frame_bytes() + body.map_or(0, |body| body.bytes);
        self.books.remove(entry.project, bytes);
        if let Some(body) = body {
            segment.acks.doom(body);
        }
        self.unsaved.insert(place.segment);
        self.unsaved_acks += 1;
    }

    /// Removes a segment in which nothing is live. The newest stays while little of it
    /// is used.
    pub(super) fn drop_if_done(&mut self, number: u32) {
        let Some(segment) = self.segments.get(&number) else {
            return;
        };
        if segment.live_records() > 0 {
            return;
        }
        if self
            .newest
            .as_ref()
            .is_some_and(|it| it.id.number == number)
        {
            let used = segment.end.saturating_sub(HEADER_LEN);
            if used < self.limits.segment_bytes / USED_PART {
                return;
            }
            self.previous = (number, segment.end);
            self.newest = None;
        }
        self.drop_segment(number);
    }

    /// Removes a segment, or puts it aside if it lost records, with all that it owns.
    fn drop_segment(&mut self, number: u32) {
        let Some(mut segment) = self.segments.remove(&number) else {
            return;
        };
        let id = segment.id;
        let name = Name::Segment(id).to_string();
        let gone = if segment.damaged.get() {
            let aside = Name::Damaged(id).to_string();
            let renamed = forgive(
                self.disk.rename(&name, &aside),
                "a damaged segment keeps its name",
            );
            if renamed {
                self.damaged.0.push((id, segment.file_bytes));
                self.damaged.0.sort_unstable();
                self.damaged.trim(&self.disk, self.limits.damaged_bytes_max);
            }
            renamed
        } else {
            forgive(self.disk.unlink(&name), "a segment that is done with stays")
        };
        if !gone {
            return;
        }
        // Its acks and bodies go only once the segment cannot come back: with a body
        // less it would look damaged, without its acks an erased record would be back.
        if !forgive(self.disk.sync_dir(), "acks and bodies stay until a restart") {
            return;
        }
        for body in segment.acks.take_doomed() {
            self.bodies.remove(&self.disk, body);
        }
        if segment.acks.has_file {
            let unlinked = self.disk.unlink(&Name::Acks(id).to_string());
            forgive(unlinked, "a side file of acks stays");
        }
    }
}
