//! Where requests begin and end: ambiguous framing, pipelining, `Expect`, and
//! answers that must reach a client which is still sending. Never about what a
//! request asks for.

use std::thread;

use libtest_mimic::Trial;

use crate::client::{Client, request};
use crate::edge::{Edge, KEY, dump_target};
use crate::parts::promises;
use crate::upstream::{Ended, Fake};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        ambiguous_framing_is_refused_and_the_connection_closed,
        plain_framings_pass,
        a_broken_chunk_never_ends_well_upstream,
        a_body_that_holds_a_request_stays_a_body,
        pipelined_requests_are_answered_in_order,
        http_1_0_is_served,
        bodyless_requests_gain_no_framing,
        a_connection_serves_many_requests,
        garbage_is_answered_and_closed,
    ]
}

/// Heads, each by what is wrong with it, that two hops could read differently.
pub(crate) const AMBIGUOUS: &[(&str, &str)] = &[
    (
        "length and chunks",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    ),
    (
        "chunks and length",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ),
    ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n"),
    ("a list of lengths", "Content-Length: 5, 6\r\n"),
    ("a signed length", "Content-Length: +5\r\n"),
    ("a negative length", "Content-Length: -5\r\n"),
    ("a length in hex", "Content-Length: 0x5\r\n"),
    (
        "a length beyond numbers",
        "Content-Length: 99999999999999999999999\r\n",
    ),
    ("gzip as transfer coding", "Transfer-Encoding: gzip\r\n"),
    (
        "gzip before chunked",
        "Transfer-Encoding: gzip, chunked\r\n",
    ),
    (
        "chunked before gzip",
        "Transfer-Encoding: chunked, gzip\r\n",
    ),
    ("chunked twice", "Transfer-Encoding: chunked, chunked\r\n"),
    (
        "chunked on two lines",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ),
    ("almost chunked", "Transfer-Encoding: xchunked\r\n"),
    (
        "identity",
        "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
    ),
    ("a blank before the colon", "Content-Length : 5\r\n"),
    (
        "a folded line",
        "X-Folded: a\r\n b\r\nContent-Length: 5\r\n",
    ),
    ("a folded length", "Content-Length:\r\n 5\r\n"),
    ("a NUL in a value", "X-Nul: a\0b\r\nContent-Length: 5\r\n"),
    (
        "a bare CR in a value",
        "X-Cr: a\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ),
    ("no name", ": x\r\nContent-Length: 5\r\n"),
    ("two hosts", "Host: b\r\nContent-Length: 5\r\n"),
];

fn ambiguous_framing_is_refused_and_the_connection_closed() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for (what, lines) in AMBIGUOUS {
        for target in [dump_target(), "/web".to_owned()] {
            let mut client = edge.connect();
            client.send(format!("POST {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes());
            // Read as chunks or as five bytes, what follows would be a request of its own.
            drop(client.try_send(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"));
            let answer = client.answer_to("POST");
            assert!(
                matches!(answer.status, 400 | 501),
                "{what} at {target}: {}",
                answer.status
            );
            client.expect_close();
        }
    }
    let seen = fake.requests();
    assert!(seen.is_empty(), "reached the upstream: {seen:#?}");
}

fn plain_framings_pass() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for (number, (what, bytes)) in [
        ("length", "Content-Length: 5\r\n\r\nhello"),
        ("length with blanks", "Content-Length:   5  \r\n\r\nhello"),
        (
            "chunks",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "Chunked in capitals",
            "Transfer-Encoding: CHUNKED\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ),
        (
            "chunk extensions",
            "Transfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n0;z\r\n\r\n",
        ),
        (
            "zeros before a size",
            "Transfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n000\r\n\r\n",
        ),
        (
            "trailers",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let target = if number % 2 == 0 {
            dump_target()
        } else {
            "/web".to_owned()
        };
        let mut client = edge.connect();
        client.send(format!("POST {target} HTTP/1.1\r\nHost: a\r\n{bytes}").as_bytes());
        assert_eq!(client.answer_to("POST").status, 200, "{what}");
        let seen = fake.requests();
        assert_eq!(seen[number].body, b"hello", "{what}");
        assert!(
            seen[number].headers.all("x-trailer").is_empty(),
            "a trailer became a header"
        );
    }
}

fn a_broken_chunk_never_ends_well_upstream() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for chunks in [
        &b"zz\r\nhello\r\n0\r\n\r\n"[..],
        b"5\r\nhelloworld\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"5 5\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nhello\r\n",
        b"5\nhello\n0\n\n",
    ] {
        for target in [dump_target(), "/web".to_owned()] {
            let mut client = edge.connect();
            client.send(
                format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                    .as_bytes(),
            );
            drop(client.try_send(chunks));
            if let Ok(answer) = client.try_answer_to("POST") {
                assert_eq!(answer.status, 400, "{}", chunks.escape_ascii());
            }
            client.expect_close();
        }
    }
    let whole = fake
        .requests()
        .into_iter()
        .filter(|seen| seen.ended == Ended::Whole)
        .count();
    assert_eq!(
        whole,
        0,
        "a broken body arrived as if whole: {:#?}",
        fake.requests()
    );
}

fn a_body_that_holds_a_request_stays_a_body() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let inner = request("GET", "/smuggled", &[], b"");
    let mut client = edge.connect();
    for method in ["POST", "GET", "DELETE"] {
        client.send(&request(method, "/outer", &[], &inner));
        assert_eq!(client.answer_to(method).status, 200);
    }
    let targets: Vec<String> = fake
        .requests()
        .iter()
        .map(|seen| seen.target_text())
        .collect();
    assert_eq!(targets, ["/outer", "/outer", "/outer"]);
    assert!(fake.requests().iter().all(|seen| seen.body == inner));
}

fn pipelined_requests_are_answered_in_order() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        let target = exchange.request.target.clone();
        exchange.answer(200, &[], &target)
    });
    let edge = Edge::before(&fake);
    let targets: Vec<String> = (0..20)
        .map(|n| {
            if n % 2 == 0 {
                format!("/web/{n}")
            } else {
                format!("{}&n={n}", dump_target())
            }
        })
        .collect();
    let mut client = edge.connect();
    let all: Vec<u8> = targets
        .iter()
        .flat_map(|target| {
            request(
                if target.starts_with("/web") {
                    "GET"
                } else {
                    "POST"
                },
                target,
                &[],
                if target.starts_with("/web") {
                    b""
                } else {
                    b"{}\n"
                },
            )
        })
        .collect();
    client.send(&all);
    for target in &targets {
        assert_eq!(client.answer_to("GET").text(), *target);
    }
}

