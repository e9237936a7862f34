//! What one process holds: it is born from what lies on the disk, and dies with all else. Owns
//! what is asked in which order; what a reply means is in `ends`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use super::super::log::tests::disk::SimDisk;
use super::super::log::{Found, Log, LogLimits, Place};
use super::quotas::{Journal, Limiter};
use super::senders::Item;
use crate::policy::breaker::{Breaker, Pass};
use crate::policy::evidence::Evidence;
use crate::policy::learned::Learned;
use crate::policy::pace::{Bounds, Pace, Turn};
use crate::policy::proven::ProvenHere;
use crate::policy::quotas::Moment;
use crate::policy::replay::lane::Lane;
use crate::policy::replay::{Held, Replay, Weight};
use crate::policy::switches::Switches;
use crate::policy::verdicts::{VerdictLimits, Verdicts};
use crate::telemetry::ledger::{Ledger, Row, WorkerLedger};

/// Small segments, so that many come and go.
pub(super) const LIMITS: LogLimits = LogLimits {
    segment_bytes: 4096,
    inline_bytes_max: 600,
    damaged_bytes_max: 8192,
};

/// What the log may hold.
pub(super) const DISK_BYTES_MAX: u64 = 160 * 1024;
pub(super) const RECORDS_MAX: usize = 1200;

/// Kept requests under way at once.
pub(super) const REPLAYS_MAX: usize = 8;

/// Wide enough for the senders, narrow enough to be met.
const BOUNDS: Bounds = Bounds {
    min: 2,
    max: 24,
    replay_percent: 50,
};

/// Whose a request under way is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    /// A client's, who waits.
    Live,
    /// A client's, who has waited too long: kept under this order, once that is known.
    Late(Option<u64>),
    /// The spool's.
    Kept(u64, Weight),
}

/// A request under way.
pub(super) struct Flight {
    pub(super) item: Item,
    pub(super) charged: Option<Moment>,
    /// Leave to go, until it is given back.
    pub(super) leave: Option<(Pass, Turn)>,
    pub(super) whose: Whose,
}

/// Somebody waits for the disk.
pub(super) struct Wanted {
    pub(super) item: Item,
    pub(super) charged: Moment,
    /// Its request goes on, or has had its reply: nothing is told to the client of either.
    pub(super) late: Option<u64>,
}

/// One process.
pub(super) struct Edge {
    pub(super) limiter: Limiter,
    pub(super) learned: Learned,
    pub(super) verdicts: Verdicts,
    pub(super) here: ProvenHere,
    pub(super) switches: Switches,
    pub(super) breaker: Breaker,
    pub(super) pace: Pace,
    pub(super) evidence: Evidence,
    pub(super) replay: Replay<Place>,
    pub(super) log: Log<SimDisk>,
    pub(super) books: WorkerLedger,
    pub(super) ledger: Arc<Ledger>,
    pub(super) flights: BTreeMap<u64, Flight>,
    pub(super) wanted: Vec<Wanted>,
    pub(super) in_maintenance: bool,
    /// The last order that went for the first time, of each lane of each project.
    firsts: HashMap<(u64, Lane), u64>,
    /// What went before, or began before it was kept.
    tried: HashSet<u64>,
}

impl Edge {
    /// A process on this disk, and what it found there.
    pub(super) fn born(disk: &SimDisk, journal: &Journal) -> (Self, Vec<Found>) {
        let (log, recovered) = Log::open(disk.clone(), LIMITS).unwrap();
        let ledger = Arc::new(Ledger::new(SystemTime::UNIX_EPOCH, 100));
        let edge = Self {
            limiter: Limiter::restored(journal),
            learned: Learned::new(100),
            verdicts: Verdicts::new(VerdictLimits {
                proven_max: 100,
                candidates_max: 100,
                refused_max: 100,
                unproven_per_second: 20,
            }),
            here: ProvenHere::default(),
            switches: Switches::default(),
            breaker: Breaker::new(200),
            pace: Pace::new(BOUNDS, BOUNDS.max),
            evidence: Evidence::default(),
            replay: Replay::new(RECORDS_MAX),
            log,
            books: ledger.worker(),
            ledger,
            flights: BTreeMap::new(),
            wanted: Vec::new(),
            in_maintenance: false,
            firsts: HashMap::new(),
            tried: HashSet::new(),
        };
        (edge, recovered.records)
    }

    /// The row of an item in the books.
    pub(super) fn row(&self, item: &Item) -> Rc<Row> {
        let account = self.books.account(Some(item.project()), true);
        self.books.row(account, item.category)
    }

    /// Holds what lies in the log; one whose request goes on is under way.
    pub(super) fn holds(&mut self, item: &Item, held: Held<Place>, goes_on: bool) {
        let pushed = match goes_on {
            true => {
                self.tried.insert(held.order);
                self.replay.push_under_way(held)
            }
            false => self.replay.push(held),
        };
        assert_eq!(pushed, Ok(()), "{item:?} finds no room that was looked for");
    }

    /// Whether one more may be kept.
    pub(super) fn has_room(&self) -> bool {
        self.replay.len() < RECORDS_MAX && self.log.usage().bytes_on_disk < DISK_BYTES_MAX
    }

    /// One more that goes: for the first time only in its lane's order.
    pub(super) fn sets_out(&mut self, held: &Held<Place>) {
        let project = held.project.map_or(0, |project| project.get());
        if self.tried.insert(held.order)
            && let Some(before) = self.firsts.insert((project, held.lane), held.order)
        {
            assert!(
                before < held.order,
                "{} goes for the first time behind {before}",
                held.order
            );
        }
    }

    /// Probes under way that were given in the same term.
    pub(super) fn beside(&self, probe: Pass) -> usize {
        let leaves = self.flights.values().filter_map(|it| it.leave.as_ref());
        leaves.filter(|(pass, _)| *pass == probe).count()
    }

    fn going(&self, is_kept: bool) -> u64 {
        let flights = self.flights.values();
        let going = flights.filter(|flight| {
            flight.leave.is_some() && matches!(flight.whose, Whose::Kept(..)) == is_kept
        });
        u64::try_from(going.count()).unwrap()
    }

    /// What holds at any moment.
    pub(super) fn judge(&self) {
        assert_eq!(self.pace.live_now(), self.going(false), "live turns");
        assert_eq!(self.pace.replays_now(), self.going(true), "replay's turns");
        assert!(self.going(true) <= u64::try_from(REPLAYS_MAX).unwrap());
        assert!(self.pace.window() <= u64::from(BOUNDS.max));
        let usage = self.log.usage();
        assert_eq!(
            usage.live_records,
            u64::try_from(self.replay.len()).unwrap()
        );
        assert!(self.replay.len() <= RECORDS_MAX);
        let more = u64::from(LIMITS.segment_bytes) * 2 + LIMITS.damaged_bytes_max;
        assert!(
            usage.bytes_on_disk <= DISK_BYTES_MAX + more,
            "{} bytes on disk",
            usage.bytes_on_disk
        );
        let open = |flight: &&Flight| matches!(flight.whose, Whose::Live);
        let live = self.flights.values().filter(open).count() + self.wanted.len();
        let lines = self.ledger.lines();
        let in_flight: u64 = lines.iter().map(|line| line.in_flight().items).sum();
        assert_eq!(in_flight, u64::try_from(live).unwrap(), "the books");
        let spooled: u64 = lines.iter().map(|line| line.spooled.items).sum();
        assert_eq!(spooled, usage.live_records, "the books, of what is kept");
    }

    /// It is gone at once: nothing in memory is written.
    pub(super) fn dies(self) {
        std::mem::forget(self.log);
    }
}
