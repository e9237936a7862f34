//! What a flood cannot have: memory, a fresh bucket, or another's.

use super::*;

fn small() -> Counters {
    Counters::new(CounterLimits {
        ips: 6000,
        counters: 1000,
    })
}

/// Lets a million strangers charge one error each, and counts who passes. One sender used its limit
/// up before, and tries again all along.
#[track_caller]
fn check(by: By, per: Per, stranger: fn(u32) -> Who, passes_max: usize) {
    let counters = small();
    let spec = defaults(&[quota("a", ERROR, 3, per, by)]);
    let quotas = Quotas::compile(&spec, &counters);
    let limiter = Limiter { counters, quotas };
    assert_eq!(limiter.passes(at(0), &stranger(0), 9), 3);
    let mut passed = 0;
    for number in 1..=1_000_000 {
        passed += limiter.passes(at(0), &stranger(number), 1);
        if number % 1000 == 0 {
            limiter.counters.sweep(at(0));
            let again = limiter.passes(at(0), &stranger(0), 1);
            assert_eq!(again, 0, "the flood gave somebody a fresh bucket");
        }
    }
    assert!(passed <= passes_max, "{passed} passed, {passes_max} may");
    assert!(
        passed >= passes_max * 9 / 10,
        "{passed} passed, some {passes_max} should"
    );
    for table in limiter.counters.tables() {
        assert!(table.entries <= 6000, "{table:?}");
    }
    let turned_away: u64 = limiter
        .counters
        .tables()
        .iter()
        .map(|table| table.evictions)
        .sum();
    assert!(turned_away > 900_000, "{turned_away} found no place");
}

#[test]
fn a_million_addresses_share_what_is_left_over() {
    check(By::Ip, MINUTE, |number| who(1, 1, number), 6000 + 3);
    check(By::Ip, SECOND, |number| who(1, 1, number), 6000 + 3);
}

#[test]
fn a_million_keys_share_what_is_left_over() {
    check(By::Key, MINUTE, |number| who(1, number.into(), 1), 1000 + 3);
}

#[test]
fn a_million_projects_share_what_is_left_over() {
    check(
        By::Project,
        HOUR,
        |number| who(u64::from(number) + 1, 1, 1),
        1000 + 3,
    );
}

#[test]
fn places_are_free_again_once_they_mean_nothing() {
    let counters = small();
    let spec = defaults(&[
        quota("i", ERROR, 3, SECOND, By::Ip),
        quota("k", ERROR, 3, MINUTE, By::Key),
    ]);
    let quotas = Quotas::compile(&spec, &counters);
    let limiter = Limiter { counters, quotas };
    let flood = |ms, first: u32| -> usize {
        let numbers = first..first + 500;
        let passed =
            numbers.map(|number| limiter.passes(at(ms), &who(1, number.into(), number), 1));
        passed.sum()
    };
    assert_eq!(flood(0, 0), 500);
    assert_eq!(flood(0, 500), 500);
    assert!(flood(0, 1000) <= 3, "the table holds a thousand keys");
    // The window is over, and the moment of grace after it.
    for second in 0..40 {
        limiter.counters.sweep(at(70_000 + second * 1000));
    }
    let entries = limiter.counters.tables().map(|table| table.entries);
    assert_eq!(entries, [0, 0]);
    assert_eq!(flood(120_000, 2000), 500);
}

#[test]
fn a_flood_in_one_project_leaves_the_addresses_of_another_their_rest() {
    let counters = Counters::new(CounterLimits {
        ips: 6,
        counters: 10,
    });
    let spec = defaults(&[quota("i", ERROR, 3, MINUTE, By::Ip)]);
    let quotas = Quotas::compile(&spec, &counters);
    let limiter = Limiter { counters, quotas };
    let flood: usize = (0..1000)
        .map(|ip| limiter.passes(at(0), &who(1, 1, ip), 1))
        .sum();
    assert_eq!(flood, 6 + 3);
    assert_eq!(limiter.passes(at(0), &who(2, 1, 7), 9), 3);
    assert_eq!(limiter.passes(at(0), &who(2, 1, 8), 9), 0);
}
