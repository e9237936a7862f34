//! Old DSNs that lead elsewhere: what is sent to one arrives as if its client had been given the
//! new one, wherever the key stood; it is judged and booked as the new one's; and nothing else
//! changes.

mod away;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::edge::{Edge, configuration};
use crate::explained::post;
use crate::line_one::Packing;
use crate::parts::promises;
use crate::upstream::{Fake, Request};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        every_way_of_bringing_a_key_arrives_with_the_new_one,
        an_envelope_arrives_with_its_new_dsn_packed_or_not_short_or_long,
        what_is_not_moved_arrives_byte_for_byte,
        a_tunnelled_envelope_and_one_with_its_dsn_alone_move,
        the_new_project_judges_and_its_books_say_so,
        limits_that_the_upstream_tells_of_hold_for_both_dsns,
        what_is_kept_meanwhile_leaves_by_the_new_dsn,
        an_explanation_and_the_status_tell_where_it_leads,
        a_reload_moves_more_and_keeps_the_counts,
    ];
    trials.extend(away::trials());
    trials
}

const OLD: &str = "11111111111111111111111111111111";
const NEW: &str = "22222222222222222222222222222222";
const STAYS: &str = "33333333333333333333333333333333";

/// With keys spelled out.
fn keys(text: &str) -> String {
    text.replace("OLD", OLD)
        .replace("NEW", NEW)
        .replace("STAYS", STAYS)
}

/// Project 12 by its old key has become 42 by a new one.
fn map() -> Value {
    json!([{"key": OLD, "project": 12, "to": {"key": NEW, "project": 42}}])
}

fn moving(fake: &Fake, mut changes: Value) -> Edge {
    changes["dsn_map"] = map();
    Edge::configured(&fake.url(), &fake.url(), changes)
}

/// An envelope of one error whose line one holds these fields besides its id.
fn envelope(fields: &str) -> Vec<u8> {
    let line = keys(&format!(
        r#"{{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"{fields}}}"#
    ));
    format!("{line}\n{{\"type\":\"event\",\"length\":2}}\n{{}}\n").into_bytes()
}

fn target(request: &Request) -> String {
    request.target_text()
}

/// Posts this, and sees it arrive so.
#[track_caller]
fn check_head(
    (method, path): (&str, &str),
    header: Option<(&str, &str)>,
    want: (&str, Option<&str>),
) {
    let fake = Fake::start();
    let edge = moving(&fake, json!({}));
    let value = header.map(|(name, value)| (name, keys(value)));
    let headers: Vec<(&str, &str)> = value
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let body = if method == "GET" { "" } else { "{}" };
    let answer = edge.ask(method, &keys(path), &headers, body.as_bytes());
    assert!(answer.status < 300, "{path}: {}", answer.text());
    let request = fake.only_request();
    assert_eq!(target(&request), keys(want.0), "{path}");
    let arrived = header.and_then(|(name, _)| request.headers.one(name));
    assert_eq!(arrived, want.1.map(keys), "{path}");
}

