//! A kept request made ready to leave: as it would have left, but for the time that
//! its envelope was held, which goes into `sent_at`, and for DSNs that lead elsewhere. Never
//! sends it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::request::Parts;
use tokio::task::spawn_blocking;

use crate::domain::coding::{Coding, DecodeLimits, Decoder};
use crate::domain::dsn_map::DsnMap;
use crate::domain::envelope::held::sent_later;
use crate::domain::envelope::moved::moved as moved_line;
use crate::telemetry::labels::Upstream;

use crate::server::delivery::body::Outgoing;
use crate::server::delivery::spill::{DiskBudget, Spill, Spilled, beginning};
use crate::server::ingest::line_one::{Begun, LineOne};
use crate::server::ingest::sieve::Sieve;
use crate::server::ingest::unpacked::Unpacked;
use crate::server::upstream::send::{Keep, Outbound, Repeat};

/// What is unpacked, and read of a packed file, in one go.
const SLICE_BYTES: usize = 64 * 1024;

/// A body that was kept.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// In its record.
    Here(Bytes),
    /// In a file of its own, of so many bytes.
    File(Arc<File>, u64),
}

impl Body {
    /// Whether it is as it was written, where its checksum is known: a file is read once for
    /// that, before a byte of it leaves. Its record vouches for what lies in that.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) async fn is_whole(&self, checksum: Option<u32>) -> io::Result<bool> {
        let (Self::File(file, bytes), Some(want)) = (self, checksum) else {
            return Ok(true);
        };
        let (file, bytes) = (Arc::clone(file), *bytes);
        let sum = spawn_blocking(move || sum(&file, bytes)).await;
        Ok(sum.map_err(io::Error::other)?? == want)
    }
}

/// The checksum of so many bytes of a file, or of all that it has.
fn sum(file: &File, bytes: u64) -> io::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut slice = vec![0; SLICE_BYTES];
    let mut at = 0;
    while at < bytes {
        let most = usize::try_from(bytes - at).map_or(SLICE_BYTES, |left| left.min(SLICE_BYTES));
        let into = slice.get_mut(..most).unwrap_or_default();
        match file.read_at(into, at) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(into.get(..read).unwrap_or_default());
                at += u64::try_from(read).unwrap_or(u64::MAX);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hasher.finalize())
}

/// Where and how far bodies are unpacked whose line one changes.
#[derive(Debug, Clone)]
pub(crate) struct Unpacking {
    /// How far.
    pub limits: DecodeLimits,
    /// A folder for those that are too large for memory.
    pub folder: PathBuf,
    /// Their share of the disk.
    pub disk: DiskBudget,
}

/// What changes in line one of an envelope that leaves later than it came, or for elsewhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rewriting {
    /// For how long it was held; not at all, where it leaves at once.
    pub held: Duration,
    /// Where the DSNs in it lead; `None`: where they say.
    pub moves: Option<Arc<DsnMap>>,
}

impl Rewriting {
    /// Whether anything may change.
    fn is_due(&self) -> bool {
        !self.held.is_zero() || self.moves.is_some()
    }

    /// The line as it is to leave. `None`: as it is.
    fn made(&self, line: &[u8]) -> Option<Vec<u8>> {
        let moves = self.moves.as_deref();
        let moved = moves.and_then(|moves| moved_line(line, moves));
        let later = match self.held.is_zero() {
            true => None,
            false => sent_later(moved.as_deref().unwrap_or(line), self.held),
        };
        later.or(moved)
    }
}

/// The request as it leaves now. `envelope`: how its body is packed, if that is one.
///
/// # Errors
/// The file of a large body cannot be read, or its copy not be written.
pub(crate) async fn depart(
    mut head: Box<Parts>,
    body: Body,
    envelope: Option<Coding>,
    rewriting: Rewriting,
    unpacking: &Unpacking,
) -> io::Result<Outbound> {
    // Where nothing changes nobody has to look.
    let envelope = envelope.filter(|_| rewriting.is_due());
    let (body, unpacked) = match (body, envelope) {
        (Body::Here(body), None) => (Outgoing::whole(VecDeque::from([body])), false),
        (Body::File(file, bytes), None) => (Outgoing::disk(Spilled::of(file, bytes, 0)), false),
        (Body::Here(body), Some(coding)) => moved_here(body, coding, &rewriting, unpacking.limits),
        (Body::File(file, bytes), Some(coding)) => {
            moved_file(file, bytes, coding, rewriting, unpacking.clone()).await?
        }
    };
    if unpacked {
        head.headers.remove(CONTENT_ENCODING);
    }
    Ok(Outbound {
        upstream: Upstream::Ingest,
        head,
        body,
        repeat: Repeat::Safe,
        keep: Keep::No,
    })
}

