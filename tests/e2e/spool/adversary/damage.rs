//! Damage on disk: while it runs, found by each who reads, and at a start. The books close,
//! the rest arrives, and what is lost is told.

mod bodies;

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::edge::{Edge, KEY};
use crate::parts::promises;
use crate::upstream::{Fake, Silent};

use super::super::{arrived, booked, check_taken, emptied, event, ids, keeping, spool};
use super::{check_books, comes, say, up};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        damage_while_it_runs_leaves_the_books_closed,
        damage_costs_what_it_hit_of_any_project_and_category,
        what_was_damaged_before_it_was_too_old_is_booked_as_lost,
        what_was_damaged_before_it_was_dropped_is_overwritten_and_booked,
        damage_that_moving_together_finds_is_told_and_its_file_kept,
        damage_found_at_a_start_is_counted_and_the_rest_arrives,
        a_file_of_garbage_is_put_aside_and_told,
    ];
    trials.extend(bodies::trials());
    trials
}

const OTHER_KEY: &str = "b94ae32be2584e0bbd7a4cbb95971fee";

fn files(place: &Path, end: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(place)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect();
    files.sort();
    files
}

/// Changes one bit wherever a text lies on disk, and says how often it did.
#[track_caller]
fn damage(place: &Path, text: &[u8]) -> usize {
    let mut count = 0;
    for path in files(place, "") {
        let bytes = fs::read(&path).unwrap_or_default();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for at in memchr::memmem::find_iter(&bytes, text) {
            let changed = bytes[at] ^ 1;
            file.write_all_at(&[changed], u64::try_from(at).unwrap())
                .unwrap();
            count += 1;
        }
    }
    count
}

/// An envelope with the number of an event, and these items of a text each.
fn envelope(number: u32, items: &[(&str, &str)]) -> Vec<u8> {
    let item = |(kind, text): &(&str, &str)| {
        let length = text.len();
        format!("{{\"type\":\"{kind}\",\"length\":{length}}}\n{text}\n")
    };
    let items: String = items.iter().map(item).collect();
    format!("{{\"event_id\":\"{number:032x}\"}}\n{items}").into_bytes()
}

/// What is counted as lost to damage, and that nothing is kept any more.
#[track_caller]
fn check_lost(edge: &Edge, requests: u32) {
    assert!(comes(10, || spool(edge)["items"] == 0), "{}", spool(edge));
    edge.wait_metric("vidette_spool_damaged_total", &[], f64::from(requests));
    let told = edge.metric("vidette_spool_damaged_total", &[]);
    assert_eq!(told, f64::from(requests), "{}", edge.log.text());
    assert_eq!(
        edge.metric("vidette_spool_items", &[]),
        0.0,
        "{}",
        spool(edge)
    );
    check_books(edge);
}

fn damage_while_it_runs_leaves_the_books_closed() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    let body = "{}\n{\"type\":\"event\",\"length\":14}\n{\"a\":\"s3cret\"}\n\
                {\"type\":\"attachment\",\"length\":2}\nab\n{\"type\":\"attachment\",\"length\":2}\ncd\n";
    assert_eq!(edge.post_envelope(&[], body.as_bytes()).status, 200);
    check_taken(&edge.post_envelope(&[], &event(5)), 5);
    assert_eq!(damage(place.path(), b"s3cret"), 1);
    let fake = up(down);
    assert_eq!(ids(&arrived(&fake, 1)), [5]);
    check_lost(&edge, 1);
    let lost = |items: u64| json!({"spool_damaged": items});
    assert_eq!(booked(&edge, "error")["dropped"], lost(1));
    assert_eq!(booked(&edge, "attachment")["dropped"], lost(2));
}

/// The row of a project that has one by name or number.
#[track_caller]
fn dropped(edge: &Edge, project: Value, category: &str) -> Value {
    crate::quotas::row(edge, project, category)["items"]["dropped"].clone()
}

