//! What is known of how a client came: pages move to https, events never do, and who is
//! believed about it.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::authority::Authority;
use super::client::{SecureClient, Trust};
use super::{NAME, pair, public};
use crate::client::ask;
use crate::edge::{Edge, envelope_target};
use crate::parts::promises;
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        pages_move_to_https,
        events_do_not_move,
        a_trusted_proxy_is_believed_about_https,
        another_port_is_named,
    ]
}

/// An edge with a listener that speaks TLS and one that moves pages to it.
#[track_caller]
fn moving(fake: &Fake, authority: &Authority, to: &Value, trusted: &Value) -> Edge {
    let files = authority.issue("edge", &[NAME]);
    let listeners = json!([
        {"address": "127.0.0.1:0", "redirect_to_https": to},
        {"address": "127.0.0.1:0", "tls": pair(&files)},
    ]);
    let changes = json!({
        "listen": {"public": listeners},
        "client_ip": {"trusted_proxies": trusted},
        "tunnel": {"paths": ["/t"]},
    });
    Edge::configured(&fake.url(), &fake.url(), changes)
}

fn pages_move_to_https() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = moving(&fake, &authority, &json!(true), &json!([]));
    for (method, host, target, want) in [
        (
            "GET",
            "sentry.example.com",
            "/",
            "https://sentry.example.com/",
        ),
        (
            "HEAD",
            "sentry.example.com:80",
            "/a%20b?c=d",
            "https://sentry.example.com/a%20b?c=d",
        ),
        (
            "GET",
            "[::1]:9000",
            "/_static/x.js",
            "https://[::1]/_static/x.js",
        ),
        (
            "GET",
            "a.example",
            "//evil.example/",
            "https://a.example//evil.example/",
        ),
    ] {
        let answer = edge.ask(method, target, &[("Host", host)], b"");
        assert_eq!(answer.status, 301, "{target}");
        assert_eq!(answer.header("location").as_deref(), Some(want));
    }
    // What carries more than a look goes there again as it is.
    for method in ["POST", "PUT", "DELETE"] {
        let answer = edge.ask(method, "/auth/login/", &[("Host", "a.example")], b"user=a");
        assert_eq!(answer.status, 308, "{method}");
        let place = answer.header("location");
        assert_eq!(place.as_deref(), Some("https://a.example/auth/login/"));
    }
    assert!(fake.requests().is_empty());
    // Over TLS they are there.
    let doors = public(&edge);
    let mut client = SecureClient::connect(doors[1], &Trust::of(&authority));
    assert_eq!(client.ask("GET", "/", &[], b"").status, 200);
    assert_eq!(
        fake.only_request().headers.all("x-forwarded-proto"),
        ["https"]
    );
}

fn events_do_not_move() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = moving(&fake, &authority, &json!(true), &json!([]));
    let store = format!("/api/42/store/?sentry_key={}", crate::edge::KEY);
    for (method, target) in [
        ("POST", envelope_target().as_str()),
        ("POST", &store),
        ("POST", "/api/0/organizations/a/chunk-upload/"),
        ("GET", "/api/0/organizations/a/chunk-upload/"),
    ] {
        let answer = edge.ask(method, target, &[], b"{}\n");
        assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
    }
    assert_eq!(
        edge.ask("OPTIONS", &envelope_target(), &[], b"").status,
        200
    );
    for seen in fake.requests() {
        assert_eq!(seen.headers.all("x-forwarded-proto"), ["http"]);
    }
}

fn a_trusted_proxy_is_believed_about_https() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = moving(&fake, &authority, &json!(true), &json!(["loopback"]));
    let doors = public(&edge);
    let over = |scheme: &str| ask(doors[0], "GET", "/", &[("X-Forwarded-Proto", scheme)], b"");
    assert_eq!(over("https").status, 200);
    assert_eq!(over("http").status, 301);
    let mut client = SecureClient::connect(doors[1], &Trust::of(&authority));
    let claims = [("X-Forwarded-Proto", "http")];
    assert_eq!(client.ask("GET", "/", &claims, b"").status, 200);
    assert_eq!(client.ask("GET", "/", &[], b"").status, 200);
    let seen: Vec<String> = fake
        .requests()
        .iter()
        .flat_map(|seen| seen.headers.all("x-forwarded-proto"))
        .collect();
    assert_eq!(seen, ["https", "http", "https"]);
}

fn another_port_is_named() {
    let (fake, authority) = (Fake::start(), Authority::new());
    let edge = moving(&fake, &authority, &json!(8443), &json!([]));
    let answer = edge.ask("GET", "/x", &[("Host", "a.example:8080")], b"");
    let place = answer.header("location");
    assert_eq!(place.as_deref(), Some("https://a.example:8443/x"));
}
