//! Promises about when Sentry is asked for which key.

use super::*;

const RULES: AskingRules = AskingRules {
    keys_max: 8,
    strangers_max: 4,
    strangers_per_s: 1,
    fresh_ms: 60_000,
    unknown_ms: 30_000,
    pending_ms: 500,
};

/// A multiple of what questions are gathered over.
const T0: Millis = Millis(60_000);

fn key(number: u64) -> Key {
    Key::parse(format!("{number:032x}").as_bytes()).unwrap()
}

fn asking() -> Asking {
    Asking::new(T0, RULES)
}

/// The keys whose time has come, as numbers, taken.
fn take(asking: &mut Asking, now: Millis) -> Vec<u64> {
    let taken = asking.take(now, usize::MAX).into_iter();
    let mut taken: Vec<u64> = taken
        .map(|question| u64::from_str_radix(question.key.as_str(), 16).unwrap())
        .collect();
    taken.sort_unstable();
    taken
}

fn rev(word: &str) -> Option<Rev> {
    let word = word.into();
    let depth = Depth::Full;
    Some(Rev { word, depth })
}

fn state(word: &str) -> Told {
    Told::State(rev(word))
}

/// When a named key is asked for again after such an answer, which follows `before`.
#[track_caller]
fn check_wait(before: &[Told], told: Told, want_ms: u64) {
    let mut asking = asking();
    assert!(asking.name(T0, &key(1), None));
    for told in before {
        let now = asking.next().unwrap();
        asking.take(now, 1);
        asking.told(now, &key(1), told.clone(), 0.0);
    }
    let now = asking.next().unwrap();
    asking.take(now, 1);
    asking.told(now, &key(1), told, 0.0);
    assert_eq!(asking.next().map(|due| due.since(now)), Some(want_ms));
    let due = now.plus(want_ms);
    assert_eq!(take(&mut asking, Millis(due.0 - 1)), [0; 0]);
    assert_eq!(take(&mut asking, due), [1]);
    assert_eq!(take(&mut asking, due.plus(100_000)), [0; 0], "under way");
}

#[test]
fn each_answer_has_its_wait() {
    check_wait(&[], state("a"), 60_000);
    check_wait(&[state("a")], Told::Unchanged, 60_000);
    check_wait(&[], Told::Unknown, 30_000);
    check_wait(&[], Told::Pending, 500);
    check_wait(&[Told::Pending], Told::Pending, 1000);
    check_wait(&[Told::Pending, Told::Pending], Told::Pending, 2000);
    let long: Vec<Told> = vec![Told::Pending; 30];
    check_wait(&long, Told::Pending, 60_000);
    check_wait(&[Told::Pending, state("a")], Told::Pending, 500);
}

/// What Sentry cannot work out, or nobody read, would be asked for twice a second for ever.
#[test]
fn what_is_known_and_worked_out_again_waits_longer_each_time() {
    let known = |pending: usize| [vec![state("a")], vec![Told::Pending; pending]].concat();
    check_wait(&known(0), Told::Pending, 500);
    check_wait(&known(1), Told::Pending, 1000);
    check_wait(&known(2), Told::Pending, 2000);
    check_wait(&known(30), Told::Pending, 60_000);
    for word in [state("b"), Told::Unchanged, Told::Unknown] {
        check_wait(&[known(3), vec![word]].concat(), Told::Pending, 500);
    }
}

#[test]
fn what_was_asked_for_together_drifts_apart() {
    let mut asking = asking();
    asking.name(T0, &key(1), None);
    asking.take(T0, 1);
    asking.told(T0, &key(1), state("a"), 1.0);
    assert_eq!(asking.next(), Some(T0.plus(54_000)));
}

#[test]
fn what_is_only_asked_again_is_asked_for_together() {
    let mut asking = asking();
    for number in 1..=3 {
        asking.name(T0, &key(number), None);
    }
    asking.take(T0, 3);
    asking.told(T0, &key(1), state("a"), 0.0);
    asking.told(T0.plus(1), &key(2), state("a"), 0.0);
    asking.told(T0.plus(2_999), &key(3), state("a"), 0.0);
    assert_eq!(take(&mut asking, T0.plus(60_000)), [1]);
    assert_eq!(take(&mut asking, T0.plus(62_999)), [0; 0]);
    assert_eq!(take(&mut asking, T0.plus(63_000)), [2, 3]);
}

#[test]
fn a_question_names_the_revision_that_is_known() {
    let mut asking = asking();
    asking.name(T0, &key(1), rev("old"));
    let named = |asking: &mut Asking| {
        let now = asking.next().unwrap();
        asking.take(now, 1).remove(0).rev
    };
    assert_eq!(named(&mut asking), rev("old"));
    for (told, want) in [
        (Told::Unchanged, rev("old")),
        (state("new"), rev("new")),
        (Told::Pending, rev("new")),
        (Told::State(None), None),
        (state("newer"), rev("newer")),
        (Told::Unknown, None),
    ] {
        asking.told(T0, &key(1), told.clone(), 0.0);
        assert_eq!(named(&mut asking), want, "{told:?}");
    }
}

