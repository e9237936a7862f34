//! The golden table's rows about paths: endpoints, odd spellings, files.

use super::heads::{bodies, headers, refused_at_the_edge, relays, web_api};
use super::row::{Lands, Row, Unlike, event, relay, row, web};
use crate::edge::KEY;

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let groups = [
        endpoints(),
        odd_ingest(),
        refused_at_the_edge(),
        relays(),
        web_api(),
        odd_targets(),
        assets(),
        headers(),
        bodies(),
    ];
    groups.into_iter().flatten().collect()
}

fn endpoints() -> Vec<Row> {
    let auth = format!("Sentry sentry_version=7, sentry_client=raven/1, sentry_key={KEY}");
    vec![
        event("POST", "/api/42/envelope/"),
        event("POST", "/api/42/store/"),
        event("GET", "/api/42/store/?sentry_data=e30%3D"),
        event("POST", "/api/store/"),
        event("GET", "/api/store/?sentry_data=e30="),
        event("POST", "/api/42/security/").with("Content-Type", "application/csp-report"),
        event("POST", "/api/42/csp-report/?sentry_release=a%20b")
            .with("Content-Type", "application/csp-report"),
        event("POST", "/api/42/nel/").with("Content-Type", "application/reports+json"),
        event("POST", "/api/42/minidump/").with("Content-Type", "multipart/form-data; boundary=x"),
        event("POST", "/api/42/minidump").with("Content-Type", "application/x-dmp"),
        relay(
            "POST",
            format!("/api/42/unreal/{KEY}/?UserID=a%7Cb&AppVersion=1.0"),
        )
        .body(b"\x01\x00\xff"),
        event(
            "POST",
            "/api/42/events/0123456789abcdef0123456789abcdef/attachments/",
        ),
        relay("GET", format!("/api/42/cron/nightly/{KEY}/?status=ok")),
        event("POST", "/api/42/cron/nightly?status=in_progress"),
        relay("POST", "/api/42/upload/")
            .with("X-Sentry-Auth", &auth)
            .with("Upload-Length", "5"),
        relay(
            "PATCH",
            "/api/42/upload/ab-c/?length=5&signature=x-y_z%3D%3D",
        )
        .with("Tus-Resumable", "1.0.0")
        .body(b"hello"),
        relay("POST", "/api/42/integration/otlp/v1/traces")
            .with("x-sentry-auth", &auth)
            .with("Content-Type", "application/x-protobuf")
            .body(b"\x0a\x00"),
        event("POST", "/api/42/otlp/v1/traces/").with("Content-Type", "application/json"),
        event("POST", "/api/42/integration/vercel/logs/"),
        event("POST", "/api/42/playstation/"),
        relay("POST", "/api/42/envelope/")
            .with("Authorization", &auth)
            .body(b"{}\n"),
    ]
}

fn odd_ingest() -> Vec<Row> {
    vec![
        event("POST", "/api/42/something/new/"),
        event("PUT", "/api/42/something/new/"),
        event("DELETE", "/api/42/something/new"),
        event("POST", "/api/42/envelope"),
        event("GET", "/api/42/"),
        event("POST", "//api//42//envelope/"),
        event("POST", "//api//1//store/"),
        event("POST", "/api/%34%32/envelope/"),
        event("POST", "/api/42%2Fenvelope%2F"),
        event("POST", "/api/42/%65nvelope/"),
        event("POST", "/api/./42/envelope/"),
        event("POST", "/api/0/../42/envelope/"),
        event("POST", "/api/42/x/%2e%2E/envelope/"),
        event("POST", "/api/18446744073709551615/envelope/"),
        event("POST", "/api/1000000/envelope/"),
        relay("POST", format!("/api/42/envelope/?sentry_version=7&sentry_client=a%2Fb&x=%2f;|{{}}&sentry_key={KEY}")).body(b"{}\n"),
    ]
}

