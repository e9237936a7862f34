//! What becomes of each item, as it happens: what is told of it and what is masked, who hears
//! what, that nobody waits for a listener, and `vidette tail`.

mod listeners;
mod tailed;

use std::net::{SocketAddr, TcpStream};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::{ask, request};
use crate::dashboard::Listener;
use crate::edge::{Edge, KEY, dump_target};
use crate::explained::post;
use crate::parts::promises;
use crate::spool::{arrived, keeping};
use crate::upstream::{Fake, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        what_is_forwarded_is_told_item_by_item,
        what_is_refused_is_told_with_its_reason,
        what_the_upstream_refuses_is_told_as_that,
        what_was_learned_is_told_as_that,
        what_is_kept_is_told_and_told_again_when_it_has_left,
        an_address_is_shown_as_it_may_be_kept,
        each_hears_what_was_asked_for,
        what_cannot_be_asked_for_is_refused,
        it_needs_the_token,
    ];
    trials.extend(listeners::trials());
    trials.extend(tailed::trials());
    trials
}

const EVENT: &[u8] = b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n";

/// Where project 42's key stands, and nobody else's.
fn edge(fake: &Fake, changes: &Value) -> Edge {
    let mut all = json!({"projects": [{"id": 42, "keys": [KEY]}]});
    crate::edge::lay_over(&mut all, changes);
    Edge::configured(&fake.url(), &fake.url(), all)
}

/// Who hears decisions, once the edge knows.
#[track_caller]
fn listen(edge: &Edge, query: &str) -> Listener {
    let stream = TcpStream::connect(edge.admin).unwrap();
    let path = format!("/api/v1/decisions{query}");
    let head = request("GET", &path, &[("Host", "localhost")], b"");
    let (status, mut listener) = Listener::over(stream, &head);
    assert_eq!(status, 200, "{query}");
    // A size stands before the chunk.
    while listener.line() != ": vidette" {}
    listener
}

/// The next decision, whose moment is one.
#[track_caller]
fn next(listener: &mut Listener) -> Value {
    let (_, _, mut told) = listener.event();
    let fields = told.as_object_mut().unwrap();
    let at = fields.remove("at").unwrap();
    let at = at.as_str().unwrap();
    assert!(at.len() == 24 && at.ends_with('Z'), "{at}");
    told
}

/// A decision on one item of project 42's, from 203.0.113.9.
fn told(changes: Value) -> Value {
    let mut all = json!({
        "project": 42, "key": "a94a...", "ip": "203.0.113.x", "category": "error",
        "outcome": "forwarded", "reason": null, "items": 1, "bytes": 2, "skipped": 0,
    });
    crate::edge::lay_over(&mut all, &changes);
    all
}

const FROM: (&str, &str) = ("X-Forwarded-For", "203.0.113.9");

fn what_is_forwarded_is_told_item_by_item() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let mut listener = listen(&edge, "");
    let mixed = b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n\
                  {\"type\":\"attachment\",\"length\":5}\nabcde\n\
                  {\"type\":\"attachment\",\"length\":3}\nabc\n";
    assert_eq!(edge.post_envelope(&[FROM], mixed).status, 200);
    assert_eq!(next(&mut listener), told(json!({})));
    let attachments = json!({"category": "attachment", "items": 2, "bytes": 8});
    assert_eq!(next(&mut listener), told(attachments));
    // Into a dump nobody looks.
    let dump = edge.ask("POST", &dump_target(), &[FROM], b"MDMP....");
    assert_eq!(dump.status, 200);
    let dump = next(&mut listener);
    assert_eq!(
        (&dump["outcome"], &dump["bytes"]),
        (&json!("forwarded"), &json!(8))
    );
    assert_eq!(
        (&dump["project"], &dump["key"]),
        (&json!(42), &json!("a94a..."))
    );
}

