//! Single promises, on a disk that does as it is told.

use super::disk::{Fault, SimDisk};
use super::segment::Header;
use super::*;

fn files(disk: &SimDisk, end: &str) -> Vec<String> {
    let files = disk.files().into_iter().map(|(name, _)| name);
    files.filter(|name| name.ends_with(end)).collect()
}

#[test]
fn a_full_disk_refuses_until_there_is_room() {
    let disk = SimDisk::new(1);
    let (mut log, _) = reopen(disk.clone());
    disk.set_room(0);
    let payload = [Bytes::from_static(b"x")];
    let drafts = |order| Draft {
        head: head(order),
        payload: &payload,
        body: None,
    };
    let answers = log.append(&mut [drafts(1), drafts(2)]);
    assert_eq!(answers, [Err(AppendError::NoSpace); 2]);
    disk.set_room(u64::MAX);
    append(&mut log, 3, b"x");
    drop(log);
    assert_eq!(orders(&reopen(disk).1), [3]);
}

#[test]
fn a_batch_whose_sync_fails_is_kept_elsewhere() {
    // Every call of an append fails once: no failure is an answer but a second one.
    for call in 0..12 {
        let disk = SimDisk::new(call);
        let (mut log, _) = reopen(disk.clone());
        let first = append(&mut log, 1, b"before");
        disk.fail_in(call, Fault::Eio);
        append(&mut log, 2, b"through it");
        disk.heal();
        assert_eq!(log.read(first).unwrap().payload, &b"before"[..]);
        std::mem::forget(log);
        disk.crash();
        assert_eq!(orders(&reopen(disk).1), [1, 2], "call {call}");
    }
}

#[test]
fn a_payload_over_its_limit_is_refused_alone() {
    let (mut log, _) = reopen(SimDisk::new(1));
    let payloads = [600, 601, 0].map(|len| [Bytes::from(vec![1; len])]);
    let mut drafts: Vec<_> = (1..)
        .zip(&payloads)
        .map(|(order, payload)| Draft {
            head: head(order),
            payload,
            body: None,
        })
        .collect();
    let answers = log.append(&mut drafts);
    assert_eq!(answers[1], Err(AppendError::TooLarge));
    assert!(answers[0].is_ok() && answers[2].is_ok());
}

#[test]
fn another_versions_segment_and_what_it_may_need_are_left_alone() {
    let disk = SimDisk::new(1);
    let (mut log, _) = reopen(disk.clone());
    append(&mut log, 1, b"old");
    drop(log);
    let name = files(&disk, ".log").remove(0);
    let Some(Name::Segment(id)) = Name::parse(&name) else {
        panic!("{name}");
    };
    let header = Header {
        version: 2,
        previous: 0,
        previous_end: 0,
    };
    disk.edit(&name, |content| {
        content[..32].copy_from_slice(&header.encode(id))
    });
    let body = disk.create("0000000100000007.body").unwrap();
    disk.sync_data(&body).unwrap();
    let (mut log, recovered) = Log::open(disk.clone(), LIMITS).unwrap();
    assert_eq!(recovered.quarantined, std::slice::from_ref(&name));
    assert_eq!((recovered.damaged, recovered.records.len()), (0, 0));
    append(&mut log, 2, b"new");
    drop(log);
    assert_eq!(files(&disk, ".log")[0], name, "it keeps its name");
    assert_eq!(files(&disk, ".body").len(), 1);
    let (_, recovered) = Log::open(disk, LIMITS).unwrap();
    assert_eq!(orders(&recovered.records), [2]);
}

#[test]
fn a_record_within_a_payload_is_none() {
    let disk = SimDisk::new(1);
    let (mut log, _) = reopen(disk.clone());
    append(&mut log, 1, b"one");
    let raw = {
        let name = files(&disk, ".log").remove(0);
        let mut raw = Vec::new();
        disk.edit(&name, |content| raw.extend_from_slice(&content[32..99]));
        raw
    };
    drop(log);
    let (mut log, _) = reopen(disk.clone());
    append(&mut log, 2, &raw);
    append(&mut log, 3, b"three");
    drop(log);
    // The head before it is damaged, and another segment follows: the rest is searched.
    let (mut log, _) = reopen(disk.clone());
    append(&mut log, 4, b"four");
    drop(log);
    let name = files(&disk, ".log").remove(1);
    disk.edit(&name, |content| {
        content[40] ^= 1;
        let footer = content.len() - 8;
        content[footer] ^= 1;
    });
    let (log, recovered) = Log::open(disk, LIMITS).unwrap();
    assert_eq!(orders(&recovered.records), [1, 3, 4]);
    assert_eq!(recovered.damaged, 1);
    assert_eq!(log.usage().live_records, 3);
}

