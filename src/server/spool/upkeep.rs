//! What the clerk does of itself: it takes an earlier run's requests up, gives up what is
//! too old, and shows what an operator asks for. Books what goes no further.

use std::sync::atomic::Ordering::Relaxed;

use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;
use crate::policy::pair::Pair;
use crate::policy::replay::Held;
use crate::policy::reports::{Dropped, Standing};
use crate::telemetry::ledger::Account;

use super::clerk::Clerk;
use super::holds::Stowed;
use super::log::{Compacted, Damaged, Place};
use super::parcel::{self, Holding};
use super::room::{COMMON_BYTES, log_limits};
use super::shares::{self, FullShares};
use super::{KeptFor, Overview, ProjectKept};

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
        self.look_at_disk();
        let full = self.full_shares();
        self.state.tell_shares(full);
        self.log.flush_acks();
        let max_bytes = self.rules.load().config.spool.max_bytes;
        // A reload may have changed it; else nothing happens.
        self.log.resize(log_limits(max_bytes));
        if !self.erasing.is_over() {
            // What is to be overwritten stays in one place.
            return;
        }
        // Half of the limit is in files, and little of it is kept: what is left of each is
        // moved together, a few files a second.
        let used = self.used();
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

    /// Looks whether a disk that failed takes something again. Who balances over several edges
    /// may send nothing to one that can keep nothing: no event would ever find it out.
    fn look_at_disk(&self) {
        let failing = &self.state.failing;
        if failing.load(Relaxed) && self.log.try_disk(COMMON_BYTES).is_ok() {
            failing.store(false, Relaxed);
            tracing::info!("the spool's disk works again");
        }
    }

    /// Whose share is full.
    fn full_shares(&mut self) -> FullShares {
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
        let read = self.look_into(held);
        self.book_gone(held, read, reason)
    }

    /// Whose a request is that is kept, or what is wrong with it, as far as anybody can tell.
    pub(super) fn look_into(&mut self, held: &Held<Stowed>) -> Result<Option<Pair>, Damaged> {
        match self.log.read(held.place.lies) {
            Ok(record) => parcel::open(record.payload)
                .map(|opened| opened.sender)
                .ok_or(Damaged::Checksum),
            // It may be whole: nobody knows.
            Err(Damaged::Io(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Books a request as dropped, unless it was lost before. `false`: it was.
    pub(super) fn book_gone(
        &mut self,
        held: &Held<Stowed>,
        read: Result<Option<Pair>, Damaged>,
        reason: Reason,
    ) -> bool {
        let sender = match read {
            Ok(sender) => sender,
            Err(error) => {
                self.is_lost(held, &error);
                return false;
            }
        };
        let holdings = self.forget(held);
        self.book(&holdings, reason);
        self.report(sender.zip(held.project), &holdings, reason);
        true
    }

    /// Has Sentry told of what was given up, where it is known whose it was: a damaged
    /// request, and one of an earlier version, do not say.
    fn report(&self, whose: Option<(Pair, ProjectId)>, holdings: &[Holding], reason: Reason) {
        let Some((sender, project)) =
            whose.filter(|_| self.rules.load().config.client_reports.enabled)
        else {
            return;
        };
        for held in holdings {
            let standing = match held.account {
                Account::Unproven => Standing::Stranger,
                Account::Project(_) | Account::Other => Standing::Vouched,
            };
            let dropped = Dropped {
                reason,
                limit: None,
                category: held.category,
                items: held.items,
                bytes: held.bytes,
            };
            let pair = Pair::new(&sender.key(), Some(project));
            self.reports.add(pair, standing, dropped);
        }
    }

    /// Lets go of a record for good, and of its bytes.
    pub(super) fn overwrite(&mut self, place: Place) {
        if let Err(error) = self.log.erase(&[place]) {
            tracing::error!(%error, "a dropped request cannot be overwritten");
            self.log.ack(place);
        }
    }

    pub(super) fn overview(&mut self) -> Overview {
        let now_ms = self.now_unix_ms();
        let age_s = |at: u64| now_ms.saturating_sub(at) / 1000;
        let all = self.held.summary();
        let shown = all.iter().take(PROJECTS_SHOWN).map(|held| ProjectKept {
            project: held.project,
            requests: u64::try_from(held.records).unwrap_or(u64::MAX),
            bytes: held.bytes,
            oldest_s: age_s(held.oldest_at),
        });
        let all_to = self.held.by_destination();
        let destinations = all_to.iter().map(|(to, requests, oldest_at)| KeptFor {
            to: *to,
            requests: u64::try_from(*requests).unwrap_or(u64::MAX),
            oldest_s: age_s(*oldest_at),
        });
        Overview {
            items: self.items,
            requests: u64::try_from(self.held.len() + self.erasing.len()).unwrap_or(u64::MAX),
            bytes: self.log.usage().live_bytes,
            bytes_max: self.rules.load().config.spool.max_bytes,
            oldest_s: self.held.oldest_at().map_or(0, age_s),
            aside: u64::try_from(self.held.aside()).unwrap_or(u64::MAX),
            paused_since_unix_s: self.state.pause.since_unix_s(),
            more_projects: u64::try_from(all.len().saturating_sub(PROJECTS_SHOWN)).unwrap_or(0),
            projects: shown.collect(),
            destinations: destinations.collect(),
            full: self.full_shares(),
        }
    }
}
