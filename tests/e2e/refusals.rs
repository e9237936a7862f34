//! Answers that must reach a client which is still sending, and what becomes of
//! its connection. Never about which requests are refused, and why.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::request;
use crate::edge::{Edge, KEY, dump_target, envelope_target};
use crate::parts::promises;
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        expectation_is_met_only_when_admitted,
        refusal_reaches_a_client_that_sends_a_hundred_megabytes_blindly,
        refusal_reaches_a_client_that_sends_slowly,
        connection_stays_usable_after_a_small_refused_body,
    ]
}

fn expectation_is_met_only_when_admitted() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"limits": {"bodies": {"ingest": "1000", "web": "1000"}}}),
    );
    let expects = |target: &str, length: usize| {
        let mut client = edge.connect();
        let length = length.to_string();
        client.send(&request(
            "POST",
            target,
            &[("Expect", "100-continue"), ("Content-Length", &length)],
            b"",
        ));
        client
    };
    for target in [dump_target(), "/web".to_owned()] {
        let mut client = expects(&target, 5);
        assert_eq!(client.head().unwrap().0, 100, "{target}");
        client.send(b"hello");
        assert_eq!(client.answer_to("POST").status, 200, "{target}");
        let refused = expects(&target, 1001).answer_to("POST");
        assert_eq!(
            (refused.interim.as_slice(), refused.status),
            (&[][..], 413),
            "{target}"
        );
    }
    let refused = expects("/api/42/store/", 5).answer_to("POST");
    assert_eq!((refused.interim.as_slice(), refused.status), (&[][..], 401));
    let seen = fake.requests();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|seen| seen.headers.all("expect").is_empty() && seen.body == b"hello"),
        "{seen:#?}"
    );
}

/// Requests that are refused at their head, however much follows.
fn refused(length: &str) -> Vec<(Vec<u8>, u16)> {
    let long = [("Content-Length", length)];
    let chunks = [("Transfer-Encoding", "chunked")];
    vec![
        (request("POST", &envelope_target(), &long, b""), 413),
        (request("POST", "/web", &long, b""), 413),
        (request("POST", "/api/42/store/", &long, b""), 413),
        (request("POST", "/api/42/store/", &chunks, b""), 401),
        (
            request(
                "POST",
                &format!("/api/42/store/?sentry_key={}", &KEY[1..]),
                &chunks,
                b"",
            ),
            400,
        ),
        (request("POST", "/api/relay/x", &chunks, b""), 404),
    ]
}

fn small_limits(fake: &Fake) -> Edge {
    Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"limits": {"bodies": {"ingest": "1MiB", "web": "1MiB"}}}),
    )
}

fn refusal_reaches_a_client_that_sends_a_hundred_megabytes_blindly() {
    let fake = Fake::start();
    let edge = small_limits(&fake);
    let piece = [b"10000\r\n".as_slice(), &vec![b'x'; 0x1_0000], b"\r\n"].concat();
    for (head, want) in refused("104857600") {
        let mut client = edge.connect();
        client.send(&head);
        // Writes all it has before it reads a byte, as many clients do.
        for _ in 0..1600 {
            if client.try_send(&piece).is_err() {
                break;
            }
        }
        let answer = client.answer_to("POST");
        assert_eq!(answer.status, want, "{}", head.escape_ascii());
        assert!(answer.json()["detail"].is_string());
    }
    assert!(fake.requests().is_empty());
}

fn refusal_reaches_a_client_that_sends_slowly() {
    let fake = Fake::start();
    let edge = small_limits(&fake);
    for (head, want) in refused("104857600") {
        let mut client = edge.connect();
        client.send(&head);
        let deadline = Instant::now() + HANG;
        // The pace is the client's own; what is awaited is the answer.
        while !client.hears_within(Duration::from_millis(20)) {
            assert!(
                Instant::now() < deadline,
                "no answer while the body trickles"
            );
            client.send(b"1\r\nx\r\n");
        }
        assert_eq!(
            client.answer_to("POST").status,
            want,
            "{}",
            head.escape_ascii()
        );
    }
}

fn connection_stays_usable_after_a_small_refused_body() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let mut client = edge.connect();
    for (target, want) in [
        ("/api/42/store/", 401),
        ("/api/42/envelope/?sentry_key=x", 400),
        ("/api/relay/x", 404),
    ] {
        client.send(&request("POST", target, &[], &[b'x'; 10_000]));
        assert_eq!(client.answer_to("POST").status, want, "{target}");
        client.send(&request("POST", &envelope_target(), &[], b"{}\n"));
        assert_eq!(client.answer_to("POST").status, 200, "after {target}");
    }
    assert_eq!(fake.requests().len(), 3);
}
