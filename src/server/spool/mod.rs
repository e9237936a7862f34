//! What the upstream did not take, kept on disk until it does.
//!
//! `parcel` says how a request lies in a record, `log` where records lie, `clerk` is the
//! one thread that touches them, `replay` sends them and `departure` makes them ready.
//! Workers reach the clerk by a bounded queue, and wait for nothing but the disk.

mod abroad;
pub(crate) mod attempt;
mod beginning;
mod bulletin;
mod carry;
mod clerk;
pub(crate) mod clock;
mod copies;
mod courier;
pub(crate) mod departure;
mod folder;
mod holds;
pub(crate) mod intake;
pub mod log;
mod orders;
mod outgo;
pub(crate) mod parcel;
pub(crate) mod pause;
pub(crate) mod prospect;
pub(crate) mod purge;
mod queues;
pub(crate) mod replay;
pub(crate) mod room;
pub(crate) mod shares;
pub(crate) mod state;
mod upkeep;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;
use crate::domain::rate_limits::RateLimit;
use crate::policy::outlook::Outlook;
use crate::telemetry::labels::Upstream;
use crate::telemetry::ledger::Ledger;

use crate::server::reports::Share;
use crate::server::rules::Rules;
pub(crate) use abroad::{Abroad, Heritage};
use beginning::Plan;
use copies::Copies;
pub(crate) use folder::SpoolFolder;
pub(crate) use orders::{KeptFor, Overview, ProjectKept};
use orders::{Order, Steer, Wanted, Whose};
use parcel::Parcel;
use pause::Pause;
use replay::NextUp;
use state::State;

/// Orders that wait for the clerk: as many requests as may be, and as many ends of others.
const ORDERS_MAX: usize = 2 * QUEUED_MAX;

/// Requests that wait for the disk, and their bytes. Who finds no place is not kept.
const QUEUED_MAX: usize = 4096;
const QUEUED_BYTES_MAX: u64 = 64 << 20;

/// What the smallest of them counts: the limit on bytes is the one on their number.
const QUEUED_BYTES_EACH: u64 = 16 << 10;

/// How long an operator waits for the clerk.
const PATIENCE: Duration = Duration::from_secs(30);

/// What becomes of a request that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The upstream has it.
    Taken,
    /// It goes no further.
    Refused(Reason),
    /// Its body is not as it was written: it cannot be sent.
    Damaged,
    /// It is to be sent in its turn.
    Again,
    /// It was not sent after all.
    Unsent,
    /// It is to be sent when these are over.
    Limited(Vec<RateLimit>),
}

/// When a kept request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// In its turn.
    Now,
    /// Once its [`End`] is told: its upstream may still answer.
    WhenTold,
}

/// A request that is kept, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept(u64);

impl Kept {
    /// The number.
    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    /// The request of a number.
    pub(crate) const fn of(number: u64) -> Self {
        Self(number)
    }
}

/// Why a request was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotKept {
    /// There is no room for one of its kind.
    Full,
    /// The disk does not take it.
    Disk,
    /// Too many wait for the disk already.
    Busy,
}

/// The spool as all threads share it. Dropped without [`close`](Self::close), the disk
/// has all that was answered 200.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    desk: Option<Desk>,
    state: Arc<State>,
    /// Something may be sent that could not before.
    due: Arc<Notify>,
    copies: Copies,
    /// How it went on in the last minute.
    outlook: Mutex<Outlook>,
}

/// The way to the clerk.
#[derive(Debug)]
struct Desk {
    orders: SyncSender<Order>,
    queued_bytes: Arc<AtomicU64>,
    folder: PathBuf,
    clerk: Mutex<Option<JoinHandle<()>>>,
}

impl Spool {
    /// Takes up what an earlier run kept. Without a directory, or with one that cannot be
    /// used, nothing is kept: the log says so, and the edge runs all the same.
    /// What an operator has paused stays so.
    pub(crate) fn open(
        folder: SpoolFolder,
        rules: &Arc<ArcSwap<Rules>>,
        ledger: &Arc<Ledger>,
        reports: Share,
        pause: Pause,
        epoch: Instant,
        heritage: Heritage,
    ) -> Self {
        let state = State {
            pause,
            ..State::default()
        };
        let mut own = Self {
            state: Arc::new(state),
            ..Self::default()
        };
        let Some((folder, disk)) = folder.0 else {
            return own;
        };
        if own.state.pause.is_on() {
            tracing::warn!(
                "the spool is paused, as an earlier run was told: what is kept stays until `vidette spool drain`"
            );
        }
        let failed = |error: &dyn std::error::Error| {
            let path = folder.display();
            tracing::error!(%error, %path, "spool.path cannot be used: what the upstream does not take is lost");
            own.state.failing.store(true, Relaxed);
        };
        let disk = match disk {
            Ok(disk) => disk,
            Err(error) => {
                failed(&error);
                return own;
            }
        };
        let file_system_bytes = disk.total_bytes().unwrap_or(u64::MAX);
        if room::is_floor_beyond(&rules.load().config.spool, file_system_bytes) {
            tracing::warn!(
                file_system_bytes,
                "spool.free_floor is more than the whole file system of spool.path has: nothing is kept"
            );
        }
        let (orders, taken) = sync_channel(ORDERS_MAX);
        let queued_bytes = Arc::default();
        let plan = Plan {
            path: folder.clone(),
            rules: Arc::clone(rules),
            ledger: Arc::clone(ledger),
            reports,
            state: Arc::clone(&own.state),
            due: Arc::clone(&own.due),
            queued_bytes: Arc::clone(&queued_bytes),
            epoch,
        };
        let kept = match plan.take_up(disk, heritage.into()) {
            Ok(kept) => kept,
            Err(error) => {
                failed(&error);
                return own;
            }
        };
        let clerk = Builder::new().name("spool".to_owned());
        match clerk.spawn(move || kept.serve(&taken)) {
            Ok(clerk) => {
                own.desk = Some(Desk {
                    orders,
                    queued_bytes,
                    folder,
                    clerk: Mutex::new(Some(clerk)),
                });
            }
            Err(error) => failed(&error),
        }
        own
    }

