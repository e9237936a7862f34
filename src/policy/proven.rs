//! Pairs that the upstream has accepted for long enough to be trusted with being
//! real. Owns the table of them and each worker's own copy of what it has met;
//! never decides what proves a pair.

use std::collections::HashMap;

use foldhash::quality::RandomState;

use super::homes::{AcceptedAt, Homes};
use super::millis::Millis;
use super::pair::Pair;
use super::table::{Fate, Table};
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

const DAY_S: u64 = 86_400;

/// A pair that was not accepted for so long has to prove itself again.
pub const FORGOTTEN_S: u64 = 30 * DAY_S;

/// While the table is full, these make room: who sends daily keeps a place, who came once does not.
const IDLE_S_WHEN_FULL: u64 = DAY_S;

/// How often a worker writes down that a proven pair is still accepted. The table asks for days.
const TOUCH_EVERY_MS: u64 = 3_600_000;

/// How many proven pairs a worker remembers by itself unless told otherwise: about 1.5 MB.
pub const HERE_MAX: usize = 32_768;

/// A proven pair as it is kept across a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenPair {
    /// The key.
    pub key: Key,
    /// The path's project; `None` for `/api/store/`.
    pub project: Option<ProjectId>,
    /// When the upstream last accepted it, in seconds of Unix time; up to an hour old.
    pub last_accepted_unix_s: u64,
}

/// The proven pairs that one worker has met, so that it need not ask the table that all share.
/// Emptied when it is full: an entry costs one look-up to win back.
#[derive(Debug)]
pub struct ProvenHere {
    /// When to tell the table of the next acceptance.
    due: HashMap<Pair, Millis, RandomState>,
    entries_max: usize,
}

impl Default for ProvenHere {
    fn default() -> Self {
        Self::new(HERE_MAX)
    }
}

impl ProvenHere {
    /// Remembers at most so many.
    #[must_use]
    pub fn new(entries_max: usize) -> Self {
        Self {
            due: HashMap::with_hasher(RandomState::default()),
            entries_max,
        }
    }

    pub(super) fn has(&self, pair: &Pair) -> bool {
        self.due.contains_key(pair)
    }

    /// Whether the pair is proven and the table has heard of it lately enough.
    pub(super) fn is_fresh(&self, now: Millis, pair: &Pair) -> bool {
        self.due.get(pair).is_some_and(|due| now < *due)
    }

    /// Remembers a pair whose acceptance the table has just heard of.
    pub(super) fn touched(&mut self, now: Millis, pair: Pair) {
        self.note(pair, now.plus(TOUCH_EVERY_MS));
    }

    /// Remembers a pair that the table had, and has yet to hear of again.
    pub(super) fn met(&mut self, pair: Pair) {
        self.note(pair, Millis(0));
    }

    fn note(&mut self, pair: Pair, due: Millis) {
        if self.due.len() >= self.entries_max {
            self.due.clear();
        }
        if self.entries_max > 0 {
            self.due.insert(pair, due);
        }
    }
}

fn seconds(now: Millis) -> i64 {
    i64::try_from(now.seconds()).unwrap_or(i64::MAX)
}

fn idle_s(now: Millis, accepted_at: AcceptedAt) -> u64 {
    u64::try_from(seconds(now).saturating_sub(accepted_at)).unwrap_or(0)
}

pub(super) struct Proven {
    pairs: Table<Pair, AcceptedAt>,
    homes: Homes,
}

impl Proven {
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            pairs: Table::new(entries_max),
            homes: Homes::new(entries_max),
        }
    }

    /// Where proven keys belong.
    pub(super) fn homes(&self) -> &Homes {
        &self.homes
    }

    pub(super) fn has(&self, pair: &Pair) -> bool {
        self.pairs.look(pair, |_| ()).is_some()
    }

    /// How many seconds ago a proven pair was last accepted, as far as was written down.
    pub(super) fn idle_s(&self, now: Millis, pair: &Pair) -> Option<u64> {
        self.pairs
            .look(pair, |accepted_at| idle_s(now, *accepted_at))
    }

    /// Writes down that a proven pair was accepted. `false`: it is not proven.
    pub(super) fn touch(&self, now: Millis, pair: Pair) -> bool {
        let touched = self.pairs.at(pair, |mut slot| match slot.value() {
            Some(accepted_at) => {
                *accepted_at = seconds(now).max(*accepted_at);
                true
            }
            None => false,
        });
        if touched {
            self.homes.note(&pair, seconds(now));
        }
        touched
    }

    /// Takes a pair in as proven. `false`: there is no room for it.
    pub(super) fn insert(&self, now: Millis, pair: Pair) -> bool {
        let placed = self.pairs.at(pair, |slot| slot.put(seconds(now)));
        if placed {
            self.homes.note(&pair, seconds(now));
        } else {
            let full = self.pairs.is_full();
            self.pairs.sweep_if_due(now, |at| fate(now, *at, full));
        }
        placed
    }

    pub(super) fn sweep(&self, now: Millis, shards: usize) {
        let full = self.pairs.is_full();
        self.pairs.sweep(shards, |at| fate(now, *at, full));
        self.homes.sweep(now, shards, |now, at| fate(now, at, full));
    }

    /// Every pair, in no order. Locks one shard at a time, so it is no picture of one moment; for
    /// the control thread, since it copies the table.
    pub(super) fn saved(&self, now: Millis, now_unix_s: u64) -> Vec<ProvenPair> {
        let mut saved = Vec::with_capacity(self.pairs.len());
        self.pairs.each(|pair, accepted_at| {
            saved.push(ProvenPair {
                key: pair.key(),
                project: pair.project(),
                last_accepted_unix_s: now_unix_s.saturating_sub(idle_s(now, *accepted_at)),
            });
        });
        saved
    }

    /// Takes back what was saved, as far as there is room and its time is not over. A time ahead of
    /// the clock counts as now.
    pub(super) fn restore(&self, pairs: &[ProvenPair], now: Millis, now_unix_s: u64) {
        for saved in pairs {
            let idle_s = now_unix_s.saturating_sub(saved.last_accepted_unix_s);
            if idle_s >= FORGOTTEN_S {
                continue;
            }
            let accepted_at = seconds(now).saturating_sub_unsigned(idle_s);
            let pair = Pair::new(&saved.key, saved.project);
            self.homes.note(&pair, accepted_at);
            self.pairs.at(pair, |mut slot| match slot.value() {
                Some(known) => *known = accepted_at.max(*known),
                None => {
                    slot.put(accepted_at);
                }
            });
        }
    }

    pub(super) fn size(&self) -> (usize, u64) {
        (self.pairs.len(), self.pairs.evictions())
    }
}

fn fate(now: Millis, accepted_at: AcceptedAt, full: bool) -> Fate {
    match idle_s(now, accepted_at) {
        FORGOTTEN_S.. => Fate::Expired,
        IDLE_S_WHEN_FULL.. if full => Fate::Evicted,
        _ => Fate::Keep,
    }
}
