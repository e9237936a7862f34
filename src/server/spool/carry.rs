//! What an earlier run kept is taken up: read piece by piece, entered into the books, and
//! put where it waits for its turn. Owns what of it is in no book yet; never sends it.
//!
//! What cannot be read now, because a disk fails or too many files are open, is in no book
//! either, and not counted as kept: it is tried again every second, and put in its place
//! when that goes well. What is damaged is entered and dropped at once, so that the loss
//! stands in the books: as what its head says, with its lane for a category. Of a stretch
//! of a file in which no head is good nobody knows whose it was, or how much: it is counted
//! (`vidette_spool_damaged_total`), and stands in no book.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

use crate::domain::category::Category;
use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;
use crate::policy::replay::Held;
use crate::policy::replay::lane::Lane;
use crate::telemetry::labels::Upstream;
use crate::telemetry::ledger::Account;

use super::Kept;
use super::clerk::Clerk;
use super::holds::Stowed;
use super::log::{Damaged, Found, Head, RealFile, Record};
use super::parcel::{self, Holding};

/// Requests that are read in one go.
const CARRIED_AT_ONCE: usize = 256;

impl Clerk {
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
            self.take_out(&found);
            if let Err(error) = self.carry_one(&found) {
                tracing::error!(%error, "a request that an earlier run kept cannot be read: it is tried again");
                self.unread.push_back(found);
            }
        }
    }

    /// Tries again what could not be read, up to the first that still cannot: each may cost
    /// a disk's patience.
    pub(super) fn carry_unread(&mut self) {
        for _ in 0..CARRIED_AT_ONCE {
            let Some(found) = self.unread.pop_front() else {
                return;
            };
            if self.carry_one(&found).is_err() {
                self.unread.push_back(found);
                return;
            }
            self.due.notify_one();
        }
    }

    /// Takes up at once what an earlier run kept of a project, or of all, for somebody who
    /// wants to drop it. What cannot even be read is overwritten here, and yielded: how many.
    pub(super) fn carry_for_purge(&mut self, project: Option<ProjectId>) -> u64 {
        let is_wanted =
            |found: &Found| project.is_none_or(|project| found.head.project == Some(project.get()));
        let split = |all: &mut VecDeque<Found>| {
            let (wanted, others): (VecDeque<Found>, _) =
                std::mem::take(all).into_iter().partition(is_wanted);
            *all = others;
            wanted
        };
        let uncarried = split(&mut self.uncarried);
        let unread = split(&mut self.unread);
        for found in &uncarried {
            self.take_out(found);
        }
        let mut dropped = 0;
        for found in uncarried.into_iter().chain(unread) {
            if self.carry_one(&found).is_err() {
                self.overwrite(found.place);
                dropped += 1;
            }
        }
        dropped
    }

    /// Its items were counted when it was found, by its head alone: what it holds counts now.
    fn take_out(&mut self, found: &Found) {
        self.items = self.items.saturating_sub(found.head.items.into());
    }

    /// Takes one up that is counted nowhere.
    ///
    /// # Errors
    /// It cannot be read now. Nothing is changed.
    fn carry_one(&mut self, found: &Found) -> std::io::Result<()> {
        match self.log.read(found.place) {
            Ok(record) => self.carry_whole(found, record),
            Err(Damaged::Io(error)) => return Err(error),
            Err(error) => self.carry_damaged(found, &error),
        }
        Ok(())
    }

    fn carry_whole(&mut self, found: &Found, record: Record<RealFile>) {
        let Some(opened) = parcel::open(record.payload) else {
            return self.carry_damaged(found, &Damaged::Checksum);
        };
        let mut holdings = opened.holdings;
        for held in &mut holdings {
            // Who has no row by number now leaves the books where it entered them, were
            // there room by then.
            if let Account::Project(project) = held.account {
                held.account = self.books.account(Some(project), true);
            }
        }
        let head = found.head;
        let project = head.project.and_then(project_of);
        let held = Held {
            place: Stowed {
                lies: found.place,
                holds: self.holds.note(head.order, project, &holdings),
            },
            order: head.order,
            at: head.at_unix_ms,
            project,
            lane: Lane::read(head.lane),
            bytes: u32::try_from(found.bytes).unwrap_or(u32::MAX),
        };
        let abroad = self.abroad.remove(&head.order);
        let to = self.destination(opened.to.as_deref());
        if to.is_none() {
            self.waits_for_nobody(opened.to.as_deref());
        }
        if !self.took(to, held, abroad.as_ref().map(|abroad| abroad.going)) {
            return;
        }
        if !self.booked {
            for held in &holdings {
                let row = self.books.row(held.account, held.category);
                row.carried(held.items, held.bytes);
            }
        }
        if !opened.proven {
            self.is_strangers(head.order, found.bytes);
        }
        if let Some(end) = abroad.and_then(|abroad| abroad.end) {
            self.end(Kept(head.order), &end);
        }
    }

    /// What an earlier run kept for a Sentry that is not configured any more waits for it.
    fn waits_for_nobody(&self, name: Option<&str>) {
        if self.held.destinations() & 1 << Upstream::COUNT == 0 {
            tracing::warn!(
                mirror = name,
                "requests are kept for a mirror that is not configured any more: they wait for it \
                 until spool.max_age; add it again and restart, or drop them"
            );
        }
    }

    /// Its head alone is good.
    fn carry_damaged(&mut self, found: &Found, error: &Damaged) {
        tracing::error!(%error, "a request that an earlier run kept is lost");
        self.state.damaged.fetch_add(1, Relaxed);
        match error {
            Damaged::Body => self.log.put_aside(found.place),
            Damaged::Gone | Damaged::Checksum | Damaged::Erased | Damaged::Io(_) => {
                self.log.ack(found.place);
            }
        }
        self.book_lost(found.head, found.bytes);
    }

    /// Books a request of an earlier run that is lost by what its head says.
    pub(super) fn book_lost(&self, head: Head, bytes: u64) {
        let project = head.project.and_then(project_of);
        let holding = Holding {
            account: self.books.account(project, true),
            category: category_of(Lane::read(head.lane)),
            items: head.items.into(),
            bytes,
        };
        if !self.booked {
            let row = self.books.row(holding.account, holding.category);
            row.carried(holding.items, holding.bytes);
        }
        self.book(&[holding], Reason::SpoolDamaged);
    }
}

/// A project by its number.
fn project_of(number: u64) -> Option<ProjectId> {
    ProjectId::parse(number.to_string().as_bytes())
}

/// What stands in for the categories of a request that cannot be read.
const fn category_of(lane: Lane) -> Category {
    match lane {
        Lane::CheckIn => Category::Monitor,
        Lane::Error => Category::Error,
        Lane::Transaction => Category::Transaction,
        Lane::Attachment => Category::Attachment,
        Lane::Replay => Category::Replay,
        Lane::Other => Category::Unknown,
    }
}

#[cfg(test)]
pub(super) mod tests;
