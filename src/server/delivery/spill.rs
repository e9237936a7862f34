//! A request body that lies on disk: written while a slow client sends, read
//! back once it is whole. The file has no name and goes with its owner. Never
//! blocks the worker: each write and read runs on the blocking pool.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::server::client::stream::BodyError;

/// Bytes of one read from disk: large enough to keep a socket busy, small
/// enough that a hundred uploads stay below a few megabytes.
const READ_BYTES: usize = 64 * 1024;

/// What is read for a look at how a body begins.
const BEGINNING_BYTES: usize = 64 * 1024;

/// A share of the disk that all bodies together may take.
#[derive(Debug, Clone)]
pub(crate) struct DiskBudget {
    /// Bytes taken by all workers.
    pub taken: Arc<AtomicU64>,
    /// Bytes that may be taken.
    pub bytes_max: u64,
    /// Bytes of the file system that stay free all the same; 0: nobody asks it.
    pub free_floor: u64,
}

impl DiskBudget {
    /// Takes `bytes` if they fit.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        let fits = |taken: u64| {
            taken
                .checked_add(bytes)
                .filter(|sum| *sum <= self.bytes_max)
        };
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
    }

    /// Whether so many bytes more may go to the file's disk, as far as its floor goes. Asks
    /// the system each time: some microseconds, beside a write that takes more. Blocks.
    pub(crate) fn stays_free(&self, file: &File, bytes: u64) -> bool {
        let free = || {
            let disk = rustix::fs::fstatvfs(file).ok()?;
            Some(disk.f_bavail.saturating_mul(disk.f_frsize))
        };
        // A disk that does not say is tried.
        self.free_floor == 0
            || free().is_none_or(|free| free >= self.free_floor.saturating_add(bytes))
    }
}

/// A file being written.
#[derive(Debug)]
pub(crate) struct Spill {
    file: Arc<File>,
    bytes: u64,
    budget: DiskBudget,
    /// Of what was added, where somebody wants to know.
    checksum: Option<crc32fast::Hasher>,
}

/// What came of adding chunks to a spill.
#[derive(Debug)]
pub(crate) enum Added {
    /// They are in the file.
    Kept,
    /// The budget is used up, or little else of the disk is free; the chunks come back.
    Full(VecDeque<Bytes>),
}

impl Spill {
    /// An unnamed file in `folder`, the system's temporary one if `None`.
    pub(crate) async fn create(folder: Option<&Path>, budget: DiskBudget) -> io::Result<Self> {
        let folder = folder.map(Path::to_owned);
        let create = move || match folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        let file = spawn_blocking(create).await.map_err(io::Error::other)??;
        Ok(Self {
            file: Arc::new(file),
            bytes: 0,
            budget,
            checksum: None,
        })
    }

    /// The same, with a checksum of what is added from now on: of all of it, where that is
    /// the first.
    pub(crate) fn summed(mut self) -> Self {
        self.checksum = Some(crc32fast::Hasher::new());
        self
    }

    /// The same, of a file whose checksum somebody else knows.
    pub(crate) fn vouched(mut self, checksum: Option<u32>) -> Self {
        let known = |sum| crc32fast::Hasher::new_with_initial_len(sum, self.bytes);
        self.checksum = checksum.map(known);
        self
    }

    /// The checksum of what was added, if one was asked for.
    pub(crate) fn checksum(&self) -> Option<u32> {
        self.checksum.clone().map(crc32fast::Hasher::finalize)
    }

    /// A file of so many bytes that somebody has written; they were taken of the budget.
    pub(crate) fn of(file: File, bytes: u64, budget: DiskBudget) -> Self {
        Self {
            file: Arc::new(file),
            bytes,
            budget,
            checksum: None,
        }
    }

    /// So many more bytes are written to it, if they fit. Blocks.
    pub(crate) fn grows(&mut self, bytes: u64) -> bool {
        let fits = self.budget.stays_free(&self.file, bytes) && self.budget.take(bytes);
        if fits {
            self.bytes += bytes;
        }
        fits
    }

    /// Appends the chunks, or hands them back when the disk's share is used up.
    pub(crate) async fn add(&mut self, chunks: VecDeque<Bytes>) -> io::Result<Added> {
        let more = crate::server::ingest::chunks::total_bytes(&chunks);
        if !self.budget.take(more) {
            return Ok(Added::Full(chunks));
        }
        self.bytes += more;
        let (file, budget) = (Arc::clone(&self.file), self.budget.clone());
        let mut checksum = self.checksum.take();
        let write = move || {
            if !budget.stays_free(&file, more) {
                return (None, chunks, checksum);
            }
            let mut file = &*file;
            let written = file
                .seek(SeekFrom::End(0))
                .and_then(|_| chunks.iter().try_for_each(|chunk| file.write_all(chunk)));
            if let Some(checksum) = &mut checksum {
                chunks.iter().for_each(|chunk| checksum.update(chunk));
            }
            // Freed where they were made: each thread keeps what it frees.
            (Some(written), chunks, checksum)
        };
        let written = spawn_blocking(write).await.map_err(io::Error::other)?;
        let (written, chunks, checksum) = written;
        self.checksum = checksum;
        let Some(written) = written else {
            self.bytes -= more;
            self.budget.taken.fetch_sub(more, Ordering::Relaxed);
            return Ok(Added::Full(chunks));
        };
        drop(chunks);
        written.map(|()| Added::Kept)
    }