fn every_way_of_bringing_a_key_arrives_with_the_new_one() {
    check_head(
        ("POST", "/api/12/store/?sentry_key=OLD&sentry_version=7"),
        None,
        ("/api/42/store/?sentry_key=NEW&sentry_version=7", None),
    );
    check_head(
        ("POST", "/api/12/store/"),
        Some((
            "X-Sentry-Auth",
            "Sentry sentry_version=7, sentry_key=OLD, sentry_client=raven/1",
        )),
        (
            "/api/42/store/",
            Some("Sentry sentry_version=7, sentry_key=NEW, sentry_client=raven/1"),
        ),
    );
    check_head(
        ("POST", "/api/12/store/"),
        Some(("Authorization", "Sentry sentry_key=OLD")),
        ("/api/42/store/", Some("Sentry sentry_key=NEW")),
    );
    let basic = |key: &str| format!("Basic {}", STANDARD.encode(keys(key)));
    check_head(
        ("POST", "/api/12/store/"),
        Some(("Authorization", &basic("OLD:"))),
        ("/api/42/store/", Some(&basic("NEW:"))),
    );
    check_head(
        ("POST", "/api/12/unreal/OLD/?UserID=x"),
        None,
        ("/api/42/unreal/NEW/?UserID=x", None),
    );
    check_head(
        ("GET", "/api/12/cron/nightly/OLD/?status=ok"),
        None,
        ("/api/42/cron/nightly/NEW/?status=ok", None),
    );
    // The oldest form names no project: its key's own is meant.
    check_head(
        ("POST", "/api/store/?sentry_key=OLD"),
        None,
        ("/api/store/?sentry_key=NEW", None),
    );
    check_head(
        ("POST", "//api//%31%32/store/?sentry_key=OLD"),
        None,
        ("/api/42/store/?sentry_key=NEW", None),
    );
}

fn an_envelope_arrives_with_its_new_dsn_packed_or_not_short_or_long() {
    let fake = Fake::start();
    let edge = moving(&fake, json!({}));
    let path = keys("/api/12/envelope/?sentry_key=OLD");
    let fields = r#","dsn":"https://OLD@sentry.example.com/12","trace":{"trace_id":"4a106cf6b15144eb9131ae7db1a157a3","public_key":"OLD"},"sent_at":"2026-11-26T10:30:00Z""#;
    let moved = r#","dsn":"https://NEW@sentry.example.com/42","trace":{"trace_id":"4a106cf6b15144eb9131ae7db1a157a3","public_key":"NEW"},"sent_at":"2026-11-26T10:30:00Z""#;
    let mut count = 0;
    // Beyond limits.inspect_bytes a body is rewritten while it streams.
    for bytes in [0, 700_000] {
        let noise: Vec<u8> = (0..bytes).map(|_| fastrand::u8(..)).collect();
        let attached = |fields: &str| {
            let header = format!("{{\"type\":\"attachment\",\"length\":{bytes}}}\n");
            [&envelope(fields), header.as_bytes(), &noise, b"\n"].concat()
        };
        for packing in Packing::ALL {
            let body = packing.pack(&attached(fields));
            let answer = edge.ask("POST", &path, packing.headers(), &body);
            assert_eq!(answer.status, 200, "{packing:?} {}", answer.text());
            count += 1;
            let requests = crate::spool::arrived(&fake, count);
            let request = requests.last().unwrap();
            assert_eq!(target(request), keys("/api/42/envelope/?sentry_key=NEW"));
            assert!(
                request.body == attached(moved),
                "{packing:?} {bytes}: {}",
                request.body[..300].escape_ascii()
            );
            assert_eq!(request.headers.one("content-encoding"), None, "{packing:?}");
        }
    }
}

