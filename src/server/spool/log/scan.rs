//! Finds the records of a segment that has no good footer. Reads a slice at a time
//! and never takes a byte for a record that its checksums do not vouch for.

use super::disk::{Disk, read_full};
use super::frame::{Frame, HEAD_BYTES, HEAD_LEN, size};
use super::names::SegmentId;
use super::segment::HEADER_LEN;

/// Bytes held at once.
const SLICE_BYTES: usize = 1024 * 1024;

/// What a disk that cannot read one place may still read apart.
const SECTOR_BYTES: usize = 4096;

/// Bytes of a payload that are looked at in one go.
const PIECE_BYTES: u64 = 64 * 1024;

/// What became of a record's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    /// It is what was written.
    Whole,
    /// Zeros: somebody erased it.
    Erased,
    /// Anything else.
    Bad,
}

/// What a scan found.
#[derive(Debug)]
pub(super) struct Scanned {
    /// Each record whose head is good.
    pub records: Vec<(u32, Frame, Payload)>,
    /// Stretches within the records, or at their known end, that held others.
    pub gaps: u64,
    /// Behind the last record.
    pub end: u32,
    /// Bytes behind the end that something was written to and nothing accepted in.
    pub cut_bytes: u64,
}

/// How far a segment's records can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// As far as there are records: nothing was begun after this segment. What is bad at
    /// its end a loss of power may have torn. What is bad before a whole record is taken for
    /// damage: of what was accepted nothing else is, and a write of several records that was
    /// torn so is told by nothing.
    Torn,
    /// Exactly here, says the next segment or the end of this one.
    End(u32),
    /// Nobody knows: as far as there are records.
    Last,
}

/// A file read through one slice of it.
struct Reader<'d, D: Disk> {
    disk: &'d D,
    file: &'d D::File,
    slice: Vec<u8>,
    from: u64,
    /// Whether any of it could not be read.
    unread: bool,
}

impl<D: Disk> Reader<'_, D> {
    /// `bytes` bytes at a place, at most a slice; fewer at the file's end. What
    /// cannot be read is zeros, as on a disk that gave the sector up.
    fn at(&mut self, at: u64, bytes: usize) -> &[u8] {
        let held = |from: u64, slice: &[u8]| {
            let skip = usize::try_from(at.checked_sub(from)?).ok()?;
            (skip.checked_add(bytes)? <= slice.len()).then_some(skip)
        };
        if held(self.from, &self.slice).is_none() {
            self.fill(at);
        }
        let skip = usize::try_from(at.saturating_sub(self.from)).unwrap_or(usize::MAX);
        let rest = self.slice.get(skip..).unwrap_or_default();
        rest.get(..bytes).unwrap_or(rest)
    }

    fn fill(&mut self, at: u64) {
        self.from = at;
        self.slice.resize(SLICE_BYTES, 0);
        if let Ok(read) = read_full(self.disk, self.file, &mut self.slice, at) {
            self.slice.truncate(read);
            return;
        }
        let mut at = at;
        for sector in self.slice.chunks_mut(SECTOR_BYTES) {
            sector.fill(0);
            if read_full(self.disk, self.file, sector, at).is_err() {
                sector.fill(0);
                self.unread = true;
            }
            at += size(sector.len());
        }
    }
}

