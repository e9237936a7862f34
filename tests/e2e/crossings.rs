//! What crosses the edge beside a body: every header that a real client sent, and
//! the kinds of items it meant to send, in each compression and with each way that
//! `clients.rs` leaves out. Never compares an answer: the clients do.

use std::collections::BTreeSet;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::journey::readable;
use crate::parts::{Part, node, promises, python};
use crate::tap::Sent;
use crate::upstream::{Fake, Request};
use crate::way::{CLIENT, Front, Way, run};
use crate::wire::Headers;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[Part::Python]; python_sdk_crosses_with_its_headers];
    trials.extend(promises![&[Part::Node]; node_sdk_crosses_with_its_headers]);
    trials.extend(promises![&[Part::Browser]; browser_sdk_crosses_with_its_headers]);
    trials.extend(promises![&[Part::Python, Part::Nginx];
        python_sdk_crosses_with_its_headers_through_nginx,
    ]);
    trials.extend(promises![&[Part::Node, Part::Nginx];
        node_sdk_crosses_with_its_headers_through_nginx,
    ]);
    trials.extend(promises![&[Part::Browser, Part::Nginx];
        browser_sdk_crosses_with_its_headers_through_nginx,
    ]);
    trials
}

/// Headers about one connection and its framing: each hop writes its own.
const OF_ONE_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "content-length",
    "transfer-encoding",
];

/// What the edge and nginx add to a request, and nothing else.
const ADDED: &[&str] = &["x-forwarded-for", "x-forwarded-proto", "x-request-id"];

/// Runs a client and holds each request that arrived against the one that was sent.
#[track_caller]
fn check_crossing(program: &Path, script: &str, arguments: &[&str], front: Front) -> Vec<Request> {
    let fake = Fake::start();
    let way = Way::to(&fake.url(), front);
    let dsn = way.dsn(42);
    let told = run(program, script, &[&[dsn.as_str()], arguments].concat());
    let seen = fake.requests();
    // A preflight is the edge's to answer.
    let sent: Vec<Sent> = way.tap.sent();
    let posted = sent
        .iter()
        .filter(|sent| !sent.head.first.starts_with(b"OPTIONS "));
    let mut count = 0;
    for sent in posted {
        let same = |seen: &&Request| seen.target == target(sent) && seen.body == sent.body;
        let Some(seen) = seen.iter().find(same) else {
            panic!(
                "{script}: a request did not arrive as sent: {:#?}",
                sent.head
            );
        };
        check_headers(sent, seen);
        count += 1;
    }
    assert_eq!(seen.len(), count, "{script}: more arrived than was sent");
    let items: Vec<(Value, String)> = seen.iter().flat_map(items).collect();
    for line in &told {
        check_told(line, &items);
    }
    seen
}

fn target(sent: &Sent) -> Vec<u8> {
    sent.head.words().swap_remove(1)
}

#[track_caller]
fn check_headers(sent: &Sent, seen: &Request) {
    let crossing = |headers: &Headers, left_out: &[&str]| {
        let lines = headers.0.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value).into_owned();
            (name.to_ascii_lowercase(), value)
        });
        lines
            .filter(|(name, _)| !OF_ONE_HOP.contains(&name.as_str()))
            .filter(|(name, _)| !left_out.contains(&name.as_str()))
            .collect::<BTreeSet<(String, String)>>()
    };
    let (left, arrived) = (
        crossing(&sent.head.headers, &[]),
        crossing(&seen.headers, ADDED),
    );
    assert_eq!(arrived, left, "{}", seen.target_text());
    assert_eq!(seen.headers.all("x-forwarded-for"), [CLIENT.to_string()]);
    assert_eq!(seen.headers.all("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.headers.all("x-request-id").len(), 1);
    assert!(seen.headers.all("cookie").is_empty());
}

/// The headers of a request's items, each with the whole plain body it stood in.
fn items(seen: &Request) -> Vec<(Value, String)> {
    let plain = readable(seen);
    let headers = plain
        .lines()
        .skip(1)
        .filter_map(|line| serde_json::from_str(line).ok());
    headers
        .filter(|header: &Value| header["type"].is_string())
        .map(|header| (header, plain.clone()))
        .collect()
}

/// What the client told of must stand in a body beside an item of its type.
#[track_caller]
fn check_told(told: &Value, items: &[(Value, String)]) {
    let kinds: &[&str] = match told["kind"].as_str().unwrap() {
        "error" | "parting" => &["event"],
        "attachment" => &["attachment"],
        "transaction" => &["transaction"],
        "session" => &["session", "sessions"],
        "span" => &["span"],
        other => panic!("a client tells of {other}"),
    };
    let id = told["event_id"].as_str().unwrap().replace('-', "");
    let stands = items.iter().any(|(header, plain)| {
        kinds.contains(&header["type"].as_str().unwrap()) && plain.replace('-', "").contains(&id)
    });
    assert!(
        stands,
        "{told} stands in no body beside an item of {kinds:?}"
    );
}

#[track_caller]
fn python_sdk(compression: &str, encoding: &[&str], front: Front) {
    let arguments = ["--compression", compression];
    let seen = check_crossing(&python().unwrap(), "python_sdk.py", &arguments, front);
    for seen in seen {
        assert_eq!(seen.headers.all("content-encoding"), encoding);
    }
}

fn python_sdk_crosses_with_its_headers() {
    python_sdk("br", &["br"], Front::Nothing);
}

fn python_sdk_crosses_with_its_headers_through_nginx() {
    python_sdk("gzip", &["gzip"], Front::Nginx);
    python_sdk("none", &[], Front::Nginx);
}

fn node_sdk_crosses_with_its_headers() {
    // Spans as items of their own, which is the SDK's default.
    check_crossing(&node(), "node_sdk.mjs", &["--stream"], Front::Nothing);
}

fn node_sdk_crosses_with_its_headers_through_nginx() {
    let seen = check_crossing(&node(), "node_sdk.mjs", &["--large"], Front::Nginx);
    let gzip = seen
        .iter()
        .any(|seen| seen.headers.all("content-encoding") == ["gzip"]);
    assert!(
        gzip,
        "the SDK no longer compresses large envelopes: this test proves nothing"
    );
}

fn browser_sdk_crosses_with_its_headers() {
    let seen = check_crossing(&node(), "browser.mjs", &[], Front::Nothing);
    for seen in seen {
        let origin = seen.headers.one("origin").unwrap_or_default();
        assert!(origin.starts_with("http://localhost:"), "{origin:?}");
    }
}

fn browser_sdk_crosses_with_its_headers_through_nginx() {
    let seen = check_crossing(&node(), "browser.mjs", &["--preflight"], Front::Nginx);
    for seen in seen {
        assert_eq!(seen.headers.all("x-requested-with"), ["vidette-tests"]);
    }
}
