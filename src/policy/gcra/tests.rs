//! What a rate promises: its burst, its pace, and never more.

use std::num::NonZeroU32;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use governor::{Quota, RateLimiter};
use proptest::prelude::*;

use super::*;

/// Takes so many at each of these milliseconds, and compares with what must come out.
#[track_caller]
fn check(limit: u64, per_ms: u64, asked: &[(u64, u64)], want: &[bool]) {
    let pace = Pace::new(limit, per_ms * 1_000_000);
    let mut full_at_ns = 0;
    let mut take = |ms: u64, units| match pace.taken(full_at_ns, ms * 1_000_000, units) {
        Ok(next_ns) => {
            full_at_ns = next_ns;
            true
        }
        Err(_) => false,
    };
    let got: Vec<bool> = asked.iter().map(|(ms, units)| take(*ms, *units)).collect();
    assert_eq!(got, want, "{limit} in {per_ms} ms, at {asked:?}");
}

#[test]
fn a_full_bucket_gives_its_limit_and_no_more() {
    check(
        3,
        300,
        &[(0, 1), (0, 1), (0, 1), (0, 1)],
        &[true, true, true, false],
    );
    check(1, 100, &[(5, 1), (5, 1)], &[true, false]);
    // A third of a second is no whole number of nanoseconds, and yet three fit.
    check(3, 1000, &[(7, 2), (7, 1), (7, 1)], &[true, true, false]);
    check(3, 1000, &[(7, 3), (7, 1)], &[true, false]);
}

#[test]
fn a_bucket_refills_only_with_time() {
    check(
        2,
        200,
        &[(0, 1), (0, 1), (99, 1), (100, 1), (199, 1), (200, 1)],
        &[true, true, false, true, false, true],
    );
    check(2, 200, &[(0, 2), (900, 2), (900, 1)], &[true, true, false]);
}

#[test]
fn more_than_the_limit_never_fits_and_nothing_always_does() {
    check(
        5,
        1000,
        &[(0, 6), (90_000, 6), (90_000, 5)],
        &[false, false, true],
    );
    check(0, 1000, &[(0, 1), (90_000, 1), (90_000, 0)], &[false; 3]);
    check(5, 1000, &[(0, 5), (0, 0), (0, 1)], &[true, true, false]);
}

#[test]
fn who_is_refused_is_told_when_there_is_room() {
    let pace = Pace::new(10, SECOND_NS);
    let full = pace.taken(0, 0, 10).unwrap();
    assert_eq!(pace.taken(full, 0, 1), Err(SECOND_NS / 10));
    assert_eq!(pace.taken(full, 0, 10), Err(SECOND_NS));
    assert!(pace.taken(full, SECOND_NS / 10 - 1, 1).is_err());
    assert!(pace.taken(full, SECOND_NS / 10, 1).is_ok());
    assert_eq!(pace.taken(0, 0, 11), Err(SECOND_NS), "it never fits");
}

#[test]
fn gigabytes_a_second_are_exact_in_large_pieces() {
    let limit = 3 << 30;
    let pace = Pace::new(limit, SECOND_NS);
    let piece = 1 << 20;
    let mut full_at_ns = 0;
    let mut pieces = 0;
    while let Ok(next_ns) = pace.taken(full_at_ns, 0, piece) {
        full_at_ns = next_ns;
        pieces += 1;
    }
    assert!((3070..=3072).contains(&pieces), "{pieces} of 3072 pieces");
}

#[test]
fn the_end_of_time_is_no_way_around_it() {
    let gcra = Gcra::new(1);
    let passed = (0..3).filter(|_| gcra.take(u64::MAX - 1)).count();
    assert!(passed <= 1, "a saturated clock gave more than the burst");
}

#[test]
fn a_new_rate_keeps_what_was_used() {
    let gcra = Gcra::new(2);
    assert!(gcra.take(0) && gcra.take(0));
    gcra.retune(1);
    assert!(!gcra.take(SECOND_NS / 2), "the debt was forgotten");
    assert!(gcra.take(SECOND_NS), "the debt was never paid off");
    gcra.retune(0);
    assert!(!gcra.take(90 * SECOND_NS), "a rate of 0 let one through");
}

#[test]
fn what_is_given_back_at_once_can_be_taken_again() {
    let pace = Pace::new(2, 2 * SECOND_NS);
    let first = pace.taken(0, 0, 1).unwrap();
    let second = pace.taken(first, 0, 1).unwrap();
    assert_eq!(pace.given_back(second, 0, 0, 1), first);
}

