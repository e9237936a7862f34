//! What becomes of reports that cannot be told, or whose answer is lost: none is doubled, and
//! what surely did not arrive is told with the next.

use std::thread;

use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use crate::edge::Edge;
use crate::exchange::{Exchange, Next};
use crate::parts::promises;
use crate::spool::says;
use crate::upstream::Silent;

use super::stats::{Does, Stats};
use super::{INTERVAL, check_stats, telling, wait};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        whatever_comes_of_a_report_nothing_is_told_twice,
        what_the_upstream_refuses_is_not_told_again,
        what_is_lost_while_it_is_away_is_told_when_it_is_back,
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
