//! What a directory holds, after whatever happened to it. Decides which records are
//! good, which of two copies counts, and what is left over; a file that it does not
//! understand, or cannot read, it leaves as it is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::io;

use super::acks::Ack;
use super::body::{self, Bodies};
use super::books::{Books, Moved};
use super::candidate::{Candidate, Loaded, load};
use super::disk::{Disk, forgive};
use super::done::DamagedFiles;
use super::frame::{BodyRef, Head};
use super::listing::Listing;
use super::names::Name;
use super::scan::Payload;
use super::segment::Segment;
use super::{Log, LogLimits, OpenError, Place};

/// A record that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub place: Place,
    /// What is known of it.
    pub head: Head,
    /// What it takes up, with its head and its body.
    pub bytes: u64,
}

/// A record that was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// What is known of it.
    pub head: Head,
    /// What it took up, with its head and its body.
    pub bytes: u64,
}

/// What a start found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The records not done with, by their order.
    pub records: Vec<Found>,
    /// Records that were lost, as far as can be known: a damaged stretch that held
    /// several counts once, and so does a file that is no segment.
    pub damaged: u64,
    /// Those of them of which at least the head is good.
    pub lost: Vec<Lost>,
    /// Bytes behind the accepted records of a segment: what was half written when
    /// the power went, mostly.
    pub cut_bytes: u64,
    /// Files that were left as they are: of another version, or not to be read.
    pub quarantined: Vec<String>,
}

/// Reads all segments, the newest first: each tells where the one before it ends.
/// What is blank is removed, what is no segment put aside; what cannot be read or
/// understood is left.
fn load_all<D: Disk>(disk: &D, listing: &mut Listing, recovered: &mut Recovered) -> Vec<Candidate> {
    let mut candidates = Vec::<Candidate>::new();
    for id in listing.segments.iter().rev() {
        let name = Name::Segment(*id).to_string();
        let after = candidates.last();
        // Numbers are not given twice: a file that takes another's is not ours.
        let twice = after.is_some_and(|after| after.segment.id.number == id.number);
        match load(disk, *id, after.is_none(), after.and_then(|it| it.header)) {
            Ok(Loaded::Candidate(candidate)) if !twice => {
                if candidate.is_garbage() {
                    recovered.damaged += candidate.gaps.max(1);
                    tracing::error!(file = %name, "spool: a file has no header and no record that can be read: it is put aside");
                    let aside = Name::Damaged(*id);
                    if forgive(disk.rename(&name, &aside.to_string()), "it keeps its name") {
                        listing.damaged.push(aside);
                    }
                    continue;
                }
                recovered.cut_bytes += candidate.cut_bytes;
                // With a header it still tells where the one before it ends.
                if candidate.is_blank() && candidate.header.is_none() {
                    forgive(disk.unlink(&name), "an empty segment stays");
                } else {
                    candidates.push(*candidate);
                }
            }
            Ok(loaded) => {
                let why = match loaded {
                    Loaded::Candidate(_) => "another file has its number",
                    Loaded::Foreign => "it is of another version",
                };
                tracing::error!(file = %name, why, "spool: a file is not read, and is left as it is");
                recovered.quarantined.push(name);
            }
            Err(error) => {
                tracing::error!(file = %name, %error, "spool: a file cannot be read, and is left as it is");
                recovered.quarantined.push(name);
            }
        }
    }
    candidates
}

/// One record among all: its order, its segment (a later one first), and where it is
/// in the candidates.
type Copy = (u64, Reverse<u32>, usize, usize);

/// Which of the copies of a record counts, if any, and whether it was lost.
fn choose(candidates: &[Candidate], copies: &[Copy]) -> (Option<(usize, usize)>, bool) {
    let (mut kept, mut done, mut erased, mut bad) = (None, false, false, false);
    for &(.., at, index) in copies {
        let Some(candidate) = candidates.get(at) else {
            continue;
        };
        let Some((offset, _, payload)) = candidate.records.get(index) else {
            continue;
        };
        if candidate.segment.acks.has(index) {
            done |= !candidate.elsewhere.contains(offset);
            continue;
        }
        match payload {
            // No more than begun, or it were acked: no word on another copy. Of one that
            // was copied forward the power may have left so much.
            Payload::Erased => erased = true,
            Payload::Whole => kept = kept.or(Some((at, index))),
            Payload::Bad => bad = true,
        }
    }
    match done {
        true => (None, false),
        false => (kept, bad && kept.is_none() && !erased),
    }
}

