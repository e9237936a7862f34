//! What is promised of keys that nobody vouches for: how much of a quota they share, and that a
//! real one gets out of that.

use super::*;
use crate::policy::millis::Millis;
use crate::policy::pair::{Known, Pair, Sender};
use crate::policy::proven::ProvenHere;
use crate::policy::verdicts::{Answer, VerdictLimits, Verdicts};

/// How many of a hundred errors pass that strangers send, and then of a hundred of such as are
/// excused.
#[track_caller]
fn check_share(limit: u64, per: Per, trust: Trust, want: [usize; 2]) {
    let quotas = [quota("a", ERROR, limit, per, By::Project)];
    let limiter = Limiter::new(&defaults(&quotas));
    let passed = [trust, trust.excused()].map(|trust| {
        let sender = Who {
            trust,
            ..who(1, 1, 1)
        };
        limiter.passes(at(0), &sender, 100)
    });
    assert_eq!(passed, want, "{limit} per {per}, {trust:?}");
}

#[test]
fn strangers_share_a_twentieth_of_a_quota_and_who_is_excused_as_much_again() {
    check_share(1000, HOUR, Trust::Stranger, [50, 50]);
    check_share(1000, SECOND, Trust::Stranger, [50, 0]);
    check_share(1, HOUR, Trust::Stranger, [1, 0]);
    check_share(0, HOUR, Trust::Stranger, [0, 0]);
    check_share(1000, HOUR, Trust::NewProject, [100, 100]);
    check_share(100, HOUR, Trust::Whole, [100, 0]);
}

/// An hour's share was used up in its first minute, and who had been accepted by then was forgotten
/// before the next began: no key was ever proven.
#[test]
fn a_real_key_is_proven_while_made_up_ones_use_up_the_share_of_a_long_window() {
    let limiter = Limiter::new(&defaults(&[quota("a", ERROR, 1000, HOUR, By::Project)]));
    let verdicts = Verdicts::new(VerdictLimits {
        proven_max: 100,
        candidates_max: 10_000,
        refused_max: 10_000,
        unproven_per_second: 50,
    });
    let mut here = ProvenHere::default();
    let mut passed = 0;
    // Accepted at first, as the upstream has not looked it up; refused from then on.
    let mut send = |now_ms: u64, number: u64, answer: Answer| {
        let sender = Sender {
            pair: Pair::new(&key(number), Some(project(1))),
            origin: None,
            known: Known::Unnamed,
        };
        let mut who = Who {
            trust: Trust::Stranger,
            ..who(1, number, 1)
        };
        let now = Millis(now_ms);
        if verdicts.vouches(&sender, &mut here) {
            return true;
        }
        if limiter.passes(at(now_ms), &who, 1) == 0 {
            who.trust = who.trust.excused();
            if !verdicts.excuses(now, &sender) || limiter.passes(at(now_ms), &who, 1) == 0 {
                return false;
            }
        }
        passed += 1;
        verdicts.learn(now, &sender, answer, &mut here);
        false
    };
    let mut proven_at_s = None;
    for second in 0..600 {
        let now_ms = second * 1000;
        if send(now_ms, 1, Answer::Accepted) {
            proven_at_s.get_or_insert(second);
        }
        for number in 0..20 {
            let answer = match second < 60 {
                true => Answer::Accepted,
                false => Answer::Refused,
            };
            send(now_ms, 2 + number, answer);
        }
    }
    assert_eq!(proven_at_s, Some(61), "the minute over, and a second");
    assert!(passed <= 100, "{passed} of all of them passed");
}
