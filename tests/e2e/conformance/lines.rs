//! How a head falls into lines, names and values, and which versions are spoken.

use super::case::{Case, get, post};
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "a blank line before a request",
        "9112 2.2",
        &["\r\nGET @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "ten blank lines before a request",
        "9112 2.2",
        &["{\r\n*10}GET @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "a bare line feed before a request",
        "9112 2.2",
        &["\nGET @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "a blank before a request",
        "9112 3",
        &[" GET @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed"),
    Case::of(
        "a head in pieces",
        "9112 2.2",
        &["GE", "T @T HT", "TP/1.1\r", "\nHost", ": a\r\n\r", "\n"],
    )
    .page("200, open; GET T bare"),
    Case::of("a head without its end", "9112 2.2", &[get!("")]).page("silence, open"),
    Case::of(
        "bare line feeds in a head",
        "9112 2.2",
        &["POST @T HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello"],
    )
    .both("200, open; POST T length hello"),
    Case::of(
        "one bare line feed in a head",
        "9112 2.2",
        &["GET @T HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n"],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "a head that ends with bare line feeds",
        "9112 2.2",
        &["GET @T HTTP/1.1\r\nHost: a\n\n"],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "bare carriage returns in a head",
        "9112 2.2",
        &["GET @T HTTP/1.1\rHost: a\r\r"],
    )
    .page("400, closed"),
    Case::of(
        "a bare carriage return in a value",
        "9112 2.2",
        &[get!("X: a\rb\r\n\r\n")],
    )
    .page("400, closed"),
    Case::of(
        "a bare carriage return before a length",
        "9112 2.2",
        &[post!("X: a\rContent-Length: 5\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a bare carriage return in a first line",
        "9112 2.2",
        &["GET @T\r HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed"),
    Case::of(
        "two carriage returns behind a field",
        "9112 2.2",
        &["GET @T HTTP/1.1\r\nHost: a\r\r\n\r\n"],
    )
    .page("400, closed")
    .nginx("nginx forgives a second carriage return behind a line"),
    Case::of("a folded field", "9112 5.2", &[get!("X: a\r\n b\r\n\r\n")])
        .page("400, closed")
        .haproxy(why::FOLDS),
    Case::of(
        "a field folded by a tab",
        "9112 5.2",
        &[get!("X: a\r\n\tb\r\n\r\n")],
    )
    .page("400, closed")
    .haproxy(why::FOLDS),
    Case::of(
        "a fold before the first field",
        "9112 2.2",
        &["GET @T HTTP/1.1\r\n Host: a\r\n\r\n"],
    )
    .page("400, closed"),
    Case::of(
        "a fold of nothing but blanks",
        "9112 5.2",
        &[get!("X: a\r\n  \r\n\r\n")],
    )
    .page("400, closed")
    .haproxy(why::FOLDS),
    Case::of(
        "a folded length",
        "9112 5.2",
        &[post!("Content-Length:\r\n 5\r\n\r\nhello")],
    )
    .both("400, closed")
    .haproxy(why::FOLDS),
    Case::of(
        "a blank before a colon",
        "9112 5.1",
        &[get!("X : a\r\n\r\n")],
    )
    .page("400, closed"),
    Case::of(
        "a tab before a colon",
        "9112 5.1",
        &[get!("X\t: a\r\n\r\n")],
    )
    .page("400, closed"),
    Case::of("a field without a name", "9112 5", &[get!(": a\r\n\r\n")]).page("400, closed"),
    Case::of("a field without a colon", "9112 5", &[get!("X\r\n\r\n")])
        .page("400, closed")
        .nginx(why::NAMES_UNREAD),
    Case::of("a field without a value", "9110 5.5", &[get!("X:\r\n\r\n")])
        .page("200, open; GET T bare"),
    Case::of(
        "a name with a bracket",
        "9110 5.1",
        &[get!("X(y): a\r\n\r\n")],
    )
    .page("400, closed")
    .nginx(why::NAMES_UNREAD),
    Case::of("a name with a blank", "9110 5.1", &[get!("X y: a\r\n\r\n")]).page("400, closed"),
    Case::of(
        "a name with an underscore",
        "9110 5.1",
        &[get!("X_y: a\r\n\r\n")],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "a name that is not ASCII",
        "9110 5.1",
        &[get!("Xé: a\r\n\r\n")],
    )
    .page("400, closed")
    .nginx(why::NAMES_UNREAD),
    Case::of("a name with a NUL", "9110 5.1", &[get!("X\0: a\r\n\r\n")]).page("400, closed"),
    Case::of(
        "a value that is not ASCII",
        "9110 5.5",
        &[get!("X: é\r\n\r\n")],
    )
    .page("200, open; GET T bare"),
    Case::of("a NUL in a value", "9110 5.5", &[get!("X: a\0b\r\n\r\n")])
        .page("400, closed")
        .haproxy(why::CONTROLS_PASS),
    Case::of("a DEL in a value", "9110 5.5", &[get!("X: a\x7fb\r\n\r\n")])
        .page("400, closed")
        .nginx(why::CONTROLS_PASS)
        .haproxy(why::CONTROLS_PASS),
    Case::of(
        "a control in a value",
        "9110 5.5",
        &[get!("X: a\x01b\r\n\r\n")],
    )
    .page("400, closed")
    .nginx(why::CONTROLS_PASS)
    .haproxy(why::CONTROLS_PASS),
    Case::of(
        "two blanks in a first line",
        "9112 3",
        &["GET  @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed")
    .nginx(why::FIRST_LINE_FORGIVEN)
    .haproxy(why::FIRST_LINE_FORGIVEN),
    Case::of(
        "a tab in a first line",
        "9112 3",
        &["GET\t@T\tHTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed")
    .haproxy(why::FIRST_LINE_FORGIVEN),
    Case::of(
        "a form feed in a first line",
        "9112 3",
        &["GET\x0c@T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed"),
    Case::of(
        "a blank behind a first line",
        "9112 3",
        &["GET @T HTTP/1.1 \r\nHost: a\r\n\r\n"],
    )
    .page("400, closed")
    .nginx(why::FIRST_LINE_FORGIVEN),
    Case::of("no method", "9112 3", &[" @T HTTP/1.1\r\nHost: a\r\n\r\n"]).page("400, closed"),
    Case::of("HTTP/0.9", "9112 2.3", &["GET @T\r\n\r\n"])
        .page("400, closed")
        .nginx("nginx speaks HTTP/0.9, and gives its upstream no host"),
    Case::of(
        "HTTP/0.9, so written",
        "9112 2.3",
        &["GET @T HTTP/0.9\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed")
    .haproxy("HAProxy passes versions on that nobody speaks"),
    Case::of(
        "HTTP/1.0",
        "9112 2.3",
        &["GET @T HTTP/1.0\r\nHost: a\r\n\r\n"],
    )
    .page("200, closed; GET T bare"),
    Case::of(
        "HTTP/1.0 kept alive",
        "9112 9.3",
        &["GET @T HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "HTTP/1.0 with a length",
        "9112 6.3",
        &["POST @T HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"],
    )
    .both("200, closed; POST T length hello"),
    Case::of(
        "HTTP/1.2",
        "9112 2.3",
        &["GET @T HTTP/1.2\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed")
    .nginx(why::LATER_VERSIONS)
    .haproxy(why::LATER_VERSIONS),
    Case::of(
        "HTTP/1.10",
        "9112 2.3",
        &["GET @T HTTP/1.10\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed")
    .nginx(why::LATER_VERSIONS),
    Case::of(
        "HTTP/2.0 in a first line",
        "9112 2.3",
        &["GET @T HTTP/2.0\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed")
    .nginx("nginx answers 505 to a version that it does not speak; here such a line is none")
    .haproxy(why::LATER_VERSIONS),
    Case::of(
        "HTTP/3.0 in a first line",
        "9112 2.3",
        &["GET @T HTTP/3.0\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed")
    .nginx("nginx answers 505 to a version that it does not speak; here such a line is none")
    .haproxy(why::LATER_VERSIONS),
    Case::of(
        "a version in small letters",
        "9112 2.3",
        &["GET @T http/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed"),
    Case::of(
        "another protocol's version",
        "9112 2.3",
        &["GET @T ICY/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed"),
    Case::of(
        "a letter behind a version",
        "9112 2.3",
        &["GET @T HTTP/1.1x\r\nHost: a\r\n\r\n"],
    )
    .page("400, closed"),
    Case::of(
        "HTTP/2's preface with other words",
        "9113 3.4",
        &["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"],
    )
    .page("400, closed"),
    Case::of(
        "a handshake of TLS",
        "9112 3",
        &["\x16\x03\x01\x02\0\x01\0\x01\x08\x03\x03{x*32}\r\n\r\n"],
    )
    .page("400, closed"),
];
