//! How much a head may be.

use super::case::{Case, get, post};
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "a target of 8000 bytes",
        "9112 3",
        &["GET /{x*7999} HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET (8000 bytes) bare"),
    Case::of(
        "a target of 9000 bytes",
        "9112 3",
        &["GET /{x*8999} HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET (9000 bytes) bare")
    .nginx(why::HEAD_BUFFERS),
    Case::of(
        "a target of 60000 bytes",
        "9112 3",
        &["GET /{x*59999} HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET (60000 bytes) bare")
    .nginx(why::HEAD_BUFFERS)
    .haproxy(why::HEAD_BUFFERS),
    Case::of(
        "a target of 65530 bytes",
        "9112 3",
        &["GET /{x*65529} HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("431, open")
    .nginx(why::HEAD_BUFFERS)
    .haproxy(why::HEAD_BUFFERS),
    Case::of(
        "a target of 70000 bytes",
        "9112 3",
        &["GET /{x*69999} HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("414, closed"),
    Case::of("a target without an end", "9112 3", &["GET /{x*200000}"]).page("431, closed"),
    Case::of(
        "a field of 8000 bytes",
        "9110 5.4",
        &[get!("X: {x*7990}\r\n\r\n")],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "a field of 9000 bytes",
        "9110 5.4",
        &[get!("X: {x*8990}\r\n\r\n")],
    )
    .page("200, open; GET T bare")
    .nginx(why::HEAD_BUFFERS),
    Case::of(
        "a field of 15000 bytes",
        "9110 5.4",
        &[get!("X: {x*14990}\r\n\r\n")],
    )
    .page("200, open; GET T bare")
    .nginx(why::HEAD_BUFFERS),
    Case::of(
        "a field of 60000 bytes",
        "9110 5.4",
        &[get!("X: {x*59990}\r\n\r\n")],
    )
    .page("200, open; GET T bare")
    .nginx(why::HEAD_BUFFERS)
    .haproxy(why::HEAD_BUFFERS),
    Case::of(
        "a field of 66000 bytes",
        "9110 5.4",
        &[get!("X: {x*65990}\r\n\r\n")],
    )
    .page("431, open")
    .nginx(why::HEAD_BUFFERS)
    .haproxy(why::HEAD_BUFFERS),
    Case::of(
        "a field of 66000 bytes in pieces",
        "9110 5.4",
        &[get!("X: {x*30000}"), "{x*30000}", "{x*6000}\r\n\r\n"],
    )
    .page("431, open")
    .nginx(why::HEAD_BUFFERS)
    .haproxy(why::HEAD_BUFFERS),
    Case::of(
        "a field without an end",
        "9110 5.4",
        &[get!("X: {x*200000}")],
    )
    .page("431, closed"),
    Case::of(
        "a name of 8000 bytes",
        "9110 5.4",
        &[get!("{x*8000}: 1\r\n\r\n")],
    )
    .page("200, open; GET T bare")
    .haproxy(why::HEAD_BUFFERS),
    Case::of(
        "a name of 70000 bytes",
        "9110 5.4",
        &[get!("{x*70000}: 1\r\n\r\n")],
    )
    .page("431, closed"),
    Case::of(
        "a hundred fields",
        "9110 5.4",
        &[post!("Content-Length: 5\r\n{X: 1\r\n*98}\r\nhello")],
    )
    .both("200, open; POST T length hello"),
    Case::of(
        "a hundred and one fields",
        "9110 5.4",
        &[post!("Content-Length: 5\r\n{X: 1\r\n*99}\r\nhello")],
    )
    .both("431, closed")
    .nginx(why::HUNDRED_FIELDS),
    Case::of(
        "a hundred and two fields",
        "9110 5.4",
        &[post!("Content-Length: 5\r\n{X: 1\r\n*100}\r\nhello")],
    )
    .both("431, closed")
    .nginx(why::HUNDRED_FIELDS),
    Case::of(
        "a thousand fields",
        "9110 5.4",
        &[get!("{X: 1\r\n*999}\r\n")],
    )
    .page("431, closed")
    .nginx(why::HUNDRED_FIELDS),
    Case::of(
        "a method of 1000 bytes",
        "9112 3.1",
        &["{X*1000} @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; (1000 bytes) T bare"),
];
