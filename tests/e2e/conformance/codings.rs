//! How a `Transfer-Encoding` is read, alone and beside a length.

use super::case::{Case, get, in_chunks, post};
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "chunked",
        "9112 6.1",
        &[in_chunks!("5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "chunked in capitals",
        "9112 7",
        &[post!("Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "chunked for a GET",
        "9112 6.1",
        &[get!("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .page("200, open; GET T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "chunks and a length",
        "9112 6.3",
        &[post!("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("400, closed")
    .haproxy(why::CHUNKS_WIN),
    Case::of(
        "a length and chunks",
        "9112 6.3",
        &[post!("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("400, closed")
    .haproxy(why::CHUNKS_WIN),
    Case::of(
        "a length and chunks behind a blank line",
        "9112 6.3",
        &["\r\nPOST @T HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .both("400, closed")
    .haproxy(why::CHUNKS_WIN),
    Case::of(
        "a length and chunks with bare line feeds",
        "9112 6.3",
        &["POST @T HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .both("400, closed")
    .haproxy(why::CHUNKS_WIN),
    Case::of(
        "a length far behind chunks",
        "9112 6.3",
        &[post!("Transfer-Encoding: chunked\r\nX-Far: {x*7000}\r\nX-Further: {x*3000}\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("200, closed; POST T bare")
    .nginx("nginx refuses both at once wherever they stand; here a length that the parser has dropped unseen ends the connection behind the answer")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "a length and chunks in a second request",
        "9112 6.3",
        &["GET /first HTTP/1.1\r\nHost: a\r\n\r\nPOST @T HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .both("200 200, closed; GET /first bare; POST T bare")
    .nginx("nginx refuses both at once wherever they stand; here a length that the parser has dropped unseen ends the connection behind the answer")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "a length that is none, and chunks",
        "9112 6.3",
        &[post!("Content-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "chunks, and a length that is none",
        "9112 6.3",
        &[post!("Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a body that speaks of a length",
        "9112 6",
        &[in_chunks!("17\r\n\r\nContent-Length: 5\r\n\r\n\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length \\r\\nContent-Length: 5\\r\\n\\r\\n")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "chunked twice in a list",
        "9112 6.3",
        &[post!("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "chunked on two lines",
        "9112 6.3",
        &[post!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "gzip on one line and chunked on the next",
        "9112 6.3",
        &[post!("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "chunked on one line and identity on the next",
        "9112 6.3",
        &[post!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "gzip before chunked",
        "9112 6.1",
        &[post!("Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "chunked before gzip",
        "9112 6.3",
        &[post!("Transfer-Encoding: chunked, gzip\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "gzip",
        "9112 6.3",
        &[post!("Transfer-Encoding: gzip\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "identity",
        "9112 6.3",
        &[post!("Transfer-Encoding: identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "identity with a length",
        "9112 6.3",
        &[post!("Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "identity before chunked",
        "9112 6.3",
        &[post!("Transfer-Encoding: identity, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "a coding that is none",
        "9112 6.3",
        &[post!("Transfer-Encoding: cow\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "almost chunked",
        "9112 6.3",
        &[post!("Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "chunked with a parameter",
        "9112 7",
        &[post!("Transfer-Encoding: chunked;q=1\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "chunked in quotes",
        "9112 7",
        &[post!("Transfer-Encoding: \"chunked\"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "a comma before chunked",
        "9110 5.6.1",
        &[post!("Transfer-Encoding: , chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "a comma behind chunked",
        "9110 5.6.1",
        &[post!("Transfer-Encoding: chunked,\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING)
    .haproxy("HAProxy passes the comma on, and leaves its upstream to read it"),
    Case::of(
        "a tab before chunked",
        "9112 5.1",
        &[post!("Transfer-Encoding: \tchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .nginx("nginx takes blanks for blanks, and tabs for part of a coding")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "a vertical tab before chunked",
        "9110 5.5",
        &[post!("Transfer-Encoding: \x0bchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "a blank behind chunked",
        "9112 5.1",
        &[post!("Transfer-Encoding: chunked \r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "a tab behind chunked",
        "9112 5.1",
        &[post!("Transfer-Encoding: chunked\t\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .nginx("nginx takes blanks for blanks, and tabs for part of a coding")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "a NUL behind chunked",
        "9110 5.5",
        &[post!("Transfer-Encoding: chunked\0\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "no coding, and a length",
        "9112 6.3",
        &[post!("Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello")],
    )
    .both("400, closed")
    .nginx(why::UNKNOWN_CODING),
    Case::of(
        "a blank before the colon",
        "9112 5.1",
        &[post!("Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "chunked on a folded line",
        "9112 5.2",
        &[post!("Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("400, closed")
    .haproxy(why::FOLDS),
    Case::of(
        "chunked under a name with an underscore",
        "9110 5.1",
        &[post!("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello")],
    )
    .both("200, open; POST T length hello"),
    Case::of(
        "chunked behind a bare line feed",
        "9112 2.2",
        &[post!("X: a\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .both("400, closed")
    .haproxy(why::CHUNKS_WIN),
    Case::of(
        "chunked behind a bare carriage return",
        "9112 2.2",
        &[post!("X: a\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello")],
    )
    .both("400, closed"),
    Case::of(
        "chunked that Connection names",
        "9110 7.6.1",
        &[post!("Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "chunked in HTTP/1.0",
        "9112 6.1",
        &["POST @T HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .both("400, closed")
    .haproxy("HAProxy passes chunks on in HTTP/1.0, which knows none"),
    Case::of(
        "chunked and a length in HTTP/1.0",
        "9112 6.1",
        &["POST @T HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"],
    )
    .both("400, closed")
    .haproxy("HAProxy passes chunks on in HTTP/1.0, which knows none"),
];
