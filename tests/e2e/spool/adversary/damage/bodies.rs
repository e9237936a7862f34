//! Large bodies that are gone, cut or changed: none is sent as it is, and each is booked.

use std::fs;
use std::os::unix::fs::FileExt as _;

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::parts::promises;
use crate::upstream::Silent;

use super::super::super::large::large;
use super::super::super::{arrived, booked, check_taken, event, ids, keeping};
use super::super::{say, up};
use super::{check_lost, files};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_large_body_that_is_gone_or_cut_is_booked_as_lost,
        a_changed_bit_in_a_large_body_is_never_sent,
        a_body_that_was_cut_before_a_start_is_put_aside,
    ]
}

fn a_large_body_that_is_gone_or_cut_is_booked_as_lost() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    for bytes in [1_100_000, 6_000_000, 2_000_000] {
        let answer = edge.post_envelope(&[], &large(bytes));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    check_taken(&edge.post_envelope(&[], &event(5)), 5);
    let bodies = files(place.path(), ".body");
    assert_eq!(bodies.len(), 3);
    fs::remove_file(&bodies[0]).unwrap();
    let short = fs::OpenOptions::new().write(true).open(&bodies[1]).unwrap();
    short.set_len(5_999_999).unwrap();
    let fake = up(down);
    arrived(&fake, 2);
    check_lost(&edge, 2);
    assert_eq!(
        booked(&edge, "attachment")["dropped"],
        json!({"spool_damaged": 2})
    );
    assert_eq!(booked(&edge, "attachment")["forwarded"], 1);
    assert_eq!(booked(&edge, "error")["forwarded"], 1);
}

/// Its bytes were once vouched for by nothing: it went to Sentry as it was.
fn a_changed_bit_in_a_large_body_is_never_sent() {
    // A body that was copied to a file while it came, and one from memory.
    for (bytes, max_bytes) in [(6_000_000, "1GiB"), (1_000_000, "16MiB")] {
        for restarts in [false, true] {
            let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
            let url = down.url();
            let changes = json!({"spool": {"max_bytes": max_bytes}});
            let mut edge = keeping(&url, place.path(), &changes);
            // Or one that is just being sent might be read before it is damaged.
            say(&edge, &["spool", "pause"]);
            for _ in 0..2 {
                let answer = edge.post_envelope(&[], &large(bytes));
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
            check_taken(&edge.post_envelope(&[], &event(5)), 5);
            let bodies = files(place.path(), ".body");
            assert_eq!(bodies.len(), 2);
            let file = fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(&bodies[0])
                .unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, 900_000).unwrap();
            file.write_all_at(&[byte[0] ^ 4], 900_000).unwrap();
            if restarts {
                edge.signal(Signal::KILL);
                edge.wait_end();
                edge = keeping(&url, place.path(), &changes);
            }
            let fake = up(down);
            say(&edge, &["spool", "drain"]);
            check_lost(&edge, 1);
            let requests = arrived(&fake, 2);
            assert_eq!(requests.len(), 2, "the damaged one is not sent at all");
            assert!(requests.iter().any(|seen| seen.body == large(bytes)));
            let row = booked(&edge, "attachment");
            assert_eq!(row["dropped"], json!({"spool_damaged": 1}), "{row}");
            assert_eq!(row["forwarded"], 1, "{row}");
            let kept = files(place.path(), ".body.damaged");
            assert_eq!(kept.len(), 1, "{:?}", files(place.path(), ""));
            let name = kept[0].file_name().unwrap().to_string_lossy().into_owned();
            assert!(bodies[0].ends_with(name.strip_suffix(".damaged").unwrap()));
        }
    }
}

fn a_body_that_was_cut_before_a_start_is_put_aside() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let url = down.url();
    let mut edge = keeping(&url, place.path(), &json!({}));
    assert_eq!(edge.post_envelope(&[], &large(2_000_000)).status, 200);
    check_taken(&edge.post_envelope(&[], &event(5)), 5);
    edge.signal(Signal::KILL);
    edge.wait_end();
    let body = files(place.path(), ".body").remove(0);
    let short = fs::OpenOptions::new().write(true).open(body).unwrap();
    short.set_len(1_999_999).unwrap();
    let edge = keeping(&url, place.path(), &json!({}));
    let fake = up(down);
    assert_eq!(ids(&arrived(&fake, 1)), [5]);
    check_lost(&edge, 1);
    // Its head alone is read: the kind that its lane stands for.
    let row = booked(&edge, "attachment");
    assert_eq!(row["dropped"], json!({"spool_damaged": 1}), "{row}");
    assert_eq!(files(place.path(), ".body.damaged").len(), 1);
}
