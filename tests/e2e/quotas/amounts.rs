//! How much a limit lets through: exactly that, whichever worker asks, counted for whom
//! and by what it says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::request;
use crate::edge::{Edge, KEY, envelope_target};
use crate::parts::promises;
use crate::senders::{STRANGE, target};
use crate::upstream::Fake;
use crate::wire::chunked;

use super::counted::check_row;
use super::{limited, one, row, statuses};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_default_counts_each_project_apart,
        what_counts_is_what_a_container_holds,
        what_a_container_says_is_believed_as_far_as_it_has_room,
        strangers_share_a_twentieth_where_keys_are_known,
        what_cannot_come_any_more_reserves_nothing,
        bytes_are_charged_as_they_are_announced_or_come,
        what_is_here_whole_is_charged_as_it_is,
        what_comes_late_is_charged_when_it_comes,
        keys_and_clients_have_counts_of_their_own,
        workers_together_admit_exactly_the_limit,
        a_reload_keeps_what_was_used,
        shares_used_are_in_the_metrics,
    ]
}

fn workers_together_admit_exactly_the_limit() {
    let fake = Fake::start();
    let changes = json!({
        "workers": 4,
        "projects": [{"id": 42, "keys": [KEY], "quotas": [
            {"categories": ["error"], "limit": 300, "per": "1h"},
            {"categories": ["session"], "limit": 50, "per": "59s"},
        ]}],
    });
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let admitted = |kind: &'static str| -> usize {
        let passed = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let ok = statuses(&edge, kind, 100)
                        .iter()
                        .filter(|status| **status == 200)
                        .count();
                    passed.fetch_add(ok, Ordering::SeqCst);
                });
            }
        });
        passed.into_inner()
    };
    assert_eq!(admitted("event"), 300);
    let sessions = admitted("session");
    // The rate gives one more every 1.2 s.
    assert!((50..=50 + 20).contains(&sessions), "{sessions}");
    check_row(&edge, json!(42), "error", 300, json!({"quota": 500}));
    let row = row(&edge, json!(42), "session");
    assert_eq!(row["items"]["forwarded"], json!(sessions));
    assert_eq!(row["items"]["dropped"], json!({"rate": 800 - sessions}));
}

fn a_default_counts_each_project_apart() {
    let fake = Fake::start();
    let changes = json!({
        "defaults": {"quotas": [{"categories": ["error"], "limit": 2, "per": "1h"}]},
        "global": {"quotas": [{"name": "house", "limit": 6, "per": "1h"}]},
        "projects": [{"id": 7, "quotas": []}],
    });
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let mut client = edge.connect();
    let mut post = |project: u64| {
        client.send(&request("POST", &target(project, KEY), &[], &one("event")));
        client.answer_to("POST").status
    };
    assert_eq!([post(1), post(1), post(1)], [200, 200, 429]);
    assert_eq!(
        [post(2), post(2), post(2)],
        [200, 200, 429],
        "another project"
    );
    assert_eq!(
        [post(7), post(7), post(7)],
        [200, 200, 429],
        "its own none, then the house's"
    );
    assert_eq!(post(3), 429, "nothing is left for anybody");
}

fn what_counts_is_what_a_container_holds() {
    let fake = Fake::start();
    let quotas = json!([
        {"categories": ["log_item"], "limit": 10, "per": "1h"},
        {"categories": ["span"], "limit": 1, "per": "1h"},
    ]);
    let edge = limited(&fake, &quotas);
    let post = |kind: &str, count: &str| {
        let body = format!(
            "{{}}\n{{\"type\":\"{kind}\",\"item_count\":{count},\"length\":30}}\n{:30}\n",
            "{}"
        );
        edge.post_envelope(&[], body.as_bytes()).status
    };
    assert_eq!(
        ["6", "5", "4", "1"].map(|count| post("log", count)),
        [200, 429, 200, 429]
    );
    assert_eq!(
        [post("span", "2"), post("span", "1"), post("span", "0")],
        [429, 200, 429]
    );
    // The books count as quotas do.
    let logs = row(&edge, json!(42), "log_item");
    assert_eq!(logs["items"]["forwarded"], json!(10), "{logs}");
    assert_eq!(logs["items"]["dropped"], json!({"quota": 6}), "{logs}");
}

/// Whoever has nothing but a number could use a limit up with it.
fn what_a_container_says_is_believed_as_far_as_it_has_room() {
    let fake = Fake::start();
    let edge = limited(
        &fake,
        &json!([{"categories": ["log_item"], "limit": 12, "per": "1h"}]),
    );
    let post = |length: &str| {
        let body = format!(
            "{{}}\n{{\"type\":\"log\",\"item_count\":18446744073709551615{length}}}\n{:30}\n",
            "{}"
        );
        edge.post_envelope(&[], body.as_bytes()).status
    };
    assert_eq!([post(",\"length\":30"), post("")], [200, 429]);
    let logs = row(&edge, json!(42), "log_item");
    assert_eq!(logs["items"]["forwarded"], json!(10), "{logs}");
    assert_eq!(logs["items"]["dropped"], json!({"quota": 10}), "{logs}");
}

