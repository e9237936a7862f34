//! A rate that all threads share: the generic cell rate algorithm on one atomic.
//! Owns its arithmetic; never reads a clock, never waits.
//!
//! One number is the whole state: the time at which the bucket would be full
//! again. A share per worker would be wrong, since the kernel spreads connections
//! unevenly; so all workers compare and swap one word. A refusal only reads it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SECOND_NS: u64 = 1_000_000_000;

/// Stands for a rate that lets nothing through.
const CLOSED: u64 = u64::MAX;

/// In any interval t, over all threads together, at most `burst + rate * t` are let through.
///
/// The pace is whole nanoseconds, rounded up: never faster than asked, and slower by one part in
/// `1e9 / rate`, which shows above a million a second only.
#[derive(Debug)]
pub struct Gcra {
    full_at_ns: AtomicU64,
    interval_ns: AtomicU64,
    ahead_ns_max: AtomicU64,
}

impl Gcra {
    /// A full bucket. A rate or a burst of 0 lets nothing through.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let gcra = Self {
            full_at_ns: AtomicU64::new(0),
            interval_ns: AtomicU64::new(CLOSED),
            ahead_ns_max: AtomicU64::new(0),
        };
        gcra.retune(per_second, burst);
        gcra
    }

    /// Changes the rate and keeps what was used: a reload hands nobody a fresh bucket. What other
    /// threads decide meanwhile follows the old numbers or a mix of both.
    pub fn retune(&self, per_second: u32, burst: u32) {
        let interval_ns = match (per_second, burst) {
            (0, _) | (_, 0) => CLOSED,
            (rate, _) => SECOND_NS.div_ceil(u64::from(rate)),
        };
        let ahead_ns = u64::from(burst.saturating_sub(1)).saturating_mul(interval_ns);
        self.interval_ns.store(interval_ns, Relaxed);
        self.ahead_ns_max.store(ahead_ns, Relaxed);
    }

    /// Takes one, if the rate has room for it at this time.
    pub fn take(&self, now_ns: u64) -> bool {
        let interval_ns = self.interval_ns.load(Relaxed);
        if interval_ns == CLOSED {
            return false;
        }
        let latest_ns = now_ns.saturating_add(self.ahead_ns_max.load(Relaxed));
        let mut full_at_ns = self.full_at_ns.load(Relaxed);
        // Each failed turn is another thread's take, so the burst bounds the turns.
        while full_at_ns <= latest_ns {
            let next_ns = full_at_ns.max(now_ns).saturating_add(interval_ns);
            let swapped = self
                .full_at_ns
                .compare_exchange_weak(full_at_ns, next_ns, Relaxed, Relaxed);
            match swapped {
                Ok(_) => return true,
                Err(seen_ns) => full_at_ns = seen_ns,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    /// Takes at each of these milliseconds, and compares with what must come out.
    #[track_caller]
    fn check(per_second: u32, burst: u32, asked_ms: &[u64], want: &[bool]) {
        let gcra = Gcra::new(per_second, burst);
        let got: Vec<bool> = asked_ms
            .iter()
            .map(|ms| gcra.take(ms * 1_000_000))
            .collect();
        assert_eq!(got, want, "{per_second}/s, burst {burst}, at {asked_ms:?}");
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_no_more() {
        check(10, 3, &[0, 0, 0, 0], &[true, true, true, false]);
        check(10, 1, &[5, 5], &[true, false]);
    }

    #[test]
    fn a_bucket_refills_only_with_time() {
        check(
            10,
            2,
            &[0, 0, 99, 100, 199, 200],
            &[true, true, false, true, false, true],
        );
        check(
            10,
            2,
            &[0, 0, 900, 900, 900],
            &[true, true, true, true, false],
        );
    }

    #[test]
    fn a_rate_or_a_burst_of_zero_lets_nothing_through() {
        check(0, 5, &[0, 1_000_000], &[false, false]);
        check(5, 0, &[0, 1_000_000], &[false, false]);
    }

    #[test]
    fn the_end_of_time_is_no_way_around_it() {
        let gcra = Gcra::new(1, 1);
        assert!(gcra.take(u64::MAX - 1));
        let again = (0..3).filter(|_| gcra.take(u64::MAX - 1)).count();
        assert_eq!(again, 0, "a saturated clock gave more than the burst");
    }

    #[test]
    fn a_new_rate_keeps_what_was_used() {
        let gcra = Gcra::new(1, 2);
        assert!(gcra.take(0) && gcra.take(0));
        gcra.retune(1, 1);
        assert!(!gcra.take(SECOND_NS), "the debt was forgotten");
        assert!(gcra.take(2 * SECOND_NS), "the debt was never paid off");
    }

    #[test]
    fn threads_together_get_no_more_than_one_would() {
        const SPAN_MS: u64 = 200;
        let gcra = Gcra::new(1000, 50);
        let passed = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..4 {
                let (gcra, passed) = (&gcra, &passed);
                scope.spawn(move || {
                    // Each thread walks the same time in steps of its own.
                    for step in 0..SPAN_MS * 100 {
                        let now_ns = step * 10_000 + thread;
                        passed.fetch_add(usize::from(gcra.take(now_ns)), Relaxed);
                    }
                });
            }
        });
        let passed = passed.load(Relaxed);
        assert!(passed <= 50 + 200, "{passed} passed, 250 are allowed");
        assert!(passed >= 200, "{passed} passed, the rate alone gives 200");
    }

    proptest! {
        #[test]
        fn no_interval_ever_sees_more_than_burst_and_rate(
            per_second in 1..2000_u32,
            burst in 1..20_u32,
            steps_us in prop::collection::vec(0..20_000_u64, 1..300),
        ) {
            let gcra = Gcra::new(per_second, burst);
            let mut now_ns = 0;
            let mut passed_ns: Vec<u64> = Vec::new();
            for step_us in steps_us {
                now_ns += step_us * 1000;
                let idle = passed_ns.last().is_none_or(|last| {
                    now_ns - last >= SECOND_NS.div_ceil(u64::from(per_second))
                });
                let took = gcra.take(now_ns);
                prop_assert!(took || !idle, "refused although a whole interval went by unused");
                if took {
                    passed_ns.push(now_ns);
                }
            }
            for (first, begin_ns) in passed_ns.iter().enumerate() {
                for (last, end_ns) in passed_ns.iter().enumerate().skip(first) {
                    let rate = u128::from(end_ns - begin_ns) * u128::from(per_second);
                    let most = u128::from(burst) + rate / u128::from(SECOND_NS);
                    let passed = u128::try_from(last - first + 1).expect("a few hundred");
                    prop_assert!(passed <= most, "{} passed, {} are allowed", passed, most);
                }
            }
        }
    }
}
