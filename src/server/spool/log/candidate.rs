//! One segment as a restart finds it: by its footer, or by a scan. Knows nothing of
//! the others but what the next one's header says; what counts is decided elsewhere.

use std::collections::HashSet;
use std::io;

use super::acks::{self, Ack};
use super::disk::Disk;
use super::frame::Frame;
use super::names::{Name, SegmentId};
use super::scan::{Payload, Scanned, Until, scan};
use super::segment::{Beginning, Footer, Header, Sealed, Segment, VERSION, read_footer};

/// A segment and its records, before it is known which of them count.
pub(super) struct Candidate {
    pub segment: Segment,
    pub records: Vec<(u32, Frame, Payload)>,
    /// Offsets of records that go on in another segment.
    pub elsewhere: HashSet<u32>,
    pub header: Option<Header>,
    /// Whether it begins with something else.
    has_odd_head: bool,
    /// Whether its footer told all of this.
    sealed: bool,
    /// Whether it is known where its records end.
    exact: bool,
    /// Whether nothing was begun after it, and a torn write may end it.
    pub newest: bool,
    /// Stretches that held records which are lost.
    pub gaps: u64,
    /// Bytes behind the last record that something was written to.
    pub cut_bytes: u64,
}

impl Candidate {
    /// Whether it is no more than a file that was made.
    pub(super) fn is_blank(&self) -> bool {
        self.records.is_empty() && self.gaps == 0 && (self.newest || self.cut_bytes == 0)
    }

    /// Whether it holds nothing that can be told, and yet something: it is no segment, or
    /// is none any more. A crash leaves zeros of one that was just made; were its first
    /// write torn so badly, this is a false alarm.
    pub(super) fn is_garbage(&self) -> bool {
        let holds_any = self.has_odd_head || self.cut_bytes > 0;
        self.header.is_none() && self.records.is_empty() && holds_any
    }

    /// Whether nothing is left to be done, or it is known where its records end.
    pub(super) fn may_end(&self) -> bool {
        let damaged = self.gaps > 0 || self.segment.damaged.get();
        self.is_over() || (!damaged && (self.newest || self.exact))
    }

    /// Whether it has its footer, or will be removed.
    fn is_over(&self) -> bool {
        self.sealed || self.segment.live_records() == 0
    }

    /// Has its records on disk: a process that was killed may have left some that were
    /// not synced. A footer stands for records that are.
    pub(super) fn sync<D: Disk>(&self, disk: &D) -> io::Result<()> {
        if self.is_over() {
            return Ok(());
        }
        disk.sync_data(&disk.open(&Name::Segment(self.segment.id).to_string())?)
    }

    /// Ends a segment that has no footer where its records end: nobody appends behind
    /// what a crash may have left there. What fails is done by scanning again.
    pub(super) fn write_footer<D: Disk>(&mut self, disk: &D) -> io::Result<()> {
        if self.is_over() {
            return Ok(());
        }
        let mut footer = Footer::default();
        for (_, frame, _) in &self.records {
            footer.add(frame);
        }
        let segment = &mut self.segment;
        let file = disk.open(&Name::Segment(segment.id).to_string())?;
        segment.file_bytes = footer.write(disk, &file, segment.id, segment.end)?;
        Ok(())
    }
}

/// What became of reading a file.
pub(super) enum Loaded {
    Candidate(Box<Candidate>),
    /// Of a version that this one does not know.
    Foreign,
}

/// Reads one segment; `after` is the header of the one begun after it.
pub(super) fn load<D: Disk>(
    disk: &D,
    id: SegmentId,
    newest: bool,
    after: Option<Header>,
) -> io::Result<Loaded> {
    let file = disk.open(&Name::Segment(id).to_string())?;
    let file_bytes = disk.len(&file)?;
    let beginning = Beginning::read(disk, &file, id)?;
    let header = match beginning {
        Beginning::Header(header) => Some(header),
        Beginning::Blank | Beginning::Bad => None,
    };
    if header.is_some_and(|header| header.version != VERSION) {
        return Ok(Loaded::Foreign);
    }
    // A footer that cannot be read is as good as none.
    let footer = read_footer(disk, &file, id, file_bytes).unwrap_or(Sealed::No);
    let told = after.filter(|after| after.previous == id.number);
    let until = match (&footer, told) {
        (Sealed::End(end), _) => Until::End(*end),
        (_, Some(after)) => Until::End(after.previous_end),
        (_, None) if newest => Until::Torn,
        (_, None) => Until::Last,
    };
    let (scanned, sealed) = match footer {
        Sealed::Records(frames, end) => {
            let whole = |(offset, frame)| (offset, frame, Payload::Whole);
            let scanned = Scanned {
                records: frames.into_iter().map(whole).collect(),
                gaps: 0,
                end,
                cut_bytes: 0,
            };
            (scanned, true)
        }
        Sealed::End(_) | Sealed::No => (scan(disk, &file, id, file_bytes, until), false),
    };
    let mut segment = Segment::new(id, file_bytes);
    segment.end = scanned.end;
    for (offset, frame, _) in &scanned.records {
        segment.push(*offset, frame);
    }
    let mut elsewhere = HashSet::new();
    let mut settled = Vec::new();
    let acks = acks::load(disk, id, segment.entries.len(), |offset, how| {
        settled.push(offset);
        if how == Ack::Elsewhere {
            elsewhere.insert(offset);
        }
    });
    segment.acks.file_bytes = acks.unwrap_or_else(|error| {
        tracing::warn!(%error, "spool: acks cannot be read: what they tell is done again");
        0
    });
    segment.acks.has_file = segment.acks.file_bytes > 0;
    for offset in settled {
        segment.note_settled(offset);
    }
    Ok(Loaded::Candidate(Box::new(Candidate {
        segment,
        records: scanned.records,
        elsewhere,
        header,
        has_odd_head: beginning == Beginning::Bad,
        sealed,
        exact: matches!(until, Until::End(_)),
        newest: newest && !matches!(until, Until::End(_)),
        gaps: scanned.gaps,
        cut_bytes: scanned.cut_bytes,
    })))
}
