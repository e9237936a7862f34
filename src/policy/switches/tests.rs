//! What is on for whom, and on both sides of every boundary.

use std::net::Ipv4Addr;

use super::*;
use crate::domain::credentials::Key;
use crate::domain::outcome::Reason;
use crate::domain::switch::Action;
use crate::policy::quotas::{CounterLimits, Full, Load, Moment, Quotas, Trust, Who};

const ERROR: Categories = Categories::of(&[Category::Error]);
const SESSION: Categories = Categories::of(&[Category::Session]);

fn project(number: u64) -> ProjectId {
    ProjectId::parse(number.to_string().as_bytes()).unwrap()
}

fn counters() -> Counters {
    Counters::new(CounterLimits {
        ips: 10,
        counters: 10,
    })
}

fn switch(
    number: u64,
    category: Option<Category>,
    (action, value): (Action, &str),
    until_unix_s: u64,
) -> Switch {
    let value = Some(value).filter(|value| !value.is_empty());
    Switch {
        project: project(number),
        category,
        effect: Effect::read(action, category, value).unwrap(),
        until_unix_s,
    }
}

fn compiled(switches: &[Switch]) -> Switches {
    Switches::compile(switches, None, &counters())
}

const MUTE: (Action, &str) = (Action::Mute, "");

/// How long an item of project 42 is held back, seen at `unix_s`.
#[track_caller]
fn check_mute(switches: &[Switch], categories: Categories, unix_s: u64, want: Option<u64>) {
    let switches = compiled(switches);
    let of = switches.of(Some(project(42)));
    let muted = of.and_then(|of| of.mutes(categories, unix_s, 0));
    assert_eq!(muted.map(|muted| muted.retry_after_s), want);
}

#[test]
fn nothing_is_on_for_anybody_else() {
    assert!(compiled(&[]).is_empty() && compiled(&[]).of(Some(project(42))).is_none());
    let switches = compiled(&[switch(42, None, MUTE, 100), switch(7, None, MUTE, 100)]);
    assert!(switches.of(Some(project(42))).is_some());
    assert!(switches.of(Some(project(7))).is_some());
    assert!(switches.of(Some(project(41))).is_none());
    assert!(switches.of(Some(project(43))).is_none());
    assert!(switches.of(None).is_none());
}

#[test]
fn a_mute_ends_exactly_at_its_end() {
    let on = [switch(42, None, MUTE, 100)];
    check_mute(&on, ERROR, 0, Some(100));
    check_mute(&on, ERROR, 99, Some(1));
    check_mute(&on, ERROR, 100, None);
}

#[test]
fn a_mute_of_everything_covers_what_has_no_category() {
    check_mute(
        &[switch(42, None, MUTE, 100)],
        Categories::EMPTY,
        0,
        Some(100),
    );
}

#[test]
fn a_mute_of_a_category_leaves_the_others_alone() {
    let on = [switch(42, Some(Category::Error), MUTE, 100)];
    check_mute(&on, ERROR, 0, Some(100));
    check_mute(&on, SESSION, 0, None);
    check_mute(&on, Categories::EMPTY, 0, None);
    let switches = compiled(&on);
    let of = switches.of(Some(project(42))).unwrap();
    assert_eq!(of.mutes_all(0, 0), None);
    assert_eq!(of.mutes(ERROR, 0, 0).unwrap().categories, ERROR);
}

#[test]
fn of_two_mutes_the_longer_is_told() {
    let error = switch(42, Some(Category::Error), MUTE, 100);
    check_mute(&[error, switch(42, None, MUTE, 50)], ERROR, 0, Some(100));
    check_mute(&[error, switch(42, None, MUTE, 150)], ERROR, 0, Some(150));
    check_mute(&[error, switch(42, None, MUTE, 50)], SESSION, 0, Some(50));
}

#[test]
fn a_mute_keeps_its_share_and_holds_the_rest_back_for_a_second() {
    let switches = compiled(&[switch(42, None, (Action::Mute, "1%"), 100)]);
    let of = switches.of(Some(project(42))).unwrap();
    for (draw, passes) in [(0, true), (9_999, true), (10_000, false), (999_999, false)] {
        let muted = of.mutes_all(0, draw).map(|muted| muted.retry_after_s);
        assert_eq!(muted, (!passes).then_some(1), "draw {draw}");
        assert_eq!(of.mutes(ERROR, 0, draw).is_none(), passes, "draw {draw}");
    }
    assert!(of.judges_any());
}

#[track_caller]
fn check_rate(switches: &[Switch], categories: Categories, unix_s: u64, want: Option<f64>) {
    let switches = compiled(switches);
    let of = switches.of(Some(project(42)));
    let sampled = of.and_then(|of| of.sample(categories, unix_s));
    assert_eq!(sampled.map(|on| on.rate().share()), want);
}

