//! The one thread that touches what is kept. It takes what workers bring, many requests
//! to one sync of the disk, hands out what goes next, and gives up what is too old.
//! Never sends anything, and never waits for a worker.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::policy::millis::Millis;
use crate::policy::replay::Held;
use crate::telemetry::labels::Upstream;
use crate::telemetry::ledger::{Ledger, WorkerLedger};

use super::abroad::Awaited;
use super::courier::Courier;
use super::holds::{Holds, Stowed};
use super::intake::ToldFull;
use super::log::{Disk as _, Found, Log, RealDisk};
use super::orders::{Order, Steer};
use super::parcel::Holding;
use super::purge::Erasing;
use super::queues::{Destination, Queues};
use super::room::{Free, Used};
use super::state::State;
use super::{Abroad, Kept};
use crate::server::handover::post::Post;
use crate::server::reports::Share;
use crate::server::rules::Rules;

/// Orders taken up together: as many requests share a sync.
pub(super) const BATCH_MAX: usize = 512;

/// How often what is too old is looked for, and files are tidied.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// A request whose end somebody will tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Going {
    /// Its upstream was asked before it was kept.
    pub(super) late: bool,
    /// And may have taken it.
    pub(super) maybe_sent: bool,
    /// Somebody has dropped it meanwhile: it is not sent again.
    pub(super) purged: bool,
    /// The process before this one will tell it.
    pub(super) abroad: bool,
}

/// All that the thread has.
pub(super) struct Clerk {
    pub(super) log: Log<RealDisk>,
    pub(super) held: Queues,
    /// What more of them hold than stands in `held`.
    pub(super) holds: Holds,
    /// What an earlier run kept, and is in no book yet.
    pub(super) uncarried: VecDeque<Found>,
    /// What of it could not be read so far.
    pub(super) unread: VecDeque<Found>,
    pub(super) next_order: u64,
    pub(super) rules: Arc<ArcSwap<Rules>>,
    pub(super) books: WorkerLedger,
    pub(super) reports: Share,
    pub(super) state: Arc<State>,
    pub(super) due: Arc<Notify>,
    pub(super) queued_bytes: Arc<AtomicU64>,
    pub(super) epoch: Instant,
    /// What the spool's clock showed at `epoch`, in milliseconds of Unix time. Ages are counted
    /// from there by the clock that only moves forward: were the wall clock set, all that is
    /// kept could be too old at once.
    pub(super) epoch_unix_ms: u64,
    pub(super) going: HashMap<u64, Going>,
    /// What was found stands in the books already.
    pub(super) booked: bool,
    /// Of what is to be carried, what another process is sending.
    pub(super) abroad: HashMap<u64, Awaited>,
    pub(super) path: PathBuf,
    pub(super) ledger: Arc<Ledger>,
    /// Bytes of requests whose key nobody vouches for, by their order.
    pub(super) strangers: HashMap<u64, u64>,
    pub(super) stranger_bytes: u64,
    pub(super) items: u64,
    pub(super) told_full: ToldFull,
    /// What an operator has dropped, and is on disk as it was.
    pub(super) erasing: Erasing<Stowed>,
    pub(super) free: Free,
    /// When the age of what was kept the longest was last told.
    pub(super) age_told: Option<Millis>,
}

pub(super) fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// How the thread's work ended.
pub(super) enum Ended {
    /// For good.
    Closed,
    /// The directory is another process's.
    Yielded(Courier),
}

/// Why it ends.
enum Ending {
    Close,
    Yield(Post, oneshot::Sender<Vec<(Kept, Abroad)>>),
}

/// The items of these.
fn items_in(holdings: &[Holding]) -> u64 {
    let items = holdings.iter().map(|held| held.items);
    items.fold(0, u64::saturating_add)
}