fn what_is_refused_is_told_with_its_reason() {
    let fake = Fake::start();
    let project = json!({
        "id": 42, "keys": [KEY],
        "quotas": [
            {"name": "few", "categories": ["error"], "limit": 1, "per": "1d"},
            {"name": "none", "categories": ["session"], "limit": 0, "per": "1d"},
        ],
        "sample": {"transaction": 0},
    });
    let tunnel = json!({"paths": ["/t"]});
    let edge = edge(&fake, &json!({"projects": [project], "tunnel": tunnel}));
    let mut listener = listen(&edge, "?outcome=dropped");
    let dropped = |category: &str, reason: &str, bytes: u64| {
        told(json!({"outcome": "dropped", "category": category, "reason": reason, "bytes": bytes}))
    };
    assert_eq!(edge.post_envelope(&[FROM], EVENT).status, 200);
    // A quota's window, item by item.
    assert_eq!(edge.post_envelope(&[FROM], EVENT).status, 429);
    assert_eq!(next(&mut listener), dropped("error", "quota", 2));
    let session = b"{}\n{\"type\":\"session\",\"length\":2}\n{}\n";
    assert_eq!(edge.post_envelope(&[FROM], session).status, 429);
    assert_eq!(next(&mut listener), dropped("session", "quota", 2));
    // Nobody who sends it hears of sampling.
    let transaction = b"{}\n{\"type\":\"transaction\",\"length\":2}\n{}\n";
    assert_eq!(edge.post_envelope(&[FROM], transaction).status, 200);
    assert_eq!(next(&mut listener), dropped("transaction", "sampled", 2));
    // A key that is another project's: of nobody's project, and the key is shown no more than any.
    let target = format!("/api/7/envelope/?sentry_key={KEY}&sentry_version=7");
    assert_eq!(edge.ask("POST", &target, &[FROM], EVENT).status, 403);
    let mut wrong = dropped("unread", "wrong_project", EVENT.len() as u64);
    wrong["project"] = Value::Null;
    assert_eq!(next(&mut listener), wrong);
    // The same by a tunnel, where line one says whose it is.
    let dsn = format!("{{\"dsn\":\"https://{KEY}@sentry.example.com/7\"}}\n");
    let tunnelled = [dsn.as_bytes(), &EVENT[3..]].concat();
    assert_eq!(edge.ask("POST", "/t", &[FROM], &tunnelled).status, 403);
    wrong["bytes"] = json!(tunnelled.len());
    assert_eq!(next(&mut listener), wrong);
    // And one that cannot be read.
    let target = "/api/42/envelope/?sentry_key=hunter2&sentry_version=7";
    assert_eq!(edge.ask("POST", target, &[FROM], EVENT).status, 400);
    let mut bad = dropped("unread", "bad_key", EVENT.len() as u64);
    (bad["project"], bad["key"]) = (Value::Null, Value::Null);
    assert_eq!(next(&mut listener), bad);
    // A mute refuses by the head.
    let mute = json!({"project": 42, "action": "mute", "for_s": 600});
    let muted = post(&edge, "/api/v1/mutes", mute.to_string().as_bytes());
    assert_eq!(muted.status, 201, "{}", muted.text());
    assert_eq!(edge.post_envelope(&[FROM], session).status, 429);
    let head = session.len() as u64;
    assert_eq!(next(&mut listener), dropped("unread", "muted", head));
}

/// A key that Sentry has said no to is refused by its head, and told with its first digits.
fn what_was_learned_is_told_as_that() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        let json = [("content-type", "application/json")];
        exchange.answer(403, &json, br#"{"detail":"event submission rejected"}"#)
    });
    let learning = json!({"keys": {"mode": "learn"}, "projects": []});
    let edge = Edge::configured(&fake.url(), &fake.url(), learning);
    let mut listener = listen(&edge, "");
    let refused = |changes: Value| {
        let mut all = json!({"project": null, "outcome": "dropped", "reason": "upstream_4xx"});
        crate::edge::lay_over(&mut all, &changes);
        told(all)
    };
    let mut asked = 0;
    while edge.post_envelope(&[FROM], EVENT).status == 403 && asked < 10 {
        asked += 1;
        let decision = next(&mut listener);
        if decision["category"] == "unread" {
            let head = json!({"reason": "unknown_key", "category": "unread", "bytes": EVENT.len()});
            assert_eq!(decision, refused(head));
            assert!(asked > 1, "nothing was learned by then");
            return;
        }
        assert_eq!(decision, refused(json!({})));
    }
    panic!("nothing is learned");
}

fn what_the_upstream_refuses_is_told_as_that() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        let json = [("content-type", "application/json")];
        let body = exchange.body();
        let status = if body.starts_with(b"{\"late\"") {
            429
        } else {
            400
        };
        exchange.answer(status, &json, br#"{"detail":"no"}"#)
    });
    let edge = edge(&fake, &json!({}));
    let mut listener = listen(&edge, "");
    assert_eq!(edge.post_envelope(&[FROM], EVENT).status, 400);
    let dropped = |reason| told(json!({"outcome": "dropped", "reason": reason}));
    assert_eq!(next(&mut listener), dropped("upstream_4xx"));
    let late = [b"{\"late\":1}\n", &EVENT[3..]].concat();
    assert_eq!(edge.post_envelope(&[FROM], &late).status, 429);
    assert_eq!(next(&mut listener), dropped("upstream_429"));
}

