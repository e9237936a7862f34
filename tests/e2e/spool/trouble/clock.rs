//! The edge whose wall clock is set, ahead and back, while it runs and while it does not.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::edge::{Edge, KEY};
use crate::parts::promises;
use crate::upstream::{Fake, Silent};

use super::super::adversary::{check_books, comes, up};
use super::super::{arrived, check_taken, emptied, event, ids, spool, text};
use super::Trouble;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_clock_that_jumps_makes_nothing_too_old,
        a_clock_that_was_set_before_a_restart_makes_nothing_too_old,
        what_is_too_old_stays_so_whatever_the_clock_shows,
        the_time_held_is_what_passed_and_no_jump,
        limits_and_quotas_bear_a_clock_that_jumps,
    ]
}

const DAY_S: i64 = 24 * 3600;

/// Longer than the edge looks for what is too old.
const TIDIED: Duration = Duration::from_millis(2500);

fn a_clock_that_jumps_makes_nothing_too_old() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let trouble = Trouble::new(1);
    let changes = json!({"spool": {"max_age": "1h"}});
    let edge = trouble.run(&text(&down.url(), place.path(), &changes), place.path());
    let mut number = 0;
    for by_s in [0, DAY_S, 2 * 3600, -DAY_S, 400 * DAY_S, 0] {
        trouble.clock_is_off(by_s);
        check_taken(&edge.post_envelope(&[], &event(number)), number);
        number += 1;
        thread::sleep(TIDIED);
        assert_eq!(spool(&edge)["items"], number, "off by {by_s} s");
        let oldest_s = spool(&edge)["oldest_s"].as_u64().unwrap();
        assert!(oldest_s < 60, "{oldest_s} s old, off by {by_s} s");
    }
    let fake = up(down);
    emptied(&edge);
    assert_eq!(ids(&fake.requests()), (0..number).collect::<Vec<_>>());
    check_books(&edge);
}

/// A clock that was set by a day between two starts once made all of it too old.
fn a_clock_that_was_set_before_a_restart_makes_nothing_too_old() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let url = down.url();
    let trouble = Trouble::new(1);
    let on = text(&url, place.path(), &json!({"spool": {"max_age": "1h"}}));
    let mut edge = trouble.run(&on, place.path());
    let mut number = 0;
    for (by_s, end) in [
        (DAY_S, Signal::KILL),
        (-DAY_S, Signal::TERM),
        (DAY_S, Signal::TERM),
        (0, Signal::KILL),
    ] {
        check_taken(&edge.post_envelope(&[], &event(number)), number);
        number += 1;
        edge.signal(end);
        edge.wait_end();
        trouble.clock_is_off(by_s);
        edge = trouble.run(&on, place.path());
        thread::sleep(TIDIED);
        assert_eq!(spool(&edge)["items"], number, "off by {by_s} s");
        let told = edge.log.text().contains("the wall clock was set");
        assert_eq!(told, by_s != 0, "{}", edge.log.text());
    }
    let fake = up(down);
    emptied(&edge);
    assert_eq!(ids(&fake.requests()), (0..number).collect::<Vec<_>>());
    check_books(&edge);
}

fn what_is_too_old_stays_so_whatever_the_clock_shows() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let trouble = Trouble::new(1);
    let on = text(
        &down.url(),
        place.path(),
        &json!({"spool": {"max_age": "4s"}}),
    );
    let mut edge = trouble.run(&on, place.path());
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    thread::sleep(Duration::from_secs(2));
    trouble.clock_is_off(-DAY_S);
    edge.signal(Signal::KILL);
    edge.wait_end();
    let edge = trouble.run(&on, place.path());
    assert!(comes(6, || spool(&edge)["items"] == 0), "{}", spool(&edge));
    assert_eq!(edge.metric("vidette_spool_expired_total", &[]), 1.0);
}

fn the_time_held_is_what_passed_and_no_jump() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let trouble = Trouble::new(1);
    let on = text(&down.url(), place.path(), &json!({}));
    let mut edge = trouble.run(&on, place.path());
    let since = Instant::now();
    let body =
        "{\"sent_at\":\"2026-11-26T10:30:00.000Z\"}\n{\"type\":\"event\",\"length\":2}\n{}\n";
    assert_eq!(edge.post_envelope(&[], body.as_bytes()).status, 200);
    trouble.clock_is_off(3 * 3600);
    thread::sleep(Duration::from_millis(700));
    edge.signal(Signal::KILL);
    edge.wait_end();
    trouble.clock_is_off(-3 * 3600);
    let edge = trouble.run(&on, place.path());
    thread::sleep(Duration::from_millis(700));
    let fake = up(down);
    let seen = String::from_utf8(arrived(&fake, 1).remove(0).body).unwrap();
    let (_, after) = seen.split_once("2026-11-26T10:30:").expect(&seen);
    let held_s: f64 = after.split_once('Z').unwrap().0.parse().unwrap();
    let most_s = since.elapsed().as_secs_f64() + 1.0;
    assert!((1.3..most_s).contains(&held_s), "{held_s} of {most_s} s");
    emptied(&edge);
}

/// Seconds off the true clock that make it half past, for a while.
fn half_past() -> i64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    1800 - (now.as_secs() % 3600) as i64
}

#[track_caller]
fn post_session(edge: &Edge) -> u16 {
    let session = b"{}\n{\"type\":\"session\",\"length\":2}\n{}\n";
    edge.post_envelope(&[], session).status
}

/// A limit that Sentry told lasts as long as it said; a window's count is that window's,
/// whichever way the clock comes to it.
fn limits_and_quotas_bear_a_clock_that_jumps() {
    let place = TempDir::new().unwrap();
    let fake = Fake::start();
    let trouble = Trouble::new(1);
    let half_past = half_past();
    trouble.clock_is_off(half_past);
    let quotas = json!([
        {"categories": ["error"], "limit": 3, "per": "1h"},
        {"categories": ["session"], "limit": 2, "per": "10s"},
    ]);
    let changes = json!({"projects": [{"id": 42, "keys": [KEY], "quotas": quotas}]});
    let edge = trouble.run(&text(&fake.url(), place.path(), &changes), place.path());
    let post = |number: u32| edge.post_envelope(&[], &event(number)).status;
    // The clock is looked at each second.
    let sets = |by_s: i64| {
        trouble.clock_is_off(half_past + by_s);
        thread::sleep(Duration::from_millis(1500));
    };
    assert_eq!([1, 2, 3, 4].map(post), [200, 200, 200, 429]);
    assert_eq!([(); 3].map(|()| post_session(&edge)), [200, 200, 429]);
    for by_s in [600, -600, 0] {
        sets(by_s);
        assert_eq!(post(5), 429, "the same hour, off by {by_s} s");
    }
    // A rate knows no wall clock.
    sets(DAY_S);
    assert_eq!([1, 2, 3, 4].map(post), [200, 200, 200, 429], "another hour");
    let answer = edge.post_envelope(&[], &event(6));
    let wait_s: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=300).contains(&wait_s), "{wait_s}");
    check_books(&edge);
}
