//! What both processes use while both run: quotas, listeners, workers.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use super::load::Load;
use super::{errors, run, text, upgrade};
use crate::edge::{Edge, KEY};
use crate::parts::promises;
use crate::upstream::{Fake, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        a_quota_over_upgrades_is_never_exceeded_and_used_to_the_end,
        workers_may_become_more_and_fewer,
        a_listener_may_come_and_another_go,
    ]
}

const LIMIT: usize = 1500;

fn a_quota_over_upgrades_is_never_exceeded_and_used_to_the_end() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let quotas = json!([{"name": "a", "limit": LIMIT, "per": "1d"}]);
    let changes = json!({"projects": [{"id": 42, "keys": [KEY], "quotas": quotas}]});
    let mut edge = run(&fake.url(), place.path(), &changes);
    let load = Load::start(edge.public, 3, Duration::from_millis(15));
    for _ in 0..6 {
        load.goes_on(200);
        edge = upgrade(edge);
    }
    load.goes_on(u32::try_from(LIMIT).unwrap());
    let seen = load.stop_well();
    assert!(seen.taken.len() <= LIMIT, "{} of {LIMIT}", seen.taken.len());
    let least = LIMIT * 98 / 100;
    assert!(seen.taken.len() >= least, "{} of {LIMIT}", seen.taken.len());
    let row = errors(&edge);
    assert_eq!(row["forwarded"], seen.taken.len(), "{row}");
    assert!(seen.limited > 0, "the limit was never met");
    println!("{} of {LIMIT} over six upgrades", seen.taken.len());
}

fn workers_may_become_more_and_fewer() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let of = |workers: usize| {
        let changes = json!({"workers": workers});
        text(&fake.url(), &fake.url(), place.path(), &changes)
    };
    let mut edge = Edge::run(&of(3), &[]);
    let load = Load::start(edge.public, 3, Duration::from_millis(10));
    for workers in [1, 4, 2, 5] {
        load.goes_on(100);
        edge.rewrite(&of(workers));
        edge = upgrade(edge);
    }
    load.goes_on(100);
    let seen = load.stop_well();
    assert_eq!(errors(&edge)["forwarded"], seen.taken.len());
}

fn a_listener_may_come_and_another_go() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let port = Silent::reserve().port();
    let others = [2, 3].map(|host| format!("127.0.0.{host}:{port}"));
    let with = |other: &str| {
        let changes = json!({"listen": {"public": ["127.0.0.1:0", other]}});
        text(&fake.url(), &fake.url(), place.path(), &changes)
    };
    let mut edge = Edge::run(&with(&others[0]), &[]);
    let load = Load::start(edge.public, 2, Duration::from_millis(10));
    let going = Load::start(others[0].parse().unwrap(), 2, Duration::from_millis(3));
    going.goes_on(100);
    edge.rewrite(&with(&others[1]));
    edge = upgrade(edge);
    let coming = Load::start(others[1].parse().unwrap(), 2, Duration::from_millis(10));
    coming.goes_on(50);
    let came = coming.stop_well();
    let stayed = load.stop_well();
    let went = going.stop();
    // Who comes to where nobody listens is told so, and nobody was cut off before.
    let cut = went.failed.iter().find(|why| !why.contains("refused"));
    assert!(cut.is_none(), "{cut:?}");
    let all = came.taken.len() + stayed.taken.len() + went.taken.len();
    assert_eq!(errors(&edge)["forwarded"], all);
}
