//! The spool's log: records that survive kill -9 and a loss of power until they are
//! done with. Synchronous, owned by one thread; reads no clock, knows no queue, no
//! sender and no limit on the sum of what it holds: its owner asks [`Log::usage`].
//!
//! # Promises
//!
//! What [`Log::append`] called `Ok` is there after any restart, byte for byte, until
//! it is acked. An ack may be forgotten by a crash or a failing disk (a duplicate), by
//! nothing else. What was half written when a disk or the power failed may be found by
//! a restart although its append was refused (its sender was told no: a duplicate at
//! worst); what was never offered is never found. A start fails only over a directory that
//! cannot be listed.
//!
//! Damage costs the records that it hit. It is counted, and its file kept. Behind the last
//! whole record of the segment that was written to last nothing tells it from a torn write,
//! unless [`Log::close`] has ended that: there it is cut off with it. A torn write that left
//! a whole record behind a bad one counts as damage, too: a false alarm at worst.
//!
//! When [`Log::compact`] finds nothing to do, the directory holds at most ten times
//! the live bytes, one segment to append to, the damaged files that are kept, eight
//! bytes an ack, and segments that could not be copied for damage or a failing disk.
//!
//! # Files
//!
//! All numbers are little endian. `NNNNNNNN` is a segment's number and `S..` its
//! salt, in hexadecimal; a checksum is a crc32, "salted" if begun with the upper
//! half of the salt.
//!
//! ```text
//! NNNNNNNN-SSSSSSSSSSSSSSSS.log           a segment
//! NNNNNNNN-SSSSSSSSSSSSSSSS.acks          what of it is done with
//! NNNNNNNN-SSSSSSSSSSSSSSSS.log.damaged   one that lost records, the others done with,
//!                                         or that was none
//! BBBBBBBBBBBBBBBB.body                   a large body
//! BBBBBBBBBBBBBBBB.body.damaged           one that is not as it was written
//! lock                                    held by the process that has the log open
//! *.tmp                                   a body that never got its name
//!
//! segment     header, records, zeros; or, once sealed: header, records, footer
//!
//! header      0  8 "vidspool"             record    0  4 lower half of the salt, lowest bit 1
//!   (32)      8  4 version: 1               (64)    4  4 bytes of the payload
//!            12  4 number                           8  8 order
//!            16  4 previous segment        fields  16  8 at, ms since 1970
//!            20  4 where that one ends     4 to 60 24  8 project
//!            24  4 zero                            32  8 body: number
//!            28  4 salted, 0 to 28                 40  8 body: bytes
//!                                                  48  4 items
//! footer      the fields of each record,           52  1 lane
//!   (56 each) then                                 53  1 flags: 1 project, 2 body
//!             0  8 "vidseal."                      54  2 zero
//!             8  4 records                         56  4 checksum of the payload
//!            12  4 where records end               60  4 salted, 0 to 60
//!            16  4 salted, the fields              64    the payload
//!            20  8 zero
//!            28  4 salted, 0 to 28         ack      0  4 offset of the record
//!                                            (8)    4  4 salted, 0 to 4 and one byte
//! ```
//!
//! The byte that an ack's checksum adds is 0 for a record that is done with, 1 for one
//! that goes on in another segment.
//!
//! A footer is never needed, only quicker, and a side file of acks only saves
//! duplicates: it is synced before a body goes and before an erasure is reported, else
//! not. An erased record is one whose payload is zeros and whose checksum is not theirs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use bytes::Bytes;

pub use compact::Compacted;
pub use disk::{Disk, DiskError, RealDisk, RealFile};
pub use frame::Head;
pub use recovery::{Found, Lost, Recovered};

use body::Bodies;
use books::{Books, Moved};
use done::{DamagedFiles, Wiping};
use names::{Name, SegmentId};
use segment::{Newest, Segment, room_for};

mod acks;
mod append;
mod body;
mod books;
mod candidate;
mod compact;
mod disk;
mod done;
mod frame;
mod listing;
mod names;
mod recovery;
mod scan;
mod segment;

#[cfg(test)]
pub(super) mod tests;

