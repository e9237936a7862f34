//! Whether an operator has stopped the sending of what is kept, and since when. Kept over a
//! restart by whoever has a folder; never ends by itself.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::server::memory::state::StateFolder;

/// The file's name.
const PAUSED: &str = "spool_paused";

/// A number and a line end.
const FILE_BYTES_MAX: u64 = 64;

/// Shared by all threads.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    /// In seconds of Unix time; 0: the sending goes on.
    since_unix_s: AtomicU64,
}

impl Pause {
    /// Whether nothing of what is kept is to be sent.
    pub(crate) fn is_on(&self) -> bool {
        self.since_unix_s.load(Relaxed) > 0
    }

    /// Since when.
    pub(crate) fn since_unix_s(&self) -> Option<u64> {
        Some(self.since_unix_s.load(Relaxed)).filter(|since| *since > 0)
    }

    /// Stops the sending, or goes on with it. Who stops what is stopped changes nothing.
    pub(super) fn set(&self, paused: bool, now_unix_s: u64) {
        let before = self.since_unix_s.load(Relaxed);
        let since = match (paused, before) {
            (false, _) => 0,
            (true, 0) => now_unix_s.max(1),
            (true, before) => before,
        };
        self.since_unix_s.store(since, Relaxed);
    }

    /// Takes up what an earlier run was told.
    pub(crate) fn recall(folder: Option<&StateFolder>) -> Self {
        let kept = folder.map(|folder| folder.read(PAUSED, FILE_BYTES_MAX));
        let since = match kept {
            Some(Ok(Some(bytes))) => str::from_utf8(&bytes)
                .ok()
                .and_then(|text| text.trim().parse().ok()),
            Some(Ok(None)) | None => None,
            Some(Err(error)) => {
                tracing::warn!(%error, "whether the spool was paused cannot be read");
                None
            }
        };
        Self {
            since_unix_s: AtomicU64::new(since.unwrap_or(0)),
        }
    }

    /// Writes down what the next run is to know. False: it will not.
    pub(crate) fn keep(&self, folder: Option<&StateFolder>) -> bool {
        let Some(folder) = folder else {
            return false;
        };
        let since = self.since_unix_s.load(Relaxed);
        let written = folder.write(PAUSED, format!("{since}\n").as_bytes());
        if let Err(error) = &written {
            tracing::warn!(%error, "a restart will not know whether the spool is paused");
        }
        written.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_counts_from_its_first_word() {
        let pause = Pause::default();
        assert!(!pause.is_on());
        pause.set(true, 100);
        pause.set(true, 200);
        assert_eq!(pause.since_unix_s(), Some(100));
        pause.set(false, 300);
        assert_eq!((pause.is_on(), pause.since_unix_s()), (false, None));
        pause.set(true, 400);
        assert_eq!(pause.since_unix_s(), Some(400));
    }

    #[test]
    fn a_restart_knows_of_it_until_somebody_ends_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path()).unwrap();
        let pause = Pause::recall(Some(&folder));
        assert!(!pause.is_on());
        pause.set(true, 100);
        assert!(pause.keep(Some(&folder)));
        assert_eq!(Pause::recall(Some(&folder)).since_unix_s(), Some(100));
        pause.set(false, 200);
        assert!(pause.keep(Some(&folder)));
        assert!(!Pause::recall(Some(&folder)).is_on());
        folder.write(PAUSED, b"yes").unwrap();
        assert!(!Pause::recall(Some(&folder)).is_on());
    }

    #[test]
    fn without_a_folder_it_is_forgotten_and_that_is_known() {
        let pause = Pause::recall(None);
        pause.set(true, 100);
        assert!(!pause.keep(None));
    }
}