fn damage_costs_what_it_hit_of_any_project_and_category() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let projects = json!([{"id": 42, "keys": [KEY]}, {"id": 7, "keys": [OTHER_KEY]}]);
    let edge = keeping(&down.url(), place.path(), &json!({"projects": projects}));
    let other = crate::senders::target(7, OTHER_KEY);
    let stranger = crate::senders::target(9, "c94ae32be2584e0bbd7a4cbb95971fee");
    let mixes: [&[(&str, &str)]; 6] = [
        &[("event", "{}"), ("attachment", "abc"), ("attachment", "de")],
        &[("session", "{}"), ("session", "{ }"), ("sessions", "{}")],
        &[
            ("transaction", "{}"),
            ("profile", "{}"),
            ("client_report", "{}"),
        ],
        &[("replay_event", "{}"), ("replay_recording", "{}\nx")],
        &[("check_in", "{}"), ("span", "{}"), ("no_such_thing", "{}")],
        &[("attachment", "{\"a\":\"s3cret\"}")],
    ];
    let mut number = 0;
    let mut lost = 0;
    for mix in mixes {
        for target in [&crate::edge::envelope_target(), &other, &stranger] {
            for damaged in [true, false] {
                let mut items = mix.to_vec();
                let last = items.len() - 1;
                if damaged {
                    items[last].1 = "{\"a\":\"s3cret\"}";
                } else {
                    items[last].1 = "{\"a\":\"good\"}";
                }
                number += 1;
                let answer = edge.ask("POST", target, &[], &envelope(number, &items));
                assert_eq!(answer.status, 200, "{mix:?}: {}", answer.text());
                lost += u32::from(damaged);
            }
        }
    }
    assert_eq!(
        damage(place.path(), b"s3cret"),
        usize::try_from(lost).unwrap()
    );
    check_books(&edge);
    let fake = up(down);
    let good = usize::try_from(number - lost).unwrap();
    let mut seen = ids(&arrived(&fake, good));
    seen.sort_unstable();
    assert!(seen.iter().all(|number| number % 2 == 0), "{seen:?}");
    check_lost(&edge, lost);
    for project in [json!(42), json!(7)] {
        assert_eq!(
            dropped(&edge, project.clone(), "error"),
            json!({"spool_damaged": 1})
        );
        assert_eq!(
            dropped(&edge, project.clone(), "attachment"),
            json!({"spool_damaged": 3})
        );
        assert_eq!(
            dropped(&edge, project, "session"),
            json!({"spool_damaged": 3})
        );
    }
}

fn what_was_damaged_before_it_was_too_old_is_booked_as_lost() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let changes = json!({"spool": {"max_age": "2s"}});
    let edge = keeping(&down.url(), place.path(), &changes);
    // Or the next to be sent would find it.
    say(&edge, &["spool", "pause"]);
    let items = [("event", "{\"a\":\"s3cret\"}"), ("attachment", "ab")];
    let answer = edge.post_envelope(&[], &envelope(1, &items));
    assert_eq!(answer.status, 200);
    check_taken(&edge.post_envelope(&[], &event(2)), 2);
    assert_eq!(damage(place.path(), b"s3cret"), 1);
    check_lost(&edge, 1);
    assert_eq!(
        booked(&edge, "error")["dropped"],
        json!({"spool_damaged": 1, "spool_expired": 1})
    );
    assert_eq!(
        booked(&edge, "attachment")["dropped"],
        json!({"spool_damaged": 1})
    );
}

fn what_was_damaged_before_it_was_dropped_is_overwritten_and_booked() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    say(&edge, &["spool", "pause"]);
    for number in 0..3 {
        let items = [("event", "{\"a\":\"s3cret\"}"), ("attachment", "ab")];
        let answer = edge.post_envelope(&[], &envelope(number, &items));
        assert_eq!(answer.status, 200);
    }
    check_taken(&edge.post_envelope(&[], &event(9)), 9);
    assert_eq!(damage(place.path(), b"s3cret"), 3);
    say(&edge, &["spool", "drop", "--project", "42"]);
    check_lost(&edge, 3);
    assert_eq!(
        booked(&edge, "error")["dropped"],
        json!({"spool_damaged": 3, "spool_purged": 1})
    );
    let left = files(place.path(), "").into_iter().filter(|path| {
        let bytes = fs::read(path).unwrap_or_default();
        memchr::memmem::find(&bytes, b"3cret").is_some()
    });
    assert_eq!(
        left.collect::<Vec<_>>(),
        [] as [PathBuf; 0],
        "it is still on disk"
    );
}