/// A key can be made up, and the upstream says so only once it has been charged.
fn strangers_share_a_twentieth_where_keys_are_known() {
    let fake = Fake::start();
    let changes = json!({
        "keys": {"mode": "learn"},
        "global": {"quotas": [{"name": "house", "categories": ["session"], "limit": 60, "per": "1h"}]},
        "projects": [{"id": 42, "keys": [KEY], "quotas": [
            {"categories": ["error"], "limit": 40, "per": "1h"},
            {"categories": ["monitor"], "limit": 1, "per": "1h", "by": "key"},
        ]}, {"id": 7, "quotas": [{"categories": ["error"], "limit": 3, "per": "1h"}]}],
    });
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let mut client = edge.connect();
    let mut post = |project: u64, key: &str, kind: &str, posts: usize| {
        let each = (0..posts).map(|_| {
            client.send(&request("POST", &target(project, key), &[], &one(kind)));
            client.answer_to("POST").status
        });
        each.filter(|status| *status == 200).count()
    };
    assert_eq!(post(42, STRANGE, "event", 5), 2, "a twentieth of 40");
    let other = "c94ae32be2584e0bbd7a4cbb95971fee";
    assert_eq!(post(42, other, "event", 5), 0, "all of them together");
    assert_eq!(
        post(42, KEY, "event", 50),
        38,
        "the rest is for who is known"
    );
    assert_eq!(
        post(42, STRANGE, "check_in", 2),
        1,
        "its own counter is its own"
    );
    assert_eq!(post(7, STRANGE, "event", 5), 3, "nobody is known there");
    assert_eq!(post(7, STRANGE, "session", 5), 3, "but elsewhere");
    assert_eq!(post(42, KEY, "session", 60), 57);
}

/// Room for 200 MB would be kept from others for as long as somebody likes to send slowly.
fn what_cannot_come_any_more_reserves_nothing() {
    let fake = Fake::start();
    let quotas = json!([{"categories": ["attachment"], "limit": "1MiB", "per": "1h"}]);
    let edge = limited(&fake, &quotas);
    let body = format!(
        "{{}}\n{{\"type\":\"attachment\",\"length\":1048576}}\n{}",
        "x".repeat(300_000)
    );
    let mut client = edge.connect();
    let length = (body.len() + 700_000).to_string();
    let announced = [("Content-Length", length.as_str())];
    client.send(&request(
        "POST",
        &envelope_target(),
        &announced,
        body.as_bytes(),
    ));
    let answer = client.answer_to("POST");
    assert_eq!(answer.status, 400, "{}", answer.text());
    let fits = format!(
        "{{}}\n{{\"type\":\"attachment\",\"length\":1048576}}\n{}\n",
        "x".repeat(1 << 20)
    );
    assert_eq!(edge.post_envelope(&[], fits.as_bytes()).status, 200);
}

fn bytes_are_charged_as_they_are_announced_or_come() {
    let fake = Fake::start();
    let quotas = json!([{"categories": ["attachment"], "limit": "1MiB", "per": "1h"}]);
    let edge = limited(&fake, &quotas);
    let with = |bytes: usize, told: bool| {
        let length = if told {
            format!(",\"length\":{bytes}")
        } else {
            String::new()
        };
        let head = format!("{{}}\n{{\"type\":\"attachment\"{length}}}\n");
        [head.as_bytes(), &vec![b'x'; bytes], b"\n"].concat()
    };
    assert_eq!(edge.post_envelope(&[], &with(400_000, true)).status, 200);
    assert_eq!(
        edge.post_envelope(&[], &with(700_000, true)).status,
        429,
        "it does not fit"
    );
    assert_eq!(
        edge.post_envelope(&[], &with(700_000, false)).status,
        429,
        "nor in steps"
    );
    assert_eq!(edge.post_envelope(&[], &with(200_000, false)).status, 200);
    assert_eq!(
        edge.post_envelope(&[], &with(448_576, true)).status,
        200,
        "to the byte, all given back"
    );
    assert_eq!(edge.post_envelope(&[], &with(1, true)).status, 429);
    let row = row(&edge, json!(42), "attachment");
    assert_eq!(row["bytes"]["forwarded"], json!(1 << 20), "{row}");
}

/// Without a length it was charged 64 KiB ahead, which no smaller quota had room for.
fn what_is_here_whole_is_charged_as_it_is() {
    let fake = Fake::start();
    let edge = limited(&fake, &json!([{"limit": "4KiB", "per": "1h"}]));
    let target = format!("/api/42/store/?sentry_key={KEY}");
    let post = |bytes| {
        let body = chunked(&vec![b'x'; bytes], 512);
        let headers = [("Transfer-Encoding", "chunked")];
        edge.ask("POST", &target, &headers, &body).status
    };
    assert_eq!(
        [post(3000), post(1097), post(1096), post(1)],
        [200, 429, 200, 429]
    );
    let row = row(&edge, json!(42), "error");
    assert_eq!(row["bytes"]["forwarded"], json!(4096), "{row}");
}

