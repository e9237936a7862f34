//! What an operator steers: maintenance, and what is kept.

use std::process::Output;

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::edge::{Edge, program};
use crate::parts::promises;
use crate::upstream::{Fake, Silent};

use super::adversary::comes;
use super::large::large;
use super::{arrived, booked, check_taken, emptied, event, ids, keeping, spool, text};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        maintenance_keeps_everything_and_ends_by_itself,
        maintenance_outlives_a_restart,
        a_paused_spool_sends_nothing_until_it_is_drained,
        a_pause_outlives_a_restart,
        a_drain_says_that_maintenance_holds_it,
        full_shares_are_shown_where_an_operator_looks,
        a_projects_events_are_dropped_for_good,
        a_large_body_is_dropped_with_its_file,
        a_spool_made_smaller_takes_again_once_it_has_room,
        without_a_spool_there_is_no_maintenance,
    ]
}

#[track_caller]
fn command(edge: &Edge, words: &[&str]) -> Output {
    let admin = edge.admin.to_string();
    let output = program().args(words).args(["--admin", &admin]).output();
    output.unwrap()
}

#[track_caller]
pub(crate) fn says(edge: &Edge, words: &[&str]) -> String {
    let output = command(edge, words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn maintenance_keeps_everything_and_ends_by_itself() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let edge = keeping(&fake.url(), place.path(), &json!({}));
    let said = says(&edge, &["maintenance", "on", "--for", "3s"]);
    assert!(said.starts_with("maintenance is on until 20"), "{said}");
    for number in 0..5 {
        check_taken(&edge.post_envelope(&[], &event(number)), number);
    }
    assert!(fake.requests().is_empty(), "the upstream was asked");
    let status = edge.admin_get("/api/v1/status").json();
    assert!(status["maintenance"]["until"].is_string(), "{status}");
    assert_eq!(status["light"], "amber");
    let requests = arrived(&fake, 5);
    assert_eq!(ids(&requests), [0, 1, 2, 3, 4], "it has ended by itself");
    emptied(&edge);
    let status = edge.admin_get("/api/v1/status").json();
    assert!(status["maintenance"].is_null(), "{status}");
}

fn maintenance_outlives_a_restart() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let state = TempDir::new().unwrap();
    let changes = json!({"state": {"path": state.path()}});
    let mut edge = keeping(&fake.url(), place.path(), &changes);
    says(&edge, &["maintenance", "on", "--for", "1h"]);
    edge.signal(Signal::KILL);
    edge.wait_end();
    let edge = keeping(&fake.url(), place.path(), &changes);
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    assert!(fake.requests().is_empty());
    let said = says(&edge, &["maintenance", "off"]);
    assert_eq!(
        said,
        "maintenance is off: what was kept is sent, unless the spool is paused\n"
    );
    assert_eq!(ids(&arrived(&fake, 1)), [1]);
}

fn a_paused_spool_sends_nothing_until_it_is_drained() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    says(&edge, &["spool", "pause"]);
    for number in 0..5 {
        check_taken(&edge.post_envelope(&[], &event(number)), number);
    }
    let up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    // Live events are not held back by it, once the upstream is seen to be up.
    let deadline = std::time::Instant::now() + crate::upstream::HANG;
    while edge.post_envelope(&[], &event(9)).text() != "{}" {
        assert!(std::time::Instant::now() < deadline);
    }
    let seen = ids(&up.requests());
    assert!(seen.iter().all(|number| *number == 9), "{seen:?}");
    let listed = says(&edge, &["spool", "ls"]);
    assert!(
        listed.contains("; paused") && listed.contains("42"),
        "{listed}"
    );
    let said = says(&edge, &["spool", "drain"]);
    assert!(said.starts_with("it was paused since 20"), "{said}");
    assert!(
        said.ends_with("\nthe spool is empty: all that was kept is sent\n"),
        "{said}"
    );
    assert_eq!(spool(&edge)["items"], 0);
    let seen = ids(&up.requests());
    let kept: Vec<_> = seen.iter().filter(|number| **number < 5).collect();
    assert_eq!(kept, [&0, &1, &2, &3, &4]);
}

