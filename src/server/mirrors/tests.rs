//! Who gets a copy, how many wait, and what is kept.

use tempfile::TempDir;

use super::store::{Bounds, NoStore, Store};
use super::*;
use crate::config::checked::{Mirror as Configured, MirrorSpool, Scheme, UpstreamUrl};
use crate::domain::category::Categories;
use crate::domain::credentials::Key;
use crate::domain::rate_limits::{RateLimit, Scope};
use crate::policy::evidence::Lately;
use crate::server::spool::End;

fn url(host: &str) -> UpstreamUrl {
    UpstreamUrl {
        scheme: Scheme::Http,
        host: host.to_owned(),
        port: 3000,
    }
}

fn project(number: u64) -> Option<ProjectId> {
    ProjectId::parse(number.to_string().as_bytes())
}

fn configured(name: &str) -> Configured {
    Configured {
        name: name.to_owned(),
        ingest: vec![url(name)],
        host: MirrorHost::Target,
        share: Rate::ALL,
        projects: Vec::new(),
        dsn_map: DsnMap::default(),
        spool: MirrorSpool {
            max_bytes: 1 << 20,
            max_age: Duration::from_secs(60),
        },
    }
}

fn config(mirrors: Vec<Configured>) -> Config {
    Config {
        mirrors,
        ..Config::in_front_of(vec![url("relay")])
    }
}

#[track_caller]
fn check_gets(change: impl Fn(&mut Configured), asked: (Option<u64>, u128), gets: bool) {
    let mut mirror = configured("next");
    change(&mut mirror);
    let config = config(vec![mirror]);
    let rules = MirrorRules::all(&config, None);
    let (number, id) = asked;
    assert_eq!(
        rules[0].gets(number.and_then(project), id),
        gets,
        "{asked:?}"
    );
}

#[test]
fn a_mirror_gets_its_projects_and_its_share() {
    check_gets(|_| (), (Some(42), 0), true);
    check_gets(|_| (), (None, 0), true);
    let only = |mirror: &mut Configured| {
        mirror.projects = [7, 42].into_iter().filter_map(project).collect()
    };
    check_gets(only, (Some(42), 0), true);
    check_gets(only, (Some(8), 0), false);
    check_gets(only, (None, 0), false);
    // DESIGN, trap 13: this id stands at 0.4105.
    let id = 0x4a10_6cf6_b151_44eb_9131_ae7d_b1a1_57a3;
    check_gets(
        |mirror| mirror.share = Rate::of(0.42).unwrap(),
        (Some(1), id),
        true,
    );
    check_gets(
        |mirror| mirror.share = Rate::of(0.41).unwrap(),
        (Some(1), id),
        false,
    );
    check_gets(|mirror| mirror.share = Rate::NONE, (Some(1), id), false);
}

fn original(body_bytes: usize) -> Original {
    Original {
        head: Arc::from(&b"POST /api/42/envelope/ HTTP/1.1\r\nhost: h\r\n\r\n"[..]),
        body: Some(Body::Whole(VecDeque::from([Bytes::from(vec![
            b'x';
            body_bytes
        ])]))),
        envelope: Some(Coding::Identity),
        project: project(42),
        sender: Pair::new(&Key::parse(&[b'a'; 32]).unwrap(), project(42)),
        lane: Lane::Error,
        first: First::Took(Duration::from_millis(1)),
    }
}

/// What a mirror's numbers are: taken, in memory, lost for want of room in the queue, and large.
#[track_caller]
fn check_counts(counts: &MirrorCounts, want: [u64; 4]) {
    let lost = |asked| counts.lost().find(|(loss, _)| *loss == asked).unwrap().1;
    let have = [
        counts.taken.load(Relaxed),
        counts.in_memory.load(Relaxed),
        lost(MirrorLoss::QueueFull),
        lost(MirrorLoss::Large),
    ];
    assert_eq!(have, want);
}

