//! The admin address: health, metrics, and who may ask. Never sends an event for
//! its own sake.

use std::collections::BTreeSet;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::{Answer, ask};
use crate::edge::{Edge, KEY, envelope_target};
use crate::parts::promises;
use crate::upstream::{Fake, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        health_answers_without_an_upstream,
        every_metric_family_is_there_from_the_start,
        status_is_json,
        status_tells_who_lets_nobody_in,
        foreign_hosts_and_origins_are_refused,
        beyond_loopback_a_token_is_asked_for,
        public_address_serves_no_admin_route,
    ]
}

fn status_tells_who_lets_nobody_in() {
    let fake = Fake::start();
    let strict = json!({"keys": {"mode": "strict"}});
    let edge = Edge::configured(&fake.url(), &fake.url(), strict);
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(status["light"], "amber", "{status}");
    let reason = status["reasons"][0].as_str().unwrap();
    assert!(reason.starts_with("keys.mode is strict"), "{reason}");
    assert_eq!(edge.post_envelope(&[], b"{}\n").status, 403);
    let named = json!({"keys": {"mode": "strict"}, "projects": [{"id": 42, "keys": [KEY]}]});
    let edge = Edge::configured(&fake.url(), &fake.url(), named);
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(status["light"], "green", "{status}");
}

fn health_answers_without_an_upstream() {
    let down = Silent::reserve();
    let edge = Edge::configured(&down.url(), &down.url(), json!({}));
    assert_eq!(edge.admin_get("/health/live").status, 200);
    assert_eq!(
        edge.admin_get("/health/ready").status,
        200,
        "nothing was tried, so nothing is known to be down"
    );
    assert_eq!(
        edge.ask("POST", &envelope_target(), &[], b"{}\n").status / 100,
        5
    );
    assert_eq!(edge.admin_get("/health/live").status, 200);
}

/// Families that are exported from the start, whatever has come.
const FAMILIES: &[&str] = &[
    "vidette_requests_total",
    "vidette_request_duration_seconds",
    "vidette_request_bytes_total",
    "vidette_items_total",
    "vidette_item_bytes_total",
    "vidette_quota_used_ratio",
    "vidette_quota_journal",
    "vidette_limits_learned_longest_seconds",
    "vidette_switches",
    "vidette_spool_items",
    "vidette_spool_bytes",
    "vidette_spool_oldest_seconds",
    "vidette_spool_appended_total",
    "vidette_spool_replayed_total",
    "vidette_spool_expired_total",
    "vidette_spool_damaged_total",
    "vidette_spool_unprotected_total",
    "vidette_duplicates_total",
    "vidette_breaker_state",
    "vidette_incidents_active",
    "vidette_webhook_messages_total",
    "vidette_table_entries",
    "vidette_table_entries_max",
    "vidette_upstream_requests_total",
    "vidette_upstream_probes_total",
    "vidette_upstream_duration_seconds",
    "vidette_upstream_connections",
    "vidette_upstream_resolved_addresses",
    "vidette_connections",
    "vidette_connections_total",
    "vidette_client_ip_total",
    "vidette_uploads_active",
    "vidette_uploads_active_bytes",
    "vidette_config_reloads_total",
    "vidette_client_reports_total",
    "vidette_config_last_reload_success_timestamp_seconds",
    "vidette_build_info",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
];

fn every_metric_family_is_there_from_the_start() {
    let down = Silent::reserve();
    let edge = Edge::configured(&down.url(), &down.url(), json!({}));
    let answer = edge.admin_get("/metrics");
    assert!(
        answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4"))
    );
    let text = answer.text();
    for family in FAMILIES {
        let typed = text.contains(&format!("# TYPE {family} "));
        let sampled = text.lines().any(|line| line.starts_with(family));
        assert!(
            typed && sampled,
            "{family} is missing (type {typed}, sample {sampled}):\n{text}"
        );
    }
    for line in text
        .lines()
        .filter(|line| line.starts_with("vidette_requests_total"))
    {
        assert!(line.ends_with(" 0"), "not at 0: {line}");
    }
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, _)| series)
        .collect();
    let unique: BTreeSet<&&str> = lines.iter().collect();
    assert_eq!(unique.len(), lines.len(), "a series stands twice");
}

fn status_is_json() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    assert_eq!(edge.post_envelope(&[], b"{}\n").status, 200);
    let status = edge.admin_get("/api/v1/status");
    assert_eq!(status.status, 200);
    let json = status.json();
    assert_eq!(json["light"], "green", "{json}");
    assert_eq!(json["accepting"], true);
    let names: Vec<&Value> = json["upstreams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|upstream| &upstream["name"])
        .collect();
    assert!(names.contains(&&json!("ingest")), "{json}");
    let absent = edge.admin_get("/api/v1/absent");
    assert_eq!(absent.status, 404);
    assert!(absent.json()["error"].is_string());
}

