//! What has been learned of those who send: who is refused, who is proven, who is
//! neither yet. Owns the order in which the three are asked and the rules by which
//! answers move a pair from one to another; never sees a request.
//!
//! This is live state: all workers share one, and it survives a reload. A named or
//! proven pair, while nobody is refused, touches nothing that another core writes.
//!
//! **What an attacker can do.** Whoever holds a good key can have it refused for a
//! wrong project or origin, which is then refused to himself: a verdict is about
//! key, project and origin together. Whoever makes keys up gets
//! [`candidates_max`](VerdictLimits::candidates_max) of them through in ten
//! minutes, and then shares one rate with everybody who has nothing to show; while
//! refusals dominate, all unproven keys share it. Named and proven ones never notice.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

use super::millis::Millis;
use super::pair::{Known, OriginKey, Pair, Sender};
use super::proven::{Proven, ProvenHere, ProvenPair};
use super::refused::Refusals;
use super::unproven::Unproven;

/// How many shards of each table one sweep visits: about a millisecond for a million pairs, and once
/// a second covers the largest table in half a minute.
const SWEEP_SHARDS: usize = 32;

/// The limits of what is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerdictLimits {
    /// Proven pairs. When there is no room, who comes later stays unproven.
    pub proven_max: usize,
    /// Unproven pairs: as many made-up keys reach the upstream in ten minutes.
    pub candidates_max: usize,
    /// Streaks of refusals. When there is no room, the upstream goes on refusing by itself.
    pub refused_max: usize,
    /// What unproven pairs share once they have to.
    pub unproven_per_second: u32,
}

/// How the upstream answered an ingest request, as far as it says something about its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 2xx.
    Accepted,
    /// 403 from ingest whose body is a JSON object with a `detail`.
    Refused,
    /// All else: 401 is about how the credentials were sent, a 403 of another form is somebody
    /// else's, and neither says anything about the key.
    Other,
}

/// Whether a request may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Pass,
    /// The upstream has refused this sender: reason `unknown_key`.
    Refused,
    /// Unproven keys are over the rate they share: reason `unproven_key`.
    OverUnprovenRate,
}

/// What is thought of a sender, for explanations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The configuration or Sentry names it.
    Named,
    /// The upstream has accepted it for long enough.
    Proven {
        /// How long ago it was last accepted, as far as was written down: up to an hour too much.
        accepted_s_ago: u64,
    },
    /// On its way.
    Candidate {
        /// How often the upstream accepted it.
        accepted: u32,
        /// How often it refused it.
        refused: u32,
    },
    /// Nothing is known of it.
    New,
    /// The upstream refuses it.
    Refused {
        /// When somebody may ask again.
        until: Millis,
    },
}

/// A table's state, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSize {
    /// Its name as a label.
    pub name: &'static str,
    /// How many entries it holds.
    pub entries: usize,
    /// How many lost, or were not given, their place because it was full.
    pub evictions: u64,
}

/// All that was learned. Shared by all workers; each brings its own [`ProvenHere`].
pub struct Verdicts {
    refusals: Refusals,
    proven: Proven,
    unproven: Unproven,
    /// The standard library's keyed hash: its outputs decide who is refused, so it must not be
    /// possible to search for two inputs that meet.
    origins: RandomState,
}

impl fmt::Debug for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tables()).finish()
    }
}

impl Verdicts {
    /// Nothing learned yet.
    #[must_use]
    pub fn new(limits: VerdictLimits) -> Self {
        Self {
            refusals: Refusals::new(limits.refused_max),
            proven: Proven::new(limits.proven_max),
            unproven: Unproven::new(limits.candidates_max, limits.unproven_per_second),
            origins: RandomState::new(),
        }
    }

    /// What stands for an effective origin here. Two spellings are two origins: normalise first.
    #[must_use]
    pub fn origin_key(&self, origin: &[u8]) -> OriginKey {
        OriginKey(self.origins.hash_one(origin))
    }

