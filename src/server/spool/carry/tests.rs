//! Taking up, where a disk fails or is damaged: what the books say of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::beginning::Plan;
use super::super::log::RealDisk;
use super::super::orders::{Wanted, Whose};
use super::super::parcel::Parcel;
use super::super::{Due, Kept, NotKept};
use super::*;
use crate::config::Config;
use crate::policy::quotas::{CounterLimits, Counters};
use crate::server::delivery::tee::Copied;
use crate::server::memory::knowledge::Knowledge;
use crate::server::reports::Share;
use crate::server::rules::Rules;
use crate::telemetry::labels::Upstream;
use crate::telemetry::ledger::{Ledger, Sum};

/// A clerk of a folder, and its books.
pub(in crate::server::spool) fn clerk(folder: &Path) -> (Clerk, Arc<Ledger>) {
    clerk_with(folder, |_| {})
}

/// The same, where this is configured.
pub(in crate::server::spool) fn clerk_with(
    folder: &Path,
    change: impl FnOnce(&mut Config),
) -> (Clerk, Arc<Ledger>) {
    let mut config = Config::in_front_of(Vec::new());
    config.spool.free_floor = 0;
    change(&mut config);
    let counters = Counters::new(CounterLimits {
        counters: 1,
        ips: 1,
    });
    let knowledge = Knowledge {
        listed: None,
        states: None,
        files: None,
        secret: Arc::default(),
    };
    let rules = Rules::new(&config, None, &knowledge, &counters);
    let ledger = Arc::new(Ledger::new(SystemTime::UNIX_EPOCH, 10));
    let plan = Plan {
        path: folder.to_path_buf(),
        rules: Arc::new(ArcSwap::from_pointee(rules)),
        ledger: Arc::clone(&ledger),
        reports: Share::default(),
        state: Arc::default(),
        due: Arc::default(),
        queued_bytes: Arc::new(u64::MAX.into()),
        epoch: Instant::now(),
    };
    let disk = RealDisk::open(folder).unwrap();
    let taken = plan.take_up(disk, Default::default());
    (taken.unwrap().clerk(), ledger)
}

fn project(number: u64) -> ProjectId {
    ProjectId::parse(number.to_string().as_bytes()).unwrap()
}

/// Keeps a request of an error and two attachments.
fn keep(clerk: &mut Clerk, number: u64) {
    let holding = |category, items, bytes| Holding {
        account: Account::Project(project(number)),
        category,
        items,
        bytes,
    };
    let parcel = Parcel {
        holdings: vec![
            holding(Category::Error, 1, 14),
            holding(Category::Attachment, 2, 100_000_000_000),
        ],
        to: None,
        project: Some(project(number)),
        sender: None,
        proven: true,
        maybe_sent: false,
        envelope: None,
        head: b"POST /api/1/envelope/ HTTP/1.1\r\n\r\n".to_vec(),
        body: Copied::Chunks(Default::default()),
    };
    let (told, mut tells) = oneshot::channel();
    clerk.keep(vec![Wanted {
        whose: Whose::Own,
        parcel: Box::new(parcel),
        due: Due::Now,
        told,
    }]);
    let told: Result<Kept, NotKept> = tells.try_recv().unwrap();
    told.unwrap();
}

/// A folder in which requests of projects 1 to 3 were kept, and its one segment.
fn kept(folder: &Path) -> PathBuf {
    let (mut clerk, _) = clerk(folder);
    for number in 1..4 {
        keep(&mut clerk, number);
    }
    assert_eq!(clerk.items, 9);
    clerk.log.close();
    let mut files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "log");
    files.find(is_segment).unwrap()
}

