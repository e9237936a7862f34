//! One worker: a thread's runtime, its pools and its counters. Never shared:
//! other threads reach it only through the rules in force and the stop signal.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use arc_swap::cache::Cache as Latest;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::domain::endpoint::ProjectId;
use crate::domain::rate_limits::RateLimit;
use crate::policy::Live;
use crate::policy::blocks::Blocks;
use crate::policy::cache::Cache;
use crate::policy::learned::{Learned, LearnedLimit};
use crate::policy::millis::Millis;
use crate::policy::pair::Pair;
use crate::policy::proven::ProvenHere;
use crate::policy::quotas::{Counters, Moment};
use crate::policy::repeats::Repeats;
use crate::policy::strangers::Strangers;
use crate::policy::switches::{OfProject, Switches};
use crate::policy::verdicts::Verdicts;
use crate::telemetry::labels::Upstream;
use crate::telemetry::ledger::{Ledger, WorkerLedger};
use crate::telemetry::metrics::WorkerMetrics;

use crate::server::access_log::AccessLog;
use crate::server::access_log::desk::Desk;
use crate::server::acme::Showcase;
use crate::server::client::door::Door;
use crate::server::client::per_client::PerClient;
use crate::server::client::secure::Handshakes;
use crate::server::delivery::maintenance::Maintenance;
use crate::server::disk_guard;
use crate::server::entrance::Entrance;
use crate::server::feed::{Feed, Teller};
use crate::server::habits::Habits;
use crate::server::handover::Succession;
use crate::server::ingest::inflating::Places;
use crate::server::looks::{self, Lookout};
use crate::server::memory::journal::Journal;
use crate::server::mirrors::Mirrors;
use crate::server::pulses::Pulses;
use crate::server::reports::{Board, Share};
use crate::server::rules::Rules;
use crate::server::shared_quota;
use crate::server::sightings::{self, Watch};
use crate::server::spool::Spool;
use crate::server::upstream::pool::Pool;
use crate::server::upstream::trust::Trusting;

mod in_force;
mod upstreams;

pub(crate) use in_force::{Finishing, InForce};

/// What all threads of one edge share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The rules in force; swapped whole by a reload.
    pub rules: Arc<ArcSwap<Rules>>,
    /// The public listeners, in their order.
    pub entrances: Vec<Entrance>,
    /// What TLS with servers stands on.
    pub trust: Arc<Trusting>,
    /// What ACME has brought them, and the proofs that are shown to authorities.
    pub acme: Showcase,
    /// Open client connections of all workers.
    pub connections: AtomicU64,
    /// The same by client address, where that is limited.
    pub per_client: Arc<PerClient>,
    /// What each listener is for, in their order.
    pub doors: Vec<Door>,
    /// Files and sockets that the system lets this process open.
    pub descriptors: u64,
    /// Set once, by a stop.
    pub stopping: AtomicBool,
    /// The processes before and after this one.
    pub succession: Succession,
    /// When each worker was last seen.
    pub pulses: Pulses,
    /// Bytes of request bodies that lie on disk, of all workers.
    pub disk_bytes: Arc<AtomicU64>,
    /// Bytes of answers that were read ahead of their clients, of all workers.
    pub ahead_bytes: Arc<AtomicU64>,
    /// What was learned of those who send; a reload leaves it standing.
    pub verdicts: Verdicts,
    /// The keys that nobody has told of; a reload leaves them standing.
    pub strangers: Strangers,
    /// What was used of quotas; a reload leaves it standing.
    pub counters: Arc<Counters>,
    /// What operators have switched on; swapped whole by each change.
    pub switches: Arc<ArcSwap<Switches>>,
    /// How the guarded disks stand, for whoever asks.
    pub disks: Arc<disk_guard::Board>,
    /// What projects usually send; a reload leaves it standing.
    pub habits: Habits,
    /// How the sharing of quotas with other edges stands, for whoever asks.
    pub shared_quota: shared_quota::Board,
    /// The limits that upstreams told of.
    pub learned: Learned,
    /// What was seen of errors that repeat.
    pub repeats: Repeats,
    /// What is kept of web's answers; a reload leaves it standing.
    pub cache: Cache,
    /// Who only misbehaved of late; a reload leaves it standing.
    pub blocks: Blocks,
    /// Where used quotas are written down.
    pub journal: Journal,
    /// What the upstream did not take.
    pub spool: Spool,
    /// Copies for others.
    pub mirrors: Mirrors,
    /// Whether the upstream is being worked on.
    pub maintenance: Maintenance,
    /// The books of all workers.
    pub ledger: Arc<Ledger>,
    /// What Sentry is to be told of what was dropped.
    pub reports: Arc<Board>,
    /// What the wall clock shows beyond `epoch`, in milliseconds of Unix time.
    pub wall_ms: AtomicU64,
    /// Where requests have a line each.
    pub access_log: Arc<AccessLog>,
    /// Who listens to what becomes of items.
    pub feed: Feed,
    /// Who sends what, by a look at some, for whoever asks.
    pub looks: looks::Board,
    /// Where requests come from, for whoever asks.
    pub sightings: sightings::Board,
    /// When the edge started: policy counts its time from here.
    pub epoch: Instant,
}

