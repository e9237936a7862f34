//! Headers that are taken: whom they name is who is told upstream, however they arrive
//! and whatever follows.

use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use super::*;
use crate::parts::promises;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        a_header_names_the_client_in_either_version,
        a_header_may_come_byte_by_byte,
        requests_in_the_headers_segment_are_all_answered,
        the_client_stays_named_when_its_connection_has_lain_idle,
        http2_follows_a_header_as_http1_does,
        a_balancer_without_a_client_is_itself,
        a_client_whom_nobody_names_is_not_believed,
        a_trusted_proxy_behind_the_balancer_is_asked_on,
        a_client_that_speaks_tls_to_its_balancer_is_told_as_such,
        where_headers_are_optional_plain_clients_are_served,
        a_request_that_begins_as_a_header_might_is_a_request,
        without_the_key_a_header_is_no_request,
    ]
}

/// `header` is taken as `outcome`, and the upstream is told of `client`.
#[track_caller]
fn check(header: &[u8], hops: &[(&str, &str)], outcome: &str, client: &str) {
    for mode in ["optional", "required"] {
        let fake = Fake::start();
        let edge = edge_taking(&fake, mode);
        let bytes = [header, &event(hops)].concat();
        assert_eq!(answered(&edge, BALANCER, &bytes), 200, "{mode}");
        assert_eq!(told(&fake), [client], "{mode}");
        assert!(headers_that(&edge, outcome) >= 1.0, "{mode}: no {outcome}");
    }
}

