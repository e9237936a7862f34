//! The copies of bodies that are being sent, which the spool may have to keep: how much room
//! they have, and how many found none. Never makes one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::config::checked;

use super::Spool;
use crate::server::delivery::spill::DiskBudget;
use crate::server::delivery::tee::TeeBudget;

/// The copies of bodies that are being sent.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Bytes that they take in memory.
    memory: Arc<AtomicU64>,
    /// Bytes that they take on disk.
    disk: Arc<AtomicU64>,
    /// How many found no room since the start.
    unprotected: Arc<AtomicU64>,
}

impl Spool {
    /// The share of the disk of bodies that are copied or unpacked.
    pub(crate) fn copies_disk(&self, config: &checked::Spool) -> DiskBudget {
        DiskBudget {
            taken: Arc::clone(&self.copies.disk),
            bytes_max: config.copies.disk,
            free_floor: config.free_floor,
        }
    }

    /// Where the copy of a body may lie that is being sent.
    pub(crate) fn copies(&self, config: &checked::Spool) -> Option<TeeBudget> {
        let desk = self.desk.as_ref()?;
        Some(TeeBudget {
            memory: Arc::clone(&self.copies.memory),
            memory_max: config.copies.memory,
            disk: self.copies_disk(config),
            unprotected: Arc::clone(&self.copies.unprotected),
            folder: desk.folder.clone(),
        })
    }

    /// Bodies that were sent without a copy since the start.
    pub(crate) fn unprotected(&self) -> u64 {
        self.copies.unprotected.load(Relaxed)
    }
}
