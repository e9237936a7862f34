//! How the clerk's thread begins: with what an earlier run has left, or another process; and
//! how it begins again, where it had lent the directory. Never serves an order itself.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Receiver;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::telemetry::ledger::Ledger;
use crate::telemetry::process;

use super::abroad::Estate;
use super::clerk::{Clerk, Ended, elapsed_ms};
use super::clock;
use super::holds::Holds;
use super::intake::ToldFull;
use super::log::{Log, OpenError, RealDisk, Recovered};
use super::orders::Order;
use super::purge::Erasing;
use super::queues::Queues;
use super::room::{Free, log_limits, records_max};
use super::state::State;
use crate::server::reports::Share;
use crate::server::rules::Rules;

/// Orders begin at the time of the start, with room for a million each millisecond: those of
/// an earlier run, of which nothing may be left to see, are never given again.
const ORDERS_BITS: u32 = 20;

/// What the thread begins with.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) path: PathBuf,
    pub(super) rules: Arc<ArcSwap<Rules>>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) reports: Share,
    pub(super) state: Arc<State>,
    pub(super) due: Arc<Notify>,
    pub(super) queued_bytes: Arc<AtomicU64>,
    pub(super) epoch: Instant,
}

/// What the thread begins with, and what an earlier run has left.
pub(super) struct Taken {
    plan: Plan,
    log: Log<RealDisk>,
    found: Recovered,
    pub(super) estate: Estate,
}

impl Plan {
    /// Takes up what the disk holds: reads what is at the end of each file, and the newest
    /// as a whole.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(super) fn take_up(self, disk: RealDisk, estate: Estate) -> Result<Taken, OpenError> {
        let max_bytes = self.rules.load().config.spool.max_bytes;
        let (log, found) = Log::open(disk, log_limits(max_bytes))?;
        if found.damaged > 0 || !found.quarantined.is_empty() {
            tracing::error!(
                requests = found.damaged,
                files = ?found.quarantined,
                "some of what was kept is damaged; those files stay in spool.path"
            );
        }
        if found.cut_bytes > 0 {
            let bytes = found.cut_bytes;
            tracing::warn!(
                bytes,
                "the last that was written to the spool is no whole request: a loss of power leaves that, without one the disk is damaged"
            );
        }
        let requests = found.records.len();
        if requests > 0 && estate.booked {
            tracing::info!(requests, "requests that are kept are taken over");
        } else if requests > 0 {
            tracing::info!(
                requests,
                "an earlier run has kept requests: they are sent in their turn"
            );
        }
        let state = &self.state;
        state.damaged.fetch_add(found.damaged, Relaxed);
        // Before anybody can ask.
        state.items.store(items(&found), Relaxed);
        let requests = u64::try_from(found.records.len()).unwrap_or(u64::MAX);
        state.requests.store(requests, Relaxed);
        Ok(Taken {
            plan: self,
            log,
            found,
            estate,
        })
    }
}

/// The items in what was found.
fn items(found: &Recovered) -> u64 {
    let items = found
        .records
        .iter()
        .map(|found| u64::from(found.head.items));
    items.sum()
}

impl Taken {
    /// Serves until somebody closes, here or from afar.
    pub(super) fn serve(self, orders: &Receiver<Order>) {
        let mut next = Some(self);
        while let Some(mut taken) = next {
            let late = std::mem::take(&mut taken.estate.orders);
            next = match taken.clerk().serve(late, orders) {
                Ended::Closed => None,
                Ended::Yielded(courier) => courier.carry(orders),
            };
        }
    }

    /// The clerk, before it has done anything.
    pub(super) fn clerk(self) -> Clerk {
        let Self {
            plan,
            log,
            found,
            estate,
        } = self;
        let last = found.records.last().map_or(0, |found| found.head.order);
        let max_bytes = plan.rules.load().config.spool.max_bytes;
        let keeps = !found.records.is_empty();
        let now_unix_ms = clock::take_up(log.disk(), process::now_ms(), keeps);
        let clerk = Clerk {
            log,
            // What an earlier run kept has its place, were that more than may be kept now.
            held: Queues::new(records_max(max_bytes).saturating_add(found.records.len())),
            items: items(&found),
            holds: Holds::default(),
            uncarried: found.records.into(),
            unread: VecDeque::new(),
            next_order: (now_unix_ms.max(process::now_ms()) << ORDERS_BITS).max(last + 1),
            books: plan.ledger.worker(),
            reports: plan.reports,
            rules: plan.rules,
            state: plan.state,
            due: plan.due,
            queued_bytes: plan.queued_bytes,
            epoch_unix_ms: now_unix_ms.saturating_sub(elapsed_ms(plan.epoch)),
            epoch: plan.epoch,
            going: HashMap::new(),
            booked: estate.booked,
            abroad: estate.abroad,
            path: plan.path,
            ledger: plan.ledger,
            strangers: HashMap::new(),
            stranger_bytes: 0,
            told_full: ToldFull::default(),
            erasing: Erasing::default(),
            free: Free::default(),
            age_told: None,
        };
        for lost in &found.lost {
            clerk.book_lost(lost.head, lost.bytes);
        }
        clerk
    }
}
