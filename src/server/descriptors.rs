//! How many files and sockets this process may have open. Raises the limit as far as the
//! configuration needs and the system allows, once.

use super::worker;

/// Descriptors kept for what is no client: upstream connections that lie idle,
/// files, the admin server.
pub(crate) const SPARE_DESCRIPTORS: u64 = 1024;

/// Asks for as many descriptors as the limits can need, two for each client's
/// connection, and yields how many there are.
pub(super) fn raise_open_files(connections: u64) -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = connections
        .saturating_mul(2)
        .saturating_add(SPARE_DESCRIPTORS);
    let now = getrlimit(Resource::Nofile);
    let current = now.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return current;
    }
    let reachable = now.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = Rlimit {
        current: Some(reachable),
        maximum: now.maximum,
    };
    let reached = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => reachable,
        Err(_) => current,
    };
    if reached < wanted {
        tracing::warn!(
            open_files = reached,
            wanted,
            connections_max = worker::connections_max(connections, reached),
            "fewer connections are taken than limits.connections allows: the limit on open files is too low"
        );
    }
    reached
}
