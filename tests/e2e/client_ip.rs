//! Whose address the upstream is told: one, bare, and never one that a stranger
//! made up.

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::{Client, request};
use crate::edge::{Edge, envelope_target};
use crate::ingest::ENVELOPE;
use crate::parts::promises;
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        one_bare_address_is_sent,
        forged_forwarding_headers_do_not_cross,
        client_address_is_found_behind_trusted_proxies,
    ]
}

fn one_bare_address_is_sent() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    edge.post_envelope(
        &[
            ("X-Forwarded-For", "6.6.6.6, 203.0.113.9, 127.0.0.1"),
            ("X-Forwarded-For", "127.0.0.2"),
        ],
        ENVELOPE,
    );
    let seen = fake.only_request();
    assert_eq!(seen.headers.all("x-forwarded-for"), ["203.0.113.9"]);
}

fn forged_forwarding_headers_do_not_cross() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"client_ip": {"trusted_proxies": ["10.0.0.0/8"]}}),
    );
    let forged = [
        ("X-Forwarded-For", "6.6.6.6"),
        ("CF-Connecting-IP", "6.6.6.6"),
        ("X-Vercel-Forwarded-For", "6.6.6.6"),
        ("X-Sentry-Forwarded-For", "6.6.6.6"),
        ("X-Real-IP", "6.6.6.6"),
        ("Forwarded", "for=6.6.6.6;proto=https"),
        ("True-Client-IP", "6.6.6.6"),
        ("X-Client-IP", "6.6.6.6"),
        ("X_Forwarded_For", "6.6.6.6"),
        ("X-Forwarded-Proto", "gopher"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Port", "port-of-evil"),
    ];
    edge.post_envelope(&forged, ENVELOPE);
    edge.ask("GET", "/auth/login/", &forged, b"");
    let seen = fake.requests();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!(
            seen.headers.all("x-forwarded-for"),
            ["127.0.0.1"],
            "{}",
            seen.target_text()
        );
        let lines = format!("{:?}", seen.headers);
        for mark in ["6.6.6.6", "gopher", "evil.example", "port-of-evil"] {
            assert!(!lines.contains(mark), "{mark} crossed:\n{lines}");
        }
    }
}

fn client_address_is_found_behind_trusted_proxies() {
    let fake = Fake::start();
    let trusted = json!({"client_ip": {"trusted_proxies": ["loopback", "10.0.0.0/8", "fd00::/8"]}});
    let edge = Edge::configured(&fake.url(), &fake.url(), trusted);
    for (number, (chain, want)) in [
        ("203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("2001:db8::7, fd00::1", "2001:db8::7"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("10.0.0.9, 10.0.0.1", "10.0.0.9"),
        ("unknown", "127.0.0.1"),
        ("203.0.113.9, garbage, 10.0.0.1", "10.0.0.1"),
        ("", "127.0.0.1"),
    ]
    .into_iter()
    .enumerate()
    {
        edge.post_envelope(&[("X-Forwarded-For", chain)], ENVELOPE);
        assert_eq!(
            fake.requests()[number].headers.all("x-forwarded-for"),
            [want],
            "from {chain:?}"
        );
    }
    // Another loopback address is another peer: what the socket says is what is sent.
    let source = "127.0.0.77".parse().unwrap();
    let untrusting = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"client_ip": {"trusted_proxies": ["10.0.0.0/8"]}}),
    );
    let mut client = Client::connect_from(source, untrusting.public);
    client.send(&request(
        "POST",
        &envelope_target(),
        &[("X-Forwarded-For", "203.0.113.9")],
        ENVELOPE,
    ));
    assert_eq!(client.answer_to("POST").status, 200);
    assert_eq!(
        fake.requests()
            .last()
            .unwrap()
            .headers
            .all("x-forwarded-for"),
        ["127.0.0.77"]
    );
}
