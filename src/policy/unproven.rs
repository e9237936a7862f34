//! Pairs that nobody vouches for and that have yet to prove themselves. Owns the
//! table of them, the balance of their answers and the one rate they share when it
//! comes to that; never looks at proven or named pairs, which are not its business.
//!
//! The upstream answers 200 to a key that it has not looked up yet, so a million
//! made-up keys would all look accepted. Two things protect it. The table admits a
//! limited number of distinct pairs, and when it is full, who has no acceptance to
//! show shares one rate. And while the upstream refuses more of these pairs than it
//! accepts, all of them share that rate.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::gcra::Gcra;
use super::millis::Millis;
use super::pair::{OriginKey, Pair};
use super::table::{Fate, Table};

/// Two acceptances this far apart prove a pair: the upstream has looked it up meanwhile.
const PROOF_MS: u64 = 60_000;

/// How long a pair keeps its place after it came, or after it was last accepted. Merely asking again
/// does not extend it: to hold the table full takes as many requests a second as it has places, and
/// not a few.
const IDLE_MS: u64 = 600_000;

/// What is known of a pair on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// When it came, or was last accepted.
    fresh_at: Millis,
    /// Its first acceptance that was not taken back.
    since: Option<Since>,
    /// When it was last excused from a share that is used up.
    excused_at: Millis,
    pub(super) accepted: u32,
    pub(super) refused: u32,
}

/// When proof began, and with which origin. A refusal of the same origin takes it back: the
/// upstream's first answer was a guess. A refusal of another origin does not, or whoever holds a
/// good key could keep it from ever being proven.
#[derive(Debug, Clone, Copy)]
struct Since {
    at: Millis,
    origin: Option<OriginKey>,
}

impl Candidate {
    fn new(now: Millis) -> Self {
        Self {
            fresh_at: now,
            since: None,
            excused_at: now,
            accepted: 0,
            refused: 0,
        }
    }

    /// `true` when this acceptance proves the pair.
    fn accept(&mut self, now: Millis, origin: Option<OriginKey>) -> bool {
        self.accepted = self.accepted.saturating_add(1);
        self.fresh_at = self.fresh_at.max(now);
        let since = self.since.get_or_insert(Since { at: now, origin });
        now.since(since.at) >= PROOF_MS
    }

    /// Whether it is excused now: where the next acceptance would prove it, and once a minute.
    fn excuse(&mut self, now: Millis) -> bool {
        let due = |since: Since| now.since(since.at) >= PROOF_MS;
        let excused = self.since.is_some_and(due) && now.since(self.excused_at) >= PROOF_MS;
        if excused {
            self.excused_at = now;
        }
        excused
    }

    fn refuse(&mut self, origin: Option<OriginKey>) {
        self.refused = self.refused.saturating_add(1);
        self.since = self.since.filter(|since| since.origin != origin);
    }

    /// Whether it counts as new again, swept or not.
    fn is_over(&self, now: Millis) -> bool {
        now.since(self.fresh_at) >= IDLE_MS
    }

    fn fate(&self, now: Millis) -> Fate {
        match self.is_over(now) {
            true => Fate::Expired,
            false => Fate::Keep,
        }
    }
}

/// What the table has for a pair that asks.
enum Place {
    /// One with an acceptance to show.
    Accepted,
    /// One without.
    Waiting,
    /// A new one.
    New,
    /// None: the table is full.
    NoRoom,
}

pub(super) struct Unproven {
    candidates: Table<Pair, Candidate>,
    balance: Balance,
    shared: Gcra,
}

impl Unproven {
    pub(super) fn new(entries_max: usize, per_second: u32) -> Self {
        Self {
            candidates: Table::new(entries_max),
            balance: Balance::default(),
            shared: Gcra::new(per_second),
        }
    }

    pub(super) fn retune(&self, per_second: u32) {
        self.shared.retune(per_second);
    }

