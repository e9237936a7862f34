//! Budgets: how much a day may bring, what is told of it before and after, and that a
//! restart does not forget.

use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::edge::{Edge, KEY};
use crate::parts::promises;
use crate::upstream::Fake;

use super::says;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_budget_admits_its_bytes_of_everything_and_no_more,
        a_budget_is_told_before_it_is_reached,
        a_budget_that_is_used_up_is_a_reason_once,
        a_restart_knows_what_the_day_has_brought,
        without_a_budget_nothing_is_limited,
    ]
}

/// A day must not end, nor have only begun, while this runs.
fn within_a_day() {
    const DAY_S: u64 = 86_400;
    let now_s = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
            % DAY_S
    };
    while now_s() < 70 || now_s() > DAY_S - 120 {
        thread::sleep(Duration::from_secs(1));
    }
}

/// Of budgets of 100 KB for each project, 250 KB for all, and none for project 7.
fn budgeted(fake: &Fake, state: Option<&Path>) -> Edge {
    let state = state.map_or(json!("off"), |path| json!(path));
    let changes = json!({
        "state": {"path": state},
        "global": {"budget": "250000B"},
        "defaults": {"budget": "100000B"},
        "projects": [
            {"id": 42, "keys": [KEY], "quotas": [{"categories": ["error"], "limit": 1000, "per": "1h"}]},
            {"id": 7, "budget": "off"},
        ],
    });
    Edge::configured(&fake.url(), &fake.url(), changes)
}

/// Where a project's events go, with a key of its own.
fn target(project: u64) -> String {
    let key = match project {
        42 => KEY.to_owned(),
        other => format!("{other:032x}"),
    };
    crate::senders::target(project, &key)
}

/// Posts so many items of 10 KB; how many pass.
#[track_caller]
fn passed(edge: &Edge, project: u64, kind: &str, posts: usize) -> usize {
    let body = format!(
        "{{}}\n{{\"type\":\"{kind}\",\"length\":10000}}\n{}\n",
        "x".repeat(10_000)
    );
    let target = target(project);
    let post = |_| edge.ask("POST", &target, &[], body.as_bytes()).status;
    (0..posts).map(post).filter(|status| *status == 200).count()
}

fn rows(edge: &Edge) -> Vec<Value> {
    let told = edge.admin_get("/api/v1/budgets").json();
    told["budgets"].as_array().unwrap().clone()
}

fn a_budget_admits_its_bytes_of_everything_and_no_more() {
    within_a_day();
    let fake = Fake::start();
    let edge = budgeted(&fake, None);
    assert_eq!(passed(&edge, 42, "event", 4), 4);
    assert_eq!(passed(&edge, 42, "attachment", 4), 4);
    assert_eq!(passed(&edge, 42, "of_tomorrow", 4), 2, "all of them count");
    let event = b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n";
    let answer = edge.post_envelope(&[], event);
    assert_eq!(
        crate::quotas::told(&answer),
        (300, ":project:budget".to_owned())
    );
    assert_eq!(passed(&edge, 8, "event", 6), 6, "nobody listed it");
    assert_eq!(
        passed(&edge, 7, "event", 12),
        9,
        "it has none, but all have one together"
    );
    let answer = edge.ask("POST", &target(8), &[], event);
    assert_eq!(
        crate::quotas::told(&answer),
        (300, ":global:budget".to_owned())
    );
    assert_eq!(fake.requests().len(), 4 + 4 + 2 + 6 + 9);
    assert_eq!(super::dropped(&edge, "quota"), 2 + 1 + 3 + 1);
}

