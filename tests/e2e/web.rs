//! Everything that is not an event: uploads, pages and files stream through
//! unchanged, slow clients hold no web worker, and memory stays flat. Never about
//! where requests go, which is the golden table's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::{Client, request};
use crate::edge::Edge;
use crate::exchange::Next;
use crate::parts::promises;
use crate::patterns;
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        large_response_headers_pass_up_to_the_limit,
        answers_cross_unchanged,
        scripts_are_no_downloads,
        answers_without_a_length_cross_whole,
        a_slow_reader_frees_the_upstream,
        bodies_in_the_smallest_chunks_cost_what_they_weigh,
        a_slow_reader_of_much_costs_little_memory,
        web_learns_host_proto_and_id,
    ]
}

fn large_response_headers_pass_up_to_the_limit() {
    let fake = Fake::with(|exchange| {
        let count: usize = exchange
            .request
            .headers
            .one("x-want-kib")
            .unwrap()
            .parse()
            .unwrap();
        let link = "x".repeat(1014);
        // Cookies on many lines, links on one.
        match exchange.request.target_text().as_str() {
            "/many" => {
                let lines: Vec<(&str, &str)> = (0..count / 8).map(|_| ("set-cookie", "")).collect();
                let long = link.repeat(8);
                let lines: Vec<(&str, &str)> = lines
                    .iter()
                    .map(|(name, _)| (*name, long.as_str()))
                    .collect();
                exchange.answer(200, &lines, b"page")
            }
            _ => exchange.answer(200, &[("link", &link.repeat(count))], b"page"),
        }
    });
    let edge = Edge::before(&fake);
    for target in ["/one", "/many"] {
        for kib in ["100", "250", "500"] {
            let answer = edge.ask("GET", target, &[("X-Want-KiB", kib)], b"");
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, "page"),
                "{target} {kib} KiB"
            );
            let bytes: usize = answer
                .headers
                .0
                .iter()
                .filter(|(name, _)| name == "link" || name == "set-cookie")
                .map(|(_, value)| value.len())
                .sum();
            assert!(
                bytes >= 1014 * (kib.parse::<usize>().unwrap() / 8 * 8),
                "{target} {kib} KiB: {bytes} bytes arrive"
            );
        }
        assert_eq!(
            edge.ask("GET", target, &[("X-Want-KiB", "600")], b"")
                .status,
            502,
            "{target}: beyond the limit"
        );
    }
}

/// What a page's answer carries, and must still carry at the client.
const PAGE_HEADERS: &[(&str, &str)] = &[
    ("content-type", "text/html; charset=utf-8"),
    ("location", "http://sentry.example.com/auth/login/?next=%2F"),
    ("content-disposition", "attachment; filename=x"),
    ("content-encoding", "gzip"),
    ("etag", "W/\"x\""),
    ("access-control-allow-origin", "https://shop.example"),
    ("x-custom", "caf\u{e9}"),
];

const COOKIES: [&str; 2] = ["sentrysid=a; HttpOnly; Path=/", "sc=b"];

const PAGE: &[u8] = b"\x1f\x8bbody";

/// A fake whose pages carry all of these, and headers that end at this hop.
fn page_fake() -> Fake {
    Fake::with(|exchange| {
        exchange.read_body()?;
        let hop = [
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=15"),
        ];
        let cookies = COOKIES.map(|cookie| ("set-cookie", cookie));
        let wanted = exchange.request.headers.one("x-want").unwrap();
        exchange.answer(
            wanted.parse().unwrap(),
            &[PAGE_HEADERS, &cookies, &hop].concat(),
            PAGE,
        )
    })
}

fn answers_cross_unchanged() {
    let fake = page_fake();
    let edge = Edge::before(&fake);
    for (method, status) in [
        ("GET", 200),
        ("HEAD", 200),
        ("GET", 302),
        ("GET", 404),
        ("POST", 500),
        ("GET", 418),
        ("PROPFIND", 207),
    ] {
        let answer = edge.ask(method, "/page", &[("X-Want", &status.to_string())], b"");
        assert_eq!(answer.status, status, "{method}");
        assert_eq!(answer.headers.all("set-cookie"), COOKIES);
        for (name, want) in [PAGE_HEADERS, &[("content-length", "6")]].concat() {
            let got = answer.header(name);
            assert_eq!(got.as_deref(), Some(want), "{method} {status}: {name}");
        }
        let hop = [
            answer.headers.all("x-hop"),
            answer.headers.all("keep-alive"),
        ]
        .concat();
        assert!(hop.is_empty(), "{hop:?} crossed");
        let body = if method == "HEAD" { b"" } else { PAGE };
        assert_eq!(answer.body, body);
    }
}

