//! The access log: a line for each request, or for some. Workers write lines into buffers of
//! their own (`desk`), hand them over in batches (`queue`), and one thread writes those down
//! (`writer`, `sink`). No request ever waits for it: what cannot be written in time is dropped,
//! counted, and said once. What a line shows is `telemetry::access`'s to say.

pub(super) mod desk;
mod queue;
mod sink;
pub(super) mod visit;
mod writer;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::checked::{AccessLog as Plan, AccessTarget};
use crate::telemetry::access::Reading;
use crate::telemetry::process;

use queue::{Batch, Queue};

/// How long a stop waits for what is still to be written: a pipe that nobody reads must not
/// hold it up.
const FLUSH_FOR: Duration = Duration::from_secs(2);

/// How often a stop looks whether all is written.
const FLUSH_LOOK: Duration = Duration::from_millis(5);

/// Lines that were dropped are told of for so long.
const TOLD_FOR_S: u64 = 60;

/// The access log, as all threads share it.
#[derive(Debug)]
pub(crate) struct AccessLog {
    queue: Queue,
    written: AtomicU64,
    dropped: AtomicU64,
    /// When lines were dropped last, in seconds since the epoch; 0: never.
    dropped_s: AtomicU64,
    /// Why that was.
    dropped_for: Mutex<String>,
    /// It was said that something is wrong, and not yet that nothing is.
    told: AtomicBool,
    /// Why nothing can be written now, if nothing can.
    failing: Mutex<Option<String>>,
    plan: Mutex<Plan>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Values are swapped whole: nothing is left half written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AccessLog {
    /// As configured, with nobody who writes yet.
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            queue: Queue::new(plan),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            dropped_s: AtomicU64::new(0),
            dropped_for: Mutex::default(),
            told: AtomicBool::new(false),
            failing: Mutex::default(),
            plan: Mutex::new(plan.clone()),
            writer: Mutex::default(),
        }
    }

    /// Goes by another plan. The first that has lines starts the thread that writes them; an edge
    /// without never has it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn follow(self: &Arc<Self>, plan: &Plan) -> io::Result<()> {
        plan.clone_into(&mut locked(&self.plan));
        self.queue.follow(plan);
        let mut writer = locked(&self.writer);
        if writer.is_none() && plan.is_on() {
            let own = Arc::clone(self);
            let thread = Builder::new().name("access-log".to_owned());
            *writer = Some(thread.spawn(move || writer::run(&own))?);
        }
        Ok(())
    }

    /// Hands lines over; drops them where too many wait.
    pub(crate) fn put(&self, batch: Batch) {
        let lines = batch.lines;
        if !self.queue.put(batch) {
            self.lost(lines, "more are coming than can be written");
        }
    }

    /// Opens its file anew, as whoever moves files away asks for.
    pub(crate) fn reopen(&self) {
        self.queue.reopen();
    }

    /// Has everything written that was handed over, for a while, and ends its thread.
    pub(crate) fn close(&self) {
        let Some(writer) = locked(&self.writer).take() else {
            return;
        };
        self.queue.close();
        let until = Instant::now() + FLUSH_FOR;
        while !writer.is_finished() {
            if Instant::now() >= until {
                tracing::warn!("the last lines of the access log could not be written in time");
                return;
            }
            std::thread::sleep(FLUSH_LOOK);
        }
    }

    /// What became of its lines.
    pub(crate) fn reading(&self) -> Reading {
        Reading {
            written: self.written.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }

    /// What is wrong with it, in words.
    pub(crate) fn reasons(&self) -> Option<String> {
        if let Some(failing) = &*locked(&self.failing)
            && locked(&self.plan).is_on()
        {
            return Some(format!("access log: {failing}"));
        }
        let dropped_s = self.dropped_s.load(Ordering::Relaxed);
        let lately = process::now_s().saturating_sub(dropped_s) < TOLD_FOR_S;
        let dropped = self.dropped.load(Ordering::Relaxed);
        let why = locked(&self.dropped_for);
        lately.then(|| format!("access log: {dropped} lines were dropped so far: {why}"))
    }

    /// How it does, for status.
    pub(crate) fn summary(&self) -> Value {
        let plan = locked(&self.plan);
        let Reading { written, dropped } = self.reading();
        json!({
            "mode": plan.mode.as_str(),
            "to": match &plan.to {
                AccessTarget::Stdout => "stdout".to_owned(),
                AccessTarget::File(path) => path.display().to_string(),
            },
            "written": written,
            "dropped": dropped,
            "failing": *locked(&self.failing),
        })
    }

    fn wrote(&self, lines: u64) {
        self.written.fetch_add(lines, Ordering::Relaxed);
    }

    /// Lines are gone. Said once, until for a while none are.
    fn lost(&self, lines: u64, why: &str) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        why.clone_into(&mut locked(&self.dropped_for));
        self.dropped_s.store(process::now_s(), Ordering::Relaxed);
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::error!("lines of the access log are dropped: {why}");
        }
    }

    /// Whether anything can be written at all. Said once as well: on a disk that is all but full
    /// one batch has room and the next has none.
    fn notes(&self, failing: Option<&str>) {
        let mut before = locked(&self.failing);
        if before.as_deref() == failing {
            return;
        }
        if let Some(why) = failing
            && !self.told.swap(true, Ordering::Relaxed)
        {
            tracing::error!("the access log cannot be written: {why}");
        }
        *before = failing.map(str::to_owned);
    }

    /// Looks whether lines are still dropped.
    fn looks(&self) {
        let dropped_s = self.dropped_s.load(Ordering::Relaxed);
        let over = process::now_s().saturating_sub(dropped_s) >= TOLD_FOR_S;
        let told = || self.told.swap(false, Ordering::Relaxed);
        if over && self.told.load(Ordering::Relaxed) && locked(&self.failing).is_none() && told() {
            let dropped = self.dropped.load(Ordering::Relaxed);
            tracing::info!(dropped, "the access log is written in full again");
        }
    }
}

/// Heeds SIGUSR1 from now on, which would end the process else.
pub(super) fn reopening() -> io::Result<Signal> {
    signal(SignalKind::user_defined1())
}

/// Opens the log's file anew at each SIGUSR1.
pub(super) async fn keep_reopening(asked: io::Result<Signal>, log: Arc<AccessLog>) {
    let Ok(mut asked) = asked else {
        tracing::warn!("SIGUSR1 cannot be caught; the access log sees by itself what was moved");
        return;
    };
    while asked.recv().await.is_some() {
        log.reopen();
    }
}

#[cfg(test)]
mod tests;
