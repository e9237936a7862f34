//! Budgets: quotas of everything by the day, each owner's own, over reloads and restarts.

use std::collections::HashMap;

use super::*;
use crate::policy::quotas::plan::Budgets;

const DAY_MS: u64 = 86_400_000;

fn bytes(bytes: u64) -> Load {
    Load {
        categories: ERROR,
        items: 1,
        bytes,
    }
}

fn spec(global: Option<u64>, defaults: Option<u64>, own: &[(u64, Option<u64>)]) -> QuotaSpec {
    let listed = own.iter().map(|(number, _)| (project(*number), None));
    QuotaSpec {
        projects: listed.chain([(project(9), Some(Vec::new()))]).collect(),
        budgets: Budgets {
            global,
            defaults,
            projects: HashMap::from_iter(own.iter().map(|(number, own)| (project(*number), *own))),
        },
        ..QuotaSpec::default()
    }
}

fn counters() -> Counters {
    Counters::new(CounterLimits {
        ips: 10,
        counters: 100,
    })
}

/// Whether so many bytes of a project pass.
fn passes(quotas: &Quotas, counters: &Counters, ms: u64, number: u64, amount: u64) -> bool {
    let who = who(number, 1, 1);
    quotas
        .of(&who)
        .charge(at(ms), &bytes(amount), counters)
        .is_ok()
}

#[test]
fn a_project_has_its_own_or_the_default_whatever_its_quotas_say() {
    let counters = counters();
    let quotas = Quotas::compile(
        &spec(None, Some(100), &[(1, Some(50)), (2, None)]),
        &counters,
    );
    let passes = |number, amount| passes(&quotas, &counters, 0, number, amount);
    assert!(passes(1, 50) && !passes(1, 1), "its own");
    assert!(passes(2, 1000), "without end");
    assert!(
        passes(9, 100) && !passes(9, 1),
        "the default, beside no quotas"
    );
    assert!(passes(77, 100) && !passes(77, 1), "nobody listed it");
    assert!(passes(78, 100), "each counts for itself");
}

#[test]
fn a_day_begins_at_midnight_and_what_counts_is_everything() {
    let counters = counters();
    let quotas = Quotas::compile(&spec(Some(100), None, &[]), &counters);
    assert!(passes(&quotas, &counters, 0, 1, 60));
    assert!(
        !passes(&quotas, &counters, DAY_MS - 1000, 2, 41),
        "of all together"
    );
    assert!(passes(&quotas, &counters, DAY_MS, 2, 100));
    let full = quotas
        .of(&who(1, 1, 1))
        .charge(at(DAY_MS), &bytes(1), &counters);
    let full = full.unwrap_err();
    assert_eq!(
        (&*full.name, full.scope, full.reason),
        ("budget", Scope::Global, Reason::Quota)
    );
    assert!(full.categories.is_empty());
    assert_eq!(full.retry_after_s, 86_400);
}

#[test]
fn a_reload_keeps_what_was_used_whatever_the_budget_is_now() {
    let counters = counters();
    let quotas = Quotas::compile(&spec(None, Some(100), &[(1, Some(50))]), &counters);
    assert!(passes(&quotas, &counters, 0, 1, 40) && passes(&quotas, &counters, 0, 9, 90));
    let quotas = Quotas::compile(&spec(None, Some(95), &[(1, Some(60))]), &counters);
    assert!(passes(&quotas, &counters, 0, 1, 20) && !passes(&quotas, &counters, 0, 1, 1));
    assert!(passes(&quotas, &counters, 0, 9, 5) && !passes(&quotas, &counters, 0, 9, 1));
}

#[test]
fn what_is_used_is_told_with_its_window() {
    let counters = counters();
    let quotas = Quotas::compile(&spec(Some(1000), Some(100), &[(1, Some(50))]), &counters);
    assert!(passes(&quotas, &counters, 0, 1, 25) && passes(&quotas, &counters, 0, 77, 10));
    let mut usage = quotas.usage(at(3_600_000), &counters);
    usage.sort_by_key(|usage| usage.owner);
    let told: Vec<_> = usage
        .iter()
        .map(|usage| {
            let spent = usage.spent.unwrap();
            assert!(spent.is_bytes && &*usage.name == "budget");
            assert_eq!(spent.begins_unix_s, NEW_YEAR_S);
            assert_eq!(spent.ends_unix_s, NEW_YEAR_S + 86_400);
            (usage.owner, spent.used, spent.limit)
        })
        .collect();
    let of = |number| Owner::Project(project(number));
    assert_eq!(
        told,
        [
            (Owner::Global, 35, 1000),
            (of(1), 25, 50),
            (of(9), 0, 100),
            (of(77), 10, 100),
        ]
    );
}

#[test]
fn what_a_project_no_longer_follows_is_told_of_it_no_more() {
    let counters = counters();
    let defaults = vec![quota("d", ERROR, 2, HOUR, By::Project)];
    let with = |own: &[(u64, Option<u64>)], quotas: Option<Vec<Quota>>| {
        let listed = own
            .iter()
            .map(|(number, _)| (project(*number), quotas.clone()));
        QuotaSpec {
            defaults: defaults.clone(),
            projects: listed.collect(),
            ..spec(None, Some(50), own)
        }
    };
    let told = |spec: &QuotaSpec| {
        let quotas = Quotas::compile(spec, &counters);
        let usage = quotas.usage(at(0), &counters).into_iter();
        let mut told: Vec<_> = usage
            .filter(|usage| usage.owner == Owner::Project(project(77)))
            .map(|usage| (usage.name.to_string(), usage.ratio))
            .collect();
        told.sort_by(|one, other| one.0.cmp(&other.0));
        told
    };
    let quotas = Quotas::compile(&with(&[], None), &counters);
    assert!(passes(&quotas, &counters, 0, 77, 25) && passes(&quotas, &counters, 0, 77, 25));
    let full = |name: &str| (name.to_owned(), 1.0);
    assert_eq!(told(&with(&[], None)), [full("budget"), full("d")]);
    let mine = quota("mine", ERROR, 100, HOUR, By::Project);
    let mine = told(&with(&[(77, Some(500))], Some(vec![mine])));
    assert_eq!(mine, [("budget".to_owned(), 0.0), ("mine".to_owned(), 0.0)]);
    let lifted = told(&with(&[(77, None)], Some(Vec::new())));
    assert_eq!(lifted, []);
    // Listed, and a follower of the defaults' quotas still.
    assert_eq!(told(&with(&[(77, None)], None)), [full("d")]);
}
