//! A rate that all threads share: the generic cell rate algorithm on one number.
//! Owns its arithmetic; never reads a clock, never waits.
//!
//! One number is the whole state: the time at which the bucket would be full
//! again. A share per worker would be wrong, since the kernel spreads connections
//! unevenly; so all workers compare and swap one word. A refusal only reads it.
//! Because it is a time, it means the same under another limit: a reload changes
//! the [`Pace`] and keeps the word.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

const SECOND_NS: u64 = 1_000_000_000;

/// From here on a unit's time is rounded up to whole nanoseconds and counted exactly: that makes a
/// rate at most a thousandth slower. Faster ones, which are bytes, have the time of what is taken
/// at once rounded up instead, so it is their small pieces that cost a part in a thousand more.
const UNIT_NS_MIN: u64 = 1000;

/// So many units in so long, and as many at once: in any interval t, over all threads together, at
/// most `limit + limit * t / per` are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    limit: u64,
    per_ns: u64,
    /// What one unit costs, rounded up.
    unit_ns: u64,
    /// How far ahead the bucket may owe.
    room_ns: u64,
}

impl Pace {
    /// A limit of 0 lets nothing through.
    #[must_use]
    pub const fn new(limit: u64, per_ns: u64) -> Self {
        // No rate is for no time at all: `Per::of` refuses that.
        let per_ns = if per_ns == 0 { 1 } else { per_ns };
        let unit_ns = match limit {
            0 => per_ns,
            limit => per_ns.div_ceil(limit),
        };
        // Rounding must take nothing from the burst. Where units are counted exactly, the room is
        // that of `limit` units, which is not more than they are worth; where they are not, it is
        // `per`, which is exact.
        let room_ns = match unit_ns >= UNIT_NS_MIN {
            true => limit.saturating_mul(unit_ns),
            false => per_ns,
        };
        Self {
            limit,
            per_ns,
            unit_ns,
            room_ns,
        }
    }

    /// How long the rate needs for so much. `None`: more than ever fits.
    #[must_use]
    pub fn cost_ns(&self, units: u64) -> Option<u64> {
        if units > self.limit || self.limit == 0 {
            return None;
        }
        if self.unit_ns >= UNIT_NS_MIN {
            return units.checked_mul(self.unit_ns);
        }
        let exact = match units.checked_mul(self.per_ns) {
            Some(product) => return Some(product.div_ceil(self.limit)),
            None => u128::from(units) * u128::from(self.per_ns),
        };
        u64::try_from(exact.div_ceil(u128::from(self.limit))).ok()
    }

    /// The state once so much is taken from it.
    ///
    /// # Errors
    /// There is no room: how long until there is, with nobody else asking. For what never fits, the
    /// time that the limit is for.
    pub fn taken(&self, full_at_ns: u64, now_ns: u64, units: u64) -> Result<u64, u64> {
        let Some(cost_ns) = self.cost_ns(units) else {
            return Err(self.per_ns);
        };
        let owed_ns = full_at_ns.saturating_sub(now_ns);
        let room_ns = self.room_ns.saturating_sub(owed_ns);
        if cost_ns > room_ns {
            return Err(cost_ns - room_ns);
        }
        // At the end of time nothing can be written down, so nothing is given.
        full_at_ns
            .max(now_ns)
            .checked_add(cost_ns)
            .ok_or(self.per_ns)
    }

    /// The state once what was taken at `taken_ns` is given back at `now_ns`.
    ///
    /// What has leaked meanwhile cannot be given back, or the bucket would hold more than its
    /// limit. Whether it was this take that leaked or another's cannot be told from one number, so
    /// it is this one's: without it the bucket might have been full all the time.
    #[must_use]
    pub fn given_back(&self, full_at_ns: u64, now_ns: u64, taken_ns: u64, units: u64) -> u64 {
        let cost_ns = self.cost_ns(units).unwrap_or_default();
        let leaked_ns = now_ns.saturating_sub(taken_ns);
        full_at_ns.saturating_sub(cost_ns.saturating_sub(leaked_ns))
    }

    /// How much of the room is used, in nanoseconds of how many.
    #[must_use]
    pub fn used(&self, full_at_ns: u64, now_ns: u64) -> (u64, u64) {
        (full_at_ns.saturating_sub(now_ns), self.room_ns)
    }
}

/// A rate a second, with one second's worth at once: honest senders come in bursts.
#[derive(Debug)]
pub struct Gcra {
    full_at_ns: AtomicU64,
    per_second: AtomicU32,
}

impl Gcra {
    /// A full bucket. A rate of 0 lets nothing through.
    #[must_use]
    pub const fn new(per_second: u32) -> Self {
        Self {
            full_at_ns: AtomicU64::new(0),
            per_second: AtomicU32::new(per_second),
        }
    }

    /// Changes the rate and keeps what was used: a reload hands nobody a fresh bucket.
    pub fn retune(&self, per_second: u32) {
        self.per_second.store(per_second, Relaxed);
    }

    /// Takes one, if the rate has room for it at this time.
    pub fn take(&self, now_ns: u64) -> bool {
        let pace = Pace::new(self.per_second.load(Relaxed).into(), SECOND_NS);
        // Each failed turn is another thread's take, so the burst bounds the turns.
        self.full_at_ns
            .fetch_update(Relaxed, Relaxed, |full_at_ns| {
                pace.taken(full_at_ns, now_ns, 1).ok()
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests;
