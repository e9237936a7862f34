//! What is promised of the file.

use super::*;

#[test]
fn a_restart_goes_on_from_the_file() {
    let mut watched = Watched::after(4, 3);
    watched.passes(10);
    let bytes = encode(&watched.baselines);
    let mut other = Watched {
        baselines: decode(&bytes).unwrap(),
        books: BTreeMap::new(),
        ..watched
    };
    assert_eq!(encode(&other.baselines), bytes);
    other.look();
    assert_eq!(other.passes(9), []);
    assert_eq!(other.passes(1).len(), 1);
    let mut third = Watched {
        baselines: decode(&encode(&other.baselines)).unwrap(),
        books: BTreeMap::new(),
        ..other
    };
    assert_eq!(third.passes(5), [], "it is silent still, which was told");
    third.sends(42, 1);
    assert!(matches!(third.passes(1)[..], [Change::Heard { .. }]));
}

#[track_caller]
fn check_refused(bytes: &[u8], want: BaselinesFileError) {
    assert_eq!(decode(bytes).map(|it| it.len()), Err(want));
}

#[test]
fn nothing_of_a_damaged_file_is_used() {
    let bytes = encode(&Watched::after(1, 3).baselines);
    check_refused(b"", BaselinesFileError::Foreign);
    check_refused(b"vidette-baselines 1", BaselinesFileError::Damaged);
    check_refused(b"vidette-baselines 2 0\n", BaselinesFileError::Version);
    check_refused(b"vidette-baselines 12 0\n", BaselinesFileError::Version);
    check_refused(&bytes[..bytes.len() - 1], BaselinesFileError::Damaged);
    for at in [30, 100, bytes.len() - 2] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        check_refused(&changed, BaselinesFileError::Damaged);
    }
    let line = b"{\"minute\":1}\n";
    let first = format!(
        "vidette-baselines 1 {:016x}\n",
        crate::policy::proven_file::checksum(line)
    );
    let wrong = [first.as_bytes(), line].concat();
    check_refused(&wrong, BaselinesFileError::Line { line: 2 });
}

#[test]
fn no_file_is_longer_than_what_is_read() {
    let bytes = encode(&Watched::after(4, u64::from(u32::MAX) / 60).baselines);
    assert!(bytes.len() * PROJECTS_MAX < bytes_max());
}
