//! What leaves the spool: what is handed out to be sent, and what became of it. Never
//! sends it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::domain::outcome::Reason;
use crate::domain::rate_limits::RateLimit;
use crate::policy::breaker::State;
use crate::policy::replay::lane::Lanes;
use crate::policy::replay::{Failed, Held};
use crate::telemetry::labels::Upstream;

use super::clerk::{Clerk, Going};
use super::holds::Stowed;
use super::log::{Damaged, RealFile, Record};
use super::parcel;
use super::replay::{NextUp, Parting};
use super::{End, Kept, departure};
use crate::server::delivery::spill::beginning;
use crate::server::ingest::event_id;

/// Bytes handed out in one go.
const PARTING_BYTES: usize = 4 << 20;

impl Clerk {
    /// What became of a request that somebody was sending.
    pub(super) fn end(&mut self, kept: Kept, end: &End) {
        let order = kept.0;
        let Some(going) = self.going.remove(&order) else {
            return self.ends_before_it_is_carried(order, end);
        };
        match end {
            End::Taken => {
                if !going.late {
                    self.state.replayed.fetch_add(1, Relaxed);
                    let twice = u64::from(going.maybe_sent);
                    self.state.duplicates.fetch_add(twice, Relaxed);
                }
                self.is_done(order);
            }
            End::Refused(_) => self.is_done(order),
            End::Unsent | End::Again | End::Limited(_) | End::Damaged => {
                self.comes_back(order, going, end);
            }
        }
        self.due.notify_one();
    }

    /// A request that the upstream did not take waits again; one that nobody wants any more,
    /// or that is too old by now, does not.
    fn comes_back(&mut self, order: u64, going: Going, end: &End) {
        let Some(held) = self.held.going(order) else {
            return;
        };
        let age_ms = self.now_unix_ms().saturating_sub(held.at);
        match end {
            _ if going.purged => {
                self.held.done(order);
                self.erasing.add(vec![held]);
            }
            End::Damaged => self.is_damaged(&held, &Damaged::Body),
            _ if age_ms > self.age_ms_max() => {
                self.held.done(order);
                self.expire(&held);
            }
            End::Limited(limits) => self.is_limited(&held, limits),
            End::Again if !going.late => self.has_failed(order),
            End::Again | End::Unsent | End::Taken | End::Refused(_) => {
                self.held.put_back(order);
            }
        }
    }

    /// One that was sent and not taken rests, and goes last if the upstream takes others.
    fn has_failed(&mut self, order: u64) {
        let to = self.held.destination(order).unwrap_or(Upstream::Ingest);
        let lately = self.rules.load().target(to).evidence.lately();
        let Some(Failed::SetAside(held)) = self.held.failed(self.now(), order, lately) else {
            return;
        };
        let record = self.log.read(held.place.lies).ok();
        let event_id = record.and_then(shown_id);
        tracing::warn!(
            project = held.project.map(|project| project.get()),
            event_id,
            "the upstream takes other events and never this one, which is set aside: \
             it is tried every few minutes until spool.max_age"
        );
    }

    fn is_limited(&mut self, held: &Held<Stowed>, limits: &[RateLimit]) {
        let most_s = self.rules.load().config.limits.retry_after_max.as_secs();
        let now = self.now();
        let names = |limit: &RateLimit| Lanes::limited(limit.categories).has(held.lane);
        let Some(queue) = self.held.of(held.order) else {
            return;
        };
        match limits.iter().any(names) {
            true => _ = queue.put_back(held.order),
            // Of others alone: its own time is not told.
            false => _ = queue.again(now, held.order, 0),
        }
        for limit in limits {
            let wait_ms = limit.retry_after_s.clamp(1, most_s).saturating_mul(1000);
            let lanes = Lanes::limited(limit.categories);
            queue.pause(held.project, lanes, now.plus(wait_ms));
        }
    }

    fn is_done(&mut self, order: u64) {
        if let Some(held) = self.held.done(order) {
            self.state.answered.fetch_add(1, Relaxed);
            self.state.gone_bytes.fetch_add(held.bytes.into(), Relaxed);
            self.log.ack(held.place.lies);
            self.forget(&held);
        }
    }

    /// Hands out what goes next to an upstream.
    pub(super) fn next(&mut self, to: Upstream, most: usize) -> NextUp {
        let now = self.now();
        let mut partings = Vec::new();
        let mut bytes = 0;
        let stays = self.state.pause.is_on() || !self.uncarried.is_empty();
        let well = self.rules.load().target(to).breaker.state() == State::Closed;
        while !stays && partings.len() < most && bytes < PARTING_BYTES {
            let Some(held) = self.held.next(to, now, well) else {
                break;
            };
            match self.log.read(held.place.lies) {
                Ok(record) => {
                    bytes += record.payload.len();
                    partings.extend(self.parting(&held, record));
                }
                Err(Damaged::Io(error)) => {
                    tracing::error!(%error, "what is kept cannot be read");
                    self.held.again(now, held.order);
                }
                Err(error) => self.is_damaged(&held, &error),
            }
        }
        let waits = self.held.wakes_at(to).map(|at| at.since(now));
        NextUp {
            partings,
            wait: waits.map(Duration::from_millis),
        }
    }

    fn parting(&mut self, held: &Held<Stowed>, record: Record<RealFile>) -> Option<Parting> {
        let Some(opened) = parcel::open(record.payload) else {
            self.is_damaged(held, &Damaged::Checksum);
            return None;
        };
        let going = Going {
            late: false,
            maybe_sent: opened.maybe_sent,
            purged: false,
            abroad: false,
        };
        self.going.insert(held.order, going);
        let body = match record.body {
            None => departure::Body::Here(opened.body),
            Some((file, bytes)) => departure::Body::File(Arc::new(file.into_file()), bytes),
        };
        let age_ms = self.now_unix_ms().saturating_sub(held.at);
        Some(Parting {
            kept: Kept(held.order),
            held: Duration::from_millis(age_ms),
            holdings: self.holds.of(held),
            sender: opened.sender,
            weight: self.held.weight(held.order, age_ms),
            envelope: opened.envelope,
            head: opened.head,
            body,
            checksum: opened.body_crc,
        })
    }

    /// Nobody took what was handed out.
    pub(super) fn put_back(&mut self, next: &NextUp) {
        for parting in &next.partings {
            self.going.remove(&parting.kept.0);
            self.held.put_back(parting.kept.0);
        }
    }

    /// A request whose turn it was cannot be read.
    fn is_damaged(&mut self, held: &Held<Stowed>, error: &Damaged) {
        self.held.done(held.order);
        self.is_lost(held, error);
        match error {
            Damaged::Body => self.log.put_aside(held.place.lies),
            Damaged::Gone | Damaged::Checksum | Damaged::Erased | Damaged::Io(_) => {
                self.log.ack(held.place.lies);
            }
        }
    }

    /// Books a request as lost, with all that it held when it was kept.
    pub(super) fn is_lost(&mut self, held: &Held<Stowed>, error: &Damaged) {
        tracing::error!(%error, "a request that was kept is lost");
        self.state.damaged.fetch_add(1, Relaxed);
        let holdings = self.forget(held);
        self.book(&holdings, Reason::SpoolDamaged);
    }
}

/// The id of a record's event, if it shows one.
fn shown_id(record: Record<RealFile>) -> Option<String> {
    let opened = parcel::open(record.payload)?;
    let body = match record.body {
        None => opened.body,
        Some((file, _)) => beginning(&file.into_file()),
    };
    event_id::shown_in(opened.envelope, &body)
}
