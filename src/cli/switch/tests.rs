//! What is typed, what the edge is asked, and what is printed.

use super::super::fake::{Fake, json as answer};
use super::listed::{Listed, table};
use super::*;

const ON: &str = r#"{"switches":[
    {"id":3,"project":42,"category":"error","action":"mute","value":"1%","by":"ops@there",
     "why":"a storm","set_at":"a","expires_at":"2026-11-26T12:00:00.000Z","left_s":60},
    {"id":4,"project":42,"category":null,"action":"limit","value":"100/1s","by":"b",
     "why":null,"set_at":"a","expires_at":"c","left_s":60},
    {"id":5,"project":42,"category":null,"action":"mute","value":null,"by":"b",
     "why":null,"set_at":"a","expires_at":"c","left_s":60},
    {"id":6,"project":7,"category":null,"action":"mute","value":null,"by":"b",
     "why":null,"set_at":"a","expires_at":"c","left_s":60}],
    "ended":[{"id":1,"project":42,"category":null,"action":"sample","value":"10%","by":"b",
     "why":null,"set_at":"a","expires_at":"c","end":"removed","ended_by":"ops","ended_at":"d"}],
    "max":1000,"kept":true}"#;

const SWITCHED: &str = r#"{"id":7,"project":42,"category":"error","action":"limit",
    "value":"100/1s","by":"b","why":null,"set_at":"a","expires_at":"then","left_s":60}"#;

const GONE: &str = r#"{"ended":{"id":5,"project":42,"category":null,"action":"mute","value":null,
    "by":"b","why":null,"set_at":"a","expires_at":"c","left_s":60},"kept":false}"#;

fn told(lines: Result<Vec<String>, Wrong>) -> Result<String, String> {
    let lines = lines.map(|lines| lines.join("\n"));
    lines.map_err(|wrong| match wrong {
        Wrong::Asked(error) => format!("asked: {error:#}"),
        Wrong::Failed(error) => format!("failed: {error:#}"),
    })
}

fn valued_at(fake: &Fake, words: &[&str], lasts_s: Option<u64>) -> Valued {
    Valued {
        project: "42".to_owned(),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        lasts: lasts_s.map(Duration::from_secs),
        why: None,
        address: admin::Address::of(fake.address),
    }
}