/// The sizes of a log's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Of a segment, given to it at once. One record of the longest payload always fits.
    pub segment_bytes: u32,
    /// Of a payload in a segment: larger ones belong in a body's file.
    pub inline_bytes_max: u32,
    /// Of files kept because they, or records in them, are damaged; the oldest go first.
    pub damaged_bytes_max: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        // A segment is what is written in a second or two at the most and what a restart
        // scans; at a MiB, a file's own sync runs at the disk's speed.
        Self {
            segment_bytes: 64 * 1024 * 1024,
            inline_bytes_max: 1024 * 1024,
            damaged_bytes_max: 128 * 1024 * 1024,
        }
    }
}

impl LogLimits {
    /// These, with segments that have room for one record of the longest payload.
    fn with_room(self) -> Self {
        let room = u32::try_from(room_for(self.inline_bytes_max)).unwrap_or(u32::MAX);
        Self {
            segment_bytes: self.segment_bytes.max(room),
            ..self
        }
    }
}

/// A record to be kept.
#[derive(Debug)]
pub struct Draft<'a, F> {
    /// What is known of it.
    pub head: Head,
    /// Its bytes, in order.
    pub payload: &'a [Bytes],
    /// What is too large for the payload: a file of [`Log::unnamed`], filled. It is
    /// taken, whatever comes of the record.
    pub body: Option<F>,
}

/// Where a record is. Good until it is acked, or the log closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    segment: u32,
    offset: u32,
}

impl Place {
    /// Whether both are in one file, unless one of them was copied forward.
    #[must_use]
    pub fn is_beside(self, other: Self) -> bool {
        self.segment == other.segment
    }
}

/// A record that was read back.
#[derive(Debug)]
pub struct Record<F> {
    /// What is known of it.
    pub head: Head,
    /// Its bytes, in one piece.
    pub payload: Bytes,
    /// Its large body, with its length. It can be read to its end even if the record
    /// is acked meanwhile.
    pub body: Option<(F, u64)>,
}

/// Why a record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Its payload is over [`LogLimits::inline_bytes_max`].
    #[error("the record is too large for a segment")]
    TooLarge,
    /// The disk, or our share of it, is full. A later append may go well.
    #[error("no space is left on the disk")]
    NoSpace,
    /// The disk fails.
    #[error("the disk fails: {0}")]
    Io(io::ErrorKind),
}

impl From<io::ErrorKind> for AppendError {
    fn from(kind: io::ErrorKind) -> Self {
        match kind == io::ErrorKind::StorageFull || kind == io::ErrorKind::QuotaExceeded {
            true => Self::NoSpace,
            false => Self::Io(kind),
        }
    }
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        error.kind().into()
    }
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    /// Nothing is kept at this place: it was acked.
    #[error("no record is kept there")]
    Gone,
    /// Its bytes have changed.
    #[error("the record is damaged: its checksum does not match")]
    Checksum,
    /// Somebody began to erase it.
    #[error("the record was erased")]
    Erased,
    /// The file of its large body is gone, or of another length.
    #[error("the record's body is missing or damaged")]
    Body,
    /// The disk fails; a later try may go well.
    #[error("the disk fails: {0}")]
    Io(#[from] io::Error),
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its directory cannot be read.
    #[error("the spool's directory cannot be listed: {0}")]
    List(#[source] io::Error),
}

/// What a log takes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// All files: segments at their full length, side files, bodies, damaged files.
    pub bytes_on_disk: u64,
    /// Of records not done with, with their heads and bodies.
    pub live_bytes: u64,
    /// Records not done with.
    pub live_records: u64,
    /// Segments.
    pub segments: usize,
}

/// Records on a disk. On drop, acks that are pending are written; a crash forgets them.
#[derive(Debug)]
pub struct Log<D: Disk> {
    disk: D,
    limits: LogLimits,
    segments: BTreeMap<u32, Segment>,
    newest: Option<Newest<D::File>>,
    /// The number of the next segment; `None` when there are no more.
    next_number: Option<u32>,
    /// The last segment that is not written to any more, and where its records end.
    previous: (u32, u32),
    bodies: Bodies,
    books: Books,
    moved: Moved,
    damaged: DamagedFiles,
    /// Large bodies of what was erased: no more than an owner erases before it wipes.
    wiping: VecDeque<Wiping>,
    /// Segments with acks that their side file does not tell.
    unsaved: BTreeSet<u32>,
    /// How many acks that are.
    unsaved_acks: usize,
}

