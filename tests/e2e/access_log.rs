//! The access log: a line for each request, what it shows and what it never does; where lines go,
//! how much they take, and that no request waits for them.

mod hidden;
mod written;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::edge::{Edge, KEY, configuration, dump_target, envelope_target};
use crate::exchange::Next;
use crate::parts::promises;
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        every_request_has_a_line_that_says_what_became_of_it,
        a_line_says_why_an_event_was_dropped,
        what_nobody_can_answer_has_a_line,
        common_lines_are_read_by_whoever_reads_web_servers_logs,
        sampled_has_what_went_wrong_and_a_share_of_the_rest,
        a_flood_of_refusals_is_sampled_too,
        it_is_off_until_it_is_wanted,
    ];
    trials.extend(hidden::trials());
    trials.extend(written::trials());
    trials
}

/// An envelope of one error with this id.
fn envelope(id: &str) -> Vec<u8> {
    format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\"}}\n{{}}\n").into_bytes()
}

const ID: &str = "fc6d8c0c43fc4630ad850ee518f1b9d0";

/// An edge whose lines go to `access.log` beside its configuration.
#[track_caller]
fn edge(fake: &Fake, access_log: &Value, mut changes: Value) -> Edge {
    let mut log = json!({"mode": "all", "to": "./access.log"});
    crate::edge::lay_over(&mut log, access_log);
    changes["access_log"] = log;
    Edge::configured(&fake.url(), &fake.url(), changes)
}

/// The lines of a file so far, which may not be there yet.
fn lines_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until the file has so many lines, and reads them as JSON.
#[track_caller]
fn wait_lines(edge: &Edge, count: usize) -> Vec<Value> {
    let path = edge.folder().join("access.log");
    let deadline = Instant::now() + HANG;
    loop {
        let lines = lines_of(&path);
        if lines.len() >= count {
            let read = |line: &String| serde_json::from_str(line).unwrap();
            let lines: Vec<Value> = lines.iter().map(read).collect();
            assert_eq!(lines.len(), count, "{lines:#?}");
            return lines;
        }
        assert!(Instant::now() < deadline, "{count} lines: {lines:#?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The only line, once it is there.
#[track_caller]
fn only_line(edge: &Edge) -> Value {
    wait_lines(edge, 1).remove(0)
}

/// Compares the named fields; `null`: it is not there.
#[track_caller]
fn check_line(line: &Value, want: &Value) {
    for (name, value) in want.as_object().unwrap() {
        let has = line.get(name).unwrap_or(&Value::Null);
        assert_eq!(has, value, "{name} in {line:#}");
    }
}

fn every_request_has_a_line_that_says_what_became_of_it() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}), json!({}));
    let body = envelope(ID);
    let headers = [
        ("User-Agent", "sentry.python/2.1.0"),
        ("X-Forwarded-For", "203.0.113.9"),
    ];
    let target = format!("{}&sentry_client=sentry.python%2F2.1.0", envelope_target());
    edge.ask("POST", &target, &headers, &body);
    let line = only_line(&edge);
    check_line(
        &line,
        &json!({
            "log": "access", "listener": "public", "client": "203.0.113.x", "method": "POST",
            "path": "/api/42/envelope/", "protocol": "HTTP/1.1", "route": "ingest",
            "outcome": "forwarded", "status": 200, "reason": null, "project": 42,
            "key": "a94a...", "categories": ["error"], "dropped": null, "limits": null,
            "event_id": ID, "bytes_in": body.len(), "bytes_out": 41,
            "sdk": "sentry.python/2.1.0", "user_agent": "sentry.python/2.1.0",
        }),
    );
    let time = line["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    let (took, upstream) = (&line["duration_ms"], &line["upstream_ms"]);
    assert!(took.as_f64() >= upstream.as_f64() && upstream.as_f64() > Some(0.0));
    // Every other route, each on its own way to an end.
    edge.ask("OPTIONS", &envelope_target(), &[], b"");
    edge.ask("GET", "/organizations/sentry/issues/", &[], b"");
    edge.ask("HEAD", "/auth/login/", &[], b"");
    edge.ask("GET", "/js-sdk/nothing.js", &[], b"");
    edge.ask(
        "POST",
        "/api/0/organizations/o/chunk-upload/",
        &[],
        b"chunk",
    );
    edge.ask(
        "GET",
        "/api/0/relays/live/",
        &[("X-Forwarded-For", "10.1.2.3")],
        b"",
    );
    edge.ask("GET", "/api/relay/healthcheck/live/", &[], b"");
    let lines = wait_lines(&edge, 8);
    let told: Vec<String> = lines[1..]
        .iter()
        .map(|line| {
            let field = |name: &str| line[name].as_str().unwrap_or("none");
            let (route, outcome, reason) = (field("route"), field("outcome"), field("reason"));
            format!("{route} {outcome} {reason} {}", line["bytes_out"])
        })
        .collect();
    assert_eq!(told[0], "ingest local none 0");
    assert_eq!(told[1], "web forwarded none 41");
    assert_eq!(told[2], "web forwarded none 0");
    assert!(
        told[3].starts_with("static refused not_public "),
        "{told:?}"
    );
    assert_eq!(told[4], "upload forwarded none 41");
    assert_eq!(told[5], "relay forwarded none 41");
    assert!(told[6].starts_with("local refused not_public "), "{told:?}");
    assert_eq!(lines[5]["bytes_in"], 5);
    assert_eq!(
        edge.metric("vidette_access_log_lines_total", &["written"]),
        8.0
    );
}