/// A pause was once forgotten by a restart, and what it held was sent.
fn a_pause_outlives_a_restart() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let state = TempDir::new().unwrap();
    let changes = json!({"state": {"path": state.path()}});
    let mut edge = keeping(&down.url(), place.path(), &changes);
    let said = says(&edge, &["spool", "pause"]);
    assert!(!said.contains("forgets"), "{said}");
    for number in 0..3 {
        check_taken(&edge.post_envelope(&[], &event(number)), number);
    }
    let since = spool(&edge)["paused_since"].clone();
    assert!(since.is_string(), "{}", spool(&edge));
    edge.signal(Signal::KILL);
    edge.wait_end();
    let up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let mut edge = keeping(&up.url(), place.path(), &changes);
    let deadline = std::time::Instant::now() + crate::upstream::HANG;
    while edge.post_envelope(&[], &event(9)).text() != "{}" {
        assert!(std::time::Instant::now() < deadline);
    }
    assert_eq!(spool(&edge)["paused_since"], since);
    let status = edge.admin_get("/api/v1/status").json();
    let want = format!("paused since {}", since.as_str().unwrap());
    assert!(status["reasons"].to_string().contains(&want), "{status}");
    let seen = ids(&up.requests());
    assert!(seen.iter().all(|number| *number == 9), "{seen:?}");
    says(&edge, &["spool", "drain"]);
    edge.signal(Signal::KILL);
    edge.wait_end();
    let edge = keeping(&up.url(), place.path(), &changes);
    assert_eq!(spool(&edge)["paused"], false);
}

/// It once waited for as long as the maintenance lasted, and said nothing.
fn a_drain_says_that_maintenance_holds_it() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let edge = keeping(&fake.url(), place.path(), &json!({}));
    says(&edge, &["maintenance", "on", "--for", "1h"]);
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    let output = command(&edge, &["spool", "drain"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("maintenance holds what is kept until 20"),
        "{said}"
    );
    assert!(said.contains("`vidette maintenance off`"), "{said}");
    let listed = says(&edge, &["spool", "ls"]);
    assert!(
        listed.contains("; held by maintenance until 20"),
        "{listed}"
    );
    says(&edge, &["maintenance", "off"]);
    says(&edge, &["spool", "drain"]);
    assert_eq!(ids(&arrived(&fake, 1)), [1]);
}

/// They were once in the log alone.
fn full_shares_are_shown_where_an_operator_looks() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let changes = json!({
        "keys": {"mode": "learn"},
        "spool": {"max_bytes": "8MiB", "project_bytes": "1MiB"},
    });
    let edge = keeping(&down.url(), place.path(), &changes);
    let text = "x".repeat(20_000);
    let body = format!("{{}}\n{{\"type\":\"event\",\"length\":20000}}\n{text}\n").into_bytes();
    let stranger = crate::senders::target(7, "b94ae32be2584e0bbd7a4cbb95971fee");
    let fill = |target: &str| {
        let refused = (0..100)
            .map(|_| edge.ask("POST", target, &[], &body))
            .find(|answer| answer.status != 200)
            .expect("there is room without end");
        assert_eq!(
            refused.json()["causes"][0],
            "spool_full",
            "{}",
            refused.text()
        );
    };
    let said = || edge.admin_get("/api/v1/status").json();
    assert!(
        !said()["reasons"].to_string().contains("shares"),
        "{}",
        said()
    );
    fill(&crate::edge::envelope_target());
    fill(&stranger);
    let deadline = std::time::Instant::now() + crate::upstream::HANG;
    let whole = || {
        let reasons = said()["reasons"].to_string();
        reasons.contains("project 42 (10") && reasons.contains("nobody vouches for (4")
    };
    while !whole() {
        assert!(std::time::Instant::now() < deadline, "{}", said());
    }
    let full = said()["spool"]["full_shares"].clone();
    assert_eq!(full[0]["share"], "strangers", "{full}");
    assert_eq!(
        (&full[1]["project"], &full[1]["bytes_max"]),
        (&json!(42), &json!(1 << 20))
    );
    let listed = says(&edge, &["spool", "ls"]);
    assert!(listed.contains("\nfull: project 42, "), "{listed}");
    assert!(
        listed.contains("\nfull: keys that nobody vouches for, "),
        "{listed}"
    );
    let status = says(&edge, &["status"]);
    assert!(status.contains("shares are full"), "{status}");
}