#[test]
fn as_many_wait_as_may_and_the_rest_is_counted() {
    let (mirrors, mut queues) = Mirrors::new(&config(vec![configured("next")]));
    let (mirror, queue) = (&mirrors.all[0], &mut queues[0].taken);
    let many = u64::try_from(QUEUED_MAX).unwrap();
    for _ in 0..many {
        mirror.offer(original(1), 0);
    }
    check_counts(&mirror.counts, [many, many, 0, 0]);
    mirror.offer(original(1), 0);
    check_counts(&mirror.counts, [many + 1, many, 1, 0]);
    drop(queue.try_recv().unwrap());
    check_counts(&mirror.counts, [many + 1, many - 1, 1, 0]);
    mirror.offer(original(1), 0);
    check_counts(&mirror.counts, [many + 2, many, 1, 0]);
}

#[test]
fn what_waits_has_a_share_of_memory() {
    let (mirrors, mut queues) = Mirrors::new(&config(vec![configured("next")]));
    let mirror = &mirrors.all[0];
    let head = original(0).head.len();
    let whole = usize::try_from(QUEUED_BYTES_MAX).unwrap() - head;
    mirror.offer(original(whole + 1), 0);
    check_counts(&mirror.counts, [1, 0, 1, 0]);
    mirror.offer(original(whole), 0);
    check_counts(&mirror.counts, [2, 1, 1, 0]);
    mirror.offer(original(0), 0);
    check_counts(&mirror.counts, [3, 1, 2, 0]);
    drop(queues[0].taken.try_recv().unwrap());
    mirror.offer(original(0), 0);
    check_counts(&mirror.counts, [4, 1, 2, 0]);
    let nothing = Original {
        body: None,
        ..original(0)
    };
    mirror.offer(nothing, 0);
    check_counts(&mirror.counts, [5, 1, 2, 1]);
}

/// A store in a folder, and what is counted of it.
fn open(place: &TempDir, counts: &Arc<MirrorCounts>) -> Store {
    let opened = Store::open(place.path(), &configured("next").spool, counts);
    opened.map_err(|error| error.to_string()).unwrap()
}

fn counts() -> Arc<MirrorCounts> {
    Arc::new(MirrorCounts::new("next".to_owned()))
}

/// Copies of so many bytes, as they come out of a queue.
fn twins(count: usize, body_bytes: usize) -> Vec<(std::rc::Rc<Twin>, bool)> {
    let (mirrors, mut queues) = Mirrors::new(&config(vec![configured("next")]));
    let offered = (0..count).map(|_| {
        mirrors.all[0].offer(original(body_bytes), 0);
        (std::rc::Rc::new(queues[0].taken.try_recv().unwrap()), false)
    });
    offered.collect()
}

fn keep(store: &mut Store, twins: Vec<(std::rc::Rc<Twin>, bool)>, free_floor: u64) {
    let spool = configured("next").spool;
    store.keep(
        twins,
        Bounds {
            spool: &spool,
            free_floor,
        },
    );
}

const NEVER: Lately = Lately {
    took: None,
    healthy: None,
};

#[test]
fn what_was_kept_is_there_after_a_restart_until_it_was_taken() {
    let place = TempDir::new().unwrap();
    let first = counts();
    let mut store = open(&place, &first);
    keep(&mut store, twins(3, 100), 0);
    assert_eq!(first.on_disk.load(Relaxed), 3);
    let going = store.next(true).unwrap();
    assert_eq!(going.envelope, Some(Coding::Identity));
    assert_eq!(going.head.uri.path(), "/api/42/envelope/");
    assert_eq!(going.sender, Some(original(0).sender));
    store.end(going.order, &End::Taken, NEVER, 300);
    assert_eq!(first.sent.load(Relaxed), 1);
    // As a killed process leaves it.
    drop(store);
    let second = counts();
    let mut store = open(&place, &second);
    assert_eq!(second.carried.load(Relaxed), 2);
    for _ in 0..2 {
        let going = store.next(true).unwrap();
        store.end(going.order, &End::Taken, NEVER, 300);
    }
    assert!(store.next(true).is_none() && store.is_empty());
    store.close();
    assert_eq!(second.on_disk.load(Relaxed), 0);
}

#[test]
fn one_process_has_it() {
    let place = TempDir::new().unwrap();
    let _store = open(&place, &counts());
    let again = Store::open(place.path(), &configured("next").spool, &counts());
    assert!(matches!(again, Err(NoStore::Busy)));
}