#[test]
fn damaged_files_are_kept_up_to_their_limit_the_latest_longest() {
    let disk = SimDisk::new(1);
    for round in 0..5 {
        let (mut log, _) = Log::open(disk.clone(), LIMITS).unwrap();
        for order in 1..6 {
            append(&mut log, round * 10 + order, &[1; 550]);
        }
        drop(log);
        // Ended by a start: from now on a bad record is a loss.
        let (mut log, recovered) = Log::open(disk.clone(), LIMITS).unwrap();
        let name = files(&disk, ".log").pop().unwrap();
        disk.edit(&name, |content| content[120] ^= 1);
        for found in recovered.records {
            let damaged = matches!(log.read(found.place), Err(Damaged::Checksum));
            assert_eq!(damaged, found.head.order % 10 == 1);
            log.ack(found.place);
        }
    }
    let kept = disk.files();
    let kept: Vec<_> = kept
        .iter()
        .filter(|(name, _)| name.ends_with(".damaged"))
        .collect();
    let bytes: u64 = kept.iter().map(|(_, bytes)| bytes).sum();
    assert!(
        !kept.is_empty() && bytes <= LIMITS.damaged_bytes_max,
        "{kept:?}"
    );
}

#[test]
fn the_newest_segment_is_given_up_once_used_and_acked() {
    let disk = SimDisk::new(1);
    let (mut log, _) = reopen(disk.clone());
    let place = append(&mut log, 1, &[1; 100]);
    log.ack(place);
    assert_eq!(
        files(&disk, ".log").len(),
        1,
        "a trickle does not pay for files"
    );
    let place = append(&mut log, 2, &[1; 500]);
    assert_eq!(log.usage().segments, 1);
    log.ack(place);
    assert_eq!(log.usage(), Usage::default());
    assert!(disk.files().is_empty(), "{:?}", disk.files());
    append(&mut log, 3, b"again");
}

#[test]
fn a_place_outlives_a_copy_forward() {
    let (mut log, _) = reopen(SimDisk::new(1));
    let mut places = Vec::new();
    for order in 1..40 {
        places.push(append(&mut log, order, &[1; 200]));
    }
    let kept = places.remove(0);
    for place in places {
        log.ack(place);
    }
    let moved = log.compact(false).unwrap();
    assert_eq!(moved, compact::Compacted::Moved { records: 1 });
    assert_eq!(log.compact(false).unwrap(), compact::Compacted::Nothing);
    assert_eq!(log.read(kept).unwrap().head, head(1));
    log.ack(kept);
    assert!(matches!(log.read(kept), Err(Damaged::Gone)));
    assert_eq!(log.usage().live_bytes, 0);
}

#[test]
fn a_segment_that_is_too_long_ends_and_gives_back_what_it_does_not_use() {
    let disk = SimDisk::new(1);
    let large = LogLimits {
        segment_bytes: 1 << 20,
        inline_bytes_max: 100_000,
        ..LIMITS
    };
    let (mut log, _) = Log::open(disk.clone(), large).unwrap();
    let places = [1, 2].map(|order| append(&mut log, order, &[1; 20_000]));
    assert_eq!(log.usage().bytes_on_disk, 1 << 20);
    log.resize(large);
    assert_eq!(log.usage().bytes_on_disk, 1 << 20, "nothing has changed");
    log.resize(LIMITS);
    assert!(log.usage().bytes_on_disk < 41_000, "{:?}", log.usage());
    // What comes now is kept in segments of the new size, and so is what is moved.
    append(&mut log, 3, &[1; 500]);
    assert_eq!(files(&disk, ".log").len(), 2);
    log.ack(places[0]);
    let (mut log, found) = reopen({
        drop(log);
        disk.clone()
    });
    assert_eq!(orders(&found), [2, 3]);
    log.resize(LogLimits {
        segment_bytes: 1,
        ..LIMITS
    });
    append(&mut log, 4, &[1; 600]);
    assert_eq!(orders(&reopen(disk).1), [2, 3, 4]);
}

#[test]
fn a_record_longer_than_a_segment_may_be_now_is_moved_all_the_same() {
    let disk = SimDisk::new(1);
    let large = LogLimits {
        segment_bytes: 1 << 20,
        inline_bytes_max: 100_000,
        ..LIMITS
    };
    let (mut log, _) = Log::open(disk.clone(), large).unwrap();
    let places: Vec<Place> = (1..8)
        .map(|order| append(&mut log, order, &[1; 20_000]))
        .collect();
    log.resize(LIMITS);
    for place in &places[1..] {
        log.ack(*place);
    }
    let moved = log.compact(true).unwrap();
    assert_eq!(moved, compact::Compacted::Moved { records: 1 });
    assert!(log.usage().bytes_on_disk < 21_000, "{:?}", log.usage());
    assert_eq!(log.read(places[0]).unwrap().payload.len(), 20_000);
    append(&mut log, 9, b"behind it");
    drop(log);
    assert_eq!(orders(&reopen(disk).1), [1, 9]);
}
