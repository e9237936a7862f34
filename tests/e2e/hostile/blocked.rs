//! Clients that only misbehave are not heard for a while; whoever does anything good, makes
//! an honest mistake or is exempt is.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::{Answer, Client, ask, request};
use crate::edge::{Edge, KEY, envelope_target, lay_over};
use crate::ingest::ENVELOPE;
use crate::parts::{Part, promises};
use crate::upstream::{Fake, HANG};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        who_comes_by_a_proxy_is_refused_and_others_are_not,
        whom_a_balancer_names_is_closed_at_once,
        one_good_request_takes_misdeeds_back,
        honest_mistakes_do_not_count,
        who_is_exempt_is_heard,
        a_block_is_lifted,
    ];
    trials.extend(promises![&[Part::Address]; a_peer_is_closed_at_once_and_heard_again_later]);
    trials
}

const BAD: &str = "203.0.113.66";
const GOOD: &str = "203.0.113.9";

/// An edge that blocks after three misdeeds.
fn edge(fake: &Fake, block: &Value, changes: &Value) -> Edge {
    let mut all = json!({
        "client_ip": {"trusted_proxies": ["127.0.0.1"]},
        "limits": {"block": {"after": 3, "per": "1h", "for": "1h"}},
        "workers": 2,
    });
    lay_over(&mut all, &json!({"limits": {"block": block}}));
    lay_over(&mut all, changes);
    Edge::configured(&fake.url(), &fake.url(), all)
}

/// What no two hops would read alike.
const SMUGGLED: &[(&str, &str)] = &[("Content-Length", "3"), ("Transfer-Encoding", "chunked")];

/// A request that comes by a trusted proxy.
fn brought(edge: &Edge, client: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[("X-Forwarded-For", client)], headers].concat();
    edge.ask("POST", &envelope_target(), &headers, ENVELOPE)
}

#[track_caller]
fn misbehaves(edge: &Edge, client: &str, times: usize) {
    for _ in 0..times {
        assert_eq!(brought(edge, client, SMUGGLED).status, 400);
    }
}

#[track_caller]
fn check_refused(answer: &Answer) {
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(answer.json()["causes"][0], "blocked");
    let said = answer.header("x-sentry-error").unwrap();
    assert!(said.contains("is not heard until 20"), "{said}");
    assert!(answer.header("retry-after").is_some());
}

fn blocks(edge: &Edge) -> Value {
    edge.admin_get("/api/v1/blocks").json()
}

fn who_comes_by_a_proxy_is_refused_and_others_are_not() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}), &json!({}));
    misbehaves(&edge, BAD, 2);
    assert_eq!(blocks(&edge)["blocked"], 0);
    misbehaves(&edge, BAD, 1);
    // Whichever worker has it, and on connections that others use.
    let mut proxy = edge.connect();
    for _ in 0..20 {
        check_refused(&brought(&edge, BAD, &[]));
        for (client, status) in [(BAD, 403), (GOOD, 200)] {
            let hops = [("X-Forwarded-For", client)];
            proxy.send(&request("POST", &envelope_target(), &hops, ENVELOPE));
            assert_eq!(proxy.answer_to("POST").status, status);
        }
    }
    // Web is as closed as ingest.
    let hops = [("X-Forwarded-For", BAD)];
    assert_eq!(edge.ask("GET", "/auth/login/", &hops, b"").status, 403);
    edge.wait_metric("vidette_items_total", &["reason=\"blocked\""], 40.0);
    edge.wait_metric("vidette_table_entries", &["blocks"], 1.0);
    let listed = blocks(&edge);
    assert_eq!(listed["blocked"], 1);
    assert_eq!(listed["blocks"][0]["ip"], BAD);
    assert_eq!(listed["blocks"][0]["misdeeds"], 3);
    assert_eq!(
        edge.admin_get("/api/v1/status").json()["clients_blocked"],
        1
    );
    assert_eq!(fake.requests().len(), 20);
}

