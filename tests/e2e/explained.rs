//! What `explain` says, held against what really happens: the same requests are
//! described to the edge and sent to it. The commands that ask stand in `asked`,
//! the one that looks for faults in `doctor`.

mod asked;
mod compose;
mod doctor;
mod requests;
mod upload;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::{Answer, ask, request};
use crate::edge::{Edge, KEY, envelope_target};
use crate::ingest::ENVELOPE;
use crate::parts::promises;
use crate::upstream::Fake;
use requests::{OFF, Row, rows};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        explanations_agree_with_what_happens,
        a_page_that_cannot_be_read_is_said_to_pass,
        a_verdict_that_was_learned_is_explained,
        what_finds_no_upstream_is_explained,
        an_explanation_changes_nothing,
        what_is_no_request_is_told_in_words,
        explanations_are_for_operators_only,
    ];
    trials.extend(asked::trials());
    trials.extend(doctor::trials());
    trials.extend(compose::trials());
    trials.extend(upload::trials());
    trials
}

/// What the edge says would become of an envelope.
pub(crate) fn envelope_explained(edge: &Edge, body: &[u8]) -> Value {
    let question = json!({
        "method": "POST",
        "path": envelope_target(),
        "headers": [["Host", "sentry.example.com"]],
        "peer": "127.0.0.1",
        "body_base64": STANDARD.encode(body),
    });
    post(edge, "/api/v1/explain", question.to_string().as_bytes()).json()
}

/// Posts to the admin address of an edge as a local operator.
#[track_caller]
pub(crate) fn post(edge: &Edge, path: &str, body: &[u8]) -> Answer {
    let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
    ask(edge.admin, "POST", path, &headers, body)
}

