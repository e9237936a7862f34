//! A real directory whose files are cut and changed at every byte: no panic, no
//! byte of another record, and no loss but of what was hit.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

const PAYLOADS: [&[u8]; 4] = [b"first", b"", b"{\"a\":\"third record\"}\n", b"last"];

fn open(folder: &Path) -> (Log<RealDisk>, Recovered) {
    Log::open(RealDisk::open(folder).unwrap(), LIMITS).unwrap()
}

fn segments(folder: &Path, end: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.to_str().unwrap().ends_with(end))
        .collect();
    files.sort();
    files
}

/// Leaves the given files alone in a folder.
fn restore(folder: &Path, files: &[(PathBuf, Vec<u8>)]) {
    for path in segments(folder, "") {
        fs::remove_file(path).unwrap();
    }
    for (path, content) in files {
        fs::write(path, content).unwrap();
    }
}

/// A folder with the payloads in one segment, as a killed process leaves it, and
/// where each record ends.
fn killed(folder: &Path) -> Vec<usize> {
    let (mut log, _) = open(folder);
    let mut end = 32;
    let mut ends = Vec::new();
    for (order, payload) in (1..).zip(PAYLOADS) {
        append(&mut log, order, payload);
        end += 64 + payload.len();
        ends.push(end);
    }
    // No ack is pending and nothing is sealed at the end: a killed process leaves the same.
    drop(log);
    ends
}

/// Which records of the payloads are found and read back; each must be as it was.
fn survivors(folder: &Path) -> (Log<RealDisk>, Vec<(u64, Place)>, Recovered) {
    let (log, recovered) = open(folder);
    let mut read = Vec::new();
    for found in &recovered.records {
        let order = found.head.order;
        if let Ok(record) = log.read(found.place) {
            let index = usize::try_from(order).unwrap() - 1;
            assert_eq!(record.payload, PAYLOADS[index], "another record's bytes");
            assert_eq!(record.head, head(order));
            read.push((order, found.place));
        }
    }
    (log, read, recovered)
}

fn read_orders(read: &[(u64, Place)]) -> Vec<u64> {
    read.iter().map(|(order, _)| *order).collect()
}

#[test]
fn the_newest_segment_cut_anywhere_keeps_what_lies_before() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let ends = killed(folder);
    let path = segments(folder, ".log").remove(0);
    let whole = fs::read(&path).unwrap();
    for cut in 0..ends[3] + 2 {
        restore(folder, &[(path.clone(), whole[..cut].to_vec())]);
        let (mut log, read, recovered) = survivors(folder);
        let want: Vec<u64> = (1..)
            .zip(&ends)
            .filter(|(_, end)| **end <= cut)
            .map(|(n, _)| n)
            .collect();
        assert_eq!(read_orders(&read), want, "cut at {cut}");
        assert_eq!(recovered.damaged, 0, "a torn write is no loss");
        if cut % 16 == 0 {
            append(&mut log, 9, b"later");
            drop(log);
            let (_, found) = reopen(RealDisk::open(folder).unwrap());
            assert_eq!(orders(&found), [want, vec![9]].concat(), "cut at {cut}");
        }
    }
}

#[test]
fn the_newest_segment_changed_anywhere_keeps_what_lies_before() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let ends = killed(folder);
    let path = segments(folder, ".log").remove(0);
    let whole = fs::read(&path).unwrap();
    for at in 0..ends[3] {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        restore(folder, &[(path.clone(), changed)]);
        let (_, read, _) = survivors(folder);
        let hit = ends.iter().filter(|end| **end <= at).count();
        let read = read_orders(&read);
        let before: Vec<u64> = (1..).take(hit).collect();
        assert!(read.starts_with(&before), "{at}: {read:?}");
        if at < 32 {
            assert_eq!(read, [1, 2, 3, 4], "a header costs no record");
        }
    }
}

/// Changes every byte of a segment that another one follows.
fn change_each_byte(with_footer: bool) {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let ends = killed(folder);
    let (mut log, _) = open(folder);
    append(&mut log, 9, b"in the next segment");
    drop(log);
    let mut files: Vec<(PathBuf, Vec<u8>)> = segments(folder, ".log")
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    if !with_footer {
        files[0].1.truncate(ends[3]);
    }
    for at in 0..files[0].1.len() {
        let mut changed = files.clone();
        changed[0].1[at] ^= 0x10;
        restore(folder, &changed);
        let (mut log, recovered) = open(folder);
        let mut lost = recovered.damaged;
        let mut whole = 0;
        for found in &recovered.records {
            match log.read(found.place) {
                Ok(_) => whole += 1,
                Err(Damaged::Checksum) => lost += 1,
                Err(error) => panic!("{at}: {error}"),
            }
        }
        assert_eq!((whole + lost, lost <= 1), (5, true), "{at}: {whole} of 5");
        if at < 32 || at >= ends[3] {
            assert_eq!(lost, 0, "{at}: no record was hit");
        }
        for found in &recovered.records {
            log.ack(found.place);
        }
        let kept = segments(folder, ".damaged").len();
        assert_eq!(
            frame::size(kept),
            lost,
            "{at}: a file that lost a record is kept"
        );
    }
}

#[test]
fn a_sealed_segment_changed_anywhere_loses_what_was_hit_alone() {
    change_each_byte(true);
}

#[test]
fn a_segment_without_footer_changed_anywhere_loses_what_was_hit_alone() {
    change_each_byte(false);
}
