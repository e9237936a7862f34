//! What quotas promise to one who asks after another. Many at once are in
//! `threads`, clocks in `time`, a history against its model in `model`.

use std::time::Duration;

use super::*;
use crate::domain::category::Category;
use crate::domain::credentials::Key;
use crate::domain::quota::{By, Limit, Per, Quota};

mod budgets;
mod floods;
mod journal;
mod leases;
mod model;
mod sharing;
mod strangers;
mod threads;
mod time;

/// New Year 2026: a minute, an hour and a month begin.
const NEW_YEAR_S: u64 = 1_767_225_600;

const MINUTE: Per = Per::Window { seconds: 60 };
const HOUR: Per = Per::Window { seconds: 3600 };
const SECOND: Per = Per::Rate(Duration::from_secs(1));

const ERROR: Categories = Categories::of(&[Category::Error]);
const SPAN: Categories = Categories::of(&[Category::Span]);

/// So many milliseconds into the year, of a process that began with it.
fn at(ms: u64) -> Moment {
    Moment {
        since_start_ns: ms * 1_000_000,
        unix_s: NEW_YEAR_S + ms / 1000,
    }
}

fn quota(name: &str, categories: Categories, items: u64, per: Per, by: By) -> Quota {
    Quota {
        name: name.into(),
        categories,
        limit: Limit::Items(items),
        per,
        by,
    }
}

fn project(number: u64) -> ProjectId {
    ProjectId::parse(number.to_string().as_bytes()).unwrap()
}

fn key(number: u64) -> Key {
    Key::parse(format!("{number:032x}").as_bytes()).unwrap()
}

/// A sender; project 0 is none, addresses are of IPv4.
fn who(number: u64, key_number: u64, ip: u32) -> Who {
    Who {
        project: (number > 0).then(|| project(number)),
        key: key(key_number).packed(),
        ip: IpAddr::V4(ip.into()),
        trust: Trust::Whole,
    }
}

fn items(categories: Categories, items: u64) -> Load {
    Load {
        categories,
        items,
        bytes: items * 100,
    }
}

fn counters() -> Counters {
    Counters::new(CounterLimits {
        ips: 600,
        counters: 100,
    })
}

/// Quotas on the counters that they count in.
struct Limiter {
    counters: Counters,
    quotas: Quotas,
}

impl Limiter {
    fn new(spec: &QuotaSpec) -> Self {
        let counters = counters();
        let quotas = Quotas::compile(spec, &counters);
        Self { counters, quotas }
    }

    fn reload(&mut self, spec: &QuotaSpec) {
        self.quotas = Quotas::compile(spec, &self.counters);
    }

    fn charge(&self, now: Moment, who: &Who, load: &Load) -> Result<Granted, Full> {
        self.quotas.of(who).charge(now, load, &self.counters)
    }

    /// How many of so many single errors pass.
    fn passes(&self, now: Moment, who: &Who, tries: usize) -> usize {
        let load = items(ERROR, 1);
        (0..tries)
            .filter(|_| self.charge(now, who, &load).is_ok())
            .count()
    }

    /// The name of the quota that refuses, and for how long; empty: it passes.
    fn refusal(&self, now: Moment, who: &Who, load: &Load) -> (String, u64) {
        let full = self.charge(now, who, load).err();
        full.map_or_else(Default::default, |full| {
            (full.name.to_string(), full.retry_after_s)
        })
    }
}

fn global(quotas: &[Quota]) -> QuotaSpec {
    QuotaSpec {
        global: quotas.to_vec(),
        ..QuotaSpec::default()
    }
}

fn defaults(quotas: &[Quota]) -> QuotaSpec {
    QuotaSpec {
        defaults: quotas.to_vec(),
        ..QuotaSpec::default()
    }
}

fn listed(number: u64, quotas: Option<&[Quota]>) -> QuotaSpec {
    QuotaSpec {
        projects: vec![(project(number), quotas.map(<[Quota]>::to_vec))],
        ..QuotaSpec::default()
    }
}

