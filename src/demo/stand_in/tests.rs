//! The stand-in over a real socket: literal requests in, answers and rows out.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::*;

const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";
const ID: &str = "5c7b0a2f6d3e4b198a0c1d2e3f405162";

struct Desk {
    stand_in: StandIn,
    events: Arc<Events>,
}

impl Desk {
    fn open() -> Self {
        let events = Arc::new(Events::default());
        let stand_in = StandIn::start(Arc::clone(&events)).expect("a loopback port is free");
        Self { stand_in, events }
    }

    /// Sends one request; the head's `Host`, length and end are added.
    fn ask(&self, head: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.stand_in.address()).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a hang guard");
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let headers: String = headers
            .lines()
            .map(|header| format!("{header}\r\n"))
            .collect();
        let length = body.len();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        stream.write_all(body).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The rows so far, newest first, without their number and time.
    fn rows(&self) -> Value {
        let mut rows: Value = serde_json::from_slice(&self.events.json()).expect("JSON");
        for row in rows.as_array_mut().expect("a list") {
            let row = row.as_object_mut().expect("objects");
            row.retain(|name, _| name != "seq" && name != "at");
        }
        rows
    }
}

fn row(kind: &str, bytes: u64) -> Value {
    json!({"event_id": ID, "project": 42, "key": KEY, "client_ip": null, "type": kind, "bytes": bytes})
}

#[track_caller]
fn check(head: &str, body: &[u8], status: u16, want: &str) {
    let answer = Desk::open().ask(head, body);
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{head}: {answer}"
    );
    let got = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    assert_eq!(got, Some(want), "{head}: {answer}");
}

#[test]
fn an_envelope_is_answered_with_its_id_and_each_item_is_a_row() {
    let desk = Desk::open();
    let head = format!(
        "POST /api/42/envelope/\nX-Sentry-Auth: Sentry sentry_key={KEY}, sentry_version=7\nX-Forwarded-For: 203.0.113.9"
    );
    let body = format!(
        "{{\"event_id\":\"{ID}\"}}\n{{\"type\":\"event\",\"length\":2}}\n{{}}\n{{\"type\":\"attachment\",\"length\":3}}\n\n\n\n\n"
    );
    let answer = desk.ask(&head, body.as_bytes());
    assert!(
        answer.ends_with(&format!("\r\n\r\n{{\"id\":\"{ID}\"}}")),
        "{answer}"
    );
    assert!(
        answer.contains("content-type: application/json\r\n"),
        "{answer}"
    );
    let (mut attachment, mut error) = (row("attachment", 3), row("error", 2));
    attachment["client_ip"] = "203.0.113.9".into();
    error["client_ip"] = "203.0.113.9".into();
    assert_eq!(desk.rows(), json!([attachment, error]));
}

#[test]
fn a_packed_envelope_is_unpacked() {
    let desk = Desk::open();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let envelope = format!("{{\"event_id\":\"{ID}\"}}\n{{\"type\":\"transaction\"}}\n{{\"a\":1}}");
    encoder
        .write_all(envelope.as_bytes())
        .expect("memory takes it");
    let head = format!("POST /api/42/envelope/?sentry_key={KEY}\nContent-Encoding: gzip");
    let answer = desk.ask(&head, &encoder.finish().expect("memory takes it"));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(desk.rows(), json!([row("transaction", 7)]));
}

