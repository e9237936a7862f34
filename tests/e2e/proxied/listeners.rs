//! What a listener is for: events, web or both; whom web is open to; and IPv4 beside IPv6.

use std::net::{IpAddr, Ipv6Addr, TcpListener, TcpStream};

use libtest_mimic::Trial;
use serde_json::json;

use super::*;
use crate::client::{Answer, ask};
use crate::edge::KEY;
use crate::parts::promises;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        each_listener_serves_what_it_is_for,
        web_is_open_to_listed_networks_alone,
        the_client_counts_not_whoever_brought_it,
        search_engines_are_kept_out_of_web_alone,
        an_ipv6_listener_takes_ipv4_too,
    ]
}

const LOADER: &str = "/js-sdk-loader/a94ae32be2584e0bbd7a4cbb95971fee.min.js";

/// Asks a listener as a client behind the balancer.
#[track_caller]
fn asked(address: SocketAddr, method: &str, target: &str, client: &str) -> Answer {
    ask(address, method, target, &[("X-Forwarded-For", client)], b"")
}

fn each_listener_serves_what_it_is_for() {
    let fake = Fake::start();
    let edge = edge_with(
        &fake,
        json!({}),
        json!({
            "listen": {"public": [
                {"name": "all", "address": "127.0.0.1:0"},
                {"name": "events", "address": "127.0.0.1:0", "serve": "ingest"},
                {"name": "pages", "address": "127.0.0.1:0", "serve": "web"},
            ]},
            "tunnel": {"paths": ["/t"]},
            "serve_relays": "all",
        }),
    );
    let [all, events, pages] = publics(&edge).try_into().unwrap();
    let envelope = envelope_target();
    let store = format!("/api/store/?sentry_key={KEY}&sentry_version=7");
    for (method, target, at_events, at_pages) in [
        ("POST", &*envelope, 200, 404),
        ("OPTIONS", &*envelope, 200, 404),
        ("POST", &*store, 200, 404),
        // As it is looked at, not as it is written.
        ("POST", &*envelope.replace("/api/", "//api/x/../"), 200, 404),
        ("OPTIONS", "/t", 200, 404),
        ("GET", "/api/0/relays/live/", 200, 404),
        ("GET", LOADER, 200, 200),
        ("GET", "/js-sdk/none.js", 404, 404),
        ("GET", "/auth/login/", 404, 200),
        ("GET", "/js-sdk-loader/../auth/login/", 404, 200),
        ("GET", "/api/0/projects/", 404, 200),
        ("POST", "/api/0/organizations/o/chunk-upload/", 404, 200),
        ("GET", "/_static/dist/app.js", 404, 200),
        ("GET", "/_assets/app.js", 404, 200),
        ("GET", "/api/relay/healthcheck/live/", 404, 404),
    ] {
        let body: &[u8] = if method == "POST" { ENVELOPE } else { b"" };
        let status = |address| ask(address, method, target, &[], body).status;
        let both = (status(events), status(pages));
        assert_eq!(both, (at_events, at_pages), "{method} {target}");
        let of_all = if at_events == at_pages {
            at_events
        } else {
            200
        };
        assert_eq!(status(all), of_all, "{method} {target} where all is served");
    }
    let refused = asked(pages, "POST", &envelope, "203.0.113.9");
    assert!(refused.header("x-sentry-error").is_some());
    assert!(
        refused.text().contains("takes no events"),
        "{}",
        refused.text()
    );
    let refused = asked(events, "GET", "/auth/login/", "203.0.113.9");
    assert!(refused.text().contains("events only"), "{}", refused.text());
    let count = |labels: &[&str]| edge.metric("vidette_requests_total", labels);
    let refused = ["outcome=\"refused\"", "status=\"404\""];
    assert!(count(&[&["route=\"web\""], &refused[..]].concat()) >= 5.0);
    assert!(count(&[&["route=\"ingest\""], &refused[..]].concat()) >= 4.0);
    let dropped = edge.metric("vidette_items_total", &["reason=\"not_public\""]);
    assert!(dropped >= 3.0, "{dropped} in the books");
}

