//! What is told: every kind of drop, as the books have it, and nothing else.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;

use crate::edge::{Edge, KEY, configuration, envelope_target};
use crate::exchange::{Exchange, Next};
use crate::parts::promises;
use crate::senders::STRANGE;

use super::stats::Stats;
use super::{INTERVAL, check_stats, dropped, quotas, telling, wait};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        stats_shows_what_the_books_say,
        what_is_refused_by_its_head_is_told_as_what_it_was,
        an_item_that_streams_is_told_to_its_last_byte,
        what_the_upstream_limited_itself_is_not_told,
        keys_that_nobody_vouches_for_are_told_of_once_somebody_does,
        switched_off_it_tells_nothing,
        a_stop_tells_the_last,
    ]
}

/// Takes what comes, and tells once of a limit on replays.
fn takes(exchange: &mut Exchange<'_>, limited: &AtomicBool) -> io::Result<Next> {
    exchange.read_body()?;
    let limit = [("x-sentry-rate-limits", "600:replay:organization:org_quota")];
    let told = limited.swap(true, Ordering::SeqCst);
    exchange.answer(200, if told { &[] } else { &limit }, b"{}")
}

fn items(all: &[(&str, &str)]) -> Vec<u8> {
    let mut text = "{}\n".to_owned();
    for (fields, payload) in all {
        let length = payload.len();
        text.push_str(&format!("{{{fields},\"length\":{length}}}\n{payload}\n"));
    }
    text.into_bytes()
}

