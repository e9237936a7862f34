//! Whether Sentry is being worked on: then nobody asks it, and every event is kept
//! until that is over. Owns until when; kept over a restart by whoever has a folder.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::server::memory::state::StateFolder;

/// The file's name.
const MAINTENANCE: &str = "maintenance";

/// A number and a line end.
const FILE_BYTES_MAX: u64 = 64;

/// Shared by all threads. Workers read one flag.
#[derive(Debug, Default)]
pub(crate) struct Maintenance {
    on: AtomicBool,
    /// In seconds of Unix time; 0: it is not on.
    until_unix_s: AtomicU64,
}

impl Maintenance {
    /// Whether it is on, as of the last look at the clock.
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Until when it is on.
    pub(crate) fn until_unix_s(&self) -> Option<u64> {
        Some(self.until_unix_s.load(Ordering::Relaxed)).filter(|until| *until > 0)
    }

    /// Switches it on until then; `None`: off.
    pub(crate) fn set(&self, until_unix_s: Option<u64>, now_unix_s: u64) {
        let until = until_unix_s.unwrap_or(0);
        self.until_unix_s.store(until, Ordering::Relaxed);
        self.look(now_unix_s);
    }

    /// Looks at the clock. `true`: it has just ended by itself.
    pub(crate) fn look(&self, now_unix_s: u64) -> bool {
        let until = self.until_unix_s.load(Ordering::Relaxed);
        let on = until > now_unix_s;
        self.on.store(on, Ordering::Relaxed);
        let ended = until > 0 && !on;
        if ended {
            self.until_unix_s.store(0, Ordering::Relaxed);
        }
        ended
    }

    /// Takes up what an earlier run was told.
    pub(crate) fn recall(folder: Option<&StateFolder>, now_unix_s: u64) -> Self {
        let kept = folder.map(|folder| folder.read(MAINTENANCE, FILE_BYTES_MAX));
        let until = match kept {
            Some(Ok(Some(bytes))) => str::from_utf8(&bytes)
                .ok()
                .and_then(|text| text.trim().parse().ok()),
            Some(Ok(None)) | None => None,
            Some(Err(error)) => {
                tracing::warn!(%error, "whether maintenance was on cannot be read");
                None
            }
        };
        let own = Self::default();
        own.set(until, now_unix_s);
        own
    }

    /// Writes down what the next run is to know.
    pub(crate) fn keep(&self, folder: Option<&StateFolder>) {
        let Some(folder) = folder else {
            return;
        };
        let until = self.until_unix_s.load(Ordering::Relaxed);
        let written = folder.write(MAINTENANCE, format!("{until}\n").as_bytes());
        if let Err(error) = written {
            tracing::warn!(%error, "a restart will not know of the maintenance");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_by_itself_and_not_a_second_before() {
        let maintenance = Maintenance::default();
        assert!(!maintenance.is_on() && !maintenance.look(0));
        maintenance.set(Some(100), 40);
        assert!(maintenance.is_on());
        assert_eq!(maintenance.until_unix_s(), Some(100));
        assert!(!maintenance.look(99) && maintenance.is_on());
        assert!(maintenance.look(100), "it has ended");
        assert!(!maintenance.is_on() && maintenance.until_unix_s().is_none());
        assert!(!maintenance.look(101), "told once");
    }

    #[test]
    fn a_restart_knows_of_it_as_long_as_it_lasts() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path()).unwrap();
        let maintenance = Maintenance::recall(Some(&folder), 40);
        assert!(!maintenance.is_on());
        maintenance.set(Some(100), 40);
        maintenance.keep(Some(&folder));
        assert!(Maintenance::recall(Some(&folder), 99).is_on());
        assert!(!Maintenance::recall(Some(&folder), 100).is_on());
        maintenance.set(None, 50);
        maintenance.keep(Some(&folder));
        assert!(!Maintenance::recall(Some(&folder), 60).is_on());
        folder.write(MAINTENANCE, b"soon").unwrap();
        assert!(!Maintenance::recall(Some(&folder), 60).is_on());
    }
}
