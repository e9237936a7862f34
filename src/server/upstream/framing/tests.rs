//! Bodies of answers, cut at every byte: the same whatever the pieces. Never over a
//! socket.

use proptest::prelude::*;

use super::*;

const CHUNKS: Framing = Framing::Chunks(Place::Size);

/// What came of a body: its payload and what lay behind its end.
type Came = Result<(Vec<u8>, Vec<u8>), Fault>;

/// Reads a body that comes in these pieces, after which the connection ends.
fn feed<'p>(mut framing: Framing, pieces: impl IntoIterator<Item = &'p [u8]>) -> Came {
    let (mut read, mut body) = (BytesMut::new(), Vec::new());
    let mut pieces = pieces.into_iter();
    loop {
        match framing.take(&mut read)? {
            Step::Chunk(chunk) => {
                assert!(
                    !chunk.is_empty(),
                    "an empty chunk ends what it is passed to"
                );
                body.extend_from_slice(&chunk);
            }
            Step::End => {
                let behind = pieces.flatten().copied();
                return Ok((body, read.iter().copied().chain(behind).collect()));
            }
            Step::More => match pieces.next() {
                Some(piece) => read.extend_from_slice(piece),
                None => framing.close()?,
            },
        }
    }
}

/// The same whole, byte by byte, and cut in two at every place.
#[track_caller]
fn check(framing: Framing, bytes: &[u8], want: Result<(&str, &str), Fault>) {
    let want = want.map(|(body, behind)| (body.into(), behind.into()));
    assert_eq!(feed(framing, [bytes]), want, "in one piece");
    assert_eq!(feed(framing, bytes.chunks(1)), want, "byte by byte");
    for at in 0..=bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(feed(framing, [first, second]), want, "cut at {at}");
    }
}

#[test]
fn a_length_is_exact() {
    check(Framing::of_length(5), b"helloworld", Ok(("hello", "world")));
    check(Framing::of_length(5), b"hell", Err(Fault::Cut));
    check(Framing::of_length(0), b"x", Ok(("", "x")));
}

#[test]
fn a_body_without_a_length_ends_with_its_connection() {
    check(Framing::UntilClose, b"hello", Ok(("hello", "")));
    check(Framing::UntilClose, b"", Ok(("", "")));
}

#[test]
fn chunks_are_joined_and_what_stands_between_them_goes() {
    check(CHUNKS, b"5\r\nhello\r\n0\r\n\r\n", Ok(("hello", "")));
    check(
        CHUNKS,
        b"5;a=b;c=\"d\"\r\nhello\r\n00A  ;x\r\n0123456789\r\n0\t\r\nsum: 1\r\nx:\r\n\r\nHTTP",
        Ok(("hello0123456789", "HTTP")),
    );
}

#[test]
fn chunks_that_are_cut_short_are_no_body() {
    let whole = b"5\r\nhello\r\n3;x\r\nabc\r\n0\r\nt: 1\r\n\r\n";
    for end in 0..whole.len() {
        assert_eq!(feed(CHUNKS, [&whole[..end]]), Err(Fault::Cut), "{end}");
    }
}

#[test]
fn chunks_that_could_be_read_otherwise_are_refused() {
    for bytes in [
        &b"\r\nhello\r\n0\r\n\r\n"[..],
        b"x\r\n",
        b"-1\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\rx\r\nhello\r\n0\r\n\r\n",
        b"5;\r \r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloworld\r\n0\r\n\r\n",
        b"5\r\nhell\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"00000000000000005\r\nhello\r\n0\r\n\r\n",
        b"0\r\n\n",
    ] {
        check(CHUNKS, bytes, Err(Fault::Chunks));
    }
}

#[test]
fn what_stands_between_chunks_has_a_limit() {
    let long = "x".repeat(LINE_BYTES_MAX + 1);
    let extension = format!("5;{long}");
    assert_eq!(feed(CHUNKS, [extension.as_bytes()]), Err(Fault::Chunks));
    let line = format!("t: {}\r\n", "x".repeat(1000));
    let trailers = format!("0\r\n{}", line.repeat(TRAILERS_BYTES_MAX / 1000 + 1));
    assert_eq!(feed(CHUNKS, [trailers.as_bytes()]), Err(Fault::Chunks));
}

proptest! {
    /// However a chunked body is written and however it arrives, it is the same
    /// body; and no beginning of it looks whole.
    #[test]
    fn a_chunked_body_is_the_same_however_it_arrives(
        body in prop::collection::vec(any::<u8>(), 0..2000),
        size in 1..400_usize,
        extension in "(;[a-z]{0,9})?",
        trailers in prop::collection::vec("[a-z]{1,9}: [a-z]{0,9}", 0..3),
        behind in prop::collection::vec(any::<u8>(), 0..9),
        piece in 1..300_usize,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        for chunk in body.chunks(size) {
            bytes.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(format!("0{extension}\r\n").bytes());
        bytes.extend(trailers.iter().flat_map(|line| format!("{line}\r\n").into_bytes()));
        bytes.extend(b"\r\n");
        let whole = bytes.len();
        bytes.extend(&behind);
        prop_assert_eq!(feed(CHUNKS, bytes.chunks(piece)), Ok((body, behind)));
        let part = &bytes[..cut.index(whole)];
        prop_assert_eq!(feed(CHUNKS, part.chunks(piece)), Err(Fault::Cut));
    }

    /// Whatever comes in place of chunks: an end, never a panic, and the same
    /// whatever the pieces.
    #[test]
    fn nonsense_is_read_alike_however_it_arrives(
        bytes in prop::collection::vec(prop::sample::select(b"0125af;\r\nx ".to_vec()), 0..60),
        piece in 1..20_usize,
    ) {
        prop_assert_eq!(feed(CHUNKS, bytes.chunks(piece)), feed(CHUNKS, [&bytes[..]]));
    }
}
