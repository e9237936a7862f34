//! Looks the upstreams' names up again and again through the system's resolver:
//! on a timer, and at once when a connection failed. Never stops a start, and
//! never forgets an answer because the next one failed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{Instant, sleep, timeout};

use crate::telemetry::metrics::Metrics;

use super::Target;
use super::server::Address;
use crate::server::worker::Shared;

/// How often doubts are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long one look-up may take; a hanging resolver must not hide a later answer.
const LOOKUP_MAX: Duration = Duration::from_secs(5);

/// Looks names up until the control thread's runtime ends.
pub(crate) async fn keep_resolving(shared: &Shared, metrics: &Metrics) {
    let mut last: Option<Instant> = None;
    loop {
        let rules = shared.rules.load_full();
        let due = last.is_none_or(|at| at.elapsed() >= rules.config.upstream.resolve_interval);
        for target in rules.targets().into_values() {
            let doubted = target.take_doubt();
            if due || doubted || target.addresses().is_empty() {
                resolve(target).await;
            }
            let count = u64::try_from(target.addresses().len()).unwrap_or(u64::MAX);
            if let Some(gauge) = metrics.control.addresses(target.upstream) {
                gauge.store(count, Ordering::Relaxed);
            }
        }
        if due {
            last = Some(Instant::now());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// One look-up of all of a target's names.
pub(crate) async fn resolve(target: &Target) {
    let mut found: Vec<Address> = Vec::new();
    let mut failed = None;
    for server in &target.servers {
        let name = (server.url.host.as_str(), server.url.port);
        let of = |socket| Address {
            socket,
            server: Arc::clone(server),
        };
        match timeout(LOOKUP_MAX, lookup_host(name)).await {
            Ok(Ok(sockets)) => found.extend(sockets.map(of)),
            Ok(Err(error)) => failed = Some(error.to_string()),
            Err(_) => failed = Some("the resolver did not answer".to_owned()),
        }
    }
    let before = target.addresses();
    if let Some(error) = failed {
        if before.is_empty() && found.is_empty() {
            tracing::debug!(upstream = target.name, error, "name not resolved");
            return;
        }
        // A partial answer must not make the missing half's servers vanish.
        found.extend(before.iter().cloned());
    }
    found.sort_by(Address::order);
    found.dedup();
    if **before != found {
        let sockets: Vec<_> = found.iter().map(|address| address.socket).collect();
        tracing::info!(
            upstream = target.name,
            addresses = ?sockets,
            "upstream addresses changed"
        );
        target.found(found);
    }
}
