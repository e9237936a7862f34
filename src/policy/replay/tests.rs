//! What a replay promises, one promise at a time; a history against its model is in
//! `model`, long runs are in `fairness`.

use super::aside::Tried;
use super::queue::Queue;
use super::*;
use crate::domain::category::{Categories, Category};

mod aside;
mod fairness;
mod model;

fn at(ms: u64) -> Millis {
    Millis(ms)
}

fn project(number: u64) -> Name {
    ProjectId::parse(number.to_string().as_bytes())
}

fn held(order: u64, project_number: u64, lane: Lane) -> Held<u64> {
    Held {
        place: order * 100,
        order,
        at: 1_000_000 + order,
        project: project(project_number),
        lane,
        bytes: 10,
    }
}

fn replay(records: &[Held<u64>]) -> Replay<u64> {
    let mut replay = Replay::new(1000);
    for record in records {
        assert_eq!(replay.push(*record), Ok(()));
    }
    replay
}

/// The orders that go at this time.
fn going(replay: &mut Replay<u64>, now: Millis) -> Vec<u64> {
    std::iter::from_fn(|| replay.next(now))
        .map(|held| held.order)
        .collect()
}

#[track_caller]
fn check(records: &[(u64, u64, Lane)], want: &[u64]) {
    let records = records
        .iter()
        .map(|(order, number, lane)| held(*order, *number, *lane));
    let mut replay = replay(&records.collect::<Vec<_>>());
    assert_eq!(going(&mut replay, at(0)), want);
}

#[test]
fn one_lane_goes_in_its_order_however_it_came() {
    let lane = Lane::Error;
    check(&[(1, 1, lane), (2, 1, lane), (3, 1, lane)], &[1, 2, 3]);
    check(
        &[(3, 1, lane), (1, 1, lane), (4, 1, lane), (2, 1, lane)],
        &[1, 2, 3, 4],
    );
}

#[test]
fn check_ins_go_first_of_all() {
    check(
        &[
            (1, 1, Lane::Error),
            (2, 2, Lane::Error),
            (3, 3, Lane::CheckIn),
            (4, 1, Lane::CheckIn),
        ],
        &[4, 3, 1, 2],
    );
    let mut replay = replay(&[held(1, 1, Lane::Error), held(2, 1, Lane::Error)]);
    assert_eq!(replay.next(at(0)).unwrap().order, 1);
    replay.push(held(3, 2, Lane::CheckIn)).unwrap();
    assert_eq!(replay.next(at(0)).unwrap().order, 3);
}

#[test]
fn projects_take_turns() {
    let lane = Lane::Error;
    check(
        &[
            (1, 1, lane),
            (2, 1, lane),
            (3, 1, lane),
            (4, 2, lane),
            (5, 0, lane),
            (6, 0, lane),
        ],
        &[5, 1, 4, 6, 2, 3],
    );
}

#[test]
fn important_lanes_go_before_others_of_their_project() {
    check(
        &[
            (1, 1, Lane::Other),
            (2, 1, Lane::Replay),
            (3, 1, Lane::Attachment),
            (4, 1, Lane::Transaction),
            (5, 1, Lane::Error),
        ],
        &[5, 4, 3, 2, 1],
    );
}

#[test]
fn what_failed_goes_first_once_it_is_due_and_holds_nobody_up() {
    let records: Vec<_> = (1..=4).map(|order| held(order, 1, Lane::Error)).collect();
    let mut replay = replay(&records);
    let first = replay.next(at(0)).unwrap();
    assert_eq!(replay.again(at(0), first.order, 0), Some(at(1000)));
    assert_eq!(replay.next(at(999)).unwrap().order, 2);
    assert_eq!(replay.next(at(1000)), Some(first));
    assert_eq!(replay.again(at(1000), 1, 0), Some(at(3000)));
    assert_eq!(replay.again(at(1000), 2, 5000), Some(at(6000)));
    assert_eq!(replay.next(at(1001)).unwrap().order, 3);
    assert_eq!(going(&mut replay, at(6000)), [1, 2, 4]);
    assert_eq!(replay.under_way(), 4);
}

#[test]
fn waits_double_up_to_a_minute() {
    let waits: Vec<_> = (1..=9).map(|tries| backoff_ms(tries) / 1000).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!((backoff_ms(0), backoff_ms(u8::MAX)), (1000, 60_000));
    let mut replay = replay(&[held(1, 1, Lane::Error)]);
    let mut now = at(0);
    for _ in 0..600 {
        let due = replay.wakes_at().unwrap_or(now);
        now = now.max(due);
        assert_eq!(replay.next(now).unwrap().order, 1);
        replay.again(now, 1, 0);
    }
    assert_eq!(replay.wakes_at().unwrap().since(now), 60_000);
}

