//! Heads of answers, cut at every byte: the same whatever the pieces. Never over a
//! socket.

use proptest::prelude::*;

use super::*;

/// What a head says: status, headers as they cross, framing, whether the connection
/// stays, and what lies behind it. `None`: it never ends.
type Said = Result<Option<(u16, String, Framing, bool, Vec<u8>)>, Fault>;

/// Reads a head that comes in these pieces.
fn feed<'p>(bodiless: bool, pieces: impl IntoIterator<Item = &'p [u8]>) -> Said {
    let mut reader = HeadReader::default();
    reader.expect(bodiless, HeaderMap::new());
    let mut read = BytesMut::new();
    let mut pieces = pieces.into_iter();
    while let Some(piece) = pieces.next() {
        read.extend_from_slice(piece);
        if let Some(head) = reader.take(&mut read)? {
            let lines = head.parts.headers.iter();
            let lines: Vec<String> = lines
                .map(|(name, value)| format!("{name}: {}", value.as_bytes().escape_ascii()))
                .collect();
            pieces.for_each(|piece| read.extend_from_slice(piece));
            let behind = read.to_vec();
            let status = head.parts.status.as_u16();
            let Head { framing, stays, .. } = head;
            return Ok(Some((status, lines.join("|"), framing, stays, behind)));
        }
    }
    Ok(None)
}

/// The same whole, byte by byte, and cut in two at every place.
#[track_caller]
fn read(bodiless: bool, bytes: &[u8]) -> Said {
    let said = feed(bodiless, [bytes]);
    assert_eq!(feed(bodiless, bytes.chunks(1)), said, "byte by byte");
    for at in 0..=bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(feed(bodiless, [first, second]), said, "cut at {at}");
    }
    said
}

#[track_caller]
fn check(lines: &str, framing: Framing, stays: bool) {
    check_asked(false, lines, framing, stays);
}

#[track_caller]
fn check_asked(bodiless: bool, lines: &str, framing: Framing, stays: bool) {
    let bytes = format!("{lines}\r\n\r\nbehind");
    let said = read(bodiless, bytes.as_bytes());
    let (_, _, got_framing, got_stays, behind) = said.unwrap().expect("a whole head");
    assert_eq!((got_framing, got_stays), (framing, stays), "{lines}");
    assert_eq!(behind, b"behind", "{lines}");
}

#[track_caller]
fn check_refused(lines: &str, fault: Fault) {
    let bytes = format!("{lines}\r\n\r\n");
    assert_eq!(read(false, bytes.as_bytes()), Err(fault), "{lines}");
}

const CHUNKS: Framing = Framing::Chunks(Place::Size);

#[test]
fn a_length_or_chunks_or_the_end_frame_a_body() {
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 7",
        Framing::Length(7),
        true,
    );
    check("HTTP/1.1 200\r\ncontent-length:0", Framing::Over, true);
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked ",
        CHUNKS,
        true,
    );
    check("HTTP/1.1 200 OK\r\nserver: x", Framing::UntilClose, false);
}

#[test]
fn equal_lengths_are_one() {
    check(
        "HTTP/1.1 200 OK\r\ncontent-length: 7\r\ncontent-length: 7",
        Framing::Length(7),
        true,
    );
    check(
        "HTTP/1.1 200 OK\r\ncontent-length: 7, 7",
        Framing::Length(7),
        true,
    );
    let said = feed(
        false,
        [&b"HTTP/1.1 200 OK\r\ncontent-length: 7, 07\r\n\r\n"[..]],
    );
    assert_eq!(said.unwrap().unwrap().1, "content-length: 7");
}

#[test]
fn some_answers_have_no_body_whatever_they_say() {
    for status in [204, 304] {
        let line = format!("HTTP/1.1 {status} X");
        check(&line, Framing::Over, true);
        // A 204 that announces a body may send it: nobody's answer shall follow.
        let in_step = status == 304;
        for framing in ["content-length: 7", "transfer-encoding: chunked"] {
            let lines = format!("{line}\r\n{framing}");
            check(&lines, Framing::Over, in_step);
        }
        check(&format!("{line}\r\ncontent-length: 0"), Framing::Over, true);
    }
    check_asked(
        true,
        "HTTP/1.1 200 OK\r\ncontent-length: 7",
        Framing::Over,
        true,
    );
    check_asked(true, "HTTP/1.1 200 OK", Framing::Over, true);
}

