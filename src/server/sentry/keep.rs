//! Keeps the listing fresh for as long as it runs, and says how it stands. A
//! reading that fails changes nothing but the standing: the old list serves.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::time::sleep;

use super::Source;
use super::api::ApiError;
use super::keys;
use super::list::KeyList;

/// The wait after a first failure; it doubles up to the interval.
const BACK_OFF: Duration = Duration::from_secs(1);

/// The longest wait that a Retry-After is believed for: a mistaken one must not
/// stop the listing for days.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// The shortest wait whatever the interval says, so that the loop always rests.
const WAIT_MIN: Duration = Duration::from_millis(10);

/// How the listing stands, for the status page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// When the list in use was read; `None` before the first.
    pub last_success: Option<SystemTime>,
    /// Projects in it.
    pub projects: usize,
    /// Keys in it.
    pub keys: usize,
    /// Why the last reading failed; `None` when it did not.
    pub failing: Option<String>,
}

impl Standing {
    /// The standing of a list that was just read, or found on disk at start.
    pub(crate) fn of(list: &KeyList) -> Self {
        Self {
            last_success: Some(list.at),
            projects: list.projects.len(),
            keys: list.keys.len(),
            failing: None,
        }
    }
}

/// Reads the listing at once and then every interval, and hands each list to
/// `on_list`, changed or not. Never ends; dropping it closes its connections.
///
/// `standing` is told first: who is called back sees the new one. `on_list` runs
/// on this thread, so that slow work, [`super::copy::save`] for one, belongs
/// onto the blocking pool.
pub(crate) async fn keep_listing(
    source: Source,
    standing: Arc<ArcSwap<Standing>>,
    mut on_list: impl FnMut(Arc<KeyList>),
) {
    let mut failures = 0_u32;
    let mut is_known = false;
    loop {
        let draw = fastrand::f64();
        let wait = match keys::walk(SystemTime::now(), &source).await {
            Ok(list) => {
                if failures > 0 || !is_known {
                    let (projects, keys) = (list.projects.len(), list.keys.len());
                    let skipped = list.skipped;
                    tracing::info!(
                        projects,
                        keys,
                        skipped,
                        "the list of keys was read from Sentry"
                    );
                }
                (failures, is_known) = (0, true);
                standing.store(Arc::new(Standing::of(&list)));
                on_list(Arc::new(list));
                jittered(source.interval, draw)
            }
            Err(error) => {
                if failures == 0 {
                    let until_then = match standing.load().last_success {
                        Some(_) => "the last one stands",
                        None => "none was read yet: until then keys.mode strict acts as learn",
                    };
                    tracing::warn!(%error, "the list of keys cannot be read from Sentry; {until_then}");
                } else {
                    tracing::debug!(%error, failures, "the list of keys still cannot be read");
                }
                failures = failures.saturating_add(1);
                let before = standing.load_full();
                standing.store(Arc::new(Standing {
                    failing: Some(error.to_string()),
                    ..Standing::clone(&before)
                }));
                wait_after(error, failures, source.interval, draw)
            }
        };
        sleep(wait.max(WAIT_MIN)).await;
    }
}

/// How long to leave Sentry alone after so many failures in a row.
fn wait_after(error: ApiError, failures: u32, interval: Duration, draw: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(30);
    let back_off = BACK_OFF.saturating_mul(1 << doublings).min(interval);
    let wait = jittered(back_off, draw);
    if let ApiError::Busy {
        retry_after: Some(asked),
        ..
    } = error
    {
        return wait.max(asked.min(RETRY_AFTER_MAX));
    }
    wait
}

/// A tenth more or less, so that many edges do not ask at the same moment; `draw`
/// is from 0 to 1.
pub(super) fn jittered(wait: Duration, draw: f64) -> Duration {
    wait.mul_f64(0.9 + 0.2 * draw)
}

#[cfg(test)]
mod tests;
