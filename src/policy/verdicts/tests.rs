//! What the verdicts promise. Time is added; keys and origins are numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use Answer::{Accepted, Other, Refused};

use super::*;
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::policy::proven::FORGOTTEN_S;

mod floods;
mod model;
mod refusals;

const MINUTE: u64 = 60_000;

/// Roomy, and with a rate that throttles at once where it applies at all.
const LIMITS: VerdictLimits = VerdictLimits {
    proven_max: 10_000,
    candidates_max: 10_000,
    refused_max: 10_000,
    unproven_per_second: 50,
};

fn key(number: u64) -> Key {
    Key::unpacked(u128::from(number).to_be_bytes())
}

fn project(number: u64) -> Option<ProjectId> {
    ProjectId::parse(number.to_string().as_bytes())
}

fn sender(key_number: u64, known: Known) -> Sender {
    Sender {
        pair: Pair::new(&key(key_number), project(42)),
        origin: None,
        known,
    }
}

/// The verdicts and one worker's part of them.
struct Worker<'a> {
    verdicts: &'a Verdicts,
    here: ProvenHere,
}

impl<'a> Worker<'a> {
    fn of(verdicts: &'a Verdicts) -> Self {
        Self {
            verdicts,
            here: ProvenHere::default(),
        }
    }

    fn admit(&mut self, at_ms: u64, sender: &Sender) -> Verdict {
        self.verdicts.admit(Millis(at_ms), sender, &mut self.here)
    }

    fn learn(&mut self, at_ms: u64, sender: &Sender, answer: Answer) {
        self.verdicts
            .learn(Millis(at_ms), sender, answer, &mut self.here);
    }

    fn prove(&mut self, at_ms: u64, sender: &Sender) {
        self.learn(at_ms, sender, Accepted);
        self.learn(at_ms + MINUTE, sender, Accepted);
    }

    /// One request that the upstream answers, if it gets that far.
    fn send(&mut self, at_ms: u64, sender: &Sender, answer: Answer) -> Verdict {
        let verdict = self.admit(at_ms, sender);
        if verdict == Verdict::Pass {
            self.learn(at_ms, sender, answer);
        }
        verdict
    }
}

fn is_proven(verdicts: &Verdicts, at_ms: u64, sender: &Sender) -> bool {
    matches!(
        verdicts.look(Millis(at_ms), sender),
        Standing::Proven { .. }
    )
}

fn size(verdicts: &Verdicts, name: &str) -> usize {
    let tables = verdicts.tables();
    let table = tables.iter().find(|table| table.name == name);
    table.expect("a table of that name").entries
}

/// Lets one key have these answers, and asks whether they prove it.
#[track_caller]
fn check(answers: &[(u64, Answer)], proves: bool) {
    let verdicts = Verdicts::new(LIMITS);
    let mut worker = Worker::of(&verdicts);
    let sender = sender(1, Known::Unnamed);
    let mut last_ms = 0;
    for (at_ms, answer) in answers {
        worker.learn(*at_ms, &sender, *answer);
        last_ms = *at_ms;
    }
    assert_eq!(
        is_proven(&verdicts, last_ms, &sender),
        proves,
        "{answers:?}"
    );
    let entries = (
        size(&verdicts, "keys_proven"),
        size(&verdicts, "keys_unproven"),
    );
    if proves {
        assert_eq!(entries, (1, 0), "who is proven is no candidate any more");
    }
}

#[test]
fn a_key_is_proven_by_two_acceptances_a_minute_apart() {
    check(&[], false);
    check(&[(0, Accepted)], false);
    check(&[(0, Accepted), (MINUTE - 1, Accepted)], false);
    check(&[(0, Accepted), (MINUTE, Accepted)], true);
    check(&[(0, Accepted), (1000, Accepted), (MINUTE, Accepted)], true);
    check(&[(0, Accepted), (30_000, Other), (MINUTE, Accepted)], true);
}

/// When a key is excused that was sent these answers.
#[track_caller]
fn check_excuses(answers: &[(u64, Answer)], asked_ms: &[u64], want: &[bool]) {
    let verdicts = Verdicts::new(LIMITS);
    let mut worker = Worker::of(&verdicts);
    let sender = sender(1, Known::Unnamed);
    for (at_ms, answer) in answers {
        worker.learn(*at_ms, &sender, *answer);
    }
    let excused = asked_ms
        .iter()
        .map(|at_ms| verdicts.excuses(Millis(*at_ms), &sender));
    assert_eq!(
        excused.collect::<Vec<_>>(),
        want,
        "{answers:?} at {asked_ms:?}"
    );
}

#[test]
fn a_key_is_excused_once_a_minute_where_an_acceptance_would_prove_it() {
    let once = [(0, Accepted)];
    check_excuses(&[], &[MINUTE], &[false]);
    check_excuses(&[(0, Other)], &[MINUTE], &[false]);
    check_excuses(&once, &[0, MINUTE - 1, MINUTE], &[false, false, true]);
    let asked = [MINUTE, MINUTE, 2 * MINUTE - 1, 2 * MINUTE];
    check_excuses(&once, &asked, &[true, false, false, true]);
    check_excuses(&[(0, Accepted), (1000, Refused)], &[MINUTE], &[false]);
    let proven = [(0, Accepted), (MINUTE, Accepted)];
    check_excuses(&proven, &[2 * MINUTE], &[false]);
    check_excuses(&once, &[10 * MINUTE - 1], &[true]);
    check_excuses(&once, &[10 * MINUTE], &[false]);
}