/// Enters the records that count: one of each order, none that is done with, none
/// without its body. Settles all others.
fn enter<D: Disk>(
    disk: &D,
    candidates: &mut [Candidate],
    bodies: &mut Bodies,
    listing: &mut Listing,
    recovered: &mut Recovered,
) -> Books {
    let mut books = Books::default();
    let mut all: Vec<Copy> = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let number = Reverse(candidate.segment.id.number);
        let records = candidate.records.iter().enumerate();
        all.extend(records.map(|(index, (_, frame, _))| (frame.head.order, number, at, index)));
    }
    all.sort_unstable();
    for copies in all.chunk_by(|a, b| a.0 == b.0) {
        let (kept, mut lost) = choose(candidates, copies);
        let mut known = None;
        for &(.., at, index) in copies {
            let Some(candidate) = candidates.get_mut(at) else {
                continue;
            };
            let Some(&(offset, frame, _)) = candidate.records.get(index) else {
                continue;
            };
            let segment = &mut candidate.segment;
            known = known.or(Some(frame));
            if kept != Some((at, index)) {
                segment.damaged.set(segment.damaged.get() || lost);
                segment.settle(
                    offset,
                    if kept.is_some() {
                        Ack::Elsewhere
                    } else {
                        Ack::Done
                    },
                );
            } else if frame
                .body
                .is_some_and(|body| is_missing(disk, body, &listing.bodies))
            {
                lost = true;
                segment.damaged.set(true);
                segment.settle(offset, Ack::Done);
                if let Some(body) = frame.body {
                    listing.put_aside(disk, body.number);
                }
            } else {
                if let Some(body) = frame.body {
                    listing.bodies.remove(&body.number);
                    bodies.bytes = bodies.bytes.saturating_add(body.bytes);
                }
                books.add(frame.head.project.unwrap_or_default(), frame.bytes());
                recovered.records.push(Found {
                    place: Place {
                        segment: segment.id.number,
                        offset,
                    },
                    head: frame.head,
                    bytes: frame.bytes(),
                });
            }
        }
        recovered.damaged += u64::from(lost);
        recovered
            .lost
            .extend(known.filter(|_| lost).map(|frame| Lost {
                head: frame.head,
                bytes: frame.bytes(),
            }));
    }
    books
}

/// Whether a record's body is not there. One that cannot be opened now may be later.
fn is_missing<D: Disk>(disk: &D, body: BodyRef, files: &HashSet<u64>) -> bool {
    !files.contains(&body.number) || matches!(body::open(disk, body), Ok(None))
}

/// Opens a log: reads, decides, clears away, and ends what was written to last.
pub(super) fn open<D: Disk>(disk: D, limits: LogLimits) -> Result<(Log<D>, Recovered), OpenError> {
    let mut recovered = Recovered::default();
    let mut listing = Listing::of(&disk).map_err(OpenError::List)?;
    let mut candidates = load_all(&disk, &mut listing, &mut recovered);
    for candidate in &candidates {
        recovered.damaged += candidate.gaps;
        // Bytes behind the last record of a segment whose end nobody knows: kept, too.
        let odd = candidate.gaps > 0 || (candidate.cut_bytes > 0 && !candidate.newest);
        candidate.segment.damaged.set(odd);
    }
    let next_number = listing.number_max.checked_add(1);
    let named_max = listing
        .bodies
        .iter()
        .max()
        .map_or(0, |max| max.saturating_add(1));
    let mut bodies = Bodies {
        next: named_max.max(u64::from(next_number.unwrap_or(u32::MAX)) << 32),
        bytes: 0,
    };
    let books = enter(
        &disk,
        &mut candidates,
        &mut bodies,
        &mut listing,
        &mut recovered,
    );
    tell_damage(&candidates);
    let last = candidates.iter().find(|it| !it.records.is_empty());
    let previous = last.map_or((0, 0), |it| (it.segment.id.number, it.segment.end));
    settle_on_disk(&disk, &mut candidates, &listing, &recovered);
    let damaged = listing.damaged.iter().map(|name| {
        let file = disk.open(&name.to_string());
        let bytes = file.and_then(|file| disk.len(&file));
        (*name, bytes.unwrap_or_default())
    });
    let mut damaged = DamagedFiles::new(damaged.collect());
    damaged.trim(&disk, limits.damaged_bytes_max);
    let segments: BTreeMap<u32, Segment> = candidates
        .into_iter()
        .map(|candidate| (candidate.segment.id.number, candidate.segment))
        .collect();
    let numbers: BTreeSet<u32> = segments.keys().copied().collect();
    let mut log = Log {
        disk,
        limits: limits.with_room(),
        segments,
        newest: None,
        next_number,
        previous,
        bodies,
        books,
        moved: Moved::default(),
        damaged,
        wiping: VecDeque::new(),
        unsaved: BTreeSet::new(),
        unsaved_acks: 0,
    };
    for number in numbers {
        log.drop_if_done(number);
    }
    Ok((log, recovered))
}

