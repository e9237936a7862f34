//! What happens around the edge: a disk that is full, an upstream that moves.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::edge::Edge;
use crate::parts::{Part, promises};
use crate::upstream::{HANG, Silent};

use super::large::large;
use super::{emptied, event, ids, spool, text};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[Part::Mounts];
        a_full_disk_loses_nothing_that_was_answered,
        some_of_the_disk_stays_free,
        a_floor_above_the_whole_disk_is_warned_of,
        copies_leave_some_of_the_disk_free,
        an_upstream_that_moves_is_followed,
    ]
}

/// Posts events until one is refused, at most so many; the numbers that were answered 200.
#[track_caller]
fn fill(edge: &Edge, most: u32) -> Vec<u32> {
    let mut taken = Vec::new();
    for number in 0..most {
        let body = [
            event(number),
            b"{\"type\":\"event\"}\n".to_vec(),
            vec![b' '; 9000],
        ]
        .concat();
        let answer = edge.post_envelope(&[], &body);
        if answer.status != 200 {
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert_eq!(answer.header("retry-after").as_deref(), Some("30"));
            return taken;
        }
        taken.push(number);
    }
    panic!("{most} events of 9 KB found room");
}

/// The disk is smaller than the spool may be.
fn a_full_disk_loses_nothing_that_was_answered() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let mount = format!("mount -t tmpfs -o size=3m tmpfs {}", place.path().display());
    let changes = json!({"spool": {"max_bytes": "1GiB"}});
    let edge = Edge::run_where(&mount, &text(&down.url(), place.path(), &changes));
    let taken = fill(&edge, 1000);
    assert!(
        taken.len() > 50,
        "{} of 9 KB found room in 3 MB",
        taken.len()
    );
    let status = edge.admin_get("/api/v1/status").json();
    assert!(
        status["reasons"].to_string().contains("spool: "),
        "{status}"
    );
    let up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    emptied(&edge);
    let mut seen = ids(&up.requests());
    seen.sort_unstable();
    seen.dedup();
    let lost: Vec<_> = taken
        .iter()
        .filter(|number| !seen.contains(number))
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
    // There is room again.
    assert_eq!(edge.post_envelope(&[], &event(5000)).status, 200);
}

fn some_of_the_disk_stays_free() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let mount = format!("mount -t tmpfs -o size=8m tmpfs {}", place.path().display());
    let changes = json!({"spool": {"max_bytes": "4MiB", "free_floor": "5MiB"}});
    let edge = Edge::run_where(&mount, &text(&down.url(), place.path(), &changes));
    let taken = fill(&edge, 1000);
    assert!(
        taken.len() < 8 * 1024 / 9 - 5 * 1024 / 9,
        "{} found room",
        taken.len()
    );
    assert_eq!(spool(&edge)["items"], taken.len() * 2);
}

fn a_floor_above_the_whole_disk_is_warned_of() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let mount = format!("mount -t tmpfs -o size=8m tmpfs {}", place.path().display());
    let warned = |floor: &str| {
        let changes = json!({"spool": {"max_bytes": "4MiB", "free_floor": floor}});
        let mut edge = Edge::run_where(&mount, &text(&down.url(), place.path(), &changes));
        let status = edge.post_envelope(&[], &event(1)).status;
        edge.signal(Signal::TERM);
        edge.wait_end();
        (
            status,
            edge.log.whole().contains("spool.free_floor is more"),
        )
    };
    assert_eq!(warned("7MiB"), (200, false));
    assert_eq!(warned("8MiB"), (503, true));
}

/// The upstream takes nothing, so that each body is worth what its copy is.
fn copies_leave_some_of_the_disk_free() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let mount = format!(
        "mount -t tmpfs -o size=16m tmpfs {}",
        place.path().display()
    );
    let changes = json!({
        // Nobody but its clients finds out that it is away.
        "upstream": {"probe_interval": "1m"},
        "spool": {
            "max_bytes": "32MiB",
            "free_floor": "8MiB",
            "copies": {"memory": 0},
        },
    });
    let edge = Edge::run_where(&mount, &text(&down.url(), place.path(), &changes));
    assert_eq!(edge.post_envelope(&[], &large(900_000)).status, 200);
    let unprotected = || edge.metric("vidette_spool_unprotected_total", &[]);
    assert!(unprotected() < 0.5, "there was room for it");
    // Two of the sixteen MiB are the log's, one the first body's.
    let answer = edge.post_envelope(&[], &large(7_000_000));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(
        answer.json()["causes"][0],
        "no_upstream",
        "{}",
        answer.text()
    );
    edge.wait_metric("vidette_spool_unprotected_total", &[], 1.0);
    // What it had taken is free again.
    assert_eq!(edge.post_envelope(&[], &large(900_000)).status, 200);
    assert_eq!(spool(&edge)["items"], 2);
}

/// The old address is left to somebody who takes nothing.
fn an_upstream_that_moves_is_followed() {
    let old = Silent::at(([127, 0, 0, 2], 0).into());
    let (new, port) = (old.beside([127, 0, 0, 3]), old.port());
    let hosts = tempfile::NamedTempFile::new().unwrap();
    fs::write(hosts.path(), "127.0.0.2 relay.test\n").unwrap();
    let mount = format!("mount --bind {} /etc/hosts", hosts.path().display());
    let place = TempDir::new().unwrap();
    let changes = json!({"upstream": {"resolve_interval": "200ms"}});
    let url = format!("http://relay.test:{port}");
    let edge = Edge::run_where(&mount, &text(&url, place.path(), &changes));
    let moved = Arc::new(AtomicBool::new(false));
    let gone = Arc::clone(&moved);
    let old = old.listen(move |exchange| {
        exchange.read_body()?;
        let status = if gone.load(SeqCst) { 503 } else { 200 };
        exchange.answer(status, &[], b"{}")
    });
    let new = new.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    for number in 0..600 {
        if number == 200 {
            moved.store(true, SeqCst);
            fs::write(hosts.path(), "127.0.0.3 relay.test\n").unwrap();
        }
        let answer = edge.post_envelope(&[], &event(number));
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        thread::sleep(Duration::from_millis(2));
    }
    emptied(&edge);
    let mut seen = ids(&old.requests()[..200]);
    seen.extend(ids(&new.requests()));
    seen.sort_unstable();
    assert_eq!(seen, (0..600).collect::<Vec<_>>());
    // Nothing goes to where it was.
    let before = old.requests().len();
    let until = Instant::now() + HANG;
    for number in 600..620 {
        assert_eq!(edge.post_envelope(&[], &event(number)).text(), "{}");
        assert!(Instant::now() < until);
    }
    assert_eq!(old.requests().len(), before);
}
