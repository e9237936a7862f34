//! What the scanner promises: exact boundaries, the same in whatever pieces.

use proptest::prelude::*;

use super::super::item::ItemKind;
use super::*;

#[path = "reference.rs"]
mod reference;

const LIMITS: ScanLimits = ScanLimits { items_max: 8 };

/// All that a scanner says of a body that comes in these pieces.
type Said = (Vec<(ItemHeader, usize)>, Option<ScanError>);

fn scan<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Said {
    let mut scanner = Scanner::new(LIMITS);
    let mut items = Vec::new();
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() {
            let step = match scanner.push(rest) {
                Ok(step) => step,
                Err(error) => return (items, Some(error)),
            };
            assert!(step.read > 0, "no progress");
            rest = &rest[step.read..];
            match step.what {
                What::Header => {}
                What::Item(item) => items.push((item, 0)),
                What::Payload { bytes, .. } => items.last_mut().expect("an item").1 += bytes,
            }
        }
    }
    let ended = scanner.finish();
    if let Ok(Ended::Item(item)) = ended {
        items.push((item, 0));
    }
    (items, ended.err())
}

#[track_caller]
fn check(body: &str, want: Result<&[(ItemKind, usize)], ScanError>) {
    let (items, error) = scan([body.as_bytes()]);
    let kinds: Vec<_> = items
        .iter()
        .map(|(item, bytes)| (item.kind, *bytes))
        .collect();
    match want {
        Ok(want) => assert_eq!((kinds.as_slice(), error), (want, None), "{body:?}"),
        Err(want) => assert_eq!(error, Some(want), "{body:?}"),
    }
    let bytewise = scan(body.as_bytes().chunks(1));
    assert_eq!(bytewise, (items, error), "byte by byte: {body:?}");
    check_reference(body.as_bytes());
}

/// The plain reader sees the same items, or refuses too. Of limits it knows nothing.
#[track_caller]
fn check_reference(body: &[u8]) {
    let (items, error) = scan([body]);
    match (reference::read(body), error) {
        (Ok(plain), None) => {
            let plain: Vec<usize> = plain.into_iter().map(|(_, bytes)| bytes).collect();
            let ours: Vec<usize> = items.iter().map(|(_, bytes)| *bytes).collect();
            assert_eq!(ours, plain, "{}", body.escape_ascii());
        }
        (Err(_), Some(_)) => {}
        (_, Some(ScanError::TooManyItems | ScanError::HeaderTooLong)) => {}
        (plain, ours) => panic!("{plain:?}, {ours:?}: {}", body.escape_ascii()),
    }
}

use ItemKind::{Attachment, Event, Session};

#[test]
fn items_end_where_their_length_or_their_line_does() {
    check("", Ok(&[]));
    check("{\"type\":\"event\",\"length\":2}\n{}", Ok(&[(Event, 2)]));
    check("{\"type\":\"event\",\"length\":2}\n{}\n", Ok(&[(Event, 2)]));
    check(
        "{\"type\":\"event\"}\n{\"a\":1}\n{\"type\":\"session\"}\n{}",
        Ok(&[(Event, 7), (Session, 2)]),
    );
    check(
        "{\"type\":\"event\",\"length\":3}\n\n\n\n\n{\"type\":\"session\"}\n",
        Ok(&[(Event, 3), (Session, 0)]),
    );
    check(
        "{\"type\":\"attachment\",\"length\":0}\n\n{\"type\":\"session\"}\n\n",
        Ok(&[(Attachment, 0), (Session, 0)]),
    );
    check(
        "{\"type\":\"attachment\",\"length\":0}",
        Ok(&[(Attachment, 0)]),
    );
    check("{\"type\":\"attachment\"}", Ok(&[(Attachment, 0)]));
    check(
        "{\"type\":\"event\",\"length\":4}\na\rb\r\n",
        Ok(&[(Event, 4)]),
    );
}

