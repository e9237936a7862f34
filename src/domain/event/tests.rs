//! What is read of events, in every shape that SDKs give them.

use proptest::prelude::*;

use super::*;

const ID: &str = "4a106cf6b15144eb9131ae7db1a157a3";

fn event(json: &str) -> Event<'_> {
    Event::read(json.as_bytes()).unwrap()
}

#[track_caller]
fn check<'e>(json: &'e str, get: impl Fn(&Event<'e>) -> Option<String>, want: Option<&str>) {
    assert_eq!(get(&event(json)).as_deref(), want, "{json}");
}

#[test]
fn ids_stand_in_their_places() {
    let number = sampling::id(ID);
    let whole = format!(
        r#"{{"event_id":"{ID}","replay_id":"{ID}","profiler_id":"{ID}",
            "contexts":{{"os":{{"name":"x"}},"trace":{{"span_id":"1","trace_id":"{ID}"}}}}}}"#
    );
    let read = event(&whole);
    let ids = [
        read.id(),
        read.replay_id(),
        read.profiler_id(),
        read.trace_id(),
    ];
    assert_eq!(ids, [number; 4]);
    let none = event(r#"{"event_id":7,"replay_id":"no","contexts":{"trace":[]}}"#);
    let ids = [
        none.id(),
        none.replay_id(),
        none.profiler_id(),
        none.trace_id(),
    ];
    assert_eq!(ids, [None; 4]);
}

#[test]
fn release_and_environment_are_texts() {
    let release = |event: &Event<'_>| event.release().map(str::to_owned);
    check(r#"{"release":"shop@1.0"}"#, release, Some("shop@1.0"));
    check(r#"{"release":""}"#, release, None);
    check(r#"{"tags":{"release":"x"}}"#, release, None);
    let environment = |event: &Event<'_>| event.environment().map(str::to_owned);
    check(r#"{"environment":"prod"}"#, environment, Some("prod"));
    check(r#"{"environment":["prod"]}"#, environment, None);
}

#[test]
fn messages_come_as_text_or_as_log_entries() {
    let all = |event: &Event<'_>| {
        let all: Vec<&str> = event.messages().collect();
        Some(all.join("|"))
    };
    check(r#"{"message":"a"}"#, all, Some("a"));
    check(
        r#"{"message":{"formatted":"a","message":"%s"}}"#,
        all,
        Some("a"),
    );
    check(
        r#"{"logentry":{"message":"a"},"message":"b"}"#,
        all,
        Some("a|b"),
    );
    check(
        r#"{"logentry":{"formatted":"","message":"a"}}"#,
        all,
        Some("a"),
    );
    check(r#"{"message":5,"logentry":[]}"#, all, Some(""));
}

#[test]
fn exceptions_come_in_values_in_a_list_or_alone() {
    let all = |event: &Event<'_>| {
        let all = event.exceptions().iter();
        let all = all.map(|e| format!("{:?}:{:?}", e.kind(), e.value()));
        Some(all.collect::<Vec<_>>().join("|"))
    };
    let one = r#"{"type":"E","value":"v","stacktrace":{"frames":[{}]}}"#;
    let want = Some(r#"Some("E"):Some("v")"#);
    check(
        &format!(r#"{{"exception":{{"values":[{one}]}}}}"#),
        all,
        want,
    );
    check(&format!(r#"{{"exception":[{one}]}}"#), all, want);
    check(&format!(r#"{{"exception":{one}}}"#), all, want);
    check(
        r#"{"exception":{"values":[{"value":"v"},null]}}"#,
        all,
        Some(r#"None:Some("v")|None:None"#),
    );
    check(r#"{"exception":"E"}"#, all, Some(""));
    let many = vec![one; EXCEPTIONS_MAX + 1].join(",");
    let read = format!(r#"{{"exception":[{many}],"release":"r"}}"#);
    let read = event(&read);
    assert_eq!(
        (read.exceptions().len(), read.release()),
        (EXCEPTIONS_MAX, Some("r"))
    );
}

#[test]
fn a_user_agent_is_found_in_either_form_of_headers() {
    let agent = |event: &Event<'_>| event.user_agent().map(str::to_owned);
    check(
        r#"{"request":{"headers":{"Host":"h","User-Agent":"ua"}}}"#,
        agent,
        Some("ua"),
    );
    check(
        r#"{"request":{"headers":[["Host","h"],["user-agent","ua"]]}}"#,
        agent,
        Some("ua"),
    );
    check(r#"{"request":{"headers":{"Host":"h"}}}"#, agent, None);
    check(r#"{"request":{"headers":"User-Agent: ua"}}"#, agent, None);
    check(r#"{"request":"GET /"}"#, agent, None);
}

#[test]
fn where_it_happened_is_told_by_url_and_user() {
    let read = event(r#"{"request":{"url":"http://localhost/"},"user":{"ip_address":"::1"}}"#);
    assert_eq!(
        (read.url(), read.user_ip()),
        (Some("http://localhost/"), Some("::1"))
    );
}

#[test]
fn what_is_no_object_says_nothing() {
    for payload in [
        &b""[..],
        b"[]",
        b"null",
        b"{",
        b"{\"release\":\"\xff\"}",
        b"{} {}",
    ] {
        assert!(Event::read(payload).is_none(), "{payload:?}");
    }
}

proptest! {
    #[test]
    fn no_payload_makes_it_panic(
        payload in "[{}\\[\\]\":,a-z0-9 ]{0,40}",
        field in prop_oneof![Just("exception"), Just("request"), Just("message"), Just("user")],
    ) {
        let _outcome = Event::read(payload.as_bytes()).is_some();
        let _outcome = Event::read(format!("{{\"{field}\":{payload}}}").as_bytes()).is_some();
    }
}