#[test]
fn there_is_as_much_room_as_is_configured_and_none_that_the_first_may_need() {
    let full = |counts: &MirrorCounts| {
        let lost = counts
            .lost()
            .find(|(loss, _)| *loss == MirrorLoss::SpoolFull);
        lost.unwrap().1
    };
    let place = TempDir::new().unwrap();
    let own = counts();
    let mut store = open(&place, &own);
    // A mebibyte holds ten of these with their heads, and not eleven.
    keep(&mut store, twins(11, 100_000), 0);
    assert_eq!((own.on_disk.load(Relaxed), full(&own)), (10, 1));
    let place = TempDir::new().unwrap();
    let own = counts();
    let mut store = open(&place, &own);
    keep(&mut store, twins(1, 100), u64::MAX);
    assert_eq!((own.on_disk.load(Relaxed), full(&own)), (0, 1));
}

#[test]
fn what_the_mirror_limits_waits_and_what_is_too_old_goes() {
    let place = TempDir::new().unwrap();
    let own = counts();
    let mut store = open(&place, &own);
    keep(&mut store, twins(2, 100), 0);
    let going = store.next(true).unwrap();
    let limit = RateLimit {
        retry_after_s: 5,
        categories: Categories::EMPTY,
        scope: Scope::Key,
        reason: None,
    };
    store.end(going.order, &End::Limited(vec![limit]), NEVER, 300);
    assert!(store.is_paused(project(42), Lane::Error));
    assert!(
        !store.is_paused(project(43), Lane::Error),
        "another project"
    );
    assert!(store.next(true).is_none());
    store.grows_older(Duration::from_secs(5));
    assert!(!store.is_paused(project(42), Lane::Error));
    let going = store.next(true).unwrap();
    store.end(going.order, &End::Unsent, NEVER, 300);
    store.grows_older(Duration::from_secs(56));
    store.tidy(&configured("next").spool);
    assert!(store.is_empty());
    let expired = own.lost().find(|(loss, _)| *loss == MirrorLoss::Expired);
    assert_eq!(expired.unwrap().1, 2);
}

/// Drops what is there of a project, and says how many that were, once they are overwritten.
fn dropped(store: &mut Store, of: Option<ProjectId>) -> u64 {
    let (told, mut tells) = tokio::sync::oneshot::channel();
    store.drop_kept(of, 0, told);
    while store.erase_some() {}
    tells.try_recv().unwrap()
}

#[test]
fn what_is_dropped_is_gone_and_what_is_being_sent_once_that_fails() {
    let place = TempDir::new().unwrap();
    let own = counts();
    let mut store = open(&place, &own);
    keep(&mut store, twins(5, 100), 0);
    let going: Vec<u64> = (0..3).map(|_| store.next(true).unwrap().order).collect();
    assert_eq!(dropped(&mut store, project(43)), 0, "another project");
    assert_eq!(dropped(&mut store, project(42)), 5);
    assert_eq!(dropped(&mut store, None), 0, "none twice");
    assert_eq!(own.on_disk.load(Relaxed), 3);
    store.end(going[0], &End::Taken, NEVER, 300);
    store.end(going[1], &End::Again, NEVER, 300);
    while store.erase_some() {}
    assert_eq!(own.on_disk.load(Relaxed), 1);
    // Nobody knows yet what becomes of the third.
    store.close();
    let lost = own.lost().find(|(loss, _)| *loss == MirrorLoss::Dropped);
    assert_eq!((own.sent.load(Relaxed), lost.unwrap().1), (1, 4));
    let next = counts();
    assert!(open(&place, &next).is_empty());
    assert_eq!(next.carried.load(Relaxed), 0);
}

#[test]
fn one_that_was_dropped_while_it_was_new_is_never_kept() {
    let place = TempDir::new().unwrap();
    let own = counts();
    let mut store = open(&place, &own);
    let twins = twins(2, 100);
    twins[0].0.dropped.set(true);
    keep(&mut store, twins, 0);
    let lost = own.lost().find(|(loss, _)| *loss == MirrorLoss::Dropped);
    assert_eq!((own.on_disk.load(Relaxed), lost.unwrap().1), (1, 1));
}
