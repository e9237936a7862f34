//! HTTP/2 as a weapon: each flood is bounded, told to go with GOAWAY, and counted.

use libtest_mimic::Trial;
use serde_json::json;

use super::frames::*;
use super::siege::{ATTACKER, Siege};
use crate::parts::promises;
use crate::upstream::Fake;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        rapid_reset,
        streams_that_the_edge_has_to_reset,
        more_streams_than_there_may_be,
        continuation_flood,
        settings_flood,
        ping_flood,
        priority_flood,
        window_update_flood,
        empty_data_flood,
        a_window_that_never_opens,
    ]
}

/// How many connections each flood comes on.
const CONNECTIONS: u32 = 50;

const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Each connection sends a flood, and is told to go.
#[track_caller]
fn check(what: &str, flood: &[u8], codes: &[u32]) {
    let siege = Siege::before(Fake::start(), json!({}));
    let told = siege.under(what, u64::from(CONNECTIONS), |edge, _| {
        for _ in 0..CONNECTIONS {
            let mut raw = Raw::connect(ATTACKER, edge.public, &[]);
            drop(raw.send(flood));
            let code = raw.told_to_go();
            assert!(
                code.is_some_and(|code| codes.contains(&code)),
                "{what}: told to go with {code:?}"
            );
        }
    });
    told.counted("vidette_connections_total", "abused", CONNECTIONS);
}

/// CVE-2023-44487.
fn rapid_reset() {
    let flood: Vec<u8> = (0..2000)
        .flat_map(|n| {
            let opened = frame(HEADERS, END_HEADERS | END_STREAM, nth(n), GET);
            [opened, frame(RST_STREAM, 0, nth(n), &[0, 0, 0, 8])].concat()
        })
        .collect();
    check(
        "h2 rapid reset",
        &flood,
        &[PROTOCOL_ERROR, ENHANCE_YOUR_CALM],
    );
}

/// CVE-2025-8671: nothing is reset by the client, all of it by its errors.
fn streams_that_the_edge_has_to_reset() {
    let flood: Vec<u8> = (0..2000)
        .flat_map(|n| {
            let opened = frame(HEADERS, END_HEADERS, nth(n), POST);
            let wide = frame(WINDOW_UPDATE, 0, nth(n), &[0x7f, 0xff, 0xff, 0xff]);
            [opened, wide].concat()
        })
        .collect();
    check(
        "h2 MadeYouReset",
        &flood,
        &[PROTOCOL_ERROR, ENHANCE_YOUR_CALM],
    );
}

fn more_streams_than_there_may_be() {
    let flood: Vec<u8> = (0..2000)
        .flat_map(|n| frame(HEADERS, END_HEADERS, nth(n), POST))
        .collect();
    check(
        "h2 streams beyond the limit",
        &flood,
        &[PROTOCOL_ERROR, ENHANCE_YOUR_CALM],
    );
}

/// CVE-2024-27316.
fn continuation_flood() {
    let opened = frame(HEADERS, END_STREAM, 1, GET);
    // A field that is never indexed, over and over.
    let more = frame(CONTINUATION, 0, 1, &b"\0\x01a\x01b".repeat(1000));
    let flood = [opened, more.repeat(100)].concat();
    check(
        "h2 CONTINUATION flood",
        &flood,
        &[PROTOCOL_ERROR, ENHANCE_YOUR_CALM],
    );
}

fn settings_flood() {
    let flood = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]).repeat(20_000);
    check("h2 SETTINGS flood", &flood, &[PROTOCOL_ERROR]);
}

fn ping_flood() {
    let flood = frame(PING, 0, 0, b"are you?").repeat(20_000);
    check("h2 PING flood", &flood, &[PROTOCOL_ERROR]);
}

fn priority_flood() {
    let flood: Vec<u8> = (1..20_000)
        .flat_map(|n| frame(PRIORITY, 0, nth(n), &[0, 0, 0, 1, 0]))
        .collect();
    check("h2 PRIORITY flood", &flood, &[PROTOCOL_ERROR]);
}

fn window_update_flood() {
    let flood = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(20_000);
    check("h2 WINDOW_UPDATE flood", &flood, &[PROTOCOL_ERROR]);
}

fn empty_data_flood() {
    let opened = frame(HEADERS, END_HEADERS, 1, POST);
    let flood = [opened, frame(DATA, 0, 1, b"").repeat(20_000)].concat();
    check(
        "h2 empty DATA flood",
        &flood,
        &[PROTOCOL_ERROR, ENHANCE_YOUR_CALM],
    );
}

/// It asks for large answers and never has room for a byte of them; its PINGs keep the
/// connection alive all the while.
fn a_window_that_never_opens() {
    const STREAMS: u32 = 10;
    let page = crate::patterns::slice(6, 0, 4 << 20);
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        match exchange.request.method.as_str() {
            "GET" => exchange.answer(200, &[], &page),
            _ => exchange.answer(200, &[], b"{}"),
        }
    });
    let siege = Siege::before(fake, json!({"limits": {"body_idle": "1s"}}));
    let told = siege.under(
        "h2 closed windows",
        u64::from(CONNECTIONS * STREAMS),
        |edge, _| {
            let mut held: Vec<Raw> = (0..CONNECTIONS)
                .map(|_| {
                    let mut raw = Raw::connect(ATTACKER, edge.public, &[(INITIAL_WINDOW, 0)]);
                    for n in 0..STREAMS {
                        let asks = frame(HEADERS, END_HEADERS | END_STREAM, nth(n), GET);
                        raw.send(&asks).unwrap();
                    }
                    raw
                })
                .collect();
            // Each stream is given up by itself; the connection is good for others.
            for raw in &mut held {
                let mut reset = 0;
                while reset < STREAMS {
                    let (kind, payload) = raw.next().expect("the connection stays");
                    assert_ne!(kind, GOAWAY, "{payload:?}");
                    if kind == RST_STREAM {
                        reset += 1;
                        raw.send(&frame(PING, 0, 0, b"and now?")).unwrap();
                    }
                }
            }
        },
    );
    told.counted("vidette_requests_total", "aborted", CONNECTIONS * STREAMS);
}
