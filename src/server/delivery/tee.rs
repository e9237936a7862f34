//! A copy of a body that streams upstream, kept until the upstream has taken it: in
//! memory while it is short and there is room, else in a file without a name. Costs no
//! copy in memory: chunks are shared. Never syncs, and never fails the body: without a
//! place it gives up, and the body streams on unprotected.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::server::delivery::spill::{Added, DiskBudget, Spill};

/// A body is written to its file in pieces of so much, so that a hundred slow ones hold
/// some ten megabytes between them.
const PIECE_BYTES: u64 = 128 * 1024;

/// A body up to this length stays in memory while there is room for it.
const SHORT_BYTES: u64 = 1024 * 1024;

/// Where copies may lie.
#[derive(Debug, Clone)]
pub(crate) struct TeeBudget {
    /// Bytes that all copies hold in memory.
    pub memory: Arc<AtomicU64>,
    /// Bytes that they may hold there.
    pub memory_max: u64,
    /// Their share of the disk.
    pub disk: DiskBudget,
    /// How many found no room.
    pub unprotected: Arc<AtomicU64>,
    /// Where their files are made.
    pub folder: PathBuf,
}

/// A body, once all of it is here.
#[derive(Debug)]
pub(crate) enum Copied {
    /// In memory.
    Chunks(VecDeque<Bytes>),
    /// In a file without a name.
    File(Spill),
}

/// Where the copy goes once the upstream has answered, for who wants it beside.
pub(crate) type Keepsake = Rc<RefCell<Option<Box<Tee>>>>;

type Writing = Pin<Box<dyn Future<Output = io::Result<(Spill, Added)>>>>;

/// The copy under way.
pub(crate) struct Tee {
    budget: TeeBudget,
    /// What is in no file yet.
    chunks: VecDeque<Bytes>,
    chunk_bytes: u64,
    /// What `chunks` has taken of the memory's budget.
    taken_bytes: u64,
    file: Option<Spill>,
    writing: Option<Writing>,
    gave_up: bool,
}

impl std::fmt::Debug for Tee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tee").finish_non_exhaustive()
    }
}

impl Tee {
    /// A copy of nothing yet.
    pub(crate) fn new(budget: TeeBudget) -> Self {
        Self {
            budget,
            chunks: VecDeque::new(),
            chunk_bytes: 0,
            taken_bytes: 0,
            file: None,
            writing: None,
            gave_up: false,
        }
    }

