//! The life of one client connection: introduced by a balancer where it has one, secured
//! where its listener speaks TLS, told apart as HTTP/1 or HTTP/2, served, watched once a
//! second for clients that stand still, parked without buffers
//! while idle, and closed so that its last answer arrives. Never looks into a
//! request.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout, timeout_at};

use crate::config::checked::ProxyProtocol;
use crate::domain::category::Category;
use crate::telemetry::labels::{Ending, Handshake, Route};
use crate::telemetry::ledger::Account;
use crate::tls::Protocol;

use crate::server::access_log::visit;
use crate::server::client::arrival::Scheme;
use crate::server::client::blocking::{is_blocked, strike};
use crate::server::client::client_io::{ClientIo, Pulse, joined};
use crate::server::client::closing::close;
use crate::server::client::introduction::{Introduced, introduce};
use crate::server::client::listen::place_for;
use crate::server::client::multiplexed;
use crate::server::client::per_client::Place;
use crate::server::client::reception::{Caller, receive};
use crate::server::client::secure::secure;
use crate::server::client::wire::Wire;
use crate::server::worker::Worker;

/// What every HTTP/2 client sends first (RFC 9113, section 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How often a connection is looked at. Timeouts are that much coarse, and no
/// request pays for a timer of its own.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How a spell of HTTP/1 service ended.
enum Spell {
    /// Nothing to do for a second: the socket is worth keeping, its buffers are not.
    Idle(Wire, Bytes),
    /// Over; the socket is to be closed.
    Over(Wire),
}

/// Serves one accepted socket until it is closed. Dropping the future closes it
/// at once; exchanges whose body was complete are finished all the same.
pub(crate) async fn keep(worker: Rc<Worker>, listener: usize, stream: TcpStream) {
    let Ok(peer) = stream.peer_addr() else { return };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%error, "TCP_NODELAY refused");
    }
    // One wait for both: a balancer sends its header at once.
    let until = Instant::now() + worker.rules().config.limits.head_timeout;
    let introduced = match worker.shared.door(listener).proxy_protocol {
        ProxyProtocol::Off => Introduced::plain(peer),
        asked @ (ProxyProtocol::Optional | ProxyProtocol::Required) => {
            let introduced = introduce(&worker, listener, asked, &stream, peer, until);
            match Box::pin(introduced).await {
                Some(introduced) => introduced,
                None => return,
            }
        }
    };
    let Ok(_place) = named_place(&worker, listener, peer, introduced.peer) else {
        return;
    };
    let Introduced { ahead, .. } = introduced;
    let client = introduced.peer.ip();
    let Some(mut wire) = secure(&worker, listener, client, stream, &ahead).await else {
        return;
    };
    let until = match wire {
        Wire::Clear(_) => until,
        // The handshake had its own time.
        Wire::Secured(_) => Instant::now() + worker.rules().config.limits.head_timeout,
    };
    let caller = Rc::new(Caller {
        peer: introduced.peer,
        unnamed: introduced.unnamed,
        listener,
        scheme: match introduced.over_tls {
            true => Scheme::Https,
            false => wire.scheme(),
        },
        pulse: Rc::new(Pulse::default()),
        counted: Cell::new(false),
    });
    let first = tokio::select! {
        first = timeout_at(until, first_bytes(&mut wire, ahead)) => first,
        () = worker.stopping() => return,
    };
    let Ok(first) = first else {
        worker
            .metrics
            .handshakes(listener, Handshake::Timeout)
            .add(1);
        return;
    };
    let Some(ahead) = first else { return };
    let protocol = match wire.protocol() {
        Some(agreed) => agreed,
        None if *ahead == *H2_PREFACE => Protocol::H2,
        None => Protocol::Http1,
    };
    match protocol {
        // Boxed: a parked connection pays for what its task can ever hold.
        Protocol::H2 => Box::pin(multiplexed::serve(&worker, &caller, wire, ahead)).await,
        Protocol::Http1 => serve_h1(&worker, &caller, wire, ahead).await,
    }
}

/// The place of whom a balancer has named; none for the socket's own end, which was looked at,
/// and had its own, before it came here. An error is counted.
fn named_place(
    worker: &Worker,
    listener: usize,
    peer: SocketAddr,
    named: SocketAddr,
) -> Result<Option<Place>, ()> {
    if named == peer {
        return Ok(None);
    }
    let refused = match is_blocked(worker, named.ip()) {
        true => Err(Handshake::Blocked),
        false => place_for(worker, named.ip()).map_err(|_| Handshake::ClientCapped),
    };
    refused.map_err(|outcome| worker.metrics.handshakes(listener, outcome).add(1))
}

/// Reads up to a preface's length, some of which is here. `None`: closed before a byte came.
async fn first_bytes(wire: &mut Wire, here: Bytes) -> Option<Bytes> {
    if !H2_PREFACE.starts_with(&here) {
        return Some(here);
    }
    let mut ahead = BytesMut::with_capacity(H2_PREFACE.len());
    ahead.extend_from_slice(&here);
    loop {
        let mut rest = [0; 24];
        let room = rest.get_mut(ahead.len()..)?;
        match wire.read(room).await {
            Ok(0) if ahead.is_empty() => return None,
            Ok(0) => return Some(ahead.freeze()),
            Ok(n) => ahead.extend_from_slice(room.get(..n)?),
            Err(_) => return None,
        }
        if ahead.len() == H2_PREFACE.len() || !H2_PREFACE.starts_with(&ahead) {
            return Some(ahead.freeze());
        }
    }
}