fn what_is_kept_is_told_and_told_again_when_it_has_left() {
    let place = tempfile::tempdir().unwrap();
    let silent = Silent::reserve();
    let edge = keeping(&silent.url(), place.path(), &json!({}));
    let mut listener = listen(&edge, "?project=42");
    let event = crate::spool::event(1);
    assert_eq!(edge.post_envelope(&[FROM], &event).status, 200);
    assert_eq!(next(&mut listener), told(json!({"outcome": "spooled"})));
    let fake = silent.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[("content-type", "application/json")], b"{}")
    });
    arrived(&fake, 1);
    // Who sent it is not known any more.
    let left = told(json!({"key": null, "ip": null}));
    assert_eq!(next(&mut listener), left);
}

#[track_caller]
fn check_shown(store: Value, from: &str, begins: Option<&str>) {
    let fake = Fake::start();
    let mut client_ip = json!({"trusted_proxies": ["loopback"]});
    crate::edge::lay_over(&mut client_ip, &store);
    let edge = edge(&fake, &json!({"client_ip": client_ip}));
    let mut listener = listen(&edge, "");
    let from = [("X-Forwarded-For", from)];
    assert_eq!(edge.post_envelope(&from, EVENT).status, 200);
    let shown = next(&mut listener)["ip"].clone();
    let as_wanted = match begins {
        Some(begins) => shown
            .as_str()
            .is_some_and(|shown| shown.starts_with(begins)),
        None => shown.is_null(),
    };
    assert!(as_wanted, "{store}: {shown}");
}

fn an_address_is_shown_as_it_may_be_kept() {
    check_shown(json!({}), "2001:db8:1:2::3", Some("2001:db8:1::x"));
    check_shown(
        json!({"store": "truncate"}),
        "203.0.113.9",
        Some("203.0.113.x"),
    );
    check_shown(json!({"store": "drop"}), "203.0.113.9", None);
    let hashed = json!({"store": "hash", "hash_key": "some-secret"});
    check_shown(hashed, "203.0.113.9", Some("fd"));
}

fn each_hears_what_was_asked_for() {
    let fake = Fake::start();
    let other = "0123456789abcdef0123456789abcdef";
    let projects = json!([{"id": 42, "keys": [KEY]}, {"id": 7, "keys": [other], "quotas": [
        {"name": "none", "categories": ["error"], "limit": 0, "per": "1d"}]}]);
    let edge = edge(&fake, &json!({"projects": projects}));
    let mut heard = [
        "?project=7",
        "?outcome=forwarded",
        "?reason=quota&project=7",
        "?category=session",
    ]
    .map(|query| listen(&edge, query));
    let session = b"{}\n{\"type\":\"session\",\"length\":2}\n{}\n";
    let target = format!("/api/7/envelope/?sentry_key={other}&sentry_version=7");
    assert_eq!(edge.post_envelope(&[], EVENT).status, 200);
    assert_eq!(edge.ask("POST", &target, &[], EVENT).status, 429);
    assert_eq!(edge.ask("POST", &target, &[], session).status, 200);
    let want: [&[(u64, &str, &str)]; 4] = [
        &[(7, "error", "dropped"), (7, "session", "forwarded")],
        &[(42, "error", "forwarded"), (7, "session", "forwarded")],
        &[(7, "error", "dropped")],
        &[(7, "session", "forwarded")],
    ];
    for (listener, want) in heard.iter_mut().zip(want) {
        for (project, category, outcome) in want {
            let told = next(listener);
            let told = (&told["project"], &told["category"], &told["outcome"]);
            assert_eq!(told, (&json!(project), &json!(category), &json!(outcome)));
        }
    }
}

fn what_cannot_be_asked_for_is_refused() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    for (query, want) in [
        ("project=all", "project: write a project's number"),
        (
            "outcome=lost",
            "outcome: write forwarded, spooled or dropped",
        ),
        ("reason=why", "reason: write one of no_key, "),
        ("category=errors", "category: write one of default, error, "),
        (
            "key=a94a",
            "there are project=, outcome=, reason= and category=",
        ),
    ] {
        let refused = edge.admin_get(&format!("/api/v1/decisions?{query}"));
        assert_eq!(refused.status, 400, "{query}");
        let said = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(said.starts_with(want), "{query}: {said}");
    }
    let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
    let posted = ask(edge.admin, "POST", "/api/v1/decisions", &headers, b"{}");
    assert_eq!(posted.status, 405);
    assert_eq!(posted.header("allow").as_deref(), Some("GET"));
}

fn it_needs_the_token() {
    let fake = Fake::start();
    let wide = json!({"listen": {"admin": "0.0.0.0:0"}, "admin": {"token": "right-token"}});
    let edge = edge(&fake, &wide);
    let admin: SocketAddr = ([127, 0, 0, 1], edge.admin.port()).into();
    for path in ["/api/v1/decisions", "/api/v1/top"] {
        let refused = ask(admin, "GET", path, &[("Host", "localhost")], b"");
        assert_eq!(refused.status, 401, "{path}");
    }
}
