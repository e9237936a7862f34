//! The requests that go through nginx and through the edge.

use std::net::Ipv4Addr;

use crate::edge::KEY;

/// The one bundle that there is.
pub(super) const BUNDLE: &str = "/js-sdk/8.0.0/bundle.min.js";

/// A request, by the name under which it may differ.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    pub(super) target: String,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) body: Vec<u8>,
    pub(super) from: Ipv4Addr,
}

/// Whom the shipped file believes, in tests.
pub(super) const PROXY: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// One that an edit may not believe.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);

impl Row {
    fn new(name: &'static str, method: &'static str, target: impl Into<String>) -> Self {
        Self {
            name,
            method,
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
            from: PROXY,
        }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn sending(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn from(mut self, from: Ipv4Addr) -> Self {
        self.from = from;
        self
    }
}

fn envelope(bytes: usize) -> Vec<u8> {
    let head = "{}\n{\"type\":\"attachment\",\"length\":";
    let digits = 6;
    let payload = bytes - head.len() - digits - "}\n".len();
    let mut body = format!("{head}{payload:>digits$}}}\n").into_bytes();
    body.resize(bytes, b'x');
    body
}

/// A cap that only some edits have.
pub(super) const CAP: usize = 64 << 10;

/// What is sent through both; under and over a cap that only some edits have.
pub(super) fn rows() -> Vec<Row> {
    let key = format!("?sentry_key={KEY}&sentry_version=7");
    let event = format!("/api/42/envelope/{key}");
    let small = b"{}\n{\"type\":\"event\"}\n{}\n".to_vec();
    let form = b"--b\r\nContent-Disposition: form-data; name=\"upload_file_minidump\"; filename=\"a\"\r\n\r\nMDMP\r\n--b--\r\n";
    let upload = "/api/0/organizations/acme/chunk-upload/";
    let forwarded = |name, value| {
        let row = Row::new(name, "POST", event.clone()).sending(small.clone());
        row.with("X-Forwarded-For", value)
    };
    vec![
        Row::new("store", "POST", format!("/api/store/{key}")).sending("{}"),
        Row::new("project store", "POST", format!("/api/42/store/{key}")).sending("{}"),
        Row::new("envelope", "POST", event.clone()).sending(small.clone()),
        Row::new("minidump", "POST", format!("/api/42/minidump/{key}"))
            .with("Content-Type", "multipart/form-data; boundary=b")
            .sending(form.as_slice()),
        Row::new("event under the cap", "POST", event.clone()).sending(envelope(CAP)),
        Row::new("event over the cap", "POST", event.clone()).sending(envelope(CAP + 1)),
        Row::new("relays", "GET", "/api/0/relays/live/"),
        Row::new("api", "GET", "/api/0/projects/?all=1").with("Authorization", "Bearer a"),
        Row::new("form", "POST", "/auth/login/").sending("a=1"),
        Row::new("form under the cap", "POST", "/auth/login/").sending(vec![b'x'; CAP]),
        Row::new("form over the cap", "POST", "/auth/login/").sending(vec![b'x'; CAP + 1]),
        Row::new("upload", "GET", upload),
        Row::new("upload over the cap", "POST", upload).sending(vec![b'x'; CAP + 1]),
        Row::new("page", "GET", "/organizations/acme/issues/?query=a%20b").with("Cookie", "s=1"),
        Row::new("page with a port", "GET", "/").with("Host", "sentry.example.com:8443"),
        Row::new("loader", "GET", format!("/js-sdk-loader/{KEY}.min.js")),
        Row::new("asset", "GET", "/_assets/app.js?x=1"),
        Row::new("static", "GET", "/_static/dist/sentry/app.js"),
        Row::new("bundle", "GET", BUNDLE),
        Row::new("no bundle", "GET", "/js-sdk/8.0.0/none.js"),
        Row::new("custom", "GET", "/custom/thing"),
        Row::new("robots", "GET", "/robots.txt"),
        forwarded("one hop", "203.0.113.9"),
        forwarded("two hops, one trusted", "203.0.113.9, 10.1.2.3"),
        forwarded("a forged hop", "6.6.6.6, 203.0.113.9"),
        forwarded("an IPv6 hop", "2001:db8::9"),
        forwarded("a stranger's hop", "203.0.113.9").from(STRANGER),
        Row::new("another's header", "GET", "/").with("CF-Connecting-IP", "203.0.113.7"),
    ]
}
