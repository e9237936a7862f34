//! An envelope's first line: forged fields go, everything else stays, plain or
//! packed, short or streamed. What is refused for it stands in `refused`, what it
//! costs in `floods`.

mod floods;
pub(crate) mod packing;
mod refused;

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::{Lines, request};
use crate::edge::{Edge, KEY, envelope_target};
use crate::parts::promises;
use crate::patterns;
use crate::upstream::{Fake, Request};
use crate::wire::{Framing, chunked};
pub(crate) use packing::Packing;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        forged_fields_never_reach_the_upstream,
        large_forged_bodies_lose_the_fields_and_nothing_else,
        unforged_bodies_arrive_byte_for_byte,
        envelopes_posted_to_store_are_cleaned_too,
        tunnelled_envelopes_are_cleaned_too,
        odd_names_of_codings_are_understood_and_kept,
        line_one_may_come_byte_by_byte,
        line_one_may_come_late_in_a_packed_block,
    ];
    trials.extend(refused::trials());
    trials.extend(floods::trials());
    trials
}

/// The fields that only a Relay may write.
const RELAYS_OWN: [&str; 9] = [
    "remote_addr",
    "forwarded_for",
    "user_agent",
    "client",
    "version",
    "origin",
    "client_hints",
    "no_cache",
    "retention",
];

/// A line with all of them among others, and what is to be left of it.
const ALL_FORGED: (&str, &str) = (
    r#"{"forwarded_for":"6.6.6.6","event_id":"9ec79c33ec9942ab8353589fcb2e04dc","remote_addr":"6.6.6.6","user_agent":"forged/1","client":"raven/1","version":5,"sdk":{"name":"x","version":"1"},"origin":"https://evil.example","client_hints":{"a":["b"]},"no_cache":true,"trace":{"user_agent":"stays"},"retention":9}"#,
    r#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","sdk":{"name":"x","version":"1"},"trace":{"user_agent":"stays"}}"#,
);

/// What follows line one: the fields' names, line feeds and bytes that are no text.
const ITEMS: &[u8] =
    b"\n{\"type\":\"event\",\"length\":45,\"user_agent\":\"item\"}\n{\"user_agent\":\"mine\",\"forwarded_for\":\"\x00\xff\n\r\n\"}\n\
      {\"type\":\"attachment\"}\n{\"retention\":1}\n";

/// The items, and an attachment of these bytes behind them.
fn attached(bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{\"type\":\"attachment\",\"length\":{}}}\n", bytes.len());
    [ITEMS, header.as_bytes(), bytes].concat()
}

/// Lines as a forger writes them, and what is to be left of each.
fn forged_lines() -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = Vec::new();
    let values = [
        "\"6.6.6.6\"",
        "5",
        "null",
        "[1,{\"a\":\"]}\"}]",
        "{}",
        "\"a,\\\"}{\"",
    ];
    for (number, field) in RELAYS_OWN.into_iter().enumerate() {
        let value = values[number % values.len()];
        let other = values[(number + 1) % values.len()];
        for (line, want) in [
            (format!("{{\"{field}\":{value}}}"), "{}"),
            (
                format!("{{\"{field}\":{value},\"sent_at\":\"x\",\"n\":1e999}}"),
                r#"{"sent_at":"x","n":1e999}"#,
            ),
            (
                format!("{{ \"a\" : 1 , \"{field}\" : {value} , \"b\":\"\\u0041,}}\" }}"),
                r#"{ "a" : 1 , "b":"\u0041,}" }"#,
            ),
            (
                format!("{{\"a\":1,\"{field}\":{value},\"{field}\":{other}}}"),
                r#"{"a":1}"#,
            ),
            (
                format!("{{\"{}\":{value},\"A\":1}}", escaped(field)),
                r#"{"A":1}"#,
            ),
        ] {
            lines.push((line, want.to_owned()));
        }
        // What merely resembles one of them, or lies deeper, is the client's own.
        let own = format!(
            "{{\"sdk\":{{\"{field}\":{value}}},\"trace\":{{\"{field}\":{value}}},\"x_{field}\":1,\"{}\":2}}",
            field.to_uppercase()
        );
        lines.push((own.clone(), own));
    }
    lines.push((ALL_FORGED.0.to_owned(), ALL_FORGED.1.to_owned()));
    lines
}

/// The first and the last letter as JSON's escapes.
fn escaped(field: &str) -> String {
    let (first, last) = (field.as_bytes()[0], field.as_bytes()[field.len() - 1]);
    let middle = &field[1..field.len() - 1];
    format!("\\u{first:04x}{middle}\\u{last:04X}")
}

fn whole(line: &str, items: &[u8]) -> Vec<u8> {
    [line.as_bytes(), items].concat()
}

