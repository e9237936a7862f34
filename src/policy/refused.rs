//! Whom the upstream refuses. Owns the streaks of refusals and the verdicts that
//! come of them; never hears of acceptances other than as "forget this one".
//!
//! A verdict applies to everybody, named and proven pairs too: a key switched off
//! in Sentry stays in a configuration file for a long time. It can afford to,
//! since it is about one origin, one request a minute still gets through to ask
//! again, and one acceptance erases it. The table is small and mostly empty; while
//! it is empty a request pays one read for it. When it is full, further refusals
//! are not remembered: the upstream answers them, as it would without an edge.

use super::millis::Millis;
use super::pair::{OriginKey, Pair, Sender};
use super::table::{Fate, Table};

/// Three refusals within this time are a verdict.
const STREAK_MS: u64 = 60_000;

/// How long a verdict stands before somebody may ask again.
const REFUSED_MS: u64 = 60_000;

/// How long that one request has to come back with an answer before the next may ask: above what an
/// upstream needs, below what a sender notices.
const PROBE_MS: u64 = 10_000;

/// A verdict that nothing has confirmed for so long is forgotten: when the upstream is away, the
/// probes bring no answer either way, and a key that may be good again should be kept for later.
const FORGOTTEN_MS: u64 = 2 * REFUSED_MS;

/// What a refusal is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Claim {
    pair: Pair,
    origin: Option<OriginKey>,
}

impl Claim {
    fn of(sender: &Sender) -> Self {
        Self {
            pair: sender.pair,
            origin: sender.origin,
        }
    }
}

/// Refusals in a row. The latest two are enough to judge the third.
struct Streak {
    before: Option<Millis>,
    last: Millis,
    /// Set once it is a verdict: until when nobody passes.
    until: Option<Millis>,
}

impl Streak {
    fn begin(now: Millis) -> Self {
        Self {
            before: None,
            last: now,
            until: None,
        }
    }

    fn refused(&mut self, now: Millis) {
        let third = self
            .before
            .is_some_and(|before| now.since(before) < STREAK_MS);
        if third || self.until.is_some() {
            self.until = Some(now.plus(REFUSED_MS));
        }
        self.before = Some(self.last);
        self.last = self.last.max(now);
    }

    /// Whether it says nothing any more, swept or not.
    fn is_over(&self, now: Millis) -> bool {
        let after_ms = match self.until {
            None => STREAK_MS,
            Some(_) => FORGOTTEN_MS,
        };
        now.since(self.last) >= after_ms
    }

    fn fate(&self, now: Millis) -> Fate {
        match self.is_over(now) {
            true => Fate::Expired,
            false => Fate::Keep,
        }
    }
}

pub(super) struct Refusals {
    streaks: Table<Claim, Streak>,
}

impl Refusals {
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            streaks: Table::new(entries_max),
        }
    }

    /// Whether nobody at all has been refused of late.
    pub(super) fn is_quiet(&self) -> bool {
        self.streaks.is_empty()
    }

    /// Until when this sender is refused, if it is. Changes nothing.
    pub(super) fn until(&self, now: Millis, sender: &Sender) -> Option<Millis> {
        let until = |streak: &Streak| streak.until.filter(|_| !streak.is_over(now));
        self.streaks
            .look(&Claim::of(sender), until)
            .flatten()
            .filter(|until| now < *until)
    }

    /// Whether this sender is refused now. Once a verdict has stood its time, the first who asks is
    /// let through as the probe, and the others wait for what it learns.
    pub(super) fn refuses(&self, now: Millis, sender: &Sender) -> bool {
        let claim = Claim::of(sender);
        let stands = |streak: &Streak| streak.until.is_some() && !streak.is_over(now);
        if !self.streaks.look(&claim, stands).unwrap_or(false) {
            return false;
        }
        self.streaks.at(claim, |mut slot| {
            let Some(until) = slot.value().and_then(|streak| streak.until.as_mut()) else {
                return false;
            };
            let refused = now < *until;
            if !refused {
                *until = now.plus(PROBE_MS);
            }
            refused
        })
    }

    pub(super) fn record(&self, now: Millis, sender: &Sender) {
        let placed = self
            .streaks
            .at(Claim::of(sender), |mut slot| match slot.value() {
                Some(streak) if !streak.is_over(now) => {
                    streak.refused(now);
                    true
                }
                _ => slot.put(Streak::begin(now)),
            });
        if !placed {
            self.streaks.sweep_if_due(now, |streak| streak.fate(now));
        }
    }

    /// An acceptance: the streak is broken, the verdict gone.
    pub(super) fn erase(&self, sender: &Sender) {
        self.streaks.remove(&Claim::of(sender));
    }

    pub(super) fn sweep(&self, now: Millis, shards: usize) {
        self.streaks.sweep(shards, |streak| streak.fate(now));
    }

    pub(super) fn size(&self) -> (usize, u64) {
        (self.streaks.len(), self.streaks.evictions())
    }
}
