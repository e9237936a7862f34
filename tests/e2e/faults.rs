//! What breaks: clients that leave, upstreams that are down, hang, reset, lie or
//! answer early. An event whose body was whole is never lost with its client, and
//! half a body never arrives as if it were whole.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::{Answer, request};
use crate::edge::{Edge, dump_target, envelope_target};
use crate::exchange::Next;
use crate::parts::promises;
use crate::patterns;
use crate::upstream::{Fake, HANG, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        an_early_answer_reaches_the_client,
        an_early_success_is_not_passed_on_for_an_event,
        a_reused_connection_that_closes_is_retried_once,
        what_may_have_been_done_is_not_done_twice,
        a_fresh_connection_that_closes_is_not_retried,
        a_reset_upstream_is_told_as_502,
        an_upstream_that_is_down_is_told_in_json,
        an_upstream_that_comes_back_is_used_again,
        a_hung_upstream_is_given_up,
        an_answer_cut_short_never_looks_whole,
        nonsense_from_upstream_is_told_as_502,
        idle_connections_are_not_used_after_their_time,
        a_head_that_never_ends_is_cut_off,
    ]
}

/// JSON with a detail, an error status, and nothing about addresses.
#[track_caller]
fn check_failure(answer: &Answer, statuses: &[u16]) {
    assert!(
        statuses.contains(&answer.status),
        "{}: {}",
        answer.status,
        answer.text()
    );
    assert!(
        answer.json()["detail"]
            .as_str()
            .is_some_and(|detail| !detail.is_empty()),
        "{}",
        answer.text()
    );
    assert!(
        !answer.text().contains("127.0.0.1"),
        "an address inside leaks: {}",
        answer.text()
    );
}

fn an_early_answer_reaches_the_client() {
    let told = b"{\"detail\":\"too large upstream\"}";
    let fake = Fake::with(|exchange| {
        let headers = [
            ("content-type", "application/json"),
            ("connection", "close"),
        ];
        exchange.answer(413, &headers, told)?;
        exchange.hold()
    });
    let edge = Edge::before(&fake);
    let mut client = edge.connect();
    let announced = [("Content-Length", "50000000")];
    client.send(&request("POST", &dump_target(), &announced, b""));
    // Sends until it hears something, and never the end of its body.
    let mut sent = 0;
    let piece = vec![b'x'; 64 << 10];
    while sent < 40_000_000 && client.try_send(&piece).is_ok() {
        sent += piece.len();
        if client.hears_within(Duration::from_millis(1)) {
            break;
        }
    }
    let answer = client.answer_to("POST");
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (413, told.as_slice())
    );
    // Web is asked only when the body is here; it may still answer before reading it.
    let answer = edge.ask("POST", "/web", &[], &patterns::slice(9, 0, 5_000_000));
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (413, told.as_slice())
    );
    // Neither connection is used again.
    let after = [
        edge.post_envelope(&[], b"{}\n"),
        edge.ask("GET", "/web", &[], b""),
    ];
    assert!(after.iter().all(|answer| answer.status == 413));
    let connections: Vec<usize> = fake.requests().iter().map(|seen| seen.connection).collect();
    assert_eq!(
        connections,
        [0, 1, 2, 3],
        "a connection with an unfinished body was used again"
    );
}

fn an_early_success_is_not_passed_on_for_an_event() {
    let fake = Fake::with(|exchange| {
        exchange.answer(
            200,
            &[("content-type", "application/json")],
            b"{\"id\":\"0123456789abcdef0123456789abcdef\"}",
        )?;
        exchange.hold()
    });
    let edge = Edge::before(&fake);
    let mut client = edge.connect();
    client.send(&request(
        "POST",
        &dump_target(),
        &[("Content-Length", "4000000")],
        b"",
    ));
    drop(client.try_send(&patterns::slice(8, 0, 3_000_000)));
    let answer = client.answer_to("POST");
    check_failure(&answer, &[502, 503]);
}

/// A fake that closes each connection when its second request comes.
fn closing_fake() -> Fake {
    Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")?;
        Ok(Next::CloseOnNextRequest)
    })
}

fn a_reused_connection_that_closes_is_retried_once() {
    let fake = closing_fake();
    let edge = Edge::before(&fake);
    let mut client = edge.connect();
    for round in 0..2 {
        for (method, target) in [("POST", envelope_target()), ("GET", "/web".to_owned())] {
            let body: &[u8] = if method == "POST" {
                b"{\"x\":1}\n"
            } else {
                b""
            };
            client.send(&request(method, &target, &[], body));
            let answer = client.answer_to(method);
            assert_eq!(answer.status, 200, "{method} {round}: {}", answer.text());
        }
    }
    let seen = fake.requests();
    assert_eq!(seen.len(), 4, "{seen:#?}");
    assert_eq!(seen[2].body, b"{\"x\":1}\n");
    let retried = edge.metric(
        "vidette_upstream_requests_total",
        &["outcome=\"reused_closed\""],
    );
    assert_eq!(retried, 2.0, "retries are counted");
}

fn what_may_have_been_done_is_not_done_twice() {
    let fake = closing_fake();
    let edge = Edge::before(&fake);
    assert_eq!(edge.ask("POST", "/transfer", &[], b"x").status, 200);
    // Web may have acted before its connection broke: a form is never posted twice.
    check_failure(&edge.ask("POST", "/transfer", &[], b"x"), &[502]);
    assert_eq!(
        fake.look(|ledger| (ledger.accepted, ledger.requests.len())),
        (1, 1)
    );
}

