//! The verdicts against a model that keeps every answer and searches them anew each time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// One of two keys, for one of two projects, from one of two origins or none.
type Who = (u64, u64, Option<u8>);

#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(u64),
    Admit,
    Learn(Answer),
    Sweep,
}

/// When, and from which origin.
type Acceptance = (u64, Option<u8>);

/// All that ever happened to a sender since it was last accepted.
#[derive(Default)]
struct History {
    refused_ms: Vec<u64>,
    /// When the current verdict opens for a probe.
    opens_ms: Option<u64>,
}

#[derive(Default)]
struct Model {
    histories: BTreeMap<Who, History>,
    /// For each key and project, the acceptances that count.
    accepted: BTreeMap<(u64, u64), Vec<Acceptance>>,
    proven: Vec<(u64, u64)>,
}

impl Model {
    /// Drops what has expired by now.
    fn age(&mut self, now_ms: u64) {
        self.histories.retain(|_, history| {
            let last_ms = history.refused_ms.last().copied().unwrap_or(0);
            let kept_ms = if history.opens_ms.is_some() {
                120_000
            } else {
                60_000
            };
            now_ms - last_ms < kept_ms
        });
        self.accepted
            .retain(|_, at| at.last().is_some_and(|(at_ms, _)| now_ms - at_ms < 600_000));
    }

    fn admit(&mut self, now_ms: u64, who: Who) -> Verdict {
        let opens_ms = self
            .histories
            .get_mut(&who)
            .and_then(|history| history.opens_ms.as_mut());
        match opens_ms {
            Some(opens_ms) if now_ms < *opens_ms => Verdict::Refused,
            Some(opens_ms) => {
                *opens_ms = now_ms + 10_000;
                Verdict::Pass
            }
            None => Verdict::Pass,
        }
    }

    fn learn(&mut self, now_ms: u64, who: Who, named: bool, answer: Answer) {
        let (key, project, origin) = who;
        let pair = (key, project);
        match answer {
            Other => {}
            Refused => {
                let history = self.histories.entry(who).or_default();
                history.refused_ms.push(now_ms);
                let three = history
                    .refused_ms
                    .windows(3)
                    .any(|three| three[2] - three[0] < 60_000);
                if three {
                    history.opens_ms = Some(now_ms + 60_000);
                }
                // The origin that proof began with has taken it back.
                let began = self.accepted.get(&pair).and_then(|at| at.first());
                if !named && began.is_some_and(|(_, began)| *began == origin) {
                    self.accepted.remove(&pair);
                }
            }
            Accepted => {
                self.histories.remove(&who);
                if named || self.proven.contains(&pair) {
                    return;
                }
                let at = self.accepted.entry(pair).or_default();
                at.push((now_ms, origin));
                if now_ms - at[0].0 >= 60_000 {
                    self.proven.push(pair);
                    self.accepted.remove(&pair);
                }
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let answer = prop_oneof![Just(Accepted), Just(Refused), Just(Refused), Just(Other)];
    prop_oneof![
        1 => prop::sample::select(vec![1, 999, 9_999, 10_000, 20_000, 59_999, 60_000, 120_000, 600_000])
            .prop_map(Step::Wait),
        2 => Just(Step::Admit),
        4 => answer.prop_map(Step::Learn),
        1 => Just(Step::Sweep),
    ]
}

fn who() -> impl Strategy<Value = Who> {
    (0..2_u64, 1..3_u64, prop::option::of(0..2_u8))
}

proptest! {
    #[test]
    fn the_tables_know_what_a_full_history_would_tell(
        steps in prop::collection::vec((step(), who(), 0..2_usize), 1..200),
        named_key in 0..3_u64,
    ) {
        // A rate that never refuses: whom it applies to is tested by itself.
        let limits = VerdictLimits { unproven_per_second: 1_000_000, ..LIMITS };
        let verdicts = Verdicts::new(limits);
        let mut workers = [Worker::of(&verdicts), Worker::of(&verdicts)];
        let mut model = Model::default();
        let mut now_ms = 0;
        for (step, who, worker) in steps {
            let (key_number, project_number, origin) = who;
            let named = key_number == named_key;
            let sender = Sender {
                pair: Pair::new(&key(key_number), project(project_number)),
                origin: origin.map(|origin| verdicts.origin_key(&[origin])),
                known: if named { Known::Named } else { Known::Unnamed },
            };
            model.age(now_ms);
            match step {
                Step::Wait(ms) => now_ms += ms,
                Step::Admit => {
                    let want = model.admit(now_ms, who);
                    prop_assert_eq!(workers[worker].admit(now_ms, &sender), want);
                }
                Step::Learn(answer) => {
                    model.learn(now_ms, who, named, answer);
                    workers[worker].learn(now_ms, &sender, answer);
                }
                Step::Sweep => verdicts.sweep(Millis(now_ms)),
            }
            model.age(now_ms);
            let opens_ms = model.histories.get(&who).and_then(|history| history.opens_ms);
            let want_until = opens_ms.filter(|opens_ms| now_ms < *opens_ms).map(Millis);
            let looked = verdicts.look(Millis(now_ms), &sender);
            match want_until {
                Some(until) => prop_assert_eq!(looked, Standing::Refused { until }),
                None if named => prop_assert_eq!(looked, Standing::Named),
                None => {
                    let proven = matches!(looked, Standing::Proven { .. });
                    let want = model.proven.contains(&(key_number, project_number));
                    prop_assert_eq!(proven, want, "{:?}", looked);
                }
            }
        }
    }
}
