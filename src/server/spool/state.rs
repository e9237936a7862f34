//! What everybody may know of the spool without asking its thread: how much is kept,
//! for how long, and how it fares. Written by the spool's thread and by whoever sends;
//! read at a scrape.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::telemetry::labels::Upstream;

use super::pause::Pause;
use super::shares::FullShares;

/// Numbers, each of them true by itself.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Items that are kept.
    pub items: AtomicU64,
    /// Requests that carry them.
    pub requests: AtomicU64,
    /// For which upstreams any is kept: a bit for each, by its index.
    pub(super) destinations: AtomicU8,
    /// Bytes on disk.
    pub bytes: AtomicU64,
    /// How long the oldest has been kept, in seconds; 0: nothing is.
    pub oldest_s: AtomicU64,
    /// Requests kept since the start.
    pub appended: AtomicU64,
    /// Their bytes.
    pub appended_bytes: AtomicU64,
    /// Requests that the upstream has taken, or refused, since the start: soon, late, or
    /// when they were sent again.
    pub answered: AtomicU64,
    /// The bytes of those, and of the expired.
    pub gone_bytes: AtomicU64,
    /// Requests for which there is room.
    pub room_requests: AtomicU64,
    /// Bytes for which there is room.
    pub room_bytes: AtomicU64,
    /// Requests sent since the start.
    pub replayed: AtomicU64,
    /// Requests given up for their age since the start.
    pub expired: AtomicU64,
    /// Pieces of what was dropped that were overwritten since the start: while it grows, a
    /// drop goes on.
    pub erased: AtomicU64,
    /// Requests lost to damage since the start.
    pub damaged: AtomicU64,
    /// Requests that may have arrived twice since the start.
    pub duplicates: AtomicU64,
    /// Requests that the upstream never takes while it takes others.
    pub aside: AtomicU64,
    /// Whether an operator has stopped the sending.
    pub pause: Pause,
    /// There was no room for the last request of the most important kind.
    pub full: AtomicBool,
    /// The last write failed.
    pub failing: AtomicBool,
    /// Whose share is full, as of the last second.
    pub(super) shares: Mutex<FullShares>,
}

impl State {
    /// Whose share is full, as of the last second.
    pub(crate) fn full_shares(&self) -> FullShares {
        let shares = self.shares.lock();
        shares.map_or_else(|_| FullShares::default(), |shares| shares.clone())
    }

    /// Tells whose share is full.
    pub(super) fn tell_shares(&self, full: FullShares) {
        if let Ok(mut shares) = self.shares.lock() {
            *shares = full;
        }
    }

    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.load(Relaxed) == 0
    }

    /// Whether anything is kept for a mirror that is not configured any more.
    pub(crate) fn holds_for_nobody(&self) -> bool {
        self.destinations.load(Relaxed) >> Upstream::COUNT & 1 == 1
    }

    /// Whether anything is kept for an upstream.
    pub(crate) fn holds_for(&self, to: Upstream) -> bool {
        self.destinations.load(Relaxed) >> to.index() & 1 == 1
    }

    /// Whether nothing more can be kept of the most important kind.
    pub(crate) fn takes_nothing(&self) -> bool {
        self.full.load(Relaxed) || self.failing.load(Relaxed)
    }
}
