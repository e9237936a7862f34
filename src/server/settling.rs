//! What became of items, where it is known at last: told to whoever listens, and for what was kept
//! entered into the books. Never decides it.

use std::net::IpAddr;

use tokio::time::Instant;

use crate::domain::credentials::Masked;
use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;
use crate::telemetry::access::Client;
use crate::telemetry::decisions::{Decision, Outcome, Settled};
use crate::telemetry::ledger::Account;

use crate::server::spool::End;
use crate::server::spool::parcel::Holding;
use crate::server::worker::Worker;

/// Who sent what was settled, as far as that is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Whose {
    /// What is shown of the key.
    pub key: Option<Masked>,
    /// The client's address.
    pub client: Option<IpAddr>,
}

impl Worker {
    /// Tells whoever listens. To be called where [somebody does](Self::is_heard) only.
    #[cold]
    pub(crate) fn tell(&self, settled: &Settled, whose: Whose) {
        self.teller.tell(&self.shared.feed, settled, || {
            let store = &self.rules().store;
            Decision {
                at_ms: self.shared.moment_ms(self.millis(Instant::now())),
                settled: *settled,
                key: whose.key,
                client: whose.client.and_then(|client| Client::of(store, client)),
            }
        });
    }

    /// Whether anybody listens to what becomes of items.
    pub(crate) fn is_heard(&self) -> bool {
        self.shared.feed.is_heard()
    }

    /// Enters into the books what became of a request that is kept.
    pub(crate) fn settle_kept(&self, holdings: &[Holding], end: &End) {
        for held in holdings {
            let row = self.ledger.row(held.account, held.category);
            let (items, bytes) = (held.items, held.bytes);
            let (outcome, reason) = match end {
                End::Taken => {
                    row.left_spool(items, bytes);
                    row.forwarded(items, bytes);
                    (Outcome::Forwarded, None)
                }
                End::Refused(reason) => {
                    row.left_spool(items, bytes);
                    row.dropped(*reason, items, bytes);
                    (Outcome::Dropped, Some(*reason))
                }
                // The clerk books what is damaged, with all else that it finds so.
                End::Again | End::Unsent | End::Limited(_) | End::Damaged => continue,
            };
            if self.is_heard() {
                self.tell_kept(held, outcome, reason);
            }
        }
    }

    /// Of what was kept nobody remembers who sent it.
    fn tell_kept(&self, held: &Holding, outcome: Outcome, reason: Option<Reason>) {
        let settled = Settled {
            project: shown(held.account, None),
            category: held.category,
            outcome,
            reason,
            items: held.items,
            bytes: held.bytes,
        };
        self.tell(&settled, Whose::default());
    }
}

/// The project that is shown of an account, where it counts for `project`: none of a sender that
/// was not seen to work, who could name any.
pub(crate) fn shown(account: Account, project: Option<ProjectId>) -> Option<ProjectId> {
    match account {
        Account::Project(project) => Some(project),
        Account::Other => project,
        Account::Unproven => None,
    }
}
