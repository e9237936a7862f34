//! The golden table's rows about methods, headers and bodies.

use super::paths::NO_REDIRECT;
use super::row::{Lands, Row, event, relay, row, web};

pub(crate) fn refused_at_the_edge() -> Vec<Row> {
    vec![
        relay("POST", "/api/42/store/")
            .body(b"{}")
            .unlike(Lands::Answered(401), "no key: Relay would say the same"),
        event("POST", "/api/99999999999999999999999/envelope/").unlike(
            Lands::Answered(400),
            "no project has this number: Relay would say the same",
        ),
        event("GET", "/api/42/envelope/").unlike(
            Lands::Answered(405),
            "not this endpoint's method: Relay would say the same",
        ),
        event("PUT", "/api/42/store/").unlike(
            Lands::Answered(405),
            "not this endpoint's method: Relay would say the same",
        ),
        event("PROPFIND", "/api/42/store/").unlike(
            Lands::Answered(405),
            "not this endpoint's method: Relay would say the same",
        ),
        event("POST", "/api/42/nel/")
            .with("Content-Type", "text/html")
            .unlike(
                Lands::Answered(415),
                "not this endpoint's type: Relay would say the same",
            ),
        relay("OPTIONS", "/api/42/envelope/")
            .with("Origin", "https://shop.example")
            .with("Access-Control-Request-Method", "POST")
            .unlike(
                Lands::Answered(200),
                "the preflight is answered at the edge, with Relay's answer",
            ),
        web("GET", "/api/relay/healthcheck/live/")
            .unlike(Lands::Answered(404), "Relay's own routes are not public"),
        web("GET", "/api/%72elay//healthcheck/ready/")
            .unlike(Lands::Answered(404), "Relay's own routes are not public"),
    ]
}

pub(crate) fn relays() -> Vec<Row> {
    vec![
        relay("GET", "/api/0/relays/live/"),
        relay("POST", "/api/0/relays/projectconfigs/?version=3")
            .with("X-Sentry-Relay-Id", "5d9f")
            .body(b"{\"publicKeys\":[]}"),
        relay("GET", "/api/0/%72elays/live/"),
        relay("GET", "/api//0/./relays/live/"),
        row(Lands::Answered(301), "GET", "/api/0/relays").unlike(Lands::Web, NO_REDIRECT),
        row(Lands::Answered(301), "GET", "/api/store").unlike(Lands::Web, NO_REDIRECT),
    ]
}

pub(crate) fn web_api() -> Vec<Row> {
    vec![
        web("GET", "/api/42"),
        web("GET", "/api/042/envelope/"),
        web("GET", "/api/0/organizations/acme/"),
        web("GET", "/api/0/projects/acme/shop/releases/v1%2F2%2e0/files/?per_page=10&cursor=0:0:0"),
        web("GET", "/API/42/store/"),
        web("GET", "/api/"),
        web("GET", "/api"),
        web("GET", "/api/42x/envelope/"),
        web("GET", "/api/-42/envelope/"),
        web("GET", "/api/0/organizations/acme/chunk-upload/").with("Authorization", "Bearer sntrys_abc"),
        web("POST", "/api/0/organizations/acme/chunk-upload/")
            .with("Content-Type", "multipart/form-data; boundary=x")
            .with("Content-Encoding", "gzip")
            .with("Authorization", "Bearer sntrys_abc")
            .body(b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"00\"\r\n\r\n\x1f\x8b\r\n--x--\r\n"),
        web("PUT", "/api/0/projects/acme/shop/").with("Content-Type", "application/json").body(b"{\"name\":\"x\"}"),
        web("PATCH", "/api/0/issues/1/").body(b"{}"),
        web("DELETE", "/api/0/issues/?id=1&id=2"),
        web("DELETE", "/api/0/issues/").body(b"{\"id\":[1]}"),
        web("HEAD", "/_health/"),
        web("OPTIONS", "/api/0/organizations/"),
        web("PROPFIND", "/dav/"),
        web("GET", "/api/embed/error-page/?dsn=https%3A%2F%2Fabc%40sentry.example.com%2F42&eventId=1"),
    ]
}

