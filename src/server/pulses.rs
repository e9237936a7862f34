//! Whether every worker still comes round. Owns when each was last seen; does nothing about one
//! that hangs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::policy::millis::Millis;

/// Stands for a worker that has ended, as it should.
const ENDED: u64 = u64::MAX;

/// When each worker was last seen at work.
#[derive(Debug)]
pub(crate) struct Pulses {
    beats: Box<[AtomicU64]>,
}

/// A worker that does not come round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Late {
    /// Its number.
    pub worker: usize,
    /// How long it was not seen.
    pub silent: Duration,
}

impl Pulses {
    /// So many workers, all of them at work at the edge's beginning.
    pub(crate) fn new(workers: usize) -> Self {
        let beats = std::iter::repeat_with(AtomicU64::default).take(workers);
        Self {
            beats: beats.collect(),
        }
    }

    /// A worker is at work.
    pub(crate) fn beat(&self, worker: usize, now: Millis) {
        self.set(worker, now.0);
    }

    /// A worker has ended; it will not be missed.
    pub(crate) fn end(&self, worker: usize) {
        self.set(worker, ENDED);
    }

    fn set(&self, worker: usize, value: u64) {
        if let Some(beat) = self.beats.get(worker) {
            beat.store(value, Ordering::Relaxed);
        }
    }

    /// The worker that was not seen for the longest time, where that is longer than `patience`.
    pub(crate) fn late(&self, now: Millis, patience: Duration) -> Option<Late> {
        let beats = self.beats.iter().enumerate();
        let silent = beats.map(|(worker, beat)| Late {
            worker,
            silent: Duration::from_millis(now.0.saturating_sub(beat.load(Ordering::Relaxed))),
        });
        let longest = silent.max_by_key(|late| late.silent)?;
        (longest.silent > patience).then_some(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(1000);

    #[track_caller]
    fn check(beats: &[Option<u64>], now: u64, late: Option<(usize, u64)>) {
        let pulses = Pulses::new(beats.len());
        for (worker, beat) in beats.iter().enumerate() {
            match beat {
                Some(at) => pulses.beat(worker, Millis(*at)),
                None => pulses.end(worker),
            }
        }
        let found = pulses.late(Millis(now), PATIENCE);
        let expected = late.map(|(worker, ms)| Late {
            worker,
            silent: Duration::from_millis(ms),
        });
        assert_eq!(found, expected, "{beats:?} at {now}");
    }

    #[test]
    fn workers_that_come_round_are_not_late() {
        check(&[Some(0)], 0, None);
        check(&[Some(500), Some(1000)], 1500, None);
    }

    #[test]
    fn the_one_that_is_silent_beyond_patience_is_named() {
        check(&[Some(500), Some(1400)], 1501, Some((0, 1001)));
        check(&[Some(700), Some(100)], 5000, Some((1, 4900)));
    }

    #[test]
    fn a_worker_that_ended_is_not_missed() {
        check(&[None, Some(4900)], 5000, None);
        check(&[None], 5000, None);
        check(&[], 5000, None);
    }

    #[test]
    fn a_worker_seen_after_now_was_read_is_not_late() {
        check(&[Some(2001)], 2000, None);
    }
}
