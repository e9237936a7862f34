//! What the access log never shows, wherever a client puts it: credentials, addresses, and line
//! feeds that would begin a line of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::Trial;
use serde_json::json;

use super::{edge, lines_of};
use crate::client::request;
use crate::edge::{Edge, Log};
use crate::h2c;
use crate::parts::promises;
use crate::upstream::Fake;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        no_credential_is_in_any_line_wherever_it_stood,
        nothing_that_is_sent_begins_a_line,
        addresses_are_masked_as_they_are_stored,
    ]
}

/// Secrets of every form in use, and none of which is anywhere else here.
const KEY: &str = "5ec2e7c0ffee4a5b8c9dbadc0de12345";
const SECRET: &str = "0ld5ec2e7000ba5ef00d1e55dead0123";
const ORG_TOKEN: &str = "sntrys_eyJpYXQiOjE3MDAwMDAwMDB9_aBcDeFgHiJkLmNoPqRsTuVwXyZ";
const USER_TOKEN: &str = "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";
const RESET: &str = "pZ7gT2mQ9sXwY4vB8nL3kJ6hG1fD5aEu";
const INVITE: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const PLACE: &str = "6fa459ea-ee8a-3ca4-894e-db77e160355e";
const COOKIE: &str = "s3ss10nc00k1eZq8Wm4Tb2Rv6Xn";
const PASSWORD: &str = "hunter2-correct-horse";
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.dBjftJeZ4CVP-mB92K27uhbUJU1p1r";

/// No eight of their bytes in a row are anywhere; of a key, not those behind the first four.
#[track_caller]
fn check_hidden(what: &str, text: &str) {
    let all = [
        KEY, SECRET, ORG_TOKEN, USER_TOKEN, RESET, INVITE, PLACE, COOKIE, PASSWORD, JWT,
    ];
    for secret in all {
        for place in 0..=secret.len() - 8 {
            let piece = &secret[place..place + 8];
            if let Some(at) = text.find(piece) {
                let from = text[..at].rfind('\n').map_or(0, |at| at + 1);
                let line = text[from..].lines().next().unwrap_or_default();
                panic!("{what} has {piece:?} of {secret:?}: {line}");
            }
        }
    }
}

/// A request with secrets in it.
struct Laden {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Laden {
    fn new(method: &'static str, target: &str, headers: &[(&'static str, String)]) -> Self {
        let dsn = format!("https://{KEY}:{SECRET}@sentry.example.com/42");
        let item = format!("{{\"type\":\"event\"}}\n{{\"a\":\"{PASSWORD}\"}}\n");
        let body = match method {
            "POST" => format!("{{\"dsn\":\"{dsn}\"}}\n{item}").into_bytes(),
            _ => Vec::new(),
        };
        Self {
            method,
            target: target.to_owned(),
            headers: headers.to_vec(),
            body,
        }
    }

    /// Sends it on a connection of its own, and waits for its answer.
    #[track_caller]
    fn send(&self, edge: &Edge) {
        let headers = self.headers.iter();
        let headers: Vec<(&str, &str)> = headers
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut client = edge.connect();
        client.send(&request(self.method, &self.target, &headers, &self.body));
        client.answer_to(self.method);
    }
}