impl Clerk {
    pub(super) fn serve(mut self, late: Vec<Order>, orders: &Receiver<Order>) -> Ended {
        let mut tidied = Instant::now();
        let mut ending = self.take_up(late);
        self.publish();
        while ending.is_none() {
            let patience = match self.uncarried.is_empty() && self.erasing.is_over() {
                true => TIDY_EVERY,
                false => Duration::ZERO,
            };
            match orders.recv_timeout(patience) {
                Ok(first) => {
                    let more = orders.try_iter().take(BATCH_MAX - 1);
                    let batch = std::iter::once(first).chain(more).collect();
                    ending = self.take_up(batch);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.carry();
            self.erase_some();
            if tidied.elapsed() >= TIDY_EVERY {
                tidied = Instant::now();
                self.tidy();
            }
            self.publish();
        }
        // The next start would find it again.
        while !self.erasing.is_over() {
            self.erase_some();
        }
        match ending {
            None => {}
            Some(Ending::Close) => self.log.close(),
            Some(Ending::Yield(post, told)) => return Ended::Yielded(self.hand_over(post, told)),
        }
        Ended::Closed
    }

    /// Takes up orders, what is to be kept first: it shares one sync. Yields why it was the last
    /// of them.
    fn take_up(&mut self, batch: Vec<Order>) -> Option<Ending> {
        let mut wanted = Vec::new();
        let mut others = Vec::new();
        for order in batch {
            match order {
                Order::Keep(keep) => wanted.push(keep),
                Order::Steer(other) => others.push(other),
            }
        }
        self.keep(wanted);
        let mut ending = None;
        for order in others {
            match order {
                Steer::End { kept, end } => self.end(kept, &end),
                Steer::Next { to, most, told } => {
                    let next = self.next(to, most);
                    if let Err(untold) = told.send(next) {
                        self.put_back(&untold);
                    }
                }
                Steer::Overview { told } => drop(told.send(self.overview())),
                Steer::Purge { project, told } => self.purge(project, told),
                Steer::Yield { post, told } => ending = Some(Ending::Yield(post, told)),
                Steer::TakeBack { told } => drop(told.send(true)),
                Steer::Alone => self.is_alone(),
                Steer::Close => ending = Some(Ending::Close),
            }
        }
        ending
    }

    /// A request that was kept is known from here on.
    pub(super) fn took(
        &mut self,
        to: Destination,
        held: Held<Stowed>,
        going: Option<Going>,
    ) -> bool {
        if let Some(going) = going {
            self.going.insert(held.order, going);
        }
        if self.held.push(to, held, going.is_some()).is_err() {
            self.going.remove(&held.order);
            self.holds.take(&held);
            self.log.ack(held.place.lies);
            return false;
        }
        self.items = self.items.saturating_add(items_in(&self.holds.of(&held)));
        self.publish_count();
        true
    }

    /// Who is to have what was kept for a Sentry of that name: `None`, the first.
    pub(super) fn destination(&self, name: Option<&str>) -> Destination {
        let Some(name) = name else {
            return Some(Upstream::Ingest);
        };
        self.rules.load().mirror_named(name).map(Upstream::Mirror)
    }

    /// A request is kept no longer. Yields what it held, as it was entered into the books.
    pub(super) fn forget(&mut self, held: &Held<Stowed>) -> Vec<Holding> {
        let holdings = self.holds.take(held);
        self.items = self.items.saturating_sub(items_in(&holdings));
        self.publish_count();
        if let Some(bytes) = self.strangers.remove(&held.order) {
            self.stranger_bytes = self.stranger_bytes.saturating_sub(bytes);
        }
        holdings
    }

    /// A request that was kept goes again: nobody knows of it.
    pub(super) fn withdraw(&mut self, held: &Held<Stowed>) {
        let going = self.going.remove(&held.order).is_some();
        let withdrawn = match going {
            true => self.held.done(held.order),
            false => self.held.withdraw(held),
        };
        if withdrawn.is_some() {
            self.log.ack(held.place.lies);
            self.forget(held);
        }
    }

    /// Notes that a request of a stranger takes so much.
    pub(super) fn is_strangers(&mut self, order: u64, bytes: u64) {
        self.strangers.insert(order, bytes);
        self.stranger_bytes += bytes;
    }

    /// What is used now.
    pub(super) fn used(&mut self) -> Used {
        let usage = self.log.usage();
        let floor = self.rules.load().config.spool.free_floor;
        let now = self.now();
        Used {
            live: usage.live_bytes,
            on_disk: usage.bytes_on_disk,
            strangers: self.stranger_bytes,
            free: self
                .free
                .look(now, floor, || self.log.disk().free_bytes().ok()),
        }
    }

    pub(super) fn now(&self) -> Millis {
        Millis(elapsed_ms(self.epoch))
    }

    /// Now, in milliseconds of Unix time as this run counts it.
    pub(super) fn now_unix_ms(&self) -> u64 {
        self.epoch_unix_ms.saturating_add(elapsed_ms(self.epoch))
    }
}