#[test]
fn what_is_no_acceptance_proves_nothing() {
    check(&[(0, Other), (MINUTE, Other), (2 * MINUTE, Other)], false);
    check(&[(0, Other), (MINUTE, Accepted)], false);
    check(&[(0, Accepted), (MINUTE, Other)], false);
}

#[test]
fn a_guess_that_the_upstream_took_back_proves_nothing() {
    // Relay accepts a key that it has not looked up, refuses it once it has, and forgets that after
    // a minute: each minute of a made-up key begins with a 200.
    let mut answers = Vec::new();
    for minute in 0..5 {
        answers.push((minute * MINUTE, Accepted));
        answers.push((minute * MINUTE + 1000, Refused));
    }
    check(&answers, false);
}

#[test]
fn acceptances_ten_minutes_apart_are_strangers_to_each_other() {
    check(&[(0, Accepted), (10 * MINUTE - 1, Accepted)], true);
    check(&[(0, Accepted), (10 * MINUTE, Accepted)], false);
}

#[test]
fn a_refusal_of_another_origin_does_not_keep_a_key_from_being_proven() {
    let verdicts = Verdicts::new(LIMITS);
    let mut worker = Worker::of(&verdicts);
    let honest = sender(1, Known::Unnamed);
    let mut attacker = honest;
    attacker.origin = Some(verdicts.origin_key(b"https://evil.example"));
    worker.learn(0, &honest, Accepted);
    for at_ms in (0..MINUTE).step_by(1000) {
        worker.learn(at_ms, &attacker, Refused);
    }
    worker.learn(MINUTE, &honest, Accepted);
    assert!(is_proven(&verdicts, MINUTE, &honest));
}

#[test]
fn a_named_key_needs_no_proof_and_leaves_no_trace() {
    let verdicts = Verdicts::new(LIMITS);
    let mut worker = Worker::of(&verdicts);
    let named = sender(1, Known::Named);
    for at_ms in (0..10 * MINUTE).step_by(1000) {
        assert_eq!(worker.send(at_ms, &named, Accepted), Verdict::Pass);
    }
    assert_eq!(verdicts.look(Millis(0), &named), Standing::Named);
    assert_eq!(verdicts.tables().map(|table| table.entries), [0, 0, 0]);
}

#[test]
fn a_restored_table_proves_at_once() {
    let before = Verdicts::new(LIMITS);
    let proven = sender(1, Known::Unnamed);
    let mut without_project = sender(2, Known::Unnamed);
    without_project.pair = Pair::new(&key(2), None);
    let mut worker = Worker::of(&before);
    worker.prove(0, &proven);
    worker.prove(0, &without_project);
    let saved = before.proven(Millis(3 * MINUTE), 1_790_000_000);
    assert!(
        saved
            .iter()
            .all(|pair| pair.last_accepted_unix_s == 1_790_000_000 - 120)
    );

    // The next process's clock has just begun.
    let after = Verdicts::new(LIMITS);
    after.restore(&saved, Millis(5), 1_790_000_100);
    for sender in [&proven, &without_project] {
        let want = Standing::Proven {
            accepted_s_ago: 220,
        };
        assert_eq!(after.look(Millis(5), sender), want);
    }
    let mut again = after.proven(Millis(1005), 1_790_000_101);
    let mut saved = saved;
    saved.sort_by_key(|pair| pair.key);
    again.sort_by_key(|pair| pair.key);
    assert_eq!(again, saved, "a restart changes nothing");
}

#[test]
fn what_is_restored_is_bounded_and_recent() {
    let now_s = 1_790_000_000;
    let saved = |number, last_accepted_unix_s| ProvenPair {
        key: key(number),
        project: project(42),
        last_accepted_unix_s,
    };
    let verdicts = Verdicts::new(VerdictLimits {
        proven_max: 2,
        ..LIMITS
    });
    let pairs = [
        saved(1, now_s - FORGOTTEN_S),
        saved(2, now_s - FORGOTTEN_S + 1),
        saved(3, now_s + 1000),
        saved(4, now_s),
    ];
    verdicts.restore(&pairs, Millis(0), now_s);
    let proven = [1, 2, 3, 4].map(|n| is_proven(&verdicts, 0, &sender(n, Known::Unnamed)));
    assert_eq!(proven, [false, true, true, false]);
}

