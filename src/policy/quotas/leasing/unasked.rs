//! What an edge may use before it hears anything: its part of what is kept for those who have yet
//! to ask, and of the whole limit while it is cut off. Owns how much that is; never in which case
//! which of them holds.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Of each limit, one in so many is kept.
const RESERVED: u64 = 100;

/// Of a small limit more is, so that an edge's part of it is not nothing: up to one in so many,
const RESERVED_OF_FEW: u64 = 10;

/// and no more than one for each of so many edges.
const RESERVED_FOR: u64 = 16;

/// An item of so many bytes is common.
const COMMON_BYTES: u64 = 64 << 10;

/// How much of a limit is kept for edges that have yet to ask, where none has. Nothing but the
/// limit decides, since all edges have to mean the same.
#[must_use]
pub fn reserve(limit: u64, is_bytes: bool) -> u64 {
    let one = if is_bytes { COMMON_BYTES } else { 1 };
    let of_few = (limit / RESERVED_OF_FEW).min(RESERVED_FOR * one);
    of_few.max(limit / RESERVED)
}

/// What an edge may use without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unasked {
    /// One in so many.
    pub one_in: u64,
    /// Of windows that begin from this second of Unix time on.
    pub from_s: u64,
}

/// [`Unasked`], for workers to read: the second above, the part in the low bits, so that nobody
/// reads the one of before with the other of now.
#[derive(Debug)]
pub(super) struct Share(AtomicU64);

/// No part of any window.
const NEVER: u64 = u64::MAX;

/// Bits of a part: nobody has a smaller one than one in sixteen million.
const PART_BITS: u32 = 24;

const PART_MASK: u64 = (1 << PART_BITS) - 1;

impl Default for Share {
    fn default() -> Self {
        Self(AtomicU64::new(NEVER))
    }
}

impl Share {
    pub(super) fn set(&self, unasked: Option<Unasked>) {
        let unasked = unasked.filter(|it| (1..=PART_MASK).contains(&it.one_in));
        let word = unasked.map(|it| it.from_s.saturating_mul(1 << PART_BITS) | it.one_in);
        self.0.store(word.unwrap_or(NEVER), Relaxed);
    }

    /// The part of that in a window that begins then.
    pub(super) fn of(&self, whole: u64, begins_s: u64) -> Option<u64> {
        let word = self.0.load(Relaxed);
        let begun = word != NEVER && begins_s >= word >> PART_BITS;
        begun.then(|| whole / (word & PART_MASK).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_small_limit_a_tenth_is_kept_and_of_a_large_one_a_hundredth() {
        for (limit, kept) in [
            (0, 0),
            (9, 0),
            (10, 1),
            (159, 15),
            (160, 16),
            (1699, 16),
            (1700, 17),
            (1_000_000, 10_000),
        ] {
            assert_eq!(reserve(limit, false), kept, "{limit}");
        }
        for (mib, kept_kib) in [(1, 102), (10, 1024), (100, 1024), (1000, 10_240)] {
            assert_eq!(reserve(mib << 20, true) >> 10, kept_kib, "{mib} MiB");
        }
    }
}
