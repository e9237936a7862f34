//! Two edges that were given the same folder.

use std::path::Path;
use std::process::Stdio;

use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use crate::edge::{Edge, Log, ended, program};
use crate::parts::promises;
use crate::upstream::{HANG, Silent};

use super::super::{check_taken, event, ids, keeping, spool, text};
use super::{comes, up};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[]; two_on_one_folder_do_each_other_no_harm]
}

/// The second says who has it, and ends.
fn two_on_one_folder_do_each_other_no_harm() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let (spool_path, state_path) = (place.path().join("spool"), place.path().join("state"));
    let state = json!({"state": {"path": state_path}});
    let first = keeping(&down.url(), &spool_path, &state);
    check_taken(&first.post_envelope(&[], &event(1)), 1);
    check_taken_by(
        &first,
        &text(&down.url(), &spool_path, &json!({})),
        "spool.path",
        &spool_path,
    );
    let other = place.path().join("another");
    check_taken_by(
        &first,
        &text(&down.url(), &other, &state),
        "state.path",
        &state_path,
    );
    check_taken(&first.post_envelope(&[], &event(2)), 2);
    // However it ends, the next one may begin.
    drop(first);
    let edge = keeping(&down.url(), &spool_path, &state);
    let fake = up(down);
    assert!(comes(10, || spool(&edge)["items"] == 0));
    let mut seen = ids(&fake.requests());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [1, 2]);
}

/// An edge on this file ends at once, for what the first one has.
#[track_caller]
fn check_taken_by(first: &Edge, text: &str, key: &str, path: &Path) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("vidette.yml");
    std::fs::write(&file, text).unwrap();
    let mut second = program()
        .args(["run", "-c"])
        .arg(&file)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Log::follow(second.stderr.take().unwrap());
    let ended = ended(&mut second, &log, HANG);
    let said = log.whole();
    assert_eq!(ended.code(), Some(1), "{said}");
    let want = format!(
        "{key} is in use: another process (pid {}) has {}",
        first.pid(),
        path.display()
    );
    assert!(said.contains(&want), "{want}: {said}");
    assert!(!said.contains("listening"), "{said}");
}
