//! What the clerk does of itself, and for an operator: it gives up what is too old, tidies
//! files, and drops or shows what is asked for. Books what goes no further.

use std::sync::atomic::Ordering::Relaxed;

use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;
use crate::policy::replay::Held;

use super::clerk::Clerk;
use super::holds::Stowed;
use super::log::{Compacted, Damaged, Place};
use super::parcel::{self, Holding};
use super::shares::{self, FullShares};
use super::{Overview, ProjectKept};

/// Requests given up in one go, so that those that come are not kept waiting.
const EXPIRED_AT_ONCE: usize = 256;

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
        self.carry_unread();
        self.state.tell_shares(self.full_shares());
        self.log.flush_acks();
        // Half of the limit is in files, and little of it is kept: what is left of each is
        // moved together, a few files a second.
        let (used, max_bytes) = (self.used(), self.rules.load().config.spool.max_bytes);
        let scarce = used.on_disk > max_bytes / 2 && used.live < used.on_disk / 2;
        for _ in 0..COMPACTED_AT_ONCE {
            match self.log.compact(scarce) {
                Ok(Compacted::Moved { .. }) => {}
                Ok(Compacted::Nothing) => break,
                // Each of its requests is told of when its turn comes.
                Ok(Compacted::Stuck) => {
                    tracing::error!(
                        "a file of the spool cannot be read whole: it stays until what it holds is sent"
                    );
                }
                Err(error) => {
                    tracing::warn!(%error, "what is kept cannot be moved together");
                    break;
                }
            }
        }
    }

    /// Whose share is full.
    fn full_shares(&self) -> FullShares {
        let (used, rules) = (self.used(), self.rules.load());
        let config = &rules.config.spool;
        let most = shares::nearly_all(config);
        // Where all have less than one may have, nobody needs to be looked for.
        let looks = shares::are_kept_apart(config) && used.live > most;
        let projects = looks.then(|| self.log.projects_above(most));
        shares::full(config, used, projects.into_iter().flatten())
    }

    /// How old a request may become, in milliseconds.
    pub(super) fn age_ms_max(&self) -> u64 {
        let max_age = self.rules.load().config.spool.max_age;
        u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX)
    }

    /// Gives one up that is too old.
    pub(super) fn expire(&mut self, held: &Held<Stowed>) {
        self.state.gone_bytes.fetch_add(held.bytes.into(), Relaxed);
        if self.give_up(held, Reason::SpoolExpired) {
            self.state.expired.fetch_add(1, Relaxed);
        }
        self.log.ack(held.place.lies);
    }

    /// Books a request that waited as dropped, with what it held when it was kept. It is
    /// read once more: `false`, it was damaged, and lost for that before anybody gave it up.
    fn give_up(&mut self, held: &Held<Stowed>, reason: Reason) -> bool {
        let damaged = match self.log.read(held.place.lies) {
            Ok(record) => parcel::open(record.payload)
                .is_none()
                .then_some(Damaged::Checksum),
            // It may be whole: nobody knows.
            Err(Damaged::Io(_)) => None,
            Err(error) => Some(error),
        };
        if let Some(error) = damaged {
            self.is_lost(held, &error);
            return false;
        }
        let holdings = self.forget(held);
        self.book(&holdings, reason);
        true
    }

    /// Drops what is kept of a project, or of all, and says how many requests. What is being
    /// sent is dropped unless the upstream takes it.
    pub(super) fn purge(&mut self, project: Option<ProjectId>) -> u64 {
        let mut dropped = self.carry_for_purge(project);
        let projects = match project {
            Some(project) => vec![Some(project)],
            None => {
                let all = self.held.summary(usize::MAX);
                all.iter().map(|held| held.project).collect()
            }
        };
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
    pub(super) fn purge_one(&mut self, held: &Held<Stowed>) {
        self.give_up(held, Reason::SpoolPurged);
        self.overwrite(held.place.lies);
    }

    /// Lets go of a record for good, and of its bytes.
    pub(super) fn overwrite(&mut self, place: Place) {
        if let Err(error) = self.log.erase(place) {
            tracing::error!(%error, "a dropped request cannot be overwritten");
            self.log.ack(place);
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
            aside: u64::try_from(self.held.aside()).unwrap_or(u64::MAX),
            paused_since_unix_s: self.state.pause.since_unix_s(),
            more_projects: u64::try_from(all.len().saturating_sub(PROJECTS_SHOWN)).unwrap_or(0),
            projects: shown.collect(),
            full: self.full_shares(),
        }
    }
}
