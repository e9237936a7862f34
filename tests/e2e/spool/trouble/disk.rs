//! The edge on a disk that fails: what was answered 200 arrives all the same.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::edge::Edge;
use crate::parts::promises;
use crate::upstream::{Fake, Silent};

use super::super::adversary::{check_books, comes, up};
use super::super::large::large;
use super::super::{booked, emptied, event, ids, spool, text};
use super::{READ_EIO, SYNC_EIO, Trouble, WRITE_EIO, WRITE_FULL, WRITE_SHORT};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_disk_that_fails_now_and_then_loses_nothing_that_was_answered,
        a_disk_that_fails_is_told_of_and_sentry_gets_what_it_takes,
        a_disk_that_works_again_is_found_out_without_an_event,
        a_file_whose_sync_failed_is_never_written_again,
        what_cannot_be_read_for_a_while_is_sent_when_it_can,
        a_copy_that_fails_costs_no_upload_that_sentry_takes,
    ]
}

/// Posts events of these numbers; those that were answered 200. All others were 503.
#[track_caller]
fn post(edge: &Edge, numbers: std::ops::Range<u32>) -> Vec<u32> {
    let mut client = edge.connect();
    let mut taken = Vec::new();
    for number in numbers {
        let target = crate::edge::envelope_target();
        client.send(&crate::client::request(
            "POST",
            &target,
            &[],
            &event(number),
        ));
        let answer = client.answer_to("POST");
        match answer.status {
            200 => taken.push(number),
            503 => assert!(answer.header("retry-after").is_some()),
            other => panic!("{number}: {other} {}", answer.text()),
        }
    }
    taken
}

#[track_caller]
fn check_all_arrived(fake: &Fake, taken: &[u32]) {
    let seen = ids(&fake.requests());
    let lost: Vec<_> = taken.iter().filter(|it| !seen.contains(it)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} are lost: {lost:?}",
        lost.len(),
        taken.len()
    );
}

#[track_caller]
fn reasons(edge: &Edge) -> String {
    edge.admin_get("/api/v1/status").json()["reasons"].to_string()
}

fn a_disk_that_fails_now_and_then_loses_nothing_that_was_answered() {
    let given = std::env::var("VIDETTE_SEED").ok();
    let seed = given
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    eprintln!("seed {seed}");
    for (round, faults) in [
        WRITE_EIO,
        WRITE_FULL,
        SYNC_EIO,
        WRITE_SHORT,
        WRITE_EIO | WRITE_FULL | WRITE_SHORT | SYNC_EIO,
    ]
    .into_iter()
    .enumerate()
    {
        let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
        let url = down.url();
        let trouble = Trouble::new(seed.wrapping_add(round as u64));
        let on = text(
            &url,
            place.path(),
            &json!({"spool": {"max_bytes": "64MiB"}}),
        );
        let mut edge = trouble.run(&on, place.path());
        let mut taken = Vec::new();
        for lap in 0..3 {
            trouble.faults(faults, 64);
            taken.extend(post(&edge, lap * 100..lap * 100 + 100));
            if lap == 1 {
                edge.signal(Signal::KILL);
                edge.wait_end();
                edge = trouble.run(&on, place.path());
            }
        }
        assert!(trouble.dealt() > 20, "{} faults", trouble.dealt());
        assert!(taken.len() > 30, "only {} of 300 were kept", taken.len());
        trouble.faults(0, 0);
        let again = comes(5, || !post(&edge, 900..901).is_empty());
        assert!(
            again,
            "the disk is well, and nothing is kept: {}",
            reasons(&edge)
        );
        let fake = up(down);
        emptied(&edge);
        check_all_arrived(&fake, &taken);
        check_books(&edge);
        assert_eq!(edge.metric("vidette_spool_damaged_total", &[]), 0.0);
    }
}

fn a_disk_that_fails_is_told_of_and_sentry_gets_what_it_takes() {
    for faults in [WRITE_EIO, SYNC_EIO] {
        let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
        let trouble = Trouble::new(1);
        let edge = trouble.run(&text(&down.url(), place.path(), &json!({})), place.path());
        let mut taken = post(&edge, 0..10);
        assert_eq!(taken.len(), 10);
        trouble.faults(faults, 256);
        assert!(post(&edge, 10..20).is_empty());
        assert!(
            reasons(&edge).contains("spool: its disk fails"),
            "{}",
            reasons(&edge)
        );
        edge.log.wait_for_text("ERROR");
        edge.log.wait_for_text("does not take what it should keep");
        assert_eq!(edge.admin_get("/health/ready").status, 503);
        let fake = up(down);
        // What was kept is sent, and what comes now goes straight there.
        emptied(&edge);
        taken.extend(20..30);
        let through = || edge.post_envelope(&[], &event(99)).text() == "{}";
        assert!(comes(10, through), "{}", edge.log.text());
        assert_eq!(post(&edge, 20..30).len(), 10);
        check_all_arrived(&fake, &taken);
        check_books(&edge);
    }
}

