//! The same error of the same client, over and over: the first of each window pass, then samples.
//! Owns the counts; never reads a payload, and never tells a client, whose other errors would
//! wait too.

use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use foldhash::quality::RandomState;

use crate::domain::endpoint::ProjectId;
use crate::domain::event::Event;
use crate::domain::repeat::{self, Repeat};

use super::millis::Millis;
use super::table::{Fate, Table};
use super::verdicts::TableSize;

/// How many shards are cleared at a time: all of a table's in some minutes.
const SWEEP_SHARDS: usize = 4;

/// All that repeats. Shared by all workers; survives a reload.
pub struct Repeats {
    errors: Table<u64, Window>,
    hasher: RandomState,
}

/// What came of one error of one client since its window began.
#[derive(Debug, Clone, Copy)]
struct Window {
    ends: Millis,
    seen: u64,
}

impl std::fmt::Debug for Repeats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.table().fmt(f)
    }
}

/// Whose error it is.
#[derive(Debug, Clone, Copy)]
pub struct Whose {
    /// The project it is sent to.
    pub project: Option<ProjectId>,
    /// The client's address; of IPv6 the /64 counts.
    pub ip: IpAddr,
}

impl Repeats {
    /// Nothing seen yet. Of more errors at a time than so many, those that are new pass uncounted.
    #[must_use]
    pub fn new(errors_max: usize) -> Self {
        Self {
            errors: Table::new(errors_max),
            hasher: RandomState::default(),
        }
    }

    /// Counts an error, and says whether it passes. One that says nothing of itself does.
    #[must_use]
    pub fn passes(&self, now: Millis, rule: &Repeat, whose: Whose, event: &Event<'_>) -> bool {
        let Some(key) = self.key(whose, event) else {
            return true;
        };
        let nth = self.errors.at(key, |mut slot| match slot.value() {
            Some(window) if now < window.ends => {
                window.seen = window.seen.saturating_add(1);
                window.seen
            }
            Some(_) | None => {
                let ends = now.plus(millis(rule.per));
                slot.put(Window { ends, seen: 1 });
                1
            }
        });
        if self.errors.is_full() {
            self.errors.sweep_if_due(now, |window| fate(window, now));
        }
        rule.passes(nth)
    }

    /// Takes back the count of an error that passed and went nowhere after all: the next is what
    /// that was.
    pub fn takes_back(&self, now: Millis, whose: Whose, event: &Event<'_>) {
        let Some(key) = self.key(whose, event) else {
            return;
        };
        self.errors.at(key, |mut slot| match slot.value() {
            Some(window) if now < window.ends => window.seen = window.seen.saturating_sub(1),
            Some(_) | None => {}
        });
    }

    /// The same as [`passes`](Self::passes), and nothing is counted.
    #[must_use]
    pub fn would_pass(&self, now: Millis, rule: &Repeat, whose: Whose, event: &Event<'_>) -> bool {
        let Some(key) = self.key(whose, event) else {
            return true;
        };
        let seen = self.errors.look(&key, |window| match now < window.ends {
            true => window.seen,
            false => 0,
        });
        rule.passes(seen.unwrap_or(0).saturating_add(1))
    }

    /// Clears a slice of what is over: for the control thread, about once a second.
    pub fn sweep(&self, now: Millis) {
        self.errors.sweep(SWEEP_SHARDS, |window| fate(window, now));
    }

    /// The table's size, for metrics.
    #[must_use]
    pub fn table(&self) -> TableSize {
        TableSize {
            name: "repeats",
            entries: self.errors.len(),
            evictions: self.errors.evictions(),
        }
    }

    fn key(&self, whose: Whose, event: &Event<'_>) -> Option<u64> {
        let mut hasher = self.hasher.build_hasher();
        whose.project.hash(&mut hasher);
        match whose.ip.to_canonical() {
            IpAddr::V4(v4) => v4.hash(&mut hasher),
            // Whoever has one address of a /64 has them all.
            IpAddr::V6(v6) => (v6.to_bits() >> 64).hash(&mut hasher),
        }
        repeat::feed(event, &mut hasher)?;
        Some(hasher.finish())
    }
}

