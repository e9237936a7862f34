//! What an edge in mode `learn` makes of its upstream's answers, and whom that
//! concerns. Never about how many senders there are.

use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{STRANGE, check_refused, enveloped, obedient, send, target};
use crate::client::{Client, Lines, request};
use crate::edge::{Edge, KEY};
use crate::exchange::Next;
use crate::ingest::ENVELOPE;
use crate::parts::promises;
use crate::upstream::Fake;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        three_refusals_are_answered_here_from_then_on,
        refusals_in_pieces_teach_as_well,
        answers_of_another_form_teach_nothing,
        an_acceptance_breaks_the_streak,
        a_verdict_touches_nobody_else,
        a_named_key_cannot_be_spoilt_for_its_owner,
        an_unnamed_key_cannot_be_spoilt_for_its_owner,
        origins_that_only_the_upstream_can_read_spoil_nothing,
    ]
}

const REFUSE: (&str, &str) = ("X-Status", "403");

fn learn(fake: &Fake, projects: Value) -> Edge {
    let changes = json!({"keys": {"mode": "learn"}, "projects": projects});
    Edge::configured(&fake.url(), &fake.url(), changes)
}

/// Posts, and expects the upstream's own answer.
#[track_caller]
fn told(client: &mut Client, what: &str, target: &str, headers: Lines<'_>) {
    let answer = send(client, target, headers);
    let edge_said = answer.header("x-sentry-error");
    assert_eq!(edge_said, None, "{what} does not reach the upstream");
}

#[track_caller]
fn refused_thrice(client: &mut Client, target: &str, headers: Lines<'_>) {
    let headers = [headers, &[REFUSE]].concat();
    for nth in 1..=3 {
        told(client, &format!("refusal {nth}"), target, &headers);
    }
}

fn three_refusals_are_answered_here_from_then_on() {
    let fake = obedient();
    let edge = learn(&fake, json!([]));
    for target in [
        target(42, STRANGE),
        format!("/api/7/store/?sentry_key={STRANGE}"),
        format!("/api/store/?sentry_key={STRANGE}"),
        format!("/api/42/cron/nightly/{STRANGE}/"),
    ] {
        let before = fake.requests().len();
        let mut client = edge.connect();
        // A verdict is about the pair, wherever it was learned.
        let is_learned = target.contains("cron");
        if !is_learned {
            refused_thrice(&mut client, &target, &[]);
        }
        let answer = send(&mut client, &target, &[]);
        check_refused(&target, &answer, 403, "unknown_key");
        let asked = if is_learned { 0 } else { 3 };
        assert_eq!(fake.requests().len() - before, asked, "{target}");
    }
}

fn refusals_in_pieces_teach_as_well() {
    let pieces: [&[&str]; 3] = [
        &["content-length: 17\r\n\r\n", "{\"detail\":\"told\"}"],
        &["content-length: 17\r\n\r\n{\"detail\":", "\"told\"}"],
        &[
            "transfer-encoding: chunked\r\n\r\n",
            "a\r\n{\"detail\":\r\n7\r\n\"told\"}\r\n0\r\n\r\n",
        ],
    ];
    for pieces in pieces {
        let fake = Fake::with(move |exchange| {
            exchange.read_body()?;
            exchange.write(b"HTTP/1.1 403 Told\r\n")?;
            for piece in pieces {
                exchange.write(piece.as_bytes())?;
                // The upstream's pace, so that the edge sees them apart.
                thread::sleep(Duration::from_millis(30));
            }
            Ok(Next::KeepAlive)
        });
        let edge = learn(&fake, json!([]));
        let mut client = edge.connect();
        for _ in 0..3 {
            told(&mut client, "a refusal", &target(42, STRANGE), &[]);
        }
        let answer = send(&mut client, &target(42, STRANGE), &[]);
        check_refused(&format!("{pieces:?}"), &answer, 403, "unknown_key");
        assert_eq!(fake.requests().len(), 3, "{pieces:?}");
    }
}