    /// Whether the body streams on without a copy.
    pub(crate) fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// Ready once the next chunk has a place: a disk that is slower than the client
    /// holds the body up rather than memory.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(writing) = &mut self.writing {
            let Poll::Ready(written) = writing.as_mut().poll(cx) else {
                // One piece may wait while another is written.
                return match self.chunk_bytes < PIECE_BYTES {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                };
            };
            self.writing = None;
            self.wrote(written);
        }
        if self.is_due() {
            self.write();
            return self.poll_ready(cx);
        }
        Poll::Ready(())
    }

    /// The next chunk, as it goes by.
    pub(crate) fn add(&mut self, chunk: &Bytes) {
        if self.gave_up || chunk.is_empty() {
            return;
        }
        let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.chunk_bytes += bytes;
        self.taken_bytes += self.take(bytes);
        crate::server::ingest::chunks::gather(&mut self.chunks, chunk.clone());
    }

    /// The whole body. `None`: it gave up on the way.
    pub(crate) async fn finish(mut self) -> Option<Copied> {
        std::future::poll_fn(|cx| {
            loop {
                if let Some(writing) = &mut self.writing {
                    let written = ready!(writing.as_mut().poll(cx));
                    self.writing = None;
                    self.wrote(written);
                }
                if self.file.is_none() || self.chunks.is_empty() || self.gave_up {
                    return Poll::Ready(());
                }
                self.write();
            }
        })
        .await;
        match (self.gave_up, self.file.take()) {
            (true, _) => None,
            (false, Some(file)) => Some(Copied::File(file)),
            (false, None) => Some(Copied::Chunks(std::mem::take(&mut self.chunks))),
        }
    }

    /// Whether what is here should be written.
    fn is_due(&self) -> bool {
        let short = self.file.is_none()
            && self.chunk_bytes <= SHORT_BYTES
            && self.taken_bytes == self.chunk_bytes;
        self.writing.is_none() && !self.gave_up && !short && self.chunk_bytes >= PIECE_BYTES
    }

    /// Takes as much of the memory's budget, or nothing.
    fn take(&self, bytes: u64) -> u64 {
        let fits = |taken: u64| {
            let sum = taken.checked_add(bytes)?;
            (sum <= self.budget.memory_max).then_some(sum)
        };
        let memory = &self.budget.memory;
        let taken = memory.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        if taken.is_ok() { bytes } else { 0 }
    }

    fn give_back_memory(&mut self) {
        let taken = std::mem::take(&mut self.taken_bytes);
        self.budget.memory.fetch_sub(taken, Ordering::Relaxed);
    }

    fn write(&mut self) {
        let chunks = std::mem::take(&mut self.chunks);
        self.chunk_bytes = 0;
        // What is being written is bounded by the piece that waits for it.
        self.give_back_memory();
        let file = self.file.take();
        let (folder, disk) = (self.budget.folder.clone(), self.budget.disk.clone());
        self.writing = Some(Box::pin(async move {
            let mut file = match file {
                Some(file) => file,
                None => Spill::create(Some(&folder), disk).await?.summed(),
            };
            let added = file.add(chunks).await?;
            Ok((file, added))
        }));
    }

    fn wrote(&mut self, written: io::Result<(Spill, Added)>) {
        match written {
            Ok((file, Added::Kept)) => self.file = Some(file),
            Ok((_, Added::Full(_))) => self.give_up(),
            Err(error) => {
                tracing::warn!(%error, "a body that is being sent cannot be copied to spool.path");
                self.give_up();
            }
        }
    }

    fn give_up(&mut self) {
        self.gave_up = true;
        self.budget.unprotected.fetch_add(1, Ordering::Relaxed);
        self.chunks.clear();
        self.chunk_bytes = 0;
        self.give_back_memory();
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        self.give_back_memory();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::ingest::chunks::total_bytes;

    fn budget(memory_max: u64, disk_max: u64, folder: &std::path::Path) -> TeeBudget {
        TeeBudget {
            memory: Arc::default(),
            memory_max,
            disk: DiskBudget {
                taken: Arc::default(),
                bytes_max: disk_max,
                free_floor: 0,
            },
            unprotected: Arc::default(),
            folder: folder.to_owned(),
        }
    }

    /// Copies so many chunks of 50 KB, and says where they lie and how many bytes; what
    /// was taken of either budget is given back.
    fn copied(chunks: u8, memory_max: u64, disk_max: u64) -> (&'static str, u64) {
        let folder = tempfile::tempdir().unwrap();
        let budget = budget(memory_max, disk_max, folder.path());
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let found = runtime.unwrap().block_on(async {
            let mut tee = Tee::new(budget.clone());
            let mut whole = Vec::new();
            for n in 0..chunks {
                std::future::poll_fn(|cx| tee.poll_ready(cx)).await;
                let chunk = Bytes::from(vec![n; 50_000]);
                whole.extend_from_slice(&chunk);
                tee.add(&chunk);
            }
            match tee.finish().await {
                None => ("nowhere", 0),
                Some(Copied::Chunks(chunks)) => {
                    assert!(chunks.iter().flatten().eq(&whole), "the bytes differ");
                    ("memory", total_bytes(&chunks))
                }
                Some(Copied::File(file)) => {
                    let mut spilled = file.finish();
                    let mut back = Vec::new();
                    while let Some(chunk) = std::future::poll_fn(|cx| spilled.poll_chunk(cx)).await
                    {
                        back.extend_from_slice(&chunk.unwrap());
                    }
                    assert!(back == whole, "the bytes differ");
                    ("file", u64::try_from(back.len()).unwrap())
                }
            }
        });
        assert_eq!(budget.memory.load(Ordering::Relaxed), 0);
        assert_eq!(budget.disk.taken.load(Ordering::Relaxed), 0);
        let unprotected = budget.unprotected.load(Ordering::Relaxed);
        assert_eq!(unprotected, u64::from(found.0 == "nowhere"));
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "a file has a name");
        found
    }

    #[test]
    fn a_short_body_stays_in_memory_and_a_long_one_does_not() {
        assert_eq!(copied(20, 2_000_000, u64::MAX), ("memory", 1_000_000));
        assert_eq!(copied(40, 4_000_000, u64::MAX), ("file", 2_000_000));
    }

    #[test]
    fn without_room_in_memory_a_short_one_goes_to_disk_too() {
        assert_eq!(copied(20, 100_000, u64::MAX), ("file", 1_000_000));
    }

    #[test]
    fn without_room_on_disk_it_gives_up() {
        assert_eq!(copied(40, 0, 2_000_000), ("file", 2_000_000));
        assert_eq!(copied(40, 0, 1_999_999), ("nowhere", 0));
    }

    #[test]
    fn nothing_is_a_body_too() {
        assert_eq!(copied(0, 0, 0), ("memory", 0));
    }
}