fn web_is_open_to_listed_networks_alone() {
    let fake = Fake::start();
    let edge = edge_with(
        &fake,
        json!({"allow": ["10.0.0.0/8", "2001:db8::/32"]}),
        json!({}),
    );
    for (client, open) in [
        ("10.1.2.3", true),
        ("2001:db8::7", true),
        ("::ffff:10.1.2.3", true),
        ("203.0.113.9", false),
        ("2001:db9::7", false),
        // Nobody is named: the balancer is asked for itself, and is not listed.
        ("", false),
    ] {
        let web = if open { 200 } else { 403 };
        for (method, target, status) in [
            ("GET", "/auth/login/", web),
            ("GET", "/api/0/projects/", web),
            ("POST", "/api/0/organizations/o/chunk-upload/", web),
            ("GET", "/_static/dist/app.js", web),
            ("GET", LOADER, 200),
            ("POST", &*envelope_target(), 200),
        ] {
            let hops = [("X-Forwarded-For", client)];
            let body: &[u8] = if method == "POST" { ENVELOPE } else { b"" };
            let answer = ask(edge.public, method, target, &hops, body);
            assert_eq!(answer.status, status, "{method} {target} for {client:?}");
        }
    }
    let labels = ["route=\"web\"", "outcome=\"refused\"", "status=\"403\""];
    assert_eq!(edge.metric("vidette_requests_total", &labels), 9.0);
}

fn the_client_counts_not_whoever_brought_it() {
    let fake = Fake::start();
    let keys = json!({"allow": ["203.0.113.0/24"], "proxy_protocol": "optional"});
    let edge = edge_with(&fake, keys, json!({}));
    let page = request("GET", "/auth/login/", &[("X-Forwarded-For", NAMED)], b"");
    let status = |from, before: &[u8]| {
        let mut client = Client::connect_from(from, edge.public);
        client.send(&[before, &page].concat());
        client.answer_to("GET").status
    };
    assert_eq!(status(BALANCER, b""), 200, "a trusted proxy's word");
    assert_eq!(status(BALANCER, &line(NAMED)), 200, "a header's");
    assert_eq!(status(STRANGER, b""), 403, "a stranger's word");
    let other = line("198.51.100.7");
    assert_eq!(status(BALANCER, &other), 403, "another's, whatever he says");
    let unnamed = b"PROXY UNKNOWN\r\n";
    assert_eq!(status(BALANCER, unnamed), 403, "nobody's");
}

fn search_engines_are_kept_out_of_web_alone() {
    let fake = Fake::start();
    let edge = edge_with(
        &fake,
        json!({"noindex": true, "allow": ["203.0.113.0/24"]}),
        json!({}),
    );
    let robots = |method, target: &str, client| {
        let answer = asked(edge.public, method, target, client);
        (answer.status, answer.header("x-robots-tag"))
    };
    let noindex = || Some("noindex".to_owned());
    assert_eq!(robots("GET", "/auth/login/", NAMED), (200, noindex()));
    assert_eq!(robots("GET", "/_assets/app.js", NAMED), (200, noindex()));
    assert_eq!(robots("GET", "/auth/login/", "6.6.6.6"), (403, noindex()));
    assert_eq!(robots("OPTIONS", &envelope_target(), NAMED), (200, None));
    let plain = Edge::before(&fake);
    let page = plain.ask("GET", "/auth/login/", &[], b"");
    assert_eq!(page.header("x-robots-tag"), None);
}

fn an_ipv6_listener_takes_ipv4_too() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        println!("this machine has no IPv6");
        return;
    }
    let fake = Fake::start();
    let edge = edge_with(
        &fake,
        json!({}),
        json!({
            "listen": {"public": ["127.0.0.1:0", {"name": "both", "address": "[::]:0"}]},
            "client_ip": {"trusted_proxies": ["10.0.0.0/8"]},
        }),
    );
    let port = publics(&edge)[1].port();
    for host in [IpAddr::V4(BALANCER), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let address = SocketAddr::new(host, port);
        assert!(TcpStream::connect(address).is_ok(), "{address}");
        let body: &[u8] = ENVELOPE;
        let answer = ask(address, "POST", &envelope_target(), &[], body);
        assert_eq!(answer.status, 200, "{address}");
    }
    assert_eq!(told(&fake), ["127.0.0.1", "::1"]);
}
