//! What browsers need: the preflight's answer, and CORS headers on every other,
//! once.

use libtest_mimic::Trial;
use serde_json::json;

use crate::edge::Edge;
use crate::ingest::{ENVELOPE, check_cors, check_refusal};
use crate::parts::promises;
use crate::upstream::{Fake, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        cors_headers_are_replaced_never_doubled,
        preflight_is_answered_without_the_upstream,
        what_is_refused_before_its_route_is_known_can_be_read,
    ]
}

fn cors_headers_are_replaced_never_doubled() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        let headers = [
            ("Access-Control-Allow-Origin", "https://evil.example"),
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "x-other"),
            ("access-control-allow-credentials", "true"),
            ("vary", "accept-encoding"),
        ];
        exchange.answer(200, &headers, b"{}")
    });
    let edge = Edge::before(&fake);
    for headers in [&[][..], &[("Origin", "https://shop.example")]] {
        let answer = edge.post_envelope(headers, ENVELOPE);
        assert_eq!(answer.status, 200);
        check_cors(&answer);
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        let vary = answer.headers.all("vary").join(", ").to_lowercase();
        assert!(vary.contains("origin"), "vary: {vary}");
    }
    let dead = Silent::reserve();
    let edge = Edge::configured(&dead.url(), &dead.url(), json!({}));
    let answer = edge.post_envelope(&[("Origin", "https://shop.example")], ENVELOPE);
    assert!(answer.status >= 500, "{}", answer.status);
    check_cors(&answer);
}

fn preflight_is_answered_without_the_upstream() {
    let dead = Silent::reserve();
    let edge = Edge::configured(&dead.url(), &dead.url(), json!({}));
    let headers = [
        ("Origin", "https://shop.example"),
        ("Access-Control-Request-Method", "POST"),
        (
            "Access-Control-Request-Headers",
            "content-type,x-sentry-auth",
        ),
    ];
    for target in [
        "/api/42/envelope/",
        "/api/42/store/?sentry_key=x",
        "/api/store/",
        "/api/42/something/new/",
    ] {
        let answer = edge.ask("OPTIONS", target, &headers, b"");
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        assert_eq!(answer.body, b"", "{target}");
        for (name, want) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "POST"),
            (
                "access-control-allow-headers",
                "x-sentry-auth,x-requested-with,x-forwarded-for,origin,referer,accept,content-type,authentication,\
                 authorization,content-encoding,transfer-encoding",
            ),
            ("access-control-max-age", "3600"),
            (
                "vary",
                "origin, access-control-request-method, access-control-request-headers",
            ),
        ] {
            assert_eq!(
                answer.header(name).as_deref(),
                Some(want),
                "{target}: {name}"
            );
        }
    }
}

/// Such answers had no CORS headers, and a page saw a failed fetch in their place.
fn what_is_refused_before_its_route_is_known_can_be_read() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let answer = edge.ask("POST", "/api/42/envelope/%00", &[], ENVELOPE);
    assert_eq!(answer.status, 400, "{}", answer.text());
    check_refusal(&answer);
    for lines in [
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
    ] {
        let mut client = edge.connect();
        client.send(format!("POST /api/42/envelope/ HTTP/1.1\r\n{lines}\r\n").as_bytes());
        let answer = client.answer_to("POST");
        assert!(matches!(answer.status, 400 | 501), "{lines}");
        assert_eq!(
            answer.header("access-control-allow-origin").as_deref(),
            Some("*"),
            "{lines}"
        );
    }
}
