//! Who asks for leave to send a body.

use super::case::{Case, get, post};
use super::recorder::Reply;
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "leave asked for, then a body",
        "9110 10.1.1",
        &[post!("Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"), "hello"],
    )
    .both("100 200, open; POST T length hello")
    .haproxy(why::LEAVE_FROM_BEHIND),
    Case::of(
        "leave asked for, then chunks",
        "9110 10.1.1",
        &[post!("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"), "5\r\nhello\r\n0\r\n\r\n"],
    )
    .both("100 200, open; POST T length hello")
    .haproxy(why::LEAVE_FROM_BEHIND),
    Case::of(
        "leave asked for with the body",
        "9110 10.1.1",
        &[post!("Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")],
    )
    .both("100 200, open; POST T length hello")
    .haproxy(why::LEAVE_FROM_BEHIND),
    Case::of(
        "leave asked for without a body",
        "9110 10.1.1",
        &[post!("Expect: 100-continue\r\n\r\n")],
    )
    .both("200, open; POST T bare")
    .nginx(why::LEAVE_FOR_NOTHING),
    Case::of(
        "leave asked for a body of nothing",
        "9110 10.1.1",
        &[post!("Expect: 100-continue\r\nContent-Length: 0\r\n\r\n")],
    )
    .both("200, open; POST T length ")
    .nginx(why::LEAVE_FOR_NOTHING),
    Case::of(
        "leave asked for by a GET",
        "9110 10.1.1",
        &[get!("Expect: 100-continue\r\n\r\n")],
    )
    .page("200, open; GET T bare")
    .nginx(why::LEAVE_FOR_NOTHING),
    Case::of(
        "leave asked for in capitals",
        "9110 10.1.1",
        &[post!("Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n"), "hello"],
    )
    .both("100 200, open; POST T length hello")
    .haproxy(why::LEAVE_FROM_BEHIND),
    Case::of(
        "leave asked for twice",
        "9110 10.1.1",
        &[post!("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"), "hello"],
    )
    .both("100 200, open; POST T length hello")
    .nginx("nginx refuses a second line of what it keeps once")
    .haproxy(why::LEAVE_FROM_BEHIND),
    Case::of(
        "leave and more in a list",
        "9110 10.1.1",
        &[post!("Expect: 100-continue, more\r\nContent-Length: 5\r\n\r\n"), "hello"],
    )
    .both("200, open; POST T length hello"),
    Case::of(
        "an unknown expectation",
        "9110 10.1.1",
        &[post!("Expect: more\r\nContent-Length: 5\r\n\r\n"), "hello"],
    )
    .both("200, open; POST T length hello"),
    Case::of(
        "leave asked for in HTTP/1.0",
        "9110 10.1.1",
        &["POST @T HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "hello"],
    )
    .both("200, closed; POST T length hello"),
    Case::of(
        "leave asked for an event without a key",
        "9110 10.1.1",
        &["POST /api/42/store/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "hello"],
    )
    .page("401, closed")
    .nginx(why::NO_GUARD)
    .haproxy(why::NO_GUARD),
    Case::of(
        "leave asked for a body over the limit",
        "9110 10.1.1",
        &[post!("Expect: 100-continue\r\nContent-Length: 9999999999\r\n\r\n"), "hello"],
    )
    .both("413, closed")
    .nginx("nginx keeps the connection, and reads what is refused to its end; here it closes")
    .haproxy("HAProxy waits for as much as was announced; no limit of a body is set there"),
    Case::of(
        "leave that the upstream refuses",
        "9110 10.1.1",
        &[post!("Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"), "hello"],
    )
    .told(&[Reply::of("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")])
    .both("100 417, open; POST T length hello")
    .haproxy(why::LEAVE_FROM_BEHIND),
    Case::of(
        "leave asked for, and a request in its place",
        "9110 10.1.1",
        &[post!("Expect: 100-continue\r\nContent-Length: 35\r\n\r\n"), "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .both("100 200, open; POST T length GET /smuggled HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    .haproxy(why::LEAVE_FROM_BEHIND),
];