fn a_line_says_why_an_event_was_dropped() {
    let fake = Fake::start();
    let project = json!({
        "id": 42, "keys": [KEY],
        "quotas": [{"name": "sold-out", "categories": ["error"], "limit": 0, "per": "1h"}],
    });
    let edge = edge(&fake, &json!({}), json!({"projects": [project]}));
    assert_eq!(edge.post_envelope(&[], &envelope(ID)).status, 429);
    check_line(
        &only_line(&edge),
        &json!({
            "outcome": "refused", "status": 429, "reason": "quota", "dropped": ["quota"],
            "limits": ["sold-out"], "categories": ["error"], "event_id": ID, "project": 42,
            "key": "a94a...", "upstream_ms": null,
        }),
    );
    // Of an envelope that is forwarded a part may have stayed here.
    let mixed = b"{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"sessions\",\"length\":2}\n{}\n";
    assert_eq!(edge.post_envelope(&[], mixed).status, 200);
    // Whose key is of another project; and one that is none.
    edge.ask(
        "POST",
        &format!("/api/7/store/?sentry_key={KEY}"),
        &[],
        b"{}",
    );
    edge.ask("POST", "/api/7/store/?sentry_key=hunter2", &[], b"{}");
    let lines = wait_lines(&edge, 4);
    check_line(
        &lines[1],
        &json!({
            "outcome": "forwarded", "status": 200, "reason": null, "dropped": ["quota"],
            "categories": ["error", "session"],
        }),
    );
    check_line(
        &lines[2],
        &json!({"status": 403, "reason": "wrong_project", "project": 7, "key": null}),
    );
    check_line(
        &lines[3],
        &json!({"status": 400, "reason": "bad_key", "project": 7, "key": null}),
    );
}

fn what_nobody_can_answer_has_a_line() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        Ok(Next::Close)
    });
    let edge = edge(&fake, &json!({}), json!({}));
    let answer = edge.ask("GET", "/auth/login/", &[], b"");
    assert_eq!(answer.status, 502);
    // What is no HTTP has a line without a word of it.
    let mut client = edge.connect();
    client.send(b"\x16\x03\x01 hunter2 \r\n\r\n");
    assert_eq!(client.answer_to("GET").status, 400);
    // A client that leaves amid its body.
    let mut client = edge.connect();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1234",
        dump_target()
    );
    client.send(head.as_bytes());
    drop(client);
    let mut lines = wait_lines(&edge, 3);
    lines.sort_by_key(|line| line["status"].as_u64());
    check_line(
        &lines[0],
        &json!({"outcome": "aborted", "status": 0, "reason": "client_gone", "bytes_in": 4}),
    );
    check_line(
        &lines[1],
        &json!({
            "outcome": "refused", "status": 400, "reason": "malformed", "path": "-",
            "method": "-", "user_agent": null, "client": "127.0.0.x",
        }),
    );
    check_line(
        &lines[2],
        &json!({"outcome": "failed", "status": 502, "reason": "no_upstream", "route": "web"}),
    );
}

fn common_lines_are_read_by_whoever_reads_web_servers_logs() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({"format": "common"}), json!({}));
    let odd = "a \"quoted\" \\ agent";
    edge.post_envelope(
        &[("User-Agent", odd), ("X-Forwarded-For", "2001:db8:1:2::3")],
        b"{}\n",
    );
    edge.ask("GET", "/a%22b/c%0ad/", &[], b"");
    let path = edge.folder().join("access.log");
    edge.wait_metric("vidette_access_log_lines_total", &["written"], 2.0);
    let lines = lines_of(&path);
    let [first, second] = lines.as_slice() else {
        panic!("{lines:#?}");
    };
    let fields = combined(first);
    assert_eq!(fields[..3], ["2001:db8:1::", "-", "a94a..."]);
    assert_eq!(fields[4], "POST /api/42/envelope/ HTTP/1.1");
    assert_eq!(
        fields[5..],
        ["200", "41", "-", r"a \x22quoted\x22 \x5C agent"]
    );
    let fields = combined(second);
    assert_eq!(fields[..3], ["127.0.0.0", "-", "-"]);
    assert_eq!(
        fields[4..],
        ["GET /***/***/ HTTP/1.1", "200", "41", "-", "-"]
    );
}

