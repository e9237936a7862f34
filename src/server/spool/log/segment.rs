//! One file of records: its header, its footer, and what is remembered of it.
//! Owns both formats (in [the log's docs](super)); never decides when a segment
//! begins, is sealed or goes.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, IoSlice};

use bytes::{Buf as _, BufMut as _, Bytes};

use super::acks::{Ack, Acks};
use super::disk::{Disk, read_full, write_all};
use super::frame::{BodyRef, FIELDS_BYTES, FIELDS_LEN, Frame, HEAD_LEN, size};
use super::names::SegmentId;

/// Bytes before the first record.
pub(super) const HEADER_LEN: u32 = 32;
const HEADER_BYTES: usize = 32;

/// Bytes that end a sealed segment.
const TRAILER_LEN: u32 = 32;
const TRAILER_BYTES: usize = 32;

/// The version of all formats here. A reader of another one still reads the first
/// sixteen bytes and the last four of a header as they are.
pub(super) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"vidspool";
const TRAILER_MAGIC: [u8; 8] = *b"vidseal.";

/// What a segment says of itself and of the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The format of the rest.
    pub version: u32,
    /// The segment before this one; zero for none.
    pub previous: u32,
    /// Where that one's accepted records end: what it holds beyond was half
    /// written when it was given up.
    pub previous_end: u32,
}

impl Header {
    /// The header as it begins a file.
    pub(super) fn encode(&self, id: SegmentId) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        let mut out = header.as_mut_slice();
        out.put_slice(&MAGIC);
        out.put_u32_le(self.version);
        out.put_u32_le(id.number);
        out.put_u32_le(self.previous);
        out.put_u32_le(self.previous_end);
        out.put_u32_le(0);
        let (vouched, mut out) = header.split_at_mut(HEADER_BYTES - 4);
        out.put_u32_le(id.crc(vouched));
        header
    }

    /// Reads a header; `None` if it is damaged or another file's.
    pub(super) fn decode(header: &[u8], id: SegmentId) -> Option<Self> {
        let header = header.first_chunk::<HEADER_BYTES>()?;
        let (vouched, mut crc) = header.split_at(HEADER_BYTES - 4);
        let mut fields = vouched.strip_prefix(&MAGIC)?;
        let version = fields.get_u32_le();
        let number = fields.get_u32_le();
        (crc.get_u32_le() == id.crc(vouched) && number == id.number).then(|| Self {
            version,
            previous: fields.get_u32_le(),
            previous_end: fields.get_u32_le(),
        })
    }
}

/// What a file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Nothing was written there.
    Blank,
    /// A header.
    Header(Header),
    /// Anything else.
    Bad,
}

impl Beginning {
    /// Reads the beginning of a file.
    pub(super) fn read<D: Disk>(disk: &D, file: &D::File, id: SegmentId) -> io::Result<Self> {
        let mut header = [0; HEADER_BYTES];
        let read = read_full(disk, file, &mut header, 0)?;
        let header = header.get(..read).unwrap_or_default();
        Ok(match Header::decode(header, id) {
            Some(header) => Self::Header(header),
            None if header.iter().all(|byte| *byte == 0) => Self::Blank,
            None => Self::Bad,
        })
    }
}

/// The fields of each record so far: the footer, but for its end.
#[derive(Debug, Default)]
pub(super) struct Footer {
    fields: Vec<u8>,
    records: u32,
}

impl Footer {
    /// Adds the record that follows.
    pub(super) fn add(&mut self, frame: &Frame) {
        frame.put_fields(&mut self.fields);
        self.records += 1;
    }

    /// Bytes it will have with so many records more.
    pub(super) fn len_with(&self, more: u32) -> u64 {
        let records = u64::from(self.records) + u64::from(more);
        records * u64::from(FIELDS_LEN) + u64::from(TRAILER_LEN)
    }

    /// Writes it behind the last record, cuts the file behind it and syncs both; says
    /// how long the file is. A sync for each segment is cheap, and saves a restart
    /// from guessing where a torn footer begins.
    pub(super) fn write<D: Disk>(
        &self,
        disk: &D,
        file: &D::File,
        id: SegmentId,
        end: u32,
    ) -> io::Result<u64> {
        let mut trailer = Vec::with_capacity(TRAILER_BYTES);
        trailer.put_slice(&TRAILER_MAGIC);
        trailer.put_u32_le(self.records);
        trailer.put_u32_le(end);
        trailer.put_u32_le(id.crc(&self.fields));
        trailer.put_u64_le(0);
        trailer.put_u32_le(id.crc(&trailer));
        let mut slices = [IoSlice::new(&self.fields), IoSlice::new(&trailer)];
        write_all(disk, file, &mut slices, u64::from(end))?;
        let bytes = u64::from(end) + self.len_with(0);
        disk.set_len(file, bytes)?;
        disk.sync_data(file)?;
        Ok(bytes)
    }
}