/// What the books say of all rows: carried, spooled, dropped. They close.
#[track_caller]
fn check_books(clerk: &Clerk, ledger: &Ledger, carried: u64, dropped: u64) {
    let sum = |sums: Vec<Sum>| sums.iter().map(|sum| sum.items).sum::<u64>();
    let lines = ledger.lines();
    for line in &lines {
        assert_eq!(line.in_flight(), Sum::default(), "{line:?}");
    }
    assert_eq!(sum(lines.iter().map(|it| it.carried).collect()), carried);
    let uncarried = clerk.uncarried.iter();
    let uncarried: u64 = uncarried.map(|found| u64::from(found.head.items)).sum();
    let spooled = sum(lines.iter().map(|it| it.spooled).collect());
    assert_eq!(spooled + uncarried, clerk.items);
    let all = lines.iter().flat_map(|it| it.dropped.values().copied());
    assert_eq!(sum(all.collect()), dropped);
}

#[test]
fn what_cannot_be_read_is_in_no_book_until_it_can() {
    let place = tempfile::tempdir().unwrap();
    let segment = kept(place.path());
    let (mut clerk, ledger) = clerk(place.path());
    assert_eq!(clerk.items, 9, "counted before anybody can ask");
    let away = place.path().join("away");
    fs::rename(&segment, &away).unwrap();
    clerk.carry();
    check_books(&clerk, &ledger, 0, 0);
    assert_eq!(
        (clerk.items, clerk.unread.len(), clerk.held.len()),
        (0, 3, 0)
    );
    clerk.carry_unread();
    assert_eq!(clerk.unread.len(), 3, "it is still away");
    fs::rename(&away, &segment).unwrap();
    clerk.tidy();
    check_books(&clerk, &ledger, 9, 0);
    assert_eq!(
        (clerk.items, clerk.unread.len(), clerk.held.len()),
        (9, 0, 3)
    );
}

/// Drops what is kept of a project, or of all, to the end.
fn purge(clerk: &mut Clerk, project: Option<ProjectId>) -> u64 {
    let (told, mut tells) = oneshot::channel();
    clerk.purge(project, told);
    while !clerk.erasing.is_over() {
        clerk.erase_some();
    }
    tells.try_recv().unwrap()
}

#[test]
fn what_is_dropped_before_it_was_taken_up_is_dropped_all_the_same() {
    let place = tempfile::tempdir().unwrap();
    let segment = kept(place.path());
    let (mut clerk, ledger) = clerk(place.path());
    assert_eq!(purge(&mut clerk, Some(project(2))), 1);
    check_books(&clerk, &ledger, 3, 3);
    let away = place.path().join("away");
    fs::rename(&segment, &away).unwrap();
    clerk.carry();
    assert_eq!((clerk.unread.len(), clerk.items), (2, 0));
    assert_eq!(purge(&mut clerk, None), 2, "though nobody can read it");
    check_books(&clerk, &ledger, 3, 3);
    assert_eq!((clerk.unread.len(), clerk.log.usage().live_records), (0, 0));
}

#[test]
fn what_an_earlier_run_kept_and_is_damaged_stands_in_the_books_as_lost() {
    let place = tempfile::tempdir().unwrap();
    let segment = kept(place.path());
    let mut bytes = fs::read(&segment).unwrap();
    let at = memchr::memmem::find(&bytes, b"POST").unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let (mut clerk, ledger) = clerk(place.path());
    clerk.carry();
    check_books(&clerk, &ledger, 9, 3);
    assert_eq!((clerk.items, clerk.held.len()), (6, 2));
    assert_eq!(clerk.state.damaged.load(Relaxed), 1);
}

#[test]
fn what_is_damaged_while_it_waits_leaves_as_it_came() {
    let place = tempfile::tempdir().unwrap();
    let segment = kept(place.path());
    let (mut clerk, ledger) = clerk(place.path());
    clerk.carry();
    check_books(&clerk, &ledger, 9, 0);
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, vec![7; whole.len()]).unwrap();
    assert!(clerk.next(Upstream::Ingest, 9).partings.is_empty());
    check_books(&clerk, &ledger, 9, 9);
    assert_eq!((clerk.items, clerk.state.damaged.load(Relaxed)), (0, 3));
    assert_eq!(clerk.log.usage().live_records, 0);
}
