//! Keys that nobody has told of, on their way to whoever asks Sentry for them. Owns the bound on
//! how many wait, and that one key does not wait twice; never asks. Shared by all workers. While
//! nobody asks, noting a key is one read.
//!
//! What finds no room, or the lock taken, is not noted: the key's next request brings it again.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use foldhash::quality::RandomState;

use crate::domain::credentials::Key;

/// Keys that wait at once: a tenth of a second's, until they are taken.
const WAITING_MAX: usize = 4096;

/// Fingerprints of those noted of late: one read tells that a key was.
const MARKS: usize = 4096;

/// The keys that wait.
pub struct FirstSeen {
    is_on: AtomicBool,
    marks: Box<[AtomicU64]>,
    hasher: RandomState,
    waiting: Mutex<Vec<Key>>,
}

impl Default for FirstSeen {
    fn default() -> Self {
        Self {
            is_on: AtomicBool::new(false),
            marks: std::iter::repeat_with(AtomicU64::default)
                .take(MARKS)
                .collect(),
            hasher: RandomState::default(),
            waiting: Mutex::default(),
        }
    }
}

impl fmt::Debug for FirstSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstSeen")
            .field("is_on", &self.is_on)
            .finish_non_exhaustive()
    }
}

impl FirstSeen {
    /// From now on keys are noted, or none is.
    pub fn switch(&self, on: bool) {
        self.is_on.store(on, Relaxed);
        self.forget();
    }

    /// Notes a key, unless it was of late.
    pub fn note(&self, key: &Key) {
        if !self.is_on.load(Relaxed) {
            return;
        }
        // An empty place holds 0.
        let print = self.hasher.hash_one(key.packed()) | 1;
        let place = usize::try_from(print >> 32).unwrap_or_default() % MARKS;
        let Some(mark) = self.marks.get(place).filter(|it| it.load(Relaxed) != print) else {
            return;
        };
        // No worker waits for another here, nor for who takes them.
        let Ok(mut waiting) = self.waiting.try_lock() else {
            return;
        };
        if waiting.len() < WAITING_MAX {
            waiting.push(*key);
            mark.store(print, Relaxed);
        }
    }

    /// Takes those that wait: for the control thread.
    pub fn take(&self) -> Vec<Key> {
        match self.waiting.lock() {
            Ok(mut waiting) => std::mem::take(&mut *waiting),
            Err(poisoned) => std::mem::take(&mut *poisoned.into_inner()),
        }
    }

    /// Forgets which were noted: those that are seen again are noted again.
    pub fn forget(&self) {
        for mark in &self.marks {
            mark.store(0, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Key {
        Key::parse(format!("{number:032x}").as_bytes()).unwrap()
    }

    #[test]
    fn a_key_waits_once_until_it_is_forgotten() {
        let seen = FirstSeen::default();
        seen.note(&key(1));
        assert_eq!(seen.take(), [], "nobody asks");
        seen.switch(true);
        for _ in 0..3 {
            seen.note(&key(1));
            seen.note(&key(2));
        }
        assert_eq!(seen.take(), [key(1), key(2)]);
        seen.note(&key(1));
        assert_eq!(seen.take(), []);
        seen.forget();
        seen.note(&key(1));
        assert_eq!(seen.take(), [key(1)]);
        seen.switch(false);
        seen.note(&key(1));
        assert_eq!(seen.take(), []);
    }

    #[test]
    fn a_flood_of_keys_waits_up_to_its_bound() {
        let seen = FirstSeen::default();
        seen.switch(true);
        for number in 0..100_000 {
            seen.note(&key(number));
        }
        assert_eq!(seen.take().len(), WAITING_MAX);
        seen.note(&key(200_000));
        assert_eq!(seen.take(), [key(200_000)]);
    }
}
