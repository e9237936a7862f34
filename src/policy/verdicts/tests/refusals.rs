//! What is promised of refusals: when they are a verdict, what ends it, whom it is about.

use super::*;

/// Lets one sender have these answers whatever the verdict says, then asks once.
#[track_caller]
fn check(answers: &[(u64, Answer)], asked_ms: u64, want: Verdict) {
    for known in [Known::Named, Known::Unnamed] {
        let verdicts = Verdicts::new(LIMITS);
        let mut worker = Worker::of(&verdicts);
        let sender = sender(1, known);
        for (at_ms, answer) in answers {
            worker.learn(*at_ms, &sender, *answer);
        }
        let looked = verdicts.look(Millis(asked_ms), &sender);
        let got = worker.admit(asked_ms, &sender);
        assert_eq!(got, want, "{known:?}: {answers:?} asked at {asked_ms} ms");
        let looks_refused = matches!(looked, Standing::Refused { .. });
        assert_eq!(looks_refused, want == Verdict::Refused, "{looked:?}");
    }
}

#[test]
fn three_refusals_within_a_minute_are_a_verdict() {
    check(&[], 0, Verdict::Pass);
    check(&[(0, Refused)], 1, Verdict::Pass);
    check(&[(0, Refused), (1, Refused)], 2, Verdict::Pass);
    check(
        &[(0, Refused), (1, Refused), (2, Refused)],
        2,
        Verdict::Refused,
    );
    check(
        &[(5, Refused), (5, Refused), (5, Refused)],
        5,
        Verdict::Refused,
    );
    let third = |at_ms| [(0, Refused), (30_000, Refused), (at_ms, Refused)];
    check(&third(59_999), 59_999, Verdict::Refused);
    check(&third(60_000), 60_000, Verdict::Pass);
}

#[test]
fn any_minute_will_do_not_only_the_first() {
    let answers = [
        (0, Refused),
        (50_000, Refused),
        (70_000, Refused),
        (109_999, Refused),
    ];
    check(&answers[..3], 70_000, Verdict::Pass);
    check(&answers, 109_999, Verdict::Refused);
    let apart = [(0, Refused), (60_000, Refused), (61_000, Refused)];
    check(&apart, 61_000, Verdict::Pass);
}

#[test]
fn one_acceptance_between_them_breaks_the_streak() {
    let answers = [
        (0, Refused),
        (1, Refused),
        (2, Accepted),
        (3, Refused),
        (4, Refused),
    ];
    check(&answers, 5, Verdict::Pass);
}

#[test]
fn one_acceptance_erases_it() {
    let mut answers = vec![(0, Refused); 30];
    answers.push((1, Accepted));
    check(&answers, 1, Verdict::Pass);
}

#[test]
fn only_a_refusal_by_the_upstream_teaches() {
    check(&[(0, Other); 10], 1, Verdict::Pass);
    check(&[(0, Refused), (0, Other), (0, Refused)], 1, Verdict::Pass);
    let answers = [
        (0, Refused),
        (0, Other),
        (0, Refused),
        (0, Other),
        (0, Refused),
    ];
    check(&answers, 1, Verdict::Refused);
}

#[test]
fn a_verdict_stands_for_a_minute_after_the_last_refusal() {
    let answers = [(0, Refused), (0, Refused), (1000, Refused)];
    check(&answers, 60_999, Verdict::Refused);
    check(&answers, 61_000, Verdict::Pass);
    // One that was on its way when the verdict fell.
    let late = [(0, Refused), (0, Refused), (1000, Refused), (9000, Refused)];
    check(&late, 68_999, Verdict::Refused);
    check(&late, 69_000, Verdict::Pass);
}

/// A sender that is refused since the time 0.
fn refused(verdicts: &Verdicts) -> (Worker<'_>, Sender) {
    let mut worker = Worker::of(verdicts);
    let sender = sender(1, Known::Named);
    for _ in 0..3 {
        worker.learn(0, &sender, Refused);
    }
    (worker, sender)
}

#[test]
fn after_a_minute_one_request_asks_for_all() {
    let verdicts = Verdicts::new(LIMITS);
    let (mut worker, sender) = refused(&verdicts);
    assert_eq!(worker.admit(MINUTE, &sender), Verdict::Pass, "the probe");
    assert_eq!(worker.admit(MINUTE, &sender), Verdict::Refused);
    worker.learn(MINUTE + 1, &sender, Refused);
    assert_eq!(worker.admit(2 * MINUTE, &sender), Verdict::Refused);
    assert_eq!(worker.admit(2 * MINUTE + 1, &sender), Verdict::Pass);
    worker.learn(2 * MINUTE + 2, &sender, Accepted);
    for _ in 0..100 {
        assert_eq!(worker.admit(2 * MINUTE + 3, &sender), Verdict::Pass);
    }
    assert!(verdicts.is_quiet());
}

#[test]
fn a_probe_that_brings_no_answer_is_followed_by_another() {
    let verdicts = Verdicts::new(LIMITS);
    let (mut worker, sender) = refused(&verdicts);
    assert_eq!(worker.admit(MINUTE, &sender), Verdict::Pass);
    worker.learn(MINUTE, &sender, Other);
    assert_eq!(worker.admit(MINUTE + 9_999, &sender), Verdict::Refused);
    assert_eq!(worker.admit(MINUTE + 10_000, &sender), Verdict::Pass);
    assert_eq!(worker.admit(MINUTE + 10_001, &sender), Verdict::Refused);
}