    /// Whether a pair may pass. Who passes has a place in the table, if there is one.
    pub(super) fn admit(&self, now: Millis, pair: Pair) -> bool {
        if self.balance.refusals_dominate(now) {
            let passes = self.shared.take(now.nanos());
            // Who is turned away takes no place: the flood would only fill the table.
            if passes {
                self.place(now, pair);
            }
            return passes;
        }
        match self.place(now, pair) {
            Place::Accepted | Place::New => true,
            Place::Waiting => !self.candidates.is_full() || self.shared.take(now.nanos()),
            Place::NoRoom => self.shared.take(now.nanos()),
        }
    }

    fn place(&self, now: Millis, pair: Pair) -> Place {
        let place = self.candidates.at(pair, |mut slot| match slot.value() {
            Some(candidate) if !candidate.is_over(now) => match candidate.since {
                Some(_) => Place::Accepted,
                None => Place::Waiting,
            },
            _ => match slot.put(Candidate::new(now)) {
                true => Place::New,
                false => Place::NoRoom,
            },
        });
        if self.candidates.is_full() {
            self.candidates
                .sweep_if_due(now, |candidate| candidate.fate(now));
        }
        place
    }

    /// Whether a pair is excused from a share that is used up: see
    /// [`Verdicts::excuses`](super::verdicts::Verdicts::excuses).
    pub(super) fn excuses(&self, now: Millis, pair: Pair) -> bool {
        self.candidates.at(pair, |mut slot| match slot.value() {
            Some(candidate) => !candidate.is_over(now) && candidate.excuse(now),
            None => false,
        })
    }

    /// `true` when this acceptance proves the pair; it keeps its place until it is
    /// [`taken in`](Self::leave) elsewhere.
    pub(super) fn accepted(&self, now: Millis, pair: Pair, origin: Option<OriginKey>) -> bool {
        self.balance.count(
            now,
            Weight {
                accepted: 1,
                refused: 0,
            },
        );
        self.candidates.at(pair, |mut slot| match slot.value() {
            Some(candidate) if !candidate.is_over(now) => candidate.accept(now, origin),
            _ => {
                let mut candidate = Candidate::new(now);
                candidate.accept(now, origin);
                slot.put(candidate);
                false
            }
        })
    }

    pub(super) fn refused(&self, now: Millis, pair: Pair, origin: Option<OriginKey>) {
        self.balance.count(
            now,
            Weight {
                accepted: 0,
                refused: 1,
            },
        );
        // No place is made for it: a refusal is nothing to build on.
        self.candidates.at(pair, |mut slot| {
            if let Some(candidate) = slot.value() {
                candidate.refuse(origin);
            }
        });
    }

    pub(super) fn leave(&self, pair: &Pair) {
        self.candidates.remove(pair);
    }

    pub(super) fn look(&self, now: Millis, pair: &Pair) -> Option<Candidate> {
        self.candidates
            .look(pair, |candidate| *candidate)
            .filter(|candidate| !candidate.is_over(now))
    }

    pub(super) fn sweep(&self, now: Millis, shards: usize) {
        self.candidates
            .sweep(shards, |candidate| candidate.fate(now));
    }

    pub(super) fn size(&self) -> (usize, u64) {
        (self.candidates.len(), self.candidates.evictions())
    }
}

/// Both counts are halved so often: what is older than ten seconds hardly weighs.
const HALF_LIFE_MS: u64 = 5000;

const COUNT_BITS: u32 = 20;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const EPOCH_MAX: u64 = (1 << (64 - 2 * COUNT_BITS)) - 1;

/// How the upstream answered unproven pairs of late: two counts that decay, and the half-life they
/// are of, in one word.
#[derive(Debug, Default)]
struct Balance(AtomicU64);

#[derive(Debug, Clone, Copy)]
struct Weight {
    accepted: u64,
    refused: u64,
}

