//! What becomes of a record that the upstream never takes: one promise at a time.

use super::super::aside::ASIDE_MAX;
use super::*;
use crate::policy::evidence::Lately;

/// The upstream took an event at this time.
fn took(ms: u64) -> Lately {
    Lately {
        took: Some(at(ms)),
        healthy: None,
    }
}

/// It said that it is well at this time.
fn healthy(ms: u64) -> Lately {
    Lately {
        took: None,
        healthy: Some(at(ms)),
    }
}

/// Lets the first record fail until it is set aside, at most so often; `lately` is what was seen
/// by the time of each failure. Yields how often it failed, and when it did last.
fn failing(replay: &mut Replay<u64>, most: u32, lately: impl Fn(u64) -> Lately) -> (u32, u64) {
    let mut now = 0;
    for times in 1..=most {
        let first = replay.next(at(now)).unwrap();
        match replay.failed(at(now), first.order, lately(now)).unwrap() {
            Failed::Rests(due) => now = due.0,
            Failed::SetAside(aside) => {
                assert_eq!(aside, first);
                return (times, now);
            }
        }
    }
    (most + 1, now)
}

#[track_caller]
fn check(lately: impl Fn(u64) -> Lately, want: Option<u32>) {
    let mut replay = replay(&[held(1, 1, Lane::Error)]);
    let (times, _) = failing(&mut replay, 1000, lately);
    assert_eq!((times <= 1000).then_some(times), want);
    assert_eq!(replay.aside(), usize::from(want.is_some()));
    assert_eq!(replay.len(), 1, "it is held all the same");
}

#[test]
fn one_that_fails_five_times_while_others_are_taken_is_set_aside() {
    check(took, Some(5));
    check(|now| took(now.saturating_sub(900)), Some(5));
}

#[test]
fn one_that_fails_while_nothing_is_taken_is_not() {
    check(|_| Lately::default(), None);
    check(|now| took(now.saturating_sub(60_000)), None);
}

#[test]
fn that_the_upstream_says_it_is_well_is_a_quarter_of_a_word() {
    check(healthy, Some(20));
    let both = |now| Lately {
        took: Some(at(now)),
        healthy: Some(at(now)),
    };
    check(both, Some(5));
}

#[test]
fn what_is_set_aside_goes_after_all_others_and_ever_more_seldom() {
    let mut replay = replay(&[held(1, 1, Lane::CheckIn)]);
    let (_, mut now) = failing(&mut replay, 5, took);
    replay.push(held(2, 1, Lane::Other)).unwrap();
    let mut waits = Vec::new();
    for _ in 0..6 {
        let until = (1..).map(|second| now + second * 1000);
        let due = until.into_iter().find(|ms| {
            let next = replay.next_aside(at(*ms));
            next.is_some_and(|next| next.order == 1)
        });
        let due = due.unwrap();
        waits.push((due - now) / 1000);
        now = due;
        let failed = replay.failed(at(now), 1, Lately::default());
        assert!(matches!(failed, Some(Failed::Rests(_))), "told once");
    }
    assert_eq!(waits, [60, 120, 240, 480, 600, 600]);
    assert_eq!(going(&mut replay, at(now + 600_000)), [2], "never in turn");
    assert_eq!(replay.next_aside(at(now + 600_000)).unwrap().order, 1);
    assert_eq!(replay.done(1).map(|held| held.order), Some(1));
    assert_eq!(replay.aside(), 0);
}

/// The bug: 32 at the front of a lane that are never taken held up all behind them.
#[test]
fn many_that_are_never_taken_hold_up_nobody() {
    let mut replay = Replay::new(1000);
    for order in 1..=200 {
        replay.push(held(order, 1, Lane::Error)).unwrap();
    }
    let mut taken = 0;
    for second in 0..600 {
        let now = at(second * 1000);
        while let Some(next) = replay.next(now) {
            if next.order <= 100 {
                replay.failed(now, next.order, took(now.0));
            } else {
                replay.done(next.order);
                taken += 1;
            }
        }
    }
    assert_eq!((taken, replay.aside(), replay.len()), (100, 100, 100));
}