fn a_header_names_the_client_in_either_version() {
    check(&line(NAMED), &[], "named", NAMED);
    check(
        b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n",
        &[],
        "named",
        "2001:db8::7",
    );
    check(
        b"PROXY TCP6 ::ffff:203.0.113.9 ::1 4711 443\r\n",
        &[],
        "named",
        NAMED,
    );
    check(&block(0x21, 0x11, &addresses(NAMED)), &[], "named", NAMED);
    let mut six = [0; 36];
    six[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    six[15] = 7;
    check(&block(0x21, 0x21, &six), &[], "named", "2001:db8::7");
    // With extensions: a checksum that is not looked at, an id, kilobytes of anything.
    let mut extended = addresses(NAMED);
    extended.extend(b"\x03\0\x04abcd\x05\0\x03uid\xe0\x0b\xb8");
    extended.extend([b'\n'; 3000]);
    check(&block(0x21, 0x11, &extended), &[], "named", NAMED);
    // What the client itself writes behind it is a stranger's word.
    check(
        &line(NAMED),
        &[("X-Forwarded-For", "6.6.6.6")],
        "named",
        NAMED,
    );
}

fn a_header_may_come_byte_by_byte() {
    for header in [line(NAMED), block(0x21, 0x11, &addresses(NAMED))] {
        let fake = Fake::start();
        let edge = edge_taking(&fake, "required");
        let mut client = Client::connect_from(BALANCER, edge.public);
        for byte in [header, event(&[])].concat() {
            client.send(&[byte]);
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(client.answer_to("POST").status, 200);
        assert_eq!(told(&fake), [NAMED]);
    }
}

fn requests_in_the_headers_segment_are_all_answered() {
    let fake = Fake::start();
    let edge = edge_taking(&fake, "required");
    let mut client = Client::connect_from(BALANCER, edge.public);
    let three = [line(NAMED), event(&[]), event(&[]), event(&[])].concat();
    client.send(&three);
    for _ in 0..3 {
        assert_eq!(client.answer_to("POST").status, 200);
    }
    assert_eq!(told(&fake), [NAMED; 3]);
    assert!(
        headers_that(&edge, "named") <= 1.0,
        "one connection, counted twice"
    );
}

fn the_client_stays_named_when_its_connection_has_lain_idle() {
    let fake = Fake::start();
    let edge = edge_taking(&fake, "required");
    let mut client = Client::connect_from(BALANCER, edge.public);
    client.send(&[line(NAMED), event(&[])].concat());
    assert_eq!(client.answer_to("POST").status, 200);
    // Its buffers are given back meanwhile.
    thread::sleep(Duration::from_millis(2500));
    client.send(&event(&[]));
    assert_eq!(client.answer_to("POST").status, 200);
    assert_eq!(told(&fake), [NAMED; 2]);
}

fn http2_follows_a_header_as_http1_does() {
    let fake = Fake::start();
    let edge = edge_taking(&fake, "optional");
    for before in [line(NAMED), Vec::new()] {
        let mut client = Client::connect_from(BALANCER, edge.public);
        client.send(&before);
        // Its first letters are also those of a header's line.
        client.send(b"PR");
        thread::sleep(Duration::from_millis(20));
        client.send(b"I * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
        let settings = client.bytes(9);
        assert_eq!(settings[3], 4, "no SETTINGS: {settings:?}");
    }
}

fn a_balancer_without_a_client_is_itself() {
    check(&block(0x20, 0, b""), &[], "local", "127.0.0.1");
    check(
        &block(0x20, 0x11, &addresses(NAMED)),
        &[],
        "local",
        "127.0.0.1",
    );
    // It speaks for itself, so what it says of others is believed, as without a header.
    let hops = [("X-Forwarded-For", "198.51.100.7")];
    check(&block(0x20, 0, b""), &hops, "local", "198.51.100.7");
}

fn a_client_whom_nobody_names_is_not_believed() {
    let hops = [("X-Forwarded-For", "6.6.6.6")];
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 6.6.6.6 6.6.6.6 1 2\r\n".to_vec(),
        block(0x21, 0, b""),
        block(0x21, 0x31, &[b'/'; 216]),
        block(0x21, 0x12, &addresses("6.6.6.6")),
    ] {
        check(&header, &hops, "unnamed", "127.0.0.1");
    }
}

fn a_trusted_proxy_behind_the_balancer_is_asked_on() {
    let hops = [("X-Forwarded-For", "6.6.6.6, 198.51.100.7")];
    check(&line("127.0.0.1"), &hops, "named", "198.51.100.7");
}

fn a_client_that_speaks_tls_to_its_balancer_is_told_as_such() {
    let fake = Fake::start();
    let edge = edge_taking(&fake, "required");
    let page = request("GET", "/auth/login/", &[], b"");
    let mut extended = addresses(NAMED);
    extended.extend(b"\x20\0\x05\x01\0\0\0\0");
    for header in [addresses(NAMED), extended] {
        let mut client = Client::connect_from(BALANCER, edge.public);
        client.send(&[block(0x21, 0x11, &header), page.clone()].concat());
        assert_eq!(client.answer_to("GET").status, 200);
    }
    let seen = fake.requests();
    let schemes: Vec<_> = seen
        .iter()
        .map(|seen| seen.headers.all("x-forwarded-proto"))
        .collect();
    assert_eq!(schemes, [["http"], ["https"]]);
}

fn where_headers_are_optional_plain_clients_are_served() {
    let fake = Fake::start();
    let edge = edge_taking(&fake, "optional");
    let through = event(&[("X-Forwarded-For", "198.51.100.7")]);
    assert_eq!(answered(&edge, STRANGER, &through), 200);
    assert_eq!(answered(&edge, BALANCER, &through), 200);
    assert_eq!(told(&fake), ["127.0.0.9", "198.51.100.7"]);
    assert_eq!(headers_that(&edge, "absent"), 2.0);
}

fn a_request_that_begins_as_a_header_might_is_a_request() {
    let fake = Fake::start();
    let edge = edge_taking(&fake, "optional");
    for from in [STRANGER, BALANCER] {
        let mut client = Client::connect_from(from, edge.public);
        let whole = event(&[]);
        client.send(&whole[..1]);
        thread::sleep(Duration::from_millis(50));
        client.send(&whole[1..]);
        assert_eq!(client.answer_to("POST").status, 200);
    }
    // A line end before a request is passed over, and version 2 begins with two.
    let mut client = Client::connect_from(STRANGER, edge.public);
    client.send(b"\r\n\r\n");
    thread::sleep(Duration::from_millis(50));
    client.send(&event(&[]));
    assert_eq!(client.answer_to("POST").status, 200);
    assert_eq!(told(&fake), ["127.0.0.9", "127.0.0.1", "127.0.0.9"]);
}

fn without_the_key_a_header_is_no_request() {
    let fake = Fake::start();
    let edge = edge_with(&fake, json!({}), json!({}));
    for header in [line(NAMED), block(0x21, 0x11, &addresses(NAMED))] {
        let mut client = Client::connect_from(BALANCER, edge.public);
        client.send(&[header, event(&[])].concat());
        assert_eq!(client.answer_to("POST").status, 400);
    }
    assert_eq!(fake.requests().len(), 0);
}
