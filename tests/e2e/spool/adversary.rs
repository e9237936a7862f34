//! Whoever wishes the spool ill, and what holds against them: senders, disks, restarts
//! and operators at a bad moment.

mod bodies;
mod damage;
mod folders;
mod room;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, request};
use crate::edge::{Edge, envelope_target, program};
use crate::parts::promises;
use crate::upstream::{Door, Fake, Silent};

use super::{check_taken, event, ids, keeping, spool};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        a_smaller_spool_still_sends_what_a_larger_one_kept,
        slow_uploads_hold_nobody_else_up,
        slow_uploads_are_no_sign_of_an_outage,
        a_spool_that_takes_nothing_costs_nothing_that_sentry_takes,
        a_late_time_out_is_no_refusal,
        an_end_amid_all_of_it_loses_nothing,
        clients_that_reset_leave_the_books_closed,
        a_purge_keeps_no_event_waiting,
    ];
    trials.extend(bodies::trials());
    trials.extend(damage::trials());
    trials.extend(folders::trials());
    trials.extend(room::trials());
    trials
}

/// Asks again for a while; whether it came true.
pub(super) fn comes(patience_s: u64, mut true_yet: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(patience_s);
    while Instant::now() < deadline {
        if true_yet() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true_yet()
}

pub(super) fn up(down: Silent) -> Fake {
    down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    })
}

#[track_caller]
fn say(edge: &Edge, words: &[&str]) {
    let admin = edge.admin.to_string();
    let output = program().args(words).args(["--admin", &admin]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
}

/// Every row of the books closes, and nothing is less than nothing.
#[track_caller]
pub(super) fn check_books(edge: &Edge) {
    let mut ledger = Value::Null;
    let settled = comes(10, || {
        ledger = edge.admin_get("/api/v1/ledger").json();
        ledger["in_flight"] == 0
    });
    assert!(settled, "{ledger}");
    let mut spooled = 0_u64;
    for row in ledger["rows"].as_array().unwrap() {
        for unit in ["items", "bytes"] {
            let counts = &row[unit];
            let of = |name: &str| {
                counts[name]
                    .as_u64()
                    .filter(|count| *count < 1 << 60)
                    .unwrap_or_else(|| panic!("{unit} {name} in {row}"))
            };
            let dropped = counts["dropped"].as_object().unwrap();
            let dropped: u64 = dropped.values().map(|count| count.as_u64().unwrap()).sum();
            assert_eq!(
                of("received") + of("carried"),
                of("forwarded") + of("spooled") + dropped,
                "{unit} in {row}"
            );
            if unit == "items" {
                spooled += of("spooled");
            }
        }
    }
    assert_eq!(spool(edge)["items"], spooled, "{ledger}");
}

fn a_smaller_spool_still_sends_what_a_larger_one_kept() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let url = down.url();
    let mut edge = keeping(&url, place.path(), &json!({}));
    let mut client = edge.connect();
    for number in 0..1500 {
        client.send(&request("POST", &envelope_target(), &[], &event(number)));
        check_taken(&client.answer_to("POST"), number);
    }
    edge.signal(Signal::KILL);
    edge.wait_end();
    let fake = up(down);
    let smaller = json!({"spool": {"max_bytes": "1MiB", "replay_requests": 16}});
    let edge = keeping(&url, place.path(), &smaller);
    comes(20, || {
        spool(&edge)["items"] == 0 && fake.requests().len() >= 1500
    });
    let mut seen = ids(&fake.requests());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(
        seen.len(),
        1500,
        "the others were answered 200 and are lost"
    );
    check_books(&edge);
}

/// An edge whose upstream has been ill for so long that few go there at once, and is
/// well again.
#[track_caller]
fn worn_down(place: &Path, changes: &Value, slow: Duration) -> (Edge, Fake) {
    let ill = Arc::new(AtomicBool::new(true));
    let is_ill = Arc::clone(&ill);
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        match is_ill.load(SeqCst) {
            true => exchange.answer(503, &[], b""),
            false => {
                thread::sleep(slow);
                exchange.answer(200, &[], b"{}")
            }
        }
    });
    let edge = keeping(&fake.url(), place, changes);
    say(&edge, &["spool", "pause"]);
    let worn = comes(30, || {
        thread::sleep(Duration::from_millis(50));
        edge.post_envelope(&[], &event(1));
        fake.requests().len() >= 24
    });
    assert!(worn, "{} asked", fake.requests().len());
    ill.store(false, SeqCst);
    let mut in_a_row = 0;
    let well = comes(30, || {
        match edge.post_envelope(&[], &event(2)).text() == "{}" {
            true => in_a_row += 1,
            false => in_a_row = 0,
        }
        in_a_row >= 20
    });
    assert!(well, "the breaker does not close");
    (edge, fake)
}

/// A client that has sent some of an upload, and rests.
fn slow_upload(edge: &Edge) -> Client {
    let mut client = edge.connect();
    let body = b"{}\n{\"type\":\"attachment\",\"length\":900000}\nxxxxxxxx";
    let length = [("Content-Length", "900100")];
    client.send(&request("POST", &envelope_target(), &length, body));
    client
}

fn slow_uploads_hold_nobody_else_up() {
    let place = TempDir::new().unwrap();
    let (edge, fake) = worn_down(place.path(), &json!({}), Duration::ZERO);
    let uploads: Vec<_> = (0..8).map(|_| slow_upload(&edge)).collect();
    thread::sleep(Duration::from_millis(300));
    let target = format!("{}&last=1", envelope_target());
    assert_eq!(edge.ask("POST", &target, &[], &event(777)).status, 200);
    let admin = edge.admin.to_string();
    let drain = ["spool", "drain", "--admin", &admin];
    let mut drain = program()
        .args(drain)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let came = comes(8, || ids(&fake.requests()).contains(&777));
    drain.kill().unwrap();
    drain.wait().unwrap();
    assert!(
        came,
        "{} uploads hold it up: {}",
        uploads.len(),
        spool(&edge)
    );
}

