//! Bodies that are large, packed, cut or framed in odd ways, and an upstream that fails
//! at the worst moment.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use super::super::{arrived, check_taken, event, keeping, spool};
use super::{check_books, comes, up};
use crate::client::request;
use crate::edge::envelope_target;
use crate::exchange::Next;
use crate::parts::promises;
use crate::patterns;
use crate::upstream::{Fake, Silent};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        what_is_read_whole_and_not_taken_is_kept_whole,
        what_does_not_unpack_holds_nobody_up,
        a_packed_envelope_that_lost_items_is_kept_with_its_times,
        large_envelopes_that_lose_items_are_kept_as_they_left,
        bodies_of_every_size_and_framing_arrive,
    ]
}

/// An event too large to be taken whole first, whose upstream reads all of it and then
/// fails.
fn what_is_read_whole_and_not_taken_is_kept_whole() {
    let noise = patterns::slice(5, 0, 600_000);
    let item = "{}\n{\"type\":\"attachment\",\"length\":600000}\n";
    let body = [item.as_bytes(), &noise].concat();
    for how in ["503", "reset", "closed"] {
        let place = TempDir::new().unwrap();
        let first = AtomicBool::new(true);
        let fake = Fake::with(move |exchange| {
            exchange.read_body()?;
            match (first.swap(false, SeqCst), how) {
                (false, _) => exchange.answer(200, &[], b"{}"),
                (true, "503") => exchange.answer(503, &[], b""),
                (true, "reset") => exchange.reset(),
                (true, _) => Ok(Next::Close),
            }
        });
        let edge = keeping(&fake.url(), place.path(), &json!({}));
        let answer = edge.post_envelope(&[], &body);
        assert_eq!(answer.status, 200, "{how}: {}", answer.text());
        let requests = arrived(&fake, 2);
        assert!(
            requests[1].body == body,
            "{how}: {} bytes of {}",
            requests[1].body.len(),
            body.len()
        );
    }
}

fn what_does_not_unpack_holds_nobody_up() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let changes = json!({"inspect": "when_needed", "upstream": {"probe_interval": "1s"}});
    let edge = keeping(&down.url(), place.path(), &changes);
    let line =
        "{\"sent_at\":\"2026-11-26T10:30:00.000Z\"}\n{\"type\":\"event\",\"length\":90000}\n";
    let noise = patterns::slice(9, 0, 90_000);
    let mut packed = patterns::gzip(&[line.as_bytes(), &noise].concat());
    packed.truncate(80_000);
    let mut taken = 0;
    for _ in 0..60 {
        let gzip = [("Content-Encoding", "gzip")];
        taken += u32::from(edge.post_envelope(&gzip, &packed).status == 200);
    }
    check_taken(&edge.post_envelope(&[], &event(4)), 4);
    let _up = up(down);
    let closed = comes(20, || {
        edge.metric("vidette_breaker_state", &["ingest"]) < 0.5
    });
    assert!(
        closed,
        "{taken} that do not unpack keep it open: {}",
        spool(&edge)
    );
    let gone = comes(20, || spool(&edge)["items"] == 0);
    assert!(gone, "still kept: {}", spool(&edge));
}

fn a_packed_envelope_that_lost_items_is_kept_with_its_times() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let quotas = json!([{"categories": ["session"], "limit": 1, "per": "1h"}]);
    let key = crate::edge::KEY;
    let changes = json!({"projects": [{"id": 42, "keys": [key], "quotas": quotas}]});
    let edge = keeping(&down.url(), place.path(), &changes);
    let session = "{\"type\":\"session\",\"length\":2}\n{}\n";
    let line = "{\"event_id\":\"0000000000000000000000000000000c\",\"sent_at\":\"2026-11-26T10:30:00.000Z\"}";
    let body = format!("{line}\n{{\"type\":\"event\",\"length\":2}}\n{{}}\n{session}{session}");
    let packed = patterns::gzip(body.as_bytes());
    let answer = edge.post_envelope(&[("Content-Encoding", "gzip")], &packed);
    check_taken(&answer, 12);
    thread::sleep(Duration::from_millis(1100));
    let fake = up(down);
    let seen = arrived(&fake, 1).remove(0);
    let text = String::from_utf8_lossy(&seen.body).into_owned();
    assert!(seen.headers.one("content-encoding").is_none(), "{text}");
    assert_eq!(text.matches("session").count(), 1, "{text}");
    assert!(
        !text.contains("10:30:00.000Z"),
        "its time did not move: {text}"
    );
    assert!(comes(5, || spool(&edge)["items"] == 0));
    check_books(&edge);
}

