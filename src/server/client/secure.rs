//! Between an accepted socket and its first request: TLS, where the listener speaks it.
//! Bounds how long a handshake may take and how many there are; counts how each ended.
//! Says nothing on a socket itself, but to who speaks HTTP in the clear.

use std::cell::Cell;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::domain::handshake::HandshakeFault;
use crate::telemetry::labels::Handshake;
use crate::tls::{Secured, Terms};

use crate::server::client::bad_head::BadHead;
use crate::server::client::blocking::{is_garbage, strike};
use crate::server::client::closing::say_and_close;
use crate::server::client::wire::Wire;
use crate::server::entrance::Seal;
use crate::server::ingest::inflating::Places;
use crate::server::worker::Worker;

/// So long a handshake keeps its place whoever waits: several times what one takes that
/// crosses the world twice over a bad line. `limits.head_timeout` holds where nobody waits.
const UNHURRIED: Duration = Duration::from_secs(2);

/// What the first byte of TLS is: a record of the handshake.
const HANDSHAKE_RECORD: u8 = 22;

/// The handshakes of one worker.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    places: Places,
    waiting: Rc<Cell<u64>>,
}

/// Somebody who waits for a place, until dropped.
struct Waiting(Rc<Cell<u64>>);

impl Waiting {
    fn new(waiting: &Rc<Cell<u64>>) -> Self {
        waiting.set(waiting.get() + 1);
        Self(Rc::clone(waiting))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// The connection as its listener has it. `None`: it came to nothing, and is closed. `ahead`:
/// what was taken off the socket already, in which TLS never begins.
pub(crate) async fn secure(
    worker: &Worker,
    listener: usize,
    client: IpAddr,
    socket: TcpStream,
    ahead: &[u8],
) -> Option<Wire> {
    let entrance = worker.shared.entrances.get(listener);
    let Some(seal) = entrance.and_then(|entrance| entrance.seal.as_ref()) else {
        return Some(Wire::Clear(socket));
    };
    // Boxed: a parked connection pays for what its task can ever hold.
    Box::pin(sealed(worker, seal, listener, client, socket, ahead)).await
}

async fn sealed(
    worker: &Worker,
    seal: &Seal,
    listener: usize,
    client: IpAddr,
    socket: TcpStream,
    ahead: &[u8],
) -> Option<Wire> {
    let limits = &worker.rules().config.limits;
    let until = Instant::now() + limits.head_timeout;
    let begun = tokio::select! {
        begun = timeout_at(until, first_byte(&socket, ahead)) => begun,
        () = worker.stopping() => return None,
    };
    let (mut clear, terms) = (None, seal.terms());
    let agreed = match begun {
        Err(_) => Err(HandshakeFault::Timeout),
        Ok(Err(_)) => Err(HandshakeFault::Closed),
        Ok(Ok(None)) => return None,
        Ok(Ok(Some(HANDSHAKE_RECORD))) if ahead.is_empty() => {
            let agreeing = Box::pin(agree(worker, &terms, socket, limits.handshakes));
            tokio::select! {
                agreed = timeout_at(until, agreeing) => agreed.unwrap_or(Err(HandshakeFault::Timeout)),
                () = worker.stopping() => return None,
            }
        }
        Ok(Ok(Some(first))) => {
            // A method begins so. Whoever speaks neither is told nothing.
            clear = first.is_ascii_uppercase().then_some(socket);
            Err(HandshakeFault::NotTls)
        }
    };
    let (fault, wire) = match agreed {
        Ok(None) => return None,
        Ok(Some(secured)) => (None, Some(Wire::Secured(Box::new(secured)))),
        Err(fault) => (Some(fault), None),
    };
    worker.metrics.tls(listener, fault).add(1);
    if let Some(fault) = fault {
        tracing::debug!(cause = fault.as_str(), "a TLS handshake failed");
        let outcome = Handshake::of(fault);
        worker.metrics.handshakes(listener, outcome).add(1);
        if is_garbage(fault, clear.is_some()) {
            strike(worker, client);
        }
    }
    if let Some(socket) = clear {
        Box::pin(say_and_close(socket, &BadHead::InTheClear.answer())).await;
    }
    wire
}

/// What a connection begins with. `Ok(None)`: whoever connected left without a word, as
/// health checks do. Who has said nothing yet takes nobody's place.
async fn first_byte(socket: &TcpStream, ahead: &[u8]) -> io::Result<Option<u8>> {
    if let Some(first) = ahead.first() {
        return Ok(Some(*first));
    }
    let mut first = [0];
    let seen = socket.peek(&mut first).await?;
    Ok((seen > 0).then_some(first[0]))
}

/// One handshake, in its turn. `Ok(None)`: it was an authority that has seen its proof.
async fn agree(
    worker: &Worker,
    terms: &Terms,
    socket: TcpStream,
    most: u64,
) -> Result<Option<Secured>, HandshakeFault> {
    let handshakes = &worker.handshakes;
    let _place = match handshakes.places.take(most) {
        Some(place) => place,
        None => {
            let _waiting = Waiting::new(&handshakes.waiting);
            handshakes.places.wait(most).await
        }
    };
    let mut agreeing = pin!(terms.agree(socket, &worker.shared.acme.proofs));
    loop {
        match timeout(UNHURRIED, &mut agreeing).await {
            Ok(agreed) => return agreed,
            Err(_) if handshakes.waiting.get() > 0 => return Err(HandshakeFault::Crowded),
            Err(_) => {}
        }
    }
}
