//! The canary: an event of the edge's own that goes through it, how far it came as operators are
//! told, and when one is missing. Never about how other events go.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::edge::{Edge, KEY};
use crate::exchange::{Exchange, Next};
use crate::incidents::once;
use crate::parts::promises;
use crate::send_test::sentry;
use crate::spool::{keeping, says};
use crate::upstream::{Fake, HANG, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        a_canary_goes_through_the_front_door_and_arrives,
        sentry_is_asked_whether_it_has_the_canary,
        a_canary_that_sentry_does_not_store_is_missing,
        a_canary_that_sentry_refuses_is_missing_and_says_why,
        a_canary_that_is_kept_is_not_missing,
        one_that_is_missing_is_so_until_one_arrives_whatever_comes_between,
        a_canary_whose_dsn_has_moved_is_looked_for_where_it_went,
        a_canary_that_another_sentry_has_is_not_asked_for_in_the_first,
        no_canary_is_sent_in_maintenance_and_none_is_missed,
        a_reload_sends_canaries_and_ends_them,
    ]
}

/// One a second, with more keys.
pub(crate) fn flying(more: &Value) -> Value {
    let dsn = format!("https://{KEY}@sentry.example.com/42");
    let mut canary = json!({"dsn": dsn, "every": "1s"});
    crate::edge::lay_over(&mut canary, more);
    json!({"canary": canary})
}

/// Waits until so many came to this end.
#[track_caller]
pub(crate) fn flown(edge: &Edge, outcome: &str, least: f64) {
    let outcome = format!("outcome=\"{outcome}\"");
    edge.wait_metric("vidette_canary_total", &[&outcome], least);
}

fn status(edge: &Edge) -> Value {
    edge.admin_get("/api/v1/status").json()
}