const EVENT: (&str, &str) = (r#""type":"event""#, "{}");
const ATTACHED: (&str, &str) = (r#""type":"attachment","filename":"a""#, "0123456789");
const SESSION: (&str, &str) = (r#""type":"session""#, "{}");
const REPLAY: [(&str, &str); 2] = [
    (r#""type":"replay_event""#, "{}"),
    (r#""type":"replay_recording""#, "{}\nabc"),
];
const TRANSACTION: (&str, &str) = (r#""type":"transaction""#, "{}");
const LOGS: (&str, &str) = (r#""type":"log","item_count":3"#, r#"{"items":[{},{},{}]}"#);
const OWN_REPORT: (&str, &str) = (
    r#""type":"client_report""#,
    r#"{"discarded_events":[{"reason":"before_send","category":"error","quantity":1}]}"#,
);

fn stats_shows_what_the_books_say() {
    let limited = AtomicBool::new(false);
    let (stats, fake) = Stats::with(move |exchange| takes(exchange, &limited));
    let edge = telling(
        &fake.url(),
        &json!({"defaults": {
            "sample": {"transaction": 0, "rules": [{"categories": ["log_item"], "rate": 0}]},
            "filters": {"crawlers": true},
            "allowed_origins": ["shop.example"],
        }}),
    );
    let shop = [("Origin", "https://shop.example")];
    for nth in 0..5 {
        let mut all = vec![EVENT, ATTACHED, ATTACHED, OWN_REPORT];
        if nth > 2 {
            all.push(LOGS);
        }
        assert_eq!(edge.post_envelope(&shop, &items(&all)).status, 200);
        edge.post_envelope(&shop, &items(&[SESSION, SESSION]));
        edge.post_envelope(&shop, &items(&REPLAY));
        edge.post_envelope(&shop, &items(&[TRANSACTION]));
        edge.post_envelope(&[("Origin", "https://evil.example")], &items(&[EVENT]));
        let bot = [shop[0], ("User-Agent", "Googlebot/2.1")];
        edge.post_envelope(&bot, &items(&[EVENT, SESSION]));
    }
    check_stats(&edge, &stats, 13);
    let sums = stats.sums();
    for (name, n) in [
        ("discarded_events invalid default", 5),
        ("filtered_events web-crawlers default", 5),
        ("rate_limited_events learned replay", 10),
        ("rate_limited_events quota attachment", 60),
        ("rate_limited_events rate session", 9),
    ] {
        assert_eq!(sums.get(&format!("42 {name}")), Some(&n), "{name}");
    }
    let passed = |text: &[u8]| {
        let requests = fake.requests();
        let holds = |body: &[u8]| memchr::memmem::find(body, text).is_some();
        requests.iter().filter(|seen| holds(&seen.body)).count()
    };
    assert_eq!(passed(b"before_send"), 5, "clients' own reports pass");
    let (sent, unsure) = (r#"outcome="sent""#, r#"outcome="unsure""#);
    let told = |outcome| edge.metric("vidette_client_reports_total", &[outcome]);
    assert!(told(sent) > 0.0 && told(unsure) == 0.0);
}

fn what_is_refused_by_its_head_is_told_as_what_it_was() {
    let (stats, fake) = Stats::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let edge = telling(
        &fake.url(),
        &json!({"defaults": {"allowed_origins": ["shop.example"]}}),
    );
    let evil = [
        ("Origin", "https://evil.example"),
        ("Content-Type", "application/csp-report"),
    ];
    for (endpoint, body) in [
        ("store", &b"{}"[..]),
        ("security", b"{}"),
        ("envelope", b"{}\n"),
    ] {
        let target = format!("/api/42/{endpoint}/?sentry_key={KEY}");
        let answer = edge.ask("POST", &target, &evil, body);
        assert_eq!(answer.status, 403, "{endpoint}: {}", answer.text());
    }
    let want = ["default", "error", "security"]
        .map(|category| (format!("42 discarded_events invalid {category}"), 1));
    wait(|| stats.sums() == want.clone().into());
}

fn an_item_that_streams_is_told_to_its_last_byte() {
    let (stats, fake) = Stats::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let edge = telling(
        &fake.url(),
        &json!({"limits": {"inspect_bytes": "1KiB"}, "projects": [{"id": 42, "keys": [KEY], "quotas": [
            {"name": "errors-1h", "categories": ["attachment"], "limit": 0, "per": "1h"},
        ]}]}),
    );
    let long = "x".repeat(300_000);
    // Without a length it goes to the line's end.
    let body = format!(
        "{{}}\n{{\"type\":\"event\",\"length\":2}}\n{{}}\n{{\"type\":\"attachment\"}}\n{long}\n"
    );
    assert_eq!(edge.post_envelope(&[], body.as_bytes()).status, 200);
    check_stats(&edge, &stats, 2);
    let name = "42 rate_limited_events quota attachment";
    assert_eq!(stats.sums()[name], 300_000);
}

fn what_the_upstream_limited_itself_is_not_told() {
    let asked = Arc::new(AtomicBool::new(false));
    let count = Arc::clone(&asked);
    let (stats, fake) = Stats::with(move |exchange| {
        exchange.read_body()?;
        match count.swap(true, Ordering::SeqCst) {
            false => exchange.answer(
                429,
                &[("x-sentry-rate-limits", "600:session:organization:org_quota")],
                b"{}",
            ),
            true => exchange.answer(200, &[], b"{}"),
        }
    });
    let edge = telling(&fake.url(), &json!({}));
    let session = items(&[SESSION]);
    assert_eq!(edge.post_envelope(&[], &session).status, 429);
    thread::sleep(2 * INTERVAL);
    assert_eq!(stats.came(), 0, "its own 429 is its own to count");
    assert_eq!(edge.post_envelope(&[], &session).status, 429);
    check_stats(&edge, &stats, 1);
    assert_eq!(
        stats.sums(),
        [("42 rate_limited_events learned session".to_owned(), 1)].into()
    );
}

fn keys_that_nobody_vouches_for_are_told_of_once_somebody_does() {
    let (stats, fake) = Stats::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let changes = |keys: &[&str]| {
        json!({
            "client_reports": {"enabled": true, "interval": "1s"},
            "keys": {"mode": "learn"},
            "defaults": {"quotas": quotas()},
            "projects": keys.iter().map(|key| json!({"id": 42, "keys": [key]})).collect::<Vec<_>>(),
        })
    };
    let url = fake.url();
    let edge = Edge::configured(&url, &url, changes(&[]));
    for _ in 0..4 {
        edge.post_envelope(&[], &items(&[EVENT]));
        let strange = format!("/api/43/envelope/?sentry_key={STRANGE}");
        edge.ask("POST", &strange, &[], &items(&[EVENT]));
    }
    // Real time: that nothing comes can only be waited for.
    thread::sleep(2 * INTERVAL);
    assert_eq!(stats.came(), 0, "nobody vouches for either");
    edge.rewrite(&configuration(&url, &url, &changes(&[KEY])).to_string());
    edge.signal(Signal::HUP);
    wait(|| stats.came() > 0);
    thread::sleep(2 * INTERVAL);
    // The stand-in takes reports with one key alone.
    let want = [("42 rate_limited_events quota error".to_owned(), 2)];
    assert_eq!(stats.sums(), want.into());
}

fn switched_off_it_tells_nothing() {
    let (stats, fake) = Stats::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let mut edge = telling(&fake.url(), &json!({"client_reports": {"enabled": false}}));
    for _ in 0..4 {
        edge.post_envelope(&[], &items(&[EVENT]));
    }
    assert!(!dropped(&edge).is_empty());
    thread::sleep(2 * INTERVAL);
    edge.signal(Signal::TERM);
    assert!(edge.wait_end().success());
    assert_eq!(stats.came(), 0);
}

fn a_stop_tells_the_last() {
    let (stats, fake) = Stats::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let mut edge = telling(&fake.url(), &json!({"client_reports": {"interval": "1h"}}));
    let mut client = edge.connect();
    for _ in 0..4 {
        let target = envelope_target();
        client.send(&crate::client::request(
            "POST",
            &target,
            &[],
            &items(&[EVENT]),
        ));
        client.answer_to("POST");
    }
    let want = dropped(&edge);
    assert_eq!(want.len(), 1);
    assert_eq!(stats.came(), 0, "in an hour");
    drop(client);
    edge.signal(Signal::TERM);
    assert!(edge.wait_end().success());
    assert_eq!(stats.sums(), want);
}
