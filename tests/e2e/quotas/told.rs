//! What an operator is told of limits: the light and its reasons, and the metrics. Never
//! about what a client is told.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::command_line::ran;
use crate::edge::{Edge, KEY, envelope_target, program};
use crate::line_one::Packing;
use crate::parts::promises;
use crate::senders::{STRANGE, target};
use crate::upstream::{Fake, HANG};

use super::{limited, one, statuses};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_full_quota_is_a_reason,
        what_is_shut_on_purpose_is_none,
        full_tables_are_a_reason,
        a_learned_limit_is_a_reason_while_it_stands,
        quotas_that_cannot_be_kept_are_a_reason,
        a_keys_own_quota_is_measured,
        quotas_by_ip_are_told_of_where_they_are_not_measured,
        too_many_items_are_refused_in_words_and_booked_as_far_as_they_were_read,
    ]
}

/// The light, and its reasons.
#[track_caller]
fn light(edge: &Edge) -> (String, Vec<String>) {
    let answer = edge.admin_get("/api/v1/status");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let status = answer.json();
    let reasons = status["reasons"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&status["light"]), reasons.map(text).collect())
}

/// Waits until these are the reasons: some are looked for once a second.
#[track_caller]
fn check_reasons(edge: &Edge, want: &[&str]) {
    let want_light = if want.is_empty() { "green" } else { "amber" };
    let began = Instant::now();
    loop {
        let (light, reasons) = light(edge);
        let begin = |(reason, want): (&String, &&str)| reason.starts_with(want);
        if reasons.len() == want.len() && reasons.iter().zip(want).all(begin) {
            assert_eq!(light, want_light);
            return;
        }
        assert!(began.elapsed() < HANG, "{reasons:?} are not {want:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn a_full_quota_is_a_reason() {
    let fake = Fake::start();
    let edge = limited(
        &fake,
        &json!([{"name": "errors", "categories": ["error"], "limit": 2, "per": "30d"}]),
    );
    assert_eq!(statuses(&edge, "event", 1), [200]);
    check_reasons(&edge, &[]);
    assert_eq!(statuses(&edge, "event", 2), [200, 429]);
    check_reasons(
        &edge,
        &["quota errors of project 42 is full (2 items) until "],
    );
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(
        status["quotas"],
        json!({"full": 1, "journal": "off", "by_ip": 0})
    );
    let told = ran(program().args(["status", "--admin", &edge.admin.to_string()]));
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    for line in [
        "  quota errors of project 42 is full (2 items) until ",
        "quotas   1 full, journal off",
    ] {
        assert!(
            told.stdout.lines().any(|l| l.starts_with(line)),
            "{}",
            told.stdout
        );
    }
}

fn what_is_shut_on_purpose_is_none() {
    let fake = Fake::start();
    for per in ["1h", "1s"] {
        let shut = json!([{"categories": ["error"], "limit": 0, "per": per}]);
        let edge = limited(&fake, &shut);
        assert_eq!(statuses(&edge, "event", 1), [429]);
        check_reasons(&edge, &[]);
    }
}

/// Newcomers shared one count, and nobody was told.
fn full_tables_are_a_reason() {
    let fake = Fake::start();
    let changes = json!({
        "limits": {"quota_counters": 100, "quota_ips": 1000},
        "defaults": {"quotas": [
            {"name": "keys", "limit": 1_000_000, "per": "1h", "by": "key"},
            {"name": "ips", "limit": 1_000_000, "per": "1h", "by": "ip"},
        ]},
    });
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    for (table, most) in [("quota_counters", 100.0), ("quota_ips", 1000.0)] {
        let label = format!("table=\"{table}\"");
        let told = edge.metric("vidette_table_entries_max", &[&label]);
        assert!((told - most).abs() < f64::EPSILON, "{table}: {told}");
    }
    let mut client = edge.connect();
    let mut send = |key: usize, ip: usize| {
        let target = target(42, &format!("{key:032x}"));
        let address = format!("203.0.{}.{}", ip / 256, ip % 256);
        let headers = [("X-Forwarded-For", address.as_str())];
        client.send(&crate::client::request(
            "POST",
            &target,
            &headers,
            &one("event"),
        ));
        assert_eq!(client.answer_to("POST").status, 200);
    };
    (0..120).for_each(|key| send(key, 0));
    let keys = "limits.quota_counters is reached (100): further keys and projects share one count";
    check_reasons(&edge, &[keys]);
    (0..1500).for_each(|ip| send(0, ip));
    let ips = "limits.quota_ips is reached (1000): further addresses share one count";
    check_reasons(&edge, &[keys, ips]);
}

fn a_learned_limit_is_a_reason_while_it_stands() {
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        let told = [("X-Sentry-Rate-Limits", "3:error:key, 2:session:key")];
        exchange.answer(200, &told, b"{}")
    });
    let edge = Edge::before(&fake);
    check_reasons(&edge, &[]);
    assert_eq!(edge.post_envelope(&[], &one("event")).status, 200);
    let (light, reasons) = light(&edge);
    assert_eq!((&*light, reasons.len()), ("amber", 1), "{reasons:?}");
    let longest = edge.metric("vidette_limits_learned_longest_seconds", &[]);
    let told = |seconds: u64| {
        format!(
            "keys held back as Sentry asks (X-Sentry-Rate-Limits): 1, the longest for {seconds} s more"
        )
    };
    assert!((1.0..=3.0).contains(&longest), "{longest}");
    assert!((1..=3).any(|left| reasons[0] == told(left)), "{reasons:?}");
    // Real time: the limit was told in whole seconds on the wire.
    check_reasons(&edge, &[]);
}

