//! What the clerk does of itself: it takes an earlier run's requests up, gives up what is
//! too old, and drops or shows what an operator asks for. Books what goes no further.

use std::sync::atomic::Ordering::Relaxed;

use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;
use crate::policy::replay::Held;
use crate::policy::replay::lane::Lane;

use super::clerk::Clerk;
use super::log::{Compacted, Damaged, Place};
use super::parcel::{self, Holding};
use super::{Overview, ProjectKept};

/// Requests given up in one go, so that those that come are not kept waiting.
const EXPIRED_AT_ONCE: usize = 256;

/// Requests of an earlier run that are read in one go.
const CARRIED_AT_ONCE: usize = 256;

/// Files that are moved together in one go.
const COMPACTED_AT_ONCE: usize = 4;

/// Projects that an operator is shown.
const PROJECTS_SHOWN: usize = 100;

impl Clerk {
    /// Books what leaves the spool and goes no further.
    pub(super) fn book(&self, holdings: &[Holding], reason: Reason) {
        for held in holdings {
            let row = self.books.row(held.account, held.category);
            row.left_spool(held.items, held.bytes);
            row.dropped(reason, held.items, held.bytes);
        }
    }

    /// Enters into the books what an earlier run kept, piece by piece. Nothing is sent
    /// before all of it is known, so that each project's comes in its order.
    pub(super) fn carry(&mut self) {
        if self.uncarried.is_empty() {
            return;
        }
        for _ in 0..CARRIED_AT_ONCE {
            let Some(found) = self.uncarried.pop_front() else {
                self.due.notify_one();
                return;
            };
            let record = match self.log.read(found.place) {
                Ok(record) => record,
                Err(error @ Damaged::Io(_)) => {
                    // Not acked: a disk, or a limit on open files, that fails now may not then.
                    tracing::error!(%error, "a request that an earlier run kept waits for the next start");
                    continue;
                }
                Err(error) => {
                    tracing::error!(%error, "a request that an earlier run kept is lost");
                    self.state.damaged.fetch_add(1, Relaxed);
                    self.log.ack(found.place);
                    self.forget(found.head.order, found.head.items.into());
                    continue;
                }
            };
            let Some(opened) = parcel::open(record.payload) else {
                self.state.damaged.fetch_add(1, Relaxed);
                self.log.ack(found.place);
                self.forget(found.head.order, found.head.items.into());
                continue;
            };
            for held in &opened.holdings {
                let row = self.books.row(held.account, held.category);
                row.carried(held.items, held.bytes);
            }
            let head = found.head;
            let held = Held {
                place: found.place,
                order: head.order,
                at: head.at_unix_ms,
                project: head.project.and_then(project_of),
                lane: Lane::read(head.lane),
                bytes: u32::try_from(found.bytes).unwrap_or(u32::MAX),
            };
            // Its items were counted when it was found.
            self.items = self.items.saturating_sub(head.items.into());
            if self.took(held, None, head.items.into()) && !opened.proven {
                self.is_strangers(head.order, found.bytes);
            }
        }
    }

    /// Gives up what is too old, and tidies files.
    pub(super) fn tidy(&mut self) {
        let age_ms = self.age_ms_max();
        let expired = self
            .held
            .expire(self.now_unix_ms(), age_ms, EXPIRED_AT_ONCE);
        if !expired.is_empty() {
            let requests = expired.len();
            tracing::warn!(
                requests,
                "kept requests are given up: they are older than spool.max_age"
            );
        }
        for held in expired {
            self.expire(&held);
        }
        self.log.flush_acks();
        // Half of the limit is in files, and little of it is kept: what is left of each is
        // moved together, a few files a second.
        let (used, max_bytes) = (self.used(), self.rules.load().config.spool.max_bytes);
        let scarce = used.on_disk > max_bytes / 2 && used.live < used.on_disk / 2;
        for _ in 0..COMPACTED_AT_ONCE {
            match self.log.compact(scarce) {
                Ok(Compacted::Moved { .. }) => {}
                Ok(Compacted::Nothing | Compacted::Stuck) => break,
                Err(error) => {
                    tracing::warn!(%error, "what is kept cannot be moved together");
                    break;
                }
            }
        }
    }

    /// How old a request may become, in milliseconds.
    pub(super) fn age_ms_max(&self) -> u64 {
        let max_age = self.rules.load().config.spool.max_age;
        u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX)
    }

    /// Gives one up that is too old.
    pub(super) fn expire(&mut self, held: &Held<Place>) {
        self.state.expired.fetch_add(1, Relaxed);
        self.give_up(held, Reason::SpoolExpired);
        self.log.ack(held.place);
    }

    /// Books a request that waited as dropped.
    fn give_up(&mut self, held: &Held<Place>, reason: Reason) {
        let record = self.log.read(held.place).ok();
        let items = record.as_ref().map_or(0, |record| record.head.items);
        self.forget(held.order, items.into());
        if let Some(opened) = record.and_then(|record| parcel::open(record.payload)) {
            self.book(&opened.holdings, reason);
        }
    }

    /// Drops what is kept of a project, or of all, and says how many requests. What is being
    /// sent is dropped unless the upstream takes it.
    pub(super) fn purge(&mut self, project: Option<ProjectId>) -> u64 {
        let projects = match project {
            Some(project) => vec![Some(project)],
            None => {
                let all = self.held.summary(usize::MAX);
                all.iter().map(|held| held.project).collect()
            }
        };
        let mut dropped = 0;
        for project in projects {
            let all: Vec<_> = self.held.drop_project(project).collect();
            for held in all {
                self.purge_one(&held);
                dropped += 1;
            }
            for (order, going) in &mut self.going {
                let held = self.held.going(*order);
                if !going.purged && held.is_some_and(|held| held.project == project) {
                    going.purged = true;
                    dropped += 1;
                }
            }
        }
        dropped
    }

    /// Drops one, and overwrites it.
    pub(super) fn purge_one(&mut self, held: &Held<Place>) {
        self.give_up(held, Reason::SpoolPurged);
        if let Err(error) = self.log.erase(held.place) {
            tracing::error!(%error, "a dropped request cannot be overwritten");
            self.log.ack(held.place);
        }
    }

    pub(super) fn overview(&self) -> Overview {
        let now_ms = self.now_unix_ms();
        let age_s = |at: u64| now_ms.saturating_sub(at) / 1000;
        let all = self.held.summary(usize::MAX);
        let shown = all.iter().take(PROJECTS_SHOWN).map(|held| ProjectKept {
            project: held.project,
            requests: u64::try_from(held.records).unwrap_or(u64::MAX),
            bytes: held.bytes,
            oldest_s: age_s(held.oldest_at),
        });
        Overview {
            items: self.items,
            requests: u64::try_from(self.held.len()).unwrap_or(u64::MAX),
            bytes: self.log.usage().live_bytes,
            bytes_max: self.rules.load().config.spool.max_bytes,
            oldest_s: self.held.oldest_at().map_or(0, age_s),
            paused: self.state.paused.load(Relaxed),
            more_projects: u64::try_from(all.len().saturating_sub(PROJECTS_SHOWN)).unwrap_or(0),
            projects: shown.collect(),
        }
    }
}

/// A project by its number.
fn project_of(number: u64) -> Option<ProjectId> {
    ProjectId::parse(number.to_string().as_bytes())
}
