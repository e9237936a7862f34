//! Limits that the upstream's answers taught: what it refuses for now need not be
//! sent. Owns how long each stands and how many there may be; never reads a header.
//!
//! They belong to a key and its path's project, so a limit that somebody earns with
//! a wrong project hurts nobody else. When the table is full a limit is not
//! remembered: the upstream goes on refusing by itself.

use crate::domain::category::Categories;
use crate::domain::rate_limits::Scope;

use super::millis::Millis;
use super::pair::Pair;
use super::table::{Fate, Table};
use super::verdicts::TableSize;

/// The limits that one pair can have at once: Sentry has some ten categories that it limits. Beyond
/// them the one that is over soonest makes room.
const LIMITS_MAX: usize = 16;

/// How many shards one sweep visits.
const SWEEP_SHARDS: usize = 32;

/// Longer reasons are cut off: they are codes, and repeated to clients.
const REASON_BYTES_MAX: usize = 64;

/// A limit, as an answer states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedLimit {
    /// What is refused; empty: everything.
    pub categories: Categories,
    /// For whom.
    pub scope: Scope,
    /// The upstream's reason code.
    pub reason: Option<Box<str>>,
    /// For how long from now. The caller caps it.
    pub for_ms: u64,
}

/// A limit that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// What is refused; empty: everything.
    pub categories: Categories,
    /// For whom.
    pub scope: Scope,
    /// The upstream's reason code.
    pub reason: Option<Box<str>>,
    /// How long it still stands: at least 1.
    pub left_ms: u64,
}

/// All that is held back at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// How many keys, each under its path's project, have a limit that stands.
    pub pairs: usize,
    /// How long the longest of them still stands.
    pub longest_ms: u64,
}

#[derive(Debug)]
struct Standing {
    categories: Categories,
    scope: Scope,
    reason: Option<Box<str>>,
    until: Millis,
}

impl Standing {
    fn is_over(&self, now: Millis) -> bool {
        now >= self.until
    }

    fn covered(&self, now: Millis) -> Covered {
        Covered {
            categories: self.categories,
            scope: self.scope,
            reason: self.reason.clone(),
            left_ms: self.until.since(now),
        }
    }
}

/// All that was learned. Shared by all workers; survives a reload.
pub struct Learned {
    pairs: Table<Pair, Vec<Standing>>,
}

impl std::fmt::Debug for Learned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.table().fmt(f)
    }
}

impl Learned {
    /// Nothing learned yet.
    #[must_use]
    pub fn new(pairs_max: usize) -> Self {
        Self {
            pairs: Table::new(pairs_max),
        }
    }

    /// Remembers a limit. Of two for the same categories and scope the longer stands.
    pub fn learn(&self, now: Millis, pair: Pair, limit: LearnedLimit) {
        if limit.for_ms == 0 {
            return;
        }
        let standing = Standing {
            categories: limit.categories,
            scope: limit.scope,
            reason: limit.reason.map(|reason| shortened(&reason)),
            until: now.plus(limit.for_ms),
        };
        self.pairs.at(pair, |mut slot| match slot.value() {
            Some(limits) => add(limits, standing, now),
            None => {
                slot.put(vec![standing]);
            }
        });
        if self.pairs.is_full() {
            self.pairs.sweep_if_due(now, |limits| fate(limits, now));
        }
    }

    /// Whether anything was told of this pair.
    #[must_use]
    pub fn knows(&self, pair: &Pair) -> bool {
        self.pairs.look(pair, |_| ()).is_some()
    }

    /// The limit that an item of these categories falls under, if any: of several the one that stands
    /// longest. One read while nothing is learned.
    #[must_use]
    pub fn covers(&self, now: Millis, pair: &Pair, categories: Categories) -> Option<Covered> {
        self.longest(now, pair, |limit| {
            limit.categories.is_empty() || limit.categories.meets(categories)
        })
    }

    /// The limit on everything, if there is one.
    #[must_use]
    pub fn covers_all(&self, now: Millis, pair: &Pair) -> Option<Covered> {
        self.longest(now, pair, |limit| limit.categories.is_empty())
    }

    fn longest(
        &self,
        now: Millis,
        pair: &Pair,
        covers: impl Fn(&Standing) -> bool,
    ) -> Option<Covered> {
        let longest = self.pairs.look(pair, |limits| {
            let standing = limits.iter().filter(|limit| !limit.is_over(now));
            let longest = standing
                .filter(|limit| covers(limit))
                .max_by_key(|limit| limit.until);
            longest.map(|limit| limit.covered(now))
        });
        longest.flatten()
    }

    /// What is held back now. Walks all pairs: for the control thread.
    #[must_use]
    pub fn held(&self, now: Millis) -> Held {
        let mut held = Held::default();
        self.pairs.each(|_, limits| {
            let left = limits.iter().map(|limit| limit.until.since(now)).max();
            let left_ms = left.unwrap_or(0);
            held.pairs += usize::from(left_ms > 0);
            held.longest_ms = held.longest_ms.max(left_ms);
        });
        held
    }

    /// Clears a slice of what is over: for the control thread, about once a second.
    pub fn sweep(&self, now: Millis) {
        self.pairs.sweep(SWEEP_SHARDS, |limits| fate(limits, now));
    }

    /// The table's size, for metrics.
    #[must_use]
    pub fn table(&self) -> TableSize {
        TableSize {
            name: "limits_learned",
            entries: self.pairs.len(),
            evictions: self.pairs.evictions(),
        }
    }
}

fn add(limits: &mut Vec<Standing>, standing: Standing, now: Millis) {
    limits.retain(|limit| !limit.is_over(now));
    let same = |limit: &&mut Standing| {
        limit.categories == standing.categories && limit.scope == standing.scope
    };
    if let Some(limit) = limits.iter_mut().find(same) {
        if standing.until > limit.until {
            *limit = standing;
        }
        return;
    }
    if limits.len() < LIMITS_MAX {
        limits.push(standing);
        return;
    }
    let soonest = limits.iter_mut().min_by_key(|limit| limit.until);
    if let Some(limit) = soonest.filter(|limit| limit.until < standing.until) {
        *limit = standing;
    }
}

fn shortened(reason: &str) -> Box<str> {
    let end = reason.floor_char_boundary(REASON_BYTES_MAX);
    reason.get(..end).unwrap_or_default().into()
}

fn fate(limits: &[Standing], now: Millis) -> Fate {
    match limits.iter().all(|limit| limit.is_over(now)) {
        true => Fate::Expired,
        false => Fate::Keep,
    }
}

#[cfg(test)]
mod tests;