/// Sends a body and yields what the upstream got of it, and of its sender.
#[track_caller]
fn sent(edge: &Edge, fake: &Fake, target: &str, headers: Lines<'_>, body: &[u8]) -> Request {
    let before = fake.requests().len();
    let mut all = vec![("X-Forwarded-For", "203.0.113.9")];
    all.extend(headers);
    let answer = edge.ask("POST", target, &all, body);
    assert_eq!(answer.status, 200, "{headers:?}: {}", answer.text());
    let mut requests = fake.requests();
    assert_eq!(requests.len(), before + 1);
    let seen = requests.swap_remove(before);
    assert_eq!(
        seen.headers.all("x-forwarded-for"),
        ["203.0.113.9"],
        "the edge's own word on the client"
    );
    seen
}

/// What a body that had to be changed arrives as.
#[track_caller]
fn check_cleaned(what: &str, seen: &Request, is_whole: bool, want: &[u8]) {
    assert_eq!(
        seen.body.escape_ascii().to_string(),
        want.escape_ascii().to_string(),
        "{what}"
    );
    assert_eq!(
        seen.headers.one("content-encoding"),
        None,
        "{what}: it is not packed any more"
    );
    let length = u64::try_from(want.len()).unwrap();
    let framing = match is_whole {
        true => Framing::Length(length),
        false => Framing::Chunked,
    };
    assert_eq!(seen.framing, framing, "{what}");
}

/// What a body that need not be changed arrives as.
#[track_caller]
fn check_untouched(what: &str, seen: &Request, packing: Packing, framing: Framing, body: &[u8]) {
    assert!(seen.body == body, "{what}: bytes changed on their way");
    assert_eq!(seen.framing, framing, "{what}");
    let coding = packing
        .headers()
        .first()
        .map(|(_, name)| (*name).to_owned());
    assert_eq!(seen.headers.one("content-encoding"), coding, "{what}");
}

fn forged_fields_never_reach_the_upstream() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for packing in Packing::ALL {
        for (line, want) in forged_lines() {
            let what = format!("{packing:?} {line}");
            for items in [ITEMS, b"\n", b""] {
                let body = packing.pack(&whole(&line, items));
                let seen = sent(&edge, &fake, &envelope_target(), packing.headers(), &body);
                if line == want {
                    let framing = Framing::Length(u64::try_from(body.len()).unwrap());
                    check_untouched(&what, &seen, packing, framing, &body);
                } else {
                    check_cleaned(&what, &seen, true, &whole(&want, items));
                }
            }
        }
    }
}

/// Items over `limits.inspect_bytes` that no coding makes shorter.
fn large_items() -> Vec<u8> {
    let mut items = b"\n{\"type\":\"attachment\",\"length\":700000}\n".to_vec();
    items.extend_from_slice(&patterns::slice(3, 0, 700_000));
    items
}

fn large_forged_bodies_lose_the_fields_and_nothing_else() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let items = large_items();
    let want = whole(ALL_FORGED.1, &items);
    for packing in Packing::ALL {
        let body = packing.pack(&whole(ALL_FORGED.0, &items));
        assert!(body.len() > 256 << 10, "{packing:?} packs too well");
        let (with_length, mut in_chunks) = (packing.headers().to_vec(), packing.headers().to_vec());
        in_chunks.push(("Transfer-Encoding", "chunked"));
        for (headers, body) in [
            (with_length, body.clone()),
            (in_chunks, chunked(&body, 9_999)),
        ] {
            let seen = sent(&edge, &fake, &envelope_target(), &headers, &body);
            let what = format!("{headers:?}");
            assert!(seen.body == want, "{what}: other bytes arrived");
            check_cleaned(&what, &seen, false, &want);
        }
    }
}

fn unforged_bodies_arrive_byte_for_byte() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for packing in Packing::ALL {
        for items in [ITEMS.to_vec(), large_items()] {
            let body = packing.pack(&whole(ALL_FORGED.1, &items));
            let length = Framing::Length(u64::try_from(body.len()).unwrap());
            let what = format!("{packing:?}, {} bytes", body.len());
            let seen = sent(&edge, &fake, &envelope_target(), packing.headers(), &body);
            check_untouched(&what, &seen, packing, length, &body);
            let mut in_chunks = packing.headers().to_vec();
            in_chunks.push(("Transfer-Encoding", "chunked"));
            let chunks = chunked(&body, 9_999);
            let seen = sent(&edge, &fake, &envelope_target(), &in_chunks, &chunks);
            // A short one was read whole before the upstream was dialled.
            let framing = match body.len() > 256 << 10 {
                true => Framing::Chunked,
                false => length,
            };
            check_untouched(&format!("{what} in chunks"), &seen, packing, framing, &body);
        }
    }
}

