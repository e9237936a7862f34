//! Limits, from outside: what of a request stays behind, what its sender is told, that
//! nobody gets more than a limit says, and what the upstream's own limits teach.

mod amounts;
mod counted;
mod kept;
mod learned;
mod mixed;
mod obeyed;
mod refused;
mod told;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::edge::{Edge, KEY};
use crate::upstream::Fake;

pub(crate) use counted::settled;
pub(crate) use obeyed::Sdk;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = mixed::trials();
    trials.extend(refused::trials());
    trials.extend(amounts::trials());
    trials.extend(counted::trials());
    trials.extend(learned::trials());
    trials.extend(kept::trials());
    trials.extend(obeyed::trials());
    trials.extend(told::trials());
    trials
}

/// An edge on which project 42 has these quotas.
#[track_caller]
fn limited(fake: &Fake, quotas: &Value) -> Edge {
    let changes = json!({"projects": [{"id": 42, "keys": [KEY], "quotas": quotas}]});
    Edge::configured(&fake.url(), &fake.url(), changes)
}

/// An envelope with one item of this type.
fn one(kind: &str) -> Vec<u8> {
    format!("{{}}\n{{\"type\":\"{kind}\",\"length\":2}}\n{{}}\n").into_bytes()
}

/// The statuses of as many posts of one item.
#[track_caller]
fn statuses(edge: &Edge, kind: &str, posts: usize) -> Vec<u16> {
    let mut client = edge.connect();
    let post = |_| {
        let target = crate::edge::envelope_target();
        client.send(&crate::client::request("POST", &target, &[], &one(kind)));
        client.answer_to("POST").status
    };
    (0..posts).map(post).collect()
}

/// The seconds, categories, scope and reason of a 429 that names one limit; its
/// `Retry-After` says the same.
#[track_caller]
pub(crate) fn told(answer: &Answer) -> (u64, String) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    crate::ingest::check_refusal(answer);
    let limits = answer.header("x-sentry-rate-limits").unwrap();
    let (seconds, rest) = limits.split_once(':').unwrap();
    assert_eq!(answer.header("retry-after").as_deref(), Some(seconds));
    (seconds.parse().unwrap(), rest.to_owned())
}

/// The row of a project and a category in the ledger, once nothing is in flight.
#[track_caller]
pub(crate) fn row(edge: &Edge, project: Value, category: &str) -> Value {
    let ledger = counted::settled(edge);
    let rows = ledger["rows"].as_array().unwrap();
    let mut found = rows
        .iter()
        .filter(|row| row["project"] == project && row["category"] == category);
    found
        .next()
        .cloned()
        .unwrap_or_else(|| panic!("no row of {project} {category} in {ledger}"))
}
