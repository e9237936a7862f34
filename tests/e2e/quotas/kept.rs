//! What of the counts outlives a restart and a kill: never more is admitted than the
//! limit, and at most a hundredth of it is lost.

use std::path::Path;

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::edge::{Edge, KEY};
use crate::parts::promises;
use crate::upstream::Fake;

use super::statuses;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        counts_outlive_a_restart_exactly,
        a_kill_loses_at_most_a_hundredth_and_admits_no_more,
        a_start_says_what_it_took_up_and_what_a_kill_cost,
        a_damaged_journal_stops_no_start,
        counts_without_a_folder_are_of_this_run,
    ]
}

fn before(fake: &Fake, state: &Path, limit: u64) -> Edge {
    let quotas: Value = json!([{"categories": ["error"], "limit": limit, "per": "30d"}]);
    let changes = json!({
        "state": {"path": state},
        "projects": [{"id": 42, "keys": [KEY], "quotas": quotas}],
        "defaults": {"quotas": [{"categories": ["session"], "limit": 3, "per": "30d", "by": "key"}]},
    });
    Edge::configured(&fake.url(), &fake.url(), changes)
}

fn passed(edge: &Edge, kind: &str, posts: usize) -> usize {
    statuses(edge, kind, posts)
        .iter()
        .filter(|status| **status == 200)
        .count()
}

#[track_caller]
fn end(mut edge: Edge, signal: Signal) {
    edge.signal(signal);
    edge.wait_end();
}

fn counts_outlive_a_restart_exactly() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let edge = before(&fake, place.path(), 1000);
    assert_eq!(passed(&edge, "event", 700), 700);
    end(edge, Signal::TERM);
    let edge = before(&fake, place.path(), 1000);
    assert_eq!(passed(&edge, "event", 400), 300);
    end(edge, Signal::TERM);
}

fn a_kill_loses_at_most_a_hundredth_and_admits_no_more() {
    for limit in [10_usize, 99, 100, 1000] {
        let (fake, place) = (Fake::start(), TempDir::new().unwrap());
        let mut admitted = 0;
        let mut lost = 0;
        for round in 1..=3 {
            let edge = before(&fake, place.path(), limit as u64);
            admitted += passed(&edge, "event", limit * round / 4);
            end(edge, Signal::KILL);
            lost += limit / 100;
        }
        let edge = before(&fake, place.path(), limit as u64);
        admitted += passed(&edge, "event", limit);
        assert!(admitted <= limit, "{admitted} of {limit}");
        assert!(
            admitted + lost >= limit,
            "{admitted} of {limit}, {lost} may be lost"
        );
    }
}

/// Nobody was told that a crash had written off a part.
fn a_start_says_what_it_took_up_and_what_a_kill_cost() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    for (signal, said) in [
        (Signal::TERM, ""),
        (Signal::KILL, "windows=1 rounded_up=0"),
        (Signal::TERM, "windows=1 rounded_up=1"),
        (Signal::TERM, "windows=1 rounded_up=0"),
    ] {
        let edge = before(&fake, place.path(), 1000);
        let text = edge.log.text();
        assert_eq!(text.contains("rounded_up="), !said.is_empty(), "{text}");
        assert!(text.contains(said), "no {said} in {text}");
        assert_eq!(passed(&edge, "event", 10), 10);
        end(edge, signal);
    }
}

fn a_damaged_journal_stops_no_start() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let edge = before(&fake, place.path(), 100);
    assert_eq!(passed(&edge, "event", 60), 60);
    end(edge, Signal::KILL);
    let journal = place.path().join("quotas");
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes.extend_from_slice(b"\xff\xffhalf a line");
    std::fs::write(&journal, bytes).unwrap();
    let edge = before(&fake, place.path(), 100);
    let more = passed(&edge, "event", 100);
    assert!((39..=40).contains(&more), "{more}");
    end(edge, Signal::KILL);
    std::fs::write(&journal, [0xa5; 1000]).unwrap();
    let edge = before(&fake, place.path(), 100);
    assert_eq!(passed(&edge, "event", 1), 1, "it begins anew");
}

fn counts_without_a_folder_are_of_this_run() {
    let fake = Fake::start();
    let place = TempDir::new().unwrap();
    let file = place.path().join("no-folder");
    std::fs::write(&file, b"").unwrap();
    let edge = before(&fake, &file, 5);
    assert_eq!(passed(&edge, "event", 9), 5);
}
