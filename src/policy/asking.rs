//! When Sentry is asked for which key's state. Owns the times, the order and the bounds; never
//! asks, never sees a state.
//!
//! A key that somebody names, and one that Sentry knows, is asked for over and over, as long as
//! this lasts: of most Sentry says that nothing has changed. A stranger is asked for once; what
//! follows when Sentry does not know it is somebody else's. Each stranger costs a part of what
//! all of them may, and gets it back once Sentry knows it: so real keys wait for nothing, and
//! made-up ones are asked for at a rate.

use std::collections::{BTreeSet, HashMap};

use foldhash::quality::RandomState;

use crate::domain::credentials::Key;

use super::millis::Millis;

/// The bounds and times of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskingRules {
    /// Keys in all that are asked for, of whatever kind.
    pub keys_max: usize,
    /// Strangers that wait for a first answer at once.
    pub strangers_max: usize,
    /// Strangers a second that Sentry may turn out not to know.
    pub strangers_per_s: u32,
    /// From one question to the next of what Sentry knows.
    pub fresh_ms: u64,
    /// The same of what is named here and Sentry does not know.
    pub unknown_ms: u64,
    /// The first wait for what Sentry is still working out; it doubles up to `fresh_ms`.
    pub pending_ms: u64,
}

/// How much is asked to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everything, quotas among it: only for relays that Sentry takes for its own.
    Full,
    /// What any relay may know.
    Limited,
}

/// Which revision of a state was told. It is Sentry's for a state, whatever was told of it: that
/// nothing has changed since means something only where as much is asked for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rev {
    /// As Sentry calls it.
    pub word: Box<str>,
    /// How much was told.
    pub depth: Depth,
}

/// How an answer speaks of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// There is a state, of this revision if it has one.
    State(Option<Rev>),
    /// The revision that was named is the present one.
    Unchanged,
    /// It is being worked out.
    Pending,
    /// There is no such key.
    Unknown,
}

/// A key to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The key.
    pub key: Key,
    /// The revision that is known.
    pub rev: Option<Rev>,
}

/// How many keys there are, of which kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// In all.
    pub keys: usize,
    /// Those without a first answer.
    pub waiting: usize,
    /// Those that Sentry is working out.
    pub pending: usize,
    /// Strangers that were not asked for, for want of room or of their rate.
    pub turned_away: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// No answer yet.
    Waiting,
    /// Sentry is working on it.
    Pending,
    Given,
    Unknown,
}

#[derive(Debug)]
struct Entry {
    standing: Standing,
    /// Named by the configuration or a list.
    named: bool,
    /// How often in a row Sentry has said that it is working on it, given or not.
    pending: u32,
    rev: Option<Rev>,
    /// `None`: it is being asked for.
    due: Option<Millis>,
}

impl Entry {
    const fn is_stranger(&self) -> bool {
        !self.named && matches!(self.standing, Standing::Waiting | Standing::Pending)
    }
}

/// All keys that are asked for.
#[derive(Debug)]
pub struct Asking {
    rules: AskingRules,
    entries: HashMap<[u8; 16], Entry, RandomState>,
    due: BTreeSet<(Millis, [u8; 16])>,
    /// How many of the entries are strangers.
    strangers: usize,
    /// What strangers may still cost, in thousandths of one.
    purse: u64,
    filled_at: Millis,
    turned_away: u64,
}

/// What strangers may cost at once, in seconds of their rate.
const PURSE_S: u64 = 10;

const COST: u64 = 1000;

/// In so many rounds all keys are asked for again, once in `fresh_ms`.
const ROUNDS: u64 = 20;

impl Asking {
    /// Nobody is asked for yet.
    #[must_use]
    pub fn new(now: Millis, rules: AskingRules) -> Self {
        Self {
            rules,
            entries: HashMap::default(),
            due: BTreeSet::new(),
            strangers: 0,
            purse: u64::from(rules.strangers_per_s) * COST * PURSE_S,
            filled_at: now,
            turned_away: 0,
        }
    }

    /// Somebody names a key; with the revision of what is known of it, if anything is. False: there
    /// is no room for it.
    pub fn name(&mut self, now: Millis, key: &Key, rev: Option<Rev>) -> bool {
        let packed = key.packed();
        if let Some(entry) = self.entries.get_mut(&packed) {
            self.strangers -= usize::from(entry.is_stranger());
            entry.named = true;
            return true;
        }
        if self.entries.len() >= self.rules.keys_max {
            return false;
        }
        self.put(now, packed, true, rev);
        true
    }

    /// Sentry was known to know a key, at an earlier time. False: there is no room for it.
    pub fn knows(&mut self, now: Millis, key: &Key, rev: Option<Rev>) -> bool {
        let packed = key.packed();
        let is_new = !self.entries.contains_key(&packed);
        if is_new && self.entries.len() < self.rules.keys_max {
            self.put(now, packed, false, rev);
            if let Some(entry) = self.entries.get_mut(&packed) {
                entry.standing = Standing::Given;
            }
            return true;
        }
        !is_new
    }

    /// Whether the configuration or a list names a key.
    #[must_use]
    pub fn is_named(&self, key: &Key) -> bool {
        let entry = self.entries.get(&key.packed());
        entry.is_some_and(|entry| entry.named)
    }