fn http_1_0_is_served() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let mut client = edge.connect();
    client.send(b"GET /old HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer_to("GET").status, 200);
    client.expect_close();
    let mut client = edge.connect();
    client.send(b"POST /old HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
    assert_eq!(client.answer_to("POST").status, 200);
    client.send(b"GET /old/again HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer_to("GET").status, 200);
    assert_eq!(fake.requests()[1].body, b"hello");
    // A length in chunks is none of HTTP/1.0's; who sends it means to confuse.
    let mut client = edge.connect();
    client.send(b"POST /old HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(client.answer_to("POST").status, 400);
    client.expect_close();
    // HTTP/1.1 must name a host.
    let mut client = edge.connect();
    client.send(b"GET /nameless HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer_to("GET").status, 400);
    assert_eq!(fake.requests().len(), 3);
}

fn bodyless_requests_gain_no_framing() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let cron = format!("/api/42/cron/nightly/{KEY}/?status=ok");
    for (number, (method, target)) in [
        ("GET", "/x"),
        ("HEAD", "/x"),
        ("DELETE", "/x"),
        ("GET", cron.as_str()),
    ]
    .into_iter()
    .enumerate()
    {
        edge.ask(method, target, &[], b"");
        let seen = &fake.requests()[number];
        let framing = [
            seen.headers.all("content-length"),
            seen.headers.all("transfer-encoding"),
        ]
        .concat();
        assert!(framing.is_empty(), "{method} {target} gained {framing:?}");
    }
}

fn a_connection_serves_many_requests() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let mut client = edge.connect();
    for number in 0..200 {
        let body = vec![b'x'; number * 37];
        let target = if number % 3 == 0 {
            "/web".to_owned()
        } else {
            dump_target()
        };
        client.send(&request(
            "POST",
            &target,
            &[],
            if number == 0 { b"x" } else { &body },
        ));
        assert_eq!(client.answer_to("POST").status, 200);
    }
    let (accepted, requests) = fake.look(|ledger| (ledger.accepted, ledger.requests.len()));
    assert_eq!(requests, 200);
    assert!(
        accepted <= 4,
        "{accepted} upstream connections for one client's requests in turn"
    );
}

fn garbage_is_answered_and_closed() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let clients: Vec<_> = [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello over TLS\r\n\r\n"[..],
        b"GET /x\r\n\r\n",
        b"GET /x HTTP/9.9\r\nHost: a\r\n\r\n",
        b"G\x00T /x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\n\r\n\r\n\x00\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
    .into_iter()
    .map(|bytes| {
        let mut client: Client = edge.connect();
        client.send(bytes);
        thread::spawn(move || match client.try_answer_to("GET") {
            Ok(answer) => assert!(
                (400..600).contains(&answer.status),
                "{} for {}",
                answer.status,
                bytes.escape_ascii()
            ),
            Err(error) => assert!(
                crate::wire::is_cut(&error),
                "{error} for {}",
                bytes.escape_ascii()
            ),
        })
    })
    .collect();
    for client in clients {
        client.join().unwrap();
    }
    assert!(fake.requests().is_empty(), "{:#?}", fake.requests());
    assert_eq!(edge.post_envelope(&[], b"{}\n").status, 200);
}
