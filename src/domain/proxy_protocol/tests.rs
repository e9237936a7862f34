//! What is a header and what is not, to the byte, and how soon that is known.

use proptest::prelude::*;

use super::*;

const V4: &[u8] = &[203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb];

/// A header of version 2 with its length as it is.
fn v2_of(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    v2_announcing(
        command,
        family,
        u16::try_from(block.len()).unwrap_or(u16::MAX),
        block,
    )
}

fn v2_announcing(command: u8, family: u8, length: u16, block: &[u8]) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    [V2_START, &[command, family, high, low], block].concat()
}

/// `bytes` are a whole header, alone and before a request; no beginning of them is one.
#[track_caller]
fn check(bytes: &[u8], origin: Origin) {
    let shown = bytes.escape_ascii();
    let want = Header {
        origin,
        over_tls: false,
        bytes: bytes.len(),
    };
    assert_eq!(read(bytes), Ok(Beginning::Whole(want)), "{shown}");
    let followed = [bytes, b"GET / HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(read(&followed), Ok(Beginning::Whole(want)), "{shown}");
    for end in 0..bytes.len() {
        let part = bytes.get(..end).unwrap();
        assert_eq!(read(part), Ok(Beginning::Partial), "{end} of {shown}");
    }
}

#[track_caller]
fn check_client(bytes: &[u8], client: &str) {
    check(bytes, Origin::Client(client.parse().unwrap()));
}

#[track_caller]
fn check_refused(bytes: &[u8], error: HeaderError) {
    assert_eq!(read(bytes), Err(error), "{}", bytes.escape_ascii());
}

#[track_caller]
fn check_line(line: &str) {
    let at = line.find(['\r', '\n']).unwrap_or(V1_START.len());
    let whole = line.ends_with("\r\n") && at == line.len() - 2;
    let at = if whole { V1_START.len() } else { at };
    check_refused(line.as_bytes(), HeaderError::Malformed { at });
}

#[track_caller]
fn check_absent(bytes: &[u8]) {
    assert_eq!(
        read(bytes),
        Ok(Beginning::Absent),
        "{}",
        bytes.escape_ascii()
    );
}

#[test]
fn a_line_names_its_client() {
    check_client(
        b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n",
        "203.0.113.9:4711",
    );
    check_client(
        b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
        "0.0.0.0:0",
    );
    check_client(
        b"PROXY TCP6 2001:db8::7 2001:DB8:0:0:0:0:0:1 65535 1\r\n",
        "[2001:db8::7]:65535",
    );
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    check_client(
        format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n").as_bytes(),
        &format!("[{longest}]:65535"),
    );
}

#[test]
fn what_a_balancer_cannot_name_is_unnamed() {
    check(b"PROXY UNKNOWN\r\n", Origin::Unnamed);
    check(b"PROXY UNKNOWN \r\n", Origin::Unnamed);
    check(b"PROXY UNKNOWN what ever\r\n", Origin::Unnamed);
    for family in [0x00, 0x01, 0x02, 0x10, 0x12, 0x20, 0x22, 0x30, 0x31, 0x32] {
        check(&v2_of(0x21, family, b""), Origin::Unnamed);
        check(&v2_of(0x21, family, &[7; 216]), Origin::Unnamed);
    }
}

#[test]
fn a_line_is_exact() {
    for line in [
        "PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 02\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
        "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4\t1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 ::1 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 ::1 1 2\r\n",
        "PROXY TCP6 ::1::2 ::1 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY TCP6 [::1] ::1 1 2\r\n",
        "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
        // One CR or one LF ends nothing.
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rX\r\n",
        "PROXY UNKNOWN a\nb\r\n",
    ] {
        check_line(line);
    }
    check_refused(
        b"PROXY TCP4 1.2.3.4\xff 5.6.7.8 1 2\r\n",
        HeaderError::Malformed { at: 6 },
    );
}

#[test]
fn a_line_without_an_end_is_refused_at_its_107th_byte() {
    let start = "PROXY UNKNOWN ";
    let filled = |bytes: usize| format!("{start}{}", "x".repeat(bytes - start.len()));
    check(format!("{}\r\n", filled(105)).as_bytes(), Origin::Unnamed);
    assert_eq!(read(filled(106).as_bytes()), Ok(Beginning::Partial));
    check_refused(filled(107).as_bytes(), HeaderError::TooLong);
    check_refused(
        format!("{}\r\n", filled(106)).as_bytes(),
        HeaderError::TooLong,
    );
    check_refused(filled(5000).as_bytes(), HeaderError::TooLong);
}

#[test]
fn a_block_names_its_client() {
    check_client(&v2_of(0x21, 0x11, V4), "203.0.113.9:4711");
    let mut v6 = [0; 36];
    v6[..2].copy_from_slice(&[0x20, 0x01]);
    v6[15] = 7;
    v6[32..34].copy_from_slice(&[0x12, 0x67]);
    check_client(&v2_of(0x21, 0x21, &v6), "[2001::7]:4711");
}

#[test]
fn a_health_check_is_its_senders_own_whatever_else_it_says() {
    check(&v2_of(0x20, 0x00, b""), Origin::Sender);
    check(&v2_of(0x20, 0x11, V4), Origin::Sender);
    check(&v2_of(0x20, 0x11, &V4[..3]), Origin::Sender);
    check(&v2_of(0x20, 0xff, b"xy"), Origin::Sender);
}

#[test]
fn a_block_that_breaks_the_protocol_is_refused_as_soon_as_it_shows() {
    let refused = |header: &[u8], at: usize| {
        let error = HeaderError::Malformed { at };
        check_refused(header, error);
        let early = header.get(..=at).unwrap();
        // A length is known by its second byte.
        let early = if at == 14 { &header[..16] } else { early };
        check_refused(early, error);
        let before = &early[..early.len() - 1];
        assert_eq!(read(before), Ok(Beginning::Partial));
    };
    for command in [0x00, 0x01, 0x11, 0x22, 0x2f, 0x31, 0xff] {
        refused(&v2_of(command, 0x11, V4), 12);
    }
    for family in [0x41, 0xf1, 0x13, 0x1f, 0x33, 0xff] {
        refused(&v2_of(0x21, family, V4), 13);
    }
    refused(&v2_of(0x21, 0x11, &V4[..11]), 14);
    refused(&v2_of(0x21, 0x11, b""), 14);
    refused(&v2_of(0x21, 0x21, V4), 14);
}

#[test]
fn a_block_beyond_the_bound_is_refused_at_its_length() {
    let largest = u16::try_from(V2_BYTES_MAX - FIXED_BYTES).unwrap();
    let within = v2_announcing(0x21, 0x11, largest, V4);
    assert_eq!(read(&within), Ok(Beginning::Partial));
    let block = vec![4; usize::from(largest)];
    check(&v2_of(0x20, 0x00, &block), Origin::Sender);
    for length in [largest + 1, u16::MAX] {
        check_refused(
            &v2_announcing(0x21, 0x11, length, b""),
            HeaderError::TooLong,
        );
        check_refused(
            &v2_announcing(0x20, 0x00, length, b""),
            HeaderError::TooLong,
        );
    }
}

#[track_caller]
fn check_tls(command: u8, extensions: &[u8], want: bool) {
    let header = v2_of(command, 0x11, &[V4, extensions].concat());
    match read(&header) {
        Ok(Beginning::Whole(read)) => {
            assert_eq!(read.bytes, header.len());
            assert_eq!(read.over_tls, want, "{}", extensions.escape_ascii());
        }
        other => panic!("{other:?} of {}", header.escape_ascii()),
    }
}

#[test]
fn extensions_say_whether_the_client_came_over_tls_and_nothing_else() {
    check_tls(0x21, b"", false);
    check_tls(0x21, b"\x20\0\x05\x01\0\0\0\0", true);
    check_tls(0x21, b"\x20\0\x05\x06\0\0\0\0", false);
    check_tls(0x21, b"\x04\0\x02ab\x02\0\x01x\x20\0\x05\x07\0\0\0\0", true);
    check_tls(0x21, b"\x01\0\x02h2\x05\0\x03uid", false);
    // What breaks off says nothing; its client is named all the same.
    check_tls(0x21, b"\x20", false);
    check_tls(0x21, b"\x20\0\x05\x01\0\0\0", false);
    check_tls(0x21, b"\x20\0\0", false);
    check_tls(0x21, b"\x04\xff\xff\x20\0\x05\x01\0\0\0\0", false);
    // A sender that speaks for itself has no client that could.
    check_tls(0x20, b"\x20\0\x05\x01\0\0\0\0", false);
}

#[test]
fn what_begins_otherwise_is_no_header() {
    assert_eq!(read(b""), Ok(Beginning::Partial));
    for first in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"POST /api/1/store/ HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PROPFIND / HTTP/1.1\r\n",
        b"PROXYTCP4 1.2.3.4",
        b"proxy TCP4",
        b" PROXY TCP4",
        b"\r\nGET / HTTP/1.1\r\n",
        b"\r\n\r\n\r\n",
        b"\r\n\r\n\0\r\nQUIZ\n",
        b"\x16\x03\x01\x02\0\x01",
        b"\0",
    ] {
        check_absent(first);
    }
}