fn what_is_not_moved_arrives_byte_for_byte() {
    let fake = Fake::start();
    let edge = moving(&fake, json!({}));
    for (number, (path, fields)) in [
        (
            "/api/7/envelope/?sentry_key=STAYS",
            r#","dsn":"https://STAYS@h/7""#,
        ),
        // The old key, for another project than the one that has moved.
        (
            "/api/13/envelope/?sentry_key=OLD",
            r#","dsn":"https://OLD@h/13""#,
        ),
        // Who has the new DSN already.
        (
            "/api/42/envelope/?sentry_key=NEW",
            r#","dsn":"https://NEW@h/42","trace":{"public_key":"NEW"}"#,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let body = Packing::Gzip.pack(&envelope(fields));
        let headers = Packing::Gzip.headers();
        let answer = edge.ask("POST", &keys(path), headers, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let requests = crate::spool::arrived(&fake, number + 1);
        let request = requests.last().unwrap();
        assert_eq!(target(request), keys(path));
        assert_eq!(request.body, body, "{path}");
    }
    // A trace that began in a project which has moved is known there by its new key.
    let began = envelope(r#","dsn":"https://STAYS@h/7","trace":{"public_key":"OLD"}"#);
    edge.ask(
        "POST",
        &keys("/api/7/envelope/?sentry_key=STAYS"),
        &[],
        &began,
    );
    let request = crate::spool::arrived(&fake, 4).swap_remove(3);
    let want = envelope(r#","dsn":"https://STAYS@h/7","trace":{"public_key":"NEW"}"#);
    assert_eq!(request.body, want);
}

fn a_tunnelled_envelope_and_one_with_its_dsn_alone_move() {
    let fake = Fake::start();
    let edge = moving(&fake, json!({"tunnel": {"paths": ["/t"]}}));
    let body = envelope(r#","dsn":"https://OLD@h/12""#);
    let moved = envelope(r#","dsn":"https://NEW@h/42""#);
    for (number, path) in ["/t", "/api/12/envelope/"].into_iter().enumerate() {
        let answer = edge.ask("POST", path, &[], &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let requests = crate::spool::arrived(&fake, number + 1);
        let request = requests.last().unwrap();
        assert_eq!(target(request), "/api/42/envelope/", "{path}");
        assert_eq!(request.body, moved, "{path}");
        let auth = request.headers.one("x-sentry-auth");
        let tunnelled = path == "/t";
        let want = tunnelled.then(|| format!("Sentry sentry_version=7, sentry_key={NEW}"));
        assert_eq!(auth, want, "{path}");
    }
}

/// How many items the books have of a project.
fn booked(edge: &Edge, project: u64, what: &str) -> u64 {
    let ledger = edge.admin_get("/api/v1/ledger").json();
    let rows = ledger["rows"].as_array().unwrap().clone();
    let own = rows.iter().filter(|row| row["project"] == project);
    own.filter_map(|row| row["items"][what].as_u64()).sum()
}

fn the_new_project_judges_and_its_books_say_so() {
    let fake = Fake::start();
    let edge = moving(
        &fake,
        json!({
            "keys": {"mode": "strict"},
            "projects": [
                {"id": 42, "keys": [NEW], "quotas": [{"limit": 2, "per": "1h"}]},
                {"id": 12, "keys": [{"key": OLD, "enabled": false}]},
            ],
        }),
    );
    let path = keys("/api/12/envelope/?sentry_key=OLD");
    let new = keys("/api/42/envelope/?sentry_key=NEW");
    let body = envelope("");
    let statuses = [&path, &new, &path, &new].map(|path| edge.ask("POST", path, &[], &body).status);
    assert_eq!(statuses, [200, 200, 429, 429], "both use up one quota");
    assert_eq!(booked(&edge, 42, "received"), 4);
    assert_eq!(booked(&edge, 42, "forwarded"), 2);
    assert_eq!(booked(&edge, 12, "received"), 0);
    let wrong = edge.ask(
        "POST",
        &keys("/api/13/envelope/?sentry_key=OLD"),
        &[],
        &body,
    );
    assert_eq!(wrong.status, 403, "the map is of project 12");
}

fn limits_that_the_upstream_tells_of_hold_for_both_dsns() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        let limits = ("x-sentry-rate-limits", "60:error:key");
        exchange.answer(429, &[limits, ("retry-after", "60")], b"{}")
    });
    let edge = moving(&fake, json!({}));
    let path = keys("/api/12/envelope/?sentry_key=OLD");
    let first = edge.ask("POST", &path, &[], &envelope(""));
    assert_eq!(first.status, 429, "{}", first.text());
    let limits = first.header("x-sentry-rate-limits").unwrap();
    assert!(limits.contains("60:error:key"), "{limits}");
    for path in [path, keys("/api/42/envelope/?sentry_key=NEW")] {
        let answer = edge.ask("POST", &path, &[], &envelope(""));
        assert_eq!(answer.status, 429, "{}", answer.text());
    }
    assert_eq!(fake.requests().len(), 1, "what was learned holds for both");
}

fn what_is_kept_meanwhile_leaves_by_the_new_dsn() {
    let down = crate::upstream::Silent::reserve();
    let place = tempfile::tempdir().unwrap();
    let changes = json!({"dsn_map": map(), "spool": {"path": place.path(), "free_floor": 0}});
    let mut text: Value = configuration(&down.url(), &down.url(), &changes);
    text["upstream"]["probe_interval"] = json!("50ms");
    let edge = Edge::run(&text.to_string(), &[]);
    let path = keys("/api/12/envelope/?sentry_key=OLD");
    let body = envelope(r#","dsn":"https://OLD@h/12""#);
    let answer = edge.ask(
        "POST",
        &path,
        Packing::Gzip.headers(),
        &Packing::Gzip.pack(&body),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let fake = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let request = fake.ended_request();
    assert_eq!(target(&request), keys("/api/42/envelope/?sentry_key=NEW"));
    assert_eq!(request.body, envelope(r#","dsn":"https://NEW@h/42""#));
}

fn an_explanation_and_the_status_tell_where_it_leads() {
    let fake = Fake::start();
    let edge = moving(&fake, json!({}));
    let path = keys("/api/12/envelope/?sentry_key=OLD");
    let body = envelope(r#","dsn":"https://OLD@h/12""#);
    let question = json!({
        "method": "POST", "path": path, "headers": [["Host", "h"]], "peer": "127.0.0.1",
        "body_base64": STANDARD.encode(&body),
    });
    let told = post(&edge, "/api/v1/explain", question.to_string().as_bytes()).json();
    let steps = told["steps"].as_array().unwrap();
    let of = |name: &str| -> Vec<&str> {
        let named = steps.iter().filter(|step| step["step"] == name);
        named.filter_map(|step| step["result"].as_str()).collect()
    };
    assert_eq!(of("dsn_map"), ["2222... of project 42"], "{told:#}");
    assert!(of("line one").contains(&"moved"), "{told:#}");
    let map = || edge.admin_get("/api/v1/status").json()["dsn_map"].clone();
    let row = |requests: u64| json!({"key": "1111...", "project": 12, "to": {"key": "2222...", "project": 42, "upstream": null}, "requests": requests});
    assert_eq!(map(), json!({"dsns": 1, "unused": 1, "shown": [row(0)]}));
    edge.ask("POST", &path, &[], &body);
    assert_eq!(map(), json!({"dsns": 1, "unused": 0, "shown": [row(1)]}));
}

fn a_reload_moves_more_and_keeps_the_counts() {
    let fake = Fake::start();
    let edge = moving(&fake, json!({}));
    let path = keys("/api/12/envelope/?sentry_key=OLD");
    edge.ask("POST", &path, &[], &envelope(""));
    let mut more = map();
    more.as_array_mut()
        .unwrap()
        .insert(0, json!({"key": STAYS, "to": {"key": NEW, "project": 42}}));
    let changes = json!({
        "dsn_map": more,
        "listen": {"public": [edge.public.to_string()], "admin": edge.admin.to_string()},
    });
    edge.rewrite(&configuration(&fake.url(), &fake.url(), &changes).to_string());
    let reloaded = post(&edge, "/api/v1/reload", b"{}").json();
    assert_eq!(reloaded["applied"], true, "{reloaded}");
    edge.ask(
        "POST",
        &keys("/api/9/envelope/?sentry_key=STAYS"),
        &[],
        &envelope(""),
    );
    let request = crate::spool::arrived(&fake, 2).swap_remove(1);
    assert_eq!(target(&request), keys("/api/42/envelope/?sentry_key=NEW"));
    let shown = edge.admin_get("/api/v1/status").json()["dsn_map"]["shown"].clone();
    let counts: Vec<u64> = shown
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["requests"].as_u64())
        .collect();
    assert_eq!(counts, [1, 1], "{shown}");
}