fn damage_that_moving_together_finds_is_told_and_its_file_kept() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let projects = json!([{"id": 42, "keys": [KEY]}, {"id": 7, "keys": [OTHER_KEY]}]);
    let changes = json!({"spool": {"max_bytes": "1MiB"}, "projects": projects});
    let edge = keeping(&down.url(), place.path(), &changes);
    say(&edge, &["spool", "pause"]);
    let items = [("event", "{\"a\":\"s3cret\"}"), ("attachment", "ab")];
    assert_eq!(edge.post_envelope(&[], &envelope(1, &items)).status, 200);
    check_taken(&edge.post_envelope(&[], &event(2)), 2);
    // More than the rest of a segment, and gone at once.
    let other = crate::senders::target(7, OTHER_KEY);
    let text = "x".repeat(20_000);
    for number in 0..16 {
        let body = envelope(number, &[("event", &text)]);
        assert_eq!(edge.ask("POST", &other, &[], &body).status, 200);
    }
    assert_eq!(damage(place.path(), b"s3cret"), 1);
    say(&edge, &["spool", "drop", "--project", "7"]);
    let told = comes(10, || edge.log.text().contains("cannot be read whole"));
    assert!(told, "{}", edge.log.text());
    check_books(&edge);
    let fake = up(down);
    say(&edge, &["spool", "drain"]);
    assert_eq!(ids(&arrived(&fake, 1)), [2]);
    check_lost(&edge, 1);
    assert_eq!(
        booked(&edge, "attachment")["dropped"],
        json!({"spool_damaged": 1})
    );
    let kept = comes(5, || files(place.path(), ".damaged").len() == 1);
    assert!(kept, "{:?}", files(place.path(), ""));
}

fn damage_found_at_a_start_is_counted_and_the_rest_arrives() {
    for end in [Signal::KILL, Signal::TERM] {
        let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
        let url = down.url();
        let mut edge = keeping(&url, place.path(), &json!({}));
        let items = [("event", "{\"a\":\"s3cret\"}"), ("attachment", "ab")];
        assert_eq!(edge.post_envelope(&[], &envelope(1, &items)).status, 200);
        check_taken(&edge.post_envelope(&[], &event(2)), 2);
        assert_eq!(edge.post_envelope(&[], &envelope(3, &items)).status, 200);
        check_taken(&edge.post_envelope(&[], &event(4)), 4);
        if end == Signal::TERM {
            // The very last as well: a clean end leaves no doubt.
            assert_eq!(edge.post_envelope(&[], &envelope(5, &items)).status, 200);
        }
        edge.signal(end);
        edge.wait_end();
        let lost = damage(place.path(), b"s3cret");
        let edge = keeping(&url, place.path(), &json!({}));
        let fake = up(down);
        assert_eq!(ids(&arrived(&fake, 2)), [2, 4], "{end:?}");
        check_lost(&edge, u32::try_from(lost).unwrap());
        let name = files(place.path(), ".log.damaged").remove(0);
        let name = name.file_name().unwrap().to_string_lossy().into_owned();
        if end == Signal::KILL {
            let told = name.strip_suffix(".damaged").unwrap();
            assert!(edge.log.text().contains(told), "{}", edge.log.text());
        }
        // As their heads say: two items each. After a kill they were once in no book.
        let row = booked(&edge, "error");
        assert_eq!(row["dropped"], json!({"spool_damaged": 2 * lost}), "{row}");
        assert_eq!(row["carried"], 2 + 2 * lost, "{row}");
    }
}

fn a_file_of_garbage_is_put_aside_and_told() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let garbage = "0000000a-0123456789abcdef.log";
    fs::write(
        place.path().join(garbage),
        b"no segment at all\n".repeat(100),
    )
    .unwrap();
    fs::write(place.path().join("0000000b-0123456789abcdef.log"), b"vidsp").unwrap();
    fs::write(place.path().join("0000000c-0123456789abcdef.log"), b"").unwrap();
    let edge = keeping(&fake.url(), place.path(), &json!({}));
    assert!(edge.log.text().contains(garbage), "{}", edge.log.text());
    check_lost(&edge, 2);
    assert_eq!(files(place.path(), ".log.damaged").len(), 2);
    assert!(files(place.path(), ".log").is_empty());
    assert_eq!(edge.post_envelope(&[], &event(1)).status, 200);
    emptied(&edge);
}
