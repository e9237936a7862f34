//! What comes and what becomes of it, for whoever listens or has a closer look. Never decides it.

use crate::domain::category::Category;
use crate::domain::outcome::Reason;
use crate::telemetry::decisions::{Outcome, Settled};
use crate::telemetry::ledger::Row;

use super::Manifest;
use crate::server::settling::{Whose, shown};

impl Manifest {
    /// Enters what came into the books.
    pub(super) fn receives(&self, row: &Row, items: u64, bytes: u64) {
        row.received(items, bytes);
        if let Some(look) = &self.look {
            look.receives(items, bytes);
        }
    }

    /// Tells whoever listens what became of items.
    pub(super) fn tells(
        &self,
        (outcome, reason): (Outcome, Option<Reason>),
        category: Category,
        (items, bytes): (u64, u64),
    ) {
        if self.worker.is_heard() {
            let settled = Settled {
                project: shown(self.account, self.who.project),
                category,
                outcome,
                reason,
                items,
                bytes,
            };
            self.worker.tell(&settled, self.whose());
        }
    }

    /// Who sent it.
    pub(crate) fn whose(&self) -> Whose {
        Whose {
            key: Some(self.pair().key().masked()),
            client: Some(self.who.ip),
        }
    }
}
