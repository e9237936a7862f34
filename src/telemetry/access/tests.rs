//! What a line has, in both forms, and that nothing in it begins another.

use proptest::prelude::*;

use super::*;
use crate::domain::credentials::Key;

const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

fn line<'a>(path: &'a str, agent: &'a [u8]) -> Line<'a> {
    Line {
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        listener: "public",
        client: Some(Client::Network("203.0.113.9".parse().unwrap())),
        method: "POST",
        path,
        protocol: "HTTP/1.1",
        route: Route::Ingest,
        outcome: Ending::Forwarded,
        status: 200,
        reason: None,
        project: ProjectId::parse(b"42"),
        key: Key::parse(KEY.as_bytes()).map(|key| key.masked()),
        categories: Categories::of(&[Category::Error, Category::Attachment]),
        dropped: Reasons::default().with(Reason::Quota),
        limits: &[],
        event_id: Some(0xfc6d_8c0c_43fc_4630_ad85_0ee5_18f1_b9d0),
        bytes_in: 1400,
        bytes_out: 41,
        took: Duration::from_micros(1_234),
        upstream: Some(Duration::from_millis(1)),
        sdk: Sdk {
            header: Some(
                b"Sentry sentry_version=7, sentry_client=sentry.python/2.1.0, sentry_key=x",
            ),
            query: None,
        },
        agent: Some(agent),
    }
}

fn written(line: &Line<'_>, form: Form) -> String {
    let mut out = Vec::new();
    line.write(form, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_line_of_json_has_what_an_operator_looks_for() {
    let limits = ["errors-1h".into()];
    let line = Line {
        limits: &limits,
        ..line("/api/42/envelope/", b"sentry.python/2.1.0")
    };
    let want = concat!(
        "{\"log\":\"access\",\"time\":\"2023-11-14T22:13:20.123Z\",\"listener\":\"public\",",
        "\"client\":\"203.0.113.x\",\"method\":\"POST\",\"path\":\"/api/42/envelope/\",",
        "\"protocol\":\"HTTP/1.1\",\"route\":\"ingest\",\"outcome\":\"forwarded\",\"status\":200,",
        "\"project\":42,\"key\":\"a94a...\",\"categories\":[\"error\",\"attachment\"],",
        "\"dropped\":[\"quota\"],\"limits\":[\"errors-1h\"],",
        "\"event_id\":\"fc6d8c0c43fc4630ad850ee518f1b9d0\",\"bytes_in\":1400,\"bytes_out\":41,",
        "\"duration_ms\":1.234,\"upstream_ms\":1.0,\"sdk\":\"sentry.python/2.1.0\",",
        "\"user_agent\":\"sentry.python/2.1.0\"}\n"
    );
    assert_eq!(written(&line, Form::Json), want);
}

#[test]
fn a_common_line_is_what_readers_of_web_servers_logs_take() {
    let line = line("/api/42/envelope/", b"Mozilla/5.0 (X11; Linux x86_64)");
    assert_eq!(
        written(&line, Form::Common),
        "203.0.113.0 - a94a... [14/Nov/2023:22:13:20 +0000] \
         \"POST /api/42/envelope/ HTTP/1.1\" 200 41 \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"\n"
    );
}

#[test]
fn what_is_not_known_is_not_there() {
    let unread = Line {
        client: None,
        method: "",
        path: "",
        protocol: "",
        status: 0,
        project: None,
        key: None,
        categories: Categories::EMPTY,
        dropped: Reasons::default(),
        event_id: None,
        upstream: None,
        sdk: Sdk::default(),
        agent: None,
        ..line("", b"")
    };
    let json: serde_json::Value = serde_json::from_str(&written(&unread, Form::Json)).unwrap();
    let mut names: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "bytes_in",
            "bytes_out",
            "duration_ms",
            "listener",
            "log",
            "method",
            "outcome",
            "path",
            "route",
            "status",
            "time"
        ]
    );
    assert_eq!(
        written(&unread, Form::Common),
        "- - - [14/Nov/2023:22:13:20 +0000] \"-\" 499 41 \"-\" \"-\"\n"
    );
}

#[test]
fn a_pseudonym_is_shown_whole() {
    let pseudonym = Line {
        client: Some(Client::Pseudonym("fd12:3456::1".parse().unwrap())),
        ..line("/", b"")
    };
    assert!(written(&pseudonym, Form::Json).contains("\"client\":\"fd12:3456::1\""));
    assert!(written(&pseudonym, Form::Common).starts_with("fd12:3456::1 - "));
}

proptest! {
    /// Whatever a client sends, a line is one line and its quotes are in pairs.
    #[test]
    fn nothing_begins_another_line(path in "/\\PC{0,60}|/[ -~\u{80}-\u{9f}]{0,60}", agent: Vec<u8>, method in "[!-~]{1,30}") {
        let line = Line { method: &method, ..line(&path, &agent) };
        for form in [Form::Json, Form::Common] {
            let text = written(&line, form);
            prop_assert_eq!(text.matches('\n').count(), 1);
            prop_assert!(text.ends_with('\n') && text.trim_end().bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", text);
        }
        let json: serde_json::Value = serde_json::from_str(&written(&line, Form::Json)).unwrap();
        prop_assert_eq!(&json["status"], 200);
        prop_assert_eq!(written(&line, Form::Common).matches('"').count(), 6);
    }
}
