//! How a `Content-Length` is read.

use super::case::{Case, get, post};
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "a length",
        "9110 8.6",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .both("200, open; POST T length hello"),
    Case::of(
        "no length and no body",
        "9112 6.2",
        &[post!("\r\n")],
    )
    .both("200, open; POST T bare"),
    Case::of(
        "a length of nothing",
        "9110 8.6",
        &[post!("Content-Length: 0\r\n\r\n")],
    )
    .both("200, open; POST T length "),
    Case::of(
        "the same length on two lines",
        "9110 8.6",
        &[post!("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello")],
    )
    .both("200, open; POST T length hello")
    .nginx("nginx allows one length a request, however often it says the same"),
    Case::of(
        "two lengths",
        "9110 8.6",
        &[post!("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhelloGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "nothing and a length",
        "9110 8.6",
        &[post!("Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello")],
    )
    .both("400, closed"),
    Case::of(
        "a list of equal lengths",
        "9110 8.6",
        &[post!("Content-Length: 5, 5\r\n\r\nhello")],
    )
    .both("400, closed")
    .haproxy("HAProxy makes one of equal lengths, as it may (RFC 9110, 8.6)"),
    Case::of(
        "a list of lengths",
        "9110 8.6",
        &[post!("Content-Length: 5, 6\r\n\r\nhelloGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a list that ends in a comma",
        "9110 8.6",
        &[post!("Content-Length: 5,\r\n\r\nhello")],
    )
    .both("400, closed"),
    Case::of(
        "a signed length",
        "9110 8.6",
        &[post!("Content-Length: +5\r\n\r\nhello")],
    )
    .both("400, closed"),
    Case::of(
        "a negative length",
        "9110 8.6",
        &[post!("Content-Length: -5\r\n\r\nhello")],
    )
    .both("400, closed"),
    Case::of(
        "a length in hex",
        "9110 8.6",
        &[post!("Content-Length: 0x5\r\n\r\nhello")],
    )
    .both("400, closed"),
    Case::of(
        "a length with a fraction",
        "9110 8.6",
        &[post!("Content-Length: 5.0\r\n\r\nhello")],
    )
    .both("400, closed"),
    Case::of(
        "a length with a letter behind it",
        "9110 8.6",
        &[post!("Content-Length: 5a\r\n\r\nhello")],
    )
    .both("400, closed"),
    Case::of(
        "a length with a parameter",
        "9110 8.6",
        &[post!("Content-Length: 5;x\r\n\r\nhello")],
    )
    .both("400, closed"),
    Case::of(
        "digits that are not ASCII",
        "9110 8.6",
        &[post!("Content-Length: ５\r\n\r\nhello")],
    )
    .both("400, closed"),
    Case::of(
        "zeros before a length",
        "9110 8.6",
        &[post!("Content-Length: 0005\r\n\r\nhello")],
    )
    .both("200, open; POST T length hello"),
    Case::of(
        "blanks around a length",
        "9112 5.1",
        &[post!("Content-Length:    5  \r\n\r\nhello")],
    )
    .both("200, open; POST T length hello"),
    Case::of(
        "a tab before a length",
        "9112 5.1",
        &[post!("Content-Length: \t5\r\n\r\nhello")],
    )
    .both("200, open; POST T length hello")
    .nginx("nginx takes blanks for blanks, and tabs for part of a value"),
    Case::of(
        "a blank inside a length",
        "9110 8.6",
        &[post!("Content-Length: 5 0\r\n\r\nhello")],
    )
    .both("400, closed"),
    Case::of(
        "a length without digits",
        "9110 8.6",
        &[post!("Content-Length: \r\n\r\nhello")],
    )
    .both("400, closed"),
    Case::of(
        "a length beyond 64 bits",
        "9110 8.6",
        &[post!("Content-Length: 99999999999999999999999\r\n\r\nhello")],
    )
    .both("400, closed"),
    Case::of(
        "a length of 2^64 - 1",
        "9110 8.6",
        &[post!("Content-Length: 18446744073709551615\r\n\r\nhello")],
    )
    .both("431, closed")
    .haproxy("HAProxy waits for as much as was announced; no limit of a body is set there"),
    Case::of(
        "a length of 2^63",
        "9110 8.6",
        &[post!("Content-Length: 9223372036854775808\r\n\r\nhello")],
    )
    .both("413, closed"),
    Case::of(
        "a length over the limit of bodies",
        "9110 15.5.14",
        &[post!("Content-Length: 9999999999\r\n\r\nhello")],
    )
    .both("413, closed")
    .nginx("nginx keeps the connection, and reads what is refused to its end; here it closes")
    .haproxy("HAProxy waits for as much as was announced; no limit of a body is set there"),
    Case::of(
        "a body that stops before its length",
        "9112 6.2",
        &[post!("Content-Length: 10\r\n\r\nhello")],
    )
    .both("silence, open")
    .haproxy(why::PASSED_ON_AT_ONCE),
    Case::of(
        "a request behind its length",
        "9112 6.2",
        &[post!("Content-Length: 5\r\n\r\nhelloGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("200 200, open; GET /smuggled bare; POST T length hello"),
    Case::of(
        "a length under a name with an underscore",
        "9110 5.1",
        &[post!("Content_Length: 5\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("200 200, open; GET /smuggled bare; POST T bare"),
    Case::of(
        "a length that Connection names",
        "9110 7.6.1",
        &[post!("Connection: content-length\r\nContent-Length: 5\r\n\r\nhello")],
    )
    .both("200, open; POST T length hello"),
    Case::of(
        "a GET with a body",
        "9110 9.3.1",
        &[get!("Content-Length: 5\r\n\r\nhello")],
    )
    .page("200, open; GET T length hello"),
    Case::of(
        "a GET with a body that nobody announced",
        "9112 6.2",
        &[get!("\r\nhello")],
    )
    .page("200, open; GET T bare")
    .nginx("nginx refuses a request as soon as its first word can be none; here a head is read once it is whole"),
    Case::of(
        "a body in three pieces",
        "9112 6.2",
        &[post!("Content-Length: 5\r\n\r\nhe"), "ll", "o"],
    )
    .both("200, open; POST T length hello"),
];
