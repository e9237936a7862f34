//! Client reports, from outside: what was dropped here stands in Sentry's Stats, to the item,
//! once, and for keys that are real alone.

mod outages;
mod stats;
mod told;

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::edge::{Edge, KEY, lay_over};
use crate::quotas::settled;
use crate::upstream::HANG;

use stats::{Stats, Sums};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = told::trials();
    trials.extend(outages::trials());
    trials
}

/// From one report to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// Quotas of project 42: two errors an hour, and one session every while.
fn quotas() -> Value {
    json!([
        {"name": "errors-1h", "categories": ["error"], "limit": 2, "per": "1h"},
        {"name": "burst", "categories": ["session"], "limit": 1, "per": "50s"},
    ])
}

/// Which of the books' reasons the names of limits stand for.
fn reason_of(limit: &str) -> &str {
    match limit {
        "errors-1h" => "quota",
        "burst" => "rate",
        "org_quota" => "learned",
        other => other,
    }
}

/// An edge that tells every second, for project 42 with a key that is named.
#[track_caller]
fn telling(upstream: &str, changes: &Value) -> Edge {
    let mut all = json!({
        "client_reports": {"enabled": true, "interval": "1s"},
        "keys": {"mode": "learn"},
        "projects": [{"id": 42, "keys": [KEY], "quotas": quotas()}],
    });
    lay_over(&mut all, changes);
    Edge::configured(upstream, upstream, all)
}

/// How Stats names a reason of the books: the list, and the reason in it.
fn told(reason: &str) -> Option<(&'static str, &str)> {
    Some(match reason {
        "origin" => ("discarded_events", "invalid"),
        "crawler" => ("filtered_events", "web-crawlers"),
        "sampled" => ("filtered_sampling_events", "Sampled:0"),
        "quota" | "rate" | "learned" => ("rate_limited_events", reason),
        "no_upstream" | "spool_purged" => ("discarded_events", "network_error"),
        "upstream_429" | "upstream_4xx" | "unknown_key" | "client_gone" | "malformed" => {
            return None;
        }
        other => panic!("a drop that no trial expects: {other}"),
    })
}

/// What Stats counts for so many items and bytes of a category of the books.
fn counted(category: &str, items: u64, bytes: u64) -> Vec<(&str, u64)> {
    match category {
        "transaction" => ["transaction", "transaction_indexed", "span", "span_indexed"]
            .map(|category| (category, items))
            .to_vec(),
        "attachment" => vec![("attachment", bytes), ("attachment_item", items)],
        "log_item" => vec![("log_item", items), ("log_byte", bytes)],
        "unread" => vec![("default", items)],
        "client_report" | "unknown" | "uncounted" => Vec::new(),
        other => vec![(other, items)],
    }
}

/// What the books say was dropped, as Stats should show it.
#[track_caller]
fn dropped(edge: &Edge) -> Sums {
    let mut sums = Sums::new();
    for row in settled(edge)["rows"].as_array().unwrap() {
        let Some(project) = row["project"].as_u64() else {
            continue;
        };
        for (reason, items) in row["items"]["dropped"].as_object().unwrap() {
            let Some((list, reason_told)) = told(reason) else {
                continue;
            };
            let bytes = row["bytes"]["dropped"][reason].as_u64().unwrap_or(0);
            let category = row["category"].as_str().unwrap();
            for (category, n) in counted(category, items.as_u64().unwrap(), bytes) {
                let name = format!("{project} {list} {reason_told} {category}");
                *sums.entry(name).or_default() += n;
            }
        }
    }
    sums.retain(|_, n| *n > 0);
    sums
}

/// Waits until Stats shows what the books say, which must be `least` kinds of drops at least;
/// and waits on, whether anything is told twice.
#[track_caller]
fn check_stats(edge: &Edge, stats: &Stats, least: usize) {
    let began = Instant::now();
    loop {
        let (want, sums) = (dropped(edge), stats.sums());
        if sums == want && want.len() >= least {
            break;
        }
        assert!(began.elapsed() < HANG, "told {sums:#?}, not {want:#?}");
        thread::sleep(Duration::from_millis(20));
    }
    // Real time: what were told again would be with the next report.
    thread::sleep(2 * INTERVAL);
    assert_eq!(stats.sums(), dropped(edge), "told again");
}

/// Waits until it holds.
#[track_caller]
fn wait(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < HANG, "it never holds");
        thread::sleep(Duration::from_millis(20));
    }
}