/// What is unpacked in one go.
const SLICE_BYTES: usize = 64 * 1024;

impl Shared {
    /// What a listener is for.
    ///
    /// # Panics
    /// Never: listeners are numbered as the doors are.
    pub(crate) fn door(&self, listener: usize) -> &Door {
        let door = self.doors.get(listener);
        door.expect("each listener has its door from the start")
    }

    /// A moment as policy counts it.
    pub(crate) fn millis(&self, at: Instant) -> Millis {
        let since = at.saturating_duration_since(self.epoch).as_millis();
        Millis(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// A moment as quotas count it: rates from the start, windows by the wall clock.
    pub(crate) fn moment(&self, at: Instant) -> Moment {
        let since = at.saturating_duration_since(self.epoch);
        let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let unix_ms = self
            .wall_ms
            .load(Ordering::Relaxed)
            .saturating_add(since_ms);
        Moment {
            since_start_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            unix_s: unix_ms / 1000,
        }
    }

    /// A moment as policy counts it, in milliseconds of Unix time.
    pub(crate) fn moment_ms(&self, at: Millis) -> u64 {
        self.wall_ms.load(Ordering::Relaxed).saturating_add(at.0)
    }

    /// Looks at the wall clock, which may have been set.
    pub(crate) fn look_at_clock(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now_ms = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        let since_ms = self.millis(Instant::now()).0;
        self.wall_ms
            .store(now_ms.saturating_sub(since_ms), Ordering::Relaxed);
    }
}

/// How many client connections are taken: the limit, or what the descriptors
/// allow at two each, if that is less.
pub(crate) fn connections_max(limit: u64, descriptors: u64) -> u64 {
    limit.min(descriptors.saturating_sub(super::SPARE_DESCRIPTORS.min(descriptors / 2)) / 2)
}

/// A worker's own state, reached by everything it runs.
#[derive(Debug)]
pub(crate) struct Worker {
    /// What it shares with the others.
    pub shared: Arc<Shared>,
    /// Its counters, written by it alone.
    pub metrics: Arc<WorkerMetrics>,
    /// Connections to each upstream, by its index.
    pools: [Pool; Upstream::COUNT],
    /// Exchanges whose client has left.
    pub finishing: Rc<Cell<u64>>,
    /// Events on their way to each upstream whose body is still to come.
    streaming: [Cell<u64>; Upstream::COUNT],
    /// Bodies that are unpacked on their way.
    pub unpacking: Places,
    /// Bodies that are here in full, and leave unpacked without some of their items.
    pub parting: Places,
    /// Bodies that are here, and are looked into.
    pub looking: Places,
    /// TLS handshakes under way.
    pub handshakes: Handshakes,
    /// Where they are unpacked to, slice by slice.
    pub slice: RefCell<Box<[u8]>>,
    /// Its books.
    pub ledger: WorkerLedger,
    /// What it has dropped of late.
    pub reports: Share,
    /// The proven senders that this worker has met.
    pub proven_here: RefCell<ProvenHere>,
    /// Where its requests come from.
    pub watch: Watch,
    /// Who sends what to it.
    pub lookout: Lookout,
    /// What it tells of items.
    pub teller: Teller,
    /// Its lines of the access log.
    pub desk: Desk,
    fresh: RefCell<Latest<Arc<ArcSwap<Rules>>, Arc<Rules>>>,
    current: RefCell<Rc<InForce>>,
    switches: RefCell<Latest<Arc<ArcSwap<Switches>>, Arc<Switches>>>,
    stop: Notify,
    leave: Notify,
}

impl Worker {
    /// A worker with empty pools.
    pub(crate) fn new(shared: Arc<Shared>, metrics: Arc<WorkerMetrics>) -> Self {
        let ledger = shared.ledger.worker();
        let reports = shared.reports.share();
        let desk = Desk::new(Arc::clone(&shared.access_log));
        let mut fresh = Latest::new(Arc::clone(&shared.rules));
        let switches = RefCell::new(Latest::new(Arc::clone(&shared.switches)));
        let current = RefCell::new(Rc::new(InForce(Arc::clone(fresh.load()))));
        Self {
            shared,
            metrics,
            pools: upstreams::pools(),
            finishing: Rc::default(),
            streaming: Default::default(),
            unpacking: Places::default(),
            parting: Places::default(),
            looking: Places::default(),
            handshakes: Handshakes::default(),
            slice: RefCell::new(vec![0; SLICE_BYTES].into()),
            ledger,
            reports,
            proven_here: RefCell::default(),
            watch: Watch::default(),
            lookout: Lookout::default(),
            teller: Teller::default(),
            desk,
            fresh: RefCell::new(fresh),
            current,
            switches,
            stop: Notify::new(),
            leave: Notify::new(),
        }
    }

    /// The rules in force now. One pointer comparison when nothing has changed.
    pub(crate) fn rules(&self) -> Rc<InForce> {
        let mut fresh = self.fresh.borrow_mut();
        let latest = fresh.load();
        let mut current = self.current.borrow_mut();
        if !Arc::ptr_eq(latest, &current.0) {
            *current = Rc::new(InForce(Arc::clone(latest)));
        }
        Rc::clone(&current)
    }

    /// What is switched on for a project now. One pointer comparison and one test while
    /// nothing is on for anybody.
    pub(crate) fn switches(&self, project: Option<ProjectId>) -> Option<Arc<OfProject>> {
        self.switches.borrow_mut().load().of(project).cloned()
    }

    /// A moment as policy counts it.
    pub(crate) fn millis(&self, at: Instant) -> Millis {
        self.shared.millis(at)
    }

    /// What a judgement reads and moves, for a request that came at `at`.
    pub(crate) fn live<'a>(&'a self, at: Instant, here: &'a mut ProvenHere) -> Live<'a> {
        Live {
            now: self.millis(at),
            verdicts: &self.shared.verdicts,
            here,
            strangers: &self.shared.strangers,
        }
    }

    /// Counts something that a stop waits for, until it is dropped.
    pub(crate) fn finishes(&self) -> Finishing {
        self.finishing.set(self.finishing.get() + 1);
        Finishing(Rc::clone(&self.finishing))
    }

    /// Remembers what the upstream told a sender to hold back, for at most `most`.
    pub(crate) fn learn_limits(&self, pair: Pair, limits: Vec<RateLimit>, most: Duration) {
        let now = self.millis(Instant::now());
        for limit in limits {
            let for_s = limit.retry_after_s.min(most.as_secs());
            let limit = LearnedLimit {
                categories: limit.categories,
                scope: limit.scope,
                reason: limit.reason,
                for_ms: for_s.saturating_mul(1000),
            };
            self.shared.learned.learn(now, pair, limit);
        }
    }

    /// The port of https that a listener moves pages to.
    pub(crate) fn redirects(&self, listener: usize) -> Option<u16> {
        self.shared.entrances.get(listener)?.redirect_to_https
    }

    /// Whether a listener speaks without TLS.
    pub(crate) fn speaks_clear(&self, listener: usize) -> bool {
        let entrance = self.shared.entrances.get(listener);
        entrance.is_some_and(|entrance| entrance.seal.is_none())
    }

    /// Whether a stop was asked for.
    pub(crate) fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Relaxed)
    }

    /// Whether no connection is to serve for long: this process stops, or only finishes what
    /// was begun while an heir has the rest.
    pub(crate) fn is_leaving(&self) -> bool {
        self.shared.succession.is_leaving() || self.is_stopping()
    }

    /// Completes when a stop is asked for. Dropping it forgets the wait.
    pub(crate) async fn stopping(&self) {
        let notified = self.stop.notified();
        if !self.is_stopping() {
            notified.await;
        }
    }

    /// Completes when connections are to end as soon as they can. Dropping it forgets the wait.
    pub(crate) async fn leaving(&self) {
        let notified = self.leave.notified();
        if !self.is_leaving() {
            notified.await;
        }
    }

    /// Wakes all that wait in `leaving`; an heir serves.
    pub(crate) fn wake_leaving(&self) {
        self.leave.notify_waiters();
    }

    /// Wakes all that wait in `stopping`; the shared flag must be set before.
    pub(crate) fn wake_stopping(&self) {
        self.leave.notify_waiters();
        self.stop.notify_waiters();
    }
}
