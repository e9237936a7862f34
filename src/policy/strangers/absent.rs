//! The keys that Sentry has been asked for and takes nothing under, as it knows none such or has
//! switched them off: refused here for a while, without asking again. Owns how long each stands
//! and how many there may be. When the table is full a key is not remembered: it stays a
//! stranger's.

use std::fmt;

use crate::domain::credentials::Key;

use crate::policy::millis::Millis;
use crate::policy::table::{Fate, Table};
use crate::policy::verdicts::TableSize;

/// How many shards one sweep visits.
const SWEEP_SHARDS: usize = 32;

/// Why nothing is taken under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// There is no such key.
    Unknown,
    /// It is switched off.
    Disabled,
}

/// What is known of a key that is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Met {
    /// Why it is refused.
    pub lack: Lack,
    /// It soon will not be: whoever still uses it is to be asked for before.
    pub ends_soon: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    lack: Lack,
    until: Millis,
    /// A third of its time before that.
    renews: Millis,
}

/// All such keys.
pub struct Absent {
    keys: Table<[u8; 16], Entry>,
}

impl fmt::Debug for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table().fmt(f)
    }
}

impl Absent {
    /// None yet.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        Self {
            keys: Table::new(keys_max),
        }
    }

    /// Sentry takes nothing under a key: so it stands for so long from now.
    pub fn note(&self, now: Millis, key: &Key, lack: Lack, for_ms: u64) {
        let entry = Entry {
            lack,
            until: now.plus(for_ms),
            renews: now.plus(for_ms - for_ms / 3),
        };
        self.keys.at(key.packed(), |mut slot| match slot.value() {
            Some(stands) => *stands = entry,
            None => {
                slot.put(entry);
            }
        });
        if self.keys.is_full() {
            self.keys.sweep_if_due(now, |entry| entry.fate(now));
        }
    }

    /// Sentry knows it after all.
    pub fn forget(&self, key: &Key) {
        self.keys.remove(&key.packed());
    }

    /// Why a key is refused. One read while none is noted.
    #[must_use]
    pub fn meets(&self, now: Millis, key: &Key) -> Option<Met> {
        let entry = self.keys.look(&key.packed(), |entry| *entry)?;
        (now < entry.until).then_some(Met {
            lack: entry.lack,
            ends_soon: now >= entry.renews,
        })
    }

    /// Clears a slice of what is over: for the control thread, about once a second.
    pub fn sweep(&self, now: Millis) {
        self.keys.sweep(SWEEP_SHARDS, |entry| entry.fate(now));
    }

    /// The table's size, for metrics.
    #[must_use]
    pub fn table(&self) -> TableSize {
        TableSize {
            name: "keys_absent",
            entries: self.keys.len(),
            evictions: self.keys.evictions(),
        }
    }
}

impl Entry {
    fn fate(&self, now: Millis) -> Fate {
        match now >= self.until {
            true => Fate::Expired,
            false => Fate::Keep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Key {
        Key::parse(format!("{number:032x}").as_bytes()).unwrap()
    }

    /// What is said of key 1, noted at 1 s for 60 s.
    #[track_caller]
    fn check(at_ms: u64, want: Option<(Lack, bool)>) {
        let absent = Absent::new(10);
        absent.note(Millis(1000), &key(1), Lack::Disabled, 60_000);
        let met = absent.meets(Millis(at_ms), &key(1));
        assert_eq!(met.map(|met| (met.lack, met.ends_soon)), want, "{at_ms}");
        assert_eq!(absent.meets(Millis(at_ms), &key(2)), None);
    }

    #[test]
    fn a_key_is_refused_for_its_time_and_near_its_end_to_be_asked_for() {
        check(1000, Some((Lack::Disabled, false)));
        check(40_999, Some((Lack::Disabled, false)));
        check(41_000, Some((Lack::Disabled, true)));
        check(60_999, Some((Lack::Disabled, true)));
        check(61_000, None);
    }

    #[test]
    fn a_later_word_counts() {
        let absent = Absent::new(10);
        let meets = |at| absent.meets(Millis(at), &key(1)).map(|met| met.lack);
        absent.note(Millis(0), &key(1), Lack::Unknown, 1000);
        absent.note(Millis(500), &key(1), Lack::Disabled, 1000);
        assert_eq!(meets(1499), Some(Lack::Disabled));
        absent.forget(&key(1));
        assert_eq!(meets(1000), None);
    }

    #[test]
    fn a_full_table_remembers_no_more_until_some_are_over() {
        let absent = Absent::new(2);
        let note = |at, number| absent.note(Millis(at), &key(number), Lack::Unknown, 1000);
        for number in 1..=3 {
            note(0, number);
        }
        assert_eq!(absent.table().entries, 2);
        assert_eq!(absent.meets(Millis(0), &key(3)), None);
        for _ in 0..100 {
            absent.sweep(Millis(1000));
        }
        assert_eq!(absent.table().entries, 0);
        note(1000, 3);
        assert!(absent.meets(Millis(1000), &key(3)).is_some());
    }
}