    /// Where unnamed files may lie for a while.
    pub(crate) fn folder(&self) -> PathBuf {
        let folder = self.desk.as_ref().map(|desk| desk.folder.clone());
        folder.unwrap_or_default()
    }

    /// Whether anything can be kept at all.
    pub(crate) fn is_open(&self) -> bool {
        self.desk.is_some()
    }

    /// How it fares.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Completes when something may be sent that could not before.
    pub(crate) async fn is_due(&self) {
        self.due.notified().await;
    }

    /// Keeps a request: it is on disk when this returns. Dropped before, it may be or not.
    pub(crate) async fn keep(&self, parcel: Parcel, due: Due) -> Result<Kept, NotKept> {
        let tells = self.want(parcel, due, Whose::Own)?;
        tells.await.unwrap_or(Err(NotKept::Disk))
    }

    fn want(
        &self,
        parcel: Parcel,
        due: Due,
        whose: Whose,
    ) -> Result<oneshot::Receiver<Result<Kept, NotKept>>, NotKept> {
        let desk = self.desk.as_ref().ok_or(NotKept::Disk)?;
        let bytes = queued_bytes(&parcel);
        let fits = |queued: u64| Some(queued + bytes).filter(|sum| *sum <= QUEUED_BYTES_MAX);
        let queued = &desk.queued_bytes;
        queued
            .fetch_update(Relaxed, Relaxed, fits)
            .map_err(|_| NotKept::Busy)?;
        let (told, tells) = oneshot::channel();
        let order = Order::Keep(Wanted {
            parcel: Box::new(parcel),
            due,
            whose,
            told,
        });
        if desk.orders.try_send(order).is_err() {
            queued.fetch_sub(bytes, Relaxed);
            return Err(NotKept::Busy);
        }
        Ok(tells)
    }

    /// Says what became of a request that is kept.
    pub(crate) fn end(&self, kept: Kept, end: End) {
        let Some(desk) = &self.desk else {
            return;
        };
        let mut order = Order::Steer(Steer::End { kept, end });
        // The queue is the clerk's to empty, and it never waits for a worker: a request
        // that is not told of is sent once more after the next start.
        for _ in 0..3 {
            match desk.orders.try_send(order) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(back)) => order = back,
            }
            std::thread::yield_now();
        }
        tracing::warn!("the spool's queue is full: a request may be sent twice");
    }

    /// Requests to be sent to an upstream now, at most so many. Each has to [`end`](Self::end).
    pub(crate) async fn next(&self, to: Upstream, most: usize) -> NextUp {
        let asked = |told| Steer::Next { to, most, told };
        self.ask(asked).await.unwrap_or_default()
    }

    /// What is kept. `None`: the clerk does not answer.
    pub(crate) async fn overview(&self) -> Option<Overview> {
        self.ask(|told| Steer::Overview { told }).await
    }

    /// Drops what is kept of a project, or of all, and says how many requests once none of
    /// them is on disk. `None`: the clerk does not answer.
    pub(crate) async fn purge(&self, project: Option<ProjectId>) -> Option<u64> {
        let desk = self.desk.as_ref()?;
        let (told, tells) = oneshot::channel();
        let order = Order::Steer(Steer::Purge { project, told });
        desk.orders.try_send(order).ok()?;
        told_of_drop(tells, &self.state.erased).await
    }

    /// Whether the directory was to be used, and cannot be.
    pub(crate) fn has_failed(&self) -> bool {
        self.desk.is_none() && self.state.failing.load(Relaxed)
    }

    /// Stops the sending, or goes on with it.
    pub(crate) fn pause(&self, paused: bool, now_unix_s: u64) {
        self.state.pause.set(paused, now_unix_s);
        self.due.notify_one();
    }

    /// Writes down what is done, and stops the clerk.
    pub(crate) fn close(&self) {
        let Some(desk) = &self.desk else {
            return;
        };
        let clerk = desk.clerk.lock().ok().and_then(|mut held| held.take());
        if desk.orders.send(Order::Steer(Steer::Close)).is_ok()
            && let Some(clerk) = clerk
        {
            clerk.join().ok();
        }
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Steer) -> Option<T> {
        let desk = self.desk.as_ref()?;
        let (told, tells) = oneshot::channel();
        desk.orders.try_send(Order::Steer(order(told))).ok()?;
        timeout(PATIENCE, tells).await.ok()?.ok()
    }
}

/// What was dropped, once it is overwritten. A full spool takes its time: as long as it goes on,
/// which `erased` shows. `None`: nobody answers.
pub(crate) async fn told_of_drop(
    mut tells: oneshot::Receiver<u64>,
    erased: &AtomicU64,
) -> Option<u64> {
    let mut seen = erased.load(Relaxed);
    loop {
        if let Ok(told) = timeout(PATIENCE, &mut tells).await {
            return told.ok();
        }
        let before = std::mem::replace(&mut seen, erased.load(Relaxed));
        if seen == before {
            return None;
        }
    }
}

/// What a request takes of the queue while it waits for the disk.
fn queued_bytes(parcel: &Parcel) -> u64 {
    parcel.memory_bytes().max(QUEUED_BYTES_EACH)
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
