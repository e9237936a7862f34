//! What the service manager hears of this process, by the protocol of sd_notify(3): that it is
//! ready, reads its configuration again, stops, and lives. Says nothing where nobody asks
//! (`NOTIFY_SOCKET`), and never waits for an answer.
//!
//! A sign of life is given as long as the control thread and every worker come round. One that
//! hangs ends it, and the manager starts the edge anew (`WatchdogSec=` in the unit): what was
//! kept is on disk by then.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, sleep};

use crate::server::worker::Shared;

/// Signs of life in the time that the manager waits for one.
const SIGNS: u32 = 4;

/// No more often than this, however little time the manager gives.
const LEAST: Duration = Duration::from_millis(50);

/// A worker is missed when half of the manager's time is over, but not before this: it is only
/// seen about once a second.
const PATIENCE_MIN: Duration = Duration::from_secs(3);

/// The edge serves. Names this process as the one to watch, which it is not yet where it took
/// over from another.
pub(crate) fn ready(listening: &str) {
    let process = std::process::id();
    tell(&[
        NotifyState::MainPid(process),
        NotifyState::Ready,
        NotifyState::Status(listening),
    ]);
}

/// The configuration is being read again, until the guard is dropped.
#[must_use]
pub(crate) fn reloading() -> Reloading {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "no clock for the service manager"),
    }
    Reloading
}

/// A reload under way, as the manager sees it; dropped, it is over, well or not.
#[derive(Debug)]
pub(crate) struct Reloading;

impl Drop for Reloading {
    fn drop(&mut self) {
        tell(&[NotifyState::Ready]);
    }
}

/// The edge takes no more and finishes what is under way.
pub(crate) fn stopping() {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("finishing requests under way"),
    ]);
}

/// Gives signs of life, where the manager waits for them, for as long as there are any.
pub(crate) async fn keep_alive(shared: Arc<Shared>) {
    let Some(watchdog) = sd_notify::watchdog_enabled() else {
        return;
    };
    let patience = (watchdog / 2).max(PATIENCE_MIN);
    let mut silent = false;
    // From then on the manager watches the process that took over.
    while !shared.succession.is_leaving() {
        let late = shared.pulses.late(shared.millis(Instant::now()), patience);
        match late {
            None => tell(&[NotifyState::Watchdog]),
            Some(late) if !silent => tracing::error!(
                worker = late.worker,
                silent_s = late.silent.as_secs(),
                "a worker hangs: the service manager is given no more signs of life until it \
                 comes round"
            ),
            Some(_) => {}
        }
        silent = late.is_some();
        sleep((watchdog / SIGNS).max(LEAST)).await;
    }
}

/// A manager that does not listen is no reason to do otherwise.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