#[test]
fn what_nothing_confirms_for_two_minutes_is_forgotten() {
    let verdicts = Verdicts::new(LIMITS);
    let (mut worker, sender) = refused(&verdicts);
    for at_ms in (MINUTE..2 * MINUTE).step_by(1000) {
        worker.send(at_ms, &sender, Other);
    }
    assert_eq!(worker.admit(2 * MINUTE - 1, &sender), Verdict::Refused);
    for _ in 0..10 {
        assert_eq!(worker.admit(2 * MINUTE, &sender), Verdict::Pass);
    }
    worker.learn(2 * MINUTE, &sender, Refused);
    worker.learn(2 * MINUTE, &sender, Refused);
    assert_eq!(
        worker.admit(2 * MINUTE, &sender),
        Verdict::Pass,
        "a streak begins anew"
    );
}

#[test]
fn looking_uses_up_no_probe() {
    let verdicts = Verdicts::new(LIMITS);
    let (mut worker, sender) = refused(&verdicts);
    let until = Millis(MINUTE);
    assert_eq!(
        verdicts.look(Millis(5), &sender),
        Standing::Refused { until }
    );
    for _ in 0..10 {
        assert_eq!(verdicts.look(Millis(MINUTE), &sender), Standing::Named);
    }
    assert_eq!(worker.admit(MINUTE, &sender), Verdict::Pass, "the probe");
}

#[test]
fn an_attacker_cannot_make_a_good_key_refused_for_others() {
    for known in [Known::Named, Known::Unnamed] {
        let verdicts = Verdicts::new(LIMITS);
        let [mut honest, mut attacker] = [Worker::of(&verdicts), Worker::of(&verdicts)];
        let right = |origin: Option<&[u8]>| Sender {
            origin: origin.map(|origin| verdicts.origin_key(origin)),
            ..sender(1, known)
        };
        let good = [right(None), right(Some(b"https://shop.example"))];
        for sender in &good {
            honest.prove(0, sender);
        }
        let mut wrong = vec![
            right(Some(b"https://evil.example")),
            right(Some(b"")),
            right(Some(b"https://shop.example.evil")),
        ];
        for mut sender in good {
            // The wrong project, and the form that names none.
            for project in [project(43), None] {
                sender.pair = Pair::new(&key(1), project);
                sender.known = Known::Unnamed;
                wrong.push(sender);
            }
        }
        for at_ms in (MINUTE..5 * MINUTE).step_by(100) {
            for sender in &wrong {
                attacker.send(at_ms, sender, Refused);
            }
            for sender in &good {
                assert_eq!(honest.admit(at_ms, sender), Verdict::Pass, "{sender:?}");
            }
        }
        for sender in &wrong {
            let verdict = attacker.admit(5 * MINUTE, sender);
            assert_ne!(verdict, Verdict::Pass, "{sender:?}: nothing was learned");
        }
    }
}

#[test]
fn a_proven_pair_that_is_refused_for_an_origin_stays_proven() {
    let verdicts = Verdicts::new(LIMITS);
    let mut worker = Worker::of(&verdicts);
    let good = sender(1, Known::Unnamed);
    let mut wrong = good;
    wrong.origin = Some(verdicts.origin_key(b"https://evil.example"));
    worker.prove(0, &good);
    for _ in 0..10 {
        worker.learn(MINUTE, &wrong, Refused);
    }
    assert_eq!(worker.admit(MINUTE, &wrong), Verdict::Refused);
    assert!(is_proven(&verdicts, MINUTE, &good));
    // Refusals of a proven pair say nothing about unproven ones.
    for number in 10..200 {
        let stranger = sender(number, Known::Unnamed);
        assert_eq!(worker.admit(MINUTE, &stranger), Verdict::Pass);
    }
}

#[test]
fn a_full_table_of_refusals_forgets_nobody_and_makes_room_in_time() {
    let verdicts = Verdicts::new(VerdictLimits {
        refused_max: 1,
        ..LIMITS
    });
    let (mut worker, first) = refused(&verdicts);
    let second = sender(2, Known::Named);
    for _ in 0..10 {
        worker.learn(1, &second, Refused);
    }
    assert_eq!(worker.admit(1, &second), Verdict::Pass, "there was no room");
    assert_eq!(worker.admit(1, &first), Verdict::Refused);
    for slice in 0..20 {
        worker.learn(2 * MINUTE + slice * 10, &second, Refused);
    }
    assert_eq!(worker.admit(2 * MINUTE + 200, &second), Verdict::Refused);
}

#[test]
fn it_is_quiet_again_once_the_refusals_are_over() {
    let verdicts = Verdicts::new(LIMITS);
    assert!(verdicts.is_quiet());
    let _ = refused(&verdicts);
    verdicts.sweep(Millis(2 * MINUTE - 1));
    assert!(!verdicts.is_quiet());
    verdicts.sweep(Millis(2 * MINUTE));
    assert!(verdicts.is_quiet());
}
