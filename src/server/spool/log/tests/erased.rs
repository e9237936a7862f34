//! What is erased: in few syncs, and never half of another's.

use super::disk::{Fault, SimDisk};
use super::*;

/// As many as fit in one segment.
const MANY: u64 = 20;

/// A log with records of 50 bytes, each of one byte value; the last has a large body.
fn filled(disk: &SimDisk) -> (Log<SimDisk>, Vec<Place>) {
    let (mut log, _) = reopen(disk.clone());
    let mut places: Vec<Place> = (1..MANY)
        .map(|order| append(&mut log, order, &[u8::try_from(order).unwrap(); 50]))
        .collect();
    let body = log.unnamed().unwrap();
    let slices = [io::IoSlice::new(&[7; 3000])];
    log.disk().write_at(&body, &slices, 0).unwrap();
    let payload = [Bytes::from(vec![u8::try_from(MANY).unwrap(); 50])];
    let draft = Draft {
        head: head(MANY),
        payload: &payload,
        body: Some(body),
    };
    places.push(log.append(&mut [draft])[0].unwrap());
    assert_eq!(log.usage().segments, 1);
    (log, places)
}

#[test]
fn a_batch_is_erased_with_as_many_syncs_as_one_record() {
    #[track_caller]
    fn check(erased: std::ops::Range<usize>, want: u64) {
        let disk = SimDisk::new(1);
        let (mut log, places) = filled(&disk);
        disk.syncs();
        log.erase(&places[erased.clone()]).unwrap();
        assert_eq!(disk.syncs(), want, "{erased:?}");
        for (index, place) in places.into_iter().enumerate() {
            let gone = matches!(log.read(place), Err(Damaged::Gone));
            assert_eq!(gone, erased.contains(&index), "{index}");
        }
    }
    // The segment, its acks, their name.
    check(3..4, 3);
    check(0..10, 3);
    check(0..19, 3);
    // And that it is removed.
    check(0..20, 4);
    check(0..0, 0);
}

#[test]
fn records_of_several_segments_take_two_syncs_for_each() {
    let disk = SimDisk::new(1);
    let (mut log, _) = reopen(disk.clone());
    let places: Vec<Place> = (1..=40)
        .map(|order| append(&mut log, order, &[1; 200]))
        .collect();
    let segments = log.usage().segments;
    assert!(segments > 2, "{segments}");
    disk.syncs();
    // One is left in each.
    let mut left = places.clone();
    left.dedup_by_key(|place| place.segment);
    let erased: Vec<Place> = places
        .iter()
        .filter(|it| !left.contains(it))
        .copied()
        .collect();
    log.erase(&erased).unwrap();
    let segments = u64::try_from(segments).unwrap();
    assert_eq!(disk.syncs(), 2 * segments + 1);
}

#[test]
fn a_large_body_is_overwritten_in_pieces_and_then_goes() {
    let disk = SimDisk::new(1);
    let (mut log, places) = filled(&disk);
    let body = || {
        let files = disk.files().into_iter().map(|(name, _)| name);
        files.into_iter().find(|name| name.ends_with(".body"))
    };
    let zeros = || {
        let (name, mut zeros) = (body().unwrap(), 0);
        disk.edit(&name, |bytes| {
            zeros = bytes.iter().filter(|byte| **byte == 0).count()
        });
        zeros
    };
    log.erase(&places[19..]).unwrap();
    assert_eq!(zeros(), 0, "it is not this call's");
    assert!(log.wipe(1024).unwrap());
    assert_eq!(zeros(), 1024);
    assert!(log.wipe(1024).unwrap());
    assert_eq!(zeros(), 2048);
    assert!(!log.wipe(1024).unwrap(), "that was the last of it");
    assert_eq!(zeros(), 3000);
    log.flush_acks();
    assert_eq!(body(), None);
    assert!(!log.wipe(1024).unwrap());
    drop(log);
    assert_eq!(orders(&reopen(disk).1), (1..MANY).collect::<Vec<_>>());
}

/// Erases half of the records while the disk fails at a call, and looks at each after a
/// restart: as it was, or not to be had; nothing else, and all others as they were.
#[track_caller]
fn check_whole(call: u64, restart: impl Fn(&SimDisk)) -> bool {
    let disk = SimDisk::new(call);
    let (mut log, places) = filled(&disk);
    disk.fail_in(call, Fault::PowerOff);
    let erased = log.erase(&places[10..]);
    let wiped = log.wipe(5000);
    let over = erased.is_ok() && wiped.is_ok();
    std::mem::forget(log);
    restart(&disk);
    let (log, recovered) = Log::open(disk.clone(), LIMITS).unwrap();
    let mut found = BTreeMap::new();
    for record in recovered.records {
        let order = record.head.order;
        match log.read(record.place) {
            Ok(read) => {
                let byte = u8::try_from(order).unwrap();
                assert_eq!(read.payload, vec![byte; 50], "call {call}: {order}");
                assert!(
                    order <= 10 || erased.is_err(),
                    "call {call}: {order} is back"
                );
                found.insert(order, ());
            }
            Err(Damaged::Erased | Damaged::Checksum) => {
                assert!(order > 10 && erased.is_err(), "call {call}: {order}");
            }
            Err(error) => panic!("call {call}: {order}: {error}"),
        }
    }
    for order in 1..=10 {
        assert!(found.contains_key(&order), "call {call}: {order} is lost");
    }
    over
}

#[test]
fn whenever_the_power_goes_each_record_is_as_it_was_or_is_gone() {
    let whole = (0..200).find(|call| check_whole(*call, SimDisk::crash));
    assert!(whole.is_some_and(|calls| calls > 10), "{whole:?}");
}

#[test]
fn whenever_the_process_is_killed_each_record_is_as_it_was_or_is_gone() {
    assert!((0..200).any(|call| check_whole(call, SimDisk::heal)));
}