fn slow_uploads_are_no_sign_of_an_outage() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let changes = json!({"workers": 2, "upstream": {"connections": 8}});
    let edge = keeping(&fake.url(), place.path(), &changes);
    let uploads: Vec<_> = (0..7).map(|_| slow_upload(&edge)).collect();
    thread::sleep(Duration::from_millis(300));
    for number in 0..600 {
        assert_eq!(edge.post_envelope(&[], &event(number)).status, 200);
        let state = edge.metric("vidette_breaker_state", &["ingest"]);
        assert!(
            state < 0.5,
            "{} uploads opened it after {number} events",
            uploads.len()
        );
    }
}

fn a_spool_that_takes_nothing_costs_nothing_that_sentry_takes() {
    let place = TempDir::new().unwrap();
    let changes = json!({"spool": {"free_floor": "1024TiB"}});
    let (edge, _fake) = worn_down(place.path(), &changes, Duration::from_millis(200));
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..24 {
            let (edge, refused) = (&edge, &refused);
            scope.spawn(move || {
                let answer = edge.post_envelope(&[], &event(number));
                refused.fetch_add(usize::from(answer.status != 200), SeqCst);
            });
        }
    });
    assert_eq!(
        refused.load(SeqCst),
        0,
        "of 24 that the upstream would take"
    );
}

fn a_late_time_out_is_no_refusal() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    let asked = AtomicUsize::new(0);
    let fake = down.listen(move |exchange| {
        exchange.read_body()?;
        match asked.fetch_add(1, SeqCst) {
            0 => exchange.answer(408, &[("connection", "close")], b"<html>"),
            _ => exchange.answer(200, &[], b"{}"),
        }
    });
    assert!(comes(5, || spool(&edge)["items"] == 0));
    assert_eq!(
        ids(&fake.requests()),
        [1, 1],
        "it has answered, not refused"
    );
}

fn an_end_amid_all_of_it_loses_nothing() {
    let (place, door) = (TempDir::new().unwrap(), Door::default());
    let behind = door.clone();
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        behind.pass();
        exchange.reset()
    });
    let changes = json!({"limits": {"drain": "1s"}});
    let mut edge = keeping(&fake.url(), place.path(), &changes);
    let taken = std::sync::Mutex::new(Vec::new());
    thread::scope(|scope| {
        for thread in 0..8 {
            let (taken, public) = (&taken, edge.public);
            scope.spawn(move || {
                let mut client = Client::connect(public);
                for number in (thread * 100)..(thread * 100 + 100) {
                    let bytes = request("POST", &envelope_target(), &[], &event(number));
                    if client.try_send(&bytes).is_err() {
                        return;
                    }
                    match client.try_answer_to("POST") {
                        Ok(answer) if answer.status == 200 => taken.lock().unwrap().push(number),
                        Ok(_) => {}
                        Err(_) => return,
                    }
                    thread::sleep(Duration::from_millis(10));
                }
            });
        }
        thread::sleep(Duration::from_millis(1700));
        edge.signal(Signal::TERM);
    });
    edge.wait_end();
    door.open();
    let well = Fake::start();
    let edge = keeping(&well.url(), place.path(), &changes);
    comes(20, || {
        let seen = ids(&well.requests());
        taken
            .lock()
            .unwrap()
            .iter()
            .all(|number| seen.contains(number))
    });
    let seen = ids(&well.requests());
    let lost: Vec<_> = taken
        .lock()
        .unwrap()
        .iter()
        .copied()
        .filter(|number| !seen.contains(number))
        .collect();
    assert!(
        lost.is_empty(),
        "lost {lost:?} of {}",
        taken.lock().unwrap().len()
    );
    check_books(&edge);
}

fn clients_that_reset_leave_the_books_closed() {
    let place = TempDir::new().unwrap();
    let down = Silent::reserve();
    let changes = json!({"limits": {"finishing": 1}});
    let edge = keeping(&down.url(), place.path(), &changes);
    thread::scope(|scope| {
        for thread in 0..4_u32 {
            let edge = &edge;
            scope.spawn(move || {
                for number in 0..400 {
                    let mut client = edge.connect();
                    client.send(&request("POST", &envelope_target(), &[], &event(number)));
                    thread::sleep(Duration::from_micros(
                        u64::from(number * (thread + 1) % 40) * 50,
                    ));
                    client.reset();
                }
            });
        }
    });
    check_books(&edge);
    let _up = up(down);
    assert!(comes(20, || spool(&edge)["items"] == 0), "{}", spool(&edge));
    check_books(&edge);
}

fn a_purge_keeps_no_event_waiting() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    let mut client = edge.connect();
    let other = crate::senders::target(7, "b94ae32be2584e0bbd7a4cbb95971fee");
    for number in 0..3000 {
        client.send(&request("POST", &other, &[], &event(number)));
        assert_eq!(client.answer_to("POST").status, 200);
    }
    thread::scope(|scope| {
        scope.spawn(|| say(&edge, &["spool", "drop", "--project", "7"]));
        thread::sleep(Duration::from_millis(50));
        let asked = Instant::now();
        check_taken(&edge.post_envelope(&[], &event(9)), 9);
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
    });
}