impl Balance {
    fn count(&self, now: Millis, more: Weight) {
        let epoch = epoch(now);
        // Each failed turn is another thread's count, and answers are few beside requests.
        let counted = self.0.fetch_update(Relaxed, Relaxed, |word| {
            let (epoch, old) = decayed(word, epoch);
            // At the ceiling both are halved, so that their ratio stays.
            let halve = u32::from(old.accepted.max(old.refused) == COUNT_MAX);
            let accepted = (old.accepted >> halve) + more.accepted;
            let refused = (old.refused >> halve) + more.refused;
            Some(epoch << (2 * COUNT_BITS) | refused << COUNT_BITS | accepted)
        });
        debug_assert!(counted.is_ok(), "every word can be counted on");
    }

    fn refusals_dominate(&self, now: Millis) -> bool {
        let (_, weight) = decayed(self.0.load(Relaxed), epoch(now));
        weight.refused > weight.accepted
    }
}

fn epoch(now: Millis) -> u64 {
    (now.0 / HALF_LIFE_MS) & EPOCH_MAX
}

/// The counts as they weigh in this epoch. The clock of another thread may be one epoch behind: then
/// the counts stay in theirs.
fn decayed(word: u64, epoch: u64) -> (u64, Weight) {
    let counted_in = word >> (2 * COUNT_BITS);
    let elapsed = epoch.wrapping_sub(counted_in) & EPOCH_MAX;
    let (epoch, halvings) = match elapsed <= EPOCH_MAX / 2 {
        true => (
            epoch,
            u32::try_from(elapsed).map_or(63, |elapsed| elapsed.min(63)),
        ),
        false => (counted_in, 0),
    };
    let weight = Weight {
        accepted: (word & COUNT_MAX) >> halvings,
        refused: (word >> COUNT_BITS & COUNT_MAX) >> halvings,
    };
    (epoch, weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts answers at these milliseconds, `'+'` or `'-'` each, and asks who dominates.
    #[track_caller]
    fn check(answers: &[(u64, &str)], asked_ms: u64, dominate: bool) {
        let balance = Balance::default();
        for (at_ms, signs) in answers {
            for sign in signs.chars() {
                let refused = u64::from(sign == '-');
                let accepted = 1 - refused;
                balance.count(Millis(*at_ms), Weight { accepted, refused });
            }
        }
        let got = balance.refusals_dominate(Millis(asked_ms));
        assert_eq!(got, dominate, "{answers:?} asked at {asked_ms} ms");
    }

    #[test]
    fn refusals_dominate_when_there_are_more_of_them() {
        check(&[], 0, false);
        check(&[(0, "-")], 0, true);
        check(&[(0, "-+")], 0, false);
        check(&[(0, "-+-")], 0, true);
        check(&[(0, "+++--")], 0, false);
    }

    #[test]
    fn what_is_older_than_ten_seconds_hardly_weighs() {
        check(&[(0, "--------"), (10_000, "++")], 10_000, false);
        check(&[(0, "--------"), (10_000, "+")], 10_000, true);
        check(&[(0, "++++++++"), (10_000, "---")], 10_000, true);
        check(&[(0, "----")], 14_999, true);
        check(&[(0, "----")], 15_000, false);
        check(&[(0, "----")], 31_536_000_000, false);
    }

    #[test]
    fn a_clock_that_lags_behind_forgets_nothing() {
        check(&[(5000, "---"), (4999, "+")], 5000, true);
        check(&[(5000, "---"), (4999, "+")], 4999, true);
    }

    #[test]
    fn the_ratio_outlives_the_ceiling() {
        let balance = Balance::default();
        for answer in 0..5_000_000_u64 {
            let refused = u64::from(answer % 5 < 3);
            let accepted = 1 - refused;
            balance.count(Millis(0), Weight { accepted, refused });
        }
        assert!(balance.refusals_dominate(Millis(0)));
    }
}
