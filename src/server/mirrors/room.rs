//! How much a mirror's copies take of the memory, and of the disk, before they are sent or kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::telemetry::mirrors::MirrorCounts;

use super::{Mirror, QUEUED_BYTES_MAX};

/// What a copy takes of its mirror's share while it is in memory.
#[derive(Debug)]
pub(super) struct Room {
    counts: Arc<MirrorCounts>,
    memory: (Arc<AtomicU64>, u64),
    file: (Arc<AtomicU64>, u64),
}

impl Room {
    /// Takes it, where there is so much; `most` is of bytes in files.
    pub(super) fn take(
        mirror: &Mirror,
        memory_bytes: u64,
        (file_bytes, most): (u64, u64),
    ) -> Option<Self> {
        let take = |taken: &AtomicU64, bytes: u64, most: u64| {
            let fits = |sum: u64| sum.checked_add(bytes).filter(|sum| *sum <= most);
            taken.fetch_update(Relaxed, Relaxed, fits).is_ok()
        };
        if !take(&mirror.memory_bytes, memory_bytes, QUEUED_BYTES_MAX) {
            return None;
        }
        if !take(&mirror.file_bytes, file_bytes, most) {
            mirror.memory_bytes.fetch_sub(memory_bytes, Relaxed);
            return None;
        }
        mirror.counts.in_memory.fetch_add(1, Relaxed);
        Some(Self {
            counts: Arc::clone(&mirror.counts),
            memory: (Arc::clone(&mirror.memory_bytes), memory_bytes),
            file: (Arc::clone(&mirror.file_bytes), file_bytes),
        })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        for (taken, bytes) in [&self.memory, &self.file] {
            taken.fetch_sub(*bytes, Relaxed);
        }
        self.counts.in_memory.fetch_sub(1, Relaxed);
    }
}
