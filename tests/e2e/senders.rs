//! Who may send, from outside: modes, projects, origins, verdicts that are learned
//! and kept, tunnels, and what an attacker can and cannot do to others.

mod floods;
mod kept;
mod learned;
mod origins;
mod tunnels;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::admin::post;
use crate::client::{Answer, Client, Lines, request};
use crate::edge::{Edge, KEY, configuration};
use crate::ingest::{ENVELOPE, check_refusal};
use crate::parts::promises;
use crate::upstream::{Fake, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        named_keys_pass_in_every_mode,
        keys_that_are_switched_off_pass_in_no_mode,
        keys_of_another_project_pass_in_no_mode,
        only_strict_asks_for_a_name,
        each_refusal_has_its_status_and_its_reason,
        what_is_nearly_refused_passes,
        an_upstream_that_is_away_is_told_as_503,
        keys_and_origins_follow_a_reload_on_an_open_connection,
        verdicts_outlive_a_reload,
    ];
    trials.extend(learned::trials());
    trials.extend(floods::trials());
    trials.extend(origins::trials());
    trials.extend(kept::trials());
    trials.extend(tunnels::trials());
    trials
}

/// A key that the configuration names and switches off.
pub(crate) const OFF: &str = "0123456789abcdef0123456789abcdef";

/// A key that nobody names.
pub(crate) const STRANGE: &str = "fedcba9876543210fedcba9876543210";

/// Where envelopes of a project go, with a key in the query.
pub(crate) fn target(project: u64, key: &str) -> String {
    format!("/api/{project}/envelope/?sentry_key={key}&sentry_version=7")
}

/// An envelope whose first line names this DSN.
pub(crate) fn enveloped(dsn: &str) -> Vec<u8> {
    let items = &b"\n{\"type\":\"event\",\"length\":2}\n{}\n"[..];
    [format!("{{\"dsn\":\"{dsn}\"}}").as_bytes(), items].concat()
}

/// Keys of project 42: one that may be used, one that may not.
fn named(mode: &str) -> Value {
    json!({
        "keys": {"mode": mode},
        "projects": [{"id": 42, "keys": [KEY, {"key": OFF, "enabled": false}]}],
    })
}

/// A refusal with this status and this reason, in the form that SDKs and pages read.
#[track_caller]
pub(crate) fn check_refused(what: &str, answer: &Answer, status: u16, reason: &str) {
    let told = answer.text();
    assert_eq!(answer.status, status, "{what}: {told}");
    check_refusal(answer);
    assert_eq!(answer.json()["causes"], json!([reason]), "{what}: {told}");
    let detail = answer.json()["detail"].as_str().map(str::to_owned);
    assert_eq!(answer.header("x-sentry-error"), detail, "{what}");
}

/// Posts an envelope on an open connection.
#[track_caller]
pub(crate) fn send(client: &mut Client, target: &str, headers: Lines<'_>) -> Answer {
    client.send(&request("POST", target, headers, ENVELOPE));
    client.answer_to("POST")
}

