//! What of a request stays behind: entered into the books, remembered for Sentry's Stats, and
//! told to its sender. Never decides what does.

use std::cell::Ref;

use crate::domain::category::Category;
use crate::domain::envelope::item::ItemKind;
use crate::domain::outcome::{Group, Reason, Reasons};
use crate::domain::rate_limits::RateLimit;
use crate::policy::Refusal;
use crate::policy::pair::Pair;
use crate::policy::quotas::Trust;
use crate::policy::reports::{Dropped, Standing};
use crate::telemetry::decisions::Outcome;
use crate::telemetry::ledger::{Account, Row};

use super::Manifest;
use super::told::Told;
use crate::server::reports::unread;

/// What a sender has to know for whom nobody vouches: there may be room for others.
const STRANGERS: &str = "; keys that nobody vouches for share a twentieth of a project's quotas";

/// The limits that had no room, by their names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The last of them.
    last: Option<Box<str>>,
    /// The one that took the event.
    event: Option<Box<str>>,
    /// The one that took a replay.
    replay: Option<Box<str>>,
}

impl Names {
    /// What comes now went with a replay.
    pub(super) fn of_replay(&mut self) {
        self.last.clone_from(&self.replay);
    }
}

impl Manifest {
    /// Enters items that stay behind into the books; Sentry is told of them, if their sender
    /// is known to be real.
    pub(super) fn drops(
        &self,
        row: &Row,
        category: Category,
        reason: Reason,
        (items, bytes): (u64, u64),
    ) {
        row.dropped(reason, items, bytes);
        self.reasons.set(self.reasons.get().with(reason));
        self.report(category, reason, (items, bytes));
        if let Some(look) = &self.look {
            look.drops(items);
        }
        // More bytes of an item that was told of are none.
        if items > 0 {
            self.tells((Outcome::Dropped, Some(reason)), category, (items, bytes));
        }
    }

    /// Why an item stayed behind, for the answer: what its sender is told of comes before what
    /// nobody hears of.
    pub(super) fn stays_for(&self, reason: Reason) {
        let told = self.dropped.get().is_some_and(|before| !before.is_silent());
        if !told || !reason.is_silent() {
            self.dropped.set(Some(reason));
        }
    }

    /// Has Sentry told of a request that was refused before anybody looked into it.
    pub(crate) fn reports_unread(&self, reason: Reason, bytes: u64) {
        self.report(unread(self.endpoint), reason, (1, bytes));
    }

    /// Has Sentry told of what was dropped.
    fn report(&self, category: Category, reason: Reason, (items, bytes): (u64, u64)) {
        // What nobody can be asked about by number is nobody's here.
        let (Some(project), true) = (self.who.project, self.rules.config.client_reports.enabled)
        else {
            return;
        };
        let standing = match self.account {
            Account::Unproven => Standing::Stranger,
            Account::Project(_) | Account::Other => Standing::Vouched,
        };
        let names = self.names.borrow();
        let limit = names.last.as_deref();
        let dropped = Dropped {
            reason,
            limit: limit.filter(|_| reason.group() == Group::Limit),
            category,
            items,
            bytes,
        };
        let pair = Pair::of(self.who.key, Some(project));
        self.worker.reports.add(pair, standing, dropped);
    }

    /// What an item met on its way: what belongs to an event goes under the limit that took
    /// the event.
    pub(super) fn met_by(&self, kind: ItemKind, limit: Option<RateLimit>) {
        let follows = kind.follows_event() && self.event.get().is_some();
        let told = limit.is_some();
        if let Some(limit) = limit {
            self.note(limit);
        }
        let names = &mut *self.names.borrow_mut();
        if !told {
            names.last = names.event.clone().filter(|_| follows);
        }
        if kind.is_event() {
            names.event.clone_from(&names.last);
        }
        if kind.is_replay() {
            names.replay.clone_from(&names.last);
        }
    }

    /// Has the answer tell of a limit.
    pub(super) fn note(&self, limit: RateLimit) {
        self.names.borrow_mut().last.clone_from(&limit.reason);
        let most = self.rules.config.limits.retry_after_max;
        self.told.borrow_mut().note(limit, most);
    }

    /// Why any of its items stayed behind.
    pub(crate) fn reasons(&self) -> Reasons {
        self.reasons.get()
    }

    /// What its sender is told to hold back.
    pub(crate) fn limits(&self) -> Ref<'_, [RateLimit]> {
        Ref::map(self.told.borrow(), Told::limits)
    }

    /// What refuses it whole before its body is read, if anything does.
    pub(crate) fn full(&self) -> Option<Refusal> {
        self.limited.set(!self.room().quotas.is_empty());
        let (reason, limit) = self.judge_head()?;
        self.note(limit);
        self.dropped.set(Some(reason));
        Some(self.nothing_left())
    }

    /// The refusal of a request of which nothing is left.
    pub(crate) fn nothing_left(&self) -> Refusal {
        let reason = self.dropped.get().unwrap_or(Reason::Quota);
        let told = self.told.borrow();
        if !told.limits().is_empty() {
            let mut refusal = told.refusal(reason);
            let of_quotas = matches!(reason, Reason::Quota | Reason::Rate | Reason::Limited);
            if of_quotas && self.who.trust != Trust::Whole {
                refusal.detail.to_mut().push_str(STRANGERS);
            }
            refusal.instead = Some(self.endpoint).filter(|endpoint| endpoint.never_429());
            return refusal;
        }
        let mut refusal = Refusal::unwanted(reason, self.endpoint);
        let id = self.trace().event_id;
        refusal.event_id = id.map(|id| format!("{id:032x}").into());
        refusal
    }
}