    /// A key was seen that nobody knows. False: it is not asked for, for want of room or of rate.
    pub fn sees(&mut self, now: Millis, key: &Key) -> bool {
        let packed = key.packed();
        if self.entries.contains_key(&packed) {
            return true;
        }
        self.fill(now);
        let has_room = self.entries.len() < self.rules.keys_max
            && self.strangers < self.rules.strangers_max
            && self.purse >= COST;
        if !has_room {
            self.turned_away += 1;
            return false;
        }
        self.purse -= COST;
        self.strangers += 1;
        self.put(now, packed, false, None);
        true
    }

    fn put(&mut self, now: Millis, key: [u8; 16], named: bool, rev: Option<Rev>) {
        self.due.insert((now, key));
        let entry = Entry {
            standing: Standing::Waiting,
            named,
            pending: 0,
            rev,
            due: Some(now),
        };
        self.entries.insert(key, entry);
    }

    /// What the strangers' rate has brought since.
    fn fill(&mut self, now: Millis) {
        let most = u64::from(self.rules.strangers_per_s) * COST * PURSE_S;
        // A thousandth of one is what a rate of one a second brings in a millisecond.
        let brought = now
            .since(self.filled_at)
            .saturating_mul(u64::from(self.rules.strangers_per_s));
        self.purse = self.purse.saturating_add(brought).min(most);
        self.filled_at = now;
    }

    /// Those whose time has come, at most so many, those first that have waited longest. Each has
    /// to be [answered](Self::told) or [given back](Self::unasked).
    pub fn take(&mut self, now: Millis, most: usize) -> Vec<Question> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((due, key)) = self.due.first().copied()
            && due <= now
        {
            self.due.pop_first();
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.due = None;
                taken.push(Question {
                    key: Key::unpacked(key),
                    rev: entry.rev.clone(),
                });
            }
        }
        taken
    }

    /// When the next one's time comes; `None`: nobody waits.
    #[must_use]
    pub fn next(&self) -> Option<Millis> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Sentry has answered. `spread` from 0 to 1 moves the next question by up to a tenth, so that
    /// keys that were asked for together are not forever.
    pub fn told(&mut self, now: Millis, key: &Key, told: Told, spread: f64) {
        let key = key.packed();
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        let was_stranger = entry.is_stranger();
        let rules = &self.rules;
        let is_pending = told == Told::Pending;
        let times = std::mem::take(&mut entry.pending);
        let wait_ms = match told {
            Told::State(rev) => {
                entry.standing = Standing::Given;
                entry.rev = rev;
                spread_over(rules.fresh_ms, spread)
            }
            Told::Unchanged => {
                entry.standing = Standing::Given;
                spread_over(rules.fresh_ms, spread)
            }
            Told::Pending => {
                entry.pending = times.saturating_add(1);
                // What is given stays so until there is another word.
                if entry.standing != Standing::Given {
                    entry.standing = Standing::Pending;
                }
                let doubled = rules.pending_ms.saturating_mul(1 << times.min(20));
                doubled.min(rules.fresh_ms)
            }
            Told::Unknown => {
                entry.standing = Standing::Unknown;
                entry.rev = None;
                rules.unknown_ms
            }
        };
        let known = entry.standing == Standing::Given;
        let forgotten = entry.standing == Standing::Unknown && !entry.named;
        let is_stranger = entry.is_stranger();
        if was_stranger && !is_stranger {
            self.strangers -= 1;
            if known {
                self.fill(now);
                self.purse += COST;
            }
        }
        let due = now.plus(wait_ms);
        match (forgotten, known && !is_pending) {
            (true, _) => drop(self.entries.remove(&key)),
            (false, true) => self.put_off(key, self.gathered(due)),
            (false, false) => self.put_off(key, due),
        }
    }

    /// The moment of a due question in which others are due: what is only asked again can wait a
    /// little for company.
    fn gathered(&self, due: Millis) -> Millis {
        let grid = (self.rules.fresh_ms / ROUNDS).max(1);
        Millis(due.0.div_ceil(grid).saturating_mul(grid))
    }

    /// It could not be asked for, and still waits.
    pub fn unasked(&mut self, now: Millis, key: &Key) {
        self.put_off(key.packed(), now);
    }

    fn put_off(&mut self, key: [u8; 16], due: Millis) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.due = Some(due);
            self.due.insert((due, key));
        }
    }

    /// How many there are.
    #[must_use]
    pub fn census(&self) -> Census {
        let count = |is: fn(&Entry) -> bool| self.entries.values().filter(|one| is(one)).count();
        Census {
            keys: self.entries.len(),
            waiting: count(|entry| entry.standing == Standing::Waiting),
            pending: count(|entry| entry.standing == Standing::Pending),
            turned_away: self.turned_away,
        }
    }
}

/// A tenth less at most.
fn spread_over(ms: u64, spread: f64) -> u64 {
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of 1000, from 0 to 100"
    )]
    let part = (spread.clamp(0.0, 1.0) * 100.0) as u64;
    ms - ms / 1000 * part
}

#[cfg(test)]
mod tests;