#[test]
fn those_that_waited_longest_are_asked_for_first() {
    let mut asking = asking();
    for number in [3, 1, 2] {
        asking.name(T0.plus(number), &key(number), None);
    }
    let first: Vec<Key> = asking
        .take(T0.plus(10), 2)
        .into_iter()
        .map(|question| question.key)
        .collect();
    assert_eq!(first, [key(1), key(2)]);
    asking.unasked(T0.plus(10), &key(1));
    assert_eq!(take(&mut asking, T0.plus(10)), [1, 3]);
}

#[test]
fn a_stranger_that_sentry_does_not_know_is_asked_for_once() {
    let mut asking = asking();
    assert!(asking.sees(T0, &key(1)) && asking.sees(T0, &key(1)));
    assert_eq!(take(&mut asking, T0), [1]);
    asking.told(T0, &key(1), Told::Unknown, 0.0);
    assert_eq!(asking.next(), None);
    assert_eq!(asking.census(), Census::default());
    // One that it knows is asked for over and over.
    asking.sees(T0, &key(2));
    take(&mut asking, T0);
    asking.told(T0, &key(2), state("a"), 0.0);
    assert_eq!(asking.next(), Some(T0.plus(60_000)));
    take(&mut asking, T0.plus(60_000));
    asking.told(T0.plus(60_000), &key(2), Told::Unknown, 0.0);
    assert_eq!(asking.next(), None, "it was deleted");
    // One that is named here, too: Sentry may learn of it.
    asking.sees(T0, &key(3));
    asking.name(T0, &key(3), None);
    take(&mut asking, T0);
    asking.told(T0, &key(3), Told::Unknown, 0.0);
    assert_eq!(asking.next(), Some(T0.plus(30_000)));
}

#[test]
fn what_was_known_before_costs_strangers_nothing_and_names_its_revision() {
    let mut asking = asking();
    for number in 1..=4 {
        assert!(asking.knows(T0, &key(number), rev("old")));
    }
    assert!(asking.knows(T0, &key(1), None) && !asking.is_named(&key(1)));
    assert!(asking.sees(T0, &key(5)), "none of them is a stranger");
    let asked = asking.take(T0, 1).remove(0);
    assert_eq!(asked.rev, rev("old"));
    asking.name(T0, &key(1), None);
    assert!(asking.is_named(&key(1)));
}

#[test]
fn strangers_wait_for_an_answer_in_a_bounded_number() {
    let mut asking = asking();
    for number in 1..=4 {
        assert!(asking.sees(T0, &key(number)), "{number}");
    }
    assert!(!asking.sees(T0, &key(5)));
    assert_eq!(asking.census().turned_away, 1);
    take(&mut asking, T0);
    asking.told(T0, &key(1), Told::Pending, 0.0);
    assert!(!asking.sees(T0, &key(5)), "it still waits");
    asking.told(T0, &key(2), Told::Unknown, 0.0);
    assert!(asking.sees(T0, &key(5)));
    assert!(!asking.sees(T0, &key(6)));
    asking.told(T0, &key(3), state("a"), 0.0);
    assert!(asking.sees(T0, &key(6)));
}

#[test]
fn made_up_keys_are_asked_for_at_a_rate_and_real_ones_as_they_come() {
    let mut asking = Asking::new(
        T0,
        AskingRules {
            keys_max: 1_000,
            strangers_max: 1_000,
            ..RULES
        },
    );
    let mut number = 0;
    let mut answered = |asking: &mut Asking, now: Millis, told: Told| {
        number += 1;
        let asked = asking.sees(now, &key(number));
        if asked {
            take(asking, now);
            asking.told(now, &key(number), told, 0.0);
        }
        asked
    };
    for place in 0..100 {
        assert!(answered(&mut asking, T0, state("a")), "{place}");
    }
    for place in 0..10 {
        assert!(answered(&mut asking, T0, Told::Unknown), "{place}");
    }
    assert!(!answered(&mut asking, T0, Told::Unknown));
    assert!(!answered(&mut asking, T0.plus(999), Told::Unknown));
    assert!(answered(&mut asking, T0.plus(1000), Told::Unknown));
    assert!(!answered(&mut asking, T0.plus(1000), Told::Unknown));
    // However long nobody came, no more than ten seconds' worth.
    let later = T0.plus(1_000_000);
    for place in 0..10 {
        assert!(answered(&mut asking, later, Told::Unknown), "{place}");
    }
    assert!(!answered(&mut asking, later, Told::Unknown));
}

#[test]
fn there_are_so_many_keys_and_no_more() {
    let mut asking = asking();
    for number in 1..=8 {
        assert!(asking.name(T0, &key(number), None), "{number}");
    }
    assert!(!asking.name(T0, &key(9), None));
    assert!(!asking.sees(T0, &key(9)));
    assert!(asking.name(T0, &key(8), None), "it is there");
    assert_eq!(asking.census().keys, 8);
}
