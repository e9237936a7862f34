//! What holds however threads meet: every interleaving of two workers is tried.

use loom::sync::Arc;
use loom::thread;
use vidette_loom::policy::breaker::{BREAKER_MIN, Breaker, Heard, Pass, State};
use vidette_loom::policy::millis::Millis;
use vidette_loom::policy::pace::{Bounds, Pace};

const INTERVAL_MS: u64 = 1000;

/// A breaker that has opened at the beginning of time.
fn opened() -> Breaker {
    let breaker = Breaker::new(INTERVAL_MS);
    for _ in 0..BREAKER_MIN {
        let pass = breaker.ask(Millis(0));
        breaker.tell(Millis(0), pass, Heard::Ill);
    }
    assert_eq!(breaker.state(), State::Open);
    breaker
}

#[test]
fn two_workers_are_never_given_the_same_probe() {
    loom::model(|| {
        let breaker = Arc::new(opened());
        let other = Arc::clone(&breaker);
        let at = Millis(INTERVAL_MS);
        let asked = thread::spawn(move || other.ask(at));
        let passes = [breaker.ask(at), asked.join().unwrap()];
        let probes = passes.iter().filter(|pass| matches!(pass, Pass::Probe(_)));
        assert_eq!(probes.count(), 1, "{passes:?}");
        assert!(!passes.iter().any(|pass| matches!(pass, Pass::Go(_))));
    });
}

#[test]
fn what_is_told_at_once_opens_it_once_and_is_not_lost() {
    loom::model(|| {
        let breaker = Arc::new(Breaker::new(INTERVAL_MS));
        for _ in 0..BREAKER_MIN - 2 {
            let pass = breaker.ask(Millis(0));
            breaker.tell(Millis(0), pass, Heard::Ill);
        }
        let other = Arc::clone(&breaker);
        let told = thread::spawn(move || {
            let pass = other.ask(Millis(1));
            other.tell(Millis(1), pass, Heard::Ill);
        });
        let pass = breaker.ask(Millis(1));
        breaker.tell(Millis(1), pass, Heard::Ill);
        told.join().unwrap();
        assert_eq!(breaker.state(), State::Open);
        assert_eq!(
            breaker.ask(Millis(2)),
            Pass::Hold,
            "before the first probe is due"
        );
    });
}

#[test]
fn a_window_never_has_more_under_way_than_it_is_wide() {
    loom::model(|| {
        let bounds = Bounds {
            min: 1,
            max: 1,
            replay_percent: 50,
        };
        let pace = Arc::new(Pace::new(bounds, 1));
        let other = Arc::clone(&pace);
        let began = thread::spawn(move || {
            let turn = other.try_begin();
            let has = turn.is_some();
            if let Some(turn) = turn {
                assert_eq!(other.live_now(), 1);
                other.end(turn, Heard::Well);
            }
            has
        });
        let turn = pace.try_begin();
        let has = turn.is_some();
        if let Some(turn) = turn {
            assert_eq!(pace.live_now(), 1);
            pace.end(turn, Heard::Ill);
        }
        assert!(has || began.join().unwrap(), "nobody may");
        assert_eq!(pace.window(), 1);
    });
}
