//! Streams of HTTP/2, and where their bodies end.

use super::frames::{END, RST_STREAM, data, fields, form, frame, page};
use super::stream_case::StreamCase;
use super::why;

pub(super) const CASES: &[StreamCase] = &[
    StreamCase::of("a page", "9113 8.1", || vec![page(1, &[])]).gives("1: 200, open; GET T bare"),
    StreamCase::of("a body", "9113 8.1", || {
        vec![form(1, &[]), data(1, 0, b"hel"), data(1, END, b"lo")]
    })
    .gives("1: 200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    StreamCase::of("an empty last frame", "9113 6.1", || {
        vec![form(1, &[]), data(1, 0, b"hello"), data(1, END, b"")]
    })
    .gives("1: 200, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    StreamCase::of("a body of nothing", "9113 8.1", || {
        vec![form(1, &[]), data(1, END, b"")]
    })
    .gives("1: 200, open; POST T bare")
    .nginx(why::LENGTH_OF_NOTHING)
    .haproxy(why::CHUNKS_STAY),
    StreamCase::of("two pages", "9113 5.1", || vec![page(1, &[]), page(3, &[])])
        .gives("1: 200, 3: 200, open; GET T bare; GET T bare"),
    StreamCase::of("data on stream 0", "9113 6.1", || vec![data(0, END, b"x")])
        .gives("goaway PROTOCOL_ERROR, closed"),
    StreamCase::of("a head on stream 0", "9113 6.2", || vec![page(0, &[])])
        .gives("goaway PROTOCOL_ERROR, closed"),
    StreamCase::of("a stream of a server's", "9113 5.1.1", || {
        vec![page(2, &[])]
    })
    .gives("goaway PROTOCOL_ERROR, closed"),
    StreamCase::of("a stream that goes back", "9113 5.1.1", || {
        vec![page(3, &[]), page(1, &[])]
    })
    .gives("3: 200, goaway PROTOCOL_ERROR, closed; GET T bare"),
    StreamCase::of("data on a stream that nobody opened", "9113 5.1", || {
        vec![data(1, END, b"x")]
    })
    .gives("goaway PROTOCOL_ERROR, closed")
    .nginx(why::NO_STREAM_STATES),
    StreamCase::of("data behind a stream's end", "9113 5.1", || {
        vec![page(1, &[]), data(1, END, b"x")]
    })
    .gives("1: 200 reset STREAM_CLOSED, open; GET T bare"),
    StreamCase::of("data behind a body's end", "9113 5.1", || {
        vec![form(1, &[]), data(1, END, b"hello"), data(1, END, b"x")]
    })
    .gives("1: 200 reset STREAM_CLOSED, open; POST T length hello")
    .haproxy(why::CHUNKS_STAY),
    StreamCase::of("a head behind a stream's end", "9113 5.1", || {
        vec![page(1, &[]), page(1, &[])]
    })
    .gives("1: 200, goaway PROTOCOL_ERROR, closed; GET T bare"),
    StreamCase::of("a second head without an end", "9113 8.1", || {
        vec![form(1, &[]), form(1, &[])]
    })
    .gives("1: reset PROTOCOL_ERROR, open")
    .nginx(why::STREAM_OR_CONNECTION)
    .haproxy(why::STREAM_OR_CONNECTION),
    StreamCase::of("a reset of a stream that nobody opened", "9113 6.4", || {
        vec![frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])]
    })
    .gives("goaway PROTOCOL_ERROR, closed")
    .nginx(why::NO_STREAM_STATES),
    StreamCase::of("a reset of stream 0", "9113 6.4", || {
        vec![frame(RST_STREAM, 0, 0, &[0, 0, 0, 8])]
    })
    .gives("goaway PROTOCOL_ERROR, closed"),
    StreamCase::of("a reset of another length", "9113 6.4", || {
        vec![form(1, &[]), frame(RST_STREAM, 0, 1, &[0, 0, 8])]
    })
    .gives("goaway PROTOCOL_ERROR, closed")
    .haproxy(why::PASSED_ON_AT_ONCE),
    StreamCase::of("a reset amid a body", "9113 6.4", || {
        vec![
            form(1, &[]),
            data(1, 0, b"hel"),
            frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]),
            page(3, &[]),
        ]
    })
    .gives("3: 200, open; GET T bare")
    .haproxy(why::PASSED_ON_AT_ONCE),
    StreamCase::of("more streams than are allowed", "9113 5.1.2", || {
        vec![(0..200).flat_map(|n| form(2 * n + 1, &[])).collect()]
    })
    .gives("201 to 399: reset REFUSED_STREAM, open")
    .haproxy(why::PASSED_ON_AT_ONCE),
    StreamCase::of("a body longer than its length", "9113 8.1.1", || {
        vec![form(1, &[("content-length", "3")]), data(1, END, b"hello")]
    })
    .gives("1: reset PROTOCOL_ERROR, open")
    .haproxy(why::PASSED_ON_AT_ONCE),
    StreamCase::of("a body shorter than its length", "9113 8.1.1", || {
        vec![form(1, &[("content-length", "9")]), data(1, END, b"hello")]
    })
    .gives("1: reset PROTOCOL_ERROR, open")
    .haproxy(why::PASSED_ON_AT_ONCE),
    StreamCase::of("a length without a body", "9113 8.1.1", || {
        vec![page(1, &[("content-length", "5")])]
    })
    .gives("1: reset PROTOCOL_ERROR, open")
    .haproxy("HAProxy takes a length without a body for none; RFC 9113 calls it malformed (8.1.1)"),
    StreamCase::of("a length that is right", "9113 8.1.1", || {
        vec![form(1, &[("content-length", "5")]), data(1, END, b"hello")]
    })
    .gives("1: 200, open; POST T length hello"),
    StreamCase::of("two lengths", "9113 8.1.1", || {
        vec![
            form(1, &[("content-length", "5"), ("content-length", "6")]),
            data(1, END, b"hello"),
        ]
    })
    .gives("1: reset PROTOCOL_ERROR, open")
    .haproxy(why::STREAM_OR_CONNECTION),
    StreamCase::of("the same length twice", "9113 8.1.1", || {
        vec![
            form(1, &[("content-length", "5"), ("content-length", "5")]),
            data(1, END, b"hello"),
        ]
    })
    .gives("1: 200, open; POST T length hello")
    .nginx("nginx allows one length a request, however often it says the same"),
    StreamCase::of("a length that is none", "9113 8.1.1", || {
        vec![form(1, &[("content-length", "+5")]), data(1, END, b"hello")]
    })
    .gives("1: reset PROTOCOL_ERROR, open")
    .haproxy(why::STREAM_OR_CONNECTION),
    StreamCase::of("a request inside a body", "9113 8.1", || {
        vec![
            form(1, &[]),
            data(1, END, b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
        ]
    })
    .gives("1: 200, open; POST T length GET /smuggled HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    .haproxy(why::CHUNKS_STAY),
    StreamCase::of("trailers", "9113 8.1", || {
        vec![
            form(1, &[]),
            data(1, 0, b"hello"),
            fields(1, END, &[("x-trailer", "1")]),
        ]
    })
    .gives("1: 200, open; POST T length hello")
    .nginx(why::TRAILERS_REFUSED)
    .haproxy(why::CHUNKS_STAY),
    StreamCase::of("a path among trailers", "9113 8.1", || {
        vec![
            form(1, &[]),
            data(1, 0, b"hello"),
            fields(1, END, &[(":path", "/smuggled")]),
        ]
    })
    .gives("1: 200, open; POST T length hello")
    .nginx(why::TRAILERS_REFUSED)
    .haproxy(why::TRAILERS_REFUSED),
    StreamCase::of("a length among trailers", "9110 6.5.1", || {
        vec![
            form(1, &[]),
            data(1, 0, b"hello"),
            fields(1, END, &[("content-length", "9")]),
        ]
    })
    .gives("1: 200, open; POST T length hello")
    .nginx(why::TRAILERS_REFUSED)
    .haproxy(why::TRAILERS_REFUSED),
];
