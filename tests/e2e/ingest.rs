//! Events through the edge: who may send them, what crosses with them, and what
//! their sender is told. Never about broken framing, which has a file of its own.

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::{Answer, Lines, ask, request};
use crate::edge::{Edge, KEY, dump_target, envelope_target};
use crate::parts::promises;
use crate::upstream::Fake;
use crate::wire::chunked;

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        refusals_say_what_is_wrong_and_repeat_nothing,
        bodies_arrive_byte_by_byte,
        wrong_methods_get_405_with_those_allowed,
        bodies_over_the_limit_get_413_naming_it,
        reports_of_a_wrong_type_get_415,
        empty_events_get_400,
        upstream_answers_cross_with_their_rate_limits,
        relays_routes_are_for_those_let_in,
        every_request_is_counted_once,
    ]
}

/// The envelope, and an attachment of these bytes.
pub(crate) fn with_attachment(bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{\"type\":\"attachment\",\"length\":{}}}\n", bytes.len());
    [ENVELOPE, header.as_bytes(), bytes].concat()
}

pub(crate) const ENVELOPE: &[u8] =
    b"{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}\n{\"type\":\"event\",\"length\":2}\n{}\n";

#[track_caller]
pub(crate) fn check_status(
    edge: &Edge,
    what: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    want: u16,
) -> Answer {
    let body: &[u8] = if method == "POST" { ENVELOPE } else { b"" };
    let answer = edge.ask(method, target, headers, body);
    assert_eq!(answer.status, want, "{what}: {}", answer.text());
    answer
}

/// What every refusal of an event request carries.
#[track_caller]
pub(crate) fn check_refusal(answer: &Answer) {
    let json = answer.json();
    let detail = json["detail"].as_str().unwrap_or_default();
    assert!(!detail.is_empty(), "no detail in {json}");
    assert!(
        json["causes"].is_null()
            || json["causes"]
                .as_array()
                .is_some_and(|causes| causes.iter().all(|c| c.is_string()))
    );
    assert_eq!(
        answer.header("content-type").as_deref(),
        Some("application/json")
    );
    assert!(
        answer
            .header("x-sentry-error")
            .is_some_and(|error| !error.is_empty()),
        "{:?}",
        answer.headers
    );
    check_cors(answer);
}

#[track_caller]
pub(crate) fn check_cors(answer: &Answer) {
    assert_eq!(
        answer.header("access-control-allow-origin").as_deref(),
        Some("*")
    );
    let exposed = answer
        .header("access-control-expose-headers")
        .unwrap_or_default();
    assert_eq!(exposed, "x-sentry-error,x-sentry-rate-limits,retry-after");
}

fn refusals_say_what_is_wrong_and_repeat_nothing() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let marks = ["zz-evil-mark", "ZZ-EVIL-MARK", "zz%2Devil"];
    for target in [
        "/api/42/store/?sentry_key=zz-evil-mark",
        "/api/42/store/zz-evil-mark?x=zz%2Devil",
    ] {
        let answer = edge.ask(
            "POST",
            target,
            &[("X-Sentry-Auth", "zz-evil-mark")],
            b"zz-evil-mark",
        );
        let whole = format!("{:?}{}", answer.headers, answer.text());
        assert!(
            marks.iter().all(|mark| !whole.contains(mark)) || answer.status == 200,
            "{whole}"
        );
    }
    let log = edge.log.text();
    assert!(
        marks.iter().all(|mark| !log.contains(mark)),
        "the log repeats what a client sent:\n{log}"
    );
}

