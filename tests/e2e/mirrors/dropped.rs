//! What an operator drops is dropped for the mirrors too: off their disks, and never sent.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;

use super::{check_taken_any, large, mirroring, numbers, settled, wait_told};
use crate::edge::KEY;
use crate::exchange::{Exchange, Next};
use crate::parts::promises;
use crate::spool::{arrived, event, says};
use crate::upstream::{Door, Fake, HANG, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        copies_of_a_dropped_project_are_overwritten_and_others_arrive,
        copies_that_a_mirror_keeps_waiting_are_dropped_as_well,
    ]
}

fn takes(exchange: &mut Exchange<'_>) -> io::Result<Next> {
    exchange.read_body()?;
    exchange.answer(200, &[], b"{}")
}

/// Whether a file of a mirror's has these bytes.
fn holds(place: &Path, text: &[u8]) -> bool {
    let files = std::fs::read_dir(place.join("mirrors/next")).unwrap();
    files.into_iter().any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        memchr::memmem::find(&bytes, text).is_some()
    })
}

/// Waits until none has.
#[track_caller]
fn check_gone(place: &Path, text: &[u8], what: &str) {
    let deadline = Instant::now() + HANG;
    while holds(place, text) {
        assert!(Instant::now() < deadline, "{what} is still on disk");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn copies_of_a_dropped_project_are_overwritten_and_others_arrive() {
    let (first, down) = (Fake::start(), Silent::reserve());
    let place = tempfile::tempdir().unwrap();
    let edge = mirroring(&first.url(), &down.url(), place.path(), &json!({}));
    let secret = b"{}\n{\"type\":\"event\",\"length\":14}\n{\"a\":\"s3cret\"}\n";
    check_taken_any(&edge.post_envelope(&[], secret));
    check_taken_any(&edge.post_envelope(&[], &large(1, 3_000_000)));
    let other = format!("/api/7/envelope/?sentry_key={KEY}");
    check_taken_any(&edge.ask("POST", &other, &[], &event(2)));
    wait_told(&edge, "kept", |told| told["waiting"]["disk"] == 3);
    assert!(holds(place.path(), b"s3cret"));
    let body = large(1, 3_000_000);
    let noise = &body[1_000_000..1_000_064];
    assert!(holds(place.path(), noise));
    let said = says(&edge, &["spool", "drop", "--project", "42"]);
    assert_eq!(said, "0 requests dropped, and 2 copies for mirrors\n");
    // One that was just being sent is, once that has failed.
    wait_told(&edge, "dropped", |told| told["held"] == 1);
    check_gone(place.path(), b"s3cret", "an event");
    check_gone(place.path(), noise, "a large body");
    let second = down.listen(takes);
    arrived(&second, 1);
    let told = settled(&edge);
    assert_eq!(numbers(&second.requests()), [2]);
    assert_eq!(told["lost"], json!({"dropped": 2}), "{told:#}");
    assert_eq!(first.requests().len(), 3);
}

fn copies_that_a_mirror_keeps_waiting_are_dropped_as_well() {
    // As many as are under way at once, and more that wait for their turn.
    const EVENTS: u32 = 80;
    let (first, door) = (Fake::start(), Door::default());
    let inside = door.clone();
    let second = Fake::with(move |exchange| {
        exchange.read_body()?;
        inside.pass();
        exchange.answer(503, &[], b"full")
    });
    let place = tempfile::tempdir().unwrap();
    let edge = mirroring(&first.url(), &second.url(), place.path(), &json!({}));
    for number in 0..EVENTS {
        check_taken_any(&edge.post_envelope(&[], &event(number)));
    }
    wait_told(&edge, "taken", |told| told["taken"] == EVENTS);
    let said = says(&edge, &["spool", "drop", "--all"]);
    let want = format!("0 requests dropped, and {EVENTS} copies for mirrors\n");
    assert_eq!(said, want);
    door.open();
    let told = settled(&edge);
    assert_eq!(told["lost"], json!({"dropped": EVENTS}), "{told:#}");
    let sent = numbers(&second.requests());
    let once: BTreeSet<u32> = sent.iter().copied().collect();
    assert_eq!(once.len(), sent.len(), "none is sent a second time");
}
