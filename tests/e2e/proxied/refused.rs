//! Headers that are not taken: each is closed, counted by its cause, and nothing of its
//! connection reaches anybody.

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;

use super::*;
use crate::parts::promises;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        what_breaks_the_protocol_is_closed,
        a_stranger_is_refused_and_his_plain_requests_are_not,
        where_headers_are_required_nobody_comes_without,
        a_header_that_breaks_off_is_counted,
        a_header_that_stands_still_is_cut,
        a_header_that_trickles_is_cut,
        a_second_header_is_no_request,
        garbage_by_the_thousand_leaves_the_edge_well,
    ]
}

/// `bytes` from `from` are closed without an answer, and counted under `cause`.
#[track_caller]
fn check(mode: &str, from: Ipv4Addr, bytes: &[u8], cause: &str) {
    let fake = Fake::start();
    let edge = edge_taking(&fake, mode);
    let mut client = Client::connect_from(from, edge.public);
    // It may be closed before the last byte is sent.
    drop(client.try_send(bytes));
    client.expect_close();
    let shown = bytes.escape_ascii();
    assert_eq!(headers_that(&edge, cause), 1.0, "{cause}: {shown}");
    assert_eq!(connections_that(&edge, "proxy_failed"), 1.0, "{shown}");
    assert_eq!(fake.requests().len(), 0, "{shown}");
    if cause == "untrusted" {
        let line = format!("cause=\"untrusted\" peer=\"{from}\"");
        let said = edge.log.wait_for("the peer", |log| {
            let mut lines = log.lines();
            lines.find(|one| one.contains(&line)).map(str::to_owned)
        });
        assert!(said.contains("client_ip.trusted_proxies"), "{said}");
    }
}

fn what_breaks_the_protocol_is_closed() {
    let line_of = |text: &str| [text.as_bytes(), &event(&[])].concat();
    for mode in ["optional", "required"] {
        for text in [
            "PROXY TCP4 203.0.113.9 192.0.2.1 04711 443\r\n",
            "PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\n",
            "PROXY TCP6 203.0.113.9 192.0.2.1 4711 443\r\n",
            "PROXY \r\n",
        ] {
            check(mode, BALANCER, &line_of(text), "malformed");
        }
        let endless = format!("PROXY UNKNOWN {}\r\n", "x".repeat(200));
        check(mode, BALANCER, &line_of(&endless), "too_long");
        for (command, family) in [(0x11, 0x11), (0x22, 0x11), (0x21, 0x41), (0x21, 0x13)] {
            let header = block(command, family, &addresses(NAMED));
            check(mode, BALANCER, &header, "malformed");
        }
        check(mode, BALANCER, &block(0x21, 0x21, b"short"), "malformed");
        // Refused by its length, before anything of it has come.
        let oversize = block(0x21, 0x11, &[0; 65535]);
        check(mode, BALANCER, &oversize[..16], "too_long");
        check(mode, BALANCER, &oversize, "too_long");
    }
}

fn a_stranger_is_refused_and_his_plain_requests_are_not() {
    for header in [
        line(NAMED),
        block(0x21, 0x11, &addresses(NAMED)),
        block(0x20, 0, b""),
    ] {
        let bytes = [header, event(&[])].concat();
        check("optional", STRANGER, &bytes, "untrusted");
        check("required", STRANGER, &bytes, "untrusted");
    }
    // A broken one is a stranger's all the same.
    check("optional", STRANGER, b"PROXY x\r\n", "untrusted");
    // Before he has said anything.
    check("required", STRANGER, b"", "untrusted");
    check("required", STRANGER, &event(&[]), "untrusted");
}