fn whom_a_balancer_names_is_closed_at_once() {
    let fake = Fake::start();
    let listener = json!([{"address": "127.0.0.1:0", "proxy_protocol": "required"}]);
    let edge = edge(&fake, &json!({}), &json!({"listen": {"public": listener}}));
    let named = |client: &str, bytes: &[u8]| {
        let line = format!("PROXY TCP4 {client} 192.0.2.1 4711 443\r\n");
        let mut connection = edge.connect();
        drop(connection.try_send(&[line.as_bytes(), bytes].concat()));
        connection
    };
    for _ in 0..3 {
        let mut garbage = named(BAD, b"\x01\x02 is no HTTP\r\n\r\n");
        assert_eq!(garbage.answer_to("GET").status, 400);
        // It counts as its connection closes.
        garbage.finish_sending();
        garbage.expect_close();
    }
    let event = request("POST", &envelope_target(), &[], ENVELOPE);
    for _ in 0..9 {
        named(BAD, &event).expect_close();
        assert_eq!(named(GOOD, &event).answer_to("POST").status, 200);
    }
    edge.wait_metric("vidette_connections_total", &["outcome=\"blocked\""], 9.0);
}

fn one_good_request_takes_misdeeds_back() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}), &json!({}));
    for _ in 0..5 {
        misbehaves(&edge, BAD, 2);
        assert_eq!(brought(&edge, BAD, &[]).status, 200);
    }
    misbehaves(&edge, BAD, 3);
    check_refused(&brought(&edge, BAD, &[]));
}

fn honest_mistakes_do_not_count() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(403, &[], br#"{"detail":"no such key"}"#)
    });
    // The first misdeed would be the last.
    let quota = json!([{"limit": 1, "per": "1h"}]);
    let changes = json!({"defaults": {"quotas": quota}, "keys": {"mode": "learn"}});
    let edge = edge(&fake, &json!({"after": 1}), &changes);
    let from = |headers: &[(&str, &str)], target: &str, body: &[u8]| {
        let headers = [&[("X-Forwarded-For", BAD)], headers].concat();
        edge.ask("POST", target, &headers, body).status
    };
    for _ in 0..9 {
        from(&[], &envelope_target(), ENVELOPE);
        from(&[], &envelope_target(), b"no envelope");
        from(&[], &envelope_target(), b"");
        from(&[], "/api/42/envelope/", ENVELOPE);
        from(&[], "/api/42/store/?sentry_key=short", b"{}");
        from(
            &[("Content-Encoding", "gzip")],
            &envelope_target(),
            b"not gzip",
        );
        from(
            &[("Content-Encoding", "lzma")],
            &envelope_target(),
            ENVELOPE,
        );
        from(
            &[("Content-Length", "999999999999")],
            &envelope_target(),
            b"",
        );
        from(&[("X-Large", &"x".repeat(70_000))], &envelope_target(), b"");
        from(
            &[],
            &format!("/api/1/envelope/?sentry_key={}", KEY.replace('a', "b")),
            ENVELOPE,
        );
        // A health check that says nothing, and a browser that leaves.
        drop(edge.connect());
        edge.connect().reset();
    }
    assert_eq!(blocks(&edge)["blocked"], 0);
    assert_eq!(edge.metric("vidette_table_entries", &["blocks"]), 0.0);
    misbehaves(&edge, BAD, 1);
    assert_eq!(blocks(&edge)["blocked"], 1);
}

fn who_is_exempt_is_heard() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({"exempt": ["203.0.113.0/24"]}), &json!({}));
    misbehaves(&edge, BAD, 9);
    assert_eq!(brought(&edge, BAD, &[]).status, 200);
    // This machine, and the trusted proxy itself.
    for _ in 0..9 {
        let answer = edge.ask("POST", &envelope_target(), SMUGGLED, b"");
        assert_eq!(answer.status, 400);
    }
    assert_eq!(edge.post_envelope(&[], ENVELOPE).status, 200);
    assert_eq!(blocks(&edge)["blocked"], 0);
}

