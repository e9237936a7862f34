//! Line one, and going on behind it.

use super::*;

/// Feeds the chunks until the line is there; gives the line, where the search stopped and how
/// often it was fed.
fn look(peek: &mut Peek, packed: &[u8], chunk_bytes: usize) -> Result<(Sight, usize), DecodeError> {
    let mut consumed = 0;
    let mut sight = Sight::Unended;
    for chunk in packed.chunks(chunk_bytes) {
        let looked = peek.push(chunk)?;
        consumed += looked.read;
        sight = looked.sight;
        if sight != Sight::Unended {
            break;
        }
        assert_eq!(looked.read, chunk.len(), "an unended look leaves nothing");
    }
    Ok((sight, consumed))
}

#[track_caller]
fn check_line(body: &[u8], line_bytes_max: usize, want: (Sight, &[u8])) {
    for coding in [Coding::Identity].into_iter().chain(PACKED) {
        for chunk_bytes in [usize::MAX, 1, 3] {
            let mut peek = Peek::new(Decoder::new(coding, ROOMY), line_bytes_max);
            let (sight, _) =
                look(&mut peek, &pack(coding, body), chunk_bytes).expect("a sound stream");
            assert_eq!((sight, peek.line()), want, "{coding:?}, {chunk_bytes}");
        }
    }
}

#[test]
fn line_one_is_found_in_every_coding() {
    check_line(b"{}\n{}\n\n", 100, (Sight::Line, b"{}"));
    check_line(b"\nx", 100, (Sight::Line, b""));
    check_line(b"{}", 100, (Sight::Unended, b"{}"));
    check_line(b"", 100, (Sight::Unended, b""));
    let long = [&[b'a'; 5000][..], b"\nb"].concat();
    check_line(&long, 5000, (Sight::Line, &[b'a'; 5000]));
}

#[test]
fn a_body_that_stops_inside_its_coding_may_not_end_there() {
    for coding in PACKED {
        let packed = pack(coding, b"{}");
        for (bytes, want) in [
            (packed.len(), Ok(())),
            (packed.len() - 1, Err(DecodeError::Truncated)),
        ] {
            let mut peek = Peek::new(Decoder::new(coding, ROOMY), 100);
            peek.push(&packed[..bytes]).expect("a sound stream");
            assert_eq!(peek.finish(), want, "{coding:?}");
        }
    }
}

#[test]
fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
    check_line(b"abc\n", 3, (Sight::Line, b"abc"));
    check_line(b"abc", 3, (Sight::Unended, b"abc"));
    check_line(b"abcd\n", 3, (Sight::TooLong, b"abcd"));
    check_line(b"abcd", 3, (Sight::TooLong, b"abcd"));
    check_line(b"\n", 0, (Sight::Line, b""));
}

#[test]
fn no_more_is_decoded_than_the_line_needs() {
    let body = [ENVELOPE, &vec![b'0'; ZEROS][..]].concat();
    for coding in PACKED {
        let mut peek = Peek::new(Decoder::new(coding, ROOMY), SLICE_BYTES);
        let (sight, _) = look(&mut peek, &pack(coding, &body), 1000).expect("a sound stream");
        assert_eq!(sight, Sight::Line);
        let (decoder, seen) = peek.into_parts();
        assert!(seen.len() <= 2048, "{coding:?}: {}", seen.len());
        assert_eq!(u64::try_from(seen.len()), Ok(decoder.decoded_bytes()));
    }
}

#[test]
fn a_line_found_stays_found() {
    let mut peek = Peek::new(Decoder::new(Coding::Identity, ROOMY), 100);
    let found = |read| Looked {
        read,
        sight: Sight::Line,
    };
    assert_eq!(peek.push(b"{}\nx"), Ok(found(4)));
    assert_eq!(peek.push(b"more\n"), Ok(found(0)));
    assert_eq!(peek.line(), b"{}");
}

#[test]
fn a_broken_stream_has_no_line() {
    let mut peek = Peek::new(Decoder::new(Coding::Gzip, ROOMY), 100);
    assert_eq!(peek.push(b"{}\n{}"), Err(DecodeError::Broken));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_rest_of_the_body_follows_from_the_same_decoder(
        body in any_body(),
        coding in any_coding(),
        chunk_bytes in prop_oneof![1..100_usize, 1..100_000_usize],
    ) {
        let packed = pack(coding, &body);
        let mut peek = Peek::new(Decoder::new(coding, ROOMY), 1000);
        let (sight, consumed) = look(&mut peek, &packed, chunk_bytes).expect("a sound stream");
        let line: Vec<u8> = body.split(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
        let want = match (line.len() > 1000, line.len() < body.len()) {
            (true, _) => Sight::TooLong,
            (false, true) => Sight::Line,
            (false, false) => Sight::Unended,
        };
        prop_assert_eq!(sight, want);
        if want != Sight::TooLong {
            prop_assert_eq!(peek.line(), line);
        }
        let (mut decoder, mut whole) = peek.into_parts();
        go_on(&mut decoder, &packed[consumed..], &mut [0; 999], &mut whole).expect("a sound stream");
        prop_assert_eq!(decoder.finish(), Ok(()));
        prop_assert!(whole == body, "the body is not what was packed");
    }
}
