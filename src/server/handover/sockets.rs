//! Sockets that somebody else has bound: an elder, or a service manager. Owns which of them is
//! whose, by its address, and which worker accepts from which. Never binds one.
//!
//! Connections that wait in a socket's queue are reset when its last descriptor is closed. So
//! all sockets of an address are accepted from, however many workers there are, and none is
//! bound beside them.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

/// All sockets of one address.
#[derive(Debug)]
pub(crate) struct Heirloom {
    /// Where it was configured, with port 0 if that was it; what it is bound to, where nobody
    /// says.
    pub configured: SocketAddr,
    /// What it is bound to.
    pub bound: SocketAddr,
    /// One for each worker that there was.
    pub sockets: Vec<TcpListener>,
}

/// What was inherited and has found no use yet.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<Heirloom>);

impl Inherited {
    /// Adds sockets of an address.
    pub(crate) fn add(&mut self, one: Heirloom) {
        let known = self.0.iter_mut();
        let mut known = known.filter(|it| (it.configured, it.bound) == (one.configured, one.bound));
        match known.next() {
            Some(known) => known.sockets.extend(one.sockets),
            None => self.0.push(one),
        }
    }

    /// The sockets for a configured address, if there are any: those that were configured so,
    /// else those that are bound there.
    pub(crate) fn take(&mut self, address: SocketAddr) -> Option<Heirloom> {
        let by = |is_it: &dyn Fn(&Heirloom) -> bool| self.0.iter().position(is_it);
        let at = by(&|it| it.configured == address)
            .or_else(|| by(&|it| it.bound == address))
            .or_else(|| by(&|it| serves(it.bound, address)))?;
        Some(self.0.remove(at))
    }

    /// All that is left.
    pub(crate) fn into_all(self) -> Vec<Heirloom> {
        self.0
    }

    /// The addresses for which there was no use. Their sockets are closed with this.
    pub(crate) fn left(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|it| it.bound).collect()
    }
}

/// Whether a socket on all addresses of IPv6, as a manager binds a bare port, serves one that is
/// configured for all of IPv4.
fn serves(bound: SocketAddr, configured: SocketAddr) -> bool {
    let all_of_v4 = matches!(configured.ip(), IpAddr::V4(ip) if ip.is_unspecified());
    all_of_v4 && bound.is_ipv6() && bound.ip().is_unspecified() && bound.port() == configured.port()
}

/// The numbers of the sockets that a worker accepts from, of so many. Each socket is somebody's,
/// and each worker has one.
fn shares(sockets: usize, worker: usize, workers: usize) -> impl Iterator<Item = usize> {
    let all = worker..sockets.max(worker + 1);
    all.step_by(workers.max(1))
        .map(move |at| at % sockets.max(1))
}

/// A socket, or several, for each worker.
///
/// # Errors
/// There are no more descriptors.
pub(crate) fn for_workers(
    sockets: &[TcpListener],
    workers: usize,
) -> io::Result<Vec<Vec<TcpListener>>> {
    let own = |worker| {
        let own = shares(sockets.len(), worker, workers).filter_map(|at| sockets.get(at));
        own.map(TcpListener::try_clone).collect()
    };
    (0..workers).map(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_socket_is_accepted_from_and_each_worker_accepts() {
        for sockets in 1..12_usize {
            for workers in 1..12_usize {
                let of = |worker| shares(sockets, worker, workers).collect::<Vec<_>>();
                let all: Vec<Vec<usize>> = (0..workers).map(of).collect();
                let mut served: Vec<usize> = all.concat();
                served.sort_unstable();
                let once = served.len();
                served.dedup();
                let named = format!("{sockets} sockets, {workers} workers: {all:?}");
                assert_eq!(served, (0..sockets).collect::<Vec<_>>(), "{named}");
                assert!(all.iter().all(|own| !own.is_empty()), "{named}");
                assert_eq!(once, sockets.max(workers), "{named}");
            }
        }
    }

    #[test]
    fn as_many_workers_as_sockets_have_one_each() {
        assert_eq!(shares(3, 1, 3).collect::<Vec<_>>(), [1]);
        assert_eq!(shares(2, 3, 4).collect::<Vec<_>>(), [1]);
        assert_eq!(shares(5, 1, 2).collect::<Vec<_>>(), [1, 3]);
    }

    fn heirloom(configured: &str, bound: &str) -> Heirloom {
        Heirloom {
            configured: configured.parse().unwrap(),
            bound: bound.parse().unwrap(),
            sockets: Vec::new(),
        }
    }

    #[track_caller]
    fn check(inherited: &[(&str, &str)], wanted: &str, want: Option<&str>) {
        let mut all = Inherited::default();
        for (configured, bound) in inherited {
            all.add(heirloom(configured, bound));
        }
        let taken = all.take(wanted.parse().unwrap());
        let bound = taken.map(|taken| taken.bound.to_string());
        assert_eq!(bound.as_deref(), want, "{wanted}");
        assert_eq!(
            all.left().len() + usize::from(want.is_some()),
            inherited.len()
        );
    }

    #[test]
    fn sockets_are_found_by_where_they_were_configured_then_by_where_they_are_bound() {
        let both = [
            ("127.0.0.1:0", "127.0.0.1:9000"),
            ("127.0.0.1:9001", "127.0.0.1:9001"),
        ];
        check(&both, "127.0.0.1:0", Some("127.0.0.1:9000"));
        check(&both, "127.0.0.1:9000", Some("127.0.0.1:9000"));
        check(&both, "127.0.0.1:9001", Some("127.0.0.1:9001"));
        check(&both, "127.0.0.1:9002", None);
        check(&both, "127.0.0.2:9001", None);
        let bare = [("[::]:9000", "[::]:9000")];
        check(&bare, "0.0.0.0:9000", Some("[::]:9000"));
        check(&bare, "0.0.0.0:9001", None);
        check(&bare, "127.0.0.1:9000", None);
    }
}
