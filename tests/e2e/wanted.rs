//! What is wanted, from outside: which of many are kept, what a filter leaves behind, and that
//! nobody who sends it hears of either.

mod filtered;
mod repeated;
mod sampled;
mod sdks;

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::edge::{Edge, KEY};
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = sampled::trials();
    trials.extend(filtered::trials());
    trials.extend(repeated::trials());
    trials.extend(sdks::trials());
    trials
}

/// The projects that send to an edge under test.
const PROJECTS: [u64; 3] = [42, 43, 44];

/// What an edge is told that wants this, of every project.
fn wishes(wishes: &Value) -> Value {
    let projects = PROJECTS.map(|id| json!({"id": id, "keys": [key(id)]}));
    json!({"defaults": wishes, "projects": projects})
}

#[track_caller]
fn wanting(fake: &Fake, wanted: Value) -> Edge {
    Edge::configured(&fake.url(), &fake.url(), wishes(&wanted))
}

fn key(project: u64) -> String {
    match project {
        42 => KEY.to_owned(),
        other => format!("{other:032x}"),
    }
}

fn target(project: u64, endpoint: &str) -> String {
    let key = key(project);
    format!("/api/{project}/{endpoint}/?sentry_key={key}&sentry_version=7")
}

/// One item behind a line one.
fn envelope(line: &Value, kind: &str, payload: &str) -> Vec<u8> {
    let length = payload.len();
    format!("{line}\n{{\"type\":\"{kind}\",\"length\":{length}}}\n{payload}\n").into_bytes()
}

/// A success that tells nothing but the event's id.
#[track_caller]
fn check_silent(answer: &Answer, id: Option<&str>) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let want = match id {
        Some(id) => json!({"id": id}),
        None => json!({}),
    };
    assert_eq!(answer.json(), want);
    for told in ["x-sentry-rate-limits", "retry-after", "x-sentry-error"] {
        assert_eq!(answer.header(told), None, "{told}");
    }
}

/// How many items of a category were dropped for a reason.
fn dropped(edge: &Edge, category: &str, reason: &str) -> u64 {
    let ledger = edge.admin_get("/api/v1/ledger").json();
    let rows = ledger["rows"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["project"] == 42 && row["category"] == category);
    rows.filter_map(|row| row["items"]["dropped"][reason].as_u64())
        .sum()
}

/// So many were; those that were refused by their head are counted when their bodies are over.
#[track_caller]
fn check_dropped(edge: &Edge, category: &str, reason: &str, want: u64) {
    let began = Instant::now();
    while dropped(edge, category, reason) != want {
        let ledger = || edge.admin_get("/api/v1/ledger").text();
        assert!(
            began.elapsed() < HANG,
            "not {want} {category} {reason}: {}",
            ledger()
        );
        thread::sleep(Duration::from_millis(10));
    }
}