/// What the end of a file says of it.
#[derive(Debug)]
pub(super) enum Sealed {
    /// All records with their offsets, and where they end.
    Records(Vec<(u32, Frame)>, u32),
    /// Only where they end: the list itself is damaged.
    End(u32),
    /// Nothing: it was never sealed, or its very end is damaged.
    No,
}

/// Reads a file's footer.
pub(super) fn read_footer<D: Disk>(
    disk: &D,
    file: &D::File,
    id: SegmentId,
    file_bytes: u64,
) -> io::Result<Sealed> {
    let Some(trailer_at) = file_bytes.checked_sub(u64::from(TRAILER_LEN)) else {
        return Ok(Sealed::No);
    };
    let mut trailer = [0; TRAILER_BYTES];
    if read_full(disk, file, &mut trailer, trailer_at)? < TRAILER_BYTES {
        return Ok(Sealed::No);
    }
    let (vouched, mut crc) = trailer.split_at(TRAILER_BYTES - 4);
    if crc.get_u32_le() != id.crc(vouched) {
        return Ok(Sealed::No);
    }
    let Some(mut rest) = vouched.strip_prefix(&TRAILER_MAGIC) else {
        return Ok(Sealed::No);
    };
    let (records, end, fields_crc) = (rest.get_u32_le(), rest.get_u32_le(), rest.get_u32_le());
    let fields_len = u64::from(records) * u64::from(FIELDS_LEN);
    // The file has these bytes, which bounds what is asked for.
    if u64::from(end) + fields_len != trailer_at {
        return Ok(Sealed::No);
    }
    let mut fields = vec![0; usize::try_from(fields_len).unwrap_or_default()];
    let read = read_full(disk, file, &mut fields, u64::from(end))?;
    if read < fields.len() || id.crc(&fields) != fields_crc {
        return Ok(Sealed::End(end));
    }
    Ok(frames(&fields, end).map_or(Sealed::End(end), |frames| Sealed::Records(frames, end)))
}

/// Records lie one behind the other from the header on; they must end at `end`.
fn frames(fields: &[u8], end: u32) -> Option<Vec<(u32, Frame)>> {
    let mut frames = Vec::with_capacity(fields.len() / FIELDS_BYTES);
    let mut fields = fields;
    let mut at = HEADER_LEN;
    while !fields.is_empty() {
        let frame = Frame::get_fields(&mut fields)?;
        frames.push((at, frame));
        at = at.checked_add(u32::try_from(frame.len()).ok()?)?;
    }
    (at == end).then_some(frames)
}

/// What is remembered of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub offset: u32,
    pub payload_bytes: u32,
    /// Zero for none: they share one account.
    pub project: u64,
}

impl Entry {
    /// Bytes of the record in its segment.
    pub(super) fn frame_bytes(self) -> u64 {
        u64::from(HEAD_LEN) + u64::from(self.payload_bytes)
    }
}

/// A segment in memory. Sixteen bytes and a bit for each of its records.
#[derive(Debug)]
pub(super) struct Segment {
    pub id: SegmentId,
    /// By offset.
    pub entries: Vec<Entry>,
    /// Large bodies of records not done with, by offset.
    pub bodies: HashMap<u32, BodyRef>,
    pub acks: Acks,
    /// Where the records end.
    pub end: u32,
    /// The file's length.
    pub file_bytes: u64,
    /// Bytes of records not done with, large bodies apart.
    pub live_bytes: u64,
    /// Whether records of it were lost: it is kept for whoever looks into that.
    pub damaged: Cell<bool>,
    /// Whether it could not be copied forward: nobody tries twice.
    pub stuck: bool,
}

impl Segment {
    /// One without records.
    pub(super) fn new(id: SegmentId, file_bytes: u64) -> Self {
        Self {
            id,
            entries: Vec::new(),
            bodies: HashMap::new(),
            acks: Acks::default(),
            end: HEADER_LEN,
            file_bytes,
            live_bytes: 0,
            damaged: Cell::new(false),
            stuck: false,
        }
    }

    /// Remembers a record, not done with.
    pub(super) fn push(&mut self, offset: u32, frame: &Frame) {
        self.entries.push(Entry {
            offset,
            payload_bytes: frame.payload_bytes,
            project: frame.head.project.unwrap_or_default(),
        });
        if let Some(body) = frame.body {
            self.bodies.insert(offset, body);
        }
        self.live_bytes += frame.len();
    }