    /// What it begins with, some 64 KiB. Blocks for one read of what was just written.
    pub(crate) fn beginning(&self) -> Bytes {
        beginning(&self.file)
    }

    /// The file and its length. What it takes of the budget is given back with the guard.
    pub(crate) fn file(&self) -> (&Arc<File>, u64) {
        (&self.file, self.bytes)
    }

    /// The body from its first byte.
    pub(crate) fn finish(self) -> Spilled {
        Spilled {
            file: Arc::clone(&self.file),
            bytes: self.bytes,
            at: 0,
            reading: None,
            _spill: Some(self),
        }
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A file being read back.
#[derive(Debug)]
pub(crate) struct Spilled {
    file: Arc<File>,
    bytes: u64,
    at: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    /// What it takes of a budget.
    _spill: Option<Spill>,
}

/// What a file begins with, some 64 KiB; nothing where it cannot be read.
pub(crate) fn beginning(file: &File) -> Bytes {
    let mut beginning = BytesMut::zeroed(BEGINNING_BYTES);
    let read = file.read_at(&mut beginning, 0);
    beginning.truncate(read.unwrap_or(0));
    beginning.freeze()
}

impl Spilled {
    /// A file of so many bytes that somebody else keeps, from one of them on.
    pub(crate) fn of(file: Arc<File>, bytes: u64, at: u64) -> Self {
        Self {
            file,
            bytes,
            at,
            reading: None,
            _spill: None,
        }
    }

    /// The same from one of its bytes on.
    pub(crate) fn behind(self, at: u64) -> Self {
        Self { at, ..self }
    }

    /// Bytes not yet read.
    pub(crate) fn remaining_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.at)
    }

    /// The next chunk; `None` after the last.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.remaining_bytes() == 0 {
            return Poll::Ready(None);
        }
        let (file, at) = (Arc::clone(&self.file), self.at);
        let size = usize::try_from(self.remaining_bytes())
            .unwrap_or(usize::MAX)
            .min(READ_BYTES);
        let reading = self.reading.get_or_insert_with(|| {
            let chunk = BytesMut::zeroed(size);
            spawn_blocking(move || read_at(&file, at, chunk))
        });
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        Poll::Ready(Some(match read {
            Ok(Ok(chunk)) => {
                self.at += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                Ok(chunk)
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "a body read ahead cannot be read back from disk");
                Err(BodyError::Disk)
            }
            Err(_) => Err(BodyError::Disk),
        }))
    }
}

fn read_at(file: &File, at: u64, mut chunk: BytesMut) -> io::Result<Bytes> {
    file.read_exact_at(&mut chunk, at)?;
    Ok(chunk.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(bytes_max: u64) -> DiskBudget {
        DiskBudget {
            taken: Arc::new(AtomicU64::new(0)),
            bytes_max,
            free_floor: 0,
        }
    }

    fn on_a_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(work)
    }

    #[test]
    fn what_was_written_is_read_back_and_its_share_given_back() {
        on_a_runtime(async {
            let budget = budget(1_000_000);
            let mut spill = Spill::create(None, budget.clone()).await.unwrap();
            let body: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
            for half in body.chunks(150_000) {
                let chunks = VecDeque::from([Bytes::copy_from_slice(half)]);
                assert!(matches!(spill.add(chunks).await.unwrap(), Added::Kept));
            }
            assert_eq!(budget.taken.load(Ordering::Relaxed), 300_000);
            let mut spilled = spill.finish();
            let mut back = Vec::new();
            while let Some(chunk) = std::future::poll_fn(|cx| spilled.poll_chunk(cx)).await {
                back.extend_from_slice(&chunk.unwrap());
            }
            assert!(back == body, "the bytes differ");
            drop(spilled);
            assert_eq!(budget.taken.load(Ordering::Relaxed), 0);
        });
    }

    #[track_caller]
    fn check_budget(bytes_max: u64, bytes: usize, kept: bool) {
        on_a_runtime(async {
            let mut spill = Spill::create(None, budget(bytes_max)).await.unwrap();
            let chunks = VecDeque::from([Bytes::from(vec![7; bytes])]);
            match spill.add(chunks).await.unwrap() {
                Added::Kept => assert!(kept),
                Added::Full(chunks) => {
                    assert!(!kept);
                    assert_eq!(chunks[0].len(), bytes, "the chunks come back");
                }
            }
        });
    }

    #[test]
    fn the_budget_holds_to_the_byte() {
        check_budget(10, 10, true);
        check_budget(10, 11, false);
        check_budget(0, 1, false);
    }

    #[test]
    fn what_stays_free_is_the_disks_and_not_the_budgets() {
        for (free_floor, kept) in [(1, true), (u64::MAX, false)] {
            on_a_runtime(async {
                let budget = DiskBudget {
                    free_floor,
                    ..budget(1000)
                };
                let mut spill = Spill::create(None, budget.clone()).await.unwrap();
                let chunks = VecDeque::from([Bytes::from_static(b"seven b")]);
                let added = spill.add(chunks).await.unwrap();
                assert_eq!(matches!(added, Added::Kept), kept, "{added:?}");
                let taken = budget.taken.load(Ordering::Relaxed);
                assert_eq!(
                    taken,
                    if kept { 7 } else { 0 },
                    "what is refused is given back"
                );
                assert_eq!(spill.grows(7), kept);
            });
        }
    }
}
