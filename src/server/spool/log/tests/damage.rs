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

/// The same, but that the log was closed.
fn closed(folder: &Path) -> Vec<usize> {
    let ends = killed(folder);
    let path = segments(folder, ".log").remove(0);
    let whole = fs::read(&path).unwrap();
    // The start ends what was written to last, as `close` does.
    drop(open(folder));
    let by_start = fs::read(&path).unwrap();
    restore(folder, &[]);
    let (mut log, _) = open(folder);
    for (order, payload) in (1..).zip(PAYLOADS) {
        append(&mut log, order, payload);
    }
    log.close();
    drop(log);
    let by_close = fs::read(segments(folder, ".log").remove(0)).unwrap();
    assert_eq!(by_close.len(), by_start.len());
    assert!(by_close.len() < whole.len(), "it is cut behind its footer");
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
        let no_header = (1..32).contains(&cut);
        let want_lost = u64::from(no_header);
        assert_eq!(recovered.damaged, want_lost, "a torn write is no loss");
        if cut % 16 == 0 {
            append(&mut log, 9, b"later");
            drop(log);
            let (_, found) = reopen(RealDisk::open(folder).unwrap());
            assert_eq!(orders(&found), [want, vec![9]].concat(), "cut at {cut}");
        }
    }
}

#[test]
fn the_newest_segment_changed_anywhere_loses_what_was_hit_alone_and_counts_it() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let ends = killed(folder);
    let path = segments(folder, ".log").remove(0);
    let whole = fs::read(&path).unwrap();
    for at in 0..ends[3] {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        restore(folder, &[(path.clone(), changed)]);
        let (mut log, read, recovered) = survivors(folder);
        // A header costs no record.
        let hit = (1..).take_while(|_| at >= 32).zip(&ends);
        let hit = hit.filter(|(_, end)| at < **end).map(|(order, _)| order);
        let hit: Option<u64> = hit.min();
        let want: Vec<u64> = (1..5).filter(|order| Some(*order) != hit).collect();
        assert_eq!(read_orders(&read), want, "{at}");
        // Nothing tells the last one from a torn write.
        let counted = hit.is_some_and(|order| order < 4);
        assert_eq!(recovered.damaged, u64::from(counted), "{at}");
        let torn = hit == Some(4);
        assert_eq!(recovered.cut_bytes > 0, torn, "{at}: it is told, at least");
        if at % 16 == 0 {
            append(&mut log, 9, b"later");
            drop(log);
            let (mut log, recovered) = open(folder);
            let found = orders(&recovered.records);
            assert_eq!(found, [want, vec![9]].concat(), "{at}");
            for found in &recovered.records {
                log.ack(found.place);
            }
            let kept = segments(folder, ".damaged").len();
            assert!(kept <= 1, "{at}");
        }
    }
}

#[test]
fn a_closed_segment_changed_anywhere_counts_what_was_hit() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let ends = closed(folder);
    let path = segments(folder, ".log").remove(0);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        restore(folder, &[(path.clone(), changed)]);
        let (log, recovered) = open(folder);
        let read = recovered.records.iter().map(|found| log.read(found.place));
        let (whole, bad): (Vec<_>, Vec<_>) = read.partition(Result::is_ok);
        let lost = frame::size(bad.len()) + recovered.damaged;
        let hit = (32..ends[3]).contains(&at);
        assert_eq!(lost, u64::from(hit), "{at}");
        assert_eq!(whole.len(), 4 - usize::from(hit), "{at}");
    }
}

#[test]
fn several_that_are_hit_leave_all_others_and_their_file() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let ends = killed(folder);
    let path = segments(folder, ".log").remove(0);
    let mut content = fs::read(&path).unwrap();
    // The head of the first, and of the third its payload.
    content[32] ^= 1;
    content[ends[2] - 1] ^= 1;
    fs::write(&path, content).unwrap();
    let (mut log, read, recovered) = survivors(folder);
    assert_eq!(read_orders(&read), [2, 4]);
    assert_eq!(recovered.damaged, 2);
    for (_, place) in read {
        log.ack(place);
    }
    drop(log);
    assert_eq!(segments(folder, ".damaged").len(), 1, "it is kept");
    assert!(segments(folder, ".log").is_empty());
}

