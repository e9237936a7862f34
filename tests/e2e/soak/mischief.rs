//! Clients that mean harm, or break: what they try, and what they may be answered. Whether the
//! edge is there just now is nothing to them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use socket2::SockRef;

use super::senders::Places;
use super::tally::{TRIED, Tally};
use crate::client::{Client, connect_from, request};
use crate::edge::{dump_target, envelope_target};
use crate::framing::AMBIGUOUS;
use crate::hostile::frames::*;
use crate::hostile::siege::ATTACKER;
use crate::line_one::Packing;

/// How long somebody slow goes on: longer than the edge's patience.
const SLOW: Duration = Duration::from_secs(4);

/// What one of them tries.
#[derive(Debug, Clone, Copy)]
pub(super) enum Try {
    SlowHeads,
    SlowBodies,
    Silence,
    Resets,
    EndlessHeads,
    Smuggling,
    Malformed,
    Bombs,
    RapidResets,
    Continuations,
    Settings,
    NoTls,
    HalfHandshakes,
}

impl Try {
    pub(super) const ALL: &[Self] = &[
        Self::SlowHeads,
        Self::SlowBodies,
        Self::Silence,
        Self::Resets,
        Self::EndlessHeads,
        Self::Smuggling,
        Self::Malformed,
        Self::Bombs,
        Self::RapidResets,
        Self::Continuations,
        Self::Settings,
        Self::NoTls,
        Self::HalfHandshakes,
    ];

    /// Tries it, and counts how often.
    pub(super) fn on(self, places: &Places, tally: &Tally, rng: &mut Rng) {
        let edge = places.edge;
        let post = |length: &str| {
            let target = dump_target();
            request("POST", &target, &[("Content-Length", length)], b"x")
        };
        let (kind, times) = match self {
            Self::SlowHeads => {
                let head = b"POST /api/42/envelope/ HTTP/1.1\r\nHost: a\r\n";
                ("slow heads", trickle(edge, 60, head, b"X-And: so on\r\n"))
            }
            Self::SlowBodies => ("slow bodies", trickle(edge, 30, &post("100000"), b"x")),
            Self::Silence => ("silence", trickle(edge, 60, b"", b"")),
            Self::Resets => ("resets", resets(edge, 200, rng)),
            Self::EndlessHeads => ("heads of 1 MiB", endless_heads(edge, tally, 5)),
            Self::Smuggling => ("ambiguous framing", smuggling(edge, tally)),
            Self::Malformed => ("malformed envelopes", malformed(edge, tally, rng)),
            Self::Bombs => ("bombs", bombs(edge, tally)),
            Self::RapidResets => ("h2 rapid resets", flood(edge, &rapid_resets())),
            Self::Continuations => ("h2 continuations", flood(edge, &continuations())),
            Self::Settings => {
                let settings = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]).repeat(5000);
                ("h2 settings", flood(edge, &settings))
            }
            Self::NoTls => {
                let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
                ("no TLS", broken_off(places.secure, 20, head))
            }
            Self::HalfHandshakes => {
                // A record that says it is a hello, and half of what it announces.
                let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 200]].concat();
                ("half handshakes", broken_off(places.secure, 20, &hello))
            }
        };
        tally.did(TRIED, kind, times);
    }
}

/// Whether the edge said one of these; where it could not say anything, nobody minds.
fn expects(tally: &Tally, what: &str, said: Option<u16>, one_of: &[u16]) {
    if let Some(status) = said
        && !one_of.contains(&status)
    {
        tally.broken(format!("{what}: answered {status}"));
    }
}

fn connected(edge: SocketAddr) -> Option<TcpStream> {
    let socket = connect_from(ATTACKER, edge).ok()?;
    let patience = Some(2 * SLOW);
    socket.set_read_timeout(patience).ok()?;
    socket.set_write_timeout(patience).ok()?;
    Some(socket)
}

/// What is answered to these bytes, if anything is.
fn asked(edge: SocketAddr, bytes: &[u8]) -> Option<u16> {
    let mut client = Client::of(connected(edge)?);
    drop(client.try_send(bytes));
    Some(client.try_answer_to("POST").ok()?.status)
}

/// Connections that begin so, and go on by a piece now and then until they are closed.
fn trickle(edge: SocketAddr, count: u64, begin: &[u8], piece: &[u8]) -> u64 {
    let begun = |_| {
        let mut socket = connected(edge)?;
        socket.write_all(begin).ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(socket)
    };
    let mut open: Vec<TcpStream> = (0..count).filter_map(begun).collect();
    let deadline = Instant::now() + SLOW;
    while !open.is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(200));
        open.retain_mut(|socket| {
            let mut scrap = [0; 4096];
            match socket.read(&mut scrap) {
                Ok(0) => return false,
                Err(error) if error.kind() != ErrorKind::WouldBlock => return false,
                _ => {}
            }
            piece.is_empty() || socket.write_all(piece).is_ok()
        });
    }
    count
}

