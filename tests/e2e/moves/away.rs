//! Old DSNs whose project another Sentry has now: what comes by them goes there and waits for that
//! one alone, and here it stays what it was.

mod waiting;

use std::path::Path;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{NEW, OLD, STAYS, booked, envelope, keys, target};
use crate::bugsink::Bugsink;
use crate::client::Answer;
use crate::edge::{Edge, KEY, configuration, lay_over};
use crate::exchange::{Exchange, Next};
use crate::explained::post;
use crate::line_one::Packing;
use crate::parts::{Part, promises};

use crate::spool::arrived;
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        what_another_sentry_has_goes_there_and_nothing_else_does,
        a_large_body_streams_there,
        it_is_judged_and_booked_as_the_old_project,
        its_sentrys_limits_reach_the_client_and_hold_for_the_old_dsn_alone,
        what_was_dropped_is_told_to_the_sentry_that_has_the_project,
        an_explanation_and_the_status_tell_to_which_sentry_it_leads,
        a_reload_leads_away_and_back_but_never_beyond_the_process,
    ];
    trials.extend(waiting::trials());
    trials.extend(promises![&[Part::Python]; a_project_moves_to_bugsink_and_its_old_dsn_with_it]);
    trials
}

/// Project 12 by its old key is project 42 of another Sentry, which gets nothing else.
fn text(first: &str, next: &str, place: &Path, changes: &Value) -> String {
    let mut all = json!({
        "upstream": {"ingest_deadline": "2s", "probe_interval": "50ms"},
        "spool": {"path": place, "free_floor": 0},
        "mirrors": [{"name": "next", "ingest": [next], "share": 0}],
        "dsn_map": [{"key": OLD, "project": 12, "to": {"key": NEW, "project": 42, "upstream": "next"}}],
    });
    lay_over(&mut all, changes);
    configuration(first, first, &all).to_string()
}

#[track_caller]
fn leading(first: &str, next: &str, place: &Path, changes: &Value) -> Edge {
    Edge::run(&text(first, next, place, changes), &[])
}

fn well(exchange: &mut Exchange<'_>) -> std::io::Result<Next> {
    exchange.read_body()?;
    exchange.answer(200, &[], b"{}")
}

