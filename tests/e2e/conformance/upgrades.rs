//! Other protocols on the same connection, asked for or not.

use super::case::{Case, get, post};
use super::recorder::Reply;
use super::why;

pub(super) const CASES: &[Case] = &[
    Case::of(
        "a websocket that is refused",
        "9110 7.8",
        &[get!("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "a websocket that is agreed upon",
        "9110 7.8",
        &[get!("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")],
    )
    .told(&[Reply::of("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhey")])
    .page("502, open; GET T bare")
    .nginx(why::NO_SWITCH)
    .haproxy(why::NO_SWITCH),
    Case::of(
        "a websocket by a POST",
        "9110 7.8",
        &[post!("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 5\r\n\r\nhello")],
    )
    .both("200, open; POST T length hello"),
    Case::of(
        "a websocket, and bytes before it is agreed upon",
        "9110 7.8",
        &[get!("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")],
    )
    .page("200 200, open; GET /smuggled bare; GET T bare"),
    Case::of(
        "an upgrade that Connection does not name",
        "9110 7.8",
        &[get!("Upgrade: websocket\r\n\r\n")],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "an upgrade to h2c",
        "9113 3.1",
        &[get!("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "an upgrade to h2c with a body",
        "9113 3.1",
        &[post!("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 5\r\n\r\nhello")],
    )
    .both("200, open; POST T length hello"),
    Case::of(
        "an upgrade to TLS",
        "2817 3",
        &[get!("Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n")],
    )
    .page("200, open; GET T bare"),
    Case::of(
        "an upgrade in HTTP/1.0",
        "9110 7.8",
        &["GET @T HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"],
    )
    .page("200, closed; GET T bare"),
    Case::of(
        "an upgrade that nobody asked for",
        "9110 7.8",
        &[post!("Content-Length: 0\r\n\r\n")],
    )
    .told(&[Reply::of("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhey")])
    .event("503, open; POST T length ")
    .page("502, open; POST T length ")
    .nginx("nginx waits behind a 101 that nobody asked for; here the upstream has failed"),
    Case::of(
        "an upgrade that an upstream asks for",
        "9110 7.8",
        &[get!("\r\n")],
    )
    .told(&[Reply::of("HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n")])
    .page("426, open; GET T bare"),
];
