//! Trailers behind chunks, which end at the edge.

use super::case::{Case, in_chunks};
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "a trailer",
        "9112 7.1.2",
        &[in_chunks!("5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n")],
    )
    .both("200, closed; POST T length hello")
    .nginx(why::TRAILERS_END_IT)
    .haproxy(why::TRAILERS_END_IT),
    Case::of(
        "a length among trailers",
        "9110 6.5.1",
        &[in_chunks!("5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n")],
    )
    .both("200, closed; POST T length hello")
    .nginx(why::TRAILERS_END_IT)
    .haproxy(why::TRAILERS_END_IT),
    Case::of(
        "chunked among trailers",
        "9110 6.5.1",
        &[in_chunks!(
            "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"
        )],
    )
    .both("200, closed; POST T length hello")
    .nginx(why::TRAILERS_END_IT)
    .haproxy(why::TRAILERS_END_IT),
    Case::of(
        "a host among trailers",
        "9110 6.5.1",
        &[in_chunks!("5\r\nhello\r\n0\r\nHost: b\r\n\r\n")],
    )
    .both("200, closed; POST T length hello")
    .nginx(why::TRAILERS_END_IT)
    .haproxy(why::TRAILERS_END_IT),
    Case::of(
        "a trailer with a bare line feed",
        "9112 7.1.2",
        &[in_chunks!("5\r\nhello\r\n0\r\nX-Trailer: 1\n\r\n")],
    )
    .both("silence, open")
    .nginx(why::BARE_LINE_FEEDS)
    .haproxy(why::BARE_LINE_FEEDS),
    Case::of(
        "a request behind a trailer with a bare line feed",
        "9112 7.1.2",
        &[in_chunks!(
            "5\r\nhello\r\n0\r\nX-Trailer: 1\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        )],
    )
    .both("200, closed; POST T length hello")
    .nginx(why::TRAILERS_END_IT)
    .haproxy(why::TRAILERS_END_IT),
    Case::of(
        "a request behind a trailer",
        "9112 7.1.2",
        &[in_chunks!(
            "5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        )],
    )
    .both("200, closed; POST T length hello")
    .nginx(why::TRAILERS_END_IT)
    .haproxy(why::TRAILERS_END_IT),
    Case::of(
        "a folded trailer",
        "9112 7.1.2",
        &[in_chunks!("5\r\nhello\r\n0\r\nX-Trailer: 1\r\n 2\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::TRAILERS_UNREAD)
    .haproxy("HAProxy passes folded trailers on as fields"),
    Case::of(
        "a trailer without a colon",
        "9112 7.1.2",
        &[in_chunks!("5\r\nhello\r\n0\r\nX-Trailer\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::TRAILERS_UNREAD),
    Case::of(
        "a trailer without a name",
        "9112 7.1.2",
        &[in_chunks!("5\r\nhello\r\n0\r\n: 1\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::TRAILERS_UNREAD),
    Case::of(
        "a NUL in a trailer",
        "9112 7.1.2",
        &[in_chunks!("5\r\nhello\r\n0\r\nX-Trailer: a\0b\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::TRAILERS_UNREAD)
    .haproxy(why::CONTROLS_PASS),
    Case::of(
        "a trailer of 20 KB",
        "9112 7.1.2",
        &[in_chunks!(
            "5\r\nhello\r\n0\r\nX-Trailer: {x*20000}\r\n\r\n"
        )],
    )
    .both("400, closed")
    .nginx(why::TRAILERS_UNREAD)
    .haproxy(why::PASSED_ON_AT_ONCE),
    Case::of(
        "two hundred trailers",
        "9112 7.1.2",
        &[in_chunks!("5\r\nhello\r\n0\r\n{X-Trailer: 1\r\n*200}\r\n")],
    )
    .both("400, closed")
    .nginx(why::TRAILERS_UNREAD),
];