/// An edge that can keep nothing is not ready: who balances over several sends it nothing.
fn a_disk_that_works_again_is_found_out_without_an_event() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let trouble = Trouble::new(1);
    let edge = trouble.run(&text(&down.url(), place.path(), &json!({})), place.path());
    trouble.faults(SYNC_EIO, 256);
    assert!(post(&edge, 0..10).is_empty());
    assert_eq!(edge.admin_get("/health/ready").status, 503);
    trouble.faults(0, 0);
    let ready = comes(5, || edge.admin_get("/health/ready").status == 200);
    assert!(ready, "{}", reasons(&edge));
    edge.log.wait_for_text("the spool's disk works again");
    assert_eq!(post(&edge, 10..11), [10]);
}

/// The segments of a folder, and what they hold.
fn segments(place: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(place)
        .unwrap()
        .map(|file| file.unwrap().path());
    let segments = files.filter(|path| path.extension().is_some_and(|end| end == "log"));
    let mut segments: Vec<_> = segments
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    segments.sort();
    segments
}

fn a_file_whose_sync_failed_is_never_written_again() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let trouble = Trouble::new(1);
    let edge = trouble.run(&text(&down.url(), place.path(), &json!({})), place.path());
    assert_eq!(post(&edge, 0..5).len(), 5);
    let first = segments(place.path());
    assert_eq!(first.len(), 1);
    trouble.faults(SYNC_EIO, 256);
    assert!(post(&edge, 5..6).is_empty());
    trouble.faults(0, 0);
    let retired = segments(place.path());
    assert_eq!(post(&edge, 6..20).len(), 14);
    let now = segments(place.path());
    assert!(now.len() > first.len(), "nothing new was begun");
    let (name, bytes) = &retired[0];
    assert_eq!(name, &first[0].0);
    assert!(now[0].1 == *bytes, "{name} was written to again");
    // What was refused is not in it.
    let holds = |number: u32| {
        let id = format!("{number:032x}");
        memchr::memmem::find(bytes, id.as_bytes()).is_some()
    };
    assert!(holds(4) && !holds(5));
    let fake = up(down);
    emptied(&edge);
    let want: Vec<u32> = (0..5).chain(6..20).collect();
    assert_eq!(ids(&fake.requests()), want, "in order, each once");
}

fn what_cannot_be_read_for_a_while_is_sent_when_it_can() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let trouble = Trouble::new(1);
    let edge = trouble.run(&text(&down.url(), place.path(), &json!({})), place.path());
    let taken = post(&edge, 0..20);
    assert_eq!(edge.post_envelope(&[], &large(3_000_000)).status, 200);
    trouble.faults(READ_EIO, 256);
    let fake = up(down);
    edge.log.wait_for_text("cannot be read");
    assert_eq!(spool(&edge)["items"], 21, "{}", spool(&edge));
    trouble.faults(0, 0);
    let sent = comes(60, || spool(&edge)["items"] == 0);
    assert!(sent, "{}", spool(&edge));
    check_all_arrived(&fake, &taken);
    assert_eq!(booked(&edge, "attachment")["forwarded"], 1);
    check_books(&edge);
    assert_eq!(edge.metric("vidette_spool_damaged_total", &[]), 0.0);
}

fn a_copy_that_fails_costs_no_upload_that_sentry_takes() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let trouble = Trouble::new(1);
    let changes = json!({"spool": {"copies": {"memory": 0}}});
    let edge = trouble.run(&text(&fake.url(), place.path(), &changes), place.path());
    for faults in [WRITE_EIO, WRITE_FULL] {
        trouble.faults(faults, 256);
        let body = large(3_000_000);
        assert_eq!(edge.post_envelope(&[], &body).status, 200);
        let seen = fake.requests();
        assert!(seen.last().unwrap().body == body);
    }
    edge.wait_metric("vidette_spool_unprotected_total", &[], 2.0);
    check_books(&edge);
}
