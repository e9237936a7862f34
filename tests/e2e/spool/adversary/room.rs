//! Room and time: what is unpacked, what is left over in files, what is large.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use crate::edge::envelope_target;
use crate::parts::promises;
use crate::patterns;
use crate::upstream::{Door, Fake, Silent};

use super::super::{check_taken, event, keeping, spool};
use super::comes;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        unpacking_stays_within_the_disks_share,
        a_large_event_is_answered_within_the_deadline,
        sparse_segments_leave_room,
    ]
}

/// Files without a name that a process has open below a folder, in bytes.
fn unnamed_bytes(pid: u32, place: &Path) -> u64 {
    let folder = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let open = folder.filter_map(|file| {
        let path = file.ok()?.path();
        let target = fs::read_link(&path).ok()?;
        let lies_there = target.starts_with(place) && target.to_string_lossy().contains("deleted");
        lies_there.then(|| fs::metadata(&path).map_or(0, |file| file.len()))
    });
    open.sum()
}

fn unpacking_stays_within_the_disks_share() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let changes =
        json!({"spool": {"max_bytes": "16MiB", "replay_requests": 8, "copies": {"disk": "16MiB"}}});
    let edge = keeping(&down.url(), place.path(), &changes);
    for number in 0..200 {
        check_taken(&edge.post_envelope(&[], &event(number)), number);
    }
    let mut seed = 1_u64;
    let mut payload = Vec::new();
    for _ in 0..3000 {
        for _ in 0..15 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            payload.extend_from_slice(&(seed >> 8).to_le_bytes());
        }
        payload.resize(payload.len().next_multiple_of(10_000), 0);
    }
    let line = "{\"sent_at\":\"2026-11-26T10:30:00.000Z\"}\n";
    let item = format!("{{\"type\":\"attachment\",\"length\":{}}}\n", payload.len());
    let plain = [line.as_bytes(), item.as_bytes(), &payload].concat();
    let packed = patterns::gzip(&plain);
    let target = format!("{}&large=1", envelope_target());
    for _ in 0..8 {
        let gzip = [("Content-Encoding", "gzip")];
        let answer = edge.ask("POST", &target, &gzip, &packed);
        assert_eq!(answer.status, 200, "{}: {}", packed.len(), answer.text());
    }
    let _up = down.listen(|exchange| {
        if exchange.request.target_text().contains("large") {
            return exchange.hold();
        }
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let mut most = 0;
    comes(15, || {
        most = most.max(unnamed_bytes(edge.pid(), place.path()));
        most > 64 << 20
    });
    assert!(most <= 64 << 20, "{most} bytes lie in a spool of 16 MiB");
}

fn a_large_event_is_answered_within_the_deadline() {
    let (place, door) = (TempDir::new().unwrap(), Door::default());
    let behind = door.clone();
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        behind.pass();
        exchange.answer(200, &[], b"{}")
    });
    let edge = keeping(&fake.url(), place.path(), &json!({}));
    let noise = patterns::slice(5, 0, 600_000);
    let item = "{}\n{\"type\":\"attachment\",\"length\":600000}\n";
    let since = Instant::now();
    let answer = edge.post_envelope(&[], &[item.as_bytes(), &noise].concat());
    let took = since.elapsed();
    door.open();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        took < Duration::from_secs(8),
        "{took:?} for a deadline of 1 s"
    );
}

/// A project whose sessions are limited, beside errors that come and go.
fn sparse_segments_leave_room() {
    let place = TempDir::new().unwrap();
    let ill = Arc::new(AtomicBool::new(true));
    let is_ill = Arc::clone(&ill);
    let fake = Fake::with(move |exchange| {
        let mut body = Vec::new();
        exchange.read_body_with(&mut |_, piece| body.extend_from_slice(piece))?;
        if is_ill.load(SeqCst) {
            return exchange.answer(503, &[], b"");
        }
        if memchr::memmem::find(&body, b"\"session\"").is_some() {
            let limits = [("X-Sentry-Rate-Limits", "300:session:key")];
            return exchange.answer(429, &limits, b"{}");
        }
        exchange.answer(200, &[], b"{}")
    });
    let changes =
        json!({"spool": {"max_bytes": "1MiB", "project_bytes": "1MiB", "replay_requests": 16}});
    let edge = keeping(&fake.url(), place.path(), &changes);
    let of = |kind: &str, bytes: usize| {
        let text = "x".repeat(bytes);
        format!("{{}}\n{{\"type\":\"{kind}\",\"length\":{bytes}}}\n{text}\n").into_bytes()
    };
    for round in 0..6 {
        ill.store(true, SeqCst);
        // Some 190 KB of errors and 35 KB of sessions: less than a segment.
        for number in 0..19 {
            let answer = edge.post_envelope(&[], &of("event", 10_000));
            assert_eq!(
                answer.status,
                200,
                "round {round}, event {number}: {} of 1 MiB are kept, and there is no room",
                spool(&edge)["bytes"]
            );
            if number % 5 == 0 {
                // Another each round: a limit that was told is held against those who come.
                let key = "b94ae32be2584e0bbd7a4cbb95971fee";
                let target = crate::senders::target(100 + round, key);
                let answer = edge.ask("POST", &target, &[], &of("session", 8_000));
                assert_eq!(answer.status, 200, "round {round}: {}", spool(&edge));
            }
        }
        ill.store(false, SeqCst);
        comes(10, || {
            spool(&edge)["bytes"].as_u64().unwrap() < 40_000 * (round + 1)
        });
    }
}