fn bodies_arrive_byte_by_byte() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let every_byte: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    // An envelope is looked into, and a dump is not.
    let gzip = crate::patterns::gzip(ENVELOPE);
    let large = crate::patterns::slice(1, 0, 3 << 20);
    let large_envelope = with_attachment(&large);
    let (envelope, dump) = (envelope_target(), dump_target());
    let cases: [(&str, &str, Lines<'_>, &[u8]); 7] = [
        (
            "plain",
            &envelope,
            &[("Content-Type", "application/x-sentry-envelope")],
            ENVELOPE,
        ),
        ("gzip", &envelope, &[("Content-Encoding", "gzip")], &gzip),
        ("large envelope", &envelope, &[], &large_envelope),
        ("every byte", &dump, &[], &every_byte),
        ("no gzip", &dump, &[("Content-Encoding", "gzip")], b"x"),
        ("large", &dump, &[], &large),
        ("one byte", &dump, &[], b"x"),
    ];
    for (number, (what, target, headers, body)) in cases.into_iter().enumerate() {
        let answer = edge.ask("POST", target, headers, body);
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let mut client = edge.connect();
        let chunks = [headers, &[("Transfer-Encoding", "chunked")]].concat();
        client.send(&request("POST", target, &chunks, b""));
        client.send(&chunked(body, 5000));
        assert_eq!(client.answer_to("POST").status, 200, "{what} in chunks");
        for seen in &fake.requests()[2 * number..2 * number + 2] {
            assert!(seen.body == body, "{what} became {} bytes", seen.body_bytes);
            for (name, value) in headers {
                assert_eq!(seen.headers.all(name), [*value], "{what}");
            }
        }
    }
}

fn wrong_methods_get_405_with_those_allowed() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for (method, target, allowed) in [
        ("GET", envelope_target(), "POST"),
        ("PUT", format!("/api/42/store/?sentry_key={KEY}"), "POST"),
        ("DELETE", format!("/api/store/?sentry_key={KEY}"), "GET"),
        ("GET", format!("/api/42/security/?sentry_key={KEY}"), "POST"),
        ("PATCH", format!("/api/42/cron/a/{KEY}/"), "GET"),
    ] {
        let answer = edge.ask(method, &target, &[], b"");
        assert_eq!(answer.status, 405, "{method} {target}");
        check_refusal(&answer);
        let allow = answer.header("allow").unwrap_or_default();
        assert!(
            allow.contains(allowed) && allow.contains("OPTIONS"),
            "{target} allows {allow}"
        );
    }
    assert!(fake.requests().is_empty());
}

fn bodies_over_the_limit_get_413_naming_it() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"limits": {"bodies": {"ingest": "1000", "web": "2000"}}}),
    );
    for (target, limit, named) in [
        (dump_target(), 1000, "limits.bodies.ingest"),
        ("/x".to_owned(), 2000, "limits.bodies.web"),
    ] {
        let (fits, over) = (vec![b'x'; limit], vec![b'x'; limit + 1]);
        assert_eq!(
            edge.ask("POST", &target, &[], &fits).status,
            200,
            "{target}: the limit itself"
        );
        let answer = edge.ask("POST", &target, &[], &over);
        assert_eq!(answer.status, 413, "{target}");
        assert!(answer.text().contains(named), "{}", answer.text());
        assert!(answer.header("x-sentry-error").is_some());
        let mut client = edge.connect();
        client.send(&request(
            "POST",
            &target,
            &[("Transfer-Encoding", "chunked")],
            b"",
        ));
        client.send(&chunked(&over, 100));
        assert_eq!(client.answer_to("POST").status, 413, "{target} in chunks");
    }
    let whole: Vec<u64> = fake
        .requests()
        .iter()
        .filter(|seen| seen.ended == crate::upstream::Ended::Whole)
        .map(|seen| seen.body_bytes)
        .collect();
    assert_eq!(whole, [1000, 2000], "a body over the limit arrived");
}

fn reports_of_a_wrong_type_get_415() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for (path, content_type, want) in [
        ("security", "application/csp-report", 200),
        ("csp-report", "application/reports+json", 200),
        ("security", "text/plain", 415),
        ("nel", "application/reports+json; charset=utf-8", 200),
        ("nel", "text/html", 415),
        ("otlp/v1/traces", "application/x-protobuf", 200),
        ("otlp/v1/traces", "text/plain", 415),
        ("envelope", "text/plain;charset=UTF-8", 200),
    ] {
        let target = format!("/api/42/{path}/?sentry_key={KEY}");
        let answer = check_status(
            &edge,
            path,
            "POST",
            &target,
            &[("Content-Type", content_type)],
            want,
        );
        if want != 200 {
            check_refusal(&answer);
        }
    }
}

