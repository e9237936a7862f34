//! A history of charges, give-backs, sweeps and reloads against a model that keeps
//! every charge; and what a reload may and may not forget.

use std::collections::HashMap;
use std::slice::from_ref;

use proptest::prelude::*;

use super::*;

#[test]
fn a_new_limit_keeps_the_count() {
    for (per, by) in [(MINUTE, By::Project), (MINUTE, By::Key), (MINUTE, By::Ip)] {
        let mut limiter = Limiter::new(&defaults(&[quota("a", ERROR, 5, per, by)]));
        assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 4), 4);
        limiter.reload(&defaults(&[quota(
            "a",
            SPAN.with(Category::Error),
            7,
            per,
            by,
        )]));
        limiter.counters.sweep(at(0));
        assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 9), 3, "{by:?}");
        limiter.reload(&defaults(&[quota("a", ERROR, 5, per, by)]));
        assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 9), 0, "{by:?}");
    }
    let rate = |limit| global(&[quota("a", ERROR, limit, SECOND, By::Project)]);
    let mut limiter = Limiter::new(&rate(2));
    assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 9), 2);
    limiter.reload(&rate(4));
    assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 9), 0);
    assert_eq!(limiter.passes(at(500), &who(1, 1, 1), 9), 2);
}

#[test]
fn another_name_time_sharing_or_owner_is_another_quota() {
    let first = quota("a", ERROR, 5, MINUTE, By::Project);
    for other in [
        global(&[quota("b", ERROR, 5, MINUTE, By::Project)]),
        global(&[quota("a", ERROR, 5, HOUR, By::Project)]),
        global(&[quota("a", ERROR, 5, MINUTE, By::Key)]),
        defaults(from_ref(&first)),
        listed(1, Some(from_ref(&first))),
    ] {
        let mut limiter = Limiter::new(&global(from_ref(&first)));
        assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 9), 5);
        limiter.reload(&other);
        assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 9), 5, "{other:?}");
        limiter.reload(&global(from_ref(&first)));
        assert_eq!(
            limiter.passes(at(0), &who(1, 1, 1), 9),
            0,
            "back again within its window"
        );
    }
}

#[test]
fn a_project_that_is_listed_or_struck_off_keeps_its_default_count() {
    let unlisted = defaults(&[quota("a", ERROR, 5, MINUTE, By::Project)]);
    let listed = QuotaSpec {
        projects: vec![(project(1), None)],
        ..unlisted.clone()
    };
    let mut limiter = Limiter::new(&unlisted);
    assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 2), 2);
    limiter.reload(&listed);
    assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 2), 2);
    limiter.reload(&unlisted);
    limiter.counters.sweep(at(0));
    assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 9), 1);
    // Listed from the start, struck off afterwards: the table has yet to hear of it.
    let mut limiter = Limiter::new(&listed);
    assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 4), 4);
    limiter.reload(&unlisted);
    limiter.counters.sweep(at(0));
    assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 9), 1);
}

#[test]
fn what_no_configuration_names_is_forgotten_once_it_means_nothing() {
    let mut limiter = Limiter::new(&listed(
        1,
        Some(&[quota("a", ERROR, 5, MINUTE, By::Project)]),
    ));
    assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 9), 5);
    limiter.reload(&QuotaSpec::default());
    let live = |limiter: &Limiter| {
        let mut live = 0;
        limiter.counters.each(|_| live += 1);
        live
    };
    limiter.counters.sweep(at(59_000));
    assert_eq!(live(&limiter), 1);
    limiter.counters.sweep(at(600_000));
    assert_eq!(live(&limiter), 0);
}

#[derive(Debug, Clone)]
enum Event {
    Charge {
        sender: u64,
        items: u64,
        span: bool,
    },
    /// Gives back the charge that was made so many charges ago.
    GiveBack {
        ago: usize,
    },
    Wait {
        ms: u64,
    },
    Sweep,
    Reload {
        limits: [u64; 4],
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..6_u64, 0..4_u64, any::<bool>())
            .prop_map(|(sender, items, span)| Event::Charge { sender, items, span }),
        2 => (0..5_usize).prop_map(|ago| Event::GiveBack { ago }),
        2 => prop_oneof![0..900_u64, 10_000..80_000_u64].prop_map(|ms| Event::Wait { ms }),
        1 => Just(Event::Sweep),
        1 => prop::array::uniform4(0..9_u64).prop_map(|limits| Event::Reload { limits }),
    ]
}

