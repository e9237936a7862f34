//! What quotas promise as time goes by, forward and back.

use super::*;

#[test]
fn a_window_gives_its_limit_and_the_next_one_gives_it_anew() {
    let limiter = Limiter::new(&global(&[quota("a", ERROR, 5, MINUTE, By::Project)]));
    let sender = who(1, 1, 1);
    assert_eq!(limiter.passes(at(1000), &sender, 9), 5);
    let refusal = |ms| limiter.refusal(at(ms), &sender, &items(ERROR, 1));
    assert_eq!(refusal(1000), ("a".to_owned(), 59));
    assert_eq!(refusal(59_999), ("a".to_owned(), 1));
    assert_eq!(limiter.passes(at(60_000), &sender, 9), 5);
}

#[test]
fn a_month_ends_with_the_calendars() {
    let limiter = Limiter::new(&global(&[quota("a", ERROR, 1, Per::Month, By::Project)]));
    let sender = who(1, 1, 1);
    const DAY_MS: u64 = 86_400_000;
    assert_eq!(limiter.passes(at(0), &sender, 2), 1);
    let last = limiter.refusal(at(31 * DAY_MS - 1), &sender, &items(ERROR, 1));
    assert_eq!(last, ("a".to_owned(), 1));
    assert_eq!(limiter.passes(at(31 * DAY_MS), &sender, 2), 1);
    assert_eq!(limiter.passes(at(58 * DAY_MS), &sender, 2), 0);
    assert_eq!(limiter.passes(at(59 * DAY_MS), &sender, 2), 1);
}

#[test]
fn a_rate_refills_and_says_when() {
    let slow = quota(
        "a",
        ERROR,
        2,
        Per::Rate(Duration::from_secs(20)),
        By::Project,
    );
    let limiter = Limiter::new(&global(&[slow]));
    let sender = who(1, 1, 1);
    assert_eq!(limiter.passes(at(0), &sender, 3), 2);
    let full = limiter
        .charge(at(500), &sender, &items(ERROR, 1))
        .unwrap_err();
    assert_eq!((full.reason, full.retry_after_s), (Reason::Rate, 10));
    assert_eq!(limiter.passes(at(9_999), &sender, 1), 0);
    assert_eq!(limiter.passes(at(10_000), &sender, 2), 1);
}

#[test]
fn what_is_given_back_in_its_window_can_be_used_again() {
    let limiter = Limiter::new(&defaults(&[
        quota("a", ERROR, 2, MINUTE, By::Project),
        quota("b", ERROR, 2, MINUTE, By::Ip),
        quota("c", ERROR, 2, MINUTE, By::Key),
    ]));
    let sender = who(1, 1, 1);
    let give_back = |now, charged| {
        let applying = limiter.quotas.of(&sender);
        applying.give_back(now, charged, &items(ERROR, 1), &limiter.counters);
    };
    assert_eq!(limiter.passes(at(0), &sender, 9), 2);
    give_back(at(10_000), at(0));
    assert_eq!(limiter.passes(at(10_000), &sender, 9), 1);
    assert_eq!(limiter.passes(at(60_000), &sender, 1), 1);
    give_back(at(60_000), at(0));
    assert_eq!(
        limiter.passes(at(60_000), &sender, 9),
        1,
        "another window's came back"
    );
    for _ in 0..9 {
        give_back(at(60_000), at(60_000));
    }
    assert_eq!(
        limiter.passes(at(60_000), &sender, 9),
        2,
        "a window went below nothing"
    );
}

#[test]
fn a_thread_whose_clock_is_behind_charges_the_window_that_has_begun() {
    let limiter = Limiter::new(&global(&[quota("a", ERROR, 3, MINUTE, By::Project)]));
    let sender = who(1, 1, 1);
    assert_eq!(limiter.passes(at(60_000), &sender, 2), 2);
    assert_eq!(limiter.passes(at(59_999), &sender, 9), 1);
    assert_eq!(limiter.refusal(at(59_000), &sender, &items(ERROR, 1)).1, 61);
    assert_eq!(limiter.passes(at(60_000), &sender, 9), 0);
}

#[test]
fn a_clock_that_was_set_back_begins_anew_and_locks_nobody_out() {
    let limiter = Limiter::new(&global(&[quota("a", ERROR, 3, MINUTE, By::Project)]));
    assert_eq!(limiter.passes(at(3_600_000), &who(1, 1, 1), 9), 3);
    assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 9), 3);
}