#[test]
fn a_copy_that_the_power_tore_costs_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let (mut log, _) = open(folder);
    let payload = b"copied forward ".repeat(10);
    append(&mut log, 1, &payload);
    let places: Vec<_> = (2..10)
        .map(|order| append(&mut log, order, &[1; 500]))
        .collect();
    for place in places {
        log.ack(place);
    }
    log.flush_acks();
    let all = || segments(folder, "").into_iter();
    let content = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    let before: Vec<_> = all().map(content).collect();
    let moved = log.compact(false).unwrap();
    assert_eq!(moved, compact::Compacted::Moved { records: 1 });
    // Its head is on disk, of its payload nothing or something.
    for left in [0, 7] {
        let mut files = before.clone();
        let mut torn = content(segments(folder, ".log").pop().unwrap());
        let at = memchr::memmem::find(&torn.1, &payload).unwrap();
        torn.1[at + left..at + payload.len()].fill(0);
        files.retain(|(path, _)| *path != torn.0);
        files.push(torn);
        let other = tempfile::tempdir().unwrap();
        for (path, content) in files {
            fs::write(other.path().join(path.file_name().unwrap()), content).unwrap();
        }
        let (log, found) = reopen(RealDisk::open(other.path()).unwrap());
        assert_eq!(orders(&found), [1], "{left} bytes are left");
        assert_eq!(log.read(found[0].place).unwrap().payload, payload);
    }
}

/// A file of that name and content, alone or before a segment that is whole.
#[track_caller]
fn check_lone(content: &[u8], garbage: bool) {
    const NAME: &str = "00000001-0123456789abcdef.log";
    for followed in [false, true] {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        fs::write(folder.join(NAME), content).unwrap();
        if followed {
            let number = [&b"vidspool"[..], &[0; 3]].concat();
            fs::write(folder.join("00000003-0123456789abcdef.log"), number).unwrap();
        }
        let (mut log, recovered) = open(folder);
        let shown = content.get(..16).unwrap_or(content);
        let want = u64::from(garbage) + u64::from(followed);
        assert_eq!(recovered.damaged, want, "{shown:?}");
        assert!(recovered.records.is_empty());
        let aside = folder.join(format!("{NAME}.damaged"));
        match garbage {
            true => assert_eq!(fs::read(aside).unwrap(), content, "it is kept as it was"),
            false => assert!(!aside.exists(), "{shown:?}"),
        }
        assert!(segments(folder, ".log").is_empty());
        append(&mut log, 9, b"later");
        drop(log);
        let (_, found) = reopen(RealDisk::open(folder).unwrap());
        assert_eq!(orders(&found), [9], "{shown:?}");
    }
}

#[test]
fn a_file_that_is_no_segment_is_put_aside_and_counted() {
    let place = tempfile::tempdir().unwrap();
    killed(place.path());
    let segment = fs::read(segments(place.path(), ".log").remove(0)).unwrap();
    let text = b"this is no segment, but somebody's letter\n";
    check_lone(text, true);
    check_lone(&text.repeat(90), true);
    check_lone(&[0xff; 32], true);
    check_lone(&[0xff; 5000], true);
    check_lone(b"vidspool", true);
    // Another file's: its salt does not fit the name.
    check_lone(&segment, true);
    check_lone(&segment[..32], true);
    check_lone(&segment[..31], true);
    check_lone(&[&[0; 4000][..], text].concat(), true);
    // What a crash leaves of a segment that was just made.
    check_lone(b"", false);
    check_lone(&[0; 7], false);
    check_lone(&[0; 4096], false);
}

#[test]
fn a_segment_of_a_header_alone_is_removed() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    killed(folder);
    let path = segments(folder, ".log").remove(0);
    let whole = fs::read(&path).unwrap();
    for behind in [0, 1, 4000] {
        let content = [&whole[..32], &vec![0; behind]].concat();
        restore(folder, &[(path.clone(), content)]);
        let (log, found) = reopen(RealDisk::open(folder).unwrap());
        assert!(found.is_empty());
        drop(log);
        assert!(segments(folder, ".log").is_empty());
        assert!(segments(folder, ".damaged").is_empty());
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