impl<D: Disk> Log<D> {
    /// Opens what the disk holds, in whatever state it was left.
    ///
    /// Reads footers and side files; scans segments that have no good footer, the one
    /// that was written to last above all. Damage is counted, never an error.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn open(disk: D, limits: LogLimits) -> Result<(Self, Recovered), OpenError> {
        recovery::open(disk, limits)
    }

    /// Reads a record back and checks it.
    ///
    /// # Errors
    /// Why it cannot be had. After all but [`Damaged::Io`] there is nothing to wait
    /// for: ack it.
    pub fn read(&self, place: Place) -> Result<Record<D::File>, Damaged> {
        let place = self.moved.now(place);
        let segment = self.segments.get(&place.segment).ok_or(Damaged::Gone)?;
        let (index, entry) = segment.find(place.offset).ok_or(Damaged::Gone)?;
        if segment.acks.has(index) {
            return Err(Damaged::Gone);
        }
        let read = self.with_file(segment.id, |file| {
            segment::read_frame(&self.disk, file, segment.id, entry)
        })?;
        let Some((frame, payload)) = read else {
            segment.damaged.set(true);
            return Err(Damaged::Checksum);
        };
        if crc32fast::hash(&payload) != frame.payload_crc {
            if payload.iter().all(|byte| *byte == 0) {
                return Err(Damaged::Erased);
            }
            segment.damaged.set(true);
            return Err(Damaged::Checksum);
        }
        let body = match frame.body {
            None => None,
            Some(body) => match body::open(&self.disk, body)? {
                Some(file) => Some((file, body.bytes)),
                None => return Err(Damaged::Body),
            },
        };
        Ok(Record {
            head: frame.head,
            payload,
            body,
        })
    }

    /// A file for a large body, to be filled while its sender sends. It has no name,
    /// so that a crash leaves nothing of it.
    ///
    /// # Errors
    /// What the system says.
    pub fn unnamed(&self) -> io::Result<D::File> {
        self.disk.unnamed()
    }

    /// The disk: others may make unnamed files on it, and ask what is free.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The sizes of its files.
    pub fn limits(&self) -> &LogLimits {
        &self.limits
    }

    /// What the log takes up. Walks over the segments.
    pub fn usage(&self) -> Usage {
        let files = self.segments.values();
        let files = files.map(|segment| segment.file_bytes + segment.acks.file_bytes);
        Usage {
            bytes_on_disk: files.sum::<u64>() + self.bodies.bytes + self.damaged.bytes(),
            live_bytes: self.books.live_bytes,
            live_records: self.books.live_records,
            segments: self.segments.len(),
        }
    }

    /// Live bytes of a project, with heads and bodies. None and project 0 share an account.
    pub fn project_bytes(&self, project: Option<u64>) -> u64 {
        self.books.project(project.unwrap_or_default())
    }

    /// Writes down what is done with, and what the newest segment holds: a start need not
    /// guess at either. Without it the log is as a killed process leaves it, but for acks.
    pub fn close(&mut self) {
        self.flush_acks();
        self.seal();
    }

    /// The projects with more live bytes than that, and theirs, in no order. Walks over all.
    pub fn projects_above(&self, bytes: u64) -> impl Iterator<Item = (u64, u64)> {
        self.books.above(bytes)
    }

    /// Does something with a segment's file.
    fn with_file<T>(
        &self,
        id: SegmentId,
        doing: impl FnOnce(&D::File) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.newest.as_ref().filter(|newest| newest.id == id) {
            Some(newest) => doing(&newest.file),
            None => doing(&self.disk.open(&Name::Segment(id).to_string())?),
        }
    }
}

impl<D: Disk> Drop for Log<D> {
    fn drop(&mut self) {
        self.flush_acks();
    }
}