#[test]
fn a_category_is_sampled_as_the_nearest_switch_says() {
    let all = switch(42, None, (Action::Sample, "0.5"), 100);
    let error = switch(42, Some(Category::Error), (Action::Sample, "0.1"), 50);
    check_rate(&[all, error], ERROR, 0, Some(0.1));
    check_rate(&[all, error], ERROR, 49, Some(0.1));
    check_rate(&[all, error], ERROR, 50, Some(0.5));
    check_rate(&[all, error], ERROR, 100, None);
    let transaction = Categories::of(&[Category::Transaction]);
    check_rate(&[all, error], transaction, 0, Some(0.5));
    check_rate(&[error], transaction, 0, None);
    check_rate(
        &[switch(7, None, (Action::Sample, "0.5"), 100)],
        ERROR,
        0,
        None,
    );
}

#[test]
fn what_is_on_is_told_in_words() {
    let switches = compiled(&[
        switch(42, None, (Action::Sample, "0.5"), 100),
        switch(42, Some(Category::Error), (Action::Sample, "1%"), 50),
        switch(42, Some(Category::Error), (Action::Mute, "1%"), 50),
        switch(42, None, MUTE, 100),
    ]);
    let of = switches.of(Some(project(42))).unwrap();
    assert_eq!(of.samples_on(49), "all at most 50%; error at most 1%");
    assert_eq!(of.samples_on(50), "all at most 50%");
    assert_eq!(of.samples_on(100), "");
    assert_eq!(of.mutes_on(49), "error but for 1%; all");
    let muted = of.mutes(ERROR, 49, 999_999).unwrap();
    assert_eq!((muted.keep, muted.until_unix_s), (None, 100));
}

#[test]
fn sessions_check_ins_and_what_has_no_category_are_never_sampled() {
    let all = switch(42, None, (Action::Sample, "0.5"), 100);
    let monitor = Categories::of(&[Category::Monitor]);
    for categories in [SESSION, monitor, Categories::EMPTY] {
        check_rate(&[all], categories, 0, None);
    }
}

/// A limit switched on for project 42, charged with one error after the other.
struct Scene {
    counters: Counters,
    switches: Switches,
}

impl Scene {
    fn new(switches: &[Switch]) -> Self {
        let counters = counters();
        let switches = Switches::compile(switches, None, &counters);
        Self { counters, switches }
    }

    fn charge(&self, categories: Categories, unix_s: u64) -> Result<(), Full> {
        let (quotas, counters) = (Quotas::default(), &self.counters);
        let who = Who {
            project: Some(project(42)),
            key: Key::parse(b"a94ae32be2584e0bbd7a4cbb95971fee")
                .unwrap()
                .packed(),
            ip: Ipv4Addr::LOCALHOST.into(),
            trust: Trust::Whole,
        };
        let at = Moment {
            since_start_ns: unix_s * 1_000_000_000,
            unix_s,
        };
        let load = Load {
            categories,
            items: 1,
            bytes: 10,
        };
        let of = self.switches.of(who.project).unwrap();
        let applying = quotas.of(&who).under(of.limits(), unix_s);
        applying.charge(at, &load, counters).map(drop)
    }
}

#[test]
fn a_limit_admits_its_number_and_is_told_as_a_switch() {
    let scene = Scene::new(&[switch(
        42,
        Some(Category::Error),
        (Action::Limit, "2/1h"),
        7000,
    )]);
    assert_eq!(scene.charge(ERROR, 10), Ok(()));
    assert_eq!(scene.charge(ERROR, 10), Ok(()));
    let full = scene.charge(ERROR, 10).unwrap_err();
    assert_eq!((full.reason, &*full.name), (Reason::Limited, "limited"));
    assert_eq!((full.categories, full.retry_after_s), (ERROR, 3590));
    assert_eq!(scene.charge(SESSION, 10), Ok(()));
    assert_eq!(scene.charge(ERROR, 3600), Ok(()), "the next window");
}

#[test]
fn a_limit_ends_exactly_at_its_end() {
    let none = switch(42, None, (Action::Limit, "0/1h"), 100);
    let longer = switch(42, Some(Category::Error), (Action::Limit, "0/1h"), 200);
    for switches in [[none, longer], [longer, none]] {
        let scene = Scene::new(&switches);
        assert!(scene.charge(SESSION, 99).is_err());
        assert!(scene.charge(SESSION, 100).is_ok());
        assert!(scene.charge(ERROR, 199).is_err());
        assert!(scene.charge(ERROR, 200).is_ok());
    }
}

#[test]
fn a_limit_switched_on_anew_goes_on_counting() {
    let counters = counters();
    let limit = |value| switch(42, Some(Category::Error), (Action::Limit, value), 7000);
    let mut scene = Scene {
        switches: Switches::compile(&[limit("2/1h")], None, &counters),
        counters,
    };
    assert!(scene.charge(ERROR, 10).is_ok());
    scene.switches = Switches::compile(&[limit("1/1h")], None, &scene.counters);
    assert!(
        scene.charge(ERROR, 10).is_err(),
        "the one that passed counts"
    );
    scene.switches = Switches::compile(&[limit("5/1s")], None, &scene.counters);
    assert!(
        scene.charge(ERROR, 10).is_ok(),
        "another time is another count"
    );
}
