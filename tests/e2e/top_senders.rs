//! Who sends most, as the API tells it: by project, key, release, SDK and address, with what of it
//! may be shown.

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::edge::{Edge, KEY};
use crate::parts::promises;
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        who_sends_most_is_named_by_whatever_tells_senders_apart,
        what_was_refused_has_its_sender_too,
        an_address_is_named_as_it_may_be_kept,
        what_cannot_be_asked_for_is_refused,
    ]
}

const OTHER: &str = "0123456789abcdef0123456789abcdef";

fn edge(fake: &Fake, changes: &Value) -> Edge {
    let mut all = json!({"projects": [
        {"id": 42, "name": "shop", "keys": [{"key": KEY, "name": "web"}]},
        {"id": 7, "keys": [OTHER], "quotas": [
            {"name": "none", "categories": ["session"], "limit": 0, "per": "1d"}]},
    ]});
    crate::edge::lay_over(&mut all, changes);
    Edge::configured(&fake.url(), &fake.url(), all)
}

/// Asks until all that was sent is there.
#[track_caller]
fn top(edge: &Edge, query: &str, items: u64) -> Value {
    let deadline = Instant::now() + HANG;
    loop {
        let told = edge.admin_get(&format!("/api/v1/top?{query}")).json();
        let count = |of: &Value| of["items"].as_u64().unwrap();
        let rows = told["rows"].as_array().unwrap_or_else(|| panic!("{told}"));
        if rows.iter().map(count).sum::<u64>() + count(&told["others"]) >= items {
            return told;
        }
        assert!(Instant::now() < deadline, "{query}: {items} items: {told}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn send(edge: &Edge, (project, key): (u64, &str), line: &Value, from: &str, kind: &str) -> u16 {
    let target = format!("/api/{project}/envelope/?sentry_key={key}&sentry_version=7");
    let headers = [("X-Forwarded-For", from), ("User-Agent", "okhttp/4.9")];
    let body = format!("{line}\n{{\"type\":\"{kind}\",\"length\":2}}\n{{}}\n");
    edge.ask("POST", &target, &headers, body.as_bytes()).status
}

/// A row of so many items of two bytes each.
fn row(name: &str, label: Option<&str>, project: Option<u64>, items: u64, share: f64) -> Value {
    json!({
        "name": name, "label": label, "project": project, "items": items, "bytes": 2 * items,
        "dropped": 0, "share": share,
    })
}

fn who_sends_most_is_named_by_whatever_tells_senders_apart() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let line = json!({
        "sdk": {"name": "sentry.javascript.browser", "version": "9.1.0"},
        "trace": {"trace_id": "4a106cf6b15144eb9131ae7db1a157a3", "public_key": KEY,
            "release": "shop@1.2"},
    });
    for _ in 0..3 {
        assert_eq!(send(&edge, (42, KEY), &line, "203.0.113.9", "event"), 200);
    }
    assert_eq!(
        send(&edge, (7, OTHER), &json!({}), "198.51.100.7", "event"),
        200
    );
    for (by, first, second) in [
        (
            "project",
            row("42", Some("shop"), Some(42), 3, 0.75),
            Some(row("7", None, Some(7), 1, 0.25)),
        ),
        (
            "key",
            row("a94a...", Some("web"), Some(42), 3, 0.75),
            Some(row("0123...", None, Some(7), 1, 0.25)),
        ),
        ("release", row("shop@1.2", None, Some(42), 3, 0.75), None),
        (
            "sdk",
            row("sentry.javascript.browser/9.1.0", None, Some(42), 3, 0.75),
            Some(row("okhttp/4.9", None, Some(7), 1, 0.25)),
        ),
        (
            "ip",
            row("203.0.113.9", None, Some(42), 3, 0.75),
            Some(row("198.51.100.7", None, Some(7), 1, 0.25)),
        ),
    ] {
        let told = top(&edge, &format!("by={by}"), 4);
        let others = 1 - u64::from(second.is_some());
        let rows: Vec<Value> = [Some(first), second].into_iter().flatten().collect();
        assert_eq!(told["rows"], json!(rows), "{by}");
        assert_eq!((&told["by"], &told["one_in"]), (&json!(by), &json!(1.0)));
        let rest = json!({"items": others, "bytes": 2 * others, "dropped": 0});
        assert_eq!(told["others"], rest, "{by}");
        assert!(told["span_s"].as_u64().unwrap() < 360, "{told}");
    }
    let first = top(&edge, "by=ip&n=1", 4);
    assert_eq!(first["rows"].as_array().unwrap().len(), 1);
    assert_eq!(first["others"]["items"], 1);
    let of_seven = top(&edge, "by=ip&project=7", 1);
    let only = [row("198.51.100.7", None, Some(7), 1, 1.0)];
    assert_eq!(of_seven["rows"], json!(only));
}

fn what_was_refused_has_its_sender_too() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    assert_eq!(
        send(&edge, (7, OTHER), &json!({}), "203.0.113.9", "session"),
        429
    );
    // A key that is another project's is nobody's: its address is named all the same.
    assert_eq!(
        send(&edge, (7, KEY), &json!({}), "203.0.113.8", "event"),
        403
    );
    let told = top(&edge, "by=ip&order=dropped", 2);
    let rows = told["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{told}");
    let of = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(of("203.0.113.9")["project"], 7);
    assert_eq!(of("203.0.113.8")["project"], Value::Null);
    for row in rows {
        assert_eq!((&row["items"], &row["dropped"]), (&json!(1), &json!(1)));
    }
    let by_project = top(&edge, "", 2);
    let names: Vec<&Value> = by_project["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["name"])
        .collect();
    assert!(
        names.contains(&&json!("7")) && names.contains(&&json!("unproven")),
        "{names:?}"
    );
}

#[track_caller]
fn check_named(store: Value, want: &[&str]) {
    let fake = Fake::start();
    let mut client_ip = json!({"trusted_proxies": ["loopback"]});
    crate::edge::lay_over(&mut client_ip, &store);
    let edge = edge(&fake, &json!({"client_ip": client_ip}));
    for from in ["203.0.113.9", "203.0.113.8"] {
        assert_eq!(send(&edge, (42, KEY), &json!({}), from, "event"), 200);
    }
    let told = top(&edge, "by=ip", 2);
    let rows = told["rows"].as_array().unwrap();
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), want.len(), "{names:?}");
    for (name, want) in names.iter().zip(want) {
        assert!(name.starts_with(want), "{names:?}");
    }
    let by_sdk = top(&edge, "by=sdk", 2);
    assert_eq!(by_sdk["rows"][0]["items"], 2, "{by_sdk}");
}

fn an_address_is_named_as_it_may_be_kept() {
    check_named(json!({}), &["203.0.113.", "203.0.113."]);
    check_named(json!({"store": "truncate"}), &["203.0.113.0"]);
    check_named(
        json!({"store": "hash", "hash_key": "some-secret"}),
        &["fd", "fd"],
    );
    check_named(json!({"store": "drop"}), &[]);
}

fn what_cannot_be_asked_for_is_refused() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    for query in [
        "by=user",
        "order=size",
        "minutes=61",
        "n=101",
        "project=x",
        "x=1",
    ] {
        let refused = edge.admin_get(&format!("/api/v1/top?{query}"));
        assert_eq!(refused.status, 400, "{query}");
        assert!(refused.json()["error"].is_string(), "{query}");
    }
}