fn envelopes_posted_to_store_are_cleaned_too() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let target = format!("/api/42/store/?sentry_key={KEY}&sentry_version=7");
    let (line, want) = ALL_FORGED;
    for packing in Packing::ALL {
        let body = packing.pack(&whole(line, ITEMS));
        for media in [
            "application/x-sentry-envelope",
            "Application/X-Sentry-Envelope; charset=utf-8",
        ] {
            let mut headers = packing.headers().to_vec();
            headers.push(("Content-Type", media));
            let seen = sent(&edge, &fake, &target, &headers, &body);
            check_cleaned(media, &seen, true, &whole(want, ITEMS));
            assert_eq!(seen.headers.one("content-type").as_deref(), Some(media));
        }
        // An event's own JSON is not an envelope's line, whatever it looks like.
        let mut headers = packing.headers().to_vec();
        headers.push(("Content-Type", "application/json"));
        let seen = sent(&edge, &fake, &target, &headers, &body);
        let framing = Framing::Length(u64::try_from(body.len()).unwrap());
        check_untouched("an event", &seen, packing, framing, &body);
    }
}

fn tunnelled_envelopes_are_cleaned_too() {
    let fake = Fake::start();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"tunnel": {"paths": ["/t"]}}),
    );
    let dsn = format!("\"dsn\":\"https://{KEY}@sentry.example.com/42\"");
    let line = format!("{{\"user_agent\":\"forged\",{dsn},\"origin\":\"x\"}}");
    let want = format!("{{{dsn}}}");
    for packing in Packing::ALL {
        let body = packing.pack(&whole(&line, ITEMS));
        let seen = sent(&edge, &fake, "/t", packing.headers(), &body);
        assert_eq!(seen.target_text(), "/api/42/envelope/");
        check_cleaned("a tunnel", &seen, true, &whole(&want, ITEMS));
    }
}

fn odd_names_of_codings_are_understood_and_kept() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let (forged, clean) = ALL_FORGED;
    for (name, packing) in [
        ("", Packing::Plain),
        ("UTF-8", Packing::Plain),
        ("identity", Packing::Plain),
        ("GZIP", Packing::Gzip),
        ("x-gzip", Packing::Gzip),
        ("BR", Packing::Brotli),
    ] {
        let headers = [("Content-Encoding", name)];
        let body = packing.pack(&whole(clean, ITEMS));
        let seen = sent(&edge, &fake, &envelope_target(), &headers, &body);
        assert!(seen.body == body, "{name:?}: bytes changed on their way");
        let kept = Some(name.to_owned());
        assert_eq!(seen.headers.one("content-encoding"), kept);
        let body = packing.pack(&whole(forged, ITEMS));
        let seen = sent(&edge, &fake, &envelope_target(), &headers, &body);
        assert_eq!(
            seen.body.escape_ascii().to_string(),
            whole(clean, ITEMS).escape_ascii().to_string(),
            "{name:?}"
        );
        // What names no coding may stay; what names one would be a lie.
        let left = kept.filter(|_| packing == Packing::Plain);
        assert_eq!(seen.headers.one("content-encoding"), left);
    }
}

fn line_one_may_come_byte_by_byte() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let want = whole(ALL_FORGED.1, ITEMS);
    for (number, packing) in Packing::ALL.into_iter().enumerate() {
        let body = packing.pack(&whole(ALL_FORGED.0, ITEMS));
        let mut headers = packing.headers().to_vec();
        headers.push(("Transfer-Encoding", "chunked"));
        let mut client = edge.connect();
        client.send(&request("POST", &envelope_target(), &headers, b""));
        for byte in chunked(&body, 1) {
            client.send(&[byte]);
        }
        assert_eq!(client.answer_to("POST").status, 200, "{packing:?}");
        let seen = &fake.requests()[number];
        check_cleaned("byte by byte", seen, true, &want);
    }
}

/// zstd shows nothing of a block before all of it has come: an edge that looked
/// after 64 KiB refused attachments that pack to three quarters, such as base64.
fn line_one_may_come_late_in_a_packed_block() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let letters = patterns::slice(9, 0, 600_000).into_iter();
    let items: Vec<u8> = letters.map(|byte| b'@' + byte % 64).collect();
    let items = attached(&items);
    for packing in [Packing::Zstd, Packing::Gzip, Packing::Brotli] {
        for (line, want) in [ALL_FORGED, (ALL_FORGED.1, ALL_FORGED.1)] {
            let body = packing.pack(&whole(line, &items));
            let (begin, rest) = body.split_at(70_000);
            let length = body.len().to_string();
            let mut headers = packing.headers().to_vec();
            headers.push(("Content-Length", &length));
            let mut client = edge.connect();
            client.send(&request("POST", &envelope_target(), &headers, begin));
            let early = client.hears_within(Duration::from_millis(300));
            assert!(!early, "{packing:?}: {:?}", client.answer_to("POST"));
            client.send(rest);
            assert_eq!(client.answer_to("POST").status, 200, "{packing:?}");
            let seen = fake.requests().pop().unwrap();
            match line == want {
                true => assert!(seen.body == body, "{packing:?}"),
                false => assert!(seen.body == whole(want, &items), "{packing:?}"),
            }
        }
    }
}