/// Waits until one is missing, and sees that everybody is told, with these words of the last one.
#[track_caller]
fn check_missing(edge: &Edge, words: &str) {
    edge.wait_metric("vidette_canary_missing", &[], 1.0);
    let deadline = Instant::now() + HANG;
    let incident = loop {
        let all = edge.admin_get("/api/v1/incidents").json();
        let active = all["active"].as_array().unwrap().iter();
        let mut missing = active.filter(|one| one["kind"] == "canary_missing");
        if let Some(one) = missing.next() {
            break one.clone();
        }
        assert!(Instant::now() < deadline, "{all}");
        thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(incident["severity"], "page");
    let said = incident["says"].as_str().unwrap();
    assert!(
        said.starts_with("no event of the edge's own has arrived for "),
        "{said}"
    );
    assert!(said.contains(&format!("; the last one: {words}")), "{said}");
    let status = status(edge);
    assert_eq!(status["light"], "amber", "{status}");
    assert!(
        status["reasons"].to_string().contains("canary: no event"),
        "{status}"
    );
    assert_eq!(status["canary"]["missing"], true, "{status}");
    let printed = says(edge, &["status"]);
    let line = printed.lines().find(|line| line.starts_with("canary   "));
    let line = line.unwrap_or_else(|| panic!("{printed}"));
    assert!(
        line.contains(words) && line.ends_with(", MISSING"),
        "{line}"
    );
}

fn a_canary_goes_through_the_front_door_and_arrives() {
    let fake = sentry(0);
    let edge = Edge::configured(&fake.url(), &fake.url(), flying(&json!({})));
    flown(&edge, "forwarded", 3.0);
    let requests = fake.requests();
    let first = &requests[0];
    assert_eq!(first.target_text(), "/api/42/envelope/");
    assert_eq!(first.headers.all("host"), ["sentry.example.com"]);
    let ids: Vec<String> = requests
        .iter()
        .map(|request| {
            let body = String::from_utf8(request.body.clone()).unwrap();
            let event: Value = serde_json::from_str(body.lines().nth(2).unwrap()).unwrap();
            assert_eq!(event["logger"], "vidette.canary");
            assert_eq!(event["fingerprint"], json!(["vidette.canary"]));
            event["event_id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_ne!(ids[0], ids[1]);
    // As any client's it came over a public connection, and is in the books.
    assert!(edge.metric("vidette_connections_total", &[]) >= 3.0);
    let row = [
        "project=\"42\"",
        "category=\"error\"",
        "outcome=\"forwarded\"",
    ];
    assert!(edge.metric("vidette_items_total", &row) >= 3.0);
    let told = status(&edge);
    assert_eq!(told["light"], "green", "{told}");
    let canary = &told["canary"];
    assert_eq!(
        (&canary["every_s"], &canary["missing"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(canary["last"]["outcome"], "forwarded", "{canary}");
    assert!(canary["last_success"].is_string(), "{canary}");
    let printed = says(&edge, &["status"]);
    let line = "canary   forwarded: Sentry answered 200 (at 20";
    assert!(printed.contains(line), "{printed}");
    let at = edge.metric("vidette_canary_last_success_timestamp_seconds", &[]);
    assert!(at > 1.7e9, "{at}");
    assert!(edge.metric("vidette_canary_missing", &[]) < 0.5);
}

/// What asks Sentry: the first of `upstream.web`, with its token.
fn asking() -> Value {
    flying(&json!({"org": "acme", "token": "secret"}))
}

fn sentry_is_asked_whether_it_has_the_canary() {
    // It is stored only when it was asked for a second time.
    let fake = sentry(1);
    let edge = Edge::configured(&fake.url(), &fake.url(), asking());
    flown(&edge, "stored", 2.0);
    let asked = fake.requests().into_iter();
    let mut asked = asked.filter(|request| request.method == "GET");
    let target = asked.next().unwrap().target_text();
    assert!(
        target.starts_with("/api/0/organizations/acme/eventids/"),
        "{target}"
    );
    assert_eq!(status(&edge)["canary"]["last"]["says"], "Sentry has it");
}

fn a_canary_that_sentry_does_not_store_is_missing() {
    let fake = sentry(usize::MAX);
    let edge = Edge::configured(&fake.url(), &fake.url(), asking());
    flown(&edge, "not_stored", 1.0);
    check_missing(
        &edge,
        "not_stored: Sentry answered 200, and does not have it after ",
    );
    assert!(!edge.log.text().contains("secret"));
}

fn a_canary_that_sentry_refuses_is_missing_and_says_why() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        let detail = br#"{"detail":"event submission rejected with_reason: ProjectId"}"#;
        exchange.answer(403, &[], detail)
    });
    let edge = Edge::configured(&fake.url(), &fake.url(), flying(&json!({})));
    flown(&edge, "refused", 3.0);
    check_missing(&edge, "refused: 403: ");
}

/// The incidents that are told as missing canaries.
fn missing_ones(edge: &Edge, list: &str) -> Vec<Value> {
    let all = edge.admin_get("/api/v1/incidents").json();
    let all = all[list].as_array().unwrap().iter();
    let missing = all.filter(|one| one["kind"] == "canary_missing");
    missing.cloned().collect()
}

/// Answers as Sentry does.
fn takes(exchange: &mut Exchange<'_>) -> io::Result<Next> {
    exchange.read_body()?;
    let body = exchange.body();
    let line = body.split(|byte| *byte == b'\n').next().unwrap();
    let head: Value = serde_json::from_slice(line).unwrap_or_default();
    let answer = json!({"id": head["event_id"]}).to_string();
    exchange.answer(200, &[], answer.as_bytes())
}

fn a_canary_that_is_kept_is_not_missing() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &flying(&json!({})));
    // More than would make it missing: Sentry is away, and that is told as what it is.
    flown(&edge, "kept", 6.0);
    assert!(edge.metric("vidette_canary_missing", &[]) < 0.5);
    assert_eq!(status(&edge)["canary"]["missing"], false);
    once(&edge, "active", "not_delivering");
    let printed = says(&edge, &["status"]);
    let line = "canary   kept: Sentry does not take it now (at 20";
    assert!(printed.contains(line), "{printed}");
    let up = down.listen(takes);
    flown(&edge, "forwarded", 1.0);
    for list in ["active", "ended"] {
        assert_eq!(missing_ones(&edge, list), Vec::<Value>::new(), "{list}");
    }
    drop(up);
}

fn one_that_is_missing_is_so_until_one_arrives_whatever_comes_between() {
    let (well, place) = (Arc::new(AtomicBool::new(false)), TempDir::new().unwrap());
    let is_well = Arc::clone(&well);
    let fake = Fake::with(move |exchange| match is_well.load(Ordering::SeqCst) {
        true => takes(exchange),
        false => {
            exchange.read_body()?;
            exchange.answer(403, &[], br#"{"detail":"ProjectId"}"#)
        }
    });
    let edge = keeping(&fake.url(), place.path(), &flying(&json!({})));
    check_missing(&edge, "refused: 403: ");
    says(&edge, &["maintenance", "on", "--for", "10m"]);
    flown(&edge, "skipped", 5.0);
    assert_eq!(status(&edge)["canary"]["missing"], false, "none is sent");
    assert_eq!(missing_ones(&edge, "active").len(), 1, "none has arrived");
    well.store(true, Ordering::SeqCst);
    says(&edge, &["maintenance", "off"]);
    let ended = once(&edge, "ended", "canary_missing");
    assert_eq!(ended["says"], "the canaries arrive again");
    assert_eq!(status(&edge)["canary"]["missing"], false);
}

/// A canary whose DSN leads there, where nobody is, is known to be kept.
#[track_caller]
fn check_kept(to: &Value) {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let mut changes = flying(&json!({}));
    let moved = json!({
        "dsn_map": [{"key": KEY, "project": 42, "to": to}],
        "mirrors": [{"name": "next", "ingest": ["http://127.0.0.1:1"], "share": 0}],
    });
    crate::edge::lay_over(&mut changes, &moved);
    let edge = keeping(&down.url(), place.path(), &changes);
    // Among the old project's there would be none, and nobody could say that it is only kept.
    flown(&edge, "kept", 2.0);
    let forwarded = edge.metric("vidette_canary_total", &["outcome=\"forwarded\""]);
    assert!(forwarded < 0.5, "{forwarded}");
}

fn a_canary_whose_dsn_has_moved_is_looked_for_where_it_went() {
    let key = "1".repeat(32);
    check_kept(&json!({"key": key, "project": 7}));
    // Another Sentry's project is the old one's here.
    check_kept(&json!({"key": key, "project": 7, "upstream": "next"}));
}

fn a_canary_that_another_sentry_has_is_not_asked_for_in_the_first() {
    let (first, next) = (sentry(usize::MAX), sentry(0));
    let mut changes = asking();
    let to = json!({"key": "1".repeat(32), "project": 7, "upstream": "next"});
    let moved = json!({
        "dsn_map": [{"key": KEY, "project": 42, "to": to}],
        "mirrors": [{"name": "next", "ingest": [next.url()], "share": 0}],
    });
    crate::edge::lay_over(&mut changes, &moved);
    let edge = Edge::configured(&first.url(), &first.url(), changes);
    flown(&edge, "forwarded", 2.0);
    let targets = next.requests();
    assert_eq!(targets[0].target_text(), "/api/7/envelope/");
    let asked = first.requests().len();
    assert_eq!(asked, 0, "the first does not know it");
    let canary = status(&edge)["canary"].clone();
    assert_eq!(canary["last"]["says"], "mirror next answered 200");
    assert_eq!(canary["missing"], false);
}

fn no_canary_is_sent_in_maintenance_and_none_is_missed() {
    let (fake, place) = (sentry(0), TempDir::new().unwrap());
    let edge = keeping(&fake.url(), place.path(), &flying(&json!({})));
    flown(&edge, "forwarded", 1.0);
    says(&edge, &["maintenance", "on", "--for", "10m"]);
    // More than would make it missing.
    flown(&edge, "skipped", 5.0);
    let kept = status(&edge)["spool"]["items"].as_u64().unwrap();
    assert!(kept <= 1, "{kept}: one may have been under way");
    assert!(edge.metric("vidette_canary_missing", &[]) < 0.5);
    let canary = status(&edge)["canary"].clone();
    assert_eq!(canary["last"]["says"], "none is sent in maintenance");
    assert_eq!(canary["missing"], false);
    says(&edge, &["maintenance", "off"]);
    let outcome = ["outcome=\"forwarded\""];
    let before = edge.metric("vidette_canary_total", &outcome);
    flown(&edge, "forwarded", before + 1.0);
}

fn a_reload_sends_canaries_and_ends_them() {
    let fake = sentry(0);
    let text =
        |changes: &Value| crate::edge::configuration(&fake.url(), &fake.url(), changes).to_string();
    let edge = Edge::run(&text(&json!({})), &[]);
    assert_eq!(status(&edge)["canary"], Value::Null);
    assert!(!says(&edge, &["status"]).contains("canary"));
    edge.rewrite(&text(&flying(&json!({}))));
    says(&edge, &["reload"]);
    flown(&edge, "forwarded", 1.0);
    edge.rewrite(&text(&json!({})));
    says(&edge, &["reload"]);
    let deadline = Instant::now() + HANG;
    while status(&edge)["canary"] != Value::Null {
        assert!(Instant::now() < deadline, "{}", status(&edge));
        thread::sleep(Duration::from_millis(50));
    }
}
