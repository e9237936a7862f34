//! Envelopes that lose a part: exactly what a limit covers, with what belongs to it;
//! every other byte leaves as it came, however the body was packed and cut.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::{Answer, request};
use crate::edge::{Edge, envelope_target};
use crate::line_one::packing::Packing;
use crate::parts::promises;
use crate::patterns;
use crate::upstream::Fake;
use crate::wire::chunked;

use super::limited;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_mixed_envelope_loses_exactly_what_policy_says,
        an_event_takes_along_what_belongs_to_it_wherever_that_stands,
        a_full_place_for_attachments_keeps_the_crash,
        a_replay_goes_on_whole_or_not_at_all,
        nothing_left_is_never_forwarded,
        large_envelopes_lose_the_same,
        what_cannot_be_followed_is_refused,
    ]
}

const LINE: &str =
    r#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","sent_at":"2026-11-20T10:15:30Z"}"#;

/// One item of each fate: its name, its header's fields, its payload.
const ITEMS: [(&str, &str, &str); 9] = [
    (
        "error",
        r#""type":"event","content_type":"application/json""#,
        r#"{"message":"a\nb"}"#,
    ),
    (
        "attachment",
        r#""filename":"a.bin","type":"attachment""#,
        "line\nline\n\u{1F600}\n",
    ),
    (
        "view",
        r#""type":"attachment","attachment_type":"event.view_hierarchy""#,
        "{}",
    ),
    (
        "transaction",
        r#""type":"transaction""#,
        r#"{"type":"transaction"}"#,
    ),
    ("session", r#""type":"session""#, r#"{"sid":"1"}"#),
    (
        "check-in",
        r#""type":"check_in""#,
        r#"{"monitor_slug":"nightly"}"#,
    ),
    (
        "report",
        r#""type":"client_report""#,
        r#"{"discarded_events":[]}"#,
    ),
    ("unknown", r#""type":"of_tomorrow","new":{"a":[1]}"#, "???"),
    ("empty", r#""type":"attachment","filename":"empty""#, ""),
];

fn item(fields: &str, payload: &str) -> String {
    format!("{{{fields},\"length\":{}}}\n{payload}\n", payload.len())
}

/// The envelope with these of its items, in their order.
pub(super) fn envelope(keeps: impl Fn(&str) -> bool) -> Vec<u8> {
    let mut text = format!("{LINE}\n");
    for (name, fields, payload) in ITEMS {
        if keeps(name) {
            text.push_str(&item(fields, payload));
        }
    }
    text.into_bytes()
}

/// Posts an envelope to an edge with these quotas, in every packing and in pieces of
/// every size, and looks at what reached the upstream.
#[track_caller]
fn check(quotas: Value, sent: &[u8], want: Option<&[u8]>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for packing in Packing::ALL {
        for piece_bytes in [usize::MAX, 7] {
            let fake = Fake::start();
            let edge = limited(&fake, &quotas);
            let packed = packing.pack(sent);
            let mut headers = packing.headers().to_vec();
            let body = match piece_bytes {
                usize::MAX => packed,
                bytes => {
                    headers.push(("Transfer-Encoding", "chunked"));
                    chunked(&packed, bytes)
                }
            };
            let mut client = edge.connect();
            client.send(&request("POST", &envelope_target(), &headers, &body));
            let answer = client.answer_to("POST");
            let seen: Vec<_> = fake
                .requests()
                .into_iter()
                .map(|seen| (seen.headers, seen.body))
                .collect();
            let how = format!("{packing:?} in pieces of {piece_bytes}: {quotas}");
            match want {
                None => assert!(seen.is_empty(), "{how}: it reached the upstream"),
                Some(want) => {
                    assert_eq!(seen.len(), 1, "{how}: {}", answer.text());
                    let (headers, body) = &seen[0];
                    let untouched = want == sent;
                    let coding = headers.one("content-encoding");
                    assert_eq!(
                        coding.is_some(),
                        untouched && packing != Packing::Plain,
                        "{how}"
                    );
                    let want = if untouched {
                        packing.pack(want)
                    } else {
                        want.to_vec()
                    };
                    assert_eq!(text(body), text(&want), "{how}");
                }
            }
            answers.push(answer);
        }
    }
    answers
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Nothing of these passes.
fn none_of(categories: &[&str]) -> Value {
    json!([{"name": "none", "categories": categories, "limit": 0, "per": "1h"}])
}

fn a_mixed_envelope_loses_exactly_what_policy_says() {
    let sent = envelope(|_| true);
    let error_gone = |name: &str| !["error", "attachment", "view", "empty"].contains(&name);
    for (categories, keeps) in [
        (&["error"][..], &error_gone as &dyn Fn(&str) -> bool),
        (&["attachment"], &|name| {
            !["attachment", "view", "empty"].contains(&name)
        }),
        (&["session"], &|name| name != "session"),
        (&["monitor"], &|name| name != "check-in"),
        (&["session", "monitor"], &|name| {
            !["session", "check-in"].contains(&name)
        }),
        (&["replay", "log_item", "profile"], &|_| true),
    ] {
        let answers = check(none_of(categories), &sent, Some(&envelope(keeps)));
        let told = answers[0].header("x-sentry-rate-limits");
        match keeps("session") && keeps("check-in") && keeps("attachment") {
            true => assert_eq!(told, None, "{categories:?}"),
            false => {
                let told = told.unwrap();
                let (seconds, rest) = told.split_once(':').unwrap();
                assert!(
                    (1..=300).contains(&seconds.parse::<u64>().unwrap()),
                    "{told}"
                );
                assert_eq!(
                    rest,
                    format!("{}:project:none", categories.join(";")),
                    "{categories:?}"
                );
            }
        }
        assert_eq!(answers[0].status, 200, "{categories:?}");
    }
}

fn an_event_takes_along_what_belongs_to_it_wherever_that_stands() {
    let parts: Vec<String> = ITEMS
        .iter()
        .map(|(_, fields, payload)| item(fields, payload))
        .collect();
    // The attachments first, then a session, then the event they belong to.
    let sent = format!("{LINE}\n{}{}{}{}", parts[1], parts[4], parts[0], parts[2]);
    let want = format!("{LINE}\n{}", parts[4]);
    check(none_of(&["error"]), sent.as_bytes(), Some(want.as_bytes()));
}

fn a_full_place_for_attachments_keeps_the_crash() {
    let dump = |fields: &str| {
        item(
            &format!(r#"{fields}"type":"attachment","attachment_type":"event.minidump""#),
            "MDMP",
        )
    };
    let sent = format!("{LINE}\n{}", dump(""));
    let want = format!("{LINE}\n{}", dump(r#""rate_limited":true,"#));
    check(
        none_of(&["attachment"]),
        sent.as_bytes(),
        Some(want.as_bytes()),
    );
    // Who has flagged it already is not flagged twice, which no reader takes.
    check(
        none_of(&["attachment"]),
        want.as_bytes(),
        Some(want.as_bytes()),
    );
    check(none_of(&["error"]), sent.as_bytes(), None);
    // Who denies it can neither be flagged a second time nor have its bytes stored.
    for denies in ["false", "0", "null", "\"true\""] {
        let sent = format!("{LINE}\n{}", dump(&format!("\"rate_limited\":{denies},")));
        check(none_of(&["attachment"]), sent.as_bytes(), None);
    }
}

/// One place was left for two items: half a replay went on, and used it up.
fn a_replay_goes_on_whole_or_not_at_all() {
    let replay = [
        item(r#""type":"replay_event""#, r#"{"type":"replay_event"}"#),
        item(r#""type":"replay_recording""#, "{}\nrecorded"),
    ];
    let sent = format!(
        "{LINE}\n{}{}{}",
        replay[0],
        item(r#""type":"session""#, "{}"),
        replay[1]
    );
    let want = format!("{LINE}\n{}", item(r#""type":"session""#, "{}"));
    let quota = |limit: u64| json!([{"categories": ["replay"], "limit": limit, "per": "1h"}]);
    check(quota(1), sent.as_bytes(), Some(want.as_bytes()));
    check(quota(2), sent.as_bytes(), Some(sent.as_bytes()));
}

fn nothing_left_is_never_forwarded() {
    let sent = envelope(|name| ["error", "attachment"].contains(&name));
    for answer in check(none_of(&["error"]), &sent, None) {
        assert_eq!(answer.status, 429, "{}", answer.text());
        let limits = answer.header("x-sentry-rate-limits").unwrap();
        let after = answer.header("retry-after").unwrap();
        assert_eq!(limits, format!("{after}:error:project:none"));
        crate::ingest::check_refusal(&answer);
    }
}

/// Over `limits.inspect_bytes`, where items are judged as they come by.
fn large_envelopes_lose_the_same() {
    let noise = patterns::slice(3, 0, 400_000);
    let head = format!(
        "{{\"type\":\"replay_recording\",\"length\":{}}}\n",
        noise.len()
    );
    let mut sent = envelope(|_| true);
    sent.extend_from_slice(head.as_bytes());
    sent.extend_from_slice(&noise);
    sent.extend_from_slice(b"\n{\"type\":\"session\"}\n{}");
    let mut want =
        envelope(|name| !["error", "attachment", "view", "empty", "session"].contains(&name));
    want.extend_from_slice(head.as_bytes());
    want.extend_from_slice(&noise);
    want.push(b'\n');
    check_large(none_of(&["error", "session"]), &sent, Some(&want));
    check_large(none_of(&["profile"]), &sent, Some(&sent));
    let only: Vec<u8> = sent.split_at(envelope(|_| true).len()).1.to_vec();
    let only = [LINE.as_bytes(), b"\n", &only].concat();
    check_large(none_of(&["replay", "session"]), &only, None);
}

#[track_caller]
fn check_large(quotas: Value, sent: &[u8], want: Option<&[u8]>) {
    for packing in Packing::ALL {
        let fake = Fake::start();
        let edge = limited(&fake, &quotas);
        let packed = packing.pack(sent);
        let mut client = edge.connect();
        client.send(&request(
            "POST",
            &envelope_target(),
            packing.headers(),
            &packed,
        ));
        let answer = client.answer_to("POST");
        let seen = fake.requests();
        match want {
            None => {
                assert!(seen.is_empty(), "{packing:?}");
                assert_eq!(answer.status, 429, "{}", answer.text());
            }
            Some(want) => {
                assert_eq!(
                    (seen.len(), answer.status),
                    (1, 200),
                    "{packing:?}: {}",
                    answer.text()
                );
                // A policy that can drop something streams in the clear (DESIGN, trap 6).
                assert!(
                    seen[0].body == want,
                    "{packing:?}: {} bytes for {}",
                    seen[0].body.len(),
                    want.len()
                );
            }
        }
    }
}

fn what_cannot_be_followed_is_refused() {
    let fake = Fake::start();
    let edge = Edge::configured(&fake.url(), &fake.url(), json!({"limits": {"items": 3}}));
    for (what, items, status) in [
        (
            "a length that is none",
            "{\"type\":\"event\",\"length\":1.5}\n{}\n",
            400,
        ),
        (
            "a length that is a word",
            "{\"type\":\"event\",\"length\":\"2\"}\n{}\n",
            400,
        ),
        (
            "two lengths",
            "{\"type\":\"event\",\"length\":2,\"l\\u0065ngth\":1}\n{}\n",
            400,
        ),
        (
            "two types",
            "{\"type\":\"event\",\"type\":\"session\"}\n{}\n",
            400,
        ),
        ("no type", "{\"length\":2}\n{}\n", 400),
        ("no object", "[]\n{}\n", 400),
        ("a carriage return", "{\"type\":\"event\"}\r\n{}\n", 400),
        (
            "a payload cut short",
            "{\"type\":\"event\",\"length\":9}\n{}\n",
            400,
        ),
        (
            "a payload with more behind it",
            "{\"type\":\"event\",\"length\":1}\n{}\n",
            400,
        ),
        (
            "an end twice",
            "{\"type\":\"event\",\"length\":2}\n{}\n\n",
            400,
        ),
        (
            "what only a Relay sends",
            "{\"type\":\"integration\"}\n{}\n",
            400,
        ),
        (
            "too many items",
            &"{\"type\":\"session\"}\n{}\n".repeat(4),
            413,
        ),
    ] {
        let answer = edge.post_envelope(&[], format!("{LINE}\n{items}").as_bytes());
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        crate::ingest::check_refusal(&answer);
    }
    assert!(
        fake.requests().is_empty(),
        "some of it reached the upstream"
    );
    for (what, items) in FOLLOWED {
        let answer = edge.post_envelope(&[], format!("{LINE}\n{items}").as_bytes());
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    }
}

/// The other side of what is refused.
const FOLLOWED: [(&str, &str); 6] = [
    (
        "as many as allowed",
        "{\"type\":\"session\"}\n{}\n{\"type\":\"session\"}\n{}\n{\"type\":\"a\"}\n",
    ),
    ("no length", "{\"type\":\"event\"}\n{\"a\":1}\n"),
    ("no end", "{\"type\":\"event\",\"length\":2}\n{}"),
    ("nothing", "{\"type\":\"attachment\",\"length\":0}\n\n"),
    ("no items", ""),
    ("blanks before a header", " \n{\"type\":\"event\"}\n{}"),
];
