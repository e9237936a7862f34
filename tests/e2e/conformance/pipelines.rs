//! Several requests in one go, good ones and bad.

use super::case::{Case, get, in_chunks, post};
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "two",
        "9112 9.3.2",
        &["GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200 200, open; GET /first bare; GET T bare"),
    Case::of(
        "three",
        "9112 9.3.2",
        &["GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET @T HTTP/1.1\r\nHost: a\r\n\r\nGET /third HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200 200 200, open; GET /first bare; GET /third bare; GET T bare"),
    Case::of(
        "twenty",
        "9112 9.3.2",
        &["{GET /many HTTP/1.1\r\nHost: a\r\n\r\n*20}"],
    )
    .page("20 times 200, open; 20 times GET /many bare"),
    Case::of(
        "a body and a page",
        "9112 9.3.2",
        &[post!("Content-Length: 5\r\n\r\nhelloGET /third HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("200 200, open; GET /third bare; POST T length hello"),
    Case::of(
        "a page and a body",
        "9112 9.3.2",
        &["GET /first HTTP/1.1\r\nHost: a\r\n\r\nPOST @T HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"],
    )
    .both("200 200, open; GET /first bare; POST T length hello"),
    Case::of(
        "chunks and a page",
        "9112 9.3.2",
        &[in_chunks!("5\r\nhello\r\n0\r\n\r\nGET /third HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("200 200, open; GET /third bare; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "two bodies",
        "9112 9.3.2",
        &[post!("Content-Length: 5\r\n\r\nhelloPOST @T HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nyou")],
    )
    .both("200 200, open; POST T length hello; POST T length you"),
    Case::of(
        "a blank line between two",
        "9112 9.3.2",
        &[post!("Content-Length: 5\r\n\r\nhello\r\nGET /third HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("200 200, open; GET /third bare; POST T length hello"),
    Case::of(
        "the second in pieces",
        "9112 9.3.2",
        &["GET /first HTTP/1.1\r\nHost: a\r\n\r\nGE", "T @T HTTP/1.1\r\nHo", "st: a\r\n\r\n"],
    )
    .page("200 200, open; GET /first bare; GET T bare"),
    Case::of(
        "a HEAD and a page",
        "9112 9.3.2",
        &["HEAD @T HTTP/1.1\r\nHost: a\r\n\r\nGET /third HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200 200, open; GET /third bare; HEAD T bare"),
    Case::of(
        "the first closes",
        "9112 9.6",
        &[get!("Connection: close\r\n\r\nGET /third HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .page("200, closed; GET T bare"),
    Case::of(
        "the second of three is no request",
        "9112 9.3.2",
        &["GET /first HTTP/1.1\r\nHost: a\r\n\r\nBAD\r\n\r\nGET /third HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200 400, closed; GET /first bare"),
    Case::of(
        "the second of three has two lengths",
        "9112 9.3.2",
        &["GET /first HTTP/1.1\r\nHost: a\r\n\r\nPOST @T HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhelloGET /third HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .both("200 400, closed; GET /first bare"),
    Case::of(
        "the second of three has two framings",
        "9112 9.3.2",
        &["GET /first HTTP/1.1\r\nHost: a\r\n\r\nPOST @T HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\nGET /third HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .both("200 200, closed; GET /first bare; POST T bare")
    .nginx("nginx refuses both at once wherever they stand; here a length that the parser has dropped unseen ends the connection behind the answer")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "the second of three has no host",
        "9112 9.3.2",
        &["GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET @T HTTP/1.1\r\n\r\nGET /third HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200 400, closed; GET /first bare")
    .haproxy("HAProxy leaves it to its upstream to ask for a host"),
    Case::of(
        "the second of three has a broken chunk",
        "9112 9.3.2",
        &["GET /first HTTP/1.1\r\nHost: a\r\n\r\nPOST @T HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\nGET /third HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .both("200 400, closed; GET /first bare"),
    Case::of(
        "the second of three has a folded field",
        "9112 9.3.2",
        &["GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET @T HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\nGET /third HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("200 400, closed; GET /first bare")
    .haproxy(why::FOLDS),
    Case::of(
        "garbage behind a page",
        "9112 9.3.2",
        &[get!("\r\n\0\x01\x02\r\n\r\n")],
    )
    .page("200 400, closed; GET T bare"),
    Case::of(
        "bytes behind a body",
        "9112 9.3.2",
        &[post!("Content-Length: 5\r\n\r\nhelloxx")],
    )
    .both("200, open; POST T length hello")
    .nginx("nginx refuses a request as soon as its first word can be none; here a head is read once it is whole"),
    Case::of(
        "an event without a key and a page",
        "9112 9.3.2",
        &["POST /api/42/store/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("401 200, open; GET T bare")
    .nginx(why::NO_GUARD)
    .haproxy(why::NO_GUARD),
    Case::of(
        "an event without a key, in chunks, and a page",
        "9112 9.3.2",
        &["POST /api/42/store/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("401 200, open; GET T bare")
    .nginx(why::NO_GUARD)
    .haproxy(why::NO_GUARD),
    Case::of(
        "an event without a key, in chunks with a trailer, and a page",
        "9112 9.3.2",
        &["POST /api/42/store/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: 1\n\r\nGET @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("401, open")
    .nginx(why::NO_GUARD)
    .haproxy(why::NO_GUARD),
    Case::of(
        "an event by GET and a page",
        "9112 9.3.2",
        &["GET /api/42/envelope/ HTTP/1.1\r\nHost: a\r\n\r\nGET @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("405 200, open; GET T bare")
    .nginx(why::NO_GUARD)
    .haproxy(why::NO_GUARD),
    Case::of(
        "a large event without a key and a page",
        "9112 9.3.2",
        &["POST /api/42/store/ HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n{x*300000}GET @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("401, closed")
    .nginx(why::NO_GUARD)
    .haproxy(why::NO_GUARD),
    Case::of(
        "a path of Relays and a page",
        "9112 9.3.2",
        &["POST /api/relay/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET @T HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .page("404 200, open; GET T bare")
    .nginx(why::NO_GUARD)
    .haproxy(why::NO_GUARD),
];
