//! How the edge learns that its upstream is well where nobody sends anything, that it
//! takes all but one event, and what it wants held back.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::edge::{Edge, program};
use crate::exchange::{Exchange, Next};
use crate::parts::promises;
use crate::upstream::{Door, Fake, Silent};

use super::adversary::comes;
use super::{arrived, booked, check_taken, event, id, ids, keeping, spool};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_quiet_site_learns_that_its_upstream_is_back,
        an_upstream_that_says_it_is_ill_is_not_back,
        one_connection_that_failed_is_not_held_against_web_for_ever,
        who_was_never_reached_is_asked_once_or_called_down,
        one_question_serves_for_both_where_both_are_one,
        an_upstream_that_is_well_is_asked_nothing,
        one_event_that_is_never_taken_opens_no_breaker,
        one_event_that_is_never_taken_is_set_aside,
        an_outage_behind_such_events_still_ends,
        a_limit_told_late_is_held_against_those_who_send_now,
        a_limit_told_to_one_that_waited_is_held_too,
    ]
}

fn takes(exchange: &mut Exchange<'_>) -> io::Result<Next> {
    exchange.read_body()?;
    exchange.answer(200, &[], b"{}")
}

#[track_caller]
fn status(edge: &Edge) -> Value {
    edge.admin_get("/api/v1/status").json()
}

#[track_caller]
fn check_comes(edge: &Edge, light: &str) {
    let came = comes(30, || status(edge)["light"] == light);
    assert!(came, "never {light}: {}", status(edge));
}

#[track_caller]
fn probes(edge: &Edge, upstream: &str, outcome: &str) -> f64 {
    let labels = [
        format!("upstream=\"{upstream}\""),
        format!("outcome=\"{outcome}\""),
    ];
    edge.metric("vidette_upstream_probes_total", &[&labels[0], &labels[1]])
}

/// An edge whose breaker is open, and that keeps nothing; and its other upstream.
#[track_caller]
fn cut_off(down: &Silent, place: &TempDir) -> (Edge, Fake) {
    let web = Fake::start();
    let changes = json!({"upstream": {"web": [web.url()]}});
    let edge = keeping(&down.url(), place.path(), &changes);
    assert_eq!(edge.post_envelope(&[], &event(1)).status, 200);
    let open = comes(30, || status(&edge)["upstreams"][0]["breaker"] == "open");
    assert!(open, "{}", status(&edge));
    let admin = edge.admin.to_string();
    let dropped = comes(30, || {
        let words = ["spool", "drop", "--all", "--admin", &admin];
        assert!(program().args(words).output().unwrap().status.success());
        spool(&edge)["items"] == 0
    });
    assert!(dropped, "{}", spool(&edge));
    (edge, web)
}

fn a_quiet_site_learns_that_its_upstream_is_back() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let (edge, _web) = cut_off(&down, &place);
    assert_eq!(status(&edge)["light"], "amber");
    let failed = comes(30, || probes(&edge, "ingest", "error") > 2.0);
    assert!(failed, "nobody asks");
    let before = edge.admin_get("/api/v1/ledger").json()["rows"].clone();
    let asked = edge.metric("vidette_upstream_requests_total", &[]);
    let requests = edge.metric("vidette_requests_total", &[]);
    let up = down.listen(takes);
    check_comes(&edge, "green");
    let seen = up.look(|ledger| (ledger.probes, ledger.requests.len(), ledger.open_max));
    assert!(seen.0 >= 15 && (seen.1, seen.2) == (0, 1), "{seen:?}");
    assert!(probes(&edge, "ingest", "ok") >= 15.0);
    assert_eq!(edge.admin_get("/api/v1/ledger").json()["rows"], before);
    assert_eq!(edge.metric("vidette_upstream_requests_total", &[]), asked);
    assert_eq!(edge.metric("vidette_requests_total", &[]), requests);
    let seen = up.look(|ledger| ledger.probes);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(up.look(|ledger| ledger.probes), seen, "it is well");
    assert_eq!(edge.post_envelope(&[], &event(2)).text(), "{}");
}

fn an_upstream_that_says_it_is_ill_is_not_back() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let (edge, _web) = cut_off(&down, &place);
    let up = down.listen(takes);
    up.is_well(503);
    let asked = |more: usize| {
        let before = up.look(|ledger| ledger.probes);
        assert!(comes(30, || up.look(|ledger| ledger.probes) >= before + more));
    };
    asked(20);
    for _ in 0..20 {
        assert_eq!(status(&edge)["upstreams"][0]["state"], "down");
        asked(1);
    }
    // Any other answer is a sign of somebody there.
    up.is_well(500);
    check_comes(&edge, "green");
}