#[test]
fn a_limit_holds_what_is_set_aside_too() {
    let mut replay = replay(&[held(1, 1, Lane::Error)]);
    let (_, now) = failing(&mut replay, 5, took);
    replay.pause(project(1), Lanes::ALL, at(now + 90_000));
    assert_eq!(replay.next_aside(at(now + 89_999)), None);
    assert_eq!(replay.next_aside(at(now + 90_000)).unwrap().order, 1);
    assert!(replay.put_back(1));
    assert_eq!((replay.aside(), replay.next(at(now + 90_000))), (1, None));
    assert_eq!(replay.next_aside(at(now + 90_000)).unwrap().order, 1);
    replay.again(at(now + 90_000), 1, 0);
    replay.pause_all(true);
    assert_eq!(replay.next_aside(at(now + 900_000)), None);
}

#[test]
fn what_is_set_aside_is_given_up_for_its_age_or_its_project_as_all_else() {
    let mut replay = replay(&[held(1, 1, Lane::Error)]);
    failing(&mut replay, 5, took);
    replay.push(held(3, 1, Lane::Error)).unwrap();
    assert_eq!(replay.oldest_at(), Some(1_000_001));
    let of_one = replay
        .summary(9)
        .into_iter()
        .find(|told| told.project == project(1));
    let of_one = of_one.unwrap();
    assert_eq!((of_one.records, of_one.oldest_at), (2, 1_000_001));
    let mut dropped = replay.drop_project(project(1)).map(|held| held.order);
    assert_eq!(
        (dropped.next(), dropped.next(), dropped.next()),
        (Some(3), Some(1), None)
    );
    drop(dropped);
    assert_eq!((replay.len(), replay.bytes(), replay.aside()), (0, 0, 0));
    replay.push(held(2, 2, Lane::Error)).unwrap();
    failing(&mut replay, 5, took);
    assert_eq!(replay.aside(), 1);
    assert_eq!(replay.expire(1_000_102, 100, 9), []);
    assert_eq!(replay.expire(1_000_103, 100, 9), [held(2, 2, Lane::Error)]);
    assert!(replay.is_empty());
}

#[test]
fn so_many_are_set_aside_and_no_more() {
    let count = u64::try_from(ASIDE_MAX).unwrap() + 40;
    let mut replay = Replay::new(10_000);
    for order in 1..=count {
        // A lane's first 32 rest at most.
        replay.push(held(order, order % 400, Lane::Error)).unwrap();
    }
    for second in 0..200 {
        let now = at(second * 1000);
        while let Some(next) = replay.next(now) {
            replay.failed(now, next.order, took(now.0));
        }
    }
    assert_eq!(replay.aside(), ASIDE_MAX);
    assert_eq!(u64::try_from(replay.len()), Ok(count));
}

#[test]
fn a_failure_that_repeats_says_less() {
    let mut replay = replay(&[held(1, 1, Lane::Error)]);
    assert_eq!(replay.next(at(0)).unwrap().order, 1);
    assert_eq!(
        replay.weight(1, 9_999),
        Weight::Repeat,
        "its client was there"
    );
    assert_eq!(replay.weight(1, 10_000), Weight::Whole);
    let mut weights = Vec::new();
    for times in 1..=6 {
        replay.failed(at(0), 1, Lately::default());
        assert_eq!(replay.next(at(60_000)).unwrap().order, 1);
        weights.push((times, replay.weight(1, 60_000) == Weight::Whole));
    }
    let want = (1..=6).map(|times| (times, times >= 5));
    assert_eq!(
        weights,
        want.collect::<Vec<_>>(),
        "16 s lie between the fifth and the sixth"
    );
    for _ in 0..5 {
        replay.failed(at(0), 1, took(0));
        let next = replay
            .next(at(60_000))
            .or_else(|| replay.next_aside(at(60_000)));
        assert_eq!(next.unwrap().order, 1);
    }
    assert_eq!(replay.weight(1, 60_000), Weight::Aside);
}
