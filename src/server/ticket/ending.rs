//! A ticket's end: what is entered into the books, remembered and told of its request. Never
//! decides how it ends.

use std::time::Duration;

use crate::domain::category::{Categories, Category};
use crate::domain::outcome::{Reason, Reasons};
use crate::telemetry::decisions::{Outcome, Settled};
use crate::telemetry::labels::{Ending, Route};
use crate::telemetry::ledger::Account;

use super::{Judged, Ticket};
use crate::server::access_log::desk::How;
use crate::server::access_log::visit::{End, Visit};
use crate::server::client::blocking;
use crate::server::looks::{self, Look};
use crate::server::reports::Loser;
use crate::server::settling::{Whose, shown};

impl Ticket {
    /// Enters into the books what became of what it carried. What was refused before
    /// anybody looked into it is one unread item.
    pub(super) fn settle(&self, ending: Ending, reason: Option<Reason>) {
        // What was refused before its route was known counts with the events.
        if !self.route.is_event() && self.route != Route::Local {
            return;
        }
        let met = self.manifest.as_ref().filter(|manifest| manifest.has_met());
        match (met, reason) {
            // An answer that broke off, or that its client did not wait for, takes nothing back:
            // by its head the upstream has taken it all.
            (Some(manifest), None) if matches!(ending, Ending::Forwarded | Ending::Aborted) => {
                manifest.settle(Ok(()));
            }
            (Some(manifest), reason) => manifest.settle(Err(reason.unwrap_or(Reason::Internal))),
            // Its sender is nobody's here: the upstream knows another proof, as of an upload's parts.
            (None, None) if self.manifest.is_none() && ending == Ending::Forwarded => {
                let row = self.worker.ledger.row(Account::Unproven, Category::Unread);
                row.received(1, self.announced);
                row.forwarded(1, self.announced);
                self.tells(Account::Unproven, None);
                if let Some(look) = &self.look {
                    look.receives(1, self.announced);
                }
            }
            (None, None) => {}
            (None, Some(reason)) => {
                let known = self.manifest.as_ref().map(|manifest| manifest.account());
                let account = known.unwrap_or(self.account);
                let row = self.worker.ledger.row(account, Category::Unread);
                row.received(1, self.announced);
                row.dropped(reason, 1, self.announced);
                self.tells(account, Some(reason));
                if let Some(look) = &self.look {
                    look.receives(1, self.announced);
                    look.drops(1);
                }
                if let Some(manifest) = &self.manifest {
                    manifest.reports_unread(reason, self.announced);
                } else if let Some(loser) = self.loser() {
                    loser.report(&self.worker.reports, reason, self.announced);
                }
            }
        }
    }

    fn loser(&self) -> Option<&Loser> {
        self.refused.as_ref()?.loser.as_ref()
    }

    /// Tells whoever listens what became of a request into which nobody looked: forwarded, or
    /// dropped for a reason.
    fn tells(&self, account: Account, reason: Option<Reason>) {
        if !self.worker.is_heard() {
            return;
        }
        let manifest = self.manifest.as_ref();
        let project = manifest.and_then(|manifest| manifest.project());
        let refused = self.refused.as_ref().map(|refused| refused.pair);
        let settled = Settled {
            project: shown(account, project.or(refused.and_then(|pair| pair.project()))),
            category: Category::Unread,
            outcome: match reason {
                Some(_) => Outcome::Dropped,
                None => Outcome::Forwarded,
            },
            reason,
            items: 1,
            bytes: self.announced,
        };
        let whose = match manifest {
            Some(manifest) => manifest.whose(),
            None => Whose {
                key: refused.map(|pair| pair.key().masked()),
                client: self.client,
            },
        };
        self.worker.tell(&settled, whose);
    }

    /// Remembers who sent it, now that it is known what became of it.
    #[cold]
    pub(super) fn is_seen(&self, look: &Look) {
        let worker = &self.worker;
        let refused = self.refused.as_ref().map(|refused| refused.pair);
        let (account, project, pair) = match &self.manifest {
            Some(manifest) => (
                manifest.account(),
                manifest.project(),
                Some(manifest.pair()),
            ),
            None => {
                let project = refused.and_then(|pair| pair.project());
                (self.account, project, refused)
            }
        };
        let sender = looks::Sender {
            project: shown(account, project),
            pair,
            client: self.client,
        };
        let rules = worker.rules();
        worker
            .lookout
            .keeps(look, sender, &rules, &worker.shared.looks);
    }

    /// Tells the access log how it ended.
    pub(super) fn is_told_of(&self, visit: &Visit, took: Duration) {
        let Judged {
            ending,
            status,
            reason,
        } = self.judged;
        let end = End {
            started: self.started,
            took,
            client: self.client,
            route: self.route,
            how: How {
                ending,
                status,
                reason,
                dropped: Reasons::default(),
            },
            project: None,
            categories: Categories::EMPTY,
            limits: Vec::new(),
        };
        visit.ends(end, self.manifest.as_deref());
    }

    /// Remembers a misdeed, and forgets all of whoever does something good.
    pub(super) fn judge_client(&self, ending: Ending, status: u16, reason: Option<Reason>) {
        let Some(client) = self.client else { return };
        if reason.is_some_and(blocking::is_misdeed) {
            return blocking::strike(&self.worker, client);
        }
        let blocks = &self.worker.shared.blocks;
        let answered = matches!(ending, Ending::Forwarded | Ending::Spooled | Ending::Local);
        if !blocks.is_empty() && answered && (200..400).contains(&status) {
            blocks.clears(client);
        }
    }
}
