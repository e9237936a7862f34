//! `vidette explain` as an operator types it: what it asks a running edge, what it
//! prints, and how it exits.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::command_line::{Ran, ran};
use crate::edge::{Edge, KEY, envelope_target, program};
use crate::ingest::ENVELOPE;
use crate::line_one::Packing;
use crate::parts::promises;
use crate::upstream::{Fake, Silent};

use super::post;
use super::requests::OFF;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        explain_exits_as_the_request_would_end,
        a_url_is_taken_as_a_browser_shows_it,
        a_body_is_read_from_a_file_or_from_stdin,
        json_is_the_edges_answer_unchanged,
        what_cannot_be_asked_is_a_usage_error,
        the_edge_is_asked_for_as_its_operator,
    ]
}

fn explain(admin: SocketAddr, arguments: &[&str]) -> Ran {
    let admin = admin.to_string();
    ran(program()
        .args(["explain", "--admin", &admin])
        .args(arguments))
}

fn edge(fake: &Fake) -> Edge {
    let changes = json!({
        "state": {"path": "off"},
        "projects": [{"id": 42, "keys": [KEY, {"key": OFF, "enabled": false}]}],
    });
    Edge::configured(&fake.url(), &fake.url(), changes)
}

fn explain_exits_as_the_request_would_end() {
    let fake = Fake::start();
    let edge = edge(&fake);
    let (good, off) = (
        envelope_target(),
        format!("/api/42/store/?sentry_key={OFF}"),
    );
    for (arguments, code, verdict) in [
        (&["/"][..], 0, "forwarded"),
        (
            &["-X", "POST", &good],
            0,
            "forwarded as far as its head tells; its items were not looked at: give them with --body FILE",
        ),
        (
            &["-X", "OPTIONS", &good],
            0,
            "answered by the edge itself with 200",
        ),
        (&[&good], 1, "refused with 405: method"),
        (&["-X", "POST", &off], 1, "refused with 403: disabled_key"),
        (
            &["-X", "POST", "/api/42/store/"],
            1,
            "refused with 401: no_key",
        ),
        (&["/api/relay/x"], 1, "refused with 404: not_public"),
        (
            &["--from", "203.0.113.9", "/api/0/relays/live/"],
            1,
            "refused with 403: not_public",
        ),
        (
            &["--from", "10.0.0.9", "/api/0/relays/live/"],
            0,
            "forwarded",
        ),
    ] {
        let told = explain(edge.admin, arguments);
        assert_eq!(
            told.code,
            Some(code),
            "{arguments:?}: {}{}",
            told.stdout,
            told.stderr
        );
        let last = told.stdout.lines().last().unwrap_or_default();
        assert!(last.starts_with("verdict"), "{arguments:?}: {last}");
        assert!(
            last.ends_with(verdict),
            "{arguments:?}: {last}, not {verdict}"
        );
        assert_eq!(told.stderr, "", "{arguments:?}");
    }
    assert!(fake.requests().is_empty(), "to explain is not to send");
}

fn a_url_is_taken_as_a_browser_shows_it() {
    let fake = Fake::start();
    let edge = edge(&fake);
    let chain = "X-Forwarded-For: 6.6.6.6, 203.0.113.9";
    for url in [
        format!("https://sentry.example.com{}", envelope_target()),
        format!(
            "http://user:word@sentry.example.com:8443{}#top",
            envelope_target()
        ),
        envelope_target(),
    ] {
        let told = explain(edge.admin, &["-X", "POST", "-H", chain, &url]);
        assert_eq!(told.code, Some(0), "{url}: {}{}", told.stdout, told.stderr);
        for part in [
            "endpoint envelope of project 42",
            "203.0.113.9",
            "a94a",
            "named",
        ] {
            assert!(
                told.stdout.contains(part),
                "{url}: no {part} in:\n{}",
                told.stdout
            );
        }
        assert!(
            !told.stdout.contains(KEY),
            "the whole key is shown:\n{}",
            told.stdout
        );
        assert!(!told.stdout.contains("word"), "{}", told.stdout);
    }
    let root = explain(edge.admin, &["https://sentry.example.com"]);
    assert_eq!(root.code, Some(0), "{}{}", root.stdout, root.stderr);
}

