//! What quotas promise when many ask at once: by real threads, and by threads that
//! are stopped between any two of a charge's steps.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use proptest::prelude::*;

use super::*;

#[test]
fn threads_use_a_limit_up_and_not_one_more() {
    for per in [MINUTE, SECOND] {
        for by in [By::Project, By::Key, By::Ip] {
            let spec = defaults(&[quota("a", ERROR, 10_000, per, by)]);
            let limiter = Limiter::new(&spec);
            let passed = AtomicU64::new(0);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let mine = limiter.passes(at(0), &who(1, 1, 1), 6000);
                        passed.fetch_add(u64::try_from(mine).unwrap(), Relaxed);
                    });
                }
            });
            assert_eq!(passed.into_inner(), 10_000, "{per:?} {by:?}");
        }
    }
}

#[test]
fn threads_that_leave_and_come_never_pass_a_limit_or_lose_a_charge() {
    let spec = QuotaSpec {
        global: vec![quota("g", ERROR, 3000, HOUR, By::Project)],
        defaults: vec![
            quota("p", ERROR, 1000, HOUR, By::Project),
            quota("k", ERROR, 700, HOUR, By::Key),
            quota("i", ERROR, 400, HOUR, By::Ip),
        ],
        ..QuotaSpec::default()
    };
    let limiter = Limiter::new(&spec);
    let kept: Vec<AtomicU64> = (0..5).map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        for thread in 0..4_u32 {
            let (limiter, kept) = (&limiter, &kept);
            scope.spawn(move || {
                for step in 0..8000_u32 {
                    let number = u64::from(step % 5);
                    let sender = who(number + 1, u64::from(step % 2), step % 7);
                    if limiter.charge(at(0), &sender, &items(ERROR, 1)).is_err() {
                        continue;
                    }
                    if (step + thread) % 3 == 0 {
                        let applying = limiter.quotas.of(&sender);
                        applying.give_back(at(0), at(0), &items(ERROR, 1), &limiter.counters);
                    } else {
                        kept[usize::try_from(number).unwrap()].fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    let kept: Vec<u64> = kept.into_iter().map(AtomicU64::into_inner).collect();
    assert!(kept.iter().all(|kept| *kept <= 1000), "{kept:?}");
    assert!(kept.iter().sum::<u64>() <= 3000, "{kept:?}");
    for usage in limiter.quotas.usage(at(0), &limiter.counters) {
        let (used, most) = match usage.owner {
            Owner::Global => (kept.iter().sum::<u64>(), 3000),
            Owner::Project(id) => (kept[usize::try_from(id.get()).unwrap() - 1], 1000),
            Owner::Defaults
            | Owner::Key(_)
            | Owner::Switch(_)
            | Owner::Sentry(_)
            | Owner::Organization(_) => continue,
        };
        let counted = (usage.ratio * f64::from(most)).round();
        assert_eq!(
            counted,
            f64::from(u32::try_from(used).unwrap()),
            "{usage:?}"
        );
    }
}

/// One thread's whole charge or give-back, in the middle of another's.
#[derive(Debug, Clone)]
struct Step {
    sender: u64,
    items: u64,
    gives_back: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (0..3_u64, 1..4_u64, prop::bool::weighted(0.3)).prop_map(|(sender, items, gives_back)| Step {
        sender,
        items,
        gives_back,
    })
}

/// What is granted and not given back: sender and items.
type Ledger = std::cell::RefCell<Vec<(u64, u64)>>;

fn sender(number: u64) -> Who {
    // Three keys, two projects, two addresses.
    who(1 + number % 2, number, u32::try_from(number / 2).unwrap())
}

fn run(limiter: &Limiter, granted: &Ledger, step: &Step, between: &[Step]) {
    let applying = limiter.quotas.of(&sender(step.sender));
    if step.gives_back {
        let mut granted = granted.borrow_mut();
        let mine = granted
            .iter()
            .position(|(number, _)| *number == step.sender);
        if let Some((_, count)) = mine.map(|place| granted.swap_remove(place)) {
            applying.give_back(at(0), at(0), &items(ERROR, count), &limiter.counters);
        }
        return;
    }
    let load = items(ERROR, step.items);
    if applying.look(at(0), &load, &limiter.counters).is_some() {
        return;
    }
    let mut between = between.iter();
    // Each quota is charged after another thread has run in between.
    let mut charges = applying.charges(&load).inspect(|_| {
        if let Some(other) = between.next() {
            run(limiter, granted, other, &[]);
        }
    });
    let mut out = Granted::default();
    let charged = applying.charge_all(at(0), &mut charges, &limiter.counters, &mut out);
    if charged.is_ok() {
        granted.borrow_mut().push((step.sender, step.items));
    }
}

proptest! {
    #[test]
    fn stopped_anywhere_threads_charge_all_or_none(
        steps in prop::collection::vec((step(), prop::collection::vec(step(), 0..5)), 1..40),
    ) {
        let spec = QuotaSpec {
            global: vec![quota("g", ERROR, 12, MINUTE, By::Project)],
            defaults: vec![
                quota("p", ERROR, 9, MINUTE, By::Project),
                quota("k", ERROR, 6, MINUTE, By::Key),
                quota("i", ERROR, 8, MINUTE, By::Ip),
            ],
            ..QuotaSpec::default()
        };
        let limiter = Limiter::new(&spec);
        let granted = Ledger::default();
        for (step, between) in &steps {
            run(&limiter, &granted, step, between);
            let granted = granted.borrow();
            for number in 0..3 {
                let asker = sender(number);
                let sum = |same: fn(&Who, &Who) -> bool| -> u64 {
                    let mine = granted.iter().filter(|(other, _)| same(&asker, &sender(*other)));
                    mine.map(|(_, items)| items).sum()
                };
                let counted = |limit: u64, used: u64| limit - used;
                let room = [
                    counted(12, sum(|_, _| true)),
                    counted(9, sum(|a, b| a.project == b.project)),
                    counted(6, sum(|a, b| a.key == b.key)),
                    counted(8, sum(|a, b| a.project == b.project && a.ip == b.ip)),
                ];
                let room = room.into_iter().min().unwrap();
                let applying = limiter.quotas.of(&asker);
                let fits = |count| {
                    let load = items(ERROR, count);
                    applying.look(at(0), &load, &limiter.counters).is_none()
                };
                prop_assert!(fits(room), "a charge was lost: {} should fit", room);
                prop_assert!(!fits(room + 1), "a charge was forgotten");
            }
        }
    }

    #[test]
    fn stopped_anywhere_threads_never_pass_a_rate(
        steps in prop::collection::vec((step(), prop::collection::vec(step(), 0..5)), 1..40),
    ) {
        let spec = QuotaSpec {
            global: vec![quota("g", ERROR, 9, SECOND, By::Project)],
            defaults: vec![
                quota("p", ERROR, 7, SECOND, By::Project),
                quota("i", ERROR, 5, SECOND, By::Ip),
            ],
            ..QuotaSpec::default()
        };
        let limiter = Limiter::new(&spec);
        let granted = Ledger::default();
        for (step, between) in &steps {
            run(&limiter, &granted, step, between);
            let granted = granted.borrow();
            let total: u64 = granted.iter().map(|(_, items)| items).sum();
            prop_assert!(total <= 9, "{:?}", granted);
        }
    }
}