/// Finds the records of a file of `file_bytes` bytes.
pub(super) fn scan<D: Disk>(
    disk: &D,
    file: &D::File,
    id: SegmentId,
    file_bytes: u64,
    until: Until,
) -> Scanned {
    // A head that promises more than there is, is no head.
    let there = u32::try_from(file_bytes).unwrap_or(u32::MAX);
    let limit = match until {
        Until::End(end) => end.min(there),
        Until::Torn | Until::Last => there,
    };
    let mut reader = Reader {
        disk,
        file,
        slice: Vec::new(),
        from: 0,
        unread: false,
    };
    let mut records = Vec::new();
    let mut gaps = Vec::new();
    let mut at = HEADER_LEN;
    let mut blank_behind = false;
    while at < limit {
        if let Some((frame, next)) = frame_at(&mut reader, id, at, limit) {
            records.push((at, frame, payload_at(&mut reader, at, &frame)));
            at = next;
        } else if until == Until::Torn && written_behind(&mut reader, at, there) == 0 {
            blank_behind = true;
            break;
        } else if let Some(next) = next_frame(&mut reader, id, at, limit) {
            gaps.push(at);
            at = next;
        } else {
            break;
        }
    }
    let read_to = at;
    if until == Until::Torn {
        // Heads of a torn write whose payloads never came, and what is bad before them.
        while records
            .pop_if(|(.., payload)| *payload == Payload::Bad)
            .is_some()
        {}
        at = records.last().map_or(HEADER_LEN, |(offset, frame, _)| {
            let bytes = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            offset.saturating_add(bytes)
        });
        gaps.retain(|gap| *gap < at);
    }
    let mut gaps = size(gaps.len());
    let mut cut_bytes = 0;
    match until {
        Until::End(end) => gaps += u64::from(at < end),
        Until::Torn if blank_behind => cut_bytes = u64::from(read_to.saturating_sub(at)),
        Until::Torn | Until::Last => cut_bytes = written_behind(&mut reader, at, there),
    }
    // What could not be read is not to be taken for an end that nobody wrote behind.
    gaps += u64::from(reader.unread && gaps == 0);
    Scanned {
        records,
        gaps,
        end: at,
        cut_bytes,
    }
}

/// The record at a place, and where it ends.
fn frame_at<D: Disk>(
    reader: &mut Reader<'_, D>,
    id: SegmentId,
    at: u32,
    limit: u32,
) -> Option<(Frame, u32)> {
    let frame = Frame::decode(reader.at(u64::from(at), HEAD_BYTES), id)?;
    let next = at.checked_add(u32::try_from(frame.len()).ok()?)?;
    (next <= limit).then_some((frame, next))
}

/// What is behind a good head.
fn payload_at<D: Disk>(reader: &mut Reader<'_, D>, at: u32, frame: &Frame) -> Payload {
    let mut hasher = crc32fast::Hasher::new();
    let mut zeros = true;
    let mut at = u64::from(at) + u64::from(HEAD_LEN);
    let mut left = u64::from(frame.payload_bytes);
    while left > 0 {
        let wanted = usize::try_from(left.min(PIECE_BYTES)).unwrap_or_default();
        let piece = reader.at(at, wanted);
        if piece.is_empty() {
            return Payload::Bad;
        }
        hasher.update(piece);
        zeros = zeros && piece.iter().all(|byte| *byte == 0);
        at += size(piece.len());
        left -= size(piece.len());
    }
    match hasher.finalize() == frame.payload_crc {
        true => Payload::Whole,
        false if zeros => Payload::Erased,
        false => Payload::Bad,
    }
}

/// The next place behind `after` where a record begins.
fn next_frame<D: Disk>(
    reader: &mut Reader<'_, D>,
    id: SegmentId,
    after: u32,
    limit: u32,
) -> Option<u32> {
    let mark = id.mark();
    let mut at = after.checked_add(1)?;
    while at < limit {
        let piece = reader.at(u64::from(at), SLICE_BYTES);
        match memchr::memmem::find(piece, &mark) {
            Some(skip) => {
                at = at.checked_add(u32::try_from(skip).ok()?)?;
                if frame_at(reader, id, at, limit).is_some() {
                    return Some(at);
                }
                at = at.checked_add(1)?;
            }
            // The piece may end within a mark.
            None => {
                let skip = piece.len().saturating_sub(mark.len() - 1).max(1);
                at = at.checked_add(u32::try_from(skip).ok()?)?;
            }
        }
    }
    None
}

/// Bytes from `at` to the last that is not zero.
fn written_behind<D: Disk>(reader: &mut Reader<'_, D>, at: u32, there: u32) -> u64 {
    let mut written = 0;
    let mut behind = u64::from(at);
    while behind < u64::from(there) {
        let piece = reader.at(behind, SLICE_BYTES);
        if piece.is_empty() {
            break;
        }
        if let Some(last) = piece.iter().rposition(|byte| *byte != 0) {
            written = behind + size(last) + 1 - u64::from(at);
        }
        behind += size(piece.len());
    }
    written
}