    /// Whether nobody has been refused of late: one read.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.refusals.is_quiet()
    }

    /// Judges a request before anything is charged for it.
    ///
    /// Passing may use up a probe or a share of the unproven rate, so ask once for each request. A
    /// learned refusal applies to named and proven senders too.
    #[must_use]
    pub fn admit(&self, now: Millis, sender: &Sender, here: &mut ProvenHere) -> Verdict {
        if !self.is_quiet() && self.refusals.refuses(now, sender) {
            return Verdict::Refused;
        }
        match self.vouches(sender, here) || self.unproven.admit(now, sender.pair) {
            true => Verdict::Pass,
            false => Verdict::OverUnprovenRate,
        }
    }

    /// Learns from an answer, for the sender that the request was admitted as.
    ///
    /// Nothing is learned towards proof for a named pair: it needs none, and its answers must not
    /// weigh in how unproven ones are treated.
    pub fn learn(&self, now: Millis, sender: &Sender, answer: Answer, here: &mut ProvenHere) {
        match answer {
            Answer::Accepted => {
                if !self.is_quiet() {
                    self.refusals.erase(sender);
                }
                if sender.known == Known::Unnamed {
                    self.accepted(now, sender, here);
                }
            }
            Answer::Refused => {
                self.refusals.record(now, sender);
                if sender.known == Known::Unnamed && !self.is_proven(&sender.pair, here) {
                    self.unproven.refused(now, sender.pair, sender.origin);
                }
            }
            Answer::Other => {}
        }
    }

    fn accepted(&self, now: Millis, sender: &Sender, here: &mut ProvenHere) {
        let pair = sender.pair;
        if here.is_fresh(now, &pair) {
            return;
        }
        let proven = self.proven.touch(now, pair)
            || (self.unproven.accepted(now, pair, sender.origin) && self.prove(now, pair));
        if proven {
            here.touched(now, pair);
        }
    }

    /// Moves a pair from the candidates to the proven. Without room there it stays where it is, and
    /// passes as one that was accepted.
    fn prove(&self, now: Millis, pair: Pair) -> bool {
        let placed = self.proven.insert(now, pair);
        if placed {
            self.unproven.leave(&pair);
        }
        placed
    }

    /// Whether a sender is known to be real: somebody names it, or the upstream has accepted it
    /// for long enough.
    #[must_use]
    pub fn vouches(&self, sender: &Sender, here: &mut ProvenHere) -> bool {
        sender.known == Known::Named || self.is_proven(&sender.pair, here)
    }

    /// Whether a sender that nobody vouches for is excused, for one item, from its share of a quota
    /// with all like it, which is used up: the upstream has accepted it, and would prove it by
    /// doing so again. Once a minute; to ask uses it up.
    ///
    /// Without it a share that is used up in its window's first minute would keep real keys from
    /// ever being proven: they are forgotten before the next begins. A made-up key pays for an
    /// excuse with an acceptance under the share, which the upstream's next word takes back.
    #[must_use]
    pub fn excuses(&self, now: Millis, sender: &Sender) -> bool {
        self.unproven.excuses(now, sender.pair)
    }

    /// Whether any key is proven, and whether one of this project is.
    #[must_use]
    pub fn proves(&self, project: Option<ProjectId>) -> (bool, bool) {
        let homes = self.proven.homes();
        let here = project.is_some_and(|project| homes.has(project));
        (!homes.is_empty(), here)
    }

    /// The project that a key is proven with.
    #[must_use]
    pub fn home(&self, key: &Key) -> Option<ProjectId> {
        self.proven.homes().of(key)
    }

    fn is_proven(&self, pair: &Pair, here: &mut ProvenHere) -> bool {
        if here.has(pair) {
            return true;
        }
        let proven = self.proven.has(pair);
        if proven {
            here.met(*pair);
        }
        proven
    }

    /// What is thought of a sender. Changes nothing.
    #[must_use]
    pub fn look(&self, now: Millis, sender: &Sender) -> Standing {
        if let Some(until) = self.refusals.until(now, sender) {
            return Standing::Refused { until };
        }
        if sender.known == Known::Named {
            return Standing::Named;
        }
        if let Some(accepted_s_ago) = self.proven.idle_s(now, &sender.pair) {
            return Standing::Proven { accepted_s_ago };
        }
        match self.unproven.look(now, &sender.pair) {
            None => Standing::New,
            Some(candidate) => Standing::Candidate {
                accepted: candidate.accepted,
                refused: candidate.refused,
            },
        }
    }

    /// Takes up a new `keys.unproven_rate`, keeping what was used of the old one.
    pub fn retune(&self, unproven_per_second: u32) {
        self.unproven.retune(unproven_per_second);
    }

    /// Clears a slice of what has expired: for the control thread, about once a second. Without it
    /// the tables stay bounded and correct, but show expired entries in their size, and make room
    /// only when they are full.
    pub fn sweep(&self, now: Millis) {
        self.refusals.sweep(now, SWEEP_SHARDS);
        self.proven.sweep(now, SWEEP_SHARDS);
        self.unproven.sweep(now, SWEEP_SHARDS);
    }

    /// Every proven pair, to be saved. Copies the table: for the control thread.
    #[must_use]
    pub fn proven(&self, now: Millis, now_unix_s: u64) -> Vec<ProvenPair> {
        self.proven.saved(now, now_unix_s)
    }

    /// Takes back what was saved, up to the table's limit: these pairs are proven at once.
    pub fn restore(&self, pairs: &[ProvenPair], now: Millis, now_unix_s: u64) {
        self.proven.restore(pairs, now, now_unix_s);
    }

    /// The tables' sizes, for metrics.
    #[must_use]
    pub fn tables(&self) -> [TableSize; 3] {
        let named = |name, (entries, evictions)| TableSize {
            name,
            entries,
            evictions,
        };
        [
            named("keys_proven", self.proven.size()),
            named("keys_unproven", self.unproven.size()),
            named("keys_refused", self.refusals.size()),
        ]
    }
}

#[cfg(test)]
mod tests;