fn scripts_are_no_downloads() {
    let fake = page_fake();
    let edge = Edge::before(&fake);
    for target in ["/_static/1/app.js", "/_assets/app.js"] {
        let answer = edge.ask("GET", target, &[("X-Want", "200")], b"");
        assert_eq!(answer.header("content-disposition"), None, "{target}");
    }
}

fn answers_without_a_length_cross_whole() {
    let large = patterns::slice(10, 0, 3 << 20);
    let fake = {
        let large = large.clone();
        Fake::with(
            move |exchange| match exchange.request.target_text().as_str() {
                "/chunks" => exchange.answer_chunked(200, &[], &large),
                "/close" => {
                    exchange.write(b"HTTP/1.1 200 OK\r\n\r\n")?;
                    exchange.write(&large)?;
                    Ok(Next::Close)
                }
                "/old" => {
                    exchange.write(b"HTTP/1.0 200 OK\r\n\r\n")?;
                    exchange.write(&large)?;
                    Ok(Next::Close)
                }
                "/interim" => {
                    exchange.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")?;
                    exchange.answer(200, &[], &large)
                }
                _ => exchange.answer(200, &[], &large),
            },
        )
    };
    let edge = Edge::before(&fake);
    let mut client = edge.connect();
    for target in ["/chunks", "/close", "/old", "/interim", "/length"] {
        client.send(&request("GET", target, &[], b""));
        let answer = client.answer_to("GET");
        assert_eq!(answer.status, 200, "{target}");
        assert!(
            answer.body == large,
            "{target}: {} bytes arrive",
            answer.body.len()
        );
    }
}

fn a_slow_reader_frees_the_upstream() {
    let page = patterns::slice(11, 0, 900 << 10);
    // Small answers wait for each other: so many at once need a connection each.
    let (arrived, wanted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let fake = {
        let (page, arrived, wanted) = (page.clone(), Arc::clone(&arrived), Arc::clone(&wanted));
        Fake::with(move |exchange| {
            if exchange.request.target == b"/large" {
                return exchange.answer(200, &[], &page);
            }
            arrived.fetch_add(1, Ordering::SeqCst);
            let deadline = Instant::now() + HANG;
            while arrived.load(Ordering::SeqCst) < wanted.load(Ordering::SeqCst) {
                assert!(Instant::now() < deadline, "the others never came");
                thread::yield_now();
            }
            exchange.answer(200, &[], b"x")
        })
    };
    let edge = Edge::before(&fake);
    let mut slow: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = Client::connect_narrow(edge.public);
            client.send(&request("GET", "/large", &[], b""));
            client
        })
        .collect();
    fake.wait_for("four large answers", |ledger| {
        (ledger.requests.len() == 4).then_some(())
    });
    // Nobody has read a byte, and yet the connections come free: as many requests at once
    // as there are connections soon find one each.
    let all_were_free = (0..20).any(|_| {
        let connections = fake.look(|ledger| ledger.accepted);
        wanted.fetch_add(connections, Ordering::SeqCst);
        let mut small: Vec<Client> = (0..connections).map(|_| edge.connect()).collect();
        for client in &mut small {
            client.send(&request("GET", "/small", &[], b""));
        }
        assert!(
            small
                .iter_mut()
                .all(|client| client.answer_to("GET").status == 200)
        );
        fake.look(|ledger| ledger.accepted) == connections
    });
    assert!(all_were_free, "slow readers hold their connections");
    for client in &mut slow {
        assert!(client.answer_to("GET").body == page);
    }
}

/// Eight answers of 200 MB, each read ahead by 1 MiB: far above what that takes with all
/// buffers around it, far below what it takes without a limit.
const SLOW_READERS_KIB_MAX: u64 = 64 << 10;

