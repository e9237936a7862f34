//! What is told of records that are lost, and what is kept of them.

use std::fs;
use std::path::Path;

use super::*;

fn open(folder: &Path) -> (Log<RealDisk>, Recovered) {
    Log::open(RealDisk::open(folder).unwrap(), LIMITS).unwrap()
}

fn names(folder: &Path, end: &str) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(end)).collect();
    names.sort();
    names
}

/// Keeps a record with a large body of so many bytes, which is its order, too.
#[track_caller]
fn append_large(log: &mut Log<RealDisk>, bytes: usize) -> Place {
    let order = u64::try_from(bytes).unwrap();
    let file = log.unnamed().unwrap();
    std::io::Write::write_all(&mut file.file(), &vec![7; bytes]).unwrap();
    let draft = Draft {
        head: head(order),
        payload: &[],
        body: Some(file),
    };
    log.append(&mut [draft])[0].unwrap()
}

#[test]
fn a_lost_record_is_told_by_its_head_where_that_is_good() {
    let place = tempfile::tempdir().unwrap();
    let (mut log, _) = open(place.path());
    for (order, payload) in (1..).zip(["first", "second", "third", "fourth"]) {
        append(&mut log, order, payload.as_bytes());
    }
    // No ack is pending: a killed process leaves the same.
    drop(log);
    let path = place.path().join(&names(place.path(), ".log")[0]);
    let mut bytes = fs::read(&path).unwrap();
    let at = |bytes: &[u8], text: &[u8]| memchr::memmem::find(bytes, text).unwrap();
    let second = at(&bytes, b"second");
    bytes[second] ^= 1;
    // The head of the third: nobody knows what that was.
    let third = at(&bytes, b"third") - 40;
    bytes[third] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (_, recovered) = open(place.path());
    assert_eq!(orders(&recovered.records), [1, 4]);
    assert_eq!(recovered.damaged, 2);
    let want = Lost {
        head: head(2),
        bytes: 64 + 6,
    };
    assert_eq!(recovered.lost, [want]);
}

#[test]
fn a_body_that_is_put_aside_is_kept_under_another_name_for_a_while() {
    let place = tempfile::tempdir().unwrap();
    let (mut log, _) = open(place.path());
    let places = [3000, 4000, 5000, 9000].map(|bytes| append_large(&mut log, bytes));
    let bodies = names(place.path(), ".body");
    let before = log.usage();
    log.put_aside(places[0]);
    assert_eq!(
        names(place.path(), ".damaged"),
        [format!("{}.damaged", bodies[0])]
    );
    let after = log.usage();
    assert_eq!(
        after.bytes_on_disk, before.bytes_on_disk,
        "it is still there"
    );
    assert_eq!(after.live_records, 3);
    log.put_aside(places[1]);
    // The oldest goes: all of them are more than may be kept.
    log.put_aside(places[2]);
    assert_eq!(
        names(place.path(), ".damaged"),
        [format!("{}.damaged", bodies[2])]
    );
    // One that alone is more goes at once.
    log.put_aside(places[3]);
    log.put_aside(places[3]);
    log.flush_acks();
    assert!(names(place.path(), ".body").is_empty());
    drop(log);
    let (log, recovered) = open(place.path());
    assert_eq!((recovered.damaged, recovered.records.len()), (0, 0));
    assert!(
        log.usage().bytes_on_disk >= 5000,
        "it counts after a start, too"
    );
    assert_eq!(names(place.path(), ".damaged").len(), 1);
}

#[test]
fn a_disk_is_tried_without_a_trace() {
    let place = tempfile::tempdir().unwrap();
    let (log, _) = open(place.path());
    let before = names(place.path(), "");
    log.try_disk(100_000).unwrap();
    assert_eq!(names(place.path(), ""), before);
}