/// Sends an event by the old DSN, and one that stays.
#[track_caller]
fn send_both(edge: &Edge) {
    for (path, dsn) in [
        ("/api/12/envelope/?sentry_key=OLD", "https://OLD@h/12"),
        ("/api/7/envelope/?sentry_key=STAYS", "https://STAYS@h/7"),
    ] {
        let answer = send(edge, path, dsn);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
}

fn send(edge: &Edge, path: &str, dsn: &str) -> Answer {
    let body = envelope(&format!(r#","dsn":"{dsn}""#));
    edge.ask("POST", &keys(path), &[], &body)
}

/// An upstream has had so many requests, each of them the moved one or the one that stays.
#[track_caller]
fn check_arrived(fake: &Fake, count: usize, (path, dsn): (&str, &str)) {
    for request in arrived(fake, count) {
        assert_eq!(target(&request), keys(path));
        assert_eq!(
            request.body,
            envelope(&format!(r#","dsn":"{dsn}""#)),
            "{path}"
        );
    }
    assert_eq!(fake.requests().len(), count);
}

const MOVED: (&str, &str) = ("/api/42/envelope/?sentry_key=NEW", "https://NEW@h/42");
const STAYED: (&str, &str) = ("/api/7/envelope/?sentry_key=STAYS", "https://STAYS@h/7");

fn what_another_sentry_has_goes_there_and_nothing_else_does() {
    let (first, next, other) = (Fake::start(), Fake::start(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let changes = json!({
        "tunnel": {"paths": ["/t"]},
        "mirrors": [
            {"name": "next", "ingest": [next.url()], "share": 0},
            {"name": "other", "ingest": [other.url()]},
        ],
    });
    let edge = leading(&first.url(), &next.url(), place.path(), &changes);
    send_both(&edge);
    check_arrived(&next, 1, MOVED);
    check_arrived(&first, 1, STAYED);
    let request = next.only_request();
    let host = next.url();
    assert_eq!(
        request.headers.one("host").as_deref(),
        host.strip_prefix("http://")
    );
    assert_eq!(
        request.headers.one("x-forwarded-for").as_deref(),
        Some("127.0.0.1")
    );
    // Where line one alone tells.
    for (count, path) in [(2, "/t"), (3, "/api/12/envelope/")] {
        let answer = send(&edge, path, "https://OLD@h/12");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let request = arrived(&next, count).swap_remove(count - 1);
        assert_eq!(target(&request), "/api/42/envelope/", "{path}");
    }
    assert_eq!(first.requests().len(), 1);
    // A mirror has copies of what the first takes, and of that alone.
    check_arrived(&other, 1, STAYED);
    for (upstream, requests) in [("mirror-next", 3.0), ("ingest", 1.0)] {
        let label = format!("upstream=\"{upstream}\"");
        let labels = [label.as_str(), "outcome=\"ok\""];
        let counted = edge.metric("vidette_upstream_requests_total", &labels);
        assert_eq!(counted, requests, "{upstream}");
    }
}

fn a_large_body_streams_there() {
    let (first, next) = (Fake::start(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let edge = leading(&first.url(), &next.url(), place.path(), &json!({}));
    let noise: Vec<u8> = (0..3_000_000).map(|_| fastrand::u8(..)).collect();
    let of = |dsn: &str| {
        let front = envelope(&format!(r#","dsn":"{dsn}""#));
        let header = format!("{{\"type\":\"attachment\",\"length\":{}}}\n", noise.len());
        [&front, header.as_bytes(), &noise, b"\n"].concat()
    };
    for (count, packing) in (1..).zip(Packing::ALL) {
        let body = packing.pack(&of("https://OLD@h/12"));
        let path = keys("/api/12/envelope/?sentry_key=OLD");
        let answer = edge.ask("POST", &path, packing.headers(), &body);
        assert_eq!(answer.status, 200, "{packing:?}: {}", answer.text());
        let request = arrived(&next, count).swap_remove(count - 1);
        assert!(request.body == of("https://NEW@h/42"), "{packing:?}");
    }
    assert_eq!(first.requests().len(), 0);
}

fn it_is_judged_and_booked_as_the_old_project() {
    let (first, next) = (Fake::start(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let changes = json!({
        "keys": {"mode": "strict"},
        "projects": [
            // The first Sentry has dropped the key with the project.
            {"id": 12, "keys": [{"key": OLD, "enabled": false}], "quotas": [{"limit": 2, "per": "1h"}]},
            // This one has the number that the other Sentry gave it.
            {"id": 42, "keys": [KEY], "quotas": [{"limit": 0, "per": "1h"}]},
        ],
    });
    let edge = leading(&first.url(), &next.url(), place.path(), &changes);
    let old = "/api/12/envelope/?sentry_key=OLD";
    let statuses = [old; 3].map(|path| send(&edge, path, "https://OLD@h/12").status);
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(booked(&edge, 12, "received"), 3);
    assert_eq!(booked(&edge, 12, "forwarded"), 2);
    assert_eq!(booked(&edge, 42, "received"), 0);
    check_arrived(&next, 2, MOVED);
    assert_eq!(first.requests().len(), 0);
    let elsewhere = send(
        &edge,
        "/api/13/envelope/?sentry_key=OLD",
        "https://OLD@h/13",
    );
    assert_eq!(elsewhere.status, 403, "the map is of project 12");
}

fn its_sentrys_limits_reach_the_client_and_hold_for_the_old_dsn_alone() {
    let first = Fake::start();
    let next = Fake::with(|exchange| {
        exchange.read_body()?;
        let limits = ("x-sentry-rate-limits", "60:error:key");
        exchange.answer(429, &[limits, ("retry-after", "60")], b"{}")
    });
    let place = tempfile::tempdir().unwrap();
    let edge = leading(&first.url(), &next.url(), place.path(), &json!({}));
    for _ in 0..2 {
        let answer = send(
            &edge,
            "/api/12/envelope/?sentry_key=OLD",
            "https://OLD@h/12",
        );
        assert_eq!(answer.status, 429, "{}", answer.text());
        let limits = answer.header("x-sentry-rate-limits").unwrap();
        assert!(limits.contains("60:error:key"), "{limits}");
    }
    assert_eq!(next.requests().len(), 1, "what was learned holds");
    let stays = send(&edge, STAYED.0, STAYED.1);
    assert_eq!(stays.status, 200, "{}", stays.text());
}

fn what_was_dropped_is_told_to_the_sentry_that_has_the_project() {
    let (first, next) = (Fake::start(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let changes = json!({
        "client_reports": {"enabled": true, "interval": "1s"},
        "projects": [
            {"id": 12, "quotas": [{"limit": 0, "per": "1h"}]},
            {"id": 7, "keys": [STAYS], "quotas": [{"limit": 0, "per": "1h"}]},
        ],
    });
    let edge = leading(&first.url(), &next.url(), place.path(), &changes);
    for (path, dsn) in [
        ("/api/12/envelope/?sentry_key=OLD", "https://OLD@h/12"),
        STAYED,
    ] {
        let answer = send(&edge, path, dsn);
        assert_eq!(answer.status, 429, "{}", answer.text());
    }
    for (fake, project, key) in [(&next, 42, NEW), (&first, 7, STAYS)] {
        let request = arrived(fake, 1).swap_remove(0);
        assert_eq!(target(&request), format!("/api/{project}/envelope/"));
        let auth = request.headers.one("x-sentry-auth").unwrap();
        assert!(auth.contains(&format!("sentry_key={key}")), "{auth}");
        let body = String::from_utf8(request.body).unwrap();
        assert!(body.contains("rate_limited_events"), "{body}");
    }
}

fn an_explanation_and_the_status_tell_to_which_sentry_it_leads() {
    let (first, next) = (Fake::start(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let edge = leading(&first.url(), &next.url(), place.path(), &json!({}));
    let question = json!({
        "method": "POST", "path": keys("/api/12/envelope/?sentry_key=OLD"),
        "headers": [["Host", "h"]], "peer": "127.0.0.1",
    });
    let told = post(&edge, "/api/v1/explain", question.to_string().as_bytes()).json();
    let result = |name: &str| {
        let steps = told["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["step"] == name);
        step.map(|step| step["result"].as_str().unwrap().to_owned())
    };
    assert_eq!(
        result("dsn_map").as_deref(),
        Some("2222... of project 42 at next"),
        "{told:#}"
    );
    assert_eq!(
        result("upstream").as_deref(),
        Some("mirror-next"),
        "{told:#}"
    );
    let map = edge.admin_get("/api/v1/status").json()["dsn_map"]["shown"][0]["to"].clone();
    assert_eq!(
        map,
        json!({"key": "2222...", "project": 42, "upstream": "next"})
    );
}

fn a_reload_leads_away_and_back_but_never_beyond_the_process() {
    let (first, next) = (Fake::start(), Fake::start());
    let place = tempfile::tempdir().unwrap();
    let stays = json!({"dsn_map": []});
    let edge = leading(&first.url(), &next.url(), place.path(), &stays);
    let reload = |changes: &Value| {
        let mut all = json!({
            "listen": {"public": [edge.public.to_string()], "admin": edge.admin.to_string()},
        });
        lay_over(&mut all, changes);
        edge.rewrite(&text(&first.url(), &next.url(), place.path(), &all));
        post(&edge, "/api/v1/reload", b"{}")
    };
    let old = || {
        send(
            &edge,
            "/api/12/envelope/?sentry_key=OLD",
            "https://OLD@h/12",
        )
        .status
    };
    assert_eq!((old(), first.requests().len()), (200, 1));
    assert_eq!(reload(&json!({})).json()["applied"], true);
    assert_eq!((old(), next.requests().len()), (200, 1));
    let beyond = json!({
        "mirrors": [
            {"name": "next", "ingest": [next.url()], "share": 0},
            {"name": "later", "ingest": ["http://127.0.0.1:1"]},
        ],
        "dsn_map": [{"key": OLD, "to": {"key": NEW, "project": 42, "upstream": "later"}}],
    });
    let refused = reload(&beyond);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(
        refused.text().contains("begins at the next start"),
        "{}",
        refused.text()
    );
    assert_eq!(
        (old(), next.requests().len()),
        (200, 2),
        "the old rules hold"
    );
    assert_eq!(reload(&stays).json()["applied"], true);
    assert_eq!((old(), first.requests().len()), (200, 2));
}

fn a_project_moves_to_bugsink_and_its_old_dsn_with_it() {
    let first = Fake::start();
    let bugsink = Bugsink::start();
    let place = tempfile::tempdir().unwrap();
    let to = json!({"key": KEY, "project": 1, "upstream": "next"});
    let changes = json!({"dsn_map": [{"key": OLD, "project": 12, "to": to}]});
    let edge = leading(&first.url(), &bugsink.url, place.path(), &changes);
    let mut ids = Vec::new();
    for (count, packing) in (1..).zip([Packing::Plain, Packing::Gzip]) {
        let id = format!(
            "{:032x}",
            0x9ec7_9c33_ec99_42ab_8353_589f_cb2f_0000_u128 + count
        );
        let event = format!(
            "{{\"event_id\":\"{id}\",\"timestamp\":\"2026-11-26T10:30:00Z\",\"platform\":\"python\",\"message\":\"moved\"}}"
        );
        let length = event.len();
        let body = format!(
            "{{\"event_id\":\"{id}\",\"dsn\":\"https://{OLD}@old.example/12\"}}\n{{\"type\":\"event\",\"length\":{length}}}\n{event}\n"
        );
        let path = keys("/api/12/envelope/?sentry_key=OLD&sentry_version=7");
        let answer = edge.ask(
            "POST",
            &path,
            packing.headers(),
            &packing.pack(body.as_bytes()),
        );
        assert_eq!(answer.status, 200, "{}", answer.text());
        ids.push(id);
    }
    assert_eq!(booked(&edge, 12, "forwarded"), 2);
    drop(edge);
    assert_eq!(first.requests().len(), 0);
    let stored = bugsink.stored_ids();
    for id in &ids {
        assert!(stored.contains(id), "{id} is not in {stored:?}");
    }
}