#[test]
fn what_has_leaked_is_not_given_back() {
    let pace = Pace::new(4, 4 * SECOND_NS);
    let first = pace.taken(0, 0, 2).unwrap();
    assert_eq!(pace.given_back(first, SECOND_NS, 0, 2), SECOND_NS);
    // Without the first take the bucket would have been full when the second came.
    let both = pace.taken(first, SECOND_NS, 2).unwrap();
    let second = pace.taken(0, SECOND_NS, 2).unwrap();
    assert_eq!(pace.given_back(both, SECOND_NS, 0, 2), second);
    let later = pace.taken(first, 5 * SECOND_NS, 4).unwrap();
    assert_eq!(pace.given_back(later, 5 * SECOND_NS, 0, 2), later);
}

#[test]
fn threads_together_get_no_more_than_one_would() {
    const SPAN_MS: u64 = 200;
    let gcra = Gcra::new(1000);
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
    assert!(passed <= 1200, "{passed} passed, 1200 are allowed");
    assert!(
        passed >= 1000,
        "{passed} passed, the burst alone gives 1000"
    );
}

/// Rates whose unit is a whole number of nanoseconds, as governor counts: there it rounds nothing
/// away. For others it rounds a unit down where we round up, so it may say yes a nanosecond a unit
/// earlier.
fn whole() -> impl Strategy<Value = (u32, u64)> {
    (1..500_u32, 1..50_000_u64).prop_map(|(limit, unit_us)| (limit, unit_us * 1000))
}

proptest! {
    #[test]
    fn decisions_are_governors(
        (limit, unit_ns) in whole(),
        asks in prop::collection::vec((0..3000_u64, 1..600_u32), 1..200),
    ) {
        let clock = FakeRelativeClock::default();
        let quota = Quota::with_period(Duration::from_nanos(unit_ns))
            .unwrap()
            .allow_burst(NonZeroU32::new(limit).unwrap());
        let oracle = RateLimiter::direct_with_clock(quota, clock.clone());
        let pace = Pace::new(limit.into(), unit_ns * u64::from(limit));
        let (mut now_ns, mut full_at_ns) = (0, 0);
        for (step, units) in asks {
            let step_ns = step * unit_ns / 1000;
            now_ns += step_ns;
            clock.advance(Duration::from_nanos(step_ns));
            let units = 1 + (units - 1) % (limit + 1);
            let theirs = oracle.check_n(NonZeroU32::new(units).unwrap());
            let ours = pace.taken(full_at_ns, now_ns, units.into());
            prop_assert_eq!(ours.is_ok(), matches!(theirs, Ok(Ok(()))), "{} at {}", units, now_ns);
            full_at_ns = ours.unwrap_or(full_at_ns);
        }
    }

    #[test]
    fn no_interval_ever_sees_more_than_the_limit_and_its_pace(
        limit in prop_oneof![1..20_u64, 20..3000_u64, 1_000_000..4_000_000_000_u64],
        per_ns in prop_oneof![1..10_000_u64, 1_000_000..60_000_000_000_u64],
        asks in prop::collection::vec((0..1000_u64, 0..1000_u64, 0..9_usize), 1..150),
    ) {
        let pace = Pace::new(limit, per_ns);
        let (mut now_ns, mut full_at_ns) = (0_u64, 0);
        let mut passed: Vec<(u64, u64)> = Vec::new();
        for (step, share, back) in asks {
            now_ns += per_ns * step / 4000;
            // Of the last takes, any may be given back, long before its turn or late.
            if back < 4 && let Some(place) = passed.len().checked_sub(back + 1) {
                let (taken_ns, units) = passed.remove(place);
                full_at_ns = pace.given_back(full_at_ns, now_ns, taken_ns, units);
                continue;
            }
            let units = 1 + limit * share / 2000;
            if let Ok(next_ns) = pace.taken(full_at_ns, now_ns, units) {
                full_at_ns = next_ns;
                passed.push((now_ns, units));
            }
        }
        for (first, (begin_ns, _)) in passed.iter().enumerate() {
            let mut total = 0_u128;
            for (end_ns, units) in &passed[first..] {
                total += u128::from(*units);
                let refilled = u128::from(end_ns - begin_ns) * u128::from(limit);
                let most = u128::from(limit) + refilled / u128::from(per_ns);
                prop_assert!(total <= most, "{} passed, {} are allowed", total, most);
            }
        }
    }
}
