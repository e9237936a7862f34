//! Fields that say where a request goes and what its connection is.

use super::case::{Case, get, post};
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "no host",
        "9112 3.2",
        &["GET @T HTTP/1.1\r\nX: 1\r\n\r\n"],
    )
    .page("400, closed")
    .haproxy("HAProxy leaves it to its upstream to ask for a host"),
    Case::of(
        "no host in HTTP/1.0",
        "9112 3.2",
        &["GET @T HTTP/1.0\r\n\r\n"],
    )
    .page("200, closed; GET T bare")
    .nginx("nginx sends no host where it has heard none; here the upstream's own stands in"),
    Case::of(
        "the same host twice",
        "9112 3.2",
        &[get!("Host: a\r\n\r\n")],
    )
    .page("400, closed")
    .haproxy("HAProxy makes one of equal hosts; RFC 9112 wants any second one refused (3.2)"),
    Case::of(
        "two hosts",
        "9112 3.2",
        &[get!("Host: b\r\n\r\n")],
    )
    .page("400, closed"),
    Case::of(
        "a list of hosts",
        "9112 3.2",
        &["GET @T HTTP/1.1\r\nHost: a, b\r\n\r\n"],
    )
    .page("400, closed")
    .haproxy(why::ANY_HOST),
    Case::of(
        "an empty host",
        "9112 3.2",
        &["GET @T HTTP/1.1\r\nHost:\r\n\r\n"],
    )
    .page("200, open; GET T bare")
    .nginx("nginx refuses an empty host; RFC 9112 has it for targets without an authority (3.2)"),
    Case::of(
        "a host with a port",
        "9112 3.2",
        &["GET @T HTTP/1.1\r\nHost: a:8443\r\n\r\n"],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "a host with a port that is none",
        "9112 3.2",
        &["GET @T HTTP/1.1\r\nHost: a:x\r\n\r\n"],
    )
    .page("400, closed")
    .nginx(why::ANY_HOST)
    .haproxy(why::ANY_HOST),
    Case::of(
        "a host with a user",
        "9110 7.2",
        &["GET @T HTTP/1.1\r\nHost: u:p@a\r\n\r\n"],
    )
    .page("400, closed")
    .nginx(why::ANY_HOST)
    .haproxy(why::ANY_HOST),
    Case::of(
        "a host with a path",
        "9110 7.2",
        &["GET @T HTTP/1.1\r\nHost: a/b\r\n\r\n"],
    )
    .page("400, closed")
    .haproxy(why::ANY_HOST),
    Case::of(
        "a host with a blank",
        "9110 7.2",
        &["GET @T HTTP/1.1\r\nHost: a b\r\n\r\n"],
    )
    .page("400, closed")
    .haproxy(why::ANY_HOST),
    Case::of(
        "a host with a query",
        "9110 7.2",
        &["GET @T HTTP/1.1\r\nHost: a?b\r\n\r\n"],
    )
    .page("400, closed")
    .nginx(why::ANY_HOST)
    .haproxy(why::ANY_HOST),
    Case::of(
        "a host with dots",
        "9110 7.2",
        &["GET @T HTTP/1.1\r\nHost: ../a\r\n\r\n"],
    )
    .page("400, closed")
    .haproxy(why::ANY_HOST),
    Case::of(
        "a host in brackets",
        "9110 7.2",
        &["GET @T HTTP/1.1\r\nHost: [::1]\r\n\r\n"],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "a host in broken brackets",
        "9110 7.2",
        &["GET @T HTTP/1.1\r\nHost: [::1\r\n\r\n"],
    )
    .page("400, closed")
    .nginx(why::ANY_HOST)
    .haproxy(why::ANY_HOST),
    Case::of(
        "a host that is not ASCII",
        "9110 7.2",
        &["GET @T HTTP/1.1\r\nHost: é\r\n\r\n"],
    )
    .page("400, closed")
    .nginx(why::ANY_HOST)
    .haproxy(why::ANY_HOST),
    Case::of(
        "a host that Connection names",
        "9110 7.6.1",
        &[get!("Connection: host\r\n\r\n")],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "a close that was asked for",
        "9112 9.6",
        &[get!("Connection: close\r\n\r\n")],
    )
    .page("200, closed; GET T bare"),
    Case::of(
        "a close among others",
        "9112 9.6",
        &[get!("Connection: x, close\r\n\r\n")],
    )
    .page("200, closed; GET T bare"),
    Case::of(
        "a close in capitals",
        "9112 9.6",
        &[get!("Connection: CLOSE\r\n\r\n")],
    )
    .page("200, closed; GET T bare"),
    Case::of(
        "close and keep-alive",
        "9112 9.3",
        &[get!("Connection: close, keep-alive\r\n\r\n")],
    )
    .page("200, closed; GET T bare"),
    Case::of(
        "keep-alive with a time",
        "9112 9.3",
        &[get!("Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n")],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "Proxy-Connection",
        "9112 C.2.2",
        &[get!("Proxy-Connection: close\r\n\r\n")],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "TE",
        "9110 10.1.4",
        &[get!("Connection: TE\r\nTE: trailers, gzip\r\n\r\n")],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "TE that Connection does not name",
        "9110 10.1.4",
        &[get!("TE: gzip\r\n\r\n")],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "Trailer",
        "9110 6.6.2",
        &[post!("Trailer: X-Trailer\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n")],
    )
    .both("200, closed; POST T length hello")
    .nginx(why::TRAILERS_END_IT)
    .haproxy(why::TRAILERS_END_IT),
];
