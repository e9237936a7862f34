//! What was used of quotas, written down before it counts: a restart or a crash admits
//! nothing twice. A thread of its own appends to one file and syncs it, many marks at
//! once; requests wait for it only where they outrun their mark. Never decides how far a
//! mark reaches; and where the disk fails, requests go on unwritten, and the log says so.
//!
//! The file is lines of `identity window used checksum`. Later lines only ever say more,
//! so a torn or damaged one is skipped; at a start, and when it has grown, the file is
//! written anew with what is in use. A run that ends in good order leaves exact counts,
//! and a last line that says so.

mod pen;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::policy::quotas::{Counters, Granted, Unreserved};
use crate::telemetry::labels::Journal as State;

use crate::server::memory::state::StateFolder;
use pen::{Order, Told, restore, start};

/// How long a request waits for the disk. Then it goes on: a slow disk must not stop events.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where used quotas are written down. Dropped without [`close`](Self::close), what was
/// used is known to the next run up to its last marks.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// Where it lies, if anywhere.
    folder: Option<StateFolder>,
    /// Exchanged only where the folder goes to another process, or comes back from one.
    writer: ArcSwapOption<Writer>,
    /// There is no writer, and there should be.
    failed: AtomicBool,
}

#[derive(Debug)]
struct Writer {
    orders: SyncSender<Order>,
    written: Arc<Notify>,
    /// A request went on unwritten, and none has waited with success since.
    slow: AtomicBool,
    /// The disk takes nothing, as the thread last saw it.
    failing: Arc<AtomicBool>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// Takes up what an earlier run wrote, and writes from now on. Into a folder that
    /// fails nothing is kept: the log says so.
    pub(crate) fn open(folder: StateFolder, counters: &Arc<Counters>) -> Self {
        let own = Self {
            folder: Some(folder),
            ..Self::default()
        };
        own.begin(counters);
        own
    }

    /// Reads what is there, and writes from now on.
    fn begin(&self, counters: &Arc<Counters>) {
        let Some(folder) = &self.folder else {
            return;
        };
        restore(folder, counters);
        let started = start(folder.clone(), counters);
        self.failed.store(started.is_err(), Ordering::Relaxed);
        match started {
            Ok(writer) => {
                counters.enable_journal();
                self.writer.store(Some(Arc::new(writer)));
            }
            Err(error) => {
                tracing::warn!(%error, "what is used of quotas cannot be kept over a restart");
            }
        }
    }

    /// Writes down what is used, and no more from now on: the file is another process's, which
    /// counts beside this one as [`Counters::hand_over`] has it.
    pub(crate) fn hand_over(&self, counters: &Counters) {
        counters.hand_over();
        self.end(Told::Written);
        if self.folder.is_none() || self.failed.load(Ordering::Relaxed) {
            // Nobody else does.
            counters.settle();
        }
    }

    /// That process is gone: goes on from what it wrote.
    pub(crate) fn take_back(&self, counters: &Arc<Counters>) {
        counters.take_back();
        if self.writer.load().is_some() {
            return;
        }
        self.begin(counters);
    }

    /// Has all that is used now on disk soon, whoever used it.
    pub(crate) fn note_all(&self) {
        if let Some(writer) = &*self.writer.load() {
            // Without a place the next mark of each says it.
            writer.orders.try_send(Order::Anew).ok();
        }
    }

    /// The journal of a folder that is of no use.
    pub(crate) fn failed() -> Self {
        Self {
            failed: AtomicBool::new(true),
            ..Self::default()
        }
    }

    /// How it does.
    pub(crate) fn state(&self) -> State {
        match &*self.writer.load() {
            None if self.failed.load(Ordering::Relaxed) => State::Failing,
            None => State::Off,
            Some(writer) if writer.failing.load(Ordering::Relaxed) => State::Failing,
            Some(writer) if writer.slow.load(Ordering::Relaxed) => State::Slow,
            Some(_) => State::Written,
        }
    }

    /// Waits until what was charged is safe from a crash.
    pub(crate) async fn secure(&self, granted: Granted) {
        let writer = self.writer.load_full();
        let Some(writer) = writer else {
            return;
        };
        for soon in granted.ahead {
            // Without a place it is not asked again: the charge that goes beyond its mark waits.
            writer.orders.try_send(Order::Reserve(soon)).ok();
        }
        let deadline = Instant::now() + PATIENCE;
        let mut asked = false;
        while !granted.unreserved.iter().all(Unreserved::is_covered) {
            let mut written = pin!(writer.written.notified());
            written.as_mut().enable();
            if !asked {
                asked = writer.ask(&granted.unreserved);
            }
            if granted.unreserved.iter().all(Unreserved::is_covered) {
                break;
            }
            if timeout_at(deadline, written).await.is_err() {
                // Told once, not by every request of a flood.
                if !writer.slow.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "the disk is slow: requests go on before their quotas are kept (state.path)"
                    );
                }
                return;
            }
        }
        if asked && writer.slow.swap(false, Ordering::Relaxed) {
            tracing::info!("the disk keeps up with quotas again");
        }
    }

    /// Writes down exactly what is used, at the end of a run.
    pub(crate) fn close(&self) {
        self.end(Told::Used);
    }

    fn end(&self, told: Told) {
        let writer = self.writer.load_full();
        let Some(writer) = writer else {
            return;
        };
        let thread = writer.thread.lock().ok().and_then(|mut held| held.take());
        if writer.orders.send(Order::Close(told)).is_ok()
            && let Some(thread) = thread
        {
            thread.join().ok();
        }
        if told == Told::Written {
            // Who waits for it hears of nothing more.
            writer.written.notify_waiters();
            self.writer.store(None);
        } else if writer.failing.load(Ordering::Relaxed) {
            self.failed.store(true, Ordering::Relaxed);
        }
    }
}

impl Writer {
    /// Whether all could be asked for.
    fn ask(&self, unreserved: &[Unreserved]) -> bool {
        let ask = |wanted: &Unreserved| {
            let sent = self.orders.try_send(Order::Reserve(wanted.clone()));
            !matches!(sent, Err(TrySendError::Full(_)))
        };
        unreserved.iter().all(ask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_goes_away_is_told_and_so_is_one_that_was_never_there() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("state");
        let limits = crate::policy::quotas::CounterLimits {
            ips: 1,
            counters: 1,
        };
        let counters = Arc::new(Counters::new(limits));
        let folder = StateFolder::open(&path).unwrap();
        let journal = Journal::open(folder, &counters);
        assert_eq!(journal.state(), State::Written);
        std::fs::remove_dir_all(&path).unwrap();
        journal.close();
        assert_eq!(journal.state(), State::Failing);
        assert_eq!(Journal::failed().state(), State::Failing);
        assert_eq!(Journal::default().state(), State::Off);
    }
}
