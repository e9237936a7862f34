//! What is led to another Sentry while one of the two is away: each is waited for by its own
//! events alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::super::{NEW, STAYS, target};
use super::{MOVED, STAYED, check_arrived, leading, send, send_both, text, well};
use crate::edge::{Edge, lay_over};
use crate::explained::post;
use crate::parts::promises;
use crate::spool::{arrived, emptied, says};
use crate::upstream::{Fake, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        each_sentry_is_waited_for_by_its_own_events_alone,
        maintenance_is_of_the_first_sentry,
        what_waits_for_another_sentry_outlives_a_kill_and_an_upgrade,
        a_sentry_that_is_configured_no_more_is_waited_for,
        what_found_no_room_at_first_goes_to_its_own_sentry_all_the_same,
        a_silent_sentry_holds_up_nobody_elses_reports,
    ]
}

/// The spool's requests, as status tells.
fn kept(edge: &Edge) -> u64 {
    let spool = edge.admin_get("/api/v1/status").json()["spool"].clone();
    spool["items"].as_u64().unwrap()
}

/// `vidette spool ls` says who waits.
#[track_caller]
fn check_listed(edge: &Edge, want: &[&str]) {
    let listed = says(edge, &["spool", "ls"]);
    for line in want {
        assert!(listed.contains(line), "{line}: {listed}");
    }
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
    check_listed(
        &edge,
        &["for ingest: 5 requests, ", "for mirror-next: 5 requests, "],
    );
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
    let reasons = edge.admin_get("/api/v1/status").json()["reasons"].to_string();
    assert!(reasons.contains("not configured any more"), "{reasons}");
    check_listed(&edge, &["for a mirror that is not configured any more: 1 "]);
    edge.signal(Signal::TERM);
    assert!(edge.wait_end().success());
    let edge = leading(&first.url(), &next.url(), place.path(), &json!({}));
    emptied(&edge);
    check_arrived(&next, 1, MOVED);
}

fn what_found_no_room_at_first_goes_to_its_own_sentry_all_the_same() {
    let first = Fake::start();
    let (asked, goes_on) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let went = Arc::clone(&goes_on);
    // Of its first request it says nothing for long, and then resets.
    let next = Fake::with(move |exchange| {
        exchange.read_body()?;
        if asked.fetch_add(1, Ordering::SeqCst) > 0 {
            return exchange.answer(200, &[], b"{}");
        }
        while !went.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        exchange.reset()
    });
    let place = tempfile::tempdir().unwrap();
    let changes = |free_floor: &str| {
        json!({
            "upstream": {"ingest_deadline": "300ms"},
            "spool": {"free_floor": free_floor},
        })
    };
    let full = changes("1024TiB");
    let edge = leading(&first.url(), &next.url(), place.path(), &full);
    thread::scope(|scope| {
        let posted = scope.spawn(|| {
            send(
                &edge,
                "/api/12/envelope/?sentry_key=OLD",
                "https://OLD@h/12",
            )
        });
        edge.log
            .wait_for_text("the spool has no room for a request");
        let mut roomy = changes("0");
        let listen = json!({
            "listen": {"public": [edge.public.to_string()], "admin": edge.admin.to_string()},
        });
        lay_over(&mut roomy, &listen);
        edge.rewrite(&text(&first.url(), &next.url(), place.path(), &roomy));
        let reloaded = post(&edge, "/api/v1/reload", b"{}");
        assert_eq!(reloaded.status, 200, "{}", reloaded.text());
        goes_on.store(true, Ordering::SeqCst);
        let answer = posted.join().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    });
    emptied(&edge);
    check_arrived(&next, 2, MOVED);
    assert_eq!(first.requests().len(), 0);
}

fn a_silent_sentry_holds_up_nobody_elses_reports() {
    let (first, next) = (
        Fake::start(),
        Fake::with(|exchange| {
            exchange.read_body()?;
            exchange.hold()
        }),
    );
    let place = tempfile::tempdir().unwrap();
    let keys: Vec<String> = (1..=16).map(|number| format!("{number:032x}")).collect();
    let to = json!({"key": NEW, "project": 42, "upstream": "next"});
    let map: Vec<Value> = keys
        .iter()
        .map(|key| json!({"key": key, "project": 12, "to": to}))
        .collect();
    let none = json!([{"limit": 0, "per": "1h"}]);
    let changes = json!({
        "client_reports": {"enabled": true, "interval": "1s"},
        "dsn_map": map,
        "projects": [
            {"id": 12, "quotas": none},
            {"id": 7, "keys": [STAYS], "quotas": none},
        ],
    });
    let edge = leading(&first.url(), &next.url(), place.path(), &changes);
    for key in &keys {
        let path = format!("/api/12/envelope/?sentry_key={key}");
        assert_eq!(
            send(&edge, &path, &format!("https://{key}@h/12")).status,
            429
        );
    }
    assert_eq!(send(&edge, STAYED.0, STAYED.1).status, 429);
    let told = arrived(&first, 1).swap_remove(0);
    assert_eq!(target(&told), "/api/7/envelope/");
    // One of each of those that tell at once, in a round or two.
    let asked = next.requests().len();
    assert!(asked <= 8, "{asked} reports were waited for before");
}
