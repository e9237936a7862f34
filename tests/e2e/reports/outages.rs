//! What becomes of reports that cannot be told, or whose answer is lost: none is doubled, and
//! what surely did not arrive is told with the next.

use std::thread;

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::edge::Edge;
use crate::exchange::{Exchange, Next};
use crate::parts::promises;
use crate::spool::says;
use crate::upstream::{Fake, Silent};

use super::stats::{Does, Stats};
use super::{INTERVAL, check_stats, dropped, telling, wait};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        whatever_comes_of_a_report_nothing_is_told_twice,
        what_the_upstream_refuses_is_not_told_again,
        what_is_lost_while_it_is_away_is_told_when_it_is_back,
        a_stop_while_it_is_away_leaves_it_to_the_next_start,
        a_stop_says_what_is_never_told,
        reports_that_fail_are_said_once_and_so_is_their_end,
    ]
}

const EVENT: &[u8] = b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n";

fn taken(exchange: &mut Exchange<'_>) -> std::io::Result<Next> {
    exchange.read_body()?;
    exchange.answer(200, &[], b"{}")
}

/// Items that ended so.
fn told(edge: &Edge, outcome: &str) -> f64 {
    let label = format!("outcome=\"{outcome}\"");
    edge.metric("vidette_client_reports_total", &[&label])
}

/// Posts errors of which all but the first two find no room.
fn post(edge: &Edge, events: usize) {
    for _ in 0..events {
        edge.post_envelope(&[], EVENT);
    }
}

fn whatever_comes_of_a_report_nothing_is_told_twice() {
    let does = |nth| match nth {
        0 | 4 => Does::Says(503),
        1 | 5 => Does::TakesAndResets,
        2 => Does::Says(500),
        3 => Does::Says(429),
        _ => Does::Takes,
    };
    let (stats, fake) = Stats::at(Silent::reserve(), does, taken);
    let edge = telling(&fake.url(), &json!({}));
    post(&edge, 2);
    let mut came = 0;
    while came < 7 {
        post(&edge, 3);
        wait(|| stats.came() > came);
        came = stats.came();
    }
    check_stats(&edge, &stats, 1);
    let items = stats.sums().values().sum::<u64>();
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let items = items as f64;
    assert!(told(&edge, "unsure") >= 1.0);
    let sum = told(&edge, "sent") + told(&edge, "unsure");
    assert!((sum - items).abs() < 0.5, "{sum} of {items}");
}

fn what_the_upstream_refuses_is_not_told_again() {
    let (stats, fake) = Stats::at(Silent::reserve(), |_| Does::Says(403), taken);
    let edge = telling(&fake.url(), &json!({}));
    post(&edge, 5);
    edge.wait_metric(
        "vidette_client_reports_total",
        &["outcome=\"refused\""],
        3.0,
    );
    let came = stats.came();
    thread::sleep(2 * INTERVAL);
    assert_eq!(stats.came(), came);
}

/// Kept events that an operator drops, and later ones that nobody could keep.
fn what_is_lost_while_it_is_away_is_told_when_it_is_back() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let changes = json!({
        "spool": {"path": place.path(), "free_floor": 0},
        "upstream": {"probe_interval": "50ms", "ingest_deadline": "1s"},
        "projects": [{"id": 42, "keys": [crate::edge::KEY], "quotas": []}],
    });
    let edge = telling(&down.url(), &changes);
    says(&edge, &["maintenance", "on", "--for", "1h"]);
    for _ in 0..3 {
        assert_eq!(edge.post_envelope(&[], EVENT).status, 200);
    }
    says(&edge, &["spool", "drop", "--project", "42"]);
    let (stats, _fake) = Stats::at(down, |_| Does::Takes, taken);
    thread::sleep(2 * INTERVAL);
    assert_eq!(stats.came(), 0, "it is being worked on");
    says(&edge, &["maintenance", "off"]);
    check_stats(&edge, &stats, 1);
    let want = [("42 discarded_events network_error error".to_owned(), 3)];
    assert_eq!(stats.sums(), want.into());
}

/// Has no room for any error.
fn shut() -> Value {
    let none = json!({"name": "errors-1h", "categories": ["error"], "limit": 0, "per": "1h"});
    json!({"projects": [{"id": 42, "keys": [crate::edge::KEY], "quotas": [none]}]})
}

fn stop(mut edge: Edge) -> String {
    edge.signal(Signal::TERM);
    assert!(edge.wait_end().success());
    edge.log.whole()
}

/// All of it was lost, and nobody said so.
fn a_stop_while_it_is_away_leaves_it_to_the_next_start() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let file = place.path().join("untold-reports");
    let mut changes = shut();
    changes["state"] = json!({"path": place.path()});
    let edge = telling(&down.url(), &changes);
    post(&edge, 7);
    assert_eq!(dropped(&edge).values().sum::<u64>(), 7);
    edge.log.wait_for_text("did not take a client report");
    let text = stop(edge);
    assert!(text.contains("the next start tells it"), "{text}");
    assert!(file.exists());
    let edge = telling(&down.url(), &changes);
    edge.log.wait_for_text("the last run could not tell");
    assert!(!file.exists(), "a kill must not tell it again");
    post(&edge, 2);
    stop(edge);
    let (stats, fake) = Stats::at(down, |_| Does::Takes, taken);
    let mut edge = telling(&fake.url(), &changes);
    let name = "42 rate_limited_events quota error".to_owned();
    let want = [(name, 9)];
    wait(|| stats.sums() == want.clone().into());
    edge.signal(Signal::KILL);
    edge.wait_end();
    let edge = telling(&fake.url(), &changes);
    thread::sleep(2 * INTERVAL);
    assert_eq!(stats.sums(), want.clone().into(), "told again");
    stop(edge);
    assert!(!file.exists(), "there is nothing to tell");
}

/// Four are under way when the stop has waited enough, and two were not begun.
fn a_stop_says_what_is_never_told() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.hold()
    });
    let key = |project: u64| format!("{project:032x}");
    let projects = (1..=6).map(|id| json!({"id": id, "keys": [key(id)]}));
    let none = json!({"name": "errors-1h", "categories": ["error"], "limit": 0, "per": "1h"});
    let changes = json!({
        "client_reports": {"interval": "1h"},
        "defaults": {"quotas": [none]},
        "projects": projects.collect::<Vec<_>>(),
    });
    let edge = telling(&fake.url(), &changes);
    for project in 1..=6 {
        let target = format!("/api/{project}/envelope/?sentry_key={}", key(project));
        edge.ask("POST", &target, &[], EVENT);
    }
    let text = stop(edge);
    for (words, items) in [("is not told again", "items=4"), ("never told", "items=2")] {
        let mut lines = text.lines().filter(|line| line.contains(words));
        assert!(lines.any(|line| line.contains(items)), "{words}: {text}");
    }
}

fn reports_that_fail_are_said_once_and_so_is_their_end() {
    let does = |nth| match nth {
        0..=2 => Does::Says(500),
        _ => Does::Takes,
    };
    let (stats, fake) = Stats::at(Silent::reserve(), does, taken);
    let edge = telling(&fake.url(), &shut());
    post(&edge, 3);
    check_stats(&edge, &stats, 1);
    assert_eq!(stats.came(), 4);
    let text = edge.log.text();
    for words in ["did not take a client report", "reports are taken again"] {
        assert_eq!(text.matches(words).count(), 1, "{words}: {text}");
    }
}