fn where_headers_are_required_nobody_comes_without() {
    check("required", BALANCER, &event(&[]), "missing");
    check("required", BALANCER, b"\x16\x03\x01\x02\0\x01", "missing");
    check("required", BALANCER, b"PROXYTCP4 1.2.3.4", "missing");
    check(
        "required",
        BALANCER,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "missing",
    );
    // Said once, since nothing of such a balancer comes through; then only counted.
    let fake = Fake::start();
    let edge = edge_taking(&fake, "required");
    for _ in 0..3 {
        let mut client = Client::connect_from(BALANCER, edge.public);
        drop(client.try_send(&event(&[])));
        client.expect_close();
    }
    assert_eq!(headers_that(&edge, "missing"), 3.0);
    let text = edge.log.text();
    let warned = text
        .lines()
        .filter(|line| line.contains("WARN") && line.contains("missing"));
    assert_eq!(warned.count(), 1, "{text}");
}

fn a_header_that_breaks_off_is_counted() {
    let fake = Fake::start();
    let edge = edge_taking(&fake, "required");
    for header in [line(NAMED), block(0x21, 0x11, &addresses(NAMED))] {
        let mut client = Client::connect_from(BALANCER, edge.public);
        client.send(&header[..header.len() - 1]);
        client.finish_sending();
        client.expect_close();
    }
    assert_eq!(headers_that(&edge, "cut"), 2.0);
    // Who says nothing has begun none: balancers look so whether a port is open.
    let mut client = Client::connect_from(BALANCER, edge.public);
    client.finish_sending();
    client.expect_close();
    assert_eq!(headers_that(&edge, "cut"), 2.0);
}

fn a_header_that_stands_still_is_cut() {
    let fake = Fake::start();
    let keys = json!({"proxy_protocol": "required"});
    let edge = edge_with(&fake, keys, json!({"limits": {"head_timeout": "1s"}}));
    let header = block(0x21, 0x11, &addresses(NAMED));
    for bytes in [
        &header[..0],
        &header[..5],
        &header[..16],
        &line(NAMED)[..20],
    ] {
        let begun = Instant::now();
        let mut client = Client::connect_from(BALANCER, edge.public);
        client.send(bytes);
        client.expect_close();
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(900), "cut after {took:?}");
    }
    // Header and head have one time together.
    let begun = Instant::now();
    let mut client = Client::connect_from(BALANCER, edge.public);
    thread::sleep(Duration::from_millis(700));
    client.send(&header);
    client.expect_close();
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(1500), "cut after {took:?}");
    assert_eq!(headers_that(&edge, "timeout"), 4.0);
    assert_eq!(connections_that(&edge, "timeout"), 5.0);
}

fn a_header_that_trickles_is_cut() {
    let fake = Fake::start();
    let keys = json!({"proxy_protocol": "optional"});
    let edge = edge_with(&fake, keys, json!({"limits": {"head_timeout": "1s"}}));
    let begun = Instant::now();
    let mut client = Client::connect_from(BALANCER, edge.public);
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(90));
    for byte in endless.bytes() {
        if client.try_send(&[byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    client.expect_close();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "cut after {took:?}");
    assert_eq!(headers_that(&edge, "timeout"), 1.0);
}

fn a_second_header_is_no_request() {
    let fake = Fake::start();
    let edge = edge_taking(&fake, "optional");
    let bytes = [line(NAMED), line("6.6.6.6"), event(&[])].concat();
    assert_eq!(answered(&edge, BALANCER, &bytes), 400);
    assert_eq!(fake.requests().len(), 0);
}

fn garbage_by_the_thousand_leaves_the_edge_well() {
    let fake = Fake::start();
    let edge = edge_taking(&fake, "optional");
    let before = edge.memory_kib("VmRSS");
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..2000_usize {
        let starts: [&[u8]; 4] = [b"", b"PROXY ", b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n\x21"];
        let mut bytes = starts[round % 4].to_vec();
        for _ in 0..round % 97 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            bytes.push(seed as u8);
        }
        let from = if round % 2 == 0 { BALANCER } else { STRANGER };
        let mut client = Client::connect_from(from, edge.public);
        drop(client.try_send(&bytes));
    }
    let named = [line(NAMED), event(&[])].concat();
    assert_eq!(answered(&edge, BALANCER, &named), 200);
    assert_eq!(told(&fake), [NAMED]);
    let grown = edge.memory_kib("VmRSS").saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB more");
}