fn a_budget_is_told_before_it_is_reached() {
    within_a_day();
    let fake = Fake::start();
    let edge = budgeted(&fake, None);
    let status = || edge.admin_get("/api/v1/status").json();
    assert_eq!(passed(&edge, 42, "event", 7), 7);
    assert_eq!(status()["notes"], json!([]));
    assert_eq!(passed(&edge, 42, "event", 1), 1);
    let told = status();
    let note = told["notes"][0].as_str().unwrap().to_owned();
    assert!(
        note.starts_with(
            "the budget of project 42 is 80.0% used (78.1 KiB of 97.6 KiB); at today's pace "
        ),
        "{note}"
    );
    assert_eq!(
        (&told["light"], &told["reasons"]),
        (&json!("green"), &json!([])),
        "nothing is wrong yet"
    );
    assert!(says(&edge, &["status"]).contains(&format!("(note) {note}")));
    let told = rows(&edge);
    let row = &told[1];
    assert_eq!(
        (&told[0]["owner"], &told[0]["used"]),
        (&json!("global"), &json!(80_000))
    );
    assert_eq!(
        (&row["project"], &row["quota"], &row["unit"]),
        (&json!(42), &json!("budget"), &json!("bytes"))
    );
    assert_eq!(
        (&row["used"], &row["limit"], &row["spent"]),
        (&json!(80_000), &json!(100_000), &json!(false))
    );
    let (hourly, ratio) = (
        row["per_hour"].as_u64().unwrap(),
        row["used_ratio"].as_f64().unwrap(),
    );
    assert!((80_000 / 24..80_000 * 60).contains(&hourly), "{row}");
    assert!((ratio - 0.8).abs() < 0.001, "{row}");
    // A quota of an hour is long enough to be foretold too.
    let quota = told.iter().find(|row| row["quota"] == "error-1h").unwrap();
    assert_eq!(
        (&quota["unit"], &quota["used"], &quota["limit"]),
        (&json!("items"), &json!(8), &json!(1000))
    );
    let table = says(&edge, &["budget"]);
    assert!(
        table.contains("installation  budget") && table.contains("78.1 KiB    97.6 KiB    80.0%"),
        "{table}"
    );
    let json: Value = serde_json::from_str(&says(&edge, &["budget", "show", "--json"])).unwrap();
    assert_eq!(json["budgets"][1]["used"], 80_000);
}

fn a_budget_that_is_used_up_is_a_reason_once() {
    within_a_day();
    let fake = Fake::start();
    let edge = budgeted(&fake, None);
    assert_eq!(passed(&edge, 42, "event", 12), 10);
    let told = edge.admin_get("/api/v1/status").json();
    assert_eq!(
        (&told["light"], &told["notes"]),
        (&json!("amber"), &json!([]))
    );
    let reason = told["reasons"][0].as_str().unwrap();
    assert!(
        reason.starts_with(
            "the budget of project 42 is used up (97.6 KiB): nothing more passes for "
        ),
        "{reason}"
    );
    assert_eq!(told["reasons"].as_array().unwrap().len(), 1, "once: {told}");
    assert!(says(&edge, &["budget"]).contains("used up"));
    let labels = ["project=\"42\"", "quota=\"budget\""];
    let used = edge.metric("vidette_quota_used_ratio", &labels);
    assert!((used - 1.0).abs() < 0.001, "{used}");
}

fn a_restart_knows_what_the_day_has_brought() {
    within_a_day();
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let mut edge = budgeted(&fake, Some(place.path()));
    assert_eq!(passed(&edge, 42, "event", 6), 6);
    assert_eq!(passed(&edge, 8, "event", 3), 3);
    edge.signal(Signal::TERM);
    edge.wait_end();
    let mut edge = budgeted(&fake, Some(place.path()));
    let used = rows(&edge)
        .iter()
        .map(|row| row["used"].as_u64().unwrap())
        .collect::<Vec<_>>();
    assert!(used.starts_with(&[90_000, 60_000, 30_000]), "{used:?}");
    assert_eq!(passed(&edge, 42, "event", 2), 2);
    edge.signal(Signal::KILL);
    edge.wait_end();
    let edge = budgeted(&fake, Some(place.path()));
    // At most a hundredth was written off.
    let more = passed(&edge, 42, "event", 5);
    assert!((1..=2).contains(&more), "{more}");
}

fn without_a_budget_nothing_is_limited() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"projects": [{"id": 42, "keys": [KEY]}]}),
    );
    assert_eq!(passed(&edge, 42, "event", 3), 3);
    assert_eq!(rows(&edge), Vec::<Value>::new());
    let said = says(&edge, &["budget"]);
    assert!(
        said.starts_with("no budget is set: write budget: 5GiB"),
        "{said}"
    );
}