fn resets(edge: SocketAddr, count: u64, rng: &mut Rng) -> u64 {
    let whole = request("POST", &envelope_target(), &[], &[b'x'; 2000]);
    for _ in 0..count {
        let Some(mut socket) = connected(edge) else {
            continue;
        };
        drop(socket.write_all(&whole[..rng.usize(..whole.len())]));
        drop(SockRef::from(&socket).set_linger(Some(Duration::ZERO)));
    }
    count
}

fn endless_heads(edge: SocketAddr, tally: &Tally, count: u64) -> u64 {
    let line = format!("X-And: {}\r\n", "x".repeat(1000));
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}", line.repeat(1000));
    for _ in 0..count {
        expects(
            tally,
            "an endless head",
            asked(edge, head.as_bytes()),
            &[431],
        );
    }
    count
}

fn smuggling(edge: SocketAddr, tally: &Tally) -> u64 {
    let target = dump_target();
    for (what, lines) in AMBIGUOUS {
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let said = asked(edge, format!("{head}{smuggled}").as_bytes());
        expects(tally, what, said, &[400, 501]);
    }
    AMBIGUOUS.len() as u64
}

/// Envelopes that nobody can follow, and one of the good ones with a byte changed somewhere: that
/// may be anything but the edge's fault.
fn malformed(edge: SocketAddr, tally: &Tally, rng: &mut Rng) -> u64 {
    const BROKEN: [&[u8]; 6] = [
        b"",
        b"{",
        b"[]\n",
        b"{}\n{\"type\":\"event\",\"length\":9}\n{}\n",
        b"{}\n{\"type\":\"event\",\"length\":-1}\n{}\n",
        b"{}\n{\"type\":\"event\"\n{}\n",
    ];
    let post = |body: &[u8]| request("POST", &envelope_target(), &[], body);
    for body in BROKEN {
        let said = asked(edge, &post(body));
        expects(tally, "a malformed envelope", said, &[400]);
    }
    for _ in 0..20 {
        let mut body = b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n".to_vec();
        let at = rng.usize(..body.len());
        body[at] = rng.u8(..);
        if let Some(internal @ (501 | 505..)) = asked(edge, &post(&body)) {
            tally.broken(format!("an envelope with byte {at} changed: {internal}"));
        }
    }
    BROKEN.len() as u64 + 20
}

fn bombs(edge: SocketAddr, tally: &Tally) -> u64 {
    // A field that no client may set: the edge has to unpack it all.
    let open = b"{\"retention\":9}\n{\"type\":\"attachment\"}\n";
    let zeros = [&open[..], &vec![0; 64 << 20]].concat();
    let body = Packing::Zstd.pack(&zeros);
    let bytes = request("POST", &envelope_target(), Packing::Zstd.headers(), &body);
    for _ in 0..5 {
        // By its head, where an edge that was killed has no lease of its quota yet.
        expects(tally, "a bomb", asked(edge, &bytes), &[413, 429]);
    }
    5
}

fn rapid_resets() -> Vec<u8> {
    let pair = |n| {
        let opened = frame(HEADERS, END_HEADERS | END_STREAM, nth(n), GET);
        [opened, frame(RST_STREAM, 0, nth(n), &[0, 0, 0, 8])].concat()
    };
    (0..2000).flat_map(pair).collect()
}

fn continuations() -> Vec<u8> {
    let opened = frame(HEADERS, END_STREAM, 1, GET);
    let more = frame(CONTINUATION, 0, 1, &b"\0\x01a\x01b".repeat(1000));
    [opened, more.repeat(100)].concat()
}

/// Connections on which a flood is sent, each until it is told to go.
fn flood(edge: SocketAddr, flood: &[u8]) -> u64 {
    for _ in 0..10 {
        if let Ok(mut raw) = Raw::try_connect(ATTACKER, edge, &[]) {
            drop(raw.send(flood));
            raw.told_to_go();
        }
    }
    10
}

/// Connections that send this and leave: some at once, some once they have heard something.
fn broken_off(secure: SocketAddr, count: u64, bytes: &[u8]) -> u64 {
    for number in 0..count {
        let Some(mut socket) = connected(secure) else {
            continue;
        };
        drop(socket.write_all(bytes));
        if number.is_multiple_of(4) {
            drop(socket.read(&mut [0; 512]));
        }
    }
    count
}