#[test]
fn a_lane_that_fails_as_a_whole_waits_as_a_whole() {
    let records: Vec<_> = (1..=40).map(|order| held(order, 1, Lane::Error)).collect();
    let mut replay = replay(&records);
    for order in 1..=32 {
        assert_eq!(replay.next(at(0)).unwrap().order, order);
        replay.again(at(0), order, 9000);
    }
    assert_eq!(replay.next(at(8999)), None);
    assert_eq!(replay.wakes_at(), Some(at(9000)));
    assert_eq!(going(&mut replay, at(9000)), (1..=40).collect::<Vec<_>>());
}

#[test]
fn what_does_not_count_as_an_attempt_goes_back_where_it_was() {
    let mut replay = replay(&[held(1, 1, Lane::Error), held(2, 1, Lane::Error)]);
    assert_eq!(replay.next(at(0)).unwrap().order, 1);
    assert!(replay.put_back(1));
    assert!(!replay.put_back(1));
    assert_eq!(going(&mut replay, at(0)), [1, 2]);
    assert_eq!(replay.again(at(0), 1, 0), Some(at(1000)), "its first wait");
}

#[test]
fn a_pause_holds_its_lanes_until_it_is_over() {
    let mut replay = replay(&[
        held(1, 1, Lane::Error),
        held(2, 1, Lane::Transaction),
        held(3, 1, Lane::CheckIn),
        held(4, 2, Lane::Error),
    ]);
    let errors = Lanes::limited(Categories::of(&[Category::Error]));
    replay.pause(project(1), errors, at(500));
    replay.pause(project(1), errors, at(300));
    assert_eq!(going(&mut replay, at(0)), [3, 2, 4]);
    assert_eq!(replay.wakes_at(), Some(at(500)));
    assert_eq!(replay.next(at(499)), None);
    assert_eq!(replay.next(at(500)).unwrap().order, 1);
    for order in 1..=4 {
        replay.put_back(order);
    }
    replay.pause(project(1), Lanes::limited(Categories::EMPTY), at(900));
    assert_eq!(going(&mut replay, at(600)), [4]);
    assert_eq!(going(&mut replay, at(900)), [3, 1, 2]);
}

#[test]
fn nothing_goes_while_all_is_paused() {
    let mut replay = replay(&[held(1, 1, Lane::CheckIn)]);
    replay.pause_all(true);
    assert!(replay.is_paused() && replay.next(at(0)).is_none());
    replay.pause_all(false);
    assert_eq!(going(&mut replay, at(0)), [1]);
}

#[test]
fn no_more_are_held_than_may_be_and_none_twice() {
    let mut replay = Replay::new(3);
    assert_eq!(replay.push(held(1, 1, Lane::Error)), Ok(()));
    assert_eq!(replay.push(held(1, 1, Lane::Error)), Err(NotHeld::Twice));
    assert_eq!(replay.push_under_way(held(2, 1, Lane::Error)), Ok(()));
    assert_eq!(replay.push(held(2, 1, Lane::Error)), Err(NotHeld::Twice));
    assert_eq!(replay.push(held(3, 1, Lane::Error)), Ok(()));
    assert_eq!(replay.push(held(4, 1, Lane::Error)), Err(NotHeld::Full));
    assert_eq!(
        replay.push_under_way(held(4, 1, Lane::Error)),
        Err(NotHeld::Full)
    );
    assert_eq!((replay.len(), replay.bytes()), (3, 30));
    assert_eq!(replay.done(2), Some(held(2, 1, Lane::Error)));
    assert_eq!(replay.done(2), None);
    assert_eq!(replay.push(held(4, 1, Lane::Error)), Ok(()));
}

#[test]
fn one_that_was_delivered_late_is_never_handed_out() {
    let mut replay = replay(&[held(1, 1, Lane::Error), held(3, 1, Lane::Error)]);
    replay.push_under_way(held(2, 1, Lane::Error)).unwrap();
    assert_eq!(going(&mut replay, at(0)), [1, 3]);
    assert!(replay.done(2).is_some());
    replay.put_back(3);
    assert_eq!(
        replay.withdraw(project(1), Lane::Error, 3),
        Some(held(3, 1, Lane::Error))
    );
    assert_eq!(replay.withdraw(project(1), Lane::Error, 3), None);
    assert_eq!(replay.next(at(0)), None);
    replay.push_under_way(held(4, 1, Lane::Error)).unwrap();
    replay.again(at(0), 4, 0);
    assert_eq!(
        replay.next(at(1000)).unwrap().order,
        4,
        "one that was not is"
    );
}