/// Requests over every route, with secrets wherever one can stand.
fn laden() -> Vec<Laden> {
    let mut all = events();
    let escaped: String = RESET.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let everywhere = [
        ("Authorization", format!("Bearer {USER_TOKEN}")),
        ("Cookie", format!("sentrysid={COOKIE}; sudo={PASSWORD}")),
        (
            "Referer",
            format!("https://{PASSWORD}.example/{RESET}?k={KEY}"),
        ),
        ("Origin", format!("https://{PASSWORD}.example")),
        ("X-Auth-Token", JWT.to_owned()),
        ("X-CSRFToken", RESET.to_owned()),
        (
            "User-Agent",
            format!("a/1 ({KEY}; t={PASSWORD}) b/{ORG_TOKEN} {JWT}"),
        ),
    ];
    for target in [
        format!("/api/42/unreal/{KEY}/"),
        format!("/api/42/unreal/{}/", KEY.to_uppercase()),
        format!("/api/42/cron/nightly/{KEY}/?status=ok"),
        format!("/api/42/upload/{PLACE}/?signature={RESET}"),
        format!("/t?sentry_key={KEY}&o={PASSWORD}"),
        format!("/js-sdk-loader/{KEY}.min.js"),
        format!("/js-sdk/{KEY}/{RESET}.js"),
        format!("/_assets/{RESET}/app.js"),
        format!("/_static/dist/{RESET}.js?v={KEY}"),
        format!("/account/recover/confirm/1/{RESET}/"),
        format!("/account/recover/confirm/1/{escaped}/"),
        format!("/account/recover%2fconfirm/1/{RESET}/"),
        format!("//account/./confirm-email/1/{RESET}"),
        format!("/accept/my-org/12/{INVITE}/"),
        format!("/accept/my-org/12/{PASSWORD}/"),
        format!("/share/issue/{KEY}/"),
        format!("/api/0/accept-invite/my-org/12/{INVITE}/"),
        format!("/api/0/hooks/release/builtin/42/{INVITE}/"),
        format!("/api/0/organizations/{ORG_TOKEN}/"),
        format!("/api/0/organizations/my-org/?token={ORG_TOKEN}"),
        format!("/api/0/{JWT}/"),
        format!("/api/0/organizations/o/chunk-upload/?auth={USER_TOKEN}"),
        format!("/api/0/relays/{RESET}/"),
        format!("/api/relay/{RESET}/"),
        format!("/x;jsessionid={COOKIE}"),
        format!("/{}/{RESET}", "long/".repeat(300)),
        format!("/https://{KEY}:{SECRET}@sentry.example.com/42"),
        format!("/a%zz/{RESET}"),
        format!("/#{RESET}"),
    ] {
        for method in ["GET", "POST"] {
            all.push(Laden::new(method, &target, &everywhere));
        }
    }
    for token in [ORG_TOKEN, USER_TOKEN, JWT] {
        let bearer = [("Authorization", format!("Bearer {token}"))];
        all.push(Laden::new("GET", "/api/0/projects/", &bearer));
        all.push(Laden::new("PUT", "/api/42/envelope/", &bearer));
    }
    // Even as a method.
    all.push(Laden::new(RESET, "/", &[]));
    all
}

/// Events, their credentials in each place that may hold some, and in two.
fn events() -> Vec<Laden> {
    let basic = STANDARD.encode(format!("{KEY}:{SECRET}"));
    let auth = format!("Sentry sentry_key={KEY}, sentry_secret={SECRET}, sentry_client=a/1");
    let query = format!("sentry_key={KEY}&sentry_secret={SECRET}&sentry_client={PASSWORD}");
    let mut all = Vec::new();
    for endpoint in [
        "envelope",
        "store",
        "minidump",
        "security",
        "nel",
        "otlp/v1/traces",
        "attachments",
        "events/x/attachments",
        "integration/otlp/v1/logs",
        "playstation",
        "anything",
    ] {
        let bare = format!("/api/42/{endpoint}/");
        let with_query = format!("{bare}?{query}");
        // A key in a form that no Sentry has.
        let odd = format!("{bare}?sentry_key={}", KEY.to_uppercase());
        let header = ("X-Sentry-Auth", auth.clone());
        let basic = ("Authorization", format!("Basic {basic}"));
        all.push(Laden::new("POST", &with_query, &[]));
        all.push(Laden::new("POST", &bare, std::slice::from_ref(&header)));
        all.push(Laden::new("POST", &bare, std::slice::from_ref(&basic)));
        all.push(Laden::new("POST", &with_query, &[header, basic]));
        all.push(Laden::new("POST", &odd, &[]));
        all.push(Laden::new("POST", &bare, &[]));
    }
    all
}

