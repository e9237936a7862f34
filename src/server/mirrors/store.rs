//! What a mirror has not taken, kept on disk until it does: a log of its own, beside the first
//! Sentry's. Owns what is kept and what goes next; never sends it, and takes no room that the
//! first's spool may still need.

mod dropping;
mod keeping;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::request::Parts;
use tokio::time::Instant;

use crate::config::checked::MirrorSpool;
use crate::domain::coding::Coding;
use crate::domain::endpoint::ProjectId;
use crate::domain::rate_limits::RateLimit;
use crate::policy::evidence::Lately;
use crate::policy::millis::Millis;
use crate::policy::pair::Pair;
use crate::policy::replay::lane::{Lane, Lanes};
use crate::policy::replay::{Failed, Held, Replay, Weight};
use crate::telemetry::labels::MirrorLoss;
use crate::telemetry::mirrors::MirrorCounts;
use crate::telemetry::process;

use crate::server::spool::log::{Compacted, Damaged, DiskError, Log, Place, RealDisk};
use crate::server::spool::parcel;
use crate::server::spool::purge::Erasing;
use crate::server::spool::room::{Free, log_limits, records_max};
use crate::server::spool::{End, clock, departure};

/// Orders begin at the time of the start, with room for a million each millisecond.
const ORDERS_BITS: u32 = 20;

/// Requests given up in one go.
const EXPIRED_AT_ONCE: usize = 256;

/// Files that are moved together in one go.
const COMPACTED_AT_ONCE: usize = 4;

/// What is kept for one mirror.
pub(super) struct Store {
    log: Log<RealDisk>,
    held: Replay<Place>,
    /// What was handed out, and whether an operator has dropped it since: it is not sent again.
    going: HashMap<u64, bool>,
    /// What an operator has dropped, and is on disk as it was.
    erasing: Erasing<Place>,
    counts: Arc<MirrorCounts>,
    next_order: u64,
    epoch: Instant,
    /// What the spool's clock showed at `epoch`, in milliseconds of Unix time.
    epoch_unix_ms: u64,
    free: Free,
    failing: bool,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoStore {
    /// Another process has it: the one before this, which still finishes.
    #[error("another process has it")]
    Busy,
    /// It cannot be made or read.
    #[error("{0}")]
    Io(String),
}

/// How much may be kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds<'r> {
    /// As it is configured.
    pub spool: &'r MirrorSpool,
    /// What stays free on its disk, for the first Sentry's spool among others.
    pub free_floor: u64,
}

/// A request that is to be sent now.
pub(super) struct Going {
    /// Its number.
    pub order: u64,
    /// For how long it was kept.
    pub held: Duration,
    /// What its failure says of the mirror.
    pub weight: Weight,
    /// Its sender, by the first Sentry's names.
    pub sender: Option<Pair>,
    /// How its body is packed, if that is an envelope.
    pub envelope: Option<Coding>,
    /// Its head.
    pub head: Box<Parts>,
    /// Its body.
    pub body: departure::Body,
    /// What vouches for its body, where that lies in a file.
    pub checksum: Option<u32>,
}

