//! What becomes of files: full ones, moved ones, ones that cannot be had.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::config::Config;
use crate::config::checked::AccessMode;

fn plan(path: &Path, files: u64) -> Plan {
    Plan {
        mode: AccessMode::All,
        to: AccessTarget::File(path.to_owned()),
        max_bytes: 100,
        files,
        ..Config::in_front_of(Vec::new()).access_log
    }
}

#[track_caller]
fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every line is ten bytes.
fn line(number: usize) -> String {
    format!("line {number:04}\n")
}

#[test]
fn files_are_full_and_no_fuller_and_lose_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut sink = Sink::new(&plan(&path, 2));
    for number in 0..25 {
        sink.write(line(number).as_bytes()).unwrap();
    }
    let lines = |range: std::ops::Range<usize>| range.map(line).collect::<String>();
    assert_eq!(text(&folder.path().join("access.log.2")), lines(0..10));
    assert_eq!(text(&folder.path().join("access.log.1")), lines(10..20));
    assert_eq!(text(&path), lines(20..25));
    for number in 25..31 {
        sink.write(line(number).as_bytes()).unwrap();
    }
    assert_eq!(text(&folder.path().join("access.log.2")), lines(10..20));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

/// It renamed the link, and what that led to grew without an end.
#[test]
fn what_a_link_leads_to_is_moved_on_and_the_link_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = (folder.path().join("link"), folder.path().join("log"));
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let mut sink = Sink::new(&plan(&path, 1));
    for number in 0..25 {
        sink.write(line(number).as_bytes()).unwrap();
    }
    let lines = |range: std::ops::Range<usize>| range.map(line).collect::<String>();
    assert_eq!(text(&target), lines(20..25));
    assert_eq!(text(&folder.path().join("log.1")), lines(10..20));
    assert_eq!(fs::read_link(&path).unwrap(), target);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn without_others_beside_it_a_full_file_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut sink = Sink::new(&plan(&path, 0));
    for number in 0..11 {
        sink.write(line(number).as_bytes()).unwrap();
    }
    assert_eq!(text(&path), line(10));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_there_is_added_to_and_a_cut_line_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    fs::write(&path, "whole\ncut").unwrap();
    let mut sink = Sink::new(&plan(&path, 1));
    sink.write(b"new\n").unwrap();
    sink.write(b"newer\n").unwrap();
    assert_eq!(text(&path), "whole\ncut\nnew\nnewer\n");
}

#[test]
fn a_file_that_is_moved_or_removed_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("a.log"), folder.path().join("moved"));
    let mut sink = Sink::new(&plan(&path, 1));
    sink.write(b"one\n").unwrap();
    fs::rename(&path, &moved).unwrap();
    sink.write(b"two\n").unwrap();
    fs::remove_file(&path).unwrap();
    sink.write(b"three\n").unwrap();
    // As whoever copies it and cuts it to nothing does.
    fs::write(&path, "").unwrap();
    sink.write(b"four\n").unwrap();
    assert_eq!((&*text(&moved), &*text(&path)), ("one\n", "four\n"));
}

#[test]
fn only_its_owner_and_group_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    Sink::new(&plan(&path, 1)).write(b"one\n").unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
}

#[test]
fn a_folder_that_is_not_there_is_said_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later/access.log");
    let mut sink = Sink::new(&plan(&path, 1));
    let why = sink.write(b"lost\n").unwrap_err();
    assert!(why.contains("access.log: No such file"), "{why}");
    fs::create_dir(path.parent().unwrap()).unwrap();
    assert!(sink.write(b"lost\n").is_err(), "tried again at once");
    sink.reopen();
    sink.write(b"kept\n").unwrap();
    assert_eq!(text(&path), "kept\n");
}

#[test]
fn another_place_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let mut sink = Sink::new(&plan(&one, 1));
    sink.write(b"one\n").unwrap();
    sink.follow(&plan(&two, 1));
    sink.write(b"two\n").unwrap();
    assert_eq!((&*text(&one), &*text(&two)), ("one\n", "two\n"));
}

#[test]
fn a_device_is_written_to_without_end() {
    let mut sink = Sink::new(&plan(Path::new("/dev/null"), 1));
    for number in 0..25 {
        sink.write(line(number).as_bytes()).unwrap();
    }
    assert!(!Path::new("/dev/null.1").exists());
}

#[test]
fn a_full_disk_takes_no_line_in_part() {
    let mut sink = Sink::new(&plan(Path::new("/dev/full"), 1));
    let why = sink.write(b"one\n").unwrap_err();
    assert!(why.contains("No space left"), "{why}");
    // That it can be opened is no sign of room.
    assert_eq!(sink.look(), Some(Err(why)));
}
