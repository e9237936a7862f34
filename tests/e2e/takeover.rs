//! One process takes over from another: no client notices, nothing is lost, nothing counts twice;
//! and where it comes to nothing, all is as it was.

mod inherited;
pub(crate) mod load;
mod refused;
mod reloads;
mod rolling;
mod shared;
mod spooled;

use std::path::Path;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::books::check_equation;
use crate::edge::{Edge, KEY, configuration};
use crate::quotas::settled;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = rolling::trials();
    trials.extend(reloads::trials());
    trials.extend(spooled::trials());
    trials.extend(shared::trials());
    trials.extend(refused::trials());
    trials.extend(inherited::trials());
    trials
}

/// The text of a configuration that keeps all it can keep in this folder.
fn text(ingest: &str, web: &str, place: &Path, changes: &Value) -> String {
    let mut all = json!({
        "workers": 2,
        "upstream": {"ingest_deadline": "1s", "probe_interval": "50ms"},
        "spool": {"path": place.join("spool"), "free_floor": 0},
        "state": {"path": place.join("state")},
        "projects": [{"id": 42, "keys": [KEY]}],
        "log": {"level": "info"},
    });
    crate::edge::lay_over(&mut all, changes);
    configuration(ingest, web, &all).to_string()
}

#[track_caller]
fn run(upstream: &str, place: &Path, changes: &Value) -> Edge {
    Edge::run(&text(upstream, upstream, place, changes), &[])
}

/// Hands over from one edge to the next, and sees the first end well.
#[track_caller]
pub(crate) fn upgrade(mut edge: Edge) -> Edge {
    let next = edge.successor();
    assert_eq!(next.public, edge.public, "another address");
    assert_eq!(next.admin, edge.admin, "another admin address");
    let ended = edge.wait_end();
    assert!(ended.success(), "{ended}:\n{}", edge.log.text());
    next
}

/// The errors of project 42 in the books, which close.
#[track_caller]
fn errors(edge: &Edge) -> Value {
    let books = settled(edge);
    check_equation(&books);
    let rows = books["rows"].as_array().unwrap();
    let mut rows = rows.iter();
    let row = rows.find(|row| row["project"] == 42 && row["category"] == "error");
    row.unwrap_or_else(|| panic!("no errors in {books}"))["items"].clone()
}