#[test]
fn without_quotas_nothing_is_refused() {
    let limiter = Limiter::new(&QuotaSpec::default());
    let applying = limiter.quotas.of(&who(1, 1, 1));
    assert!(limiter.quotas.is_empty() && applying.is_empty());
    assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 1000), 1000);
    assert!(Quotas::default().is_empty());
}

#[test]
fn a_limit_of_zero_stops_even_what_weighs_nothing() {
    for per in [MINUTE, SECOND] {
        let limiter = Limiter::new(&global(&[quota("a", ERROR, 0, per, By::Project)]));
        assert!(
            limiter
                .charge(at(0), &who(1, 1, 1), &items(ERROR, 1))
                .is_err()
        );
        assert!(
            limiter
                .charge(at(0), &who(1, 1, 1), &items(ERROR, 0))
                .is_err()
        );
        assert!(
            limiter
                .charge(at(0), &who(1, 1, 1), &items(SPAN, 1))
                .is_ok()
        );
    }
}

#[test]
fn bytes_and_containers_count_what_they_are() {
    let bytes = Quota {
        limit: Limit::Bytes(1000),
        ..quota("bytes", SPAN, 0, MINUTE, By::Project)
    };
    let limiter = Limiter::new(&global(&[
        bytes,
        quota("items", SPAN, 8, MINUTE, By::Project),
    ]));
    let sender = who(1, 1, 1);
    let refusal = |load| limiter.refusal(at(0), &sender, &load).0;
    assert_eq!(refusal(items(SPAN, 6)), "");
    assert_eq!(refusal(items(SPAN, 3)), "items");
    let heavy = Load {
        bytes: 401,
        ..items(SPAN, 1)
    };
    assert_eq!(refusal(heavy), "bytes");
    let fits = Load {
        bytes: 400,
        ..items(SPAN, 2)
    };
    assert_eq!(refusal(fits), "");
}

#[test]
fn a_quota_on_everything_counts_what_has_no_category() {
    let limiter = Limiter::new(&global(&[quota(
        "all",
        Categories::EMPTY,
        2,
        MINUTE,
        By::Project,
    )]));
    let unknown = items(Categories::EMPTY, 1);
    assert!(limiter.charge(at(0), &who(1, 1, 1), &unknown).is_ok());
    assert!(
        limiter
            .quotas
            .of(&who(1, 1, 1))
            .full_for_all(at(0), &limiter.counters)
            .is_none()
    );
    assert!(
        limiter
            .charge(at(0), &who(1, 1, 1), &items(SPAN, 1))
            .is_ok()
    );
    let full = limiter
        .quotas
        .of(&who(2, 2, 2))
        .full_for_all(at(0), &limiter.counters);
    assert_eq!(full.unwrap().scope, Scope::Global);
    let some = Limiter::new(&global(&[quota("some", ERROR, 0, MINUTE, By::Project)]));
    assert!(
        some.quotas
            .of(&who(1, 1, 1))
            .full_for_all(at(0), &some.counters)
            .is_none()
    );
}

#[test]
fn the_first_without_room_is_the_reason() {
    let own = [
        quota("ip", ERROR, 1, MINUTE, By::Ip),
        quota("key", ERROR, 2, MINUTE, By::Key),
        quota("project", ERROR, 3, MINUTE, By::Project),
    ];
    let spec = QuotaSpec {
        global: vec![quota("global", ERROR, 4, MINUTE, By::Project)],
        ..listed(1, Some(&own))
    };
    let limiter = Limiter::new(&spec);
    let ask = |sender: Who| {
        let full = limiter.charge(at(0), &sender, &items(ERROR, 1)).err();
        full.map(|full| (full.name.to_string(), full.scope))
    };
    assert_eq!(ask(who(1, 1, 1)), None);
    assert_eq!(ask(who(1, 1, 1)), Some(("ip".to_owned(), Scope::Ip)));
    assert_eq!(ask(who(1, 1, 2)), None);
    assert_eq!(ask(who(1, 1, 2)), Some(("key".to_owned(), Scope::Key)));
    assert_eq!(ask(who(1, 2, 3)), None);
    assert_eq!(
        ask(who(1, 1, 1)),
        Some(("project".to_owned(), Scope::Project))
    );
    assert_eq!(ask(who(2, 1, 1)), None, "another project has no quotas");
    assert_eq!(
        ask(who(1, 1, 1)),
        Some(("global".to_owned(), Scope::Global))
    );
}

