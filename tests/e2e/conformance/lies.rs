//! Answers of an upstream that are none, or that can be read in two ways.

use super::case::{Case, post};
use super::recorder::Reply;
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "an answer that stops before its length",
        "9112 8",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok")])
    .both("cut, closed; POST T length hello"),
    Case::of(
        "chunks of an answer that stop",
        "9112 8",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")])
    .both("cut, closed; POST T length hello"),
    Case::of(
        "a chunk of an answer without a size",
        "9112 7.1",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n")])
    .both("cut, closed; POST T length hello")
    .haproxy(why::HEAD_HELD_BACK),
    Case::of(
        "a chunk of an answer beyond 64 bits",
        "9112 7.1",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n")])
    .both("cut, closed; POST T length hello")
    .haproxy(why::HEAD_HELD_BACK),
    Case::of(
        "a chunk of an answer with bare line feeds",
        "9112 7.1",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n")])
    .both("cut, closed; POST T length hello")
    .nginx(why::BARE_LINE_FEEDS)
    .haproxy(why::BARE_LINE_FEEDS),
    Case::of(
        "an answer with a length among its trailers",
        "9110 6.5.1",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n")])
    .both("200, open; POST T length hello"),
    Case::of(
        "bytes behind an answer",
        "9112 9.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore")])
    .both("200, open; POST T length hello"),
    Case::of(
        "a second answer that nobody asked for",
        "9112 9.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")])
    .both("200, open; POST T length hello"),
    Case::of(
        "an answer with bare line feeds",
        "9112 2.2",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\nContent-Length: 2\n\nok")])
    .both("200, open; POST T length hello"),
    Case::of(
        "an answer with a folded field",
        "9112 5.2",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .haproxy("HAProxy makes one line of folded ones; here an upstream that folds has failed"),
    Case::of(
        "an answer with a blank before a colon",
        "9112 5.1",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello"),
    Case::of(
        "an answer with a blank before its length's colon",
        "9112 5.1",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello"),
    Case::of(
        "an answer with a NUL",
        "9110 5.5",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .haproxy("HAProxy passes a NUL on to the client; here the upstream has failed"),
    Case::of(
        "an answer with a bare carriage return",
        "9112 2.2",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello"),
    Case::of(
        "an answer with a field without a name",
        "9112 5",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello"),
    Case::of(
        "an answer with status 099",
        "9110 15",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::ANSWER_TAKEN)
    .haproxy(why::ANSWER_TAKEN),
    Case::of(
        "an answer with status 20",
        "9112 4",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 20 Odd\r\nContent-Length: 2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::ANSWER_TAKEN)
    .haproxy(why::ANSWER_TAKEN),
    Case::of(
        "an answer that is no HTTP",
        "9112 4",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("hello there\r\n\r\n")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::ANSWER_TAKEN),
    Case::of(
        "no answer at all",
        "9112 9.5",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello"),
    Case::of(
        "a head without an end",
        "9112 4",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\nX: 1\r\n")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello"),
];