fn one_connection_that_failed_is_not_held_against_web_for_ever() {
    let (fake, down) = (Fake::start(), Silent::reserve());
    let changes = json!({"upstream": {"probe_interval": "50ms"}});
    let edge = Edge::configured(&fake.url(), &down.url(), changes);
    assert_eq!(edge.ask("GET", "/", &[], b"").status, 502);
    let of_web = "upstream web: the last attempt to connect failed";
    assert_eq!(status(&edge)["reasons"], json!([of_web]));
    assert!(comes(30, || probes(&edge, "web", "error") > 5.0));
    assert_eq!(status(&edge)["reasons"], json!([of_web]), "it still fails");
    let up = down.listen(takes);
    check_comes(&edge, "green");
    assert!(probes(&edge, "web", "ok") >= 1.0);
    assert!(up.requests().is_empty(), "nobody else has asked");
    let asked = fake.look(|ledger| (ledger.accepted, ledger.probes));
    assert!(
        asked.0 <= 1 && asked.0 == asked.1,
        "the other is well: {asked:?}"
    );
}

fn who_was_never_reached_is_asked_once_or_called_down() {
    let (fake, down) = (Fake::start(), Silent::reserve());
    let changes = json!({"upstream": {"probe_interval": "50ms"}});
    let edge = Edge::configured(&down.url(), &fake.url(), changes);
    check_comes(&edge, "red");
    let told = status(&edge);
    let reasons = told["reasons"].as_array().unwrap();
    let lost = |reason: &Value| {
        reason
            .as_str()
            .unwrap()
            .contains("spool.path would keep it")
    };
    assert!(reasons.iter().any(lost), "{told}");
    assert!(comes(30, || status(&edge)["upstreams"][0]["state"] == "down"));
    let asked = fake.look(|ledger| (ledger.accepted, ledger.probes));
    assert_eq!(asked, (1, 1), "who answers is not asked again");
    let up = down.listen(takes);
    check_comes(&edge, "green");
    assert!(up.requests().is_empty(), "no event has asked");
}

fn one_question_serves_for_both_where_both_are_one() {
    let down = Silent::reserve();
    let changes = json!({"upstream": {"probe_interval": "50ms"}});
    let edge = Edge::configured(&down.url(), &down.url(), changes);
    assert_eq!(edge.ask("GET", "/", &[], b"").status, 502);
    assert_eq!(edge.post_envelope(&[], &event(1)).status, 503);
    assert!(comes(30, || probes(&edge, "ingest", "error") > 9.0));
    assert!(
        probes(&edge, "web", "error") < 3.0,
        "web is asked after too"
    );
    drop(down.listen(takes));
}

fn an_upstream_that_is_well_is_asked_nothing() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let edge = keeping(&fake.url(), place.path(), &json!({}));
    for number in 0..20 {
        assert_eq!(edge.post_envelope(&[], &event(number)).status, 200);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(fake.look(|ledger| ledger.probes), 0);
    assert_eq!(edge.metric("vidette_upstream_probes_total", &[]), 0.0);
}

/// An upstream that takes every event but those with such an id.
fn but(
    ill: impl Fn(u32) -> bool + Send + Sync + 'static,
) -> impl Fn(&mut Exchange<'_>) -> io::Result<Next> + Send + Sync {
    move |exchange| {
        let mut body = Vec::new();
        exchange.read_body_with(&mut |_, piece| body.extend_from_slice(piece))?;
        exchange.request.body = body;
        match ids(std::slice::from_ref(&exchange.request)).first() {
            Some(number) if ill(*number) => exchange.answer(503, &[], b""),
            _ => exchange.answer(200, &[], b"{}"),
        }
    }
}

/// The bug: an event that was tried again and again opened the breaker by itself.
fn one_event_that_is_never_taken_opens_no_breaker() {
    let place = TempDir::new().unwrap();
    let fake = Fake::with(but(|number| number == 13));
    let edge = keeping(&fake.url(), place.path(), &json!({}));
    check_taken(&edge.post_envelope(&[], &event(13)), 13);
    // Nobody else sends anything: five in a row within ten seconds.
    assert!(comes(30, || fake.requests().len() >= 5));
    assert_eq!(status(&edge)["upstreams"][0]["breaker"], "closed");
    assert_eq!(edge.post_envelope(&[], &event(1)).text(), "{}");
    assert_eq!(spool(&edge)["aside"], 0, "nothing speaks against it yet");
}