#[test]
fn what_one_quota_refuses_no_other_is_charged_for() {
    let limiter = Limiter::new(&QuotaSpec {
        global: vec![quota("global", ERROR, 10, MINUTE, By::Project)],
        ..defaults(&[quota("rate", ERROR, 1, SECOND, By::Ip)])
    });
    assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 50), 1);
    let others = (2..30).map(|ip| limiter.passes(at(0), &who(1, 1, ip), 1));
    assert_eq!(others.sum::<usize>(), 9, "refused items were charged");
}

#[test]
fn looking_changes_nothing() {
    let limiter = Limiter::new(&defaults(&[
        quota("a", ERROR, 2, MINUTE, By::Key),
        quota("b", ERROR, 2, SECOND, By::Ip),
        quota("c", ERROR, 2, HOUR, By::Project),
    ]));
    let sender = who(1, 1, 1);
    for _ in 0..50 {
        let applying = limiter.quotas.of(&sender);
        let full = applying.look(at(0), &items(ERROR, 1), &limiter.counters);
        assert_eq!(full, None);
    }
    assert_eq!(limiter.passes(at(0), &sender, 9), 2);
    let full = limiter
        .quotas
        .of(&sender)
        .look(at(0), &items(ERROR, 1), &limiter.counters);
    assert_eq!(&*full.unwrap().name, "c");
}

#[test]
fn default_quotas_count_for_each_project_and_own_ones_replace_them() {
    let spec = QuotaSpec {
        defaults: vec![quota("a", ERROR, 2, MINUTE, By::Project)],
        projects: vec![
            (
                project(1),
                Some(vec![quota("b", ERROR, 5, MINUTE, By::Project)]),
            ),
            (project(2), None),
            (project(3), Some(Vec::new())),
        ],
        ..QuotaSpec::default()
    };
    let limiter = Limiter::new(&spec);
    let passes = |number| limiter.passes(at(0), &who(number, 1, 1), 9);
    assert_eq!([1, 2, 3, 4, 5].map(passes), [5, 2, 9, 2, 2]);
    assert_eq!(passes(0), 2, "who names no project has the defaults");
}

#[test]
fn a_keys_own_quotas_come_beside_its_projects() {
    let spec = QuotaSpec {
        keys: vec![(key(7), vec![quota("own", ERROR, 1, MINUTE, By::Key)])],
        ..listed(1, Some(&[quota("b", ERROR, 3, MINUTE, By::Project)]))
    };
    let limiter = Limiter::new(&spec);
    assert_eq!(limiter.passes(at(0), &who(1, 7, 1), 9), 1);
    assert_eq!(limiter.passes(at(0), &who(1, 8, 1), 9), 2);
}

#[test]
fn usage_is_told_for_all_that_share() {
    let spec = QuotaSpec {
        global: vec![quota("g", ERROR, 10, MINUTE, By::Project)],
        defaults: vec![quota("d", ERROR, 4, MINUTE, By::Project)],
        ..listed(1, Some(&[quota("k", ERROR, 8, MINUTE, By::Key)]))
    };
    let limiter = Limiter::new(&spec);
    limiter.passes(at(0), &who(1, 1, 1), 2);
    limiter.passes(at(0), &who(1, 2, 1), 1);
    limiter.passes(at(0), &who(9, 1, 1), 2);
    let mut usage: Vec<_> = limiter
        .quotas
        .usage(at(0), &limiter.counters)
        .into_iter()
        .map(|usage| (usage.owner, usage.name.to_string(), usage.ratio))
        .collect();
    usage.sort_by(|a, b| a.1.cmp(&b.1));
    let want = [
        (Owner::Project(project(9)), "d".to_owned(), 0.5),
        (Owner::Global, "g".to_owned(), 0.5),
        (Owner::Project(project(1)), "k".to_owned(), 0.25),
    ];
    assert_eq!(usage, want);
}