fn fate(window: &Window, now: Millis) -> Fate {
    match now < window.ends {
        true => Fate::Keep,
        false => Fate::Expired,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Repeat = Repeat {
        first: 2,
        then: 3,
        per: Duration::from_secs(1),
    };

    fn whose(project: &str, ip: &str) -> Whose {
        Whose {
            project: ProjectId::parse(project.as_bytes()),
            ip: ip.parse().unwrap(),
        }
    }

    fn event(message: &str) -> String {
        format!(r#"{{"message":"{message}"}}"#)
    }

    fn ask(repeats: &Repeats, now_ms: u64, whose: Whose, message: &str) -> bool {
        let event = event(message);
        let event = Event::read(event.as_bytes()).unwrap();
        let would = repeats.would_pass(Millis(now_ms), &RULE, whose, &event);
        let passes = repeats.passes(Millis(now_ms), &RULE, whose, &event);
        assert_eq!(would, passes, "a look says what a count does");
        passes
    }

    #[test]
    fn a_loop_leaves_its_first_and_samples_and_begins_anew_with_each_window() {
        let repeats = Repeats::new(100);
        let here = whose("42", "203.0.113.9");
        let passed = |from_ms: u64| {
            let asked = (0..9).map(|nth| ask(&repeats, from_ms + nth, here, "loop"));
            asked.collect::<Vec<bool>>()
        };
        let want = [true, true, false, false, true, false, false, true, false];
        assert_eq!(passed(1000), want);
        assert!(
            !ask(&repeats, 1999, here, "loop"),
            "the window's last moment"
        );
        assert_eq!(passed(2000), want);
    }

    #[test]
    fn others_are_untouched() {
        let repeats = Repeats::new(100);
        let looping = whose("42", "203.0.113.9");
        for _ in 0..3 {
            let _ = ask(&repeats, 1, looping, "loop 1");
        }
        assert!(!ask(&repeats, 1, looping, "loop 2"));
        assert!(ask(&repeats, 1, looping, "another"));
        assert!(ask(&repeats, 1, whose("42", "203.0.113.10"), "loop"));
        assert!(ask(&repeats, 1, whose("43", "203.0.113.9"), "loop"));
        let of_v6 = |ip| whose("42", ip);
        for ip in ["2001:db8::1", "2001:db8::2"] {
            assert!(ask(&repeats, 1, of_v6(ip), "loop"));
        }
        assert!(!ask(&repeats, 1, of_v6("2001:db8::3"), "loop"), "one /64");
        assert!(ask(&repeats, 1, of_v6("2001:db8:0:1::3"), "loop"));
    }

    #[test]
    fn a_full_table_lets_what_is_new_pass_and_keeps_whom_it_counts() {
        let repeats = Repeats::new(1);
        let here = whose("42", "203.0.113.9");
        for nth in 0..2 {
            assert!(ask(&repeats, nth, here, "loop"));
        }
        for _ in 0..9 {
            assert!(ask(&repeats, 10, here, "new"), "nobody counts it");
        }
        assert!(!ask(&repeats, 10, here, "loop"));
        assert_eq!(repeats.table().entries, 1);
        repeats.sweep(Millis(999));
        for _ in 0..9 {
            repeats.sweep(Millis(1000));
        }
        assert_eq!(repeats.table().entries, 0, "what is over leaves");
    }

    #[test]
    fn what_is_taken_back_was_never_seen() {
        let repeats = Repeats::new(100);
        let here = whose("42", "203.0.113.9");
        let text = event("loop");
        let event = Event::read(text.as_bytes()).unwrap();
        repeats.takes_back(Millis(0), here, &event);
        assert_eq!(repeats.table().entries, 0, "nobody counted it");
        for _ in 0..9 {
            assert!(ask(&repeats, 0, here, "loop"));
            repeats.takes_back(Millis(0), here, &event);
        }
        let passed = [0, 1, 2].map(|now_ms| ask(&repeats, now_ms, here, "loop"));
        assert_eq!(passed, [true, true, false]);
        repeats.takes_back(Millis(999), here, &event);
        repeats.takes_back(Millis(1000), here, &event);
        let passed = [999, 999].map(|now_ms| ask(&repeats, now_ms, here, "loop"));
        assert_eq!(
            passed,
            [false, false],
            "one was taken back before the window's end"
        );
        assert!(ask(&repeats, 1000, here, "loop"));
    }

    #[test]
    fn what_says_nothing_of_itself_passes() {
        let repeats = Repeats::new(100);
        let event = Event::read(b"{}").unwrap();
        for _ in 0..9 {
            assert!(repeats.passes(Millis(1), &RULE, whose("42", "203.0.113.9"), &event));
        }
        assert_eq!(repeats.table().entries, 0);
    }
}