#[test]
fn a_header_is_one_json_object_wherever_its_lines_end() {
    check(" \t\r\n{\"type\":\"event\"}\n{}", Ok(&[(Event, 2)]));
    check("{\n\"type\"\n:\n\"event\"\n}\n{}", Ok(&[(Event, 2)]));
    check(
        "{\"x\":\"}\\\"{\",\"y\":[{}],\"type\":\"event\"}\n{}",
        Ok(&[(Event, 2)]),
    );
    check(
        "{\"type\":\"event\",\"l\\u0065ngth\":4}\na\nbc\n",
        Ok(&[(Event, 4)]),
    );
    check("{\"type\":\"\\u0065vent\"}\n{}", Ok(&[(Event, 2)]));
    check("[]\n{}", Err(ScanError::NotAnObject));
    check(
        "\u{feff}{\"type\":\"event\"}\n{}",
        Err(ScanError::NotAnObject),
    );
    check("{\"type\":\"event\"}\r\n{}", Err(ScanError::TrailingBytes));
    check("{\"type\":\"event\"} \n{}", Err(ScanError::TrailingBytes));
    check("{\"type\":\"event\"}{}\n", Err(ScanError::TrailingBytes));
    check("{\"type\":\"event\",}\n{}", Err(ScanError::Malformed));
    check("{\"type\":\"event\"]}\n{}", Err(ScanError::TrailingBytes));
    check("{\"type\":\"event\"", Err(ScanError::Truncated));
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    for (key, value) in [
        ("type", "\"event\""),
        ("length", "1"),
        ("item_count", "1"),
        ("attachment_type", "\"a\""),
        ("platform", "\"a\""),
        ("rate_limited", "true"),
    ] {
        let twice = format!("{{\"type\":\"event\",\"{key}\":{value},\"{key}\":{value}}}\nx");
        check(&twice, Err(ScanError::Duplicate { key }));
    }
    check(
        "{\"type\":\"event\",\"new\":1,\"new\":2}\nx",
        Ok(&[(Event, 1)]),
    );
    for length in [
        "1.0",
        "1e0",
        "-1",
        "+1",
        "\"1\"",
        "null",
        "[]",
        "18446744073709551616",
    ] {
        let body = format!("{{\"type\":\"event\",\"length\":{length}}}\nx");
        let error = match length {
            "+1" => ScanError::Malformed,
            _ => ScanError::BadLength,
        };
        check(&body, Err(error));
    }
    check("{\"length\":1}\nx", Err(ScanError::NoType));
    check("{\"type\":5}\nx", Err(ScanError::NoType));
    check("{\"type\":\"integration\"}\nx", Err(ScanError::RelaysOwn));
}

#[test]
fn a_payload_is_neither_longer_nor_shorter_than_announced() {
    check("{\"type\":\"event\",\"length\":3}\n{}\n", Ok(&[(Event, 3)]));
    check(
        "{\"type\":\"event\",\"length\":4}\n{}\n",
        Err(ScanError::Truncated),
    );
    check(
        "{\"type\":\"event\",\"length\":1}\n{}\n",
        Err(ScanError::LengthMissesLineFeed),
    );
    check(
        "{\"type\":\"event\",\"length\":1}",
        Err(ScanError::Truncated),
    );
    // Lengths that just fit, and one that does not.
    for (length, why) in [
        ("9999999999999999999", ScanError::Truncated),
        ("10000000000000000000", ScanError::Truncated),
        ("18446744073709551615", ScanError::Truncated),
        ("18446744073709551616", ScanError::BadLength),
    ] {
        let body = format!("{{\"type\":\"event\",\"length\":{length}}}\n{{}}");
        check(&body, Err(why));
    }
}

#[test]
fn one_line_feed_ends_an_envelope_and_two_do_not() {
    check("\n", Err(ScanError::BlankAtEnd));
    check(
        "{\"type\":\"event\",\"length\":2}\n{}\n\n",
        Err(ScanError::BlankAtEnd),
    );
    check("{\"type\":\"event\"}\n{}\n \n", Err(ScanError::BlankAtEnd));
}

