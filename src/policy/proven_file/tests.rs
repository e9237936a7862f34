//! What is promised of the file, whatever became of it.

use proptest::prelude::*;

use super::*;

const NOW_S: u64 = 1_790_000_000;

fn pair(key: u8, project: &str, last_accepted_unix_s: u64) -> ProvenPair {
    ProvenPair {
        key: Key::unpacked([key; 16]),
        project: ProjectId::parse(project.as_bytes()),
        last_accepted_unix_s,
    }
}

/// Reads these lines with the checksum that fits them.
#[track_caller]
fn check(lines: &str, count: &str, want: Result<&[ProvenPair], ProvenFileError>) {
    let body = format!("vidette-proven-keys 1\n{lines}");
    let file = format!("{body}end {count} {:016x}\n", checksum(body.as_bytes()));
    let got = decode(file.as_bytes(), 100, NOW_S);
    assert_eq!(
        got.as_deref().map_err(ToString::to_string),
        want.map_err(|error| error.to_string()),
        "{file}"
    );
}

#[test]
fn the_format_is_what_the_page_says() {
    let bytes = encode(&[pair(0xa9, "42", 1_790_000_000), pair(1, "", 7)]);
    let text = String::from_utf8(bytes).expect("text");
    let want = "vidette-proven-keys 1\n\
                a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9 42 1790000000\n\
                01010101010101010101010101010101 0 7\n\
                end 2 ";
    assert!(text.starts_with(want), "{text}");
}

#[test]
fn a_table_of_nobody_is_a_file_too() {
    assert_eq!(decode(&encode(&[]), 100, NOW_S), Ok(Vec::new()));
}

#[test]
fn only_pairs_are_read() {
    let key = "a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9";
    check(
        &format!("{key} 42 1790000000\n"),
        "1",
        Ok(&[pair(0xa9, "42", NOW_S)]),
    );
    for line in [
        String::new(),
        key.to_owned(),
        format!("{key} 42"),
        format!("{key} 042 1790000000"),
        format!("{key} 42 -1"),
        format!("{key} 42 1790000000 "),
        format!("{key} 42  1790000000"),
        format!("{key}0 42 1790000000"),
        format!("{} 42 1790000000", key.to_uppercase()),
        format!("{key} 42 99999999999999999999"),
    ] {
        let wrong = ProvenFileError::Line { line: 2 };
        check(&format!("{line}\n"), "1", Err(wrong));
    }
}

#[test]
fn the_number_of_pairs_must_be_the_one_told() {
    let line = "a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9 42 1790000000\n";
    check(line, "2", Err(ProvenFileError::Count));
    check(line, "0", Err(ProvenFileError::Count));
    check(line, "x", Err(ProvenFileError::Count));
}

#[test]
fn what_was_not_accepted_for_thirty_days_is_left_out() {
    let (kept, gone) = (NOW_S - FORGOTTEN_S + 1, NOW_S - FORGOTTEN_S);
    let bytes = encode(&[
        pair(1, "1", gone),
        pair(2, "1", kept),
        pair(3, "1", NOW_S + 9),
    ]);
    let want = vec![pair(2, "1", kept), pair(3, "1", NOW_S + 9)];
    assert_eq!(decode(&bytes, 100, NOW_S), Ok(want));
}

#[test]
fn of_too_many_the_latest_stay() {
    let bytes = encode(&[1, 3, 2].map(|age| pair(age, "1", NOW_S - u64::from(age))));
    let want = vec![pair(1, "1", NOW_S - 1), pair(2, "1", NOW_S - 2)];
    assert_eq!(decode(&bytes, 2, NOW_S), Ok(want));
}

#[test]
fn a_foreign_file_is_told_from_a_damaged_one() {
    for (bytes, want) in [
        (&b""[..], ProvenFileError::Foreign),
        (b"\x7fELF", ProvenFileError::Foreign),
        (b"vidette-proven-keys 2\nend\n", ProvenFileError::Version),
        (b"vidette-proven-keys 1", ProvenFileError::Truncated),
        (b"vidette-proven-keys 1\n", ProvenFileError::Truncated),
        (
            b"vidette-proven-keys 1\nend 0 \xff\n",
            ProvenFileError::Truncated,
        ),
        (
            b"vidette-proven-keys 1\nend 0 0000000000000000\n",
            ProvenFileError::Damaged,
        ),
    ] {
        assert_eq!(decode(bytes, 100, NOW_S), Err(want), "{bytes:?}");
    }
}

fn any_pair() -> impl Strategy<Value = ProvenPair> {
    (any::<[u8; 16]>(), any::<u64>(), any::<u64>()).prop_map(|(key, project, at)| ProvenPair {
        key: Key::unpacked(key),
        project: ProjectId::parse(project.to_string().as_bytes()),
        last_accepted_unix_s: at,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(pairs in prop::collection::vec(any_pair(), 0..20)) {
        let bytes = encode(&pairs);
        prop_assert!(bytes.len() <= bytes_max(pairs.len()));
        prop_assert_eq!(decode(&bytes, 20, 0), Ok(pairs));
    }

    #[test]
    fn no_damage_goes_unseen(
        pairs in prop::collection::vec(any_pair(), 1..5),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = encode(&pairs);
        let mut flipped = whole.clone();
        flipped[at.index(whole.len())] ^= flip;
        prop_assert!(decode(&flipped, 20, 0).is_err(), "one changed byte was believed");
        let cut = &whole[..cut.index(whole.len())];
        prop_assert!(decode(cut, 20, 0).is_err(), "half a file was believed");
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut framed = b"vidette-proven-keys 1\n".to_vec();
        framed.extend_from_slice(&bytes);
        prop_assert!(decode(&framed, 20, 0).is_err());
        prop_assert!(decode(&bytes, 20, 0).is_err());
    }
}