/// An upstream that answers as a request's `X-Status` and `X-Body` ask it to.
pub(crate) fn obedient() -> Fake {
    Fake::with(|exchange| {
        exchange.read_body()?;
        let asked = |name| exchange.request.headers.one(name);
        let status = asked("x-status").map_or(200, |status| status.parse().unwrap());
        let body = asked("x-body").unwrap_or_else(|| r#"{"detail":"told"}"#.to_owned());
        exchange.answer(status, &[], body.as_bytes())
    })
}

const MODES: [&str; 3] = ["open", "learn", "strict"];

/// Each mode's answer to these requests, all of which it gives the same.
#[track_caller]
fn check_modes(targets: &[String], want: (u16, Option<&str>)) {
    for mode in MODES {
        let fake = Fake::start();
        let edge = Edge::configured(&fake.url(), &fake.url(), named(mode));
        for target in targets {
            let answer = edge.ask("POST", target, &[], ENVELOPE);
            let what = format!("{target} in mode {mode}");
            match want {
                (status, Some(reason)) => check_refused(&what, &answer, status, reason),
                (status, None) => assert_eq!(answer.status, status, "{what}: {}", answer.text()),
            }
        }
        let arrived = if want.1.is_none() { targets.len() } else { 0 };
        assert_eq!(fake.requests().len(), arrived, "mode {mode}");
    }
}

fn named_keys_pass_in_every_mode() {
    check_modes(
        &[
            target(42, KEY),
            format!("/api/42/store/?sentry_key={KEY}"),
            format!("/api/store/?sentry_key={KEY}"),
            format!("/api/42/unreal/{KEY}/"),
        ],
        (200, None),
    );
}

fn keys_that_are_switched_off_pass_in_no_mode() {
    check_modes(
        &[
            target(42, OFF),
            target(43, OFF),
            format!("/api/store/?sentry_key={OFF}"),
            format!("/api/42/unreal/{OFF}/"),
        ],
        (403, Some("disabled_key")),
    );
}

fn keys_of_another_project_pass_in_no_mode() {
    check_modes(
        &[target(43, KEY), format!("/api/4/store/?sentry_key={KEY}")],
        (403, Some("wrong_project")),
    );
}

fn only_strict_asks_for_a_name() {
    for mode in MODES {
        let fake = Fake::start();
        let edge = Edge::configured(&fake.url(), &fake.url(), named(mode));
        for target in [
            target(42, STRANGE),
            format!("/api/store/?sentry_key={STRANGE}"),
        ] {
            let answer = edge.ask("POST", &target, &[], ENVELOPE);
            match mode {
                "strict" => check_refused(&target, &answer, 403, "unknown_key"),
                _ => assert_eq!(answer.status, 200, "{mode} {target}: {}", answer.text()),
            }
        }
        let arrived = if mode == "strict" { 0 } else { 2 };
        assert_eq!(fake.requests().len(), arrived, "mode {mode}");
    }
}

/// The largest body of the edge that refuses.
const BODY_BYTES_MAX: usize = 4000;

/// An edge that has every reason to refuse.
fn wary(upstream: &str) -> Edge {
    let mut changes = named("strict");
    changes["limits"] = json!({"bodies": {"ingest": BODY_BYTES_MAX.to_string()}});
    changes["projects"][0]["allowed_origins"] = json!(["shop.example"]);
    Edge::configured(upstream, upstream, changes)
}

fn each_refusal_has_its_status_and_its_reason() {
    let good = target(42, KEY);
    let bare = "/api/42/envelope/";
    let short = target(42, &KEY[1..]);
    let version = good.replace("version=7", "version=8");
    let far = good.replace("/42/", "/99999999999999999999/");
    let other_key = enveloped(&format!("https://{OFF}@sentry.example/42"));
    let other_project = enveloped(&format!("https://{KEY}@sentry.example/43"));
    let no_dsn = enveloped("here and there");
    let auth = format!("Sentry sentry_key={KEY}");
    let auth: Lines<'_> = &[("X-Sentry-Auth", &auth)];
    let empty: Lines<'_> = &[("X-Sentry-Auth", "Sentry")];
    let evil: Lines<'_> = &[("Origin", "https://evil.example")];
    let gzip: Lines<'_> = &[("Content-Encoding", "gzip")];
    let lzma: Lines<'_> = &[("Content-Encoding", "lzma")];
    let text: Lines<'_> = &[("Content-Type", "text/plain")];
    let large = [ENVELOPE, &[b'x'; BODY_BYTES_MAX]].concat();
    let security = format!("/api/42/security/?sentry_key={KEY}");
    check_refusals(&[
        (&short, &[], ENVELOPE, 400, "bad_key"),
        (&version, &[], ENVELOPE, 400, "bad_version"),
        (&far, &[], ENVELOPE, 400, "bad_project"),
        (&good, &[], b"", 400, "empty"),
        (&good, &[], b"{\n{}\n{}\n", 400, "malformed"),
        (&good, &[], &other_key, 400, "dsn_mismatch"),
        (&good, &[], &other_project, 400, "dsn_mismatch"),
        (&good, gzip, ENVELOPE, 400, "bad_compression"),
        (bare, &[], ENVELOPE, 401, "no_key"),
        (bare, empty, ENVELOPE, 401, "no_key"),
        (bare, &[], &no_dsn, 401, "bad_key"),
        (&good, auth, ENVELOPE, 401, "many_keys"),
        (&target(42, STRANGE), &[], ENVELOPE, 403, "unknown_key"),
        (&target(42, OFF), &[], ENVELOPE, 403, "disabled_key"),
        (&target(43, KEY), &[], ENVELOPE, 403, "wrong_project"),
        (&good, evil, ENVELOPE, 403, "origin"),
        (&good, &[], &large, 413, "too_large"),
        (&good, lzma, ENVELOPE, 415, "bad_compression"),
        (&security, text, b"{}", 415, "content_type"),
    ]);
}

type Refused<'a> = (&'a str, Lines<'a>, &'a [u8], u16, &'a str);

#[track_caller]
fn check_refusals(cases: &[Refused<'_>]) {
    let fake = Fake::start();
    let edge = wary(&fake.url());
    for (target, headers, body, status, reason) in cases {
        let answer = edge.ask("POST", target, headers, body);
        let what = format!("{target} {headers:?}");
        check_refused(&what, &answer, *status, reason);
    }
    let answer = edge.ask("GET", &target(42, KEY), &[], b"");
    check_refused("GET", &answer, 405, "method");
    assert!(fake.requests().is_empty(), "what was refused went on");
}

/// The other side of each case above.
fn what_is_nearly_refused_passes() {
    let fake = Fake::start();
    let edge = wary(&fake.url());
    let good = target(42, KEY);
    let bare = "/api/42/envelope/";
    let old = good.replace("version=7", "version=2");
    let same = enveloped(&format!("https://{KEY}@elsewhere.example:9000/prefix/42"));
    let auth = format!("Sentry sentry_key={KEY}");
    let packed = crate::patterns::gzip(ENVELOPE);
    let around = crate::ingest::with_attachment(&[b'x'; 1000]).len() - 1000;
    let large = crate::ingest::with_attachment(&vec![b'x'; BODY_BYTES_MAX - around]);
    let security = format!("/api/42/security/?sentry_key={KEY}");
    let cases: &[(&str, Lines<'_>, &[u8])] = &[
        (&old, &[], ENVELOPE),
        (&good, &[], b"{}\n"),
        (&good, &[], &same),
        (bare, &[], &same),
        (&good, &[("Content-Encoding", "gzip")], &packed),
        (&good, &[("Content-Encoding", "identity")], ENVELOPE),
        (bare, &[("X-Sentry-Auth", &auth)], ENVELOPE),
        (&good, &[("Origin", "https://shop.example")], ENVELOPE),
        (&good, &[], &large),
        (
            &security,
            &[("Content-Type", "application/csp-report")],
            b"{}",
        ),
    ];
    for (target, headers, body) in cases {
        let answer = edge.ask("POST", target, headers, body);
        let what = format!("{target} {headers:?}");
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    }
    assert_eq!(fake.requests().len(), cases.len());
}

fn an_upstream_that_is_away_is_told_as_503() {
    let edge = wary(&Silent::reserve().url());
    let answer = edge.ask("POST", &target(42, KEY), &[], ENVELOPE);
    check_refused("no upstream", &answer, 503, "no_upstream");
    assert!(answer.header("retry-after").is_some());
}

/// Puts a changed file in force.
#[track_caller]
pub(crate) fn reload(edge: &Edge, fake: &Fake, changes: &Value) {
    edge.rewrite(&configuration(&fake.url(), &fake.url(), changes).to_string());
    let answer = post(edge, "/api/v1/reload", &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn keys_and_origins_follow_a_reload_on_an_open_connection() {
    let fake = Fake::start();
    let project = |enabled: bool, origins: &str| {
        json!({
            "keys": {"mode": "strict"},
            "projects": [{
                "id": 42,
                "keys": [{"key": KEY, "enabled": enabled}],
                "allowed_origins": [origins],
            }],
        })
    };
    let edge = Edge::configured(&fake.url(), &fake.url(), project(true, "*"));
    let mut client = edge.connect();
    let page = [("Origin", "https://shop.example")];
    let mut ask = |key: &str| send(&mut client, &target(42, key), &page);
    assert_eq!(ask(KEY).status, 200);
    reload(&edge, &fake, &project(false, "*"));
    check_refused("switched off", &ask(KEY), 403, "disabled_key");
    reload(&edge, &fake, &project(true, "*.example.org"));
    check_refused("another list", &ask(KEY), 403, "origin");
    reload(&edge, &fake, &project(true, "*.example"));
    assert_eq!(ask(KEY).status, 200);
    let mut other = project(true, "*");
    other["projects"][0]["keys"] = json!([STRANGE]);
    reload(&edge, &fake, &other);
    check_refused("removed", &ask(KEY), 403, "unknown_key");
    assert_eq!(ask(STRANGE).status, 200);
    assert_eq!(fake.requests().len(), 3);
}

fn verdicts_outlive_a_reload() {
    let fake = obedient();
    let learn = json!({"keys": {"mode": "learn"}});
    let edge = Edge::configured(&fake.url(), &fake.url(), learn);
    let mut client = edge.connect();
    for _ in 0..3 {
        let told = send(&mut client, &target(42, STRANGE), &[("X-Status", "403")]);
        assert_eq!(told.text(), r#"{"detail":"told"}"#);
    }
    let changed = json!({"keys": {"mode": "learn", "unproven_rate": "60/s"}});
    reload(&edge, &fake, &changed);
    let answer = send(&mut client, &target(42, STRANGE), &[]);
    check_refused("after a reload", &answer, 403, "unknown_key");
    // Who asks for no verdicts gets none.
    reload(&edge, &fake, &json!({}));
    assert_eq!(send(&mut client, &target(42, STRANGE), &[]).status, 200);
    assert_eq!(fake.requests().len(), 4);
}