/// An envelope in memory with its line one rewritten, and whether it leaves unpacked for that.
/// One of which nothing changes, or whose line cannot be read, leaves as it is.
fn moved_here(
    body: Bytes,
    coding: Coding,
    rewriting: &Rewriting,
    limits: DecodeLimits,
) -> (Outgoing, bool) {
    let begun = |body: Bytes| Begun {
        chunks: VecDeque::from([body]),
        rest: None,
        waited: false,
    };
    let found = LineOne::find(&begun(body.clone()), coding, limits);
    let Ok(line) = found else {
        return (Outgoing::whole(begun(body).chunks), false);
    };
    let later = rewriting.made(&line.text(&begun(body.clone()).chunks));
    let Some(later) = later else {
        return (Outgoing::whole(begun(body).chunks), false);
    };
    let packed = line.is_packed();
    let (line, source) = line.part_with(begun(body), Some(later.into()), None);
    match source {
        Unpacked::Plain { mut chunks, .. } => {
            chunks.push_front(line);
            (Outgoing::whole(chunks), packed)
        }
        source @ Unpacked::Packed(_) => (Outgoing::sieved(Sieve::unread(line, source)), packed),
    }
}

/// The same for one in a file. What is packed is unpacked into another first.
async fn moved_file(
    file: Arc<File>,
    bytes: u64,
    coding: Coding,
    rewriting: Rewriting,
    unpacking: Unpacking,
) -> io::Result<(Outgoing, bool)> {
    let from = Arc::clone(&file);
    let work = move || moved(&from, coding, &rewriting, &unpacking);
    let moved = spawn_blocking(work).await.map_err(io::Error::other)??;
    Ok(match moved {
        None => (Outgoing::disk(Spilled::of(file, bytes, 0)), false),
        Some(Moved {
            line,
            behind,
            unpacked,
        }) => {
            let packed = unpacked.is_some();
            let rest = match unpacked {
                Some(unpacked) => unpacked.finish().behind(behind),
                None => Spilled::of(file, bytes, behind),
            };
            (Outgoing::led(line.into(), rest), packed)
        }
    })
}

/// Line one of a body in a file, rewritten.
struct Moved {
    line: Vec<u8>,
    /// Where the rest begins, in the file or in what it was unpacked to.
    behind: u64,
    unpacked: Option<Spill>,
}

fn moved(
    file: &File,
    coding: Coding,
    rewriting: &Rewriting,
    unpacking: &Unpacking,
) -> io::Result<Option<Moved>> {
    let begun = Begun {
        chunks: VecDeque::from([beginning(file)]),
        rest: None,
        waited: false,
    };
    // Of a packed body only its beginning is here, which may show the line or not.
    let Ok(line) = LineOne::find(&begun, coding, unpacking.limits) else {
        return Ok(None);
    };
    let text = line.text(&begun.chunks);
    let Some(later) = rewriting.made(&text) else {
        return Ok(None);
    };
    let unpacked = match coding {
        Coding::Identity => None,
        Coding::Gzip | Coding::Deflate | Coding::Brotli | Coding::Zstd => {
            Some(unpack(file, coding, unpacking)?)
        }
    };
    Ok(Some(Moved {
        line: later,
        behind: u64::try_from(text.len()).unwrap_or(u64::MAX),
        unpacked,
    }))
}

/// What a file unpacks to, in an unnamed one.
///
/// # Errors
/// It does not unpack, or there is no room for it.
fn unpack(file: &File, coding: Coding, unpacking: &Unpacking) -> io::Result<Spill> {
    let mut decoder = Decoder::new(coding, unpacking.limits);
    let made = tempfile::tempfile_in(&unpacking.folder)?;
    let mut out = made.try_clone()?;
    let disk = &unpacking.disk;
    // Gives back what was taken, however this ends.
    let mut spill = Spill::of(made, 0, disk.clone());
    let (mut packed, mut slice) = (vec![0; SLICE_BYTES], vec![0; SLICE_BYTES]);
    // Never by the file's own place: several may read it at once.
    let mut at = 0;
    loop {
        let read = file.read_at(&mut packed, at)?;
        if read == 0 {
            break;
        }
        at = at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        let mut rest = packed.get(..read).unwrap_or_default();
        loop {
            let progress = decoder.push(rest, &mut slice).map_err(io::Error::other)?;
            let written = slice.get(..progress.written).unwrap_or_default();
            if !spill.grows(u64::try_from(written.len()).unwrap_or(u64::MAX)) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            out.write_all(written)?;
            rest = rest.get(progress.read..).unwrap_or_default();
            if !progress.more {
                break;
            }
        }
    }
    decoder.finish().map_err(io::Error::other)?;
    Ok(spill)
}

#[cfg(test)]
mod tests;