#[track_caller]
fn check_log_hides(format: &str) {
    let fake = Fake::start();
    // Only what the access log and the edge itself write is looked at, at the level that says most.
    let changes = json!({
        "tunnel": {"paths": ["/t"]},
        "static": [{"path": "/js-sdk/", "root": "./static"}],
        "log": {"level": "debug"},
    });
    let edge = edge(&fake, &json!({"format": format}), changes);
    let requests = laden();
    for laden in &requests {
        laden.send(&edge);
    }
    // In HTTP/2 the head comes another way.
    let streams = [(
        format!("/api/42/unreal/{KEY}/?sentry_secret={SECRET}"),
        format!("Bearer {USER_TOKEN}"),
    )];
    for (target, token) in &streams {
        h2c::run(async {
            let mut send = h2c::connect(edge.public).await;
            let page = h2c::head("GET", target).header("authorization", token);
            h2c::exchange(&mut send, page.body(()).unwrap(), None).await;
        });
    }
    let lines = (requests.len() + streams.len()) as f64;
    edge.wait_metric("vidette_access_log_lines_total", &["written"], lines);
    let text = lines_of(&edge.folder().join("access.log")).join("\n");
    assert_eq!(text.lines().count() as f64, lines);
    check_hidden("the access log", &text);
    check_hidden("the edge's own log", &edge.log.text());
    assert!(text.contains("5ec2..."), "no key is shown by its digits");
    // What an operator looks for is there.
    for shown in [
        "/api/42/cron/nightly/5ec2.../",
        "/account/recover/confirm/1/***/",
        "/api/0/projects/",
    ] {
        assert!(text.contains(shown), "{shown}");
    }
}

fn no_credential_is_in_any_line_wherever_it_stood() {
    check_log_hides("json");
    check_log_hides("common");
    // The same on stdout, where nothing else may stand either.
    let fake = Fake::start();
    let changes = json!({"access_log": {"mode": "all"}});
    let (mut edge, stdout) = Edge::heard(&fake, &changes);
    let stdout = Log::follow(stdout);
    for laden in &laden() {
        laden.send(&edge);
    }
    edge.signal(rustix::process::Signal::TERM);
    assert!(edge.wait_end().success());
    let text = stdout.whole();
    assert_eq!(text.lines().count(), laden().len());
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["log"], "access");
    }
    check_hidden("stdout", &text);
    check_hidden("stderr", &edge.log.whole());
}

fn nothing_that_is_sent_begins_a_line() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}), json!({}));
    let forged = "x\"} {\"log\":\"access\"";
    for (target, agent) in [
        ("/a%0d%0a%7b%22log%22%3a1%7d", "a"),
        ("/a%00b", "a"),
        ("/%e2%80%ae%c2%9b31m", "a"),
        ("/", forged),
        ("/", "a\tb"),
        ("/", "\u{2028}\u{9b}31m\u{202e}"),
    ] {
        let mut client = edge.connect();
        client.send(&request("GET", target, &[("User-Agent", agent)], b""));
        client.answer_to("GET");
    }
    let lines = super::wait_lines(&edge, 6);
    assert!(lines.iter().all(|line| line["listener"] == "public"));
    assert_eq!(
        lines[3]["user_agent"],
        r"x\x22} {\x22log\x22:\x22access\x22"
    );
    let text = lines_of(&edge.folder().join("access.log")).join("\n");
    let plain = text
        .bytes()
        .all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte));
    assert!(plain, "{text}");
}

fn addresses_are_masked_as_they_are_stored() {
    for (store, address, want) in [
        ("full", "203.0.113.9", json!("203.0.113.x")),
        ("truncate", "2001:db8:1:2::3", json!("2001:db8:1::x")),
        ("drop", "203.0.113.9", json!(null)),
    ] {
        let fake = Fake::start();
        let edge = edge(&fake, &json!({}), json!({"client_ip": {"store": store}}));
        edge.post_envelope(&[("X-Forwarded-For", address)], b"{}\n");
        assert_eq!(super::only_line(&edge)["client"], want, "{store}");
    }
    let fake = Fake::start();
    let edge = edge(
        &fake,
        &json!({}),
        json!({"client_ip": {"store": "hash", "hash_key": "k"}}),
    );
    edge.post_envelope(&[("X-Forwarded-For", "203.0.113.9")], b"{}\n");
    let line = super::only_line(&edge);
    let client = line["client"].as_str().unwrap();
    assert!(client.starts_with("fd") && client.contains(':'), "{client}");
}
