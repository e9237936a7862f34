//! What becomes of a request's items, told to whoever listens. Never decides it.

use crate::domain::category::Category;
use crate::domain::outcome::Reason;
use crate::telemetry::decisions::{Outcome, Settled};

use super::Manifest;
use crate::server::settling::{Whose, shown};

impl Manifest {
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