pub(crate) fn headers() -> Vec<Row> {
    vec![
        web("GET", "/h/case")
            .with("x-CuStOm-HeAdEr", "MiXeD Value")
            .with("ACCEPT", "*/*"),
        web("GET", "/h/cookies").with("Cookie", "sentrysid=a; sc=b"),
        web("GET", "/h/port").with("Host", "sentry.example.com:8443"),
        web("GET", "/h/v6").with("Host", "[2001:db8::1]:9000"),
        web("GET", "/h/upper").with("Host", "Sentry.Example.COM"),
        web("GET", "/h/twice")
            .with("X-Twice", "one")
            .with("X-Twice", "two"),
        web("GET", "/h/empty")
            .with("X-Empty", "")
            .with("Referer", "http://a/?b=c d"),
        web("GET", "/h/bytes").with_bytes("X-Bytes", b"caf\xe9\ttab \xc3\xbc"),
        web("GET", "/h/underscore")
            .with("X_Forwarded_For", "6.6.6.6")
            .with("REMOTE_USER", "admin"),
        web("GET", "/h/hop")
            .with("Connection", "x-listed")
            .with("X-Listed", "1")
            .with("Keep-Alive", "timeout=5"),
        web("GET", "/h/te")
            .with("TE", "trailers")
            .with("Trailer", "x")
            .with("Proxy-Connection", "keep-alive"),
        web("GET", "/h/upgrade")
            .with("Connection", "Upgrade")
            .with("Upgrade", "websocket"),
        web("GET", "/h/proxy").with("Proxy", "http://evil.example"),
        web("GET", "/h/conditional")
            .with("If-None-Match", "W/\"x\"")
            .with("Range", "bytes=0-1")
            .with("Accept-Encoding", "gzip, br")
            .with("User-Agent", "Mozilla/5.0 (X11; Linux)"),
        web("GET", "/h/xff").with("X-Forwarded-For", "203.0.113.9"),
        web("GET", "/h/chain").with("X-Forwarded-For", "6.6.6.6, 203.0.113.9, 10.1.2.3"),
        web("GET", "/h/chain/private").with("X-Forwarded-For", "10.9.9.9, 10.1.2.3"),
        web("GET", "/h/lines")
            .with("X-Forwarded-For", "6.6.6.6")
            .with("X-Forwarded-For", "203.0.113.9"),
        web("GET", "/h/id").with("X-Request-Id", "chosen-by-the-client"),
        web("GET", "/h/vendor")
            .with("CF-Connecting-IP", "6.6.6.6")
            .with("X-Real-IP", "6.6.6.6")
            .with("Forwarded", "for=6.6.6.6")
            .with("X-Sentry-Forwarded-For", "6.6.6.6")
            .with("X-Vercel-Forwarded-For", "6.6.6.6"),
        web("GET", "/h/long").with("X-Long", &"y".repeat(7000)),
        web("GET", "/h/huge")
            .with("Cookie", &"c=".repeat(10_000))
            .unlike_head(400),
        event("POST", "/api/42/envelope/?h=1")
            .with("X-Forwarded-For", "203.0.113.9")
            .with("Origin", "https://shop.example")
            .with("Referer", "https://shop.example/cart")
            .with("Sec-CH-UA", "\"Chromium\";v=\"120\"")
            .with("User-Agent", "Mozilla/5.0")
            .with("Content-Type", "text/plain;charset=UTF-8"),
        event("POST", "/api/42/envelope/?h=2")
            .with("Cookie", "sentrysid=a")
            .with("CF-Connecting-IP", "6.6.6.6")
            .with("X-Sentry-Forwarded-For", "6.6.6.6")
            .with("X-Vercel-Forwarded-For", "6.6.6.6")
            .with("X-Real-IP", "6.6.6.6"),
        event("POST", "/api/42/envelope/?h=3").with("Authorization", "Bearer page-token"),
        event("POST", "/api/42/envelope/?h=4")
            .with("traceparent", "00-1-2-01")
            .with("X_Underscore", "1"),
    ]
}

pub(crate) fn bodies() -> Vec<Row> {
    let gzip = crate::patterns::gzip(b"{}\n");
    vec![
        web("POST", "/b/length").body(b"name=value"),
        web("POST", "/b/empty"),
        web("POST", "/b/chunked")
            .in_chunks()
            .body(b"twenty bytes of text"),
        web("POST", "/b/chunked/empty").in_chunks(),
        web("GET", "/b/get").body(b"a GET with a body"),
        event("POST", "/api/42/envelope/?b=1")
            .in_chunks()
            .body(b"{\"event_id\":\"0\"}\n{\"type\":\"x\"}\n\n"),
        event("POST", "/api/42/envelope/?b=2")
            .with("Content-Encoding", "gzip")
            .body(&gzip),
        event("POST", "/api/42/something/?b=3").body(&(0..=255).collect::<Vec<u8>>()),
        event("POST", "/api/42/store/?b=4")
            .with("Content-Type", "application/x-www-form-urlencoded")
            .body(b"eJyrrgUAAXUA+Q=="),
        event("POST", "/api/42/something/?b=5").body(b""),
    ]
}