async fn serve_h1(worker: &Rc<Worker>, caller: &Rc<Caller>, wire: Wire, ahead: Bytes) {
    let (mut wire, mut ahead) = (wire, ahead);
    loop {
        match Box::pin(spell(worker, caller, wire, ahead)).await {
            Spell::Over(wire) => return close(wire, caller.pulse.rest()).await,
            Spell::Idle(parked, unread) => {
                wire = parked;
                ahead = unread;
            }
        }
        if ahead.is_empty() && !wakes(worker, &wire).await {
            return;
        }
    }
}

/// Waits with nothing but the socket, and TLS where it is spoken, until there is something to
/// read again. False: closed, past its keep-alive, or the edge is stopping.
async fn wakes(worker: &Worker, wire: &Wire) -> bool {
    let keep_alive = worker.rules().config.limits.keep_alive;
    tokio::select! {
        wakes = timeout(keep_alive, wire.wakes()) => wakes.unwrap_or(false),
        () = worker.stopping() => false,
    }
}

/// One spell of HTTP/1, until the connection is over or idle.
async fn spell(worker: &Rc<Worker>, caller: &Rc<Caller>, wire: Wire, ahead: Bytes) -> Spell {
    let limits = &worker.rules().config.limits;
    let pulse = &caller.pulse;
    let io = TokioIo::new(ClientIo::new(wire, ahead, Rc::clone(pulse)));
    let service = {
        let (worker, caller) = (Rc::clone(worker), Rc::clone(caller));
        service_fn(move |request| receive(Rc::clone(&worker), Rc::clone(&caller), request))
    };
    let mut connection = http1::Builder::new()
        .half_close(true)
        .header_read_timeout(None)
        .max_buf_size(usize::try_from(limits.header_bytes).unwrap_or(usize::MAX))
        .serve_connection(io, service);
    let mut watch = Watch::new();
    let verdict = poll_fn(|cx| {
        if let Poll::Ready(served) = Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(Verdict::Served(served.is_ok()));
        }
        while watch.ticks.poll_tick(cx).is_ready() {
            if let Some(verdict) = watch.look(worker, pulse) {
                return Poll::Ready(verdict);
            }
        }
        Poll::Pending
    })
    .await;
    let parts = connection.into_parts();
    let (wire, unread) = parts.io.into_inner().into_parts();
    if verdict == Verdict::Idle {
        return Spell::Idle(wire, joined(parts.read_buf, unread));
    }
    let outcome = match verdict {
        Verdict::HeadTooSlow => Some(Handshake::Timeout),
        Verdict::Served(false) if pulse.requests.get() == 0 => Some(Handshake::BadHead),
        Verdict::Served(_) | Verdict::Idle | Verdict::Stuck => None,
    };
    let bad_head = pulse.bad_head.take();
    let refused = bad_head.is_some();
    if let Some(bad) = bad_head {
        visit::unreadable(worker, caller.listener, caller.peer.ip(), bad);
        let metrics = &worker.metrics;
        metrics
            .requests(Route::Local, Ending::Refused, bad.status())
            .add(1);
        let row = worker.ledger.row(Account::Unproven, Category::Unread);
        row.received(1, 0);
        row.dropped(bad.reason(), 1, 0);
        pulse.unread.set(true);
    }
    if outcome.is_some() || refused {
        strike(worker, caller.peer.ip());
    }
    if let Some(outcome) = outcome {
        worker.metrics.handshakes(caller.listener, outcome).add(1);
        // The parser's answer to a bad head must arrive, like any other.
        pulse.unread.set(true);
    }
    Spell::Over(wire)
}

/// Why a spell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Served(bool),
    Idle,
    HeadTooSlow,
    Stuck,
}

/// The look at a connection, once a second.
pub(super) struct Watch {
    pub(super) ticks: Interval,
    moves_before: u64,
    still_for: Duration,
    head_for: Duration,
}

impl Watch {
    pub(super) fn new() -> Self {
        let mut ticks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            ticks,
            moves_before: u64::MAX,
            still_for: Duration::ZERO,
            head_for: Duration::ZERO,
        }
    }

    /// What is to be done with the connection; `None`: nothing.
    pub(super) fn look(&mut self, worker: &Worker, pulse: &Pulse) -> Option<Verdict> {
        let limits = &worker.rules().config.limits;
        let moves = pulse.moves.get();
        if moves == self.moves_before {
            self.still_for += LOOK_EVERY;
        } else {
            self.still_for = Duration::ZERO;
            self.moves_before = moves;
        }
        if pulse.stuck.get() && self.still_for >= limits.body_idle {
            return Some(Verdict::Stuck);
        }
        if pulse.in_flight.get() > 0 {
            self.head_for = Duration::ZERO;
            return None;
        }
        if pulse.head_begun.get() {
            // Counted from the first look, however the bytes trickle.
            self.head_for += LOOK_EVERY;
            return (self.head_for >= limits.head_timeout).then_some(Verdict::HeadTooSlow);
        }
        self.head_for = Duration::ZERO;
        (!pulse.stuck.get() && self.still_for >= LOOK_EVERY).then_some(Verdict::Idle)
    }
}
