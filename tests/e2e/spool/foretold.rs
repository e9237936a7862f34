//! What an operator is told before it hurts: when what is kept is sent, when there is no room
//! left, and when the first of it is given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::edge::{Edge, program};
use crate::parts::promises;
use crate::upstream::{Fake, HANG, Silent};

use super::{check_taken, emptied, event, keeping, spool};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        it_is_foretold_when_the_spool_is_full_and_when_it_is_empty,
        what_is_soon_given_up_is_told_before,
    ]
}

/// What `spool ls` says.
fn listed(edge: &Edge) -> String {
    let admin = edge.admin.to_string();
    let words = ["spool", "ls", "--admin", &admin];
    let output = program().args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn reasons(edge: &Edge) -> String {
    edge.admin_get("/api/v1/status").json()["reasons"].to_string()
}

/// Does something until a forecast is of this course, and yields it.
#[track_caller]
fn comes(edge: &Edge, course: &str, mut meanwhile: impl FnMut()) -> Value {
    let deadline = Instant::now() + HANG;
    loop {
        let forecast = spool(edge)["forecast"].clone();
        if forecast["course"] == course {
            return forecast;
        }
        assert!(Instant::now() < deadline, "{forecast} is not {course}");
        meanwhile();
        thread::sleep(Duration::from_millis(50));
    }
}

fn it_is_foretold_when_the_spool_is_full_and_when_it_is_empty() {
    let place = TempDir::new().unwrap();
    let ill = Arc::new(AtomicBool::new(true));
    let is_ill = Arc::clone(&ill);
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        if is_ill.load(SeqCst) {
            return exchange.answer(503, &[], b"");
        }
        // Slow enough that a drain takes a while.
        thread::sleep(Duration::from_millis(100));
        exchange.answer(200, &[], b"{}")
    });
    let changes = json!({"spool": {"max_bytes": "16MiB"}});
    let edge = keeping(&fake.url(), place.path(), &changes);
    let mut number = 0;
    let fills = comes(&edge, "fills", || {
        check_taken(&edge.post_envelope(&[], &event(number)), number);
        number += 1;
    });
    // 16384 requests at the most, at some ten or twenty a second.
    let in_s = fills["in_s"].as_u64().unwrap();
    assert!((100..20_000).contains(&in_s), "{fills}");
    assert!(listed(&edge).contains("\nat this rate there is no room left in about "));
    assert!(
        reasons(&edge).contains("; it fills in about "),
        "{}",
        reasons(&edge)
    );
    while number < 200 {
        check_taken(&edge.post_envelope(&[], &event(number)), number);
        number += 1;
    }
    ill.store(false, SeqCst);
    let empties = comes(&edge, "empties", || {});
    let in_s = empties["in_s"].as_u64().unwrap();
    assert!((1..60).contains(&in_s), "{empties}");
    assert!(listed(&edge).contains("\nat this rate all of it is sent in about "));
    assert!(
        reasons(&edge).contains("; all are sent in about "),
        "{}",
        reasons(&edge)
    );
    emptied(&edge);
    assert!(!listed(&edge).contains("at this rate"));
}

/// The first word of it was once that it had been given up.
fn what_is_soon_given_up_is_told_before() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let changes = json!({"spool": {"max_age": "12s"}});
    let mut edge = keeping(&down.url(), place.path(), &changes);
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    assert!(!reasons(&edge).contains("expire"), "{}", reasons(&edge));
    assert!(listed(&edge).contains(" of 12 s\n"), "{}", listed(&edge));
    let deadline = Instant::now() + HANG;
    while !reasons(&edge).contains("of 12 s (spool.max_age); the first expire in ") {
        assert!(Instant::now() < deadline, "{}", reasons(&edge));
        thread::sleep(Duration::from_millis(20));
    }
    let said = listed(&edge);
    assert!(said.contains(" of 12 s; the first expire in "), "{said}");
    assert_eq!(edge.admin_get("/api/v1/status").json()["light"], "amber");
    emptied(&edge);
    assert!(!reasons(&edge).contains("expire"), "{}", reasons(&edge));
    edge.signal(Signal::TERM);
    edge.wait_end();
    let log = edge.log.whole();
    let told = log.matches("soon older than spool.max_age").count();
    assert_eq!(told, 1, "{log}");
}