/// The nine fields of a combined line, by the usual pattern:
/// `^(\S+) (\S+) (\S+) \[([^\]]+)\] "([^"]*)" (\d{3}) (\d+) "([^"]*)" "([^"]*)"$`.
#[track_caller]
fn combined(line: &str) -> Vec<&str> {
    let (mut rest, mut fields) = (line, Vec::new());
    for end in [" ", " ", " [", "] \"", "\" ", " ", " \"", "\" \"", "\""] {
        let split = rest.split_once(end);
        let (field, after) = split.unwrap_or_else(|| panic!("no {end:?} in {line}"));
        fields.push(field);
        rest = after;
    }
    assert_eq!(rest, "", "{line}");
    let number = |field: &str| field.bytes().all(|byte| byte.is_ascii_digit());
    assert!(
        number(fields[5]) && fields[5].len() == 3 && number(fields[6]),
        "{line}"
    );
    // 14/Nov/2023:22:13:20 +0000
    assert!(
        fields[3].len() == 26 && fields[3].ends_with(" +0000"),
        "{line}"
    );
    fields
}

fn sampled_has_what_went_wrong_and_a_share_of_the_rest() {
    let fake = Fake::start();
    let log = json!({"mode": "sampled", "sample": 0.2, "errors": "100000/s"});
    let edge = edge(&fake, &log, json!({}));
    let mut client = edge.connect();
    for number in 0..600 {
        let target = match number % 6 {
            0 => "/api/42/store/".to_owned(),
            _ => dump_target(),
        };
        client.send(&crate::client::request("POST", &target, &[], b"{}"));
        let status = client.answer_to("POST").status;
        assert_eq!(status, if number % 6 == 0 { 401 } else { 200 });
    }
    // Handed over within a second.
    edge.wait_metric("vidette_access_log_lines_total", &["written"], 101.0);
    thread::sleep(Duration::from_millis(600));
    let lines = lines_of(&edge.folder().join("access.log"));
    let wrong = lines
        .iter()
        .filter(|line| line.contains("\"no_key\""))
        .count();
    let well = lines.len() - wrong;
    assert_eq!(wrong, 100, "what went wrong is not all there");
    // A fifth of 500, seven standard deviations either way.
    assert!((37..=163).contains(&well), "{well} of 500");
}

fn a_flood_of_refusals_is_sampled_too() {
    let fake = Fake::start();
    let log = json!({"mode": "sampled", "sample": 0, "errors": "5/h"});
    let edge = edge(&fake, &log, json!({}));
    let mut client = edge.connect();
    for _ in 0..50 {
        client.send(&crate::client::request(
            "POST",
            "/api/42/store/",
            &[],
            b"{}",
        ));
        assert_eq!(client.answer_to("POST").status, 401);
    }
    // Another reason has lines of its own.
    client.send(&crate::client::request(
        "PUT",
        &envelope_target(),
        &[],
        b"{}",
    ));
    assert_eq!(client.answer_to("PUT").status, 405);
    edge.wait_metric("vidette_access_log_lines_total", &["written"], 6.0);
    let lines = wait_lines(&edge, 6);
    let reasons: Vec<&str> = lines
        .iter()
        .map(|line| line["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        ["no_key", "no_key", "no_key", "no_key", "no_key", "method"]
    );
}

fn it_is_off_until_it_is_wanted() {
    let fake = Fake::start();
    let off = |mode: &str| {
        let log = json!({"mode": mode, "to": "./access.log"});
        configuration(&fake.url(), &fake.url(), &json!({"access_log": log}))
    };
    let edge = Edge::run(&off("off").to_string(), &[]);
    let path = edge.folder().join("access.log");
    edge.post_envelope(&[], &envelope(ID));
    let switch = |mode: &str, reloads: f64| {
        edge.rewrite(&off(mode).to_string());
        edge.wait_metric("vidette_config_reloads_total", &["applied"], reloads);
    };
    assert_eq!(edge.metric("vidette_access_log_lines_total", &[]), 0.0);
    assert!(!path.exists());
    switch("all", 1.0);
    edge.post_envelope(&[], &envelope(ID));
    let line = only_line(&edge);
    check_line(&line, &json!({"path": "/api/42/envelope/"}));
    switch("off", 2.0);
    edge.post_envelope(&[], &envelope(ID));
    thread::sleep(Duration::from_millis(600));
    assert_eq!(lines_of(&path).len(), 1);
    let status = edge.admin_get("/api/v1/status").json();
    check_line(
        &status["access_log"],
        &json!({"mode": "off", "to": "./access.log", "written": 1, "dropped": 0, "failing": null}),
    );
}
