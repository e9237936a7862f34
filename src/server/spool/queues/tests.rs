//! Promises about what is held for several Sentrys.

use super::super::holds::Holds;
use super::super::holds::tests::place;
use super::*;
use crate::policy::replay::lane::Lane;
use crate::telemetry::labels::MirrorPlace;

const FIRST: Destination = Some(Upstream::Ingest);
const NOBODY: Destination = None;

fn mirror(place: usize) -> Destination {
    Some(Upstream::Mirror(MirrorPlace::ALL[place]))
}

fn project(number: u64) -> Option<ProjectId> {
    ProjectId::parse(number.to_string().as_bytes())
}

/// Any place, which nothing here looks at: only a log gives one.
fn stowed() -> Stowed {
    let lies = place();
    let holds = Holds::default().note(1, None, &[]);
    Stowed { lies, holds }
}

/// These, each for somebody, of project 42, a second after the one before.
fn filled(records_max: usize, all: &[Destination]) -> Queues {
    let (mut queues, place) = (Queues::new(records_max), stowed());
    for (order, to) in (1..).zip(all) {
        let held = Held {
            place,
            order,
            at: order * 1000,
            project: project(42),
            lane: Lane::Error,
            bytes: 100,
        };
        queues.push(*to, held, false).unwrap();
    }
    queues
}

/// The orders that go to somebody, one after the other.
fn drained(queues: &mut Queues, to: Upstream) -> Vec<u64> {
    std::iter::from_fn(|| queues.next(to, Millis(0), false))
        .map(|held| held.order)
        .collect()
}

#[test]
fn each_sentry_gets_its_own_in_their_order_whatever_the_others_do() {
    let next = Upstream::Mirror(MirrorPlace::ALL[0]);
    let mut queues = filled(9, &[FIRST, mirror(0), FIRST, NOBODY, mirror(0)]);
    assert_eq!(drained(&mut queues, next), [2, 5]);
    assert_eq!(queues.destination(5), mirror(0));
    // It failed: that is nothing to the first.
    queues.again(Millis(0), 2);
    assert_eq!(queues.next(next, Millis(999), false), None);
    assert_eq!(queues.wakes_at(next), Some(Millis(1000)));
    assert_eq!(drained(&mut queues, Upstream::Ingest), [1, 3]);
    assert_eq!(queues.destination(3), FIRST);
    for unused in [Upstream::Web, Upstream::Mirror(MirrorPlace::ALL[1])] {
        assert_eq!(drained(&mut queues, unused), [0; 0]);
    }
    assert_eq!(
        queues.len(),
        5,
        "what is for nobody waits, with all under way"
    );
}

#[test]
fn each_is_told_with_how_much_waits_for_it_and_for_how_long() {
    let mut queues = filled(9, &[FIRST, mirror(1), NOBODY, mirror(1)]);
    let want = [(FIRST, 1, 1000), (mirror(1), 2, 2000), (NOBODY, 1, 3000)];
    assert_eq!(queues.by_destination(), want);
    let next = queues.next(Upstream::Ingest, Millis(0), false).unwrap();
    assert_eq!(queues.by_destination(), want, "what is under way is kept");
    queues.done(next.order);
    assert_eq!(queues.by_destination(), want[1..]);
}

#[test]
fn all_share_the_room() {
    let mut queues = filled(2, &[FIRST, mirror(0)]);
    let third = Held {
        order: 3,
        ..queues.next(Upstream::Ingest, Millis(0), false).unwrap()
    };
    assert!(queues.is_full());
    assert_eq!(queues.push(mirror(1), third, false), Err(NotHeld::Full));
    assert_eq!(queues.push(FIRST, third, true), Err(NotHeld::Full));
    assert_eq!(queues.done(1).unwrap().order, 1);
    assert_eq!(queues.room(), 1);
    assert_eq!(queues.push(NOBODY, third, false), Ok(()));
    assert_eq!((queues.len(), queues.is_empty()), (2, false));
}

#[test]
fn what_is_held_is_told_for_all_of_them_together() {
    let mut queues = filled(9, &[mirror(3), FIRST, NOBODY]);
    assert_eq!(queues.oldest_at(), Some(1000));
    let want = ProjectHeld {
        project: project(42),
        records: 3,
        bytes: 300,
        oldest_at: 1000,
    };
    assert_eq!(queues.summary(), [want]);
    let bits = |queues: &Queues| format!("{:07b}", queues.destinations());
    assert_eq!(
        bits(&queues),
        "1100001",
        "nobody, the last mirror, the first"
    );
    let over: Vec<u64> = queues
        .expire(3500, 1000, 1)
        .iter()
        .map(|held| held.order)
        .collect();
    assert_eq!(over.len(), 1, "at most so many");
    let rest = queues.expire(3500, 1000, 9);
    assert_eq!(over.len() + rest.len(), 2, "the youngest stays");
    assert_eq!(queues.drop_project(project(42)).len(), 1);
    assert_eq!(bits(&queues), "0000000");
    assert!(queues.is_empty());
}

#[test]
fn one_that_waits_is_taken_out_wherever_it_waits() {
    let mut queues = filled(9, &[FIRST, mirror(2)]);
    let held = Held {
        order: 2,
        ..queues.next(Upstream::Ingest, Millis(0), false).unwrap()
    };
    assert_eq!(queues.withdraw(&held).unwrap().order, 2);
    assert_eq!(queues.withdraw(&held), None);
    assert_eq!(queues.going(1).unwrap().order, 1);
    queues.put_back(1);
    assert_eq!(queues.going(1), None);
}
