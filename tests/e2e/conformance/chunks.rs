//! How chunks, their extensions and their trailers are read.

use super::case::{Case, in_chunks};
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "two chunks",
        "9112 7.1",
        &[in_chunks!("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of("no chunk", "9112 7.1", &[in_chunks!("0\r\n\r\n")])
        .both("200, open; POST T bare")
        .nginx(why::LENGTH_OF_NOTHING)
        .haproxy(why::CHUNKS_STAY),
    Case::of(
        "chunks in pieces",
        "9112 7.1",
        &[
            in_chunks!(""),
            "5",
            "\r",
            "\nhel",
            "lo\r",
            "\n0\r\n\r",
            "\n",
        ],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "a size in small hex",
        "9112 7.1",
        &[in_chunks!("a\r\n0123456789\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length 0123456789")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "a size in large hex",
        "9112 7.1",
        &[in_chunks!("A\r\n0123456789\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length 0123456789")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "zeros before a size",
        "9112 7.1",
        &[in_chunks!("0005\r\nhello\r\n000\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "forty zeros before a size",
        "9112 7.1",
        &[in_chunks!("{0*40}5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "a size beyond 64 bits",
        "9112 7.1",
        &[in_chunks!("fffffffffffffffff\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a size that wraps to five",
        "9112 7.1",
        &[in_chunks!("10000000000000005\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a size of 2^64 - 1",
        "9112 7.1",
        &[in_chunks!("ffffffffffffffff\r\nhello\r\n0\r\n\r\n")],
    )
    .both("silence, open")
    .nginx(why::SIZES_AT_A_GLANCE)
    .haproxy(why::SIZES_AT_A_GLANCE),
    Case::of(
        "a size of 2^63",
        "9112 7.1",
        &[in_chunks!("8000000000000000\r\nhello\r\n0\r\n\r\n")],
    )
    .both("silence, open")
    .nginx(why::SIZES_AT_A_GLANCE)
    .haproxy(why::SIZES_AT_A_GLANCE),
    Case::of(
        "a negative size",
        "9112 7.1",
        &[in_chunks!("-5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a signed size",
        "9112 7.1",
        &[in_chunks!("+5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a size with 0x",
        "9112 7.1",
        &[in_chunks!("0x5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "no size",
        "9112 7.1",
        &[in_chunks!("\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a size that is none",
        "9112 7.1",
        &[in_chunks!("zz\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a blank before a size",
        "9112 7.1",
        &[in_chunks!(" 5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a blank behind a size",
        "9112 7.1",
        &[in_chunks!("5 \r\nhello\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "a blank inside a size",
        "9112 7.1",
        &[in_chunks!("5 5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx("nginx skips blanks inside a size, and takes the first of two; here a size is digits"),
    Case::of(
        "an underscore inside a size",
        "9112 7.1",
        &[in_chunks!("0_5\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a bare line feed behind a size",
        "9112 7.1",
        &[in_chunks!("5\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::BARE_LINE_FEEDS)
    .haproxy(why::BARE_LINE_FEEDS),
    Case::of(
        "a bare carriage return behind a size",
        "9112 7.1",
        &[in_chunks!("5\rhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "two carriage returns behind a size",
        "9112 7.1",
        &[in_chunks!("5\r\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a bare line feed behind a chunk",
        "9112 7.1",
        &[in_chunks!("5\r\nhello\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::BARE_LINE_FEEDS)
    .haproxy(why::BARE_LINE_FEEDS),
    Case::of(
        "nothing behind a chunk",
        "9112 7.1",
        &[in_chunks!("5\r\nhello0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "two other bytes behind a chunk",
        "9112 7.1",
        &[in_chunks!("5\r\nhelloxx0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "bare line feeds everywhere",
        "9112 7.1",
        &[in_chunks!("5\nhello\n0\n\n")],
    )
    .both("400, closed")
    .nginx(why::BARE_LINE_FEEDS)
    .haproxy(why::BARE_LINE_FEEDS),
    Case::of(
        "a chunk longer than its size",
        "9112 7.1",
        &[in_chunks!("5\r\nhelloworld\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a chunk shorter than its size",
        "9112 7.1",
        &[in_chunks!("9\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of("no last chunk", "9112 7.1", &[in_chunks!("5\r\nhello\r\n")])
        .both("silence, open")
        .haproxy(why::PASSED_ON_AT_ONCE),
    Case::of(
        "no line behind the last chunk",
        "9112 7.1",
        &[in_chunks!("5\r\nhello\r\n0\r\n")],
    )
    .both("silence, open")
    .haproxy(why::PASSED_ON_AT_ONCE),
    Case::of(
        "bytes where the end's line is due",
        "9112 7.1",
        &[in_chunks!("5\r\nhello\r\n0\r\nX")],
    )
    .both("silence, open")
    .haproxy(why::PASSED_ON_AT_ONCE),
    Case::of(
        "a request behind the last chunk",
        "9112 7.1",
        &[in_chunks!(
            "5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        )],
    )
    .both("200 200, open; GET /smuggled bare; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "a request inside a chunk",
        "9112 7.1",
        &[in_chunks!(
            "23\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n"
        )],
    )
    .both("200, open; POST T length GET /smuggled HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "an extension",
        "9112 7.1.1",
        &[in_chunks!("5;name\r\nhello\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "an extension with a value in quotes",
        "9112 7.1.1",
        &[in_chunks!("5;a=\"b;c\"\r\nhello\r\n0;z\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "a blank before an extension",
        "9112 7.1.1",
        &[in_chunks!("5 ;a=b\r\nhello\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "an extension without a name",
        "9112 7.1.1",
        &[in_chunks!("5;\r\nhello\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "a long extension",
        "9112 7.1.1",
        &[in_chunks!("5;{a*4000}\r\nhello\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    Case::of(
        "an extension of 20 KB",
        "9112 7.1.1",
        &[in_chunks!("5;{a*20000}\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx("nginx skips extensions of any length; here 16 KB of them are the limit")
    .haproxy("HAProxy waits for the rest of a line that its buffer does not hold"),
    Case::of(
        "a bare line feed in an extension",
        "9112 7.1.1",
        &[in_chunks!("5;a\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed")
    .nginx(why::BARE_LINE_FEEDS)
    .haproxy(why::BARE_LINE_FEEDS),
    Case::of(
        "a bare carriage return in an extension",
        "9112 7.1.1",
        &[in_chunks!("5;a\rb\r\nhello\r\n0\r\n\r\n")],
    )
    .both("400, closed"),
    Case::of(
        "a NUL in an extension",
        "9112 7.1.1",
        &[in_chunks!("5;a\0b\r\nhello\r\n0\r\n\r\n")],
    )
    .both("200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
];
