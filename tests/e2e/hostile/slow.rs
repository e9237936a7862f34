//! Clients that take their time: over a head, over a body, over an answer, over nothing. Each
//! holds a connection, and loses it whatever it trickles.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;
use socket2::{Domain, Socket, Type};

use super::siege::{ATTACKER, Siege};
use crate::client::{connect_from, request};
use crate::edge::{Edge, dump_target};
use crate::parts::promises;
use crate::upstream::{Fake, HANG};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        slowloris,
        slow_bodies,
        connections_that_say_nothing,
        answers_that_nobody_reads,
    ]
}

/// Opens connections that have sent this.
fn begun(edge: &Edge, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let begin = |_| {
        let mut socket = connect_from(ATTACKER, edge.public).unwrap();
        socket.write_all(bytes).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    (0..count).map(begin).collect()
}

/// Sends a piece on each now and then, until the edge has closed them all.
#[track_caller]
fn trickle(mut open: Vec<TcpStream>, piece: &[u8]) {
    let deadline = Instant::now() + HANG;
    while !open.is_empty() {
        assert!(Instant::now() < deadline, "{} stay open", open.len());
        thread::sleep(Duration::from_millis(200));
        open.retain_mut(|socket| {
            let mut scrap = [0; 4096];
            match socket.read(&mut scrap) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
            piece.is_empty() || socket.write_all(piece).is_ok()
        });
    }
}

fn slowloris() {
    const COUNT: u32 = 2000;
    let siege = Siege::before(Fake::start(), json!({"limits": {"head_timeout": "2s"}}));
    let told = siege.under("slowloris", u64::from(COUNT), |edge, _| {
        let begin = b"POST /api/42/envelope/ HTTP/1.1\r\nHost: a\r\n";
        trickle(begun(edge, COUNT as usize, begin), b"X-And: so on\r\n");
    });
    told.counted("vidette_connections_total", "timeout", COUNT);
}

fn slow_bodies() {
    const COUNT: u32 = 500;
    let siege = Siege::before(Fake::start(), json!({"limits": {"body_idle": "2s"}}));
    let told = siege.under("slow bodies", u64::from(COUNT), |edge, _| {
        let length = [("Content-Length", "100000")];
        let begin = request("POST", &dump_target(), &length, b"x");
        trickle(begun(edge, COUNT as usize, &begin), b"x");
    });
    told.counted("vidette_items_total", "client_slow", COUNT);
}

fn connections_that_say_nothing() {
    const COUNT: u32 = 2000;
    let siege = Siege::before(Fake::start(), json!({"limits": {"head_timeout": "2s"}}));
    let told = siege.under("connect and idle", u64::from(COUNT), |edge, _| {
        trickle(begun(edge, COUNT as usize, b""), b"");
    });
    told.counted("vidette_connections_total", "timeout", COUNT);
}

/// Connects with so small a receive buffer that an answer stays with its sender.
fn narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket
        .bind(&SocketAddr::from((ATTACKER, 0)).into())
        .unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

fn answers_that_nobody_reads() {
    const COUNT: u32 = 50;
    let page = crate::patterns::slice(7, 0, 8 << 20);
    let fake = Fake::with(move |exchange| {
        exchange.read_body()?;
        match exchange.request.method.as_str() {
            "GET" => exchange.answer(200, &[], &page),
            _ => exchange.answer(200, &[], b"{}"),
        }
    });
    let siege = Siege::before(fake, json!({"limits": {"body_idle": "1s"}}));
    let told = siege.under("unread answers of 8 MiB", u64::from(COUNT), |edge, _| {
        let asks = request("GET", "/large", &[], b"");
        let open: Vec<TcpStream> = (0..COUNT)
            .map(|_| {
                let mut socket = narrow(edge.public);
                socket.write_all(&asks).unwrap();
                socket
            })
            .collect();
        edge.wait_metric(
            "vidette_requests_total",
            &["outcome=\"aborted\""],
            f64::from(COUNT),
        );
        drop(open);
    });
    told.counted("vidette_requests_total", "aborted", COUNT);
}
