//! What can be counted, each by one writer: events, a level, how long things took. Read from any
//! thread; never shared between writers, so that counting costs a load and a store.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A counter with a single writer.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds `n`. Only the owning worker may call this: two writers would lose counts.
    pub fn add(&self, n: u64) {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(n);
        self.0.store(sum, Ordering::Relaxed);
    }

    /// The count so far, from any thread.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A gauge with a single writer.
#[derive(Debug, Default)]
pub struct Level(AtomicI64);

impl Level {
    /// Moves the level by `n`.
    pub fn shift(&self, n: i64) {
        let level = self.0.load(Ordering::Relaxed).wrapping_add(n);
        self.0.store(level, Ordering::Relaxed);
    }

    /// The level now, from any thread.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the duration buckets, in microseconds: 1-2.5-5 from 0.5 ms,
/// and 120 s, where the longest timeout of a usual installation lies.
pub const BUCKETS_US: [u64; 18] = [
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    120_000_000,
];

/// How long things took: counts below each bound, and their sum.
#[derive(Debug, Default)]
pub struct Durations {
    /// Observations at or below each of `BUCKETS_US`, not cumulated.
    pub buckets: [Count; BUCKETS_US.len()],
    /// Observations above the last bound.
    pub above: Count,
    /// The sum of all, in microseconds.
    pub sum_us: Count,
}

impl Durations {
    /// Records one duration.
    pub fn observe(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let place = BUCKETS_US.partition_point(|bound| *bound < took_us);
        self.buckets.get(place).unwrap_or(&self.above).add(1);
        self.sum_us.add(took_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_bucket(took_us: u64, bucket: usize) {
        let durations = Durations::default();
        durations.observe(Duration::from_micros(took_us));
        let placed = durations.buckets.iter().position(|b| b.value() == 1);
        assert_eq!(placed.unwrap_or(BUCKETS_US.len()), bucket, "{took_us} us");
        assert_eq!(durations.sum_us.value(), took_us);
    }

    #[test]
    fn a_duration_on_a_bound_falls_below_it() {
        check_bucket(0, 0);
        check_bucket(500, 0);
        check_bucket(501, 1);
        check_bucket(120_000_000, 17);
        check_bucket(120_000_001, 18);
    }
}