fn a_slow_reader_of_much_costs_little_memory() {
    let fake = Fake::with(|exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n")?;
        let piece = patterns::slice(12, 0, 100_000);
        for _ in 0..2000 {
            exchange.write(&piece)?;
        }
        Ok(Next::KeepAlive)
    });
    let edge = Edge::before(&fake);
    let before = edge.memory_kib("VmRSS");
    let mut slow: Vec<Client> = (0..8)
        .map(|_| {
            let mut client = Client::connect_narrow(edge.public);
            client.send(&request("GET", "/export", &[], b""));
            client
        })
        .collect();
    for client in &mut slow {
        assert_eq!(client.head().unwrap().0, 200);
        client.skip(1_000_000);
    }
    let growth = edge.memory_kib("VmHWM").saturating_sub(before);
    assert!(
        growth < SLOW_READERS_KIB_MAX,
        "eight readers that stopped reading cost {growth} KiB"
    );
    drop(slow);
    fake.wait_for("the edge to let go", |ledger| {
        (ledger.open == 0).then_some(())
    });
}

fn web_learns_host_proto_and_id() {
    let fake = Fake::start();
    let outer = [
        ("Host", "sentry.example.com:8443"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "public.example.com"),
        ("X-Request-Id", "chosen"),
        ("X-Forwarded-For", "203.0.113.9"),
    ];
    let trusting = Edge::before(&fake);
    trusting.ask("GET", "/", &outer, b"");
    let seen = fake.requests().pop().unwrap();
    assert_eq!(
        seen.headers.all("x-forwarded-proto"),
        ["https"],
        "a trusted proxy knows the scheme"
    );
    assert_eq!(seen.headers.all("x-forwarded-host"), ["public.example.com"]);
    assert_eq!(seen.headers.all("host"), ["sentry.example.com:8443"]);
    assert_eq!(seen.headers.all("x-request-id").concat().len(), 32);
    let wary = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"client_ip": {"trusted_proxies": ["10.0.0.0/8"]}}),
    );
    wary.ask("GET", "/", &outer, b"");
    let seen = fake.requests().pop().unwrap();
    assert_eq!(
        seen.headers.all("x-forwarded-proto"),
        ["http"],
        "a stranger does not"
    );
    assert!(
        seen.headers
            .all("x-forwarded-host")
            .iter()
            .all(|host| host != "public.example.com")
    );
    assert_eq!(seen.headers.all("x-forwarded-for"), ["127.0.0.1"]);
    for (policy, want) in [
        ("client", "Sentry.example.com:8443"),
        ("client_without_port", "sentry.example.com"),
        ("target", &fake.address().to_string()),
    ] {
        let edge = Edge::configured(
            &fake.url(),
            &fake.url(),
            json!({"upstream": {"host": policy}}),
        );
        edge.ask("GET", "/", &[("Host", "Sentry.example.com:8443")], b"");
        let seen = fake.requests().pop().unwrap();
        assert_eq!(
            seen.headers.one("host").unwrap().to_lowercase(),
            want.to_lowercase(),
            "{policy}"
        );
    }
}

/// Each chunk was added up with all before it: some hundred thousand of a byte each
/// kept a worker busy for minutes.
fn bodies_in_the_smallest_chunks_cost_what_they_weigh() {
    let body = patterns::slice(23, 0, 300_000);
    let mut chunks = Vec::new();
    for byte in &body {
        chunks.extend_from_slice(&[b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    let fake = {
        let chunks = chunks.clone();
        Fake::with(move |exchange| {
            exchange.read_body()?;
            exchange.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            exchange.write(&chunks)?;
            Ok(Next::KeepAlive)
        })
    };
    let edge = Edge::before(&fake);
    let began = Instant::now();
    let mut client = edge.connect();
    let framing = [("Transfer-Encoding", "chunked")];
    client.send(&request("POST", "/web", &framing, b""));
    client.send(&chunks);
    assert!(client.answer_to("POST").body == body);
    assert!(fake.only_request().body == body);
    let took = began.elapsed();
    assert!(took.as_secs() < 20, "{took:?}");
}