/// What `vidette explain` says of an event that a trusted proxy brings from `client`.
#[track_caller]
fn check_explained(edge: &Edge, client: &str, code: i32) {
    let mut command = crate::edge::program();
    let (admin, header) = (edge.admin.to_string(), format!("X-Forwarded-For: {client}"));
    let target = crate::edge::envelope_target();
    let words = [
        "explain", "-X", "POST", "-H", &header, &target, "--admin", &admin,
    ];
    let ran = crate::command_line::ran(command.args(words));
    assert_eq!(ran.code, Some(code), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout.contains("blocked"), code == 1, "{}", ran.stdout);
}

fn a_block_is_lifted() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}), &json!({}));
    let lift = |client: &str| {
        let path = format!("/api/v1/blocks/{client}");
        let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
        ask(edge.admin, "DELETE", &path, &headers, b"").status
    };
    misbehaves(&edge, "2001:db8::1", 3);
    check_refused(&brought(&edge, "2001:db8::2", &[]));
    assert_eq!((lift("nobody"), lift(GOOD)), (400, 404));
    assert_eq!((lift("2001:db8::3"), lift("2001:db8::3")), (200, 404));
    assert_eq!(brought(&edge, "2001:db8::1", &[]).status, 200);
    misbehaves(&edge, BAD, 3);
    edge.log.wait_for_text(&format!("client=\"{BAD}\""));
    check_explained(&edge, BAD, 1);
    check_explained(&edge, GOOD, 0);
    let mut command = crate::edge::program();
    let admin = edge.admin.to_string();
    let ran = crate::command_line::ran(command.args(["blocks", "ls", "--admin", &admin]));
    assert!(ran.stdout.starts_with(BAD), "{}{}", ran.stdout, ran.stderr);
    let mut command = crate::edge::program();
    let ran = crate::command_line::ran(command.args(["status", "--admin", &admin]));
    let line = "blocked  1: vidette blocks ls";
    assert!(ran.stdout.contains(line), "{}{}", ran.stdout, ran.stderr);
    let mut command = crate::edge::program();
    let ran = crate::command_line::ran(command.args(["blocks", "lift", BAD, "--admin", &admin]));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(brought(&edge, BAD, &[]).status, 200);
}

/// The address by which this machine would leave for elsewhere; no packet is sent.
pub(crate) fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("203.0.113.1:9").ok()?;
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(own) => (!own.is_loopback()).then_some(own),
        std::net::IpAddr::V6(_) => None,
    }
}

fn a_peer_is_closed_at_once_and_heard_again_later() {
    let own = own_address().unwrap();
    let fake = Fake::start();
    let listen = json!({"listen": {"public": ["0.0.0.0:0"]}});
    let edge = edge(&fake, &json!({"for": "2s"}), &listen);
    let address = (own, edge.public.port()).into();
    let event = request("POST", &envelope_target(), &[], ENVELOPE);
    let mut before = Client::connect(address);
    before.send(&event);
    assert_eq!(before.answer_to("POST").status, 200);
    for _ in 0..3 {
        let mut garbage = Client::connect(address);
        garbage.send(b"\x01\x02 is no HTTP\r\n\r\n");
        assert_eq!(garbage.answer_to("GET").status, 400);
        garbage.finish_sending();
        garbage.expect_close();
    }
    let mut refused = Client::connect(address);
    drop(refused.try_send(&event));
    refused.expect_close();
    edge.wait_metric("vidette_connections_total", &["outcome=\"blocked\""], 1.0);
    // What was open hears why, once.
    before.send(&event);
    check_refused(&before.answer_to("POST"));
    before.expect_close();
    // Others are heard all the while.
    let other = (Ipv4Addr::LOCALHOST, edge.public.port()).into();
    assert_eq!(
        ask(other, "POST", &envelope_target(), &[], ENVELOPE).status,
        200
    );
    let deadline = Instant::now() + HANG;
    loop {
        let mut client = Client::connect(address);
        let sent = client.try_send(&event);
        if sent
            .and_then(|()| client.try_answer_to("POST"))
            .is_ok_and(|told| told.status == 200)
        {
            break;
        }
        assert!(Instant::now() < deadline, "it is never heard again");
        std::thread::sleep(Duration::from_millis(100));
    }
}
