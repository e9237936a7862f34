//! What a breaker promises to one who asks after another; many at once are below.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::thread;

use proptest::prelude::*;

use super::*;

const INTERVAL_MS: u64 = 1000;

fn at(ms: u64) -> Millis {
    Millis(ms)
}

/// Tells, one after the other, what requests of this moment met.
fn told(breaker: &Breaker, now: u64, heard: &[Heard]) {
    for heard in heard {
        let pass = breaker.ask(at(now));
        breaker.tell(at(now), pass, *heard);
    }
}

fn open_at(now: u64) -> Breaker {
    let breaker = Breaker::new(INTERVAL_MS);
    told(&breaker, now, &[Heard::Ill; 5]);
    assert_eq!(breaker.state(), State::Open);
    breaker
}

fn is_probe(pass: Pass) -> bool {
    matches!(pass, Pass::Probe(_))
}

/// The state after these answers, each so long after the one before.
#[track_caller]
fn check(apart_ms: u64, answers: &str, want: State) {
    let breaker = Breaker::new(INTERVAL_MS);
    for (count, answer) in (0..).zip(answers.chars()) {
        let heard = match answer {
            'w' => Heard::Well,
            'i' => Heard::Ill,
            _ => Heard::Nothing,
        };
        told(&breaker, 7000 + count * apart_ms, &[heard]);
    }
    assert_eq!(breaker.state(), want, "{answers}, {apart_ms} ms apart");
}

#[test]
fn five_ill_in_a_row_open_it() {
    check(10, "iiii", State::Closed);
    check(10, "iiiii", State::Open);
    check(10, "iiiiwiiii", State::Closed);
    check(10, "wwwwwwwwwwwwwwwwwwwwwwwwwwwwiiiii", State::Open);
    check(10, "ii-i-i-i", State::Open);
    check(2400, "iiiii", State::Open);
    check(2600, "iiiiiiiiiiiiiiii", State::Closed);
}

#[test]
fn half_of_twenty_being_ill_opens_it() {
    check(10, "wiwiwiwiwiwiwiwiwi", State::Closed);
    check(10, "wiwiwiwiwiwiwiwiwiwi", State::Open);
    check(10, "wwiwwiwwiwwiwwiwwiwwiwwiwwiwwiwwi", State::Closed);
    check(400, "wiwiwiwiwiwiwiwiwiwiwi", State::Open);
    check(600, "wiwiwiwiwiwiwiwiwiwiwiwiwiwiwiwiwi", State::Closed);
}