fn answers_of_another_form_teach_nothing() {
    let fake = obedient();
    let edge = learn(&fake, json!([]));
    let detail = r#"{"detail":"told"}"#;
    for (status, body) in [
        ("403", "<html><body>Forbidden</body></html>"),
        ("403", ""),
        ("403", r#"{"error":"told"}"#),
        ("403", r#"{"detail":{"code":"sso-required"}}"#),
        ("403", r#"["told"]"#),
        ("400", detail),
        ("401", detail),
        ("404", detail),
        ("500", detail),
        ("503", detail),
    ] {
        let mut client = edge.connect();
        let headers = [("X-Status", status), ("X-Body", body)];
        for nth in 1..=5 {
            let what = format!("{status} {body}, number {nth}");
            told(&mut client, &what, &target(42, STRANGE), &headers);
        }
    }
    let refused = edge.metric("vidette_table_entries", &["keys_refused"]);
    assert_eq!(refused, 0.0);
}

fn an_acceptance_breaks_the_streak() {
    let fake = obedient();
    let edge = learn(&fake, json!([]));
    let mut client = edge.connect();
    let target = target(42, STRANGE);
    for nth in 1..=3 {
        told(&mut client, &format!("{nth}, 1"), &target, &[REFUSE]);
        told(&mut client, &format!("{nth}, 2"), &target, &[REFUSE]);
        told(&mut client, &format!("{nth}, 3"), &target, &[]);
    }
    refused_thrice(&mut client, &target, &[]);
    let answer = send(&mut client, &target, &[]);
    check_refused("three in a row", &answer, 403, "unknown_key");
}

fn a_verdict_touches_nobody_else() {
    let fake = obedient();
    let edge = learn(&fake, json!([]));
    let mut client = edge.connect();
    let shop = [("Origin", "https://shop.example")];
    refused_thrice(&mut client, &target(42, STRANGE), &shop);
    let answer = send(&mut client, &target(42, STRANGE), &shop);
    check_refused("the same", &answer, 403, "unknown_key");
    let page = [("Referer", "https://shop.example/basket?id=7")];
    let answer = send(&mut client, &target(42, STRANGE), &page);
    check_refused("the same by its Referer", &answer, 403, "unknown_key");
    let other_key = target(42, &STRANGE.replace('f', "0"));
    let cases: [(&str, &str, Lines<'_>); 5] = [
        ("another project", &target(43, STRANGE), &shop),
        ("another key", &other_key, &shop),
        (
            "another origin",
            &target(42, STRANGE),
            &[("Origin", "https://shop.example:8443")],
        ),
        ("no origin", &target(42, STRANGE), &[]),
        (
            "no project",
            &format!("/api/store/?sentry_key={STRANGE}"),
            &shop,
        ),
    ];
    for (what, target, headers) in cases {
        told(&mut client, what, target, headers);
    }
}

/// A request of whoever knows a key, to an upstream that refuses it.
struct Attack<'a> {
    what: &'a str,
    target: String,
    headers: Vec<(&'a str, &'a str)>,
    body: Vec<u8>,
}

/// Makes each attack five times; then its owner's requests must all arrive.
#[track_caller]
fn check_unspoilt(key: &str, projects: Value, attacks: &[Attack<'_>]) {
    let fake = obedient();
    let edge = learn(&fake, projects);
    let mut attacker = edge.connect();
    for attack in attacks {
        let headers = [attack.headers.as_slice(), &[REFUSE]].concat();
        for _ in 0..5 {
            attacker.send(&request("POST", &attack.target, &headers, &attack.body));
            let status = attacker.answer_to("POST").status;
            assert!(status / 100 == 4, "{} is answered {status}", attack.what);
        }
    }
    let mut owner = edge.connect();
    let store = format!("/api/42/store/?sentry_key={key}");
    let (origin, referer) = (
        ("Origin", "https://shop.example"),
        ("Referer", "https://shop.example/"),
    );
    let good = target(42, key);
    told(&mut owner, "a server", &good, &[]);
    told(&mut owner, "a server of old", &store, &[]);
    told(&mut owner, "a page", &good, &[origin]);
    told(&mut owner, "a page without CORS", &good, &[referer]);
}

fn attacks(key: &str) -> Vec<Attack<'static>> {
    let good = target(42, key);
    let plain = ENVELOPE.to_vec();
    let dsn = |project: u64| enveloped(&format!("https://{key}@sentry.example/{project}"));
    let bare = |project: u64| format!("/api/{project}/envelope/");
    let two = "Sentry sentry_key=fedcba9876543210fedcba9876543210";
    let bad_page = "https://evil.example/shop.example/";
    [
        ("another project", target(43, key), None, plain.clone()),
        (
            "a bad origin",
            good.clone(),
            Some(("Origin", "https://evil.example")),
            plain.clone(),
        ),
        (
            "a bad page",
            good.clone(),
            Some(("Referer", bad_page)),
            plain.clone(),
        ),
        (
            "two places",
            good.clone(),
            Some(("X-Sentry-Auth", two)),
            plain,
        ),
        ("another project in line one", good, None, dsn(43)),
        ("line one alone", bare(43), None, dsn(43)),
        ("line one against the path", bare(43), None, dsn(42)),
        ("line one against another path", bare(42), None, dsn(43)),
    ]
    .into_iter()
    .map(|(what, target, header, body)| Attack {
        what,
        target,
        headers: header.into_iter().collect(),
        body,
    })
    .collect()
}

fn a_named_key_cannot_be_spoilt_for_its_owner() {
    let projects = json!([{"id": 42, "keys": [KEY]}]);
    check_unspoilt(KEY, projects, &attacks(KEY));
}

fn an_unnamed_key_cannot_be_spoilt_for_its_owner() {
    check_unspoilt(STRANGE, json!([]), &attacks(STRANGE));
}

/// Relay reads origins by the URL standard, which knows spellings that the edge
/// does not: what such a page is refused for must not fall on those who name no
/// origin, nor on the page in the Referer beside it.
fn origins_that_only_the_upstream_can_read_spoil_nothing() {
    let long = format!("https://{}.example", "evil.".repeat(60));
    let spellings = [
        "https://%65vil.example",
        "https:evil.example",
        "https:\\\\evil.example",
        "https://evil.example:+443",
        &long,
    ];
    let own = ("Referer", "https://shop.example/");
    let attack = |what, headers| Attack {
        what,
        target: target(42, KEY),
        headers,
        body: ENVELOPE.to_vec(),
    };
    let two = vec![
        ("Origin", "https://shop.example"),
        ("Origin", "https://evil.example"),
    ];
    let attacks: Vec<Attack<'_>> = spellings
        .into_iter()
        .flat_map(|spelling| {
            [
                attack(spelling, vec![("Origin", spelling)]),
                attack(spelling, vec![("Origin", spelling), own]),
                attack(spelling, vec![("Referer", spelling)]),
            ]
        })
        .chain([attack("two of them", two)])
        .collect();
    check_unspoilt(KEY, json!([{"id": 42, "keys": [KEY]}]), &attacks);
}