proptest! {
    #[test]
    fn every_client_can_be_named_in_both_versions(
        source: SocketAddr,
        destination: SocketAddr,
        behind in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let (source, destination) = match (source, destination) {
            (SocketAddr::V4(_), SocketAddr::V4(_)) | (SocketAddr::V6(_), SocketAddr::V6(_)) => (source, destination),
            (source, destination) => (source, SocketAddr::new(source.ip(), destination.port())),
        };
        let family = if source.is_ipv4() { 4 } else { 6 };
        let line = format!(
            "PROXY TCP{family} {} {} {} {}\r\n",
            source.ip(), destination.ip(), source.port(), destination.port(),
        );
        let octets = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let block = [
            octets(source.ip()), octets(destination.ip()),
            source.port().to_be_bytes().to_vec(), destination.port().to_be_bytes().to_vec(),
        ].concat();
        let block = v2_of(0x21, if source.is_ipv4() { 0x11 } else { 0x21 }, &block);
        let named = SocketAddr::new(source.ip(), source.port());
        for header in [line.into_bytes(), block] {
            let want = Header { origin: Origin::Client(named), over_tls: false, bytes: header.len() };
            prop_assert_eq!(read(&[&header[..], &behind].concat()), Ok(Beginning::Whole(want)));
        }
    }

    /// Bytes that come one by one end as those that come at once: an answer that fell stands.
    #[test]
    fn an_answer_never_changes_with_more_bytes(
        start in prop_oneof![
            Just(&b""[..]), Just(V1_START), Just(V2_START), Just(&b"PROXY TCP4 1.2.3.4 "[..]),
            Just(&b"PROXY UNKNOWN"[..]), Just(&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"[..]),
        ],
        rest in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b' '), Just(b'1'), Just(0)], 0..200,
        ),
    ) {
        let bytes = [start, &rest].concat();
        let mut before = Ok(Beginning::Partial);
        for end in 0..=bytes.len() {
            let now = read(&bytes[..end]);
            match before {
                Ok(Beginning::Partial) => {}
                settled => prop_assert_eq!(now, settled, "at {}", end),
            }
            match now {
                Ok(Beginning::Partial) => prop_assert!(end < V2_BYTES_MAX),
                Ok(Beginning::Whole(header)) => prop_assert!(header.bytes <= end && header.bytes > 0),
                Ok(Beginning::Absent) | Err(_) => {}
            }
            before = now;
        }
    }
}
