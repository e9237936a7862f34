//! What is asked for a command line, what is printed for an answer, and how it exits.

use clap::Parser;

use super::super::fake::{Fake, json as answered};
use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn typed(line: &[&str]) -> Arguments {
    Line::try_parse_from([&["explain"], line].concat())
        .unwrap()
        .arguments
}

/// The question's method, path and headers.
#[track_caller]
fn check(line: &[&str], want: (&str, &str, &[(&str, &str)])) {
    let question = question(&typed(line)).unwrap();
    let (method, path, headers) = want;
    assert_eq!(question["method"], method, "{line:?}");
    assert_eq!(question["path"], path, "{line:?}");
    assert_eq!(question["headers"], json!(headers), "{line:?}");
}

#[track_caller]
fn check_misuse(line: &[&str], want: &str) {
    let error = format!("{:#}", question(&typed(line)).unwrap_err());
    assert!(error.contains(want), "{line:?}: {error}");
}

#[test]
fn a_url_of_the_network_tab_is_a_path_and_a_host() {
    check(&["/api/1/store/"], ("GET", "/api/1/store/", &[]));
    check(
        &["https://sentry.example.com:8443/api/42/envelope/?sentry_key=a#top"],
        (
            "GET",
            "/api/42/envelope/?sentry_key=a",
            &[("host", "sentry.example.com:8443")],
        ),
    );
    check(&["HTTP://a.b?x=/y"], ("GET", "/?x=/y", &[("host", "a.b")]));
    check(&["http://me:pw@[::1]"], ("GET", "/", &[("host", "[::1]")]));
    check(
        &["-H", "Host: c.d", "http://a.b/"],
        ("GET", "/", &[("host", "c.d")]),
    );
    check_misuse(&["api/1/store/"], "begins with a slash");
    check_misuse(&["ftp://a.b/"], "begins with a slash");
    check_misuse(&["https:///x"], "no host");
}

#[test]
fn method_and_headers_are_taken_as_curl_takes_them() {
    check(
        &[
            "-X",
            "OPTIONS",
            "-H",
            "Origin: https://a.b",
            "-H",
            "X-Empty:",
            "/",
        ],
        (
            "OPTIONS",
            "/",
            &[("origin", "https://a.b"), ("x-empty", "")],
        ),
    );
    check_misuse(&["-H", "Origin", "/"], "a colon");
    check_misuse(&["-H", "a b: c", "/"], "no header's name");
    check_misuse(&["-H", "a: b\r\nc: d", "/"], "no value");
    check_misuse(&["-X", "a b", "/"], "-X takes a method");
}

#[test]
fn a_body_makes_it_a_post() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("event");
    std::fs::write(&file, b"{}\n\xff").unwrap();
    let name = file.to_str().unwrap();
    check(&["--body", name, "/"], ("POST", "/", &[]));
    check(&["-X", "PUT", "--body", name, "/"], ("PUT", "/", &[]));
    let asked = question(&typed(&["--body", name, "--from", "2001:db8::1", "/"])).unwrap();
    assert_eq!(asked["body_base64"], STANDARD.encode(b"{}\n\xff"));
    assert_eq!(asked["peer"], "2001:db8::1");
    assert_eq!(question(&typed(&["/"])).unwrap()["peer"], "127.0.0.1");
    check_misuse(&["--body", "/absent/event", "/"], "/absent/event cannot be");
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("event");
    let file = File::create(&path).unwrap();
    file.set_len(BODY_BYTES_MAX).unwrap();
    assert!(body(&path).is_ok());
    file.set_len(BODY_BYTES_MAX + 1).unwrap();
    assert!(body(&path).is_err());
}

/// What is printed for an answer, and whether the exit is 0.
#[track_caller]
fn check_printed(answer: &Value, want: &[&str], well: bool) {
    let answer = Answer {
        status: http::StatusCode::OK,
        body: answer.to_string(),
    };
    let explained = read(&answer).unwrap();
    assert_eq!(explained.lines(), want);
    let code = if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    };
    assert_eq!(explained.exit_code(), code, "{want:?}");
}