/// What the edge says would become of a request from the tests' own address.
#[track_caller]
fn explained(edge: &Edge, row: &Row) -> Value {
    let mut headers = vec![("Host", "sentry.example.com")];
    headers.extend(row.headers.iter().map(|(name, value)| (*name, &**value)));
    let question = json!({
        "method": row.method,
        "path": row.path,
        "headers": headers,
        "peer": "127.0.0.1",
        "body_base64": STANDARD.encode(&row.body),
    });
    let answer = post(edge, "/api/v1/explain", question.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{row:?}: {}", answer.text());
    answer.json()
}

/// The ending of an explanation: verdict, status and reason.
fn ending(explained: &Value) -> Value {
    json!([
        explained["verdict"],
        explained["status"],
        explained["reason"]
    ])
}

/// How a request really ends, in the same words.
#[track_caller]
fn happened(edge: &Edge, fake: &Fake, row: &Row) -> Value {
    let before = fake.requests().len();
    let headers: Vec<(&str, &str)> = row
        .headers
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    let mut client = edge.connect();
    client.send(&request(row.method, &row.path, &headers, &row.body));
    let answer = client.answer_to(row.method);
    if fake.requests().len() > before {
        return json!(["forwarded", null, null]);
    }
    let refused: Option<Value> = serde_json::from_slice(&answer.body).ok();
    match refused.map(|told| told["causes"][0].clone()) {
        Some(Value::String(reason)) => json!(["refused", answer.status, reason]),
        _ => json!(["local", answer.status, null]),
    }
}

/// An edge whose configuration has something for each row, and its folder of files.
fn versatile(fake: &Fake, mode: &str) -> (Edge, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app.js"), "1").unwrap();
    let changes = json!({
        "keys": {"mode": mode},
        "state": {"path": "off"}, "spool": {"path": "off"},
        "serve_relays": "internal",
        "tunnel": {"paths": ["/t"]},
        "static": [{"path": "/js-sdk/", "root": folder.path(), "cors": true}],
        "limits": {"bodies": {"ingest": "300KiB", "web": "1000", "upload": "2000"}},
        "projects": [
            {"id": 42, "keys": [KEY, {"key": OFF, "enabled": false}]},
            {"id": 7, "keys": [requests::SHY], "allowed_origins": ["shop.example", "*.pages.example"]},
        ],
    });
    (Edge::configured(&fake.url(), &fake.url(), changes), folder)
}

fn explanations_agree_with_what_happens() {
    let rows = rows();
    assert!(rows.len() >= 60, "{} rows", rows.len());
    let mut endings: Vec<String> = Vec::new();
    let mut disagreements: Vec<String> = Vec::new();
    for mode in ["open", "learn", "strict"] {
        let fake = Fake::start();
        let (edge, _folder) = versatile(&fake, mode);
        for row in &rows {
            let told = explained(&edge, row);
            let real = happened(&edge, &fake, row);
            if ending(&told) != real {
                disagreements.push(format!("{mode}: {row:?}\n  told {told}\n  real {real}"));
            }
            endings.push(
                real[2]
                    .as_str()
                    .unwrap_or(real[0].as_str().unwrap())
                    .to_owned(),
            );
        }
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
    // What never happens cannot disagree.
    for wanted in [
        "forwarded",
        "local",
        "no_key",
        "many_keys",
        "bad_key",
        "bad_version",
        "bad_project",
        "dsn_mismatch",
        "method",
        "content_type",
        "malformed",
        "bad_compression",
        "too_large",
        "bad_path",
        "not_public",
        "unknown_key",
        "disabled_key",
        "wrong_project",
        "origin",
    ] {
        assert!(
            endings.iter().any(|ending| ending == wanted),
            "nothing ends as {wanted}"
        );
    }
}

/// An `Origin` that was passed over was told as none at all.
fn a_page_that_cannot_be_read_is_said_to_pass() {
    let fake = Fake::start();
    let (edge, _folder) = versatile(&fake, "learn");
    let target = format!("/api/7/envelope/?sentry_key={}", requests::SHY);
    for (headers, result, why) in [
        (vec![], "none", "no page is named, so it passes"),
        (
            vec![("Origin", "null")],
            "unreadable",
            "cannot be read, so it passes, as in Sentry",
        ),
        (
            vec![("Referer", "about:blank")],
            "unreadable",
            "cannot be read, so it passes, as in Sentry",
        ),
        (
            vec![("Origin", "https://shop.example")],
            "https://shop.example",
            "allowed_origins lets it send",
        ),
    ] {
        let mut row = Row::post(&target, ENVELOPE);
        let headers = headers.into_iter();
        row.headers = headers
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        let told = explained(&edge, &row);
        let steps = told["steps"].as_array().unwrap().iter();
        let origin: Vec<&Value> = steps.filter(|step| step["step"] == "origin").collect();
        let want = json!({"step": "origin", "result": result, "why": why});
        assert_eq!(origin, [&want], "{row:?}");
    }
}

fn a_verdict_that_was_learned_is_explained() {
    let fake = Fake::with(|exchange| {
        exchange.read_body()?;
        exchange.answer(
            403,
            &[("content-type", "application/json")],
            b"{\"detail\":\"no\"}",
        )
    });
    let changes =
        json!({"keys": {"mode": "learn"}, "state": {"path": "off"}, "spool": {"path": "off"}});
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let row = Row::post(&envelope_target(), ENVELOPE);
    let (mut told, mut real) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        // Asked twice: to ask is not to send.
        let first = ending(&explained(&edge, &row));
        assert_eq!(first, ending(&explained(&edge, &row)));
        told.push(first);
        real.push(happened(&edge, &fake, &row));
    }
    assert_eq!(told, real);
    assert_eq!(real[0][0], "forwarded");
    assert_eq!(real[5], json!(["refused", 403, "unknown_key"]));
    assert_eq!(fake.requests().len(), 3, "three refusals are believed");
}

/// It was said to be forwarded, while everybody got 503.
fn what_finds_no_upstream_is_explained() {
    let fake = Fake::start();
    let nowhere = "http://relay.invalid:3000";
    let edge = Edge::configured(nowhere, nowhere, json!({"keys": {"mode": "learn"}}));
    for (row, status) in [
        (Row::post(&envelope_target(), ENVELOPE), 503),
        (Row::post("/web", b"x"), 502),
    ] {
        let told = explained(&edge, &row);
        assert_eq!(ending(&told), happened(&edge, &fake, &row), "{told}");
        assert_eq!(ending(&told), json!(["refused", status, "no_upstream"]));
        assert!(told.to_string().contains("does not resolve"), "{told}");
    }
}

/// Everything that the edge tells of its own state, but for what time alone moves.
fn state(edge: &Edge) -> String {
    let metrics = edge.admin_get("/metrics").text();
    let lines = metrics.lines().filter(|line| line.starts_with("vidette_"));
    let clients = edge.admin_get("/api/v1/clients").text();
    let status = edge.admin_get("/api/v1/status").text();
    let lines: Vec<&str> = lines.chain([&*clients, &*status]).collect();
    lines.join("\n")
}

fn an_explanation_changes_nothing() {
    let fake = Fake::start();
    let (edge, _folder) = versatile(&fake, "learn");
    assert_eq!(edge.post_envelope(&[], ENVELOPE).status, 200);
    edge.wait_metric("vidette_requests_total", &[], 1.0);
    let deadline = std::time::Instant::now() + crate::upstream::HANG;
    while edge.admin_get("/api/v1/clients").json()["sightings"] == json!([]) {
        assert!(std::time::Instant::now() < deadline, "nothing is sighted");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let (before, seen) = (state(&edge), fake.look(|ledger| ledger.requests.len()));
    edge.log.wait_for_text("DEBUG request");
    let log = edge.log.text();
    let rows = rows();
    let first: Vec<Value> = rows.iter().map(|row| explained(&edge, row)).collect();
    let again: Vec<Value> = rows.iter().map(|row| explained(&edge, row)).collect();
    assert_eq!(
        first, again,
        "an answer depends on how often it was asked for"
    );
    for (before, after) in before.lines().zip(state(&edge).lines()) {
        // Open connections to the upstream are closed when idle, asked or not.
        if !before.starts_with("vidette_upstream_connections") {
            assert_eq!(before, after);
        }
    }
    assert_eq!(fake.look(|ledger| ledger.requests.len()), seen);
    assert_eq!(edge.log.text(), log, "nor is it in the log");
}

fn what_is_no_request_is_told_in_words() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let good = json!({"method": "GET", "path": "/", "peer": "203.0.113.9"});
    let answer = post(&edge, "/api/v1/explain", good.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let with = |key: &str, value: Value| {
        let mut question = good.clone();
        question[key] = value;
        question.to_string()
    };
    for question in [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({"method": "GET", "path": "/"}).to_string(),
        json!({"method": "GET", "peer": "203.0.113.9"}).to_string(),
        json!({"path": "/", "peer": "203.0.113.9"}).to_string(),
        with("methd", json!("GET")),
        with("method", json!("")),
        with("method", json!("G T")),
        with("path", json!("")),
        with("path", json!("api/42/envelope/")),
        with("path", json!("http://sentry.example.com/")),
        with("path", json!("/with blank")),
        with("peer", json!("203.0.113.9:80")),
        with("peer", json!("localhost")),
        with("headers", json!({"Host": "x"})),
        with("headers", json!([["only a name"]])),
        with("headers", json!([["bad name", "x"]])),
        with("headers", json!([["x", "a\r\nb: c"]])),
        with("body_base64", json!("***")),
        with("body_base64", json!(5)),
    ] {
        let answer = post(&edge, "/api/v1/explain", question.as_bytes());
        assert_eq!(answer.status, 400, "{question}: {}", answer.text());
        let error = answer.json()["error"].clone();
        let words = error.as_str().unwrap_or_default();
        assert!(words.contains(' '), "{question}: {error}");
    }
    assert!(fake.requests().is_empty());
}

fn explanations_are_for_operators_only() {
    let fake = Fake::start();
    let question = json!({"method": "GET", "path": "/", "peer": "203.0.113.9"}).to_string();
    let host = ("Host", "localhost");
    let json = ("Content-Type", "application/json");
    let (good, bad) = (
        ("Authorization", "Bearer right-token"),
        ("Authorization", "Bearer wrong-token"),
    );
    let check = |edge: &Edge, headers: &[(&str, &str)], want: [u16; 2]| {
        let at = std::net::SocketAddr::from(([127, 0, 0, 1], edge.admin.port()));
        let explain = ask(at, "POST", "/api/v1/explain", headers, question.as_bytes());
        let clients = ask(at, "GET", "/api/v1/clients", headers, b"");
        assert_eq!([explain.status, clients.status], want, "{headers:?}");
    };
    let wide = json!({"listen": {"admin": "0.0.0.0:0"}, "admin": {"token": "right-token"}});
    let edge = Edge::configured(&fake.url(), &fake.url(), wide);
    check(&edge, &[host, json], [401, 401]);
    check(&edge, &[host, json, bad], [401, 401]);
    check(&edge, &[host, json, good], [200, 200]);
    check(&edge, &[("Host", "evil.example"), json, good], [403, 403]);
    let open = json!({"listen": {"admin": "0.0.0.0:0"}});
    let edge = Edge::configured(&fake.url(), &fake.url(), open);
    check(&edge, &[host, json], [403, 403]);
    // Over loopback no token is needed, but no page may ask either.
    let edge = Edge::before(&fake);
    check(&edge, &[host, json], [200, 200]);
    check(&edge, &[host, ("Content-Type", "text/plain")], [415, 200]);
    check(
        &edge,
        &[host, json, ("Origin", "http://evil.example")],
        [403, 200],
    );
    check(&edge, &[("Host", "evil.example"), json], [403, 403]);
    for (method, path) in [("GET", "/api/v1/explain"), ("POST", "/api/v1/clients")] {
        let answer = ask(edge.admin, method, path, &[host, json], b"{}");
        assert_eq!(answer.status, 405, "{method} {path}");
    }
    let public = edge.ask("GET", "/api/v1/clients", &[], b"");
    assert_eq!(
        fake.only_request().target_text(),
        "/api/v1/clients",
        "{public:?}"
    );
}