/// Says which files lost something: they are put aside once the rest is done with.
fn tell_damage(candidates: &[Candidate]) {
    for candidate in candidates.iter().filter(|it| it.segment.damaged.get()) {
        let name = Name::Segment(candidate.segment.id).to_string();
        let why = match candidate.gaps {
            0 => "records, or what is behind them, are not as they were written",
            _ => "stretches in which records lay cannot be read",
        };
        tracing::error!(file = %name, why, "spool: a file is damaged: what of it can be read goes on");
    }
}

/// Removes what belongs to nothing: bodies without a record, side files without a
/// segment, bodies that never got their name.
fn clear_away<D: Disk>(
    disk: &D,
    listing: &Listing,
    candidates: &[Candidate],
    recovered: &Recovered,
) {
    for name in &listing.temporary {
        forgive(disk.unlink(name), "an unfinished body stays");
    }
    // What cannot be read may refer to any body, and own any side file.
    if !recovered.quarantined.is_empty() {
        return;
    }
    for number in &listing.bodies {
        let unlinked = disk.unlink(&Name::Body(*number).to_string());
        forgive(unlinked, "a body without a record stays");
    }
    let known: HashSet<u32> = candidates.iter().map(|it| it.segment.id.number).collect();
    for id in listing.acks.iter().filter(|id| !known.contains(&id.number)) {
        let unlinked = disk.unlink(&Name::Acks(*id).to_string());
        forgive(unlinked, "a side file without a segment stays");
    }
}

/// Brings the disk to what was decided, each step only after the one that it rests on:
/// records are synced before their other copies are given up, what was decided against
/// is written down before a footer lists it or a body goes.
fn settle_on_disk<D: Disk>(
    disk: &D,
    candidates: &mut [Candidate],
    listing: &Listing,
    recovered: &Recovered,
) {
    let mut on_disk = true;
    for candidate in candidates.iter() {
        on_disk &= candidate.may_end() && forgive(candidate.sync(disk), "a copy may be lost");
    }
    if !on_disk {
        for candidate in candidates.iter_mut() {
            candidate.segment.acks.keep_elsewhere_unsaid();
        }
    }
    let saved = save_acks(disk, candidates, !listing.bodies.is_empty());
    if !forgive(saved, "what a restart found is not written down") {
        return;
    }
    clear_away(disk, listing, candidates, recovered);
    for candidate in candidates.iter_mut().filter(|it| it.may_end()) {
        let written = candidate.write_footer(disk);
        forgive(written, "a segment gets no footer: a restart takes longer");
    }
}

/// Has on disk what was decided against records, and, when bodies are to go, what
/// was read of acks: a crash must not bring a record back without its body.
fn save_acks<D: Disk>(disk: &D, candidates: &mut [Candidate], bodies_go: bool) -> io::Result<()> {
    let mut written = false;
    for candidate in candidates {
        let segment = &mut candidate.segment;
        if segment.acks.has_pending() || (bodies_go && segment.acks.file_bytes > 0) {
            segment.acks.write(disk, segment.id, true)?;
            written = true;
        }
    }
    match written {
        true => disk.sync_dir(),
        false => Ok(()),
    }
}
