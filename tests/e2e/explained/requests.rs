//! Requests of every kind, to be described and to be sent. Knows nothing of how
//! they end.

use std::fmt;

use crate::edge::KEY;
use crate::ingest::ENVELOPE;
use crate::line_one::Packing;

/// A key of project 42 that is switched off.
pub(super) const OFF: &str = "0ff00ff00ff00ff00ff00ff00ff00ff0";
/// A key of project 7, which has a list of origins.
pub(super) const SHY: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";
/// A key that nobody has named.
const STRANGE: &str = "b94ae32be2584e0bbd7a4cbb95971fee";

/// One request.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = self.body[..self.body.len().min(60)].escape_ascii();
        let (method, path, bytes) = (self.method, &self.path, self.body.len());
        write!(
            f,
            "{method} {path} {:?} {begin} ({bytes} bytes)",
            self.headers
        )
    }
}

impl Row {
    fn new(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A POST with a body.
    pub(super) fn post(path: &str, body: &[u8]) -> Self {
        let mut row = Self::new("POST", path);
        row.body = body.to_vec();
        row
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

fn envelope(key: &str) -> String {
    format!("/api/42/envelope/?sentry_key={key}&sentry_version=7")
}

fn event(key: &str) -> Row {
    Row::post(&envelope(key), ENVELOPE)
}

fn dsn(key: &str, project: u32) -> Vec<u8> {
    format!("{{\"dsn\":\"https://{key}@sentry.example.com/{project}\"}}\n").into_bytes()
}

/// Requests of every kind.
pub(super) fn rows() -> Vec<Row> {
    let mut rows = by_credentials();
    rows.extend(by_endpoint());
    rows.extend(by_origin());
    rows.extend(by_line_one());
    rows.extend(by_route());
    rows
}

fn by_credentials() -> Vec<Row> {
    let bare = || Row::post("/api/42/envelope/", ENVELOPE);
    let auth = format!("Sentry sentry_version=7, sentry_key={KEY}");
    vec![
        event(KEY),
        event(OFF),
        event(STRANGE),
        event(SHY),
        event(&KEY[1..]),
        event(&KEY.to_uppercase()),
        bare(),
        bare().with("X-Sentry-Auth", &auth),
        bare().with("Authorization", &auth),
        bare().with("Authorization", "Bearer of-a-browser"),
        // The key as a user's name and no password, in Basic's base64.
        bare().with(
            "Authorization",
            "Basic YTk0YWUzMmJlMjU4NGUwYmJkN2E0Y2JiOTU5NzFmZWU6",
        ),
        event(KEY).with("X-Sentry-Auth", &auth),
        bare()
            .with("X-Sentry-Auth", &auth)
            .with("X-Sentry-Auth", &auth),
        bare().with("X-Sentry-Auth", "Sentry sentry_version=8, sentry_key=x"),
        bare().with(
            "X-Sentry-Auth",
            &format!("Sentry sentry_version=99, sentry_key={KEY}"),
        ),
        Row::post(
            &format!("/api/99999999999999999999999/envelope/?sentry_key={KEY}"),
            ENVELOPE,
        ),
        Row::post(&format!("/api/043/envelope/?sentry_key={KEY}"), b"{}"),
    ]
}

fn by_endpoint() -> Vec<Row> {
    let at = |tail: &str| format!("/api/42/{tail}?sentry_key={KEY}");
    let large = [ENVELOPE, &vec![b' '; 300 << 10]].concat();
    vec![
        Row::post(&at("store/"), b"{}"),
        Row::new("GET", &at("store/")),
        Row::post(&format!("/api/store/?sentry_key={KEY}"), b"{}"),
        Row::post(&at("security/"), b"{}").with("Content-Type", "application/csp-report"),
        Row::post(&at("security/"), b"{}").with("Content-Type", "text/plain"),
        Row::post(&at("nel/"), b"[]").with("Content-Type", "application/reports+json"),
        Row::post(&at("minidump/"), b"MDMP"),
        Row::post(&at("something/new/"), b"x"),
        Row::post(&format!("/api/42/unreal/{KEY}/"), b"x"),
        Row::post("/api/42/unreal/zz/", b"x"),
        Row::new("GET", &format!("/api/42/cron/nightly/{KEY}/?status=ok")),
        Row::new("PUT", &at("envelope/")),
        Row::new("GET", &at("envelope/")),
        Row::new("DELETE", &at("store/")),
        Row::new("OPTIONS", &at("envelope/")),
        Row::new("OPTIONS", "/api/42/envelope/").with("Origin", "https://evil.example"),
        Row::post(&at("envelope/"), &large),
        Row::post(&at("minidump/"), &large),
        Row::new("TRACE", &at("envelope/")),
        Row::new("TRACE", "/"),
    ]
}

fn by_origin() -> Vec<Row> {
    let shy = |project: u32| {
        Row::post(
            &format!("/api/{project}/envelope/?sentry_key={SHY}"),
            ENVELOPE,
        )
    };
    vec![
        shy(7),
        shy(7).with("Origin", "https://shop.example"),
        shy(7).with("Origin", "https://a.pages.example"),
        shy(7).with("Origin", "https://evil.example"),
        shy(7).with("Origin", "null"),
        shy(7).with("Referer", "https://evil.example/page"),
        shy(7).with("Referer", "https://shop.example/page"),
        shy(42).with("Origin", "https://shop.example"),
        event(KEY).with("Origin", "https://evil.example"),
        Row::post("/t", &dsn(SHY, 7)).with("Origin", "https://evil.example"),
        Row::post("/t", &dsn(SHY, 7)).with("Origin", "https://shop.example"),
    ]
}

fn by_line_one() -> Vec<Row> {
    let with = |body: &[u8]| Row::post(&envelope(KEY), body);
    let coded = |name: &str, body: &[u8]| with(body).with("Content-Encoding", name);
    let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(64 << 10));
    let packed = Packing::Gzip.pack(b"{\"user_agent\":\"forged\"}\n");
    vec![
        with(&dsn(KEY, 42)),
        with(&dsn(STRANGE, 42)),
        with(&dsn(KEY, 43)),
        with(b"{\"dsn\":\"nonsense\"}\n"),
        with(b"{\"user_agent\":\"forged\"}\n"),
        with(b"[]\n"),
        with(b"{}\r\n"),
        with(long.as_bytes()),
        coded("gzip", &packed),
        coded("x-gzip", &packed),
        coded("gzip", b"{}\n"),
        coded("gzip", &packed[..packed.len() / 2]),
        coded("lz4", b"{}\n"),
        coded("gzip, br", b"{}\n"),
        coded("gzip", &packed).with("Content-Encoding", "gzip"),
        coded("", b"{}\n"),
        Row::post("/api/42/envelope/", &dsn(KEY, 42)),
        Row::post("/api/42/envelope/", &dsn(STRANGE, 42)),
        Row::post("/api/42/envelope/", &dsn(OFF, 42)),
        Row::post("/api/43/envelope/", &dsn(KEY, 42)),
        Row::post("/api/42/envelope/", &dsn(KEY, 43)),
        Row::post("/t/", &dsn(KEY, 42)),
        Row::post("/t", &dsn(KEY, 43)),
        Row::post("/t", b"{}\n"),
        Row::post(&format!("/t?sentry_key={STRANGE}"), &dsn(KEY, 42)),
        Row::new("GET", "/t"),
        Row::new("OPTIONS", "/t"),
    ]
}

fn by_route() -> Vec<Row> {
    let outside = |row: Row| row.with("X-Forwarded-For", "203.0.113.9");
    let relays = "/api/0/relays/projectconfigs/?version=3";
    let chunk_upload = "/api/0/organizations/acme/chunk-upload/";
    vec![
        Row::new("GET", "/"),
        Row::new("GET", "/organizations/acme/issues/?query=x"),
        Row::new("HEAD", "/_assets/app.js"),
        Row::new("GET", "/_static/x.css"),
        Row::post("/auth/login/", &[b'x'; 1000]),
        Row::post("/auth/login/", &[b'x'; 1001]),
        Row::post(chunk_upload, &[b'x'; 2000]),
        Row::post(chunk_upload, &[b'x'; 2001]),
        Row::post(relays, b"{}"),
        Row::post(relays, &[b'x'; 1001]),
        outside(Row::post(relays, b"{}")),
        outside(Row::post("/api//0/%72elays/live/", b"{}")),
        Row::new("GET", "/api/relay/healthcheck/live/"),
        Row::new("GET", "/api/relay/x"),
        Row::new("GET", "/js-sdk/app.js"),
        Row::new("HEAD", "/js-sdk/app.js"),
        Row::new("GET", "/js-sdk/absent.js"),
        Row::new("GET", "/js-sdk/"),
        Row::post("/js-sdk/app.js", b"x"),
        Row::new("GET", "/js-sdk/..%2fsecret"),
        Row::new("GET", "/%zz"),
        Row::new("GET", "/a%00b"),
        Row::post(&format!("//api//42//envelope/?sentry_key={KEY}"), ENVELOPE),
    ]
}