#[test]
fn what_was_well_long_ago_excuses_nothing() {
    let breaker = Breaker::new(INTERVAL_MS);
    told(&breaker, 0, &[Heard::Well; 200_000]);
    for _ in 0..10 {
        told(&breaker, 11_000, &[Heard::Well, Heard::Ill]);
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_full_count_still_knows_which_part_was_ill() {
    let breaker = Breaker::new(INTERVAL_MS);
    told(&breaker, 0, &[Heard::Well; 70_000]);
    for _ in 0..10_000 {
        told(&breaker, 0, &[Heard::Well, Heard::Ill]);
    }
    assert_eq!(breaker.state(), State::Closed, "a seventh was ill");
}

#[test]
fn open_it_lets_one_probe_through_each_interval() {
    let breaker = open_at(5000);
    assert_eq!(breaker.open_since(), Some(at(5000)));
    assert_eq!(breaker.ask(at(5999)), Pass::Hold);
    let probe = breaker.ask(at(6000));
    assert!(is_probe(probe));
    assert_eq!(breaker.ask(at(6000)), Pass::Hold, "one at a time");
    breaker.tell(at(6100), probe, Heard::Ill);
    assert_eq!(breaker.ask(at(7099)), Pass::Hold);
    let probe = breaker.ask(at(7100));
    assert!(is_probe(probe));
    breaker.tell(at(7100), probe, Heard::Nothing);
    assert!(
        is_probe(breaker.ask(at(7100))),
        "one that told nothing was none"
    );
    assert_eq!(breaker.open_since(), Some(at(5000)));
}

#[test]
fn a_new_interval_holds_from_the_next_probe_on() {
    let breaker = open_at(0);
    breaker.retune(50);
    let probe = breaker.ask(at(1000));
    breaker.tell(at(1000), probe, Heard::Ill);
    assert_eq!(breaker.ask(at(1049)), Pass::Hold);
    assert!(is_probe(breaker.ask(at(1050))));
}

#[test]
fn a_probe_that_never_tells_is_forgotten() {
    let breaker = open_at(0);
    let lost = breaker.ask(at(1000));
    assert!(is_probe(lost));
    assert_eq!(breaker.ask(at(31_999)), Pass::Hold);
    let second = breaker.ask(at(32_000));
    assert!(is_probe(second));
    breaker.tell(at(32_001), lost, Heard::Well);
    assert_eq!(breaker.state(), State::Open, "what is lost tells nothing");
    breaker.tell(at(32_002), second, Heard::Well);
    assert_eq!(breaker.state(), State::HalfOpen);
    let lost = breaker.ask(at(32_003));
    assert!(is_probe(lost));
    assert_eq!(breaker.ask(at(32_004)), Pass::Hold);
    assert!(is_probe(breaker.ask(at(63_003))));
    breaker.tell(at(63_004), lost, Heard::Ill);
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn half_open_it_lets_twice_as_many_through_each_round_until_it_closes() {
    let breaker = open_at(0);
    told(&breaker, 1000, &[Heard::Well]);
    let mut rounds = Vec::new();
    while breaker.state() == State::HalfOpen {
        let passes = std::iter::from_fn(|| Some(breaker.ask(at(1001))));
        let round: Vec<_> = passes.take_while(|pass| is_probe(*pass)).collect();
        rounds.push(round.len());
        for pass in round {
            breaker.tell(at(1002), pass, Heard::Well);
        }
    }
    assert_eq!(rounds, [1, 2, 4, 8]);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.open_since(), None);
}

#[test]
fn one_ill_probe_opens_it_again_and_the_outage_goes_on() {
    let breaker = open_at(0);
    told(&breaker, 1000, &[Heard::Well, Heard::Well]);
    let (one, two) = (breaker.ask(at(1001)), breaker.ask(at(1001)));
    assert!(is_probe(one) && is_probe(two));
    breaker.tell(at(1002), one, Heard::Ill);
    assert_eq!(breaker.state(), State::Open);
    breaker.tell(at(1003), two, Heard::Well);
    assert_eq!(breaker.state(), State::Open, "of a term that is over");
    assert_eq!(breaker.ask(at(2001)), Pass::Hold);
    assert!(is_probe(breaker.ask(at(2002))));
    assert_eq!(breaker.open_since(), Some(at(0)));
}

#[test]
fn an_answer_that_was_long_on_its_way_moves_nothing() {
    let breaker = Breaker::new(INTERVAL_MS);
    let early: Vec<_> = (0..20).map(|_| breaker.ask(at(0))).collect();
    told(&breaker, 10, &[Heard::Ill; 5]);
    breaker.tell(at(20), early[0], Heard::Well);
    assert_eq!(breaker.state(), State::Open);
    told(&breaker, 1010, &[Heard::Well; 15]);
    assert_eq!(breaker.state(), State::Closed);
    for pass in early {
        breaker.tell(at(1020), pass, Heard::Ill);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn states_are_numbers_in_metrics_and_words_in_answers() {
    for (state, gauge, name) in [
        (State::Closed, 0, "closed"),
        (State::HalfOpen, 1, "half_open"),
        (State::Open, 2, "open"),
    ] {
        assert_eq!((state.as_gauge(), state.name()), (gauge, name));
    }
}

#[test]
fn threads_are_given_one_probe_between_them() {
    for round in 0..200 {
        let breaker = open_at(0);
        let probes = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    if is_probe(breaker.ask(at(1000))) {
                        probes.fetch_add(1, Relaxed);
                    }
                });
            }
        });
        assert_eq!(probes.into_inner(), 1, "round {round}");
    }
}

#[test]
fn threads_close_it_with_as_many_good_probes_as_one_would() {
    for round in 0..50 {
        let breaker = open_at(0);
        let given = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while breaker.state() != State::Closed {
                        let pass = breaker.ask(at(1000));
                        if is_probe(pass) {
                            given.fetch_add(1, Relaxed);
                            breaker.tell(at(1000), pass, Heard::Well);
                        }
                    }
                });
            }
        });
        // Three may have been under way when the last one closed it.
        let given = given.into_inner();
        assert!((15..=18).contains(&given), "round {round}: {given}");
    }
}