/// By the clock of its request's head, a late item would be charged to a time long over: it finds
/// a rate used up, and begins the count of a window anew.
fn what_comes_late_is_charged_when_it_comes() {
    let fake = Fake::start();
    let quotas = json!([{"categories": ["session"], "limit": 1, "per": "1s"}]);
    let edge = limited(&fake, &quotas);
    let session = "{\"type\":\"session\",\"length\":2}\n{}\n";
    let filling = "x".repeat(300_000);
    let first = format!("{{}}\n{session}{{\"type\":\"new\",\"length\":300000}}\n{filling}\n");
    let length = (first.len() + session.len()).to_string();
    let mut client = edge.connect();
    client.send(&request(
        "POST",
        &envelope_target(),
        &[("Content-Length", &length)],
        first.as_bytes(),
    ));
    thread::sleep(std::time::Duration::from_millis(1500));
    client.send(session.as_bytes());
    assert_eq!(client.answer_to("POST").status, 200);
    check_row(&edge, json!(42), "session", 2, json!({}));
    assert_eq!(
        fake.only_request().body,
        format!("{first}{session}").into_bytes()
    );
}

fn keys_and_clients_have_counts_of_their_own() {
    let fake = Fake::start();
    let changes = json!({"projects": [{
        "id": 42,
        "keys": [KEY, {"key": STRANGE, "quotas": [{"categories": ["session"], "limit": 1, "per": "1h"}]}],
        "quotas": [
            {"categories": ["error"], "limit": 2, "per": "1h", "by": "key"},
            {"categories": ["monitor"], "limit": 1, "per": "1h", "by": "ip"},
        ],
    }]});
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let mut client = edge.connect();
    let mut post = |key: &str, ip: &str, kind: &str| {
        let from = [("X-Forwarded-For", ip)];
        client.send(&request("POST", &target(42, key), &from, &one(kind)));
        client.answer_to("POST").status
    };
    let (a, b) = ("203.0.113.1", "203.0.113.2");
    assert_eq!(
        [
            post(KEY, a, "event"),
            post(KEY, b, "event"),
            post(KEY, a, "event")
        ],
        [200, 200, 429]
    );
    assert_eq!(post(STRANGE, a, "event"), 200, "another key");
    assert_eq!(
        [post(STRANGE, a, "session"), post(STRANGE, b, "session")],
        [200, 429],
        "its own quota"
    );
    assert_eq!(post(KEY, a, "session"), 200, "nobody else's");
    assert_eq!(
        [
            post(KEY, a, "check_in"),
            post(KEY, a, "check_in"),
            post(KEY, b, "check_in")
        ],
        [200, 429, 200]
    );
    let (near, far) = ("2001:db8:1:2:3::1", "2001:db8:1:2:ffff::9");
    assert_eq!(
        [post(KEY, near, "check_in"), post(KEY, far, "check_in")],
        [200, 429],
        "one /64"
    );
    assert_eq!(post(KEY, "2001:db8:1:3::1", "check_in"), 200, "another /64");
}

fn a_reload_keeps_what_was_used() {
    let fake = Fake::start();
    let of = |quotas: Value| {
        let changes = json!({"projects": [{"id": 42, "keys": [KEY], "quotas": quotas}]});
        crate::edge::configuration(&fake.url(), &fake.url(), &changes).to_string()
    };
    let quota = |name: &str, limit: u64| json!([{"name": name, "categories": ["error"], "limit": limit, "per": "1h"}]);
    let edge = Edge::run(&of(quota("errors", 3)), &[]);
    assert_eq!(statuses(&edge, "event", 2), [200, 200]);
    let reload = |text: String| {
        edge.rewrite(&text);
        let answer = crate::admin::post(&edge, "/api/v1/reload", &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    reload(of(quota("errors", 4)));
    assert_eq!(
        statuses(&edge, "event", 3),
        [200, 200, 429],
        "two were used"
    );
    reload(of(quota("errors", 2)));
    assert_eq!(
        statuses(&edge, "event", 1),
        [429],
        "it is over its new limit"
    );
    reload(of(
        json!([{"name": "errors", "categories": ["error"], "limit": "1MiB", "per": "1h"}]),
    ));
    assert_eq!(
        statuses(&edge, "event", 1),
        [200],
        "four items are not four bytes"
    );
    reload(of(quota("renamed", 4)));
    assert_eq!(statuses(&edge, "event", 1), [200], "another quota");
}

fn shares_used_are_in_the_metrics() {
    let fake = Fake::start();
    let edge = limited(
        &fake,
        &json!([{"name": "errors", "categories": ["error"], "limit": 4, "per": "1h"}]),
    );
    let used = || {
        edge.metric(
            "vidette_quota_used_ratio",
            &["project=\"42\"", "quota=\"errors\""],
        )
    };
    assert!(used().abs() < f64::EPSILON, "{}", used());
    assert_eq!(statuses(&edge, "event", 3), [200, 200, 200]);
    assert!((used() - 0.75).abs() < f64::EPSILON, "{}", used());
}
