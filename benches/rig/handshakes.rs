//! The load that wrk cannot be told to send: TLS connections that each make a full handshake, or
//! each resume, carry one request and end.
//!
//! Counts nothing that was not as is due: a status other than 200, or a handshake of the other
//! kind, ends the turn.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, HandshakeKind, StreamOwned};

use crate::answer::{self, Answer};
use crate::identity::{self, Handshake};

/// Clients at a time, each waiting for its own answer. More of them only queue at one core.
pub(crate) const CLIENTS: u32 = 8;

/// Sends `request` on connection after connection; how many were answered, and in what time.
pub(crate) fn send(
    port: u16,
    clients: &Arc<ClientConfig>,
    handshake: Handshake,
    request: &[u8],
    turn: Duration,
) -> io::Result<(u32, Duration)> {
    let began = Instant::now();
    let until = began + turn;
    let counts = thread::scope(|scope| {
        let all: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| one_client(port, clients, handshake, request, until)))
            .collect();
        let joined = all.into_iter().map(|client| client.join());
        let counts = joined.map(|count| count.unwrap_or_else(|_| Err(io::Error::other("panic"))));
        counts.collect::<io::Result<Vec<u32>>>()
    })?;
    Ok((counts.into_iter().sum(), began.elapsed()))
}

/// One connection after another. Where they resume, the first one fetches the tickets: it is
/// a request like the others, and its handshake a full one.
fn one_client(
    port: u16,
    clients: &Arc<ClientConfig>,
    handshake: Handshake,
    request: &[u8],
    until: Instant,
) -> io::Result<u32> {
    let mut answered = 0;
    while Instant::now() < until {
        let (answer, kind) = once(port, clients, request)?;
        let resumed = kind == Some(HandshakeKind::Resumed);
        let as_due = match handshake {
            Handshake::Full => !resumed,
            Handshake::Resumed => resumed || answered == 0,
        };
        if answer.status != 200 || !as_due {
            let status = answer.status;
            return Err(io::Error::other(format!("{status} after {kind:?}")));
        }
        answered += 1;
    }
    Ok(answered)
}

/// A connection of its own for one request: its answer, and how the handshake went.
pub(crate) fn once(
    port: u16,
    clients: &Arc<ClientConfig>,
    request: &[u8],
) -> io::Result<(Answer, Option<HandshakeKind>)> {
    let socket = answer::connected(port)?;
    let mut stream = StreamOwned::new(identity::connection(clients)?, socket);
    stream.write_all(request)?;
    stream.flush()?;
    let answer = answer::read(&mut stream)?;
    let kind = stream.conn.handshake_kind();
    stream.conn.send_close_notify();
    stream.flush()?;
    // The proxy was asked to close: what it says of that, or does not say, is no part of it.
    let _end = stream.read(&mut [0; 1]);
    Ok((answer, kind))
}
