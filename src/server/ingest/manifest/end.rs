//! How what a request carries ends: taken by the upstream, kept for later, or lost; and
//! what is given back of what was charged for it.

use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;
use crate::policy::pair::Pair;
use crate::policy::quotas::Trust;
use crate::telemetry::decisions::Outcome;

use super::Manifest;
use super::kept::{Charge, Kept};
use crate::server::spool::parcel::Holding;

impl Manifest {
    /// The project that it counts for.
    pub(crate) fn project(&self) -> Option<ProjectId> {
        self.who.project
    }

    /// Its sender's key and its path's project: whose limits its answer tells of.
    pub(crate) fn pair(&self) -> Pair {
        self.sender.pair
    }

    /// Whether its sender is believed, or nobody is known who could be: as on an edge that has
    /// just been put there.
    pub(crate) fn is_trusted(&self) -> bool {
        self.who.trust == Trust::Whole
    }

    /// What of it goes on.
    pub(crate) fn holdings(&self) -> Vec<Holding> {
        let mut holdings: Vec<Holding> = Vec::new();
        for kept in &*self.kept.borrow() {
            let alike = holdings.iter_mut();
            match alike.rev().find(|held| held.category == kept.category) {
                Some(held) => {
                    held.items = held.items.saturating_add(kept.items);
                    held.bytes = held.bytes.saturating_add(kept.bytes);
                }
                None => holdings.push(Holding {
                    account: self.account,
                    category: kept.category,
                    items: kept.items,
                    bytes: kept.bytes,
                }),
            }
        }
        holdings
    }

    /// What went on lies in the spool now.
    pub(crate) fn is_kept(&self) {
        self.ends();
        for kept in self.kept.take() {
            kept.row.spooled(kept.items, kept.bytes);
            let amount = (kept.items, kept.bytes);
            self.tells((Outcome::Spooled, None), kept.category, amount);
        }
    }

    /// All of it has left, or the upstream has answered: from here on it is used up, whatever
    /// comes of it.
    pub(crate) fn is_used(&self) {
        self.used.set(true);
    }

    /// The end of what was kept: taken by the upstream, or lost for a reason. What was
    /// lost before the upstream can have had it is given back to its quotas.
    pub(crate) fn settle(&self, end: Result<(), Reason>) {
        self.ends();
        let kept = self.kept.take();
        let returns = end.is_err() && !self.used.get();
        if returns && !kept.is_empty() {
            self.looks_at_clock();
        }
        for kept in kept {
            let Kept {
                category,
                row,
                items,
                bytes,
                charge,
            } = kept;
            match end {
                Ok(()) => {
                    row.forwarded(items, bytes);
                    self.tells((Outcome::Forwarded, None), category, (items, bytes));
                }
                Err(reason) => {
                    self.drops(&row, category, reason, (items, bytes));
                    if let Some(Charge {
                        kind,
                        fate,
                        at,
                        count,
                        bytes,
                    }) = charge.filter(|_| returns)
                    {
                        self.room().give_back(at, kind, fate, count, bytes);
                    }
                }
            }
        }
    }
}
