//! Requests as they stand on the wire, through sockets that take little at once.
//! Never opens one.

use http::Request;

use super::*;

fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn whole(chunks: &[&'static str]) -> Outgoing {
    Outgoing::whole(chunks.iter().map(|chunk| Bytes::from(*chunk)).collect())
}

/// What leaves of the frame through a socket that takes so many bytes at once, and
/// so many slices.
fn leave(sending: &mut Sending, bytes_max: usize, slices_max: usize) -> String {
    let mut out = Vec::new();
    loop {
        let mut slices = [IoSlice::new(&[]); 16];
        let taken = sending.slices(&mut slices[..slices_max]);
        let mut taken: Vec<u8> = slices[..taken]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        if taken.is_empty() {
            return String::from_utf8(out).unwrap();
        }
        taken.truncate(bytes_max);
        out.extend_from_slice(&taken);
        sending.advance(taken.len());
    }
}

/// The same through every socket.
#[track_caller]
fn check(head: &Parts, body: &[&'static str], want: &str) {
    for bytes_max in 1..want.len() + 2 {
        for slices_max in [1, 2, 16] {
            let mut sending = Sending::default();
            sending.load(head, whole(body));
            assert_eq!(leave(&mut sending, bytes_max, slices_max), want);
            assert!(sending.is_over() && sending.has_begun());
        }
    }
}

#[test]
fn a_head_leaves_as_it_stands_with_its_body() {
    let headers = [
        ("Host", "a.example"),
        ("X-Raw", "b  c"),
        ("content-length", "99"),
    ];
    check(
        &head("POST", "/api/42/envelope/?a=%2F&b", &headers),
        &["hel", "", "lo"],
        "POST /api/42/envelope/?a=%2F&b HTTP/1.1\r\nhost: a.example\r\nx-raw: b  c\r\n\
content-length: 5\r\n\r\nhello",
    );
    check(
        &head("PROPFIND", "/", &[]),
        &[],
        "PROPFIND / HTTP/1.1\r\n\r\n",
    );
    check(
        &head("OPTIONS", "*", &[]),
        &[],
        "OPTIONS * HTTP/1.1\r\n\r\n",
    );
    let old = [("content-length", "0"), ("transfer-encoding", "chunked")];
    check(
        &head("POST", "http://a.example?q", &old),
        &[],
        "POST /?q HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
    );
}

/// A request whose body is still to come, framed in one way.
fn to_come(rest: Rest) -> Sending {
    let mut sending = Sending::default();
    sending.load(&head("PUT", "/x", &[]), whole(&[]));
    sending.rest = rest;
    sending
}

#[test]
fn chunks_leave_with_their_sizes_and_empty_ones_do_not() {
    for bytes_max in 1..60 {
        let mut sending = to_come(Rest::Chunks);
        let mut out = String::new();
        for chunk in ["hello", "", "0123456789abcdef"] {
            sending.add(Bytes::from(chunk)).unwrap();
            out += &leave(&mut sending, bytes_max, 2);
            assert!(!sending.is_over());
        }
        sending.end().unwrap();
        out += &leave(&mut sending, bytes_max, 2);
        assert!(sending.is_over());
        let want = "PUT /x HTTP/1.1\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
        assert_eq!(out, want);
    }
}

#[test]
fn a_body_with_a_length_neither_ends_short_nor_runs_over() {
    let mut sending = to_come(Rest::Length(5));
    sending.add(Bytes::from("hel")).unwrap();
    assert_eq!(leave(&mut sending, 99, 16), "PUT /x HTTP/1.1\r\n\r\nhel");
    assert!(!sending.is_over());
    assert_eq!(sending.end(), Err(BodyError::Gone), "it ends short");
    assert_eq!(
        sending.add(Bytes::from("low")),
        Err(BodyError::Gone),
        "it runs over"
    );
    sending.add(Bytes::from("lo")).unwrap();
    assert_eq!(leave(&mut sending, 99, 16), "lo");
    assert!(sending.is_over());
}

#[test]
fn what_is_kept_leaves_twice_and_what_is_not_does_not() {
    let want = "POST /x HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello";
    let mut sending = Sending::default();
    sending.load(&head("POST", "/x", &[]), whole(&["hello"]));
    sending.keep(true);
    assert_eq!(leave(&mut sending, 7, 16), want);
    assert!(sending.is_over());
    assert!(sending.rewind() && !sending.has_begun() && !sending.is_over());
    sending.keep(false);
    assert_eq!(leave(&mut sending, 7, 16), want);
    assert!(!sending.rewind(), "it is gone");
    assert!(sending.body.is_none(), "nobody needs it any more");
}

#[test]
fn numbers_are_written_in_full() {
    #[track_caller]
    fn check(number: usize, base: usize, want: &str) {
        let mut out = Vec::new();
        push_number(&mut out, number, base);
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
    check(0, 10, "0");
    check(1_400, 10, "1400");
    check(usize::MAX, 10, "18446744073709551615");
    check(0, 16, "0");
    check(65_536, 16, "10000");
    check(usize::MAX, 16, "ffffffffffffffff");
}

#[track_caller]
fn check_renamed(asked: &str, host: &str) {
    let of = |host| head("POST", "/host:%20a", &[("x-host", "a"), ("host", host)]);
    let mut sending = Sending::default();
    sending.load(&of(asked), whole(&["hello"]));
    sending.keep(true);
    sending.rename(host.as_bytes());
    let mut want = Sending::default();
    want.load(&of(host), whole(&["hello"]));
    let want = leave(&mut want, 1000, 16);
    assert_eq!(leave(&mut sending, 1000, 16), want);
    assert!(sending.is_over() && sending.rewind());
    assert_eq!(leave(&mut sending, 3, 1), want, "and once more");
}

#[test]
fn a_request_that_goes_elsewhere_takes_the_name_of_where_it_goes() {
    check_renamed("relay-1.example:3000", "relay-2.example:3000");
    check_renamed("a.example", "sentry.example:8443");
    check_renamed("sentry.example:8443", "a");
    check_renamed("", "a.example");
}