fn odd_targets() -> Vec<Row> {
    vec![
        web("GET", "/"),
        web("GET", "/?"),
        web("GET", "/path?"),
        web("GET", "/?a=%2f&b"),
        web("GET", "/?a;b|c{d}[e]^f`g\\h"),
        web("GET", "/search?q=a+b%20c&q=&&=x"),
        web("GET", "/?x=??/../y"),
        web("GET", "/\u{fc}bersicht/"),
        web("GET", "/?q=\u{65e5}\u{672c}"),
        web("GET", b"/?q=caf\xe9").unlike(Lands::Answered(400), NO_UTF_8),
        web("GET", b"/caf\xe9/").unlike(Lands::Answered(400), NO_UTF_8),
        web("GET", "/a|b{c}\"d"),
        web("GET", "/a;p=1/b,c=2/~x/@y/:z/!$&'()*+"),
        web("GET", "/a%2Fb%20c%25d"),
        web("GET", "/%252e%252e/x"),
        web("GET", "//"),
        web("GET", "/a//b///c/"),
        web("GET", "/a/./b/../c"),
        web("GET", "/.well-known/security.txt"),
        web("GET", "/a/..b/c../...d"),
        row(Lands::Answered(400), "GET", "/.."),
        row(Lands::Answered(400), "GET", "/a/../../b"),
        row(Lands::Answered(400), "GET", "/%2e%2e/x"),
        row(Lands::Answered(400), "GET", "/%zz"),
        row(Lands::Answered(400), "GET", "/a%"),
        row(Lands::Answered(400), "GET", "/a%00b"),
        row(Lands::Answered(400), "GET", "a/b"),
        row(Lands::Answered(400), "OPTIONS", "*"),
        web("GET", format!("/long/{}", "x".repeat(7000))),
        web("GET", format!("/?long={}", "%20".repeat(2300))),
        web("GET", format!("/?huge={}", "x".repeat(20_000))).unlike_head(414),
    ]
}

pub(crate) const NO_REDIRECT: &str =
    "nginx sends a prefix without its slash away; web knows better what is there";

pub(crate) const NO_UTF_8: &str =
    "bytes that are no UTF-8 and were not escaped: no browser or SDK sends them";

pub(crate) const LARGE_HEAD: Unlike = Unlike {
    lands: Lands::Web,
    reason: "heads may have 64 KiB: Sentry's own links outgrow 8",
};

fn assets() -> Vec<Row> {
    vec![
        web("GET", "/_assets/entrypoints/app.js?v=1")
            .rewritten("/_static/dist/sentry/entrypoints/app.js?v=1"),
        web("HEAD", "/_assets/app.css").rewritten("/_static/dist/sentry/app.css"),
        web("GET", "/_assets/a%20b.css").rewritten("/_static/dist/sentry/a%20b.css"),
        web("GET", "//_assets//x//y.js").rewritten("/_static/dist/sentry/x/y.js"),
        web("GET", "/_assets/").rewritten("/_static/dist/sentry/"),
        row(Lands::Answered(301), "GET", "/_assets").unlike(Lands::Web, NO_REDIRECT),
        web("GET", "/_assets/../x.js"),
        web("GET", "/_static/1690000000/sentry/dist/app.js?x=%2f"),
        web("GET", "/_static//a/%2e/b.js"),
        row(Lands::Disk, "GET", "/js-sdk/8.0.0/bundle.min.js"),
        row(Lands::Disk, "GET", "//js-sdk/./8.0.0//bundle.min.js?v=1"),
        row(Lands::Disk, "GET", "/js-sdk/8.0.0/%62undle.min.js"),
        row(Lands::Answered(404), "GET", "/js-sdk/8.0.0/absent.js"),
        row(Lands::Answered(405), "POST", "/js-sdk/8.0.0/bundle.min.js"),
        web("GET", "/js-sdk/../secret"),
        web("GET", "/js-sdk/..%2fsecret"),
        row(
            Lands::Answered(400),
            "GET",
            "/js-sdk/%2e%2e/..%2f../etc/passwd",
        ),
        web("GET", "/js-sdk"),
        web(
            "GET",
            "/js-sdk-loader/0123456789abcdef0123456789abcdef.min.js",
        ),
    ]
}