fn one_event_that_is_never_taken_is_set_aside() {
    let place = TempDir::new().unwrap();
    let fake = Fake::with(but(|number| number == 13));
    let edge = keeping(&fake.url(), place.path(), &json!({}));
    assert_eq!(edge.post_envelope(&[], &event(99)).text(), "{}");
    check_taken(&edge.post_envelope(&[], &event(13)), 13);
    let mut number = 100;
    let aside = comes(120, || {
        number += 1;
        let answer = edge.post_envelope(&[], &event(number));
        assert_eq!(answer.text(), "{}", "{number} is kept: {}", status(&edge));
        spool(&edge)["aside"] == 1
    });
    assert!(aside, "{}", spool(&edge));
    let reasons = status(&edge)["reasons"].to_string();
    assert!(reasons.contains("1 requests are set aside"), "{reasons}");
    let admin = edge.admin.to_string();
    let listed = program().args(["spool", "ls", "--admin", &admin]).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    assert!(listed.contains("; 1 set aside\n"), "{listed}");
    let is_told = |line: &str| line.contains("set aside").then(|| line.to_owned());
    let line = edge.log.wait_for("a word of it", is_told);
    assert!(
        line.contains("project=42") && line.contains(&id(13)),
        "{line}"
    );
    let log = edge.log.text();
    assert_eq!(log.lines().filter_map(is_told).count(), 1, "once");
}

fn an_outage_behind_such_events_still_ends() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let changes = json!({"spool": {"replay_requests": 8}});
    let edge = keeping(&down.url(), place.path(), &changes);
    for number in 0..200 {
        check_taken(&edge.post_envelope(&[], &event(number)), number);
    }
    // More than may rest at the front of a lane would hold it up; so many must not.
    let up = down.listen(but(|number| number < 20));
    let came = comes(60, || {
        let seen = ids(&up.requests());
        (20..200).all(|number| seen.contains(&number)) && spool(&edge)["items"] == 20
    });
    assert!(came, "{}", spool(&edge));
    let closed = comes(60, || status(&edge)["upstreams"][0]["breaker"] == "closed");
    assert!(closed, "{}", status(&edge));
    assert_eq!(booked(&edge, "error")["forwarded"], 180);
}

/// Limits everything at first, for longer than the edge believes.
fn limits_first(door: Door) -> impl Fn(&mut Exchange<'_>) -> io::Result<Next> + Send + Sync {
    let asked = AtomicUsize::new(0);
    move |exchange| {
        exchange.read_body()?;
        if asked.fetch_add(1, SeqCst) > 0 {
            return exchange.answer(200, &[], b"{}");
        }
        door.pass();
        let limits = [("X-Sentry-Rate-Limits", "900:error:key:flood")];
        exchange.answer(429, &limits, b"{}")
    }
}

#[track_caller]
fn check_limited(edge: &Edge, up: &Fake) {
    let mut answer = None;
    assert!(comes(30, || edge
        .metric("vidette_limits_learned_longest_seconds", &[])
        > 0.0));
    for number in 2..5 {
        answer = Some(edge.post_envelope(&[], &event(number)));
    }
    let (seconds, rest) = crate::quotas::told(&answer.unwrap());
    assert!((90..=100).contains(&seconds), "{seconds} s of 100 at most");
    assert_eq!(rest, "error:key:flood");
    assert_eq!(spool(edge)["items"], 1, "what came since is not kept");
    let session = b"{}\n{\"type\":\"session\",\"length\":2}\n{}\n";
    assert_eq!(edge.post_envelope(&[], session).text(), "{}", "others go");
    assert_eq!(ids(&up.requests()), [1], "nobody asked for the limit again");
}

fn a_limit_told_late_is_held_against_those_who_send_now() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let changes = json!({"limits": {"retry_after_max": "100s"}});
    let edge = keeping(&down.url(), place.path(), &changes);
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    let door = Door::default();
    door.open();
    let up = down.listen(limits_first(door));
    arrived(&up, 1);
    check_limited(&edge, &up);
}

fn a_limit_told_to_one_that_waited_is_held_too() {
    let (place, door) = (TempDir::new().unwrap(), Door::default());
    let up = Fake::with(limits_first(door.clone()));
    let changes = json!({
        "limits": {"retry_after_max": "100s"},
        "upstream": {"ingest_deadline": "300ms"},
    });
    let edge = keeping(&up.url(), place.path(), &changes);
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    door.open();
    check_limited(&edge, &up);
}
