//! What is led to another Sentry while one of the two is away: each is waited for by its own
//! events alone.

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;

use super::{MOVED, STAYED, check_arrived, leading, send, send_both, well};
use crate::edge::Edge;
use crate::parts::promises;
use crate::spool::{emptied, says};
use crate::upstream::{Fake, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        each_sentry_is_waited_for_by_its_own_events_alone,
        maintenance_is_of_the_first_sentry,
        what_waits_for_another_sentry_outlives_a_kill_and_an_upgrade,
        a_sentry_that_is_configured_no_more_is_waited_for,
    ]
}

/// The spool's requests, as status tells.
fn kept(edge: &Edge) -> u64 {
    let spool = edge.admin_get("/api/v1/status").json()["spool"].clone();
    spool["items"].as_u64().unwrap()
}

/// One of the two is down, and comes back.
#[track_caller]
fn check_outage(first_is_down: bool) {
    let (down, up) = (Silent::reserve(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let (first, next) = match first_is_down {
        true => (down.url(), up.url()),
        false => (up.url(), down.url()),
    };
    let (ups, downs) = match first_is_down {
        true => (MOVED, STAYED),
        false => (STAYED, MOVED),
    };
    let edge = leading(&first, &next, place.path(), &json!({}));
    for _ in 0..10 {
        send_both(&edge);
    }
    check_arrived(&up, 10, ups);
    assert_eq!(kept(&edge), 10);
    let back = down.listen(well);
    emptied(&edge);
    check_arrived(&back, 10, downs);
    assert_eq!(up.requests().len(), 10);
    let replayed = edge.metric("vidette_spool_replayed_total", &[]);
    assert_eq!(replayed, 10.0);
}

fn each_sentry_is_waited_for_by_its_own_events_alone() {
    check_outage(true);
    check_outage(false);
    // Both are down, and one comes back: what waits for the other is in nobody's way.
    let (down, other) = (Silent::reserve(), Silent::reserve());
    let place = tempfile::tempdir().unwrap();
    let edge = leading(&down.url(), &other.url(), place.path(), &json!({}));
    for _ in 0..5 {
        send_both(&edge);
    }
    assert_eq!(kept(&edge), 10);
    let next = other.listen(well);
    check_arrived(&next, 5, MOVED);
    edge.wait_metric("vidette_spool_replayed_total", &[], 5.0);
    assert_eq!(kept(&edge), 5);
    let first = down.listen(well);
    emptied(&edge);
    check_arrived(&first, 5, STAYED);
    assert_eq!(next.requests().len(), 5);
}

fn maintenance_is_of_the_first_sentry() {
    let (first, next) = (Fake::start(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let edge = leading(&first.url(), &next.url(), place.path(), &json!({}));
    says(&edge, &["maintenance", "on", "--for", "1h"]);
    send_both(&edge);
    check_arrived(&next, 1, MOVED);
    assert_eq!((kept(&edge), first.requests().len()), (1, 0));
    says(&edge, &["maintenance", "off"]);
    emptied(&edge);
    check_arrived(&first, 1, STAYED);
}

fn what_waits_for_another_sentry_outlives_a_kill_and_an_upgrade() {
    let first = Fake::start();
    let down = Silent::reserve();
    let (place, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let changes = json!({"state": {"path": state.path()}});
    let start = || leading(&first.url(), &down.url(), place.path(), &changes);
    let mut edge = start();
    for _ in 0..5 {
        send_both(&edge);
    }
    assert_eq!(kept(&edge), 5);
    edge.signal(Signal::KILL);
    edge.wait_end();
    let mut elder = start();
    assert_eq!(kept(&elder), 5);
    let heir = elder.successor();
    assert!(elder.wait_end().success());
    send_both(&heir);
    assert_eq!(kept(&heir), 6);
    let next = down.listen(well);
    emptied(&heir);
    check_arrived(&next, 6, MOVED);
    check_arrived(&first, 6, STAYED);
}

fn a_sentry_that_is_configured_no_more_is_waited_for() {
    let first = Fake::start();
    let down = Silent::reserve();
    let place = tempfile::tempdir().unwrap();
    let mut edge = leading(&first.url(), &down.url(), place.path(), &json!({}));
    send_both(&edge);
    assert_eq!(kept(&edge), 1);
    edge.signal(Signal::TERM);
    assert!(edge.wait_end().success());
    let without = json!({"mirrors": [], "dsn_map": []});
    let mut edge = leading(&first.url(), &down.url(), place.path(), &without);
    edge.log
        .wait_for_text("kept for a mirror that is not configured any more");
    let next = down.listen(well);
    let stays = send(&edge, STAYED.0, STAYED.1);
    assert_eq!(stays.status, 200, "{}", stays.text());
    check_arrived(&first, 2, STAYED);
    assert_eq!(kept(&edge), 1);
    edge.signal(Signal::TERM);
    assert!(edge.wait_end().success());
    let edge = leading(&first.url(), &next.url(), place.path(), &json!({}));
    emptied(&edge);
    check_arrived(&next, 1, MOVED);
}