impl Store {
    /// Takes up what an earlier run has kept.
    ///
    /// # Errors
    /// Why there is no store.
    pub(super) fn open(
        path: &Path,
        spool: &MirrorSpool,
        counts: &Arc<MirrorCounts>,
    ) -> Result<Self, NoStore> {
        let disk = RealDisk::open(path).map_err(|error| match error {
            DiskError::Busy(_) => NoStore::Busy,
            DiskError::Io(error) => NoStore::Io(error.to_string()),
        })?;
        let opened = Log::open(disk, log_limits(spool.max_bytes));
        let (log, found) = opened.map_err(|error| NoStore::Io(error.to_string()))?;
        if found.damaged > 0 || !found.quarantined.is_empty() {
            let (requests, files) = (found.damaged, &found.quarantined);
            tracing::error!(
                requests,
                ?files,
                "some of what was kept for a mirror is damaged"
            );
        }
        let last = found.records.last().map_or(0, |found| found.head.order);
        let now_unix_ms = clock::take_up(log.disk(), process::now_ms(), !found.records.is_empty());
        let mut own = Self {
            held: Replay::new(records_max(spool.max_bytes).saturating_add(found.records.len())),
            going: HashMap::new(),
            erasing: Erasing::default(),
            log,
            counts: Arc::clone(counts),
            next_order: (now_unix_ms.max(process::now_ms()) << ORDERS_BITS).max(last + 1),
            epoch: Instant::now(),
            epoch_unix_ms: now_unix_ms,
            free: Free::default(),
            failing: false,
        };
        for one in found.records {
            let project = one.head.project;
            let held = Held {
                place: one.place,
                order: one.head.order,
                at: one.head.at_unix_ms,
                project: project.and_then(|id| ProjectId::parse(id.to_string().as_bytes())),
                lane: Lane::read(one.head.lane),
                bytes: u32::try_from(one.bytes).unwrap_or(u32::MAX),
            };
            own.counts.carried.fetch_add(1, Relaxed);
            if own.held.push(held).is_err() {
                own.loses(&held, MirrorLoss::Damaged);
            }
        }
        own.publish();
        Ok(own)
    }

    /// What goes next, if anything does. `well`: the mirror takes what it is sent.
    pub(super) fn next(&mut self, well: bool) -> Option<Going> {
        loop {
            let now = self.now();
            let next = self.held.next(now);
            let last = || well.then(|| self.held.next_aside(now)).flatten();
            let held = next.or_else(last)?;
            let read = match self.log.read(held.place) {
                Ok(record) => {
                    let body = record.body;
                    parcel::open(record.payload).map(|opened| (opened, body))
                }
                Err(Damaged::Io(error)) => {
                    tracing::error!(%error, "what is kept for a mirror cannot be read");
                    self.held.again(now, held.order, 0);
                    return None;
                }
                Err(_) => None,
            };
            let Some((opened, body)) = read else {
                self.held.done(held.order);
                self.loses(&held, MirrorLoss::Damaged);
                continue;
            };
            let age_ms = self.now_unix_ms().saturating_sub(held.at);
            self.going.insert(held.order, false);
            return Some(Going {
                order: held.order,
                held: Duration::from_millis(age_ms),
                weight: self.held.weight(held.order, age_ms),
                sender: opened.sender,
                envelope: opened.envelope,
                head: opened.head,
                body: match body {
                    None => departure::Body::Here(opened.body),
                    Some((file, bytes)) => departure::Body::File(Arc::new(file.into_file()), bytes),
                },
                checksum: opened.body_crc,
            });
        }
    }