fn a_fresh_connection_that_closes_is_not_retried() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        Ok(Next::Close)
    });
    let edge = Edge::before(&fake);
    for target in [envelope_target(), "/web".to_owned()] {
        check_failure(&edge.ask("POST", &target, &[], b"{}\n"), &[502, 503]);
    }
    assert_eq!(
        fake.requests().len(),
        2,
        "a request was sent again on a connection that was not reused"
    );
}

fn a_reset_upstream_is_told_as_502() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.reset()
    });
    let edge = Edge::before(&fake);
    for (method, target) in [
        ("POST", envelope_target()),
        ("POST", "/web".to_owned()),
        ("GET", "/web".to_owned()),
    ] {
        let body: &[u8] = if method == "POST" { b"{}\n" } else { b"" };
        check_failure(&edge.ask(method, &target, &[], body), &[502, 503]);
    }
}

fn an_upstream_that_is_down_is_told_in_json() {
    let down = Silent::reserve();
    let edge = Edge::configured(&down.url(), &down.url(), json!({}));
    let mut client = edge.connect();
    for (method, target) in [
        ("POST", envelope_target()),
        ("GET", "/web".to_owned()),
        ("POST", "/web".to_owned()),
    ] {
        let body: &[u8] = if method == "POST" { b"{}\n" } else { b"" };
        client.send(&request(method, &target, &[], body));
        let answer = client.answer_to(method);
        check_failure(&answer, &[502, 503]);
        if target.starts_with("/api") {
            assert!(answer.header("x-sentry-error").is_some());
            assert_eq!(
                answer.header("access-control-allow-origin").as_deref(),
                Some("*")
            );
        }
    }
    assert_eq!(edge.admin_get("/health/live").status, 200);
}

fn an_upstream_that_comes_back_is_used_again() {
    let down = Silent::reserve();
    let edge = Edge::configured(&down.url(), &down.url(), json!({}));
    check_failure(&edge.post_envelope(&[], b"{}\n"), &[502, 503]);
    check_failure(&edge.ask("GET", "/", &[], b""), &[502, 503]);
    let fake = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    assert_eq!(edge.post_envelope(&[], b"{}\n").status, 200);
    assert_eq!(edge.ask("GET", "/", &[], b"").status, 200);
    assert_eq!(fake.requests().len(), 2);
}

fn a_hung_upstream_is_given_up() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.hold()
    });
    let timeouts =
        json!({"upstream": {"timeouts": {"ingest": "1s", "web": "1s"}, "ingest_deadline": "1s"}});
    let edge = Edge::configured(&fake.url(), &fake.url(), timeouts);
    for (method, target) in [("POST", envelope_target()), ("GET", "/web".to_owned())] {
        let body: &[u8] = if method == "POST" { b"{}\n" } else { b"" };
        check_failure(&edge.ask(method, &target, &[], body), &[502, 503, 504]);
    }
    fake.wait_for("the edge to let go of both connections", |ledger| {
        (ledger.accepted == 2 && ledger.open == 0).then_some(())
    });
}

fn an_answer_cut_short_never_looks_whole() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        let target = exchange.request.target_text();
        match target.contains("chunks") {
            true => exchange
                .write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")?,
            false => exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello")?,
        }
        Ok(Next::Close)
    });
    let edge = Edge::before(&fake);
    for target in [
        envelope_target(),
        format!("{}&chunks=1", envelope_target()),
        "/web".to_owned(),
        "/web/chunks".to_owned(),
    ] {
        let mut client = edge.connect();
        client.send(&request("POST", &target, &[], b"{}\n"));
        match client.try_answer_to("POST") {
            Ok(answer) => assert!(
                answer.status >= 500,
                "{target}: half an answer looks whole: {answer:?}"
            ),
            Err(error) => assert!(crate::wire::is_cut(&error), "{target}: {error}"),
        }
    }
}

fn nonsense_from_upstream_is_told_as_502() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")?;
        Ok(Next::Close)
    });
    let edge = Edge::before(&fake);
    for (method, target) in [("POST", envelope_target()), ("GET", "/web".to_owned())] {
        let body: &[u8] = if method == "POST" { b"{}\n" } else { b"" };
        check_failure(&edge.ask(method, &target, &[], body), &[502, 503]);
    }
}

fn idle_connections_are_not_used_after_their_time() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")?;
        exchange.idle_at_most(HANG)?;
        Ok(Next::KeepAlive)
    });
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"upstream": {"idle": {"ingest": "1s", "web": "1s"}}}),
    );
    assert_eq!(edge.post_envelope(&[], b"{}\n").status, 200);
    assert_eq!(edge.ask("GET", "/", &[], b"").status, 200);
    fake.wait_for("idle connections to be closed by the edge", |ledger| {
        (ledger.open == 0).then_some(())
    });
    assert_eq!(edge.post_envelope(&[], b"{}\n").status, 200);
}

fn a_head_that_never_ends_is_cut_off() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"limits": {"head_timeout": "1s", "body_idle": "1s", "keep_alive": "1s"}}),
    );
    // Silent, amid its head, amid its body, idle after an answer.
    for sent in [
        &b""[..],
        b"GET /x HTTP/1.1\r\nHost: a\r\nX-Long: ",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe",
    ] {
        let mut client = edge.connect();
        client.send(sent);
        if let Ok(answer) = client.try_answer_to("POST") {
            assert!(matches!(answer.status, 408 | 400), "{}", answer.status);
        }
        client.expect_close();
    }
    let mut client = edge.connect();
    client.send(&request("GET", "/x", &[], b""));
    assert_eq!(client.answer_to("GET").status, 200);
    client.expect_close();
}