const PERS: [Per; 4] = [MINUTE, HOUR, Per::Window { seconds: 90 }, MINUTE];

fn spec(limits: [u64; 4]) -> QuotaSpec {
    let [global, project, by_key, by_ip] = limits;
    QuotaSpec {
        global: vec![quota("g", Categories::EMPTY, global, PERS[0], By::Project)],
        defaults: vec![
            quota("i", ERROR, by_ip, PERS[3], By::Ip),
            quota("p", ERROR, project, PERS[1], By::Project),
            quota("k", SPAN, by_key, PERS[2], By::Key),
        ],
        projects: vec![(super::project(1), None)],
        ..QuotaSpec::default()
    }
}

fn sender(number: u64) -> Who {
    let ip = u32::try_from(number % 3).unwrap();
    who(number % 3, number / 2, ip)
}

/// What each of the four quotas calls a sender.
fn shared_by(quota: usize, sender: &Who) -> String {
    match quota {
        0 => String::new(),
        1 => format!("{:?}", sender.project),
        2 => format!("{:?}", sender.key),
        _ => format!("{:?} {}", sender.project, sender.ip),
    }
}

/// Every charge that stands: what was used of a quota, by whom, in which window.
type Used = HashMap<(usize, String, u64), u64>;

fn entries(who: &Who, at: Moment, span: bool) -> Vec<(usize, (usize, String, u64))> {
    let applies: &[usize] = if span { &[0, 2] } else { &[0, 1, 3] };
    let entry = |quota: &usize| {
        let window = PERS[*quota].window(at.unix_s).unwrap().number;
        (*quota, (*quota, shared_by(*quota, who), window))
    };
    applies.iter().map(entry).collect()
}

fn load(count: u64, span: bool) -> Load {
    items(if span { SPAN } else { ERROR }, count)
}

proptest! {
    #[test]
    fn decisions_are_what_the_whole_history_tells(
        first in prop::array::uniform4(0..9_u64),
        events in prop::collection::vec(event(), 1..150),
    ) {
        let mut limits = first;
        let mut limiter = Limiter::new(&spec(limits));
        let mut used = Used::new();
        let mut charged: Vec<(Who, Moment, u64, bool)> = Vec::new();
        let mut now_ms = 0;
        for event in events {
            let now = at(now_ms);
            match event {
                Event::Charge { sender: number, items: count, span } => {
                    let who = sender(number);
                    let entries = entries(&who, now, span);
                    let full = entries.iter().find(|(quota, entry)| {
                        let used = used.get(entry).copied().unwrap_or_default();
                        // A lowered limit may leave more used than it admits.
                        let room = limits[*quota].saturating_sub(used);
                        limits[*quota] == 0 || count > room
                    });
                    let names = ["g", "p", "k", "i"];
                    let want = full.map(|(quota, _)| names[*quota]);
                    let got = limiter.charge(now, &who, &load(count, span)).err();
                    let got = got.as_ref().map(|full| &*full.name);
                    prop_assert_eq!(got, want, "{} of {:?} at {}", count, who, now_ms);
                    if want.is_none() {
                        for (_, entry) in entries {
                            *used.entry(entry).or_default() += count;
                        }
                        charged.push((who, now, count, span));
                    }
                }
                Event::GiveBack { ago } => {
                    let Some(place) = charged.len().checked_sub(ago + 1) else { continue };
                    let (who, then, count, span) = charged.remove(place);
                    let applying = limiter.quotas.of(&who);
                    applying.give_back(now, then, &load(count, span), &limiter.counters);
                    for (_, entry) in entries(&who, then, span) {
                        *used.entry(entry).or_default() -= count;
                    }
                }
                Event::Wait { ms } => now_ms += ms,
                Event::Sweep => limiter.counters.sweep(now),
                Event::Reload { limits: next } => {
                    limits = next;
                    limiter.reload(&spec(limits));
                }
            }
        }
    }
}
