//! What is kept comes back, and what was damaged does not.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;

/// Whose list it is.
const OF: &str = "http://web:9000";

fn list(keys: u64) -> KeyList {
    let project = |n: u64| ListedProject {
        id: id(n).unwrap(),
        organization: "acme".to_owned(),
        slug: format!("p\"{n}\\"),
        active: n.is_multiple_of(2),
    };
    let key = |n: u64| ListedKey {
        key: Key::parse(format!("{n:032x}").as_bytes()).unwrap(),
        project: id(n + 1).unwrap(),
        enabled: n.is_multiple_of(3),
        name: format!("\u{1f4a5} {n}\n"),
        rate_limit: n.is_multiple_of(2).then_some(RateLimit {
            count: n + 1,
            window_s: 60,
        }),
    };
    KeyList {
        projects: (1..=3).map(project).collect(),
        keys: (0..keys).map(key).collect(),
        skipped: 7,
        at: UNIX_EPOCH + Duration::new(1_800_000_000, 123_456_789),
    }
}

/// The bytes of a copy of this list.
fn bytes(list: &KeyList) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    save(&path, OF, list).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn what_was_saved_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    assert!(load(&path, OF).unwrap().is_none(), "no copy is no error");
    for keys in [0, 2, 1000] {
        save(&path, OF, &list(keys)).unwrap();
        assert_eq!(load(&path, OF).unwrap(), Some(list(keys)));
    }
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 1, "nothing is left beside the copy");
}

/// In mode `strict` another Sentry's list would refuse all of this one's keys.
#[test]
fn a_copy_of_another_sentrys_list_is_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    save(&path, OF, &list(2)).unwrap();
    for other in ["https://web:9000", "http://web:9001", "http://new:9000"] {
        assert!(
            matches!(load(&path, other), Err(CopyError::Others)),
            "{other}"
        );
    }
    assert_eq!(load(&path, OF).unwrap(), Some(list(2)));
    // What earlier versions kept does not say whose it is.
    let whole = String::from_utf8(bytes(&list(2))).unwrap();
    let body = whole.split_once('\n').unwrap().1;
    let body = body.replacen(&format!(r#""of":"{OF}","#), "", 1);
    let earlier = format!("{}{body}", SEAL.line(body.as_bytes()));
    assert_eq!(
        parse(earlier.as_bytes(), "http://new:9000").unwrap(),
        list(2)
    );
}

#[test]
fn a_copy_that_cannot_be_written_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    save(&path, OF, &list(2)).unwrap();
    let mut before_time = list(3);
    before_time.at = UNIX_EPOCH - Duration::from_secs(1);
    assert!(matches!(
        save(&path, OF, &before_time),
        Err(CopyError::Write(_))
    ));
    assert_eq!(load(&path, OF).unwrap(), Some(list(2)));
    let nowhere = folder.path().join("none/keys");
    assert!(matches!(
        save(&nowhere, OF, &list(2)),
        Err(CopyError::Write(_))
    ));
    assert!(matches!(load(folder.path(), OF), Err(CopyError::Read(_))));
}

#[test]
fn a_change_of_any_byte_is_noticed() {
    let whole = bytes(&list(2));
    for at in 0..whole.len() {
        // A flipped bit, the other case, a lost top bit, and all of them.
        for mask in [0x01, 0x20, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= mask;
            assert!(parse(&damaged, OF).is_err(), "byte {at} with {mask:#x}");
        }
    }
    assert_eq!(parse(&whole, OF).unwrap(), list(2));
}

#[test]
fn a_copy_cut_short_or_grown_is_noticed() {
    let whole = bytes(&list(2));
    for end in 0..whole.len() {
        assert!(parse(&whole[..end], OF).is_err(), "cut at {end}");
    }
    for more in [" ", "\n", "\0", "]"] {
        let grown = [&whole, more.as_bytes()].concat();
        assert!(parse(&grown, OF).is_err(), "grown by {more:?}");
    }
}

#[test]
fn another_version_is_told_from_damage() {
    let whole = String::from_utf8(bytes(&list(1))).unwrap();
    let next = whole.replacen("list 1 ", "list 2 ", 1);
    assert!(matches!(
        parse(next.as_bytes(), OF),
        Err(CopyError::Foreign)
    ));
    assert!(matches!(
        parse(b"workers: 2\n", OF),
        Err(CopyError::Foreign)
    ));
    let twelve = whole.replacen("list 1 ", "list 12 ", 1);
    assert!(matches!(
        parse(twelve.as_bytes(), OF),
        Err(CopyError::Foreign)
    ));
}

#[track_caller]
fn check_body(body: &str, is_read: bool) {
    let bytes = format!("{}{body}", SEAL.line(body.as_bytes()));
    assert_eq!(parse(bytes.as_bytes(), OF).is_ok(), is_read, "{body}");
}

#[test]
fn a_sound_file_with_an_impossible_list_is_damage() {
    let body = |at_s: &str, key: &str, project: u64| {
        format!(
            r#"{{"at":{{"secs_since_epoch":{at_s},"nanos_since_epoch":0}},"skipped":0,"projects":[],"keys":[{{"key":"{key}","project":{project},"enabled":true,"name":"","limit":null}}]}}"#
        )
    };
    let key = "a94ae32be2584e0bbd7a4cbb95971fee";
    check_body(&body("1", key, 42), true);
    check_body(&body("1", key, 0), false);
    check_body(&body("1", "A94AE32BE2584E0BBD7A4CBB95971FEE", 42), false);
    check_body(&body("18446744073709551615", key, 42), false);
    check_body("{}", false);
    check_body("", false);
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(&tail, OF).is_err());
        let titled = [SEAL.title.as_bytes(), b" 1 ", &tail].concat();
        prop_assert!(parse(&titled, OF).is_err());
        let sound = [SEAL.line(&tail).as_bytes(), &tail].concat();
        prop_assert!(parse(&sound, OF).is_err());
    }

    #[test]
    fn damage_of_several_bytes_is_noticed(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), 1_u8..), 1..8),
    ) {
        let whole = bytes(&list(2));
        let mut damaged = whole.clone();
        for (at, mask) in changes {
            damaged[at.index(whole.len())] ^= mask;
        }
        prop_assert!(damaged == whole || parse(&damaged, OF).is_err());
    }
}
