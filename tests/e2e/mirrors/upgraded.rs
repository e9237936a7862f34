//! Edges that take over from one another while a mirror is away: it gets everything in the end.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use super::trouble::{check_all_in, post_all, well};
use super::{mirroring, numbers, settled, wait_told};
use crate::client::ask;
use crate::edge::{Edge, envelope_target};
use crate::parts::promises;
use crate::spool::event;
use crate::upstream::{Fake, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        an_upgrade_takes_over_what_is_kept_for_a_mirror,
        an_upgrade_under_load_loses_no_copy_of_a_mirror_that_is_away,
    ]
}

fn an_upgrade_takes_over_what_is_kept_for_a_mirror() {
    let rig = Elder::new();
    let mut elder = rig.start();
    post_all(&elder, 0..50);
    wait_told(&elder, "kept", |told| told["waiting"]["disk"] == 50);
    let heir = elder.successor();
    assert!(elder.wait_end().success());
    let carried = wait_told(&heir, "taken over", |told| told["carried"] == 50);
    assert_eq!(carried["held"], 50, "{carried:#}");
    post_all(&heir, 50..60);
    let second = rig.down.listen(well);
    settled(&heir);
    check_all_in(&numbers(&second.requests()), 60);
}

/// An edge before a first Sentry and a mirror that is away, to be upgraded.
struct Elder {
    first: Fake,
    down: Silent,
    place: TempDir,
    state: TempDir,
}

impl Elder {
    fn new() -> Self {
        Self {
            first: Fake::start(),
            down: Silent::reserve(),
            place: tempfile::tempdir().unwrap(),
            state: tempfile::tempdir().unwrap(),
        }
    }

    fn start(&self) -> Edge {
        let changes = json!({"state": {"path": self.state.path()}});
        mirroring(
            &self.first.url(),
            &self.down.url(),
            self.place.path(),
            &changes,
        )
    }
}

/// Posts one event after the other, each over a connection of its own, until it is told to stop.
fn post_on(edge: &Edge, stopped: &AtomicBool, posted: &AtomicU32) {
    while !stopped.load(Ordering::SeqCst) {
        let number = posted.load(Ordering::SeqCst);
        let answer = ask(edge.public, "POST", &envelope_target(), &[], &event(number));
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        posted.fetch_add(1, Ordering::SeqCst);
    }
}

fn an_upgrade_under_load_loses_no_copy_of_a_mirror_that_is_away() {
    let rig = Elder::new();
    let mut elder = rig.start();
    let (stopped, posted) = (AtomicBool::new(false), AtomicU32::new(0));
    let heir = thread::scope(|scope| {
        let posting = scope.spawn(|| post_on(&elder, &stopped, &posted));
        while posted.load(Ordering::SeqCst) < 100 {
            thread::yield_now();
        }
        let heir = elder.successor();
        let at_least = posted.load(Ordering::SeqCst) + 200;
        while posted.load(Ordering::SeqCst) < at_least {
            thread::yield_now();
        }
        stopped.store(true, Ordering::SeqCst);
        posting.join().unwrap();
        heir
    });
    assert!(elder.wait_end().success());
    let second = rig.down.listen(well);
    let told = settled(&heir);
    assert_eq!(told["lost"], json!({}), "{told:#}");
    check_all_in(&numbers(&second.requests()), posted.into_inner());
}