#[test]
fn a_container_says_how_many_it_holds() {
    let count = |fields: &str| {
        let (items, error) = scan([format!("{{{fields}}}\n").as_bytes()]);
        assert_eq!(error, None, "{fields}");
        items[0].0.count
    };
    assert_eq!(count(r#""type":"log","item_count":5"#), 5);
    assert_eq!(count(r#""type":"log","item_count":5,"x":"\u0041""#), 5);
    assert_eq!(count(r#""type":"log""#), 1);
    for odd in ["0", "-5", "5.5", "\"5\"", "null", "1e3"] {
        assert_eq!(
            count(&format!(r#""type":"log","item_count":{odd}"#)),
            1,
            "{odd}"
        );
    }
    assert_eq!(
        count(r#""type":"event","item_count":5"#),
        1,
        "an event is one"
    );
}

#[test]
fn a_flag_is_seen_however_it_is_written() {
    let flag = |fields: &str| scan([format!("{{{fields}}}\n").as_bytes()]).0[0].0.flag;
    for (fields, want) in [
        (r#""rate_limited":true"#, Some(Flag::Set)),
        (r#""r\u0061te_limited": true"#, Some(Flag::Set)),
        (r#""rate_limited":false"#, Some(Flag::Denied)),
        (r#""rate_limited":null"#, Some(Flag::Denied)),
        (r#""rate_limited":"true""#, Some(Flag::Denied)),
        (r#""x":"rate_limited""#, None),
    ] {
        let fields = format!(r#""type":"attachment",{fields}"#);
        assert_eq!(flag(&fields), want, "{fields}");
    }
}

#[test]
fn there_are_limits_to_items_and_headers() {
    let items = |n: usize| "{\"type\":\"session\"}\n\n".repeat(n);
    let (found, error) = scan([items(8).as_bytes()]);
    assert_eq!((found.len(), error), (8, None));
    check(&items(9), Err(ScanError::TooManyItems));
    for (bytes, fits) in [(HEADER_BYTES_MAX, true), (HEADER_BYTES_MAX + 1, false)] {
        let open = "{\"type\":\"event\",\"x\":\"";
        let header = format!("{open}{}\"}}", "a".repeat(bytes - open.len() - 2));
        assert_eq!(header.len(), bytes);
        for end in ["\n", "\n{}", ""] {
            let (found, error) = scan([header.as_bytes(), end.as_bytes()]);
            assert_eq!(found.len() == 1, fits, "{bytes}: {error:?}");
        }
        // Blanks before a header are held with it.
        let blank = format!(
            "{}{{\"type\":\"event\"}}\n",
            " \n".repeat(bytes).split_at(bytes).0
        );
        for pieces in [blank.len(), 7, 1] {
            let (found, error) = scan(blank.as_bytes().chunks(pieces));
            assert_eq!(found.len() == 1, fits, "{bytes} blanks: {error:?}");
        }
    }
}

/// Bodies of pieces that are each right or nearly so.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => Just(&b"{\"type\":\"event\",\"length\":2}\n{}\n"[..]),
        6 => Just(&b"{\"type\":\"attachment\",\"length\":5}\na\nb\nc\n"[..]),
        6 => Just(&b"{\"type\":\"session\"}\n{\"a\":\"}\"}\n"[..]),
        3 => Just(&b"{ \"length\" : 0 , \"type\" : \"attachment\" }\n\n"[..]),
        3 => Just(&b"{\"typ\\u0065\":\"log\",\"item_count\":3,\"x\":[{\"y\":\"\\\"]\"}]}\n\n"[..]),
        1 => Just(&b"{\"type\":\"event\",\"length\":1}\n{}\n"[..]),
        1 => Just(&b"{\"type\":\"event\",\"length\":9}\n"[..]),
        1 => Just(&b"{\n\t\"type\":\r\"event\"}\n"[..]),
        1 => Just(&b"\n"[..]),
        1 => Just(&b" "[..]),
        1 => Just(&b"{\"type\":\"event\"}\r\n"[..]),
        1 => Just(&b"{\"type\":\"event\""[..]),
        1 => Just(&b"\xff\xfe"[..]),
    ];
    let cut = any::<prop::sample::Index>();
    (
        prop::collection::vec(piece, 0..8),
        cut,
        any::<bool>(),
        any::<u8>(),
    )
        .prop_map(|(pieces, at, cuts, byte)| {
            let mut body = pieces.concat();
            if !body.is_empty() {
                let at = at.index(body.len());
                match byte % 4 {
                    0 => body[at] = byte,
                    1 if cuts => body.truncate(at),
                    _ => {}
                }
            }
            body
        })
}

/// The body in pieces that end at these places.
fn pieces<'b>(body: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    ends.push(body.len());
    ends.sort_unstable();
    let mut from = 0;
    let cut = |end: usize| &body[std::mem::replace(&mut from, end)..end];
    ends.into_iter().map(cut).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pieces_make_no_difference(
        body in prop_oneof![bodies(), prop::collection::vec(any::<u8>(), 0..80)],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let whole = scan([body.as_slice()]);
        prop_assert_eq!(&scan(pieces(&body, &cuts)), &whole);
        prop_assert_eq!(&scan(body.chunks(1)), &whole);
    }

    #[test]
    fn the_plain_reader_sees_the_same(body in bodies()) {
        check_reference(&body);
    }
}
