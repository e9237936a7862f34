//! What is promised while strangers send: how much of it passes, and who never notices.

use super::*;

/// A million made-up keys in a hundred seconds, all answered alike. Honest senders meanwhile: one
/// named, one proven, one that was accepted once before it began.
#[track_caller]
fn flood(answer: Answer, passed_max: u64) {
    const KEYS: u64 = 1_000_000;
    let limits = VerdictLimits {
        candidates_max: 1000,
        refused_max: 1000,
        ..LIMITS
    };
    let verdicts = Verdicts::new(limits);
    let mut worker = Worker::of(&verdicts);
    let named = sender(KEYS, Known::Named);
    let proven = sender(KEYS + 1, Known::Unnamed);
    let accepted_once = sender(KEYS + 2, Known::Unnamed);
    worker.prove(0, &proven);
    worker.learn(MINUTE, &accepted_once, Accepted);
    let mut passed = 0;
    for number in 0..KEYS {
        let at_ms = MINUTE + number / 10;
        let verdict = worker.send(at_ms, &sender(number, Known::Unnamed), answer);
        passed += u64::from(verdict == Verdict::Pass);
        if number % 1000 == 0 {
            assert_eq!(worker.admit(at_ms, &named), Verdict::Pass);
            assert_eq!(worker.admit(at_ms, &proven), Verdict::Pass);
            if answer == Accepted {
                let verdict = worker.admit(at_ms, &accepted_once);
                assert_eq!(verdict, Verdict::Pass, "key {number}");
            }
            for table in verdicts.tables() {
                assert!(table.entries <= 1000, "{table:?} after {number} keys");
            }
        }
    }
    assert!(
        passed <= passed_max,
        "{passed} passed, {passed_max} are allowed"
    );
    assert!(
        passed >= 50 * 99,
        "{passed} passed: the rate itself is not given"
    );
}

#[test]
fn a_million_random_keys_keep_memory_and_passage_bounded() {
    // The table, one burst, and the rate over a hundred seconds.
    flood(Accepted, 1000 + 50 + 50 * 100);
    flood(Other, 1000 + 50 + 50 * 100);
    // The first refusal is enough: nothing speaks for these keys but one acceptance.
    flood(Refused, 2 + 50 + 50 * 100);
}

#[test]
fn asking_now_and_then_does_not_hold_a_place() {
    let verdicts = Verdicts::new(VerdictLimits {
        candidates_max: 100,
        ..LIMITS
    });
    let mut worker = Worker::of(&verdicts);
    let honest = sender(1000, Known::Unnamed);
    let mut standing = Vec::new();
    for at_ms in (0..=10 * MINUTE).step_by(1000) {
        verdicts.sweep(Millis(at_ms));
        if at_ms % 7000 == 0 {
            for number in 0..100 {
                worker.send(at_ms, &sender(number, Known::Unnamed), Other);
            }
        }
        worker.send(at_ms + 500, &honest, Accepted);
        standing.push(verdicts.look(Millis(at_ms + 500), &honest));
    }
    let placed = Standing::Candidate {
        accepted: 1,
        refused: 0,
    };
    let last = standing.pop();
    assert_eq!(last, Some(placed), "no place after ten minutes");
    assert!(standing.iter().all(|standing| *standing == Standing::New));
}

#[test]
fn a_full_table_throttles_who_has_nothing_to_show_and_nobody_else() {
    let limits = VerdictLimits {
        candidates_max: 2,
        unproven_per_second: 1,
        ..LIMITS
    };
    let verdicts = Verdicts::new(limits);
    let mut worker = Worker::of(&verdicts);
    let [shown, waiting, late] = [1, 2, 3].map(|number| sender(number, Known::Unnamed));
    assert_eq!(worker.send(0, &shown, Accepted), Verdict::Pass);
    assert_eq!(worker.send(0, &waiting, Other), Verdict::Pass);
    assert_eq!(worker.admit(0, &late), Verdict::Pass, "the rate has one");
    assert_eq!(worker.admit(0, &late), Verdict::OverUnprovenRate);
    assert_eq!(worker.admit(0, &waiting), Verdict::OverUnprovenRate);
    assert_eq!(worker.admit(0, &shown), Verdict::Pass);
    assert_eq!(worker.admit(1000, &waiting), Verdict::Pass);
    assert_eq!(worker.admit(1000, &late), Verdict::OverUnprovenRate);
}

#[test]
fn while_refusals_dominate_all_unproven_pairs_share_one_rate() {
    let limits = VerdictLimits {
        unproven_per_second: 1,
        ..LIMITS
    };
    let verdicts = Verdicts::new(limits);
    let mut worker = Worker::of(&verdicts);
    let [good, bad, named] = [
        sender(1, Known::Unnamed),
        sender(2, Known::Unnamed),
        sender(3, Known::Named),
    ];
    worker.learn(0, &good, Accepted);
    worker.learn(0, &bad, Refused);
    assert_eq!(worker.admit(0, &good), Verdict::Pass, "one against one");
    assert_eq!(worker.admit(0, &good), Verdict::Pass, "one against one");
    worker.learn(0, &bad, Refused);
    assert_eq!(worker.admit(0, &good), Verdict::Pass, "the rate has one");
    assert_eq!(worker.admit(0, &good), Verdict::OverUnprovenRate);
    assert_eq!(worker.admit(0, &named), Verdict::Pass);
    assert_eq!(worker.admit(20_000, &good), Verdict::Pass);
    assert_eq!(worker.admit(20_000, &good), Verdict::Pass, "it is over");
}
