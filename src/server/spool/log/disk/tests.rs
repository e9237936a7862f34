//! The ways of naming a file, on a real directory.

use std::fs;
use std::io::Write as _;

use super::*;

fn names(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != LOCK)
        .collect();
    names.sort();
    names
}

#[track_caller]
fn check(disk: &RealDisk, unnamed: impl Fn() -> io::Result<RealFile>, folder: &Path) {
    let before = names(folder);
    drop(unnamed().unwrap());
    assert_eq!(names(folder), before, "it goes with its handle");
    let file = unnamed().unwrap();
    file.file().write_all(b"body").unwrap();
    disk.link(file, "named").unwrap();
    assert_eq!(fs::read(folder.join("named")).unwrap(), b"body");
    let file = unnamed().unwrap();
    let taken = disk.link(file, "named").unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(folder.join("named")).unwrap(), b"body");
    disk.unlink("named").unwrap();
    assert_eq!(names(folder), before);
}

#[test]
fn a_file_without_a_name_gets_one_or_goes() {
    let place = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(place.path()).unwrap();
    check(&disk, || disk.unnamed(), place.path());
    check(&disk, || disk.temporary(), place.path());
}

#[test]
fn a_file_that_cannot_be_linked_is_copied() {
    let place = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(place.path()).unwrap();
    let file = disk.unnamed().unwrap();
    let content = vec![3; COPY_BYTES * 2 + 1];
    file.file().write_all(&content).unwrap();
    disk.copy(file.file(), "copy").unwrap();
    assert_eq!(fs::read(place.path().join("copy")).unwrap(), content);
    assert!(disk.copy(file.file(), "copy").is_err(), "the name is taken");
    assert_eq!(names(place.path()), ["copy"]);
}

#[test]
fn a_new_file_is_as_long_as_was_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(place.path()).unwrap();
    let file = disk.create("a").unwrap();
    disk.preallocate(&file, 1_000_000).unwrap();
    assert_eq!(disk.len(&file).unwrap(), 1_000_000);
    assert!(disk.create("a").is_err());
    assert!(disk.free_bytes().unwrap() > 0);
}