    /// When `next` is worth another call.
    pub(super) fn wait(&self) -> Option<Duration> {
        let wakes = self.held.wakes_at()?;
        Some(Duration::from_millis(wakes.since(self.now())))
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether nothing of this kind goes now: the mirror has said so.
    pub(super) fn is_paused(&self, project: Option<ProjectId>, lane: Lane) -> bool {
        self.held.paused_until(project, lane) > self.now()
    }

    /// What came of a request that was handed out.
    pub(super) fn end(&mut self, order: u64, end: &End, lately: Lately, most_s: u64) {
        let now = self.now();
        let dropped = self.going.remove(&order) == Some(true);
        let Some(held) = self.held.going(order) else {
            return;
        };
        match end {
            End::Taken => {
                self.held.done(order);
                self.log.ack(held.place);
                self.counts.sent.fetch_add(1, Relaxed);
            }
            End::Refused(_) => {
                self.held.done(order);
                self.loses(&held, MirrorLoss::Refused);
            }
            End::Damaged => {
                self.held.done(order);
                self.loses(&held, MirrorLoss::Damaged);
            }
            End::Unsent | End::Limited(_) | End::Again if dropped => {
                self.held.done(order);
                self.erasing.add(vec![held]);
            }
            End::Unsent => _ = self.held.put_back(order),
            End::Limited(limits) => {
                self.held.put_back(order);
                self.pause(held.project, limits, most_s);
            }
            End::Again => {
                if let Some(Failed::SetAside(_)) = self.held.failed(now, order, lately) {
                    let mirror = &self.counts.name;
                    tracing::warn!(
                        mirror,
                        "a mirror takes other events and never this one, which is set aside"
                    );
                }
            }
        }
        self.publish();
    }

    /// Holds back what the mirror wants no more of for a while.
    pub(super) fn pause(&mut self, project: Option<ProjectId>, limits: &[RateLimit], most_s: u64) {
        let now = self.now();
        for limit in limits {
            let wait_ms = limit.retry_after_s.clamp(1, most_s).saturating_mul(1000);
            let lanes = Lanes::limited(limit.categories);
            self.held.pause(project, lanes, now.plus(wait_ms));
        }
    }

    /// Gives up what is too old, and tidies files.
    pub(super) fn tidy(&mut self, spool: &MirrorSpool) {
        let age_ms = u64::try_from(spool.max_age.as_millis()).unwrap_or(u64::MAX);
        let now_unix_ms = self.now_unix_ms();
        for held in self.held.expire(now_unix_ms, age_ms, EXPIRED_AT_ONCE) {
            self.loses(&held, MirrorLoss::Expired);
        }
        self.log.flush_acks();
        self.log.resize(log_limits(spool.max_bytes));
        if !self.erasing.is_over() {
            // What is to be overwritten stays in one place.
            return self.publish();
        }
        let used = self.log.usage();
        let scarce =
            used.bytes_on_disk > spool.max_bytes / 2 && used.live_bytes < used.bytes_on_disk / 2;
        for _ in 0..COMPACTED_AT_ONCE {
            match self.log.compact(scarce) {
                Ok(Compacted::Moved { .. }) => {}
                Ok(Compacted::Nothing | Compacted::Stuck) => break,
                Err(error) => {
                    self.fails(&error);
                    break;
                }
            }
        }
        self.publish();
        self.publish_age();
    }

    /// Writes down what is done.
    pub(super) fn close(mut self) {
        self.erase_all();
        self.log.close();
        let zero = |count: &AtomicU64| count.store(0, Relaxed);
        zero(&self.counts.on_disk);
        zero(&self.counts.disk_bytes);
        zero(&self.counts.oldest_s);
    }

    /// It is kept no longer, and the mirror does not have it.
    fn loses(&mut self, held: &Held<Place>, loss: MirrorLoss) {
        self.log.ack(held.place);
        self.counts.loses(loss, 1);
    }

    fn publish(&self) {
        let counts = &self.counts;
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let on_disk = self.held.len() + self.erasing.len();
        counts.on_disk.store(number(on_disk), Relaxed);
        counts.aside.store(number(self.held.aside()), Relaxed);
        counts.disk_bytes.store(self.held.bytes(), Relaxed);
        if self.held.is_empty() {
            counts.oldest_s.store(0, Relaxed);
        }
    }

    /// Looks at each project.
    fn publish_age(&self) {
        let oldest = self.held.oldest_at();
        let age_ms = oldest.map_or(0, |at| self.now_unix_ms().saturating_sub(at));
        self.counts.oldest_s.store(age_ms / 1000, Relaxed);
    }

    /// As much later as that.
    #[cfg(test)]
    pub(super) fn grows_older(&mut self, by: Duration) {
        self.epoch -= by;
    }

    fn now(&self) -> Millis {
        let since = self.epoch.elapsed().as_millis();
        Millis(u64::try_from(since).unwrap_or(u64::MAX))
    }

    fn now_unix_ms(&self) -> u64 {
        self.epoch_unix_ms.saturating_add(self.now().0)
    }
}
