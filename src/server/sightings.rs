//! Where requests come from, as far as an operator needs it to find a proxy that
//! hides its clients: a request a second and worker, whole chains included, and
//! the address that most requests share. Bounded, and kept in memory only. What was
//! judged by other rules is forgotten when they change. Never decides what of an
//! address may be shown.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::domain::client_ip::Source;
use crate::telemetry::labels::Route;

/// How many sighted requests are kept.
const KEPT: usize = 32;

/// How many lines of a forwarding header are kept of each, and how long a line.
const LINES_MAX: usize = 8;
const LINE_BYTES_MAX: usize = 1024;

/// After so many requests old ones count half, so that a mended proxy shows.
const HALVED_AT: u64 = 10_000;

/// How many requests were resolved in which way, in the order of `Source::ALL`.
pub(crate) type Resolved = [u64; Source::ALL.len()];

/// A request that was seen.
#[derive(Debug, Clone)]
pub(crate) struct Sighting {
    /// When.
    pub at: SystemTime,
    /// Where it belonged.
    pub route: Route,
    /// The socket's other end.
    pub peer: IpAddr,
    /// The lines of the configured forwarding header, as they came.
    pub forwarded: Vec<Vec<u8>>,
}

impl Sighting {
    /// The request as it is kept: what is too long is cut.
    pub(crate) fn new<'h>(
        at: SystemTime,
        route: Route,
        peer: IpAddr,
        lines: impl Iterator<Item = &'h [u8]>,
    ) -> Self {
        let cut = |line: &[u8]| line.get(..LINE_BYTES_MAX).unwrap_or(line).to_vec();
        Self {
            at,
            route,
            peer,
            forwarded: lines.take(LINES_MAX).map(cut).collect(),
        }
    }
}

/// An address and how many of all requests were surely its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// The address.
    pub address: IpAddr,
    /// Requests that came from it while it was looked at.
    pub own: u64,
    /// All requests.
    pub all: u64,
}

/// A worker's own look: a few steps a request.
#[derive(Debug)]
pub(crate) struct Watch {
    address: Cell<IpAddr>,
    /// Rises with each request from `address`, falls with each from elsewhere: an
    /// address that most requests share is found without a table (Boyer, Moore).
    lead: Cell<u64>,
    own: Cell<u64>,
    all: Cell<u64>,
    due: Cell<bool>,
    /// The rules that all this was judged by.
    round: Cell<u64>,
    sighted: RefCell<Option<Sighting>>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            address: Cell::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            lead: Cell::new(0),
            own: Cell::new(0),
            all: Cell::new(0),
            due: Cell::new(true),
            round: Cell::new(0),
            sighted: RefCell::default(),
        }
    }
}

impl Watch {
    /// A request came from this client. True: the next one to be sighted is this.
    pub(crate) fn passes(&self, client: IpAddr) -> bool {
        self.all.set(self.all.get() + 1);
        if self.address.get() == client {
            self.lead.set(self.lead.get() + 1);
            self.own.set(self.own.get() + 1);
        } else if let Some(lead) = self.lead.get().checked_sub(1) {
            self.lead.set(lead);
        } else {
            self.address.set(client);
            self.lead.set(1);
            self.own.set(1);
        }
        self.due.get()
    }

    /// Keeps a request until the board is next told.
    pub(crate) fn sights(&self, sighting: Sighting) {
        self.due.set(false);
        *self.sighted.borrow_mut() = Some(sighting);
    }

    /// Tells the board, about once a second, and begins to look for another request.
    pub(crate) fn report(&self, worker: usize, board: &Board) {
        let sighted = self.sighted.borrow_mut().take();
        self.due.set(true);
        if let Err(round) = board.take(self.round.get(), worker, self.share(), sighted) {
            self.round.set(round);
            for count in [&self.lead, &self.own, &self.all] {
                count.set(0);
            }
            return;
        }
        if self.all.get() >= HALVED_AT {
            for count in [&self.lead, &self.own, &self.all] {
                count.set(count.get() / 2);
            }
        }
    }

    fn share(&self) -> Share {
        Share {
            address: self.address.get(),
            own: self.own.get(),
            all: self.all.get(),
        }
    }
}

/// What all workers saw.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Rises when the rules change that all else was judged by.
    round: u64,
    /// What the counters said then.
    before: Resolved,
    shares: Vec<Share>,
    sightings: VecDeque<Sighting>,
}

impl Board {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was judged by other rules than those now in force: a proxy that is
    /// listed at last must not stand for everybody for ten thousand requests more.
    pub(crate) fn begin_anew(&self, counted: Resolved) {
        let mut seen = self.seen();
        *seen = Seen {
            round: seen.round + 1,
            before: counted,
            ..Seen::default()
        };
    }

    /// Of what the counters say, that which the rules in force have resolved.
    pub(crate) fn resolved(&self, counted: Resolved) -> Resolved {
        let before = self.seen().before;
        let mut resolved = counted;
        for (n, before) in resolved.iter_mut().zip(before) {
            *n = n.saturating_sub(before);
        }
        resolved
    }