fn quotas_that_cannot_be_kept_are_a_reason() {
    let fake = Fake::start();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("no-folder");
    std::fs::write(&file, b"").unwrap();
    let quotas = json!([{"limit": 9, "per": "1h"}]);
    let failing = "state.path cannot be written: a restart admits anew what quotas have counted";
    for (path, quotas, state, reasons) in [
        (&*file, &quotas, "failing", &[failing][..]),
        (place.path(), &quotas, "written", &[]),
        (&*file, &json!([]), "failing", &[]),
    ] {
        let changes = json!({"state": {"path": path}, "global": {"quotas": quotas}});
        let edge = Edge::configured(&fake.url(), &fake.url(), changes);
        check_reasons(&edge, reasons);
        let label = format!("state=\"{state}\"");
        let told = edge.metric("vidette_quota_journal", &[&label]);
        assert!((told - 1.0).abs() < f64::EPSILON, "{state}: {told}");
        let lost = "what is learned, and what is used of quotas, is lost at a restart";
        assert_eq!(edge.log.text().contains(lost), state == "failing");
    }
}

fn a_keys_own_quota_is_measured() {
    let fake = Fake::start();
    let own = json!([{"name": "own", "categories": ["error"], "limit": 4, "per": "30d"}]);
    let keys = json!([{"key": STRANGE, "quotas": own}, {"key": KEY, "quotas": own}]);
    let changes = json!({"projects": [{"id": 42, "keys": keys}]});
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    assert_eq!(statuses(&edge, "event", 3), [200, 200, 200]);
    let labels = ["project=\"42\"", "quota=\"own\""];
    // The sum of all samples: the fullest key's, and once.
    let used = edge.metric("vidette_quota_used_ratio", &labels);
    assert!((used - 0.75).abs() < f64::EPSILON, "{used}");
    check_reasons(&edge, &[]);
    assert_eq!(statuses(&edge, "event", 1), [200]);
    check_reasons(&edge, &["quota own of key a94a... is full"]);
}

fn quotas_by_ip_are_told_of_where_they_are_not_measured() {
    let fake = Fake::start();
    let edge = limited(&fake, &json!([{"limit": 2, "per": "1h", "by": "ip"}]));
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(status["quotas"]["by_ip"], 1, "{status}");
    let told = ran(program().args(["status", "--admin", &edge.admin.to_string()]));
    let line = "quotas   0 full, journal off, 1 by ip (how full those are is not measured)";
    assert!(told.stdout.lines().any(|l| l == line), "{}", told.stdout);
}

fn too_many_items_are_refused_in_words_and_booked_as_far_as_they_were_read() {
    let fake = Fake::start();
    let session = format!(
        "{{\"type\":\"session\",\"length\":900}}\n{}\n",
        "x".repeat(900)
    );
    let sent = format!("{{}}\n{}", session.repeat(5));
    // Whole, and as they come by; with a limit that could keep one here, and with none.
    for inspect in ["256KiB", "1KiB"] {
        for quotas in [
            json!([]),
            json!([{"categories": ["error"], "limit": 1, "per": "1h"}]),
        ] {
            for packing in Packing::ALL {
                let changes = json!({
                    "limits": {"items": 3, "inspect_bytes": inspect},
                    "projects": [{"id": 42, "keys": [KEY], "quotas": quotas}],
                });
                let edge = Edge::configured(&fake.url(), &fake.url(), changes);
                let packed = packing.pack(sent.as_bytes());
                let answer = edge.ask("POST", &envelope_target(), packing.headers(), &packed);
                let what = format!("{inspect}, {quotas}, {packing:?}: {}", answer.text());
                assert_eq!(answer.status, 413, "{what}");
                crate::ingest::check_refusal(&answer);
                assert!(answer.text().contains("limits.items"), "{what}");
                let labels = ["outcome=\"refused\"", "status=\"413\""];
                edge.wait_metric("vidette_requests_total", &labels, 1.0);
                let row = super::row(&edge, json!(42), "session");
                assert_eq!(row["items"]["dropped"], json!({"too_large": 3}), "{what}");
                assert_eq!(row["items"]["forwarded"], 0, "{what}");
            }
        }
    }
}
