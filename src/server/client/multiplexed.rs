//! The life of a connection that speaks HTTP/2: its limits, when it is told to go, and how
//! that counts. What its frames are counted by is `conduct`; what its streams may keep waiting
//! is `streams`. Never looks into a request.

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::config::checked::Limits;
use crate::telemetry::labels::Handshake;

use crate::server::client::blocking::strike;
use crate::server::client::client_io::{ClientIo, Pulse};
use crate::server::client::closing::LINGER;
use crate::server::client::conduct::Conduct;
use crate::server::client::connection::{LOOK_EVERY, Verdict, Watch};
use crate::server::client::reception::{Caller, receive};
use crate::server::client::streams::Streams;
use crate::server::client::wire::Wire;
use crate::server::worker::Worker;

/// What of an answer one stream may hold that its client has no room for: the rest stays where
/// it comes from.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Streams that were reset before anybody could look at them: the library's own default, named
/// since CVE-2023-44487 is about it. The resets of all others are `conduct`'s.
const UNSEEN_RESETS_MAX: usize = 20;

/// Why a connection's service is over.
enum End {
    /// hyper has closed it.
    Served(Result<(), hyper::Error>),
    /// Its client reads nothing, or goes on sending to a closing connection.
    Cut,
}

/// Serves a connection until it is closed.
pub(super) async fn serve(worker: &Rc<Worker>, caller: &Rc<Caller>, wire: Wire, ahead: Bytes) {
    let rules = worker.rules();
    let limits = &rules.config.limits;
    let pulse = &caller.pulse;
    let conduct = Rc::new(Conduct::new(&limits.http2));
    let io = ClientIo::new(wire, ahead, Rc::clone(pulse)).multiplexed(Rc::clone(&conduct));
    let streams = Streams::new(limits.body_idle);
    let service = {
        let (worker, caller) = (Rc::clone(worker), Rc::clone(caller));
        let streams = streams.clone();
        service_fn(move |request| {
            let answer = receive(Rc::clone(&worker), Rc::clone(&caller), request);
            streams.answers(answer)
        })
    };
    let mut connection = pin!(builder(limits, streams).serve_connection(TokioIo::new(io), service));
    let mut leaving = pin!(worker.leaving());
    let (mut is_told, mut was_seen) = (false, false);
    let mut watch = Watch::new();
    let (mut idle_for, mut closing_for) = (Duration::ZERO, Duration::ZERO);
    let end = poll_fn(|cx: &mut Context<'_>| {
        if let Poll::Ready(served) = connection.as_mut().poll(cx) {
            return Poll::Ready(End::Served(served));
        }
        is_told = is_told || leaving.as_mut().poll(cx).is_ready();
        // Told to go before its first frames are read, it would go at once, with what its client
        // has just sent.
        was_seen = was_seen || pulse.requests.get() > 0 || worker.is_stopping();
        if is_told && was_seen && !conduct.leaving.get() {
            conduct.leaving.set(true);
            connection.as_mut().graceful_shutdown();
        }
        while watch.ticks.poll_tick(cx).is_ready() {
            was_seen = true;
            conduct.tick();
            // A head cannot be told from a frame here: only stillness counts.
            pulse.head_begun.set(false);
            match watch.look(worker, pulse) {
                Some(Verdict::Stuck) => return Poll::Ready(End::Cut),
                Some(Verdict::Idle) => idle_for += LOOK_EVERY,
                Some(Verdict::HeadTooSlow | Verdict::Served(_)) | None => idle_for = Duration::ZERO,
            }
            if conduct.closing.get() {
                closing_for += LOOK_EVERY;
                if closing_for > LINGER {
                    return Poll::Ready(End::Cut);
                }
            }
            if !conduct.leaving.get() && idle_for >= limits.keep_alive {
                conduct.leaving.set(true);
                connection.as_mut().graceful_shutdown();
            }
        }
        Poll::Pending
    })
    .await;
    if let Some(outcome) = outcome(&end, &conduct, pulse) {
        worker.metrics.handshakes(caller.listener, outcome).add(1);
        strike(worker, caller.peer.ip());
    }
}

fn builder(limits: &Limits, streams: Streams) -> http2::Builder<Streams> {
    let http2 = &limits.http2;
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(streams);
    builder
        .initial_stream_window_size(small(http2.stream_window))
        .initial_connection_window_size(small(http2.connection_window))
        .max_concurrent_streams(small(http2.streams))
        .max_header_list_size(small(limits.header_bytes))
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(UNSEEN_RESETS_MAX)
        // Resets that a client has us make (CVE-2025-8671) cost what its own do.
        .max_local_error_reset_streams(usize::try_from(http2.resets).unwrap_or(usize::MAX));
    builder
}

/// What a connection counts as beyond its requests; `None`: nothing.
fn outcome(end: &End, conduct: &Conduct, pulse: &Pulse) -> Option<Handshake> {
    if conduct.over.get() {
        return Some(Handshake::Abused);
    }
    let error = match end {
        End::Served(Ok(())) => return None,
        // Told to go, and still sending.
        End::Cut if conduct.closing.get() && conduct.is_told_to_go() => {
            return Some(Handshake::Abused);
        }
        End::Cut => return None,
        End::Served(Err(error)) => error,
    };
    let broken = error.source().and_then(|source| source.downcast_ref());
    let ours = broken.filter(|error: &&h2::Error| error.is_go_away() && error.is_library());
    match ours.and_then(h2::Error::reason) {
        Some(Reason::ENHANCE_YOUR_CALM) => Some(Handshake::Abused),
        Some(_) if pulse.requests.get() > 0 => Some(Handshake::Abused),
        Some(_) | None if pulse.requests.get() == 0 => Some(Handshake::BadHead),
        Some(_) | None => None,
    }
}