    /// Takes what a worker saw in this round; else tells which round it is now.
    fn take(
        &self,
        round: u64,
        worker: usize,
        share: Share,
        sighting: Option<Sighting>,
    ) -> Result<(), u64> {
        let mut seen = self.seen();
        if seen.round != round {
            return Err(seen.round);
        }
        let nobody = Share {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            own: 0,
            all: 0,
        };
        if seen.shares.len() <= worker {
            seen.shares.resize(worker + 1, nobody);
        }
        if let Some(place) = seen.shares.get_mut(worker) {
            *place = share;
        }
        if let Some(sighting) = sighting {
            seen.sightings.truncate(KEPT - 1);
            seen.sightings.push_front(sighting);
        }
        Ok(())
    }

    /// The requests last sighted, newest first.
    pub(crate) fn sightings(&self) -> Vec<Sighting> {
        self.seen().sightings.iter().cloned().collect()
    }

    /// The address that most requests share, by what each worker saw of it.
    pub(crate) fn most_common(&self) -> Option<Share> {
        let seen = self.seen();
        let all = seen.shares.iter().map(|share| share.all).sum();
        let of = |address: IpAddr| {
            let same = seen.shares.iter().filter(|share| share.address == address);
            same.map(|share| share.own).sum::<u64>()
        };
        seen.shares
            .iter()
            .filter(|share| share.own > 0)
            .map(|share| Share {
                address: share.address,
                own: of(share.address),
                all,
            })
            .max_by_key(|share| share.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(203, 0, 113, last))
    }

    #[track_caller]
    fn check(clients: &[&[u8]], want: Option<(u8, u64, u64)>) {
        let board = Board::default();
        for (worker, clients) in clients.iter().enumerate() {
            let watch = Watch::default();
            for client in *clients {
                watch.passes(address(*client));
            }
            watch.report(worker, &board);
        }
        let found = board.most_common();
        let want = want.map(|(last, own, all)| Share {
            address: address(last),
            own,
            all,
        });
        assert_eq!(found, want, "{clients:?}");
    }

    #[test]
    fn an_address_that_most_requests_share_is_found() {
        check(&[&[]], None);
        check(&[&[1, 1, 1]], Some((1, 3, 3)));
        check(&[&[1, 2, 1, 1, 3, 1]], Some((1, 4, 6)));
        check(&[&[1, 1], &[1, 1, 1]], Some((1, 5, 5)));
        check(&[&[1, 1], &[2, 2, 2]], Some((2, 3, 5)));
    }

    #[test]
    fn no_more_requests_are_kept_than_the_limit_and_the_newest_come_first() {
        let (board, watch) = (Board::default(), Watch::default());
        for last in 0..=u8::try_from(KEPT).unwrap() {
            assert!(watch.passes(address(last)), "one is due after each report");
            let route = Route::Ingest;
            watch.sights(Sighting::new(
                SystemTime::UNIX_EPOCH,
                route,
                address(last),
                [].into_iter(),
            ));
            assert!(!watch.passes(address(last)), "one a report is enough");
            watch.report(0, &board);
        }
        let kept = board.sightings();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept.first().map(|first| first.peer), Some(address(32)));
        assert_eq!(kept.last().map(|last| last.peer), Some(address(1)));
    }

    /// A proxy that was listed at last passed for nearly everybody until ten thousand
    /// more requests had come.
    #[test]
    fn what_other_rules_judged_is_forgotten() {
        let (board, watch) = (Board::default(), Watch::default());
        let sight = |client| {
            watch.passes(address(client));
            let at = SystemTime::UNIX_EPOCH;
            watch.sights(Sighting::new(
                at,
                Route::Web,
                address(client),
                [].into_iter(),
            ));
        };
        sight(1);
        watch.report(0, &board);
        board.begin_anew([5, 0, 1, 0]);
        assert_eq!(board.most_common(), None);
        assert!(board.sightings().is_empty());
        assert_eq!(board.resolved([5, 3, 1, 0]), [0, 3, 0, 0]);
        sight(1);
        watch.report(0, &board);
        assert_eq!(board.most_common(), None, "it may be of the time before");
        assert!(board.sightings().is_empty());
        sight(2);
        watch.report(0, &board);
        let (own, all) = (1, 1);
        let own = Share {
            address: address(2),
            own,
            all,
        };
        assert_eq!(board.most_common(), Some(own));
        assert_eq!(board.sightings().len(), 1);
    }

    #[test]
    fn long_chains_are_cut() {
        let line = vec![b'x'; LINE_BYTES_MAX + 1];
        let lines = (0..=LINES_MAX).map(|_| line.as_slice());
        let sighting = Sighting::new(SystemTime::UNIX_EPOCH, Route::Web, address(1), lines);
        assert_eq!(sighting.forwarded.len(), LINES_MAX);
        assert!(
            sighting
                .forwarded
                .iter()
                .all(|line| line.len() == LINE_BYTES_MAX)
        );
    }
}