fn empty_events_get_400() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for target in [
        envelope_target(),
        format!("/api/42/store/?sentry_key={KEY}"),
    ] {
        let answer = edge.ask("POST", &target, &[], b"");
        assert_eq!(answer.status, 400, "{target}");
        check_refusal(&answer);
    }
    assert!(fake.requests().is_empty());
}

fn upstream_answers_cross_with_their_rate_limits() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        let status = exchange
            .request
            .headers
            .one("x-want")
            .unwrap()
            .parse()
            .unwrap();
        let limits = [
            ("X-Sentry-Rate-Limits", "60:error:key"),
            ("Retry-After", "60"),
            ("Content-Type", "application/json"),
        ];
        exchange.answer(status, &limits, b"{\"detail\":\"told\"}")
    });
    let edge = Edge::before(&fake);
    // Each to a project of its own: what is told is learned.
    for (project, status) in (1..).zip(["200", "201", "202", "400", "403", "429", "500"]) {
        let target = crate::senders::target(project, KEY);
        let answer = edge.ask("POST", &target, &[("X-Want", status)], ENVELOPE);
        assert_eq!(answer.status.to_string(), status, "{}", answer.text());
        assert_eq!(
            answer.header("x-sentry-rate-limits").as_deref(),
            Some("60:error:key")
        );
        assert_eq!(answer.header("retry-after").as_deref(), Some("60"));
        assert_eq!(answer.text(), "{\"detail\":\"told\"}");
        check_cors(&answer);
    }
}

fn relays_routes_are_for_those_let_in() {
    let fake = Fake::start();
    let target = "/api/0/relays/projectconfigs/?version=3";
    for (mode, outside, inside) in [("all", 200, 200), ("internal", 403, 200), ("off", 404, 404)] {
        let edge = Edge::configured(&fake.url(), &fake.url(), json!({"serve_relays": mode}));
        let answer = edge.ask("POST", target, &[("X-Forwarded-For", "203.0.113.9")], b"{}");
        assert_eq!(
            answer.status,
            outside,
            "{mode} from outside: {}",
            answer.text()
        );
        assert_eq!(
            edge.ask("POST", target, &[], b"{}").status,
            inside,
            "{mode} from inside"
        );
        let odd = edge.ask(
            "POST",
            "/api//0/%72elays/live/",
            &[("X-Forwarded-For", "203.0.113.9")],
            b"{}",
        );
        assert_eq!(odd.status, outside, "{mode}: an odd path is no way around");
    }
}

fn every_request_is_counted_once() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for _ in 0..3 {
        edge.post_envelope(&[], ENVELOPE);
    }
    edge.ask("POST", "/api/42/store/", &[], ENVELOPE);
    edge.ask("GET", "/", &[], b"");
    edge.ask("GET", "/api/relay/x", &[], b"");
    let counted = |labels: &[&str]| edge.metric("vidette_requests_total", labels);
    edge.wait_metric("vidette_requests_total", &[], 6.0);
    assert_eq!(
        counted(&[
            "route=\"ingest\"",
            "outcome=\"forwarded\"",
            "status=\"200\""
        ]),
        3.0
    );
    assert_eq!(
        counted(&["route=\"ingest\"", "outcome=\"refused\"", "status=\"401\""]),
        1.0
    );
    assert_eq!(
        counted(&["route=\"web\"", "outcome=\"forwarded\"", "status=\"200\""]),
        1.0
    );
    assert_eq!(counted(&["outcome=\"refused\"", "status=\"404\""]), 1.0);
    assert_eq!(counted(&[]), 6.0);
    assert_eq!(
        edge.metric(
            "vidette_upstream_requests_total",
            &["upstream=\"ingest\"", "outcome=\"ok\""]
        ),
        3.0
    );
    assert_eq!(
        ask(
            edge.admin,
            "GET",
            "/health/live",
            &[("Host", "localhost")],
            b""
        )
        .status,
        200
    );
}