#[test]
fn a_proven_pair_is_forgotten_after_thirty_idle_days_and_no_sooner() {
    let verdicts = Verdicts::new(LIMITS);
    let proven = sender(1, Known::Unnamed);
    Worker::of(&verdicts).prove(0, &proven);
    let forgotten_ms = MINUTE + FORGOTTEN_S * 1000;
    verdicts.sweep(Millis(forgotten_ms - 1000));
    assert!(is_proven(&verdicts, forgotten_ms - 1000, &proven));
    verdicts.sweep(Millis(forgotten_ms));
    assert!(!is_proven(&verdicts, forgotten_ms, &proven));
    assert_eq!(verdicts.tables()[0].evictions, 0, "old age is no eviction");
}

#[test]
fn who_keeps_sending_stays_proven_on_whatever_worker() {
    let verdicts = Verdicts::new(LIMITS);
    let proven = sender(1, Known::Unnamed);
    let mut workers = [Worker::of(&verdicts), Worker::of(&verdicts)];
    workers[0].prove(0, &proven);
    let hour = 60 * MINUTE;
    for hours in 1..24 * 40 {
        let worker = &mut workers[usize::from(hours % 5 == 0)];
        assert_eq!(worker.send(hours * hour, &proven, Accepted), Verdict::Pass);
        verdicts.sweep(Millis(hours * hour));
    }
    let Standing::Proven { accepted_s_ago } = verdicts.look(Millis(24 * 40 * hour), &proven) else {
        panic!("forgotten while it was sending");
    };
    assert!(accepted_s_ago <= 2 * 3600, "{accepted_s_ago} s");
}

#[test]
fn a_full_table_of_proven_pairs_drops_who_came_once_for_who_comes_daily() {
    let verdicts = Verdicts::new(VerdictLimits {
        proven_max: 2,
        ..LIMITS
    });
    let mut worker = Worker::of(&verdicts);
    let [daily, once, late] = [1, 2, 3].map(|number| sender(number, Known::Unnamed));
    worker.prove(0, &daily);
    worker.prove(0, &once);
    let half_a_day = 12 * 60 * MINUTE;
    worker.prove(half_a_day, &late);
    assert!(!is_proven(&verdicts, half_a_day + MINUTE, &late), "no room");
    assert_eq!(worker.admit(half_a_day + MINUTE, &late), Verdict::Pass);
    worker.learn(2 * half_a_day, &daily, Accepted);
    verdicts.sweep(Millis(2 * half_a_day + MINUTE));
    worker.prove(2 * half_a_day + MINUTE, &late);
    let proven = [daily, once, late]
        .map(|sender| is_proven(&verdicts, 2 * half_a_day + 2 * MINUTE, &sender));
    assert_eq!(proven, [true, false, true]);
}

#[test]
fn a_new_rate_is_taken_up_at_once() {
    let verdicts = Verdicts::new(VerdictLimits {
        candidates_max: 0,
        unproven_per_second: 0,
        ..LIMITS
    });
    let mut worker = Worker::of(&verdicts);
    let sender = sender(1, Known::Unnamed);
    assert_eq!(worker.admit(0, &sender), Verdict::OverUnprovenRate);
    verdicts.retune(1);
    assert_eq!(worker.admit(0, &sender), Verdict::Pass);
    assert_eq!(worker.admit(0, &sender), Verdict::OverUnprovenRate);
}

#[test]
fn a_worker_that_remembers_too_much_starts_again_and_stays_right() {
    let verdicts = Verdicts::new(LIMITS);
    let mut worker = Worker {
        verdicts: &verdicts,
        here: ProvenHere::new(3),
    };
    for number in 0..100 {
        worker.prove(0, &sender(number, Known::Unnamed));
    }
    for number in 0..100 {
        let sender = sender(number, Known::Unnamed);
        assert_eq!(worker.admit(2 * MINUTE, &sender), Verdict::Pass);
        assert!(is_proven(&verdicts, 2 * MINUTE, &sender));
    }
    assert_eq!(size(&verdicts, "keys_proven"), 100);
}

#[test]
fn a_pair_is_shown_with_no_more_of_its_key_than_logs_may_have() {
    let shown = format!("{:?}", sender(1, Known::Named));
    assert!(shown.contains("Pair(0000..., 42)"), "{shown}");
}

#[test]
fn workers_at_once_keep_every_limit() {
    let limits = VerdictLimits {
        proven_max: 50,
        candidates_max: 100,
        refused_max: 30,
        unproven_per_second: 50,
    };
    let verdicts = Verdicts::new(limits);
    let now_ms = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (verdicts, now_ms) = (&verdicts, &now_ms);
            scope.spawn(move || {
                let mut worker = Worker::of(verdicts);
                for step in 0..20_000_u64 {
                    let at_ms = now_ms.fetch_add(7, Relaxed);
                    let number = (step * 31 + thread * 17) % 400;
                    let answer = match step % 4 {
                        0 | 1 => Accepted,
                        2 => Refused,
                        _ => Other,
                    };
                    worker.send(at_ms, &sender(number, Known::Unnamed), answer);
                    if step % 1000 == 0 {
                        verdicts.sweep(Millis(at_ms));
                    }
                }
            });
        }
    });
    let [proven, unproven, refused] = verdicts.tables().map(|table| table.entries);
    assert!(
        proven <= 50 && unproven <= 100 && refused <= 30,
        "{proven} {unproven} {refused}"
    );
}