#[test]
fn steps_stand_in_columns_and_the_verdict_is_last() {
    check_printed(
        &json!({
            "steps": [
                {"step": "route", "result": "ingest envelope, project 42", "why": "the path's form"},
                {"step": "credentials", "result": "a94a...", "why": ""},
                {"step": "key", "result": "unknown\u{1b}[2J", "why": null},
            ],
            "verdict": "refused", "status": 403, "reason": "unknown_key",
        }),
        &[
            "route        ingest envelope, project 42",
            "               the path's form",
            "credentials  a94a...",
            "key          unknown\\u{1b}[2J",
            "verdict      refused with 403: unknown_key",
        ],
        false,
    );
}

#[test]
fn the_exit_code_follows_the_verdict() {
    let ended = |verdict: &str, status: Option<u16>| json!({"steps": [], "verdict": verdict, "status": status, "reason": null});
    check_printed(&ended("forwarded", None), &["verdict  forwarded"], true);
    check_printed(
        &ended("spooled", None),
        &["verdict  kept, and sent once the upstream takes it"],
        true,
    );
    check_printed(
        &ended("local", Some(200)),
        &["verdict  answered by the edge itself with 200"],
        true,
    );
    check_printed(
        &ended("local", Some(404)),
        &["verdict  answered by the edge itself with 404"],
        false,
    );
    check_printed(
        &ended("refused", Some(405)),
        &["verdict  refused with 405"],
        false,
    );
}

/// It said `forwarded`, and nothing of what stays here.
#[test]
fn what_goes_without_some_items_is_said_so() {
    let ended = |verdict: &str, dropped: u64| {
        json!({"steps": [], "verdict": verdict, "judged": "all", "status": null, "reason": null,
               "items": {"found": 2, "dropped": dropped}})
    };
    for (verdict, dropped, want) in [
        ("forwarded", 0, "verdict  forwarded"),
        ("forwarded", 1, "verdict  forwarded without 1 of 2 items"),
        (
            "spooled",
            1,
            "verdict  kept without 1 of 2 items, and sent once the upstream takes it",
        ),
        ("refused", 2, "verdict  refused"),
    ] {
        check_printed(&ended(verdict, dropped), &[want], verdict != "refused");
    }
}

#[test]
fn a_running_edge_is_asked_once_and_its_refusal_exits_with_1() {
    let fake = Fake::start(|_| {
        answered(
            "200 OK",
            r#"{"steps":[],"verdict":"refused","status":401,"reason":"no_key"}"#,
        )
    });
    let admin = fake.address.to_string();
    let code = main(&typed(&["--admin", &admin, "--json", "/api/1/envelope/"]));
    assert_eq!(code, ExitCode::FAILURE);
    let asked = fake.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((&*asked[0].method, &*asked[0].path), ("POST", PATH));
    let body: Value = serde_json::from_str(&asked[0].body).unwrap();
    assert_eq!(
        body,
        json!({"method": "GET", "path": "/api/1/envelope/", "headers": [], "peer": "127.0.0.1", "body_base64": ""})
    );
}

#[test]
fn what_the_edge_cannot_read_is_misuse() {
    let fake = Fake::start(|_| {
        answered(
            "400 Bad Request",
            r#"{"error":"path does not begin with a slash"}"#,
        )
    });
    let admin = fake.address.to_string();
    assert_eq!(
        main(&typed(&["--admin", &admin, "/"])),
        ExitCode::from(2),
        "a question that is none"
    );
    assert_eq!(
        main(&typed(&["--admin", &admin, "nowhere"])),
        ExitCode::from(2),
        "a path that is none"
    );
    assert_eq!(fake.asked().len(), 1, "it was asked without a path");
}