    /// Is done with a record: yields it with its body, or `None` if it was before.
    pub(super) fn settle(&mut self, offset: u32, how: Ack) -> Option<(Entry, Option<BodyRef>)> {
        let (index, entry) = self.find(offset)?;
        if !self.acks.set(index, offset, how) {
            return None;
        }
        self.live_bytes = self.live_bytes.saturating_sub(entry.frame_bytes());
        Some((entry, self.bodies.remove(&offset)))
    }

    /// Is done with a record because the side file says so.
    pub(super) fn note_settled(&mut self, offset: u32) {
        let Some((index, entry)) = self.find(offset) else {
            return;
        };
        if self.acks.mark(index) {
            self.live_bytes = self.live_bytes.saturating_sub(entry.frame_bytes());
            self.bodies.remove(&offset);
        }
    }

    /// The record at an offset: which it is, if one begins there.
    pub(super) fn find(&self, offset: u32) -> Option<(usize, Entry)> {
        let index = self
            .entries
            .binary_search_by_key(&offset, |entry| entry.offset)
            .ok()?;
        Some((index, *self.entries.get(index)?))
    }

    /// Records not done with.
    pub(super) fn live_records(&self) -> usize {
        self.entries.len().saturating_sub(self.acks.count)
    }

    /// Offsets of the records not done with.
    pub(super) fn live(&self) -> impl Iterator<Item = u32> {
        let live = self.entries.iter().enumerate();
        live.filter(|(index, _)| !self.acks.has(*index))
            .map(|(_, entry)| entry.offset)
    }
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Newest<F> {
    pub id: SegmentId,
    pub file: F,
    pub footer: Footer,
}

/// A frame and its payload, to be written.
#[derive(Debug)]
pub(super) struct Framed<'a> {
    pub frame: Frame,
    pub payload: &'a [Bytes],
}

/// How many of these fit, with the footer that lists them, before `room` bytes.
pub(super) fn fitting(framed: &[Framed<'_>], end: u32, footer: &Footer, room: u64) -> usize {
    let mut at = u64::from(end);
    let mut count = 0_u32;
    let fits = |framed: &&Framed<'_>| {
        at += framed.frame.len();
        count += 1;
        at + footer.len_with(count) <= room
    };
    framed.iter().take_while(fits).count()
}

/// Writes the frames at `end`, in one vectored write, and syncs them. Yields their
/// offsets and the new end.
pub(super) fn write_frames<D: Disk>(
    disk: &D,
    newest: &Newest<D::File>,
    framed: &[Framed<'_>],
    end: u32,
) -> io::Result<(Vec<u32>, u32)> {
    let mut at = end;
    let mut offsets = Vec::with_capacity(framed.len());
    for one in framed {
        offsets.push(at);
        let next = u32::try_from(one.frame.len()).ok();
        let next = next.and_then(|bytes| at.checked_add(bytes));
        at = next.ok_or(io::ErrorKind::FileTooLarge)?;
    }
    let heads: Vec<_> = framed
        .iter()
        .map(|one| one.frame.encode(newest.id))
        .collect();
    let mut slices = Vec::with_capacity(framed.len() * 2);
    for (head, one) in heads.iter().zip(framed) {
        slices.push(IoSlice::new(head));
        slices.extend(one.payload.iter().map(|chunk| IoSlice::new(chunk)));
    }
    write_all(disk, &newest.file, &mut slices, u64::from(end))?;
    disk.sync_data(&newest.file)?;
    Ok((offsets, at))
}

/// The least room a segment must have for one record of so long a payload.
pub(super) fn room_for(payload_bytes: u32) -> u64 {
    let frame = u64::from(HEAD_LEN) + u64::from(payload_bytes);
    u64::from(HEADER_LEN) + frame + Footer::default().len_with(1)
}

/// What is read of a record: its frame and its payload's bytes.
pub(super) fn read_frame<D: Disk>(
    disk: &D,
    file: &D::File,
    id: SegmentId,
    entry: Entry,
) -> io::Result<Option<(Frame, Bytes)>> {
    let wanted = usize::try_from(entry.frame_bytes()).unwrap_or_default();
    let mut record = vec![0; wanted];
    if read_full(disk, file, &mut record, u64::from(entry.offset))? < wanted {
        return Ok(None);
    }
    let frame = Frame::decode(&record, id);
    let frame = frame.filter(|frame| size(wanted) == frame.len());
    let payload = Bytes::from(record).split_off(super::frame::HEAD_BYTES);
    Ok(frame.map(|frame| (frame, payload)))
}