#[test]
fn the_envelopes_dsn_is_enough() {
    let desk = Desk::open();
    let body = format!(
        "{{\"event_id\":\"{ID}\",\"dsn\":\"http://{KEY}@h/42\"}}\n{{\"type\":\"event\"}}\n{{}}"
    );
    let answer = desk.ask("POST /api/42/envelope/", body.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(desk.rows(), json!([row("error", 2)]));
}

#[test]
fn an_event_of_an_old_client_is_listed() {
    let desk = Desk::open();
    let body = format!("{{\"event_id\":\"{ID}\"}}");
    desk.ask(
        &format!("POST /api/store/?sentry_key={KEY}"),
        body.as_bytes(),
    );
    let mut want = row("error", 47);
    want["project"] = Value::Null;
    assert_eq!(desk.rows(), json!([want]));
}

#[test]
fn what_needs_an_event_gets_a_fresh_id_and_what_does_not_gets_none() {
    let desk = Desk::open();
    let head = format!("POST /api/42/envelope/?sentry_key={KEY}");
    let answer = desk.ask(&head, b"{}\n{\"type\":\"event\"}\n{}");
    let id = desk.rows()[0]["event_id"]
        .as_str()
        .map(str::to_owned)
        .expect("an id");
    assert!(id.len() == 32 && answer.contains(&id), "{answer}");
    let answer = desk.ask(&head, b"{}\n{\"type\":\"session\"}\n{}");
    assert!(answer.ends_with("\r\n\r\n{}"), "{answer}");
    assert_eq!(desk.rows()[0]["event_id"], Value::Null);
}

#[test]
fn each_endpoint_gives_its_own_success() {
    let query = format!("?sentry_key={KEY}");
    let csp = "\nContent-Type: application/csp-report";
    check(
        &format!("POST /api/42/security/{query}{csp}"),
        b"{}",
        200,
        "",
    );
    let nel = "\nContent-Type: application/reports+json";
    check(&format!("POST /api/42/nel/{query}{nel}"), b"[]", 200, "");
    check(
        &format!("POST /api/42/events/{ID}/attachments/{query}"),
        b"--x",
        201,
        "",
    );
    check(
        &format!("POST /api/42/cron/nightly/{query}&status=ok"),
        b"",
        202,
        "",
    );
    check(
        &format!("GET /api/42/cron/nightly/{KEY}/?status=ok"),
        b"",
        202,
        "",
    );
    for path in ["minidump/", "minidump"] {
        let answer = Desk::open().ask(&format!("POST /api/42/{path}{query}"), b"MDMP");
        let uuid = answer.split_once("\r\n\r\n").map(|(_, body)| body.len());
        assert_eq!(uuid, Some(36), "{path}: {answer}");
    }
    let answer = Desk::open().ask(
        &format!("GET /api/42/store/{query}&sentry_data=e30%3D"),
        b"",
    );
    assert!(answer.contains("content-type: image/gif\r\n"), "{answer}");
}

#[test]
fn an_attachment_belongs_to_the_event_in_the_path() {
    let desk = Desk::open();
    desk.ask(
        &format!("POST /api/42/events/{ID}/attachments/?sentry_key={KEY}"),
        b"12345",
    );
    assert_eq!(desk.rows(), json!([row("attachment", 5)]));
}

#[test]
fn refusals_have_sentrys_status_and_leave_no_row() {
    let desk = Desk::open();
    let keyed = format!("POST /api/42/envelope/?sentry_key={KEY}");
    for (head, body, status) in [
        (keyed.as_str(), &b""[..], 400),
        (&keyed, b"{}\n\n", 400),
        (&format!("{keyed}\nContent-Encoding: gzip"), b"{}", 400),
        (&format!("{keyed}\nContent-Encoding: zstd"), b"{}", 415),
        (
            &keyed,
            b"{\"dsn\":\"http://00000000000000000000000000000000@h/42\"}",
            400,
        ),
        (
            "POST /api/42/envelope/",
            b"{}\n{\"type\":\"event\"}\n{}",
            401,
        ),
        ("POST /api/42/envelope/?sentry_key=5", b"{}", 400),
        ("POST /api/42/store/", b"{}", 401),
        (
            &format!("PUT /api/42/envelope/?sentry_key={KEY}"),
            b"{}",
            405,
        ),
        (
            &format!("POST /api/42/security/?sentry_key={KEY}"),
            b"{}",
            415,
        ),
        (
            &format!("POST /api/99999999999999999999/envelope/?sentry_key={KEY}"),
            b"{}",
            400,
        ),
        (
            &format!("POST /api/42/nothing/?sentry_key={KEY}"),
            b"{}",
            404,
        ),
    ] {
        let answer = desk.ask(head, body);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{head}: {answer}"
        );
        assert!(answer.contains("{\"detail\":"), "{head}: {answer}");
    }
    assert_eq!(desk.rows(), json!([]));
}

#[test]
fn the_web_side_is_a_page() {
    let answer = Desk::open().ask("GET /", b"");
    assert!(
        answer.contains("content-type: text/html; charset=utf-8\r\n"),
        "{answer}"
    );
    check("GET /_health/", b"", 200, "ok");
    check("GET /api/0/relays/live/", b"", 200, "{\"is_healthy\":true}");
    let answer = Desk::open().ask("POST /api/0/organizations/x/chunk-upload/", b"12");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[test]
fn a_body_over_the_limit_is_refused_while_it_arrives() {
    let desk = Desk::open();
    let line = format!("{{\"x\":\"{}\"}}", "a".repeat(300 * 1024));
    let answer = desk.ask(
        &format!("POST /api/42/envelope/?sentry_key={KEY}"),
        line.as_bytes(),
    );
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}