fn a_body_is_read_from_a_file_or_from_stdin() {
    let fake = Fake::start();
    let edge = edge(&fake);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    let path = file.to_str().unwrap();
    let dsn = format!("{{\"dsn\":\"https://{KEY}@h/42\",\"retention\":1}}\n");
    for packing in Packing::ALL {
        fs::write(&file, packing.pack(dsn.as_bytes())).unwrap();
        let coding = packing.headers().first().map(|(_, name)| *name);
        let header = format!("Content-Encoding: {}", coding.unwrap_or_default());
        let told = explain(
            edge.admin,
            &["--body", path, "-H", &header, "/api/42/envelope/"],
        );
        assert_eq!(
            told.code,
            Some(0),
            "{packing:?}: {}{}",
            told.stdout,
            told.stderr
        );
        assert!(told.stdout.contains("cleaned"), "{}", told.stdout);
        let told = explain(
            edge.admin,
            &["--body", path, "-H", &header, "/api/43/envelope/"],
        );
        assert_eq!(
            told.code,
            Some(1),
            "{packing:?}: {}{}",
            told.stdout,
            told.stderr
        );
        assert!(
            told.stdout.ends_with("400: dsn_mismatch\n"),
            "{}",
            told.stdout
        );
    }
    let admin = edge.admin.to_string();
    let mut child = program()
        .args([
            "explain",
            "--admin",
            &admin,
            "--body",
            "-",
            "/api/42/envelope/",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"[]\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.ends_with("400: malformed\n"), "{said}");
}

fn json_is_the_edges_answer_unchanged() {
    let fake = Fake::start();
    let edge = edge(&fake);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    fs::write(&file, ENVELOPE).unwrap();
    let target = envelope_target();
    for (method, want) in [("POST", 0), ("PUT", 1)] {
        let question = json!({
            "method": method,
            "path": target,
            "headers": [["x-forwarded-for", "203.0.113.9"], ["host", "sentry.example.com"]],
            "peer": "127.0.0.1",
            "body_base64": STANDARD.encode(ENVELOPE),
        });
        let answer = post(&edge, "/api/v1/explain", question.to_string().as_bytes());
        let url = format!("https://sentry.example.com{target}");
        let from = "X-Forwarded-For: 203.0.113.9";
        let body = file.to_str().unwrap();
        let arguments = ["--json", "-X", method, "-H", from, "--body", body, &url];
        let told = explain(edge.admin, &arguments);
        assert_eq!(told.code, Some(want), "{}{}", told.stdout, told.stderr);
        assert_eq!(told.stdout, format!("{}\n", answer.text()));
        let told: Value = serde_json::from_str(&told.stdout).unwrap();
        assert!(
            told["steps"]
                .as_array()
                .is_some_and(|steps| !steps.is_empty())
        );
    }
}

fn what_cannot_be_asked_is_a_usage_error() {
    let fake = Fake::start();
    let edge = edge(&fake);
    for arguments in [
        &[][..],
        &["api/42/envelope/"],
        &["ftp://sentry.example.com/"],
        &["https:///api/42/envelope/"],
        &["-X", "B AD", "/"],
        &["-H", "no colon", "/"],
        &["-H", "bad name: x", "/"],
        &["--from", "localhost", "/"],
        &["--body", "/absent/file", "/"],
        &["/with blank"],
    ] {
        let wrong = explain(edge.admin, arguments);
        assert_eq!(
            wrong.code,
            Some(2),
            "{arguments:?}: {}{}",
            wrong.stdout,
            wrong.stderr
        );
        assert_eq!(wrong.stdout, "", "{arguments:?}");
        assert!(!wrong.stderr.is_empty(), "{arguments:?}");
    }
}

fn the_edge_is_asked_for_as_its_operator() {
    let fake = Fake::start();
    let down = Silent::reserve();
    let nobody = explain(
        down.url().trim_start_matches("http://").parse().unwrap(),
        &["/"],
    );
    assert_eq!(nobody.code, Some(1), "{}", nobody.stdout);
    let wide = json!({"listen": {"admin": "0.0.0.0:0"}, "admin": {"token": "right-token"}});
    let edge = Edge::configured(&fake.url(), &fake.url(), wide);
    let at = SocketAddr::from(([127, 0, 0, 1], edge.admin.port()));
    for (arguments, code) in [
        (&["/"][..], 1),
        (&["--token", "wrong-token", "/"], 1),
        (&["--token", "right-token", "/"], 0),
    ] {
        let told = explain(at, arguments);
        assert_eq!(
            told.code,
            Some(code),
            "{arguments:?}: {}{}",
            told.stdout,
            told.stderr
        );
        assert_eq!(code == 1, told.stderr.contains("token"), "{}", told.stderr);
    }
    let mut command = program();
    command.env("VIDETTE_ADMIN", at.to_string());
    command.env("VIDETTE_ADMIN_TOKEN", "right-token");
    assert_eq!(ran(command.args(["explain", "/"])).code, Some(0));
}