fn large_envelopes_that_lose_items_are_kept_as_they_left() {
    let quotas = json!([{"categories": ["session"], "limit": 1, "per": "1h"}]);
    let key = crate::edge::KEY;
    let changes = json!({"projects": [{"id": 42, "keys": [key], "quotas": quotas}]});
    let noise = patterns::slice(5, 0, 1_500_000);
    let session = "{\"type\":\"session\",\"length\":2}\n{}\n";
    let item = format!("{{}}\n{session}{session}{{\"type\":\"attachment\",\"length\":1500000}}\n");
    let end = format!("\n{session}");
    let plain = [item.as_bytes(), &noise, end.as_bytes()].concat();
    let packed = patterns::gzip(&plain);
    let folder = TempDir::new().unwrap();
    for (name, body, headers) in [
        ("plain", &plain, vec![]),
        ("packed", &packed, vec![("Content-Encoding", "gzip")]),
    ] {
        let well = Fake::start();
        let edge = keeping(
            &well.url(),
            &folder.path().join(format!("{name}-up")),
            &changes,
        );
        assert_eq!(edge.post_envelope(&headers, body).status, 200);
        let want = well.only_request();
        for how in ["reset", "late"] {
            let first = AtomicBool::new(true);
            let fake = Fake::with(move |exchange| match (first.swap(false, SeqCst), how) {
                (true, "reset") => {
                    thread::sleep(Duration::from_millis(30));
                    exchange.reset()
                }
                (true, _) => {
                    exchange.read_body()?;
                    exchange.reset()
                }
                (false, _) => {
                    exchange.read_body()?;
                    exchange.answer(200, &[], b"{}")
                }
            });
            let edge = keeping(
                &fake.url(),
                &folder.path().join(format!("{name}-{how}")),
                &changes,
            );
            let answer = edge.post_envelope(&headers, body);
            assert_eq!(answer.status, 200, "{name} {how}: {}", answer.text());
            assert!(comes(10, || spool(&edge)["items"] == 0), "{name} {how}");
            let seen = fake.requests();
            let last = seen.last().unwrap();
            assert!(
                last.body == want.body,
                "{name} {how}: {} bytes of {}",
                last.body.len(),
                want.body.len()
            );
            assert_eq!(
                last.headers.one("content-encoding"),
                want.headers.one("content-encoding"),
                "{name} {how}"
            );
            check_books(&edge);
        }
    }
}

fn bodies_of_every_size_and_framing_arrive() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    let mut bodies = Vec::new();
    for bytes in [
        0, 1, 65_535, 65_536, 262_060, 262_143, 262_144, 262_145, 1_048_500, 1_048_575, 1_048_576,
        1_048_577, 1_200_000,
    ] {
        let head = format!("{{}}\n{{\"type\":\"event\",\"length\":{bytes}}}\n");
        let body = [head.as_bytes(), &patterns::slice(7, 0, bytes)].concat();
        for chunked in [false, true] {
            let mut client = edge.connect();
            match chunked {
                false => {
                    let expect = [("Expect", "100-continue")];
                    client.send(&request("POST", &envelope_target(), &expect, &body));
                }
                true => {
                    let te = [("Transfer-Encoding", "chunked")];
                    client.send(&request("POST", &envelope_target(), &te, b""));
                    for piece in body.chunks(30_000) {
                        client.send(format!("{:x}\r\n", piece.len()).as_bytes());
                        client.send(piece);
                        client.send(b"\r\n");
                    }
                    client.send(b"0\r\n\r\n");
                }
            }
            let answer = client.answer_to("POST");
            assert_eq!(answer.status, 200, "{bytes} {chunked}: {}", answer.text());
            bodies.push(body.clone());
        }
    }
    let fake = up(down);
    assert!(comes(20, || spool(&edge)["items"] == 0), "{}", spool(&edge));
    let requests = fake.requests();
    assert_eq!(requests.len(), bodies.len());
    for (seen, body) in requests.iter().zip(&bodies) {
        assert!(seen.body == *body, "{} of {}", seen.body.len(), body.len());
    }
    check_books(&edge);
}
