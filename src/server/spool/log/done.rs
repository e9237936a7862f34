//! Being done with records: acks, erasure, and what becomes of a file once nothing
//! in it is live. Nothing goes here that a record not done with needs.

use std::collections::BTreeMap;
use std::io;

use super::acks::Ack;
use super::body::wipe;
use super::disk::{Disk, forgive, write_zeros};
use super::frame::{BodyRef, HEAD_LEN};
use super::names::Name;
use super::segment::HEADER_LEN;
use super::{Log, Place};

/// Acks in memory before they are written: what a crash may forget of an idle log.
const UNSAVED_ACKS_MAX: usize = 256;

/// The newest segment, with nothing live in it, is given up for a new one when so
/// much of it is used: one part in this many. Sooner, a trickle of records that are
/// delivered at once would pay for a file each.
const USED_PART: u32 = 16;

/// Files that are kept because they, or records in them, are damaged: their names and
/// lengths, the oldest first.
#[derive(Debug, Default)]
pub(super) struct DamagedFiles(Vec<(Name, u64)>);

impl DamagedFiles {
    /// Those that are there.
    pub(super) fn new(mut files: Vec<(Name, u64)>) -> Self {
        files.sort_by_key(|(name, _)| name.since());
        Self(files)
    }

    /// One more, unless that is too much.
    fn add<D: Disk>(&mut self, disk: &D, file: (Name, u64), bytes_max: u64) {
        self.0.push(file);
        self.0.sort_by_key(|(name, _)| name.since());
        self.trim(disk, bytes_max);
    }

    /// Bytes of all.
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Removes the oldest until `bytes_max` holds.
    pub(super) fn trim<D: Disk>(&mut self, disk: &D, bytes_max: u64) {
        while self.bytes() > bytes_max && !self.0.is_empty() {
            let (name, _) = self.0.remove(0);
            let unlinked = disk.unlink(&name.to_string());
            forgive(unlinked, "a damaged file stays over its limit");
        }
    }
}

/// The body of a record that was erased, and how much of it is overwritten.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wiping {
    /// The segment that held the record.
    number: u32,
    body: BodyRef,
    at: u64,
}

impl<D: Disk> Log<D> {
    /// Is done with a record. A segment goes with its last one; a large body goes
    /// once the ack is on disk. Acking twice, or what is gone, does nothing.
    pub fn ack(&mut self, place: Place) {
        let place = self.moved.forget(place);
        if let Some(body) = self.settle(place)
            && let Some(segment) = self.segments.get_mut(&place.segment)
        {
            segment.acks.doom(body);
        }
        if self.unsaved_acks >= UNSAVED_ACKS_MAX {
            self.flush_acks();
        }
        self.drop_if_done(place.segment);
    }

    /// Is done with a record whose large body is not as it was written: the body's file is
    /// kept for whoever looks into that, as damaged segments are, unless it is larger than
    /// all of those may be together.
    pub fn put_aside(&mut self, place: Place) {
        let now = self.moved.now(place);
        let segment = self.segments.get(&now.segment);
        let body = segment.and_then(|segment| segment.bodies.get(&now.offset).copied());
        let bytes_max = self.limits.damaged_bytes_max;
        let Some(body) = body.filter(|body| body.bytes <= bytes_max) else {
            return self.ack(place);
        };
        self.moved.forget(place);
        self.settle(now);
        let aside = Name::DamagedBody(body.number);
        if self.bodies.put_aside(&self.disk, body, aside) {
            self.damaged.add(&self.disk, (aside, body.bytes), bytes_max);
        }
        self.drop_if_done(now.segment);
    }

