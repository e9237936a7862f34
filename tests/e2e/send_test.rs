//! `vidette send-test`: what an operator is told of one event's way, and how the command exits.

use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::command_line::{Ran, ran};
use crate::edge::{Edge, KEY, program};
use crate::parts::promises;
use crate::upstream::{Fake, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        an_event_is_followed_to_sentry,
        what_is_kept_is_said_to_be_kept,
        a_refusal_is_told_in_the_edges_words,
        a_way_past_the_edge_is_found_out,
        nothing_that_listens_is_a_problem,
        sentry_is_asked_until_it_has_the_event,
        an_event_that_sentry_never_has_is_a_problem,
        a_dsn_that_is_none_is_a_usage_error,
    ]
}

/// Answers each event with its own id, as Sentry does; the first so many times that an id is asked
/// for, there is no such event.
pub(crate) fn sentry(unstored: usize) -> Fake {
    let asked = AtomicUsize::new(0);
    Fake::with(move |exchange| {
        exchange.read_body()?;
        if exchange.request.target_text().contains("/eventids/") {
            let token = exchange.request.headers.all("authorization");
            assert_eq!(token, ["Bearer secret"]);
            let found = asked.fetch_add(1, Ordering::SeqCst) >= unstored;
            let status = if found { 200 } else { 404 };
            return exchange.answer(status, &[], br#"{"projectSlug":"shop"}"#);
        }
        let body = exchange.body();
        let line = body.split(|byte| *byte == b'\n').next().unwrap();
        let head: Value = serde_json::from_slice(line).unwrap_or_default();
        let answer = json!({"id": head["event_id"]}).to_string();
        exchange.answer(200, &[], answer.as_bytes())
    })
}

fn sent(edge: &Edge, dsn: &str, more: &[&str]) -> Ran {
    let admin = edge.admin.to_string();
    let mut command = program();
    command
        .args(["send-test", "--admin", &admin, "--dsn", dsn])
        .args(more);
    ran(&mut command)
}

/// The same with a question to Sentry, which has so many seconds.
fn asked(edge: &Edge, sentry: &Fake, wait: &str) -> Ran {
    let url = sentry.url();
    let of = [
        "--sentry",
        &url,
        "--org",
        "acme",
        "--sentry-token",
        "secret",
    ];
    sent(edge, &dsn(edge), &[&of[..], &["--wait", wait]].concat())
}

fn dsn(edge: &Edge) -> String {
    format!("http://{KEY}@{}/42", edge.public)
}

#[track_caller]
fn check(ran: &Ran, code: i32, said: &[&str]) {
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, Some(code), "{all}");
    for part in said {
        assert!(all.contains(part), "no {part:?} in:\n{all}");
    }
}

fn an_event_is_followed_to_sentry() {
    let fake = sentry(0);
    let edge = Edge::before(&fake);
    check(
        &sent(&edge, &dsn(&edge), &[]),
        0,
        &[
            "ok       answer: 200, id ",
            "ok       edge: forwarded to Sentry",
            "-        sentry: not asked",
        ],
    );
    let told: Value = serde_json::from_str(&sent(&edge, &dsn(&edge), &["--json"]).stdout).unwrap();
    assert_eq!(told["ok"], json!(true));
    let requests = fake.requests();
    assert_eq!(requests.len(), 2);
    let arrived = String::from_utf8(requests[1].body.clone()).unwrap();
    assert!(arrived.contains(told["event_id"].as_str().unwrap()));
    assert!(arrived.contains("\"message\":\"vidette send-test"));
}

fn what_is_kept_is_said_to_be_kept() {
    let (away, spool) = (Silent::reserve(), tempfile::tempdir().unwrap());
    let kept = json!({"spool": {"path": spool.path(), "free_floor": 0}});
    let edge = Edge::configured(&away.url(), &away.url(), kept);
    check(&sent(&edge, &dsn(&edge), &[]), 0, &["edge: kept: "]);
}

fn a_refusal_is_told_in_the_edges_words() {
    let fake = sentry(0);
    let strict = json!({"keys": {"mode": "strict"}, "projects": [{"id": 7, "keys": [KEY]}]});
    let edge = Edge::configured(&fake.url(), &fake.url(), strict);
    let refused = sent(&edge, &dsn(&edge), &[]);
    check(&refused, 1, &["problem  answer: 403 "]);
    assert!(fake.requests().is_empty());
}

fn a_way_past_the_edge_is_found_out() {
    let fake = sentry(0);
    let edge = Edge::before(&fake);
    let past = format!("http://{KEY}@{}/42", fake.address());
    let said = [
        "ok       answer: 200",
        "problem  edge: ",
        "leads past this edge",
    ];
    check(&sent(&edge, &past, &[]), 1, &said);
    // The DSN of an edge that its name does not lead to yet.
    let through = format!("http://{}", edge.public);
    let not_yet = format!("http://{KEY}@sentry.invalid/42");
    check(&sent(&edge, &not_yet, &["--through", &through]), 0, &[]);
}

fn nothing_that_listens_is_a_problem() {
    let fake = sentry(0);
    let (edge, away) = (Edge::before(&fake), Silent::reserve());
    let nowhere = format!("http://{KEY}@127.0.0.1:{}/42", away.port());
    check(
        &sent(&edge, &nowhere, &[]),
        1,
        &["problem  answer: no connection to"],
    );
}

fn sentry_is_asked_until_it_has_the_event() {
    let fake = sentry(1);
    let edge = Edge::before(&fake);
    let said = ["ok       sentry: it has the event, in project shop"];
    check(&asked(&edge, &fake, "60"), 0, &said);
    let path = fake.requests()[1].target_text();
    assert!(
        path.starts_with("/api/0/organizations/acme/eventids/"),
        "{path}"
    );
}

fn an_event_that_sentry_never_has_is_a_problem() {
    let fake = sentry(usize::MAX);
    let edge = Edge::before(&fake);
    let said = ["problem  sentry: it does not have the event after 0 s"];
    check(&asked(&edge, &fake, "0"), 1, &said);
}

fn a_dsn_that_is_none_is_a_usage_error() {
    let fake = sentry(0);
    let edge = Edge::before(&fake);
    check(
        &sent(&edge, "http://nokey@host/1", &[]),
        2,
        &["--dsn: dsn's public key"],
    );
    let some = dsn(&edge);
    check(
        &sent(&edge, &some, &["--through", "host"]),
        2,
        &["--through: "],
    );
    check(&sent(&edge, &some, &["--org", "acme"]), 2, &["--sentry"]);
}