/// Posts JSON to the admin address as a local operator would, but for `headers`.
#[track_caller]
pub(crate) fn post(edge: &Edge, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut all = headers.to_vec();
    for (name, value) in [("Host", "localhost"), ("Content-Type", "application/json")] {
        if !all
            .iter()
            .any(|(named, _)| named.eq_ignore_ascii_case(name))
        {
            all.push((name, value));
        }
    }
    ask(edge.admin, "POST", path, &all, b"{}")
}

fn foreign_hosts_and_origins_are_refused() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"admin": {"hosts": ["localhost", "edge.internal"]}}),
    );
    let port = edge.admin.port();
    for (host, good) in [
        ("localhost".to_owned(), true),
        (format!("localhost:{port}"), true),
        (format!("127.0.0.1:{port}"), true),
        ("[::1]".to_owned(), true),
        ("edge.internal".to_owned(), true),
        ("evil.example".to_owned(), false),
        ("localhost.evil.example".to_owned(), false),
        ("127.0.0.1.evil.example".to_owned(), false),
    ] {
        let status = ask(edge.admin, "GET", "/api/v1/status", &[("Host", &host)], b"").status;
        assert_eq!(status == 200, good, "{host}: {status}");
        assert!(good || (400..500).contains(&status), "{host}: {status}");
    }
    let origin = format!("http://localhost:{port}");
    assert_eq!(post(&edge, "/api/v1/reload", &[]).status, 200);
    assert_eq!(
        post(
            &edge,
            "/api/v1/reload",
            &[("Origin", &origin), ("Host", &format!("localhost:{port}"))]
        )
        .status,
        200
    );
    for headers in [
        &[("Origin", "http://evil.example")][..],
        &[("Origin", "null")],
        &[("Content-Type", "text/plain")],
        &[("Content-Type", "application/x-www-form-urlencoded")],
        &[("Host", "evil.example")],
    ] {
        let answer = post(&edge, "/api/v1/reload", headers);
        assert!(
            (400..500).contains(&answer.status),
            "{headers:?}: {}",
            answer.status
        );
        assert!(
            answer.json()["error"].is_string(),
            "{headers:?}: {}",
            answer.text()
        );
    }
    assert_eq!(
        edge.admin_get("/api/v1/reload").status,
        405,
        "a reload is a write"
    );
}

fn beyond_loopback_a_token_is_asked_for() {
    let fake = Fake::start();
    let wide = json!({"listen": {"admin": "0.0.0.0:0"}, "admin": {"token": "right-token"}});
    let with_token = Edge::configured(&fake.url(), &fake.url(), wide);
    let ask_status = |edge: &Edge, headers: &[(&str, &str)]| {
        let headers = [headers, &[("Host", "localhost")]].concat();
        ask(
            ([127, 0, 0, 1], edge.admin.port()).into(),
            "GET",
            "/api/v1/status",
            &headers,
            b"",
        )
    };
    assert_eq!(ask_status(&with_token, &[]).status, 401);
    assert_eq!(
        ask_status(&with_token, &[("Authorization", "Bearer wrong-token")]).status,
        401
    );
    assert_eq!(
        ask_status(&with_token, &[("Authorization", "Bearer right-tokenx")]).status,
        401
    );
    assert_eq!(
        ask_status(&with_token, &[("Authorization", "Bearer right-token")]).status,
        200
    );
    let without = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"listen": {"admin": "0.0.0.0:0"}}),
    );
    let answer = ask_status(&without, &[]);
    assert_eq!(answer.status, 403);
    assert!(
        answer.text().contains("admin.token_file"),
        "{}",
        answer.text()
    );
    for edge in [&with_token, &without] {
        for path in ["/health/live", "/health/ready", "/metrics"] {
            let open = ask(
                ([127, 0, 0, 1], edge.admin.port()).into(),
                "GET",
                path,
                &[("Host", "localhost")],
                b"",
            );
            assert_eq!(open.status, 200, "{path} is open on any bind");
        }
        assert!(
            !edge.log.text().contains("right-token"),
            "the token stands in the log"
        );
    }
    let config = ask(
        ([127, 0, 0, 1], with_token.admin.port()).into(),
        "GET",
        "/api/v1/config",
        &[
            ("Host", "localhost"),
            ("Authorization", "Bearer right-token"),
        ],
        b"",
    );
    assert!(!config.text().contains("right-token"), "{}", config.text());
}

fn public_address_serves_no_admin_route() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for path in [
        "/metrics",
        "/health/live",
        "/api/v1/status",
        "/api/v1/reload",
    ] {
        assert_eq!(
            edge.ask("GET", path, &[("Host", "localhost")], b"").text(),
            fake_page(),
            "{path}"
        );
    }
    assert_eq!(
        fake.requests().len(),
        4,
        "they are web's, like any other path"
    );
}

fn fake_page() -> &'static str {
    r#"{"id":"0123456789abcdef0123456789abcdef"}"#
}