#[test]
fn a_switch_is_asked_for_as_it_was_typed() {
    let fake = Fake::start(|_| {
        let said = format!(r#"{{"on":{SWITCHED},"replaced":null,"kept":true,"seen":true}}"#);
        answer("201 Created", &said)
    });
    for (words, category, value) in [
        (&["error", "100/s"][..], json!("error"), "100/s"),
        (&["1000/1h"], json!(null), "1000/1h"),
    ] {
        let said = told(valued(&valued_at(&fake, words, Some(60)), "limit"));
        assert_eq!(
            said.as_deref(),
            Ok("limit 42 error 100/1s is on until then (id 7)")
        );
        let asked = fake.asked().pop().unwrap();
        assert_eq!((&*asked.method, &*asked.path), ("POST", PATH));
        let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(
            (&body["category"], &body["value"]),
            (&category, &json!(value))
        );
        assert_eq!((&body["project"], &body["for_s"]), (&json!(42), &json!(60)));
    }
}

#[test]
fn what_was_on_before_and_what_a_restart_forgets_is_told() {
    let fake = Fake::start(|_| {
        let was = r#"{"id":5,"project":42,"category":null,"action":"limit","value":"1/1s","by":"b",
            "why":null,"set_at":"a","expires_at":"c","left_s":60}"#;
        let said = format!(r#"{{"on":{SWITCHED},"replaced":{was},"kept":false,"seen":false}}"#);
        answer("201 Created", &said)
    });
    let said = told(valued(&valued_at(&fake, &["5/s"], Some(60)), "limit")).unwrap();
    let want = format!(
        "limit 42 error 100/1s is on until then (id 7)\n\
         but no key of project 42 has been seen to work here yet\n\
         it takes the place of: limit 42 1/1s until c, by b\n{FORGETS}"
    );
    assert_eq!(said, want);
}

#[test]
fn what_cannot_be_is_a_usage_error_and_what_fails_is_not() {
    for (status, said, want) in [
        (
            "422 Unprocessable Entity",
            r#"{"error":"value: no limit"}"#,
            "asked: value: no limit",
        ),
        (
            "503 Service Unavailable",
            r#"{"error":"busy"}"#,
            "failed: the edge answered 503",
        ),
    ] {
        let fake = Fake::start(move |_| answer(status, said));
        let error = told(valued(&valued_at(&fake, &["x"], Some(60)), "limit")).unwrap_err();
        assert!(error.starts_with(want), "{error}");
    }
    let fake = Fake::start(|_| answer("200 OK", ON));
    let error = told(valued(&valued_at(&fake, &["5/s"], None), "limit")).unwrap_err();
    assert!(error.starts_with("asked: for how long?"), "{error}");
}

#[track_caller]
fn check_end(category: Option<&str>, action: &str, paths: &[&str]) {
    let fake = Fake::start(|asked| match &*asked.method {
        "GET" => answer("200 OK", ON),
        _ => answer("200 OK", GONE),
    });
    let address = admin::Address::of(fake.address);
    let said = told(end(&address, 42, category, action));
    let asked = fake.asked();
    let deleted = asked.iter().filter(|asked| asked.method == "DELETE");
    let deleted: Vec<&str> = deleted.map(|asked| &*asked.path).collect();
    assert_eq!(deleted, paths);
    match paths.is_empty() {
        true => assert!(said.unwrap_err().starts_with("failed: no ")),
        false => assert!(said.unwrap().ends_with(FORGETS)),
    }
}

/// Whoever ended the mute of a category saw nothing come, and was not told why.
#[test]
fn what_is_on_for_everything_is_told_to_whoever_ends_a_category() {
    let fake = Fake::start(|asked| match &*asked.method {
        "GET" => answer("200 OK", ON),
        _ => answer("200 OK", GONE),
    });
    let address = admin::Address::of(fake.address);
    let hint = "but all of project 42 is muted: vidette unmute 42";
    let said = told(end(&address, 42, Some("session"), "mute")).unwrap_err();
    assert!(said.ends_with(&format!("is on, {hint}")), "{said}");
    let said = told(end(&address, 42, Some("error"), "mute")).unwrap();
    assert!(said.contains(&format!("\n{hint}\n")), "{said}");
    let said = told(end(&address, 42, None, "mute")).unwrap();
    assert!(!said.contains(hint), "{said}");
    let said = told(end(&address, 42, Some("error"), "limit")).unwrap_err();
    assert!(said.ends_with("is limited: vidette limit 42 off"), "{said}");
}

#[test]
fn an_end_is_of_a_category_or_of_all() {
    check_end(None, "mute", &["/api/v1/mutes/3", "/api/v1/mutes/5"]);
    check_end(Some("error"), "mute", &["/api/v1/mutes/3"]);
    check_end(Some("session"), "mute", &[]);
    check_end(None, "limit", &["/api/v1/mutes/4"]);
    check_end(None, "sample", &[]);
}

#[test]
fn the_list_is_a_line_a_switch() {
    let listed: Listed = serde_json::from_str(ON).unwrap();
    let lines = table(&listed, true);
    assert_eq!(lines.len(), 6);
    let first =
        "mute 42 error 1%                 until 2026-11-26T12:00:00.000Z by ops@there: a storm";
    assert_eq!(lines[0], first);
    assert_eq!(lines[4], "ended, the latest first:");
    assert_eq!(
        lines[5],
        "sample 42 10%                    until c by b; removed d by ops"
    );
    let nothing = Listed {
        switches: Vec::new(),
        ended: Vec::new(),
        kept: true,
    };
    assert_eq!(table(&nothing, false), ["nothing is switched on"]);
    assert_eq!(
        table(&nothing, true),
        ["nothing is switched on", "nothing has ended yet"]
    );
}

#[test]
fn who_types_is_told_as_far_as_it_is_known() {
    assert_eq!(
        whose(Some("ops"), Some("there")).as_deref(),
        Some("ops@there")
    );
    assert_eq!(whose(Some("ops"), None).as_deref(), Some("ops"));
    assert_eq!(whose(None, Some("there")), None);
    assert_eq!(whose(Some(""), Some("there")), None);
    let long = whose(Some(&"x".repeat(200)), Some("a\nb")).unwrap();
    assert_eq!(long.chars().count(), 100);
}