#[test]
fn framings_that_could_be_read_in_two_ways_are_refused() {
    for lines in [
        "content-length: 7\r\ncontent-length: 8",
        "content-length: 7, 8",
        "content-length: +7",
        "content-length: -7",
        "content-length: 7 7",
        "content-length: 0x7",
        "content-length:",
        "content-length: 7,",
        "content-length: 18446744073709551616",
        "content-length: 7\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 7",
        "transfer-encoding: gzip",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, gzip",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: \u{b}chunked",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");
        let said = feed(false, [head.as_bytes()]);
        assert!(
            matches!(said, Err(Fault::Ambiguous | Fault::Nonsense)),
            "{lines:?}: {said:?}"
        );
    }
    check_refused(
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked",
        Fault::Ambiguous,
    );
}

#[test]
fn a_connection_stays_only_where_both_sides_know_it() {
    let length = Framing::Length(7);
    for (first, connection, stays) in [
        ("HTTP/1.1", "x: y", true),
        ("HTTP/1.1", "connection: Keep-Alive", true),
        ("HTTP/1.1", "connection: Close", false),
        ("HTTP/1.1", "connection: x-hop , close", false),
        (
            "HTTP/1.1",
            "connection: keep-alive\r\nconnection: close",
            false,
        ),
        ("HTTP/1.0", "x: y", false),
        ("HTTP/1.0", "connection: keep-alive", true),
        ("HTTP/1.0", "connection: keep-alive, close", false),
    ] {
        check(
            &format!("{first} 200 OK\r\ncontent-length: 7\r\n{connection}"),
            length,
            stays,
        );
    }
}

#[test]
fn what_belongs_to_the_connection_goes_and_the_rest_crosses_as_it_is() {
    let head = b"HTTP/1.1 200 Fine\r\nServer: x\r\nConnection: X-Hop, content-length\r\n\
x-hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nTrailer: x\r\nTE: x\r\n\
Proxy-Connection: x\r\nSet-Cookie: a\r\nset-cookie: b\r\nX-Empty:\r\nX-Raw: \xe9 \r\n\
content-length: 7\r\n\r\n";
    let said = read(false, head).unwrap().unwrap();
    let want = "server: x|set-cookie: a|set-cookie: b|x-empty: |x-raw: \\xe9|content-length: 7";
    let mut lines: Vec<&str> = said.1.split('|').collect();
    let mut want: Vec<&str> = want.split('|').collect();
    lines.sort_unstable();
    want.sort_unstable();
    assert_eq!((said.0, lines), (200, want));
}

#[test]
fn answers_before_the_answer_are_skipped() {
    check(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n\
HTTP/1.1 200 OK\r\ncontent-length: 7",
        Framing::Length(7),
        true,
    );
    check_refused(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c",
        Fault::Switch,
    );
    let endless = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(40);
    assert_eq!(feed(false, [&endless[..]]), Err(Fault::Nonsense));
}

#[test]
fn what_is_no_head_is_refused() {
    for lines in [
        "SSH-2.0-OpenSSH_9.2",
        "HTTP/2.0 200 OK",
        "HTTP/1.1 099 Low",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 200 OK\r\nno colon",
        "HTTP/1.1 200 OK\r\nbad name: x",
        "HTTP/1.1 200 OK\r\nname : x",
        "HTTP/1.1 200 OK\r\nx: y\r\n folded",
        "HTTP/1.1 200 OK\r\nx: \u{1}",
    ] {
        check_refused(lines, Fault::Nonsense);
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(HEADERS_MAX + 1));
    assert_eq!(feed(false, [many.as_bytes()]), Err(Fault::TooLong));
    assert_eq!(feed(false, [&b"HTTP/1.1 200 OK\r\nx: y\r\n"[..]]), Ok(None));
}

proptest! {
    /// A head says the same however it arrives.
    #[test]
    fn a_head_is_the_same_however_it_arrives(
        status in 100..600_u16,
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "content-length: 7", "content-length: 8", "transfer-encoding: chunked",
                "connection: close", "connection: x-a", "x-a: b", "set-cookie: c", "x-e:",
            ]),
            0..6,
        ),
        pieces in 1..40_usize,
    ) {
        let mut head = format!("HTTP/1.1 {status} X\r\n");
        for line in &lines {
            head += &format!("{line}\r\n");
        }
        head += "\r\nHTTP/1.1 200 OK\r\n\r\nbehind";
        let whole = feed(false, [head.as_bytes()]);
        prop_assert_eq!(feed(false, head.as_bytes().chunks(pieces)), whole);
    }
}
