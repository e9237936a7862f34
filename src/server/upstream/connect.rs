//! A new connection to an upstream: the first of its addresses that takes one.
//! Never retries an address within one call, and never keeps a connection.

use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::telemetry::labels::Upstream;

use super::Target;
use super::line::Line;
use super::pool::{Lease, Pool};
use super::server::Address;
use crate::server::worker::{InForce, Worker};

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The name has never resolved.
    #[error("the upstream's name does not resolve")]
    Unresolved,
    /// No address took a connection in time.
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
        let Some(stream) = dial(&address, limit).await else {
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

async fn dial(address: &Address, limit: Duration) -> Option<TcpStream> {
    let stream = match timeout(limit, TcpStream::connect(address.socket)).await {
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
    Some(stream)
}

/// The longest head of an answer: web may send long ones (a 100 KiB Link header is
/// seen in practice), ingest never does.
fn head_bytes_max(rules: &InForce, upstream: Upstream) -> usize {
    let limits = &rules.config.limits;
    let bytes = match upstream {
        Upstream::Ingest => limits.header_bytes,
        Upstream::Web => limits.response_header_bytes,
    };
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
