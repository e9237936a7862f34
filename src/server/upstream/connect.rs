//! A new connection to an upstream: the first of its addresses that takes one, and that is
//! who it should be.
//! Never retries an address within one call, and never keeps a connection.

use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::domain::reach::ReachFault;
use crate::telemetry::labels::Upstream;

use super::Target;
use super::line::Line;
use super::pool::{Lease, Pool};
use super::server::Address;
use super::stream::Stream;
use super::trust::Trusting;
use crate::server::worker::{InForce, Worker};

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The name has never resolved.
    #[error("the upstream's name does not resolve")]
    Unresolved,
    /// No address took a connection in time, and was who it should be.
    #[error("the upstream does not take connections")]
    Unreachable,
    /// `upstream.connections` are open already.
    #[error("all connections to the upstream are in use")]
    Full,
}

/// Dials the target's addresses in turn, beginning where the last call ended, and last
/// those that failed lately; for `patience` at most.
pub(crate) async fn connect(
    worker: &Rc<Worker>,
    rules: &InForce,
    target: &Target,
    patience: Duration,
) -> Result<Lease, ConnectError> {
    let pool = worker.pool(target.upstream);
    let workers = u64::try_from(rules.workers()).unwrap_or(1);
    let share = (rules.config.upstream.connections / workers.max(1)).max(1);
    let slot = pool
        .slot(share, &worker.metrics)
        .ok_or(ConnectError::Full)?;
    let now = Instant::now();
    let addresses = in_turn(&target.addresses(), pool, now);
    if addresses.is_empty() {
        target.doubt();
        return Err(ConnectError::Unresolved);
    }
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        // What does not answer at all must leave the others time.
        let share = patience.saturating_sub(now.elapsed()) / left;
        left -= 1;
        let limit = rules.config.upstream.timeouts.connect.min(share);
        let count = |fault| worker.metrics.reaches.at(target.upstream, fault).add(1);
        let Some(stream) = dial(&worker.shared.trust, &address, limit, count).await else {
            pool.spare(&address, Instant::now());
            continue;
        };
        target.trust();
        let head_bytes_max = head_bytes_max(rules, target.upstream);
        let line = Box::new(Line::new(stream, address, head_bytes_max, slot));
        pool.watch(Rc::clone(&line.talk));
        return Ok(Lease::new(Rc::clone(worker), line, target));
    }
    target.doubt();
    Err(ConnectError::Unreachable)
}

/// The addresses from this turn's on, those that failed lately last.
fn in_turn(addresses: &[Address], pool: &Pool, now: Instant) -> Vec<Address> {
    let first = pool.turn() % addresses.len().max(1);
    let (before, from) = addresses.split_at(first.min(addresses.len()));
    let mut turn: Vec<Address> = from.iter().chain(before).cloned().collect();
    turn.sort_by_key(|address| pool.is_spared(address, now));
    turn
}

/// A connection to one address, TLS agreed upon where its server speaks that; all of it in
/// `limit`. What is wrong with TLS is noted, and counted by the caller.
pub(crate) async fn dial(
    trust: &Trusting,
    address: &Address,
    limit: Duration,
    count: impl FnOnce(ReachFault),
) -> Option<Stream> {
    let end = Instant::now() + limit;
    let stream = match timeout_at(end, TcpStream::connect(address.socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "connect failed");
            return None;
        }
        Err(_) => {
            tracing::debug!(%address, "connect timed out");
            return None;
        }
    };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%error, "TCP_NODELAY refused");
    }
    let Some(name) = &address.server.name else {
        return Some(Stream::Clear(stream));
    };
    // Large, and none of those who speak in the clear should carry it.
    let reached = Box::pin(async {
        let trust = trust.in_force().ok_or(ReachFault::Unready)?;
        let reached = timeout_at(end, trust.reach(name, stream)).await;
        reached.unwrap_or(Err(ReachFault::Timeout))
    });
    match reached.await {
        Ok(session) => Some(Stream::Sealed(Box::new(session))),
        Err(fault) => {
            address.server.fails(address.socket, fault);
            count(fault);
            None
        }
    }
}

/// The longest head of an answer: web may send long ones (a 100 KiB Link header is
/// seen in practice), ingest never does.
fn head_bytes_max(rules: &InForce, upstream: Upstream) -> usize {
    let limits = &rules.config.limits;
    let bytes = match upstream {
        Upstream::Ingest | Upstream::Mirror(_) => limits.header_bytes,
        Upstream::Web => limits.response_header_bytes,
    };
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