    /// Is done with records, and overwrites their bytes with zeros, on disk, first: with one
    /// sync of each segment's file, one of its acks and one of the directory, however many
    /// records. Large bodies are left to [`Log::wipe`].
    ///
    /// For privacy: a plain ack leaves the bytes until their segment goes. Copies
    /// that [`Log::compact`] left in a removed file are beyond reach.
    ///
    /// # Errors
    /// What the system says, of the first that failed. Some are then as they were, or their
    /// acks are not known to be on disk; try again, or ack them: what went well bears that.
    pub fn erase(&mut self, places: &[Place]) -> io::Result<()> {
        let mut all = BTreeMap::<u32, Vec<Place>>::new();
        for place in places {
            let now = self.moved.now(*place).segment;
            all.entry(now).or_default().push(*place);
        }
        let mut failed = None;
        all.retain(|number, places| {
            let erased = self.erase_in(*number, places);
            erased
                .map_err(|error| _ = failed.get_or_insert(error))
                .is_ok()
        });
        // The side files' names as well, or a restart would take the zeros for a loss.
        if !all.is_empty() {
            self.disk.sync_dir()?;
        }
        for (number, places) in all {
            for place in places {
                self.moved.forget(place);
            }
            self.drop_if_done(number);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Overwrites records of one segment, and has it on disk that they are done with.
    fn erase_in(&mut self, number: u32, places: &[Place]) -> io::Result<()> {
        let Some(segment) = self.segments.get(&number) else {
            return Ok(());
        };
        let id = segment.id;
        let mut live = Vec::with_capacity(places.len());
        for place in places {
            let now = self.moved.now(*place);
            let found = segment.find(now.offset);
            live.extend(found.filter(|(index, _)| !segment.acks.has(*index)));
        }
        if !live.is_empty() {
            // The heads stay, so that the records behind them are found.
            let erased = self.with_file(id, |file| {
                for (_, entry) in &live {
                    let at = u64::from(entry.offset) + u64::from(HEAD_LEN);
                    write_zeros(&self.disk, file, at, u64::from(entry.payload_bytes))?;
                }
                self.disk.sync_data(file)
            });
            if erased.is_err() && self.newest.as_ref().is_some_and(|newest| newest.id == id) {
                self.retire();
            }
            erased?;
        }
        for (_, entry) in live {
            let place = Place {
                segment: number,
                offset: entry.offset,
            };
            if let Some(body) = self.settle(place) {
                self.wiping.push_back(Wiping {
                    number,
                    body,
                    at: 0,
                });
            }
        }
        // On disk, or a restart would take the zeros for a loss.
        match self.segments.get_mut(&number) {
            Some(segment) => segment.acks.write(&self.disk, id, true),
            None => Ok(()),
        }
    }

    /// Overwrites large bodies of what was [erased](Log::erase) with zeros, on disk: at most
    /// so many bytes, and of one body, a call. Yields whether any are left. Until then they
    /// are there, though no record refers to them; a crash removes them as they are.
    ///
    /// # Errors
    /// What the system says: that body goes without.
    pub fn wipe(&mut self, bytes_max: u64) -> io::Result<bool> {
        let Some(mut wiping) = self.wiping.pop_front() else {
            return Ok(false);
        };
        let wiped = wipe(&self.disk, wiping.body, wiping.at, bytes_max);
        match wiped {
            Ok(at) if at < wiping.body.bytes => {
                wiping.at = at;
                self.wiping.push_front(wiping);
            }
            Ok(_) | Err(_) => self.let_go(wiping),
        }
        wiped.map(|_| !self.wiping.is_empty())
    }

    /// Takes the name of a body away whose record is done with, once that is on disk.
    fn let_go(&mut self, Wiping { number, body, .. }: Wiping) {
        match self.segments.get_mut(&number) {
            Some(segment) => {
                segment.acks.doom(body);
                self.unsaved.insert(number);
            }
            None => self.bodies.remove(&self.disk, body),
        }
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

    /// Notes that a record is done with. Yields its body: it may go once that is on disk.
    fn settle(&mut self, place: Place) -> Option<BodyRef> {
        let segment = self.segments.get_mut(&place.segment)?;
        let (entry, body) = segment.settle(place.offset, Ack::Done)?;
        let bytes = entry.frame_bytes() + body.map_or(0, |body| body.bytes);
        self.books.remove(entry.project, bytes);
        self.unsaved.insert(place.segment);
        self.unsaved_acks += 1;
        body
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
            let aside = Name::Damaged(id);
            let renamed = forgive(
                self.disk.rename(&name, &aside.to_string()),
                "a damaged segment keeps its name",
            );
            if renamed {
                let file = (aside, segment.file_bytes);
                let bytes_max = self.limits.damaged_bytes_max;
                self.damaged.add(&self.disk, file, bytes_max);
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
