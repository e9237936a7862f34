//! The log in a real directory.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn what_was_kept_is_there_again_and_is_nobody_elses() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("deep/spool");
    let (mut log, found) = reopen(RealDisk::open(&folder).unwrap());
    assert!(found.is_empty());
    let body = log.unnamed().unwrap();
    body.file().write_all(&[7; 100_000]).unwrap();
    let payload = [Bytes::from_static(b"to "), Bytes::from_static(b"keep")];
    let draft = Draft {
        head: head(1),
        payload: &payload,
        body: Some(body),
    };
    let answer = log.append(&mut [draft])[0];
    append(&mut log, 2, b"to let go");
    let mode = |name: &std::path::Path| fs::metadata(name).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for file in fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    drop(log);
    let (mut log, found) = reopen(RealDisk::open(&folder).unwrap());
    assert_eq!(found[0].place, answer.unwrap());
    assert_eq!(found[0].bytes, 64 + 7 + 100_000);
    log.ack(found[1].place);
    let record = log.read(found[0].place).unwrap();
    assert_eq!(record.payload, &b"to keep"[..]);
    let (file, bytes) = record.body.unwrap();
    assert_eq!(bytes, 100_000);
    log.ack(found[0].place);
    drop(log);
    let content = fs::read(format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(file.file())
    ));
    assert_eq!(content.unwrap(), vec![7; 100_000], "read on after its ack");
    let left = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["lock"], "nothing is left");
}

#[test]
fn a_directory_has_one_log() {
    let place = tempfile::tempdir().unwrap();
    let first = RealDisk::open(place.path()).unwrap();
    let second = RealDisk::open(place.path());
    assert!(matches!(second, Err(DiskError::Busy(_))), "{second:?}");
    assert_eq!(
        second.unwrap_err().to_string(),
        format!(
            "another process (pid {}) uses this directory",
            std::process::id()
        )
    );
    drop(first);
    RealDisk::open(place.path()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(RealDisk::open(file.path()), Err(DiskError::Io(_))));
}

#[test]
fn an_erased_record_is_nowhere_on_the_disk() {
    let place = tempfile::tempdir().unwrap();
    let (mut log, _) = reopen(RealDisk::open(place.path()).unwrap());
    let erased = append(&mut log, 1, b"an address of somebody");
    append(&mut log, 2, b"something else");
    log.erase(&[erased]).unwrap();
    assert!(matches!(log.read(erased), Err(Damaged::Gone)));
    let holds = |needle: &[u8]| {
        let mut files = fs::read_dir(place.path()).unwrap();
        files.any(|file| {
            let content = fs::read(file.unwrap().path()).unwrap();
            memchr::memmem::find(&content, needle).is_some()
        })
    };
    assert!(!holds(b"somebody"));
    assert!(holds(b"something"));
    drop(log);
    let (_, found) = reopen(RealDisk::open(place.path()).unwrap());
    assert_eq!(orders(&found), [2]);
}