fn a_projects_events_are_dropped_for_good() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    let secret = "{}\n{\"type\":\"event\",\"length\":14}\n{\"a\":\"s3cret\"}\n";
    assert_eq!(edge.post_envelope(&[], secret.as_bytes()).status, 200);
    let other = crate::senders::target(7, "b94ae32be2584e0bbd7a4cbb95971fee");
    assert_eq!(edge.ask("POST", &other, &[], &event(1)).status, 200);
    let holds = |text: &[u8]| {
        std::fs::read_dir(place.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
            memchr::memmem::find(&bytes, text).is_some()
        })
    };
    assert!(holds(b"s3cret"));
    let of_whom = command(&edge, &["spool", "drop"]);
    assert_eq!(of_whom.status.code(), Some(2));
    let said = String::from_utf8_lossy(&of_whom.stderr);
    for option in ["--project", "--all"] {
        assert!(said.contains(option), "no {option} in {said}");
    }
    assert_eq!(
        says(&edge, &["spool", "drop", "--project", "42"]),
        "1 requests dropped\n"
    );
    // One that is just being sent is dropped when that has failed.
    let deadline = std::time::Instant::now() + crate::upstream::HANG;
    while spool(&edge)["items"] != 1 {
        assert!(std::time::Instant::now() < deadline, "{}", spool(&edge));
    }
    assert!(!holds(b"s3cret"), "it is still on disk");
    assert_eq!(
        booked(&edge, "error")["dropped"],
        json!({"spool_purged": 1})
    );
    assert_eq!(
        says(&edge, &["spool", "drop", "--all"]),
        "1 requests dropped\n"
    );
    emptied(&edge);
}

fn a_large_body_is_dropped_with_its_file() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    let bodies = || {
        let files = std::fs::read_dir(place.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().ends_with(".body"))
            .count()
    };
    for _ in 0..2 {
        assert_eq!(edge.post_envelope(&[], &large(3_000_000)).status, 200);
    }
    assert_eq!(edge.post_envelope(&[], &event(1)).status, 200);
    assert_eq!(bodies(), 2);
    // One may be on its way to an upstream that is not there.
    let mut dropped = String::new();
    assert!(
        comes(10, || {
            dropped += &says(&edge, &["spool", "drop", "--all"]);
            spool(&edge)["items"] == 0
        }),
        "{dropped}"
    );
    says(&edge, &["spool", "drop", "--all"]);
    assert_eq!(bodies(), 0, "{dropped}");
    let attachments = booked(&edge, "attachment");
    assert_eq!(attachments["dropped"], json!({"spool_purged": 2}));
}

/// Its running file is longer than all files may be together after the reload.
fn a_spool_made_smaller_takes_again_once_it_has_room() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let sized = |max_bytes: &str| {
        let changes = json!({"spool": {"max_bytes": max_bytes}});
        text(&down.url(), place.path(), &changes)
    };
    let edge = Edge::run(&sized("64MiB"), &[]);
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    edge.rewrite(&sized("2MiB"));
    edge.signal(Signal::HUP);
    edge.wait_metric("vidette_config_reloads_total", &[], 1.0);
    assert!(
        comes(5, || edge.post_envelope(&[], &event(2)).status == 200),
        "{}",
        edge.log.text()
    );
    let bytes: u64 = std::fs::read_dir(place.path())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes < 3 << 20, "{bytes} bytes of 2 MiB");
}

fn without_a_spool_there_is_no_maintenance() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let output = command(&edge, &["maintenance", "on", "--for", "1m"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("spool.path"), "{said}");
    assert!(!command(&edge, &["spool", "ls"]).status.success());
    assert_eq!(
        command(&edge, &["maintenance", "on"]).status.code(),
        Some(2)
    );
    assert_eq!(
        command(&edge, &["maintenance", "on", "--for", "40"])
            .status
            .code(),
        Some(2)
    );
}
