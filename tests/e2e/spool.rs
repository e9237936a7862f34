//! What is kept while the upstream does not take it: every event that was answered 200
//! arrives, in order, once, with its times as they were; and the books say so.

mod adversary;
mod clients;
mod faults;
mod foretold;
mod health;
mod kept;
mod large;
mod places;
mod replayed;
mod steered;
mod storm;
pub(crate) mod trouble;

pub(crate) use steered::says;
pub(crate) use storm::seed;

use std::path::Path;
use std::time::Instant;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::edge::{Edge, KEY, configuration};
use crate::upstream::{Fake, HANG, Request};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = kept::trials();
    trials.extend(adversary::trials());
    trials.extend(clients::trials());
    trials.extend(faults::trials());
    trials.extend(foretold::trials());
    trials.extend(health::trials());
    trials.extend(large::trials());
    trials.extend(places::trials());
    trials.extend(replayed::trials());
    trials.extend(steered::trials());
    trials.extend(storm::trials());
    trials.extend(trouble::trials());
    trials
}

/// An edge with a spool in this folder; `changes` lie above that.
#[track_caller]
pub(crate) fn keeping(upstream: &str, place: &Path, changes: &Value) -> Edge {
    Edge::run(&text(upstream, place, changes), &[])
}

/// Its configuration's text.
fn text(upstream: &str, place: &Path, changes: &Value) -> String {
    let mut all = json!({
        "upstream": {"ingest_deadline": "1s", "probe_interval": "50ms", "timeouts": {"ingest": "20s"}},
        // One after the other, so that the order in which they are sent is seen.
        "spool": {"path": place, "free_floor": 0, "replay_requests": 1},
        "projects": [{"id": 42, "keys": [KEY]}],
    });
    crate::edge::lay_over(&mut all, changes);
    configuration(upstream, upstream, &all).to_string()
}

/// An envelope of one event with this number for its id.
pub(crate) fn event(number: u32) -> Vec<u8> {
    let id = id(number);
    format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\",\"length\":2}}\n{{}}\n").into_bytes()
}

fn id(number: u32) -> String {
    format!("{number:032x}")
}

/// The event ids of envelopes, in their order.
fn ids(requests: &[Request]) -> Vec<u32> {
    let id = |request: &Request| {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let (_, rest) = text.split_once("\"event_id\":\"")?;
        u32::from_str_radix(rest.get(..32)?, 16).ok()
    };
    requests.iter().filter_map(id).collect()
}

/// A 200 that names the event.
#[track_caller]
pub(crate) fn check_taken(answer: &Answer, number: u32) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), json!({"id": id(number)}));
    assert_eq!(
        answer.header("access-control-allow-origin").as_deref(),
        Some("*")
    );
}

/// Waits until an upstream has had so many whole requests, and yields them.
#[track_caller]
pub(crate) fn arrived(fake: &Fake, count: usize) -> Vec<Request> {
    fake.wait_for(&format!("{count} requests"), |ledger| {
        let whole = ledger.requests.iter();
        let whole = whole.filter(|request| request.ended == crate::upstream::Ended::Whole);
        (whole.count() >= count).then(|| ledger.requests.clone())
    })
}

/// The spool as `status` shows it.
#[track_caller]
fn spool(edge: &Edge) -> Value {
    edge.admin_get("/api/v1/status").json()["spool"].clone()
}

/// Waits until nothing is kept.
#[track_caller]
pub(crate) fn emptied(edge: &Edge) {
    let deadline = Instant::now() + HANG;
    while spool(edge)["items"] != 0 {
        assert!(Instant::now() < deadline, "it keeps {}", spool(edge));
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// What became of a project's items of a category, by the books.
#[track_caller]
fn booked(edge: &Edge, category: &str) -> Value {
    crate::quotas::row(edge, json!(42), category)["items"].clone()
}
