//! What the dashboard of an edge shows that took over from another.

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;

use super::{EVENT, column};
use crate::edge::Edge;
use crate::parts::promises;
use crate::takeover::upgrade;
use crate::upstream::{Fake, HANG};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[]; what_was_sent_before_an_upgrade_is_not_drawn_again]
}

fn what_was_sent_before_an_upgrade_is_not_drawn_again() {
    let (fake, state) = (Fake::start(), tempfile::tempdir().unwrap());
    let kept = json!({"state": {"path": state.path()}});
    let edge = Edge::configured(&fake.url(), &fake.url(), kept);
    for _ in 0..50 {
        assert_eq!(edge.post_envelope(&[], EVENT).status, 200);
    }
    let edge = upgrade(edge);
    assert_eq!(edge.post_envelope(&[], EVENT).status, 200);
    let deadline = Instant::now() + HANG;
    let history = loop {
        let history = edge.admin_get("/api/v1/history").json();
        let place = column(&history, "items_out", "error");
        let frames = history["fine"].as_array().unwrap().iter();
        let left: u64 = frames.map(|frame| frame[place].as_u64().unwrap()).sum();
        if left > 0 {
            break history;
        }
        assert!(Instant::now() < deadline, "{history}");
        thread::sleep(Duration::from_millis(100));
    };
    for family in ["items_in", "items_out"] {
        let place = column(&history, family, "error");
        let frames = history["fine"].as_array().unwrap().iter();
        let counted: u64 = frames.map(|frame| frame[place].as_u64().unwrap()).sum();
        assert_eq!(counted, 1, "{family}: the heir's own alone");
    }
    for order in ["items", "bytes"] {
        let top = &history["now"]["leaders"]["10m"][order];
        let first = top["first"].as_array().unwrap();
        assert_eq!(first.len(), 1, "{top}");
        assert_eq!(first[0]["items"], 1, "{top}");
    }
}