#[test]
fn what_is_too_old_is_given_up_oldest_first() {
    let mut records: Vec<_> = (1..=6)
        .map(|order| held(order, order % 3, Lane::Error))
        .collect();
    records.push(held(7, 1, Lane::CheckIn));
    let mut replay = replay(&records);
    assert_eq!(replay.next(at(0)).unwrap().order, 7);
    assert_eq!(replay.expire(1_000_100, 100, 10), []);
    let orders =
        |expired: Vec<Held<u64>>| -> Vec<u64> { expired.iter().map(|held| held.order).collect() };
    assert_eq!(orders(replay.expire(1_000_106, 100, 3)), [1, 2, 3]);
    assert_eq!(orders(replay.expire(1_000_106, 100, 3)), [4, 5]);
    assert_eq!(replay.oldest_at(), Some(1_000_006));
    assert_eq!(
        orders(replay.expire(2_000_000, 100, 3)),
        [6],
        "not what is under way"
    );
    assert_eq!((replay.len(), replay.bytes()), (1, 10));
    assert_eq!(replay.next(at(0)), None);
}

#[test]
fn a_project_is_given_up_whole_but_for_what_is_under_way() {
    let mut replay = replay(&[
        held(1, 1, Lane::Error),
        held(2, 1, Lane::Replay),
        held(3, 2, Lane::Error),
        held(4, 1, Lane::CheckIn),
        held(5, 1, Lane::Error),
    ]);
    assert_eq!(replay.next(at(0)).unwrap().order, 4);
    let dropped: Vec<_> = replay.drop_project(project(1)).collect();
    assert_eq!(
        dropped,
        [
            held(1, 1, Lane::Error),
            held(5, 1, Lane::Error),
            held(2, 1, Lane::Replay)
        ]
    );
    assert_eq!((replay.len(), replay.bytes()), (2, 20));
    assert_eq!(replay.drop_project(project(1)).count(), 0);
    assert_eq!(replay.drop_project(project(9)).count(), 0);
    assert_eq!(going(&mut replay, at(0)), [3]);
    replay.put_back(4);
    drop(replay.drop_project(project(1)));
    assert_eq!((replay.len(), replay.next(at(0))), (1, None));
}

#[test]
fn a_summary_names_the_largest() {
    let mut records = vec![held(1, 1, Lane::Error), held(2, 2, Lane::Error)];
    records.extend([
        held(3, 3, Lane::Error),
        held(4, 3, Lane::Replay),
        held(5, 0, Lane::Error),
    ]);
    records[1].bytes = 7;
    let mut replay = replay(&records);
    assert_eq!(replay.next(at(0)).unwrap().order, 5);
    let told = |number, records, bytes, oldest_at| ProjectHeld {
        project: project(number),
        records,
        bytes,
        oldest_at,
    };
    let [three, none, one] = [
        told(3, 2, 20, 1_000_003),
        told(0, 1, 10, 1_000_005),
        told(1, 1, 10, 1_000_001),
    ];
    assert_eq!(replay.summary(0), []);
    assert_eq!(replay.summary(1), [three]);
    assert_eq!(replay.summary(3), [three, none, one]);
    assert_eq!(replay.summary(9).len(), 4);
    assert_eq!(replay.oldest_at(), Some(1_000_001));
    assert!(!replay.is_empty());
}

#[test]
fn a_waiting_record_takes_forty_bytes_at_most() {
    let waiting = size_of::<Waiting<u64>>();
    assert_eq!(waiting, 32);
    let mut queue = Queue::default();
    let room = |queue: &Queue<u64>, count: usize| {
        let bytes = queue.room() * waiting;
        assert!(bytes <= count * 40 + 8 * waiting, "{bytes} for {count}");
    };
    for order in 0..100_000 {
        assert!(queue.add(Waiting::new(
            &held(order, 1, Lane::Error),
            Tried::default(),
            at(0)
        )));
        room(&queue, usize::try_from(order).unwrap() + 1);
    }
    for left in (0..100_000).rev() {
        assert!(queue.take_front().is_some());
        room(&queue, left);
    }
}

#[test]
fn a_project_takes_some_five_hundred_bytes() {
    let project = size_of::<Project<u64>>();
    assert!(project <= 500, "{project}");
}

#[test]
fn a_clock_that_goes_back_loses_nothing() {
    let mut replay = replay(&[held(1, 1, Lane::Error), held(2, 1, Lane::Error)]);
    assert_eq!(replay.next(at(9000)).unwrap().order, 1);
    replay.again(at(9000), 1, 0);
    replay.pause(project(1), Lanes::ALL, at(9500));
    assert_eq!(replay.next(at(0)), None);
    assert_eq!(going(&mut replay, at(10_000)), [1, 2]);
}
