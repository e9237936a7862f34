//! The way of lines from a worker to a file, and what is said where it is not open.

use super::*;
use crate::config::Config;
use crate::config::checked::AccessMode;

fn batch(bytes: usize, lines: u64) -> Batch {
    Batch {
        bytes: vec![b'\n'; bytes],
        lines,
    }
}

fn plan(path: &std::path::Path) -> Plan {
    Plan {
        mode: AccessMode::All,
        to: AccessTarget::File(path.to_owned()),
        buffer: 1000,
        ..Config::in_front_of(Vec::new()).access_log
    }
}

#[track_caller]
fn check_read(log: &AccessLog, written: u64, dropped: u64) {
    assert_eq!(log.reading(), Reading { written, dropped });
}

#[test]
fn what_was_handed_over_is_written_before_the_end_and_nothing_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = Arc::new(AccessLog::new(&plan(&path)));
    log.follow(&plan(&path)).unwrap();
    for _ in 0..5 {
        log.put(batch(10, 2));
    }
    log.close();
    assert_eq!(std::fs::read(&path).unwrap().len(), 50);
    check_read(&log, 10, 0);
    log.put(batch(10, 2));
    check_read(&log, 10, 2);
}

#[test]
fn what_nobody_writes_fills_its_room_and_is_dropped_beyond() {
    let folder = tempfile::tempdir().unwrap();
    let log = AccessLog::new(&plan(&folder.path().join("access.log")));
    assert_eq!(log.reasons(), None);
    for _ in 0..12 {
        log.put(batch(100, 3));
    }
    check_read(&log, 0, 6);
    let reasons = log.reasons().unwrap();
    assert_eq!(
        reasons,
        "access log: 6 lines were dropped so far: more are coming than can be written"
    );
}

#[test]
fn what_cannot_be_written_is_told_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later/access.log");
    let log = Arc::new(AccessLog::new(&plan(&path)));
    log.follow(&plan(&path)).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    let wait = |what: &str, is_so: &dyn Fn() -> bool| {
        while !is_so() {
            assert!(Instant::now() < until, "{what}: {:?}", log.reasons());
            std::thread::sleep(FLUSH_LOOK);
        }
    };
    // Before there is any line to lose.
    let failing = || {
        log.reasons()
            .is_some_and(|why| why.contains("No such file"))
    };
    wait("a missing folder is not told", &failing);
    log.put(batch(10, 1));
    wait("a lost line is not counted", &|| log.reading().dropped == 1);
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    wait("it is not tried again", &|| path.exists());
    log.put(batch(10, 1));
    wait("nothing is written", &|| log.reading().written == 1);
    // What failed is over; what was lost is told of for a while.
    let reasons = log.reasons().unwrap();
    assert!(reasons.contains("1 lines were dropped so far"), "{reasons}");
    log.close();
}

#[test]
fn an_edge_without_lines_has_no_thread_for_them() {
    let plan = Config::in_front_of(Vec::new()).access_log;
    let log = Arc::new(AccessLog::new(&plan));
    log.follow(&plan).unwrap();
    assert!(locked(&log.writer).is_none());
    log.close();
}