#[derive(Debug, Clone)]
enum Event {
    Ask,
    /// Tells of the pass that was given so many before.
    Tell {
        ago: usize,
        heard: Heard,
    },
    Wait {
        ms: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let heard =
        prop_oneof![4 => Just(Heard::Well), 4 => Just(Heard::Ill), 1 => Just(Heard::Nothing)];
    prop_oneof![
        6 => Just(Event::Ask),
        6 => (0..4_usize, heard).prop_map(|(ago, heard)| Event::Tell { ago, heard }),
        2 => prop_oneof![0..300_u64, 900..3000_u64, 20_000..70_000_u64]
            .prop_map(|ms| Event::Wait { ms }),
    ]
}

/// The same, told as lists.
struct Model {
    state: State,
    term: usize,
    /// What was told in this term, while closed.
    heard: Vec<(u64, Heard)>,
    good: u64,
    under_way: u64,
    probe_at: u64,
}

impl Model {
    fn turn(&mut self, state: State, probe_at: u64) {
        self.state = state;
        self.term += 1;
        self.heard.clear();
        self.good = u64::from(state == State::HalfOpen);
        self.under_way = 0;
        self.probe_at = probe_at;
    }

    fn is_probe(&mut self, now: u64) -> bool {
        let late = now >= self.probe_at;
        let may = match self.state {
            State::Closed => return false,
            State::HalfOpen => self.under_way < self.good || late,
            State::Open => late,
        };
        if !may {
            return false;
        }
        if self.under_way > 0 && late {
            self.term += 1;
            self.under_way = 0;
        }
        self.under_way += 1;
        self.probe_at = now + INTERVAL_MS + 30_000;
        true
    }

    fn tell(&mut self, now: u64, heard: Heard) {
        if heard == Heard::Nothing {
            self.under_way = self.under_way.saturating_sub(1);
            if self.state == State::Open {
                self.probe_at = now;
            }
            return;
        }
        match self.state {
            State::Closed => {
                self.heard.push((now, heard));
                if heard == Heard::Ill && self.is_enough(now) {
                    self.turn(State::Open, now + INTERVAL_MS);
                }
            }
            State::Open | State::HalfOpen if heard == Heard::Ill => {
                self.turn(State::Open, now + INTERVAL_MS);
            }
            State::Open => self.turn(State::HalfOpen, now + INTERVAL_MS),
            State::HalfOpen => {
                self.good += 1;
                self.under_way -= 1;
                if self.good == 15 {
                    self.turn(State::Closed, 0);
                }
            }
        }
    }

    fn is_enough(&self, now: u64) -> bool {
        // Runs begin anew when they are too old.
        let (mut run, mut begun) = (0, 0);
        for (then, heard) in &self.heard {
            match heard {
                Heard::Ill if run > 0 && then - begun < 10_000 => run += 1,
                Heard::Ill => (run, begun) = (1, *then),
                Heard::Well | Heard::Nothing => run = 0,
            }
        }
        let lately = |then: u64| now / 2000 - then / 2000 < 5;
        let lately: Vec<_> = self
            .heard
            .iter()
            .filter(|(then, _)| lately(*then))
            .collect();
        let ill = lately
            .iter()
            .filter(|(_, heard)| *heard == Heard::Ill)
            .count();
        run >= 5 || lately.len() >= 20 && ill * 2 >= lately.len()
    }
}

proptest! {
    #[test]
    fn it_moves_as_the_whole_history_tells(events in prop::collection::vec(event(), 1..400)) {
        let breaker = Breaker::new(INTERVAL_MS);
        let mut model = Model {
            state: State::Closed,
            term: 0,
            heard: Vec::new(),
            good: 0,
            under_way: 0,
            probe_at: 0,
        };
        let mut passes: VecDeque<(Pass, usize)> = VecDeque::new();
        let mut now = 0;
        for event in events {
            match event {
                Event::Ask => {
                    let pass = breaker.ask(at(now));
                    let probe = model.is_probe(now);
                    prop_assert_eq!(is_probe(pass), probe, "at {}", now);
                    if pass != Pass::Hold {
                        passes.push_back((pass, model.term));
                    }
                }
                Event::Tell { ago, heard } => {
                    let Some(place) = passes.len().checked_sub(ago + 1) else { continue };
                    let (pass, term) = passes.remove(place).unwrap();
                    breaker.tell(at(now), pass, heard);
                    if term == model.term {
                        model.tell(now, heard);
                    }
                }
                Event::Wait { ms } => now += ms,
            }
            prop_assert_eq!(breaker.state(), model.state, "at {}", now);
        }
    }
}
