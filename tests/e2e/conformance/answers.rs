//! Answers of an upstream, and where they end.

use super::case::{Case, get, post};
use super::recorder::Reply;
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "an answer in chunks",
        "9112 7.1",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")])
    .both("200, open; POST T length hello"),
    Case::of(
        "an answer up to its connection's end",
        "9112 6.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\n\r\nok")])
    .both("200, open; POST T length hello")
    .haproxy("HAProxy ends its client's connection with the upstream's; here the body goes in chunks, and the connection stays"),
    Case::of(
        "100 before an answer",
        "9110 15.2",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")])
    .both("200, open; POST T length hello")
    .nginx(why::INTERIM_UNKNOWN)
    .haproxy(why::INTERIM_PASSES),
    Case::of(
        "102 before an answer",
        "2518 10.1",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")])
    .both("200, open; POST T length hello")
    .nginx(why::INTERIM_UNKNOWN)
    .haproxy(why::INTERIM_PASSES),
    Case::of(
        "103 before an answer",
        "8297 2",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")])
    .both("200, open; POST T length hello")
    .nginx(why::INTERIM_UNKNOWN)
    .haproxy(why::INTERIM_PASSES),
    Case::of(
        "forty times 100 before an answer",
        "9110 15.2",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("{HTTP/1.1 100 Continue\r\n\r\n*40}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::INTERIM_UNKNOWN)
    .haproxy("HAProxy hands any number of 1xx on; here an upstream that never comes to its answer has failed"),
    Case::of(
        "100 and no answer",
        "9110 15.2",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 100 Continue\r\n\r\n")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::INTERIM_UNKNOWN)
    .haproxy(why::INTERIM_PASSES),
    Case::of(
        "204",
        "9110 15.3.5",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 204 No Content\r\n\r\n")])
    .both("204, open; POST T length hello"),
    Case::of(
        "204 with a length of nothing",
        "9110 8.6",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")])
    .both("204, open; POST T length hello"),
    Case::of(
        "204 with a body",
        "9110 8.6",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok")])
    .both("204, open; POST T length hello"),
    Case::of(
        "204 in chunks",
        "9112 6.1",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")])
    .both("204, open; POST T length hello"),
    Case::of(
        "205 with a body",
        "9110 15.3.6",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nok")])
    .both("205, open; POST T length hello"),
    Case::of(
        "304",
        "9110 15.4.5",
        &[get!("\r\n")],
    )
    .told(&[Reply::of("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n")])
    .page("304, open; GET T bare"),
    Case::of(
        "304 with a body",
        "9110 15.4.5",
        &[get!("\r\n")],
    )
    .told(&[Reply::of("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok")])
    .page("304, open; GET T bare"),
    Case::of(
        "HEAD",
        "9110 9.3.2",
        &["HEAD @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")])
    .page("200, open; HEAD T bare"),
    Case::of(
        "HEAD with a body",
        "9110 9.3.2",
        &["HEAD @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")])
    .page("200, open; HEAD T bare"),
    Case::of(
        "HEAD in chunks",
        "9110 9.3.2",
        &["HEAD @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")])
    .page("200, open; HEAD T bare"),
    Case::of(
        "HEAD without a length",
        "9110 9.3.2",
        &["HEAD @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\n\r\n")])
    .page("200, open; HEAD T bare"),
    Case::of(
        "an answer with the same length twice",
        "9110 8.6",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok")])
    .both("200, open; POST T length hello"),
    Case::of(
        "an answer with two lengths",
        "9112 6.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::ANSWER_GUESSED),
    Case::of(
        "an answer with a list of lengths",
        "9112 6.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok")])
    .both("200, open; POST T length hello")
    .nginx("nginx reads no number in a list, and waits for the connection's end; equal lengths are one (RFC 9110, 8.6)"),
    Case::of(
        "an answer with a length that is none",
        "9112 6.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::ANSWER_GUESSED),
    Case::of(
        "an answer with a negative length",
        "9112 6.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::ANSWER_GUESSED),
    Case::of(
        "an answer with a length and chunks",
        "9112 6.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::ANSWER_GUESSED)
    .haproxy(why::ANSWER_GUESSED),
    Case::of(
        "an answer that is chunked twice",
        "9112 6.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::ANSWER_GUESSED),
    Case::of(
        "an answer in gzip and chunks",
        "9112 6.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::ANSWER_GUESSED),
    Case::of(
        "an answer in identity",
        "9112 6.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::ANSWER_GUESSED),
    Case::of(
        "an answer in chunks by HTTP/1.0",
        "9112 6.1",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::ANSWER_GUESSED)
    .haproxy(why::ANSWER_GUESSED),
    Case::of(
        "an answer by HTTP/1.0",
        "9112 2.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.0 200 OK\r\n\r\nok")])
    .both("200, open; POST T length hello")
    .haproxy("HAProxy ends its client's connection with the upstream's; here the body goes in chunks, and the connection stays"),
    Case::of(
        "an answer by HTTP/1.2",
        "9112 2.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::ANSWER_TAKEN)
    .haproxy(why::ANSWER_TAKEN),
    Case::of(
        "an answer by HTTP/2.0",
        "9112 2.3",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx(why::ANSWER_TAKEN)
    .haproxy(why::ANSWER_TAKEN),
    Case::of(
        "an answer with an extension",
        "9112 7.1.1",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n")])
    .both("200, open; POST T length hello"),
    Case::of(
        "an answer with trailers",
        "9112 7.1.2",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nok\r\n0\r\nX: 1\r\n\r\n")])
    .both("200, open; POST T length hello"),
    Case::of(
        "an answer that closes",
        "9112 9.6",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::last("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")])
    .both("200, open; POST T length hello"),
    Case::of(
        "an answer without a reason",
        "9112 4",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok")])
    .both("200, open; POST T length hello"),
    Case::of(
        "an answer with status 600",
        "9110 15",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\nok")])
    .both("600, open; POST T length hello"),
    Case::of(
        "an answer with a field of 20 KB",
        "9110 5.4",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nX: {x*20000}\r\nContent-Length: 2\r\n\r\nok")])
    .both("200, open; POST T length hello")
    .haproxy(why::ANSWER_BUFFERS),
    Case::of(
        "an answer with a field of 200 KB",
        "9110 5.4",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\nX: {x*200000}\r\nContent-Length: 2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("200, open; POST T length hello")
    .nginx(why::ANSWER_BUFFERS)
    .haproxy(why::ANSWER_BUFFERS),
    Case::of(
        "an answer with 200 fields",
        "9110 5.4",
        &[post!("Content-Length: 5\r\n\r\nhello")],
    )
    .told(&[Reply::of("HTTP/1.1 200 OK\r\n{X: 1\r\n*200}Content-Length: 2\r\n\r\nok")])
    .event("503, open; POST T length hello")
    .page("502, open; POST T length hello")
    .nginx("nginx counts no fields; here an answer with more than a hundred is a failure, as at HAProxy"),
];
