//! All live counts: shared by all workers, kept over reloads. Owns where a count
//! lives and when its place is free again; never decides what is charged.
//!
//! A count that the configuration names (of everybody, of a listed project, of a
//! key with quotas of its own) is held by the compiled quotas themselves and found
//! without a look-up; here it is kept so that the next configuration finds it. All
//! others live in a table of fixed size, or by address in `ips`.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::policy::millis::Millis;
use crate::policy::table::{Fate, Table};
use crate::policy::verdicts::TableSize;

use super::Moment;
use super::counter::Counter;
use super::identity::{Identity, Named, Whom};
use super::ips::Ips;
use super::leasing::Leasing;
use super::sharing::Sharing;

/// How many shards of the table one sweep visits.
const SWEEP_SHARDS: usize = 32;

/// What no configuration names any more is looked for so often: it needs a lock that new counters
/// need too.
const TIDY_EVERY_S: u64 = 60;

/// The limits of what is counted at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterLimits {
    /// Places by address: one for each address and quota that it meets. All of the memory, 21 bytes
    /// each, is taken at the start.
    pub ips: usize,
    /// Counters of keys, and of projects that nobody listed.
    pub counters: usize,
}

/// A counter, as the tables know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    quota: u64,
    whom: Whom,
}

impl Place {
    fn of(named: &Named, whom: Whom) -> Self {
        let quota = named.number;
        Self { quota, whom }
    }
}

/// All live counts.
pub struct Counters {
    table: Table<Place, Arc<Counter>>,
    /// Those that a configuration names. Locked after the table's shard, never before it.
    pinned: Mutex<HashMap<Place, Arc<Counter>>>,
    names: Mutex<Names>,
    pub(super) ips: Ips,
    journal: AtomicBool,
    pub(super) sharing: Sharing,
    pub(super) leasing: Leasing,
    /// Nobody else counts the same, in another process or on another edge.
    sole: AtomicBool,
    next_tidy_s: AtomicU64,
}

/// Numbers for identities, so that no name is hashed for a request. A number is never used again.
#[derive(Default)]
struct Names {
    known: HashMap<Identity, Arc<Named>>,
    next: u64,
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tables()).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks leaves a map half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counters {
    /// Nothing counted yet, and no journal.
    #[must_use]
    pub fn new(limits: CounterLimits) -> Self {
        Self {
            table: Table::new(limits.counters),
            pinned: Mutex::default(),
            names: Mutex::default(),
            ips: Ips::new(limits.ips),
            journal: AtomicBool::new(false),
            sharing: Sharing::default(),
            leasing: Leasing::default(),
            sole: AtomicBool::new(true),
            next_tidy_s: AtomicU64::new(0),
        }
    }

    /// From now on a charge says which windows are to be written down first.
    pub fn enable_journal(&self) {
        self.journal.store(true, Relaxed);
    }

    pub(super) fn disable_journal(&self) {
        self.journal.store(false, Relaxed);
    }

    pub(super) fn has_journal(&self) -> bool {
        self.journal.load(Relaxed)
    }

    /// Whether nobody else counts the same, as is usual.
    pub(super) fn is_sole(&self) -> bool {
        self.sole.load(Relaxed)
    }

    /// After each change of how it is with others.
    pub(super) fn look_whether_sole(&self) {
        let sole = self.sharing.is_sole() && !self.leasing.is_on();
        self.sole.store(sole, Relaxed);
    }

    /// Whether another process holds, or held, a part of what is lent to this one of a window that
    /// began then.
    pub(super) fn is_held_with_another(&self, begins_s: u64) -> bool {
        self.sharing.is_with_another(begins_s)
    }

    pub(super) fn named(&self, identity: Identity) -> Arc<Named> {
        let mut names = lock(&self.names);
        if let Some(named) = names.known.get(&identity) {
            return Arc::clone(named);
        }
        let named = Arc::new(Named::new(names.next, identity.clone()));
        names.next += 1;
        names.known.insert(identity, Arc::clone(&named));
        named
    }

    /// The counter that a configuration names, taken over from the table if it was there.
    pub(super) fn pinned(&self, named: &Arc<Named>, whom: Whom) -> Arc<Counter> {
        let place = Place::of(named, whom);
        // Under the shard's lock, or a worker might make one of its own meanwhile.
        self.table.at(place, |mut slot| {
            let mut pinned = lock(&self.pinned);
            let counter = pinned.entry(place).or_insert_with(|| match slot.value() {
                Some(counter) => Arc::clone(counter),
                None => Arc::new(Counter::new(named, whom)),
            });
            Arc::clone(counter)
        })
    }

    /// Changes the counter of a place, a new one if need be; without room, that of the rest. The
    /// closure must not use these counters again: it runs under a lock.
    pub(super) fn with<R>(
        &self,
        now: Moment,
        (named, whom): (&Arc<Named>, Whom),
        rest: impl FnOnce() -> R,
        change: impl Fn(&Arc<Counter>) -> R,
    ) -> R {
        let place = Place::of(named, whom);
        if let Some(changed) = self.table.look(&place, &change) {
            return changed;
        }
        let changed = self.table.at(place, |mut slot| {
            if let Some(counter) = slot.value() {
                return Some(change(counter));
            }
            let pinned = lock(&self.pinned).get(&place).cloned();
            let kept = pinned.is_some();
            let counter = pinned.unwrap_or_else(|| Arc::new(Counter::new(named, whom)));
            // Before it can be seen, so that no sweep takes it for one that is over.
            let changed = change(&counter);
            (slot.put(counter) || kept).then_some(changed)
        });
        if self.table.is_full() {
            let at_ms = Millis(now.since_start_ns / 1_000_000);
            self.table.sweep_if_due(at_ms, |counter| fate(counter, now));
        }
        changed.unwrap_or_else(rest)
    }

    /// What is seen of the counter that a charge would find, or of a fresh one; `None`: there is
    /// neither a counter nor room for one.
    pub(super) fn look<R>(
        &self,
        named: &Named,
        whom: Whom,
        seen: impl Fn(Option<&Counter>) -> R,
    ) -> Option<R> {
        let place = Place::of(named, whom);
        let found = self.table.look(&place, |counter| seen(Some(counter)));
        found.or_else(|| (!self.table.is_full()).then(|| seen(None)))
    }

    /// Changes the word of a counter that exists; `false`: it does not.
    pub(super) fn change(&self, named: &Named, whom: Whom, change: impl FnOnce(&Counter)) -> bool {
        let place = Place::of(named, whom);
        let changed = self.table.look(&place, |counter| change(counter));
        changed.is_some()
    }

    /// Takes in a counter of an earlier process. `false`: no room for it.
    pub(super) fn restored(
        &self,
        named: &Arc<Named>,
        whom: Whom,
        restore: impl FnOnce(&Counter),
    ) -> bool {
        let place = Place::of(named, whom);
        self.table.at(place, |mut slot| {
            let mut pinned = lock(&self.pinned);
            let found = pinned.get(&place);
            if let Some(counter) = found.or(slot.value().map(|counter| &*counter)) {
                restore(counter);
                return true;
            }
            let counter = Arc::new(Counter::new(named, whom));
            restore(&counter);
            match whom {
                Whom::All | Whom::Rest(None) => pinned.insert(place, counter).is_none(),
                Whom::Project(_) | Whom::Key(_) | Whom::Rest(Some(_)) | Whom::Strangers(_) => {
                    slot.put(counter)
                }
            }
        })
    }

    /// Shows every counter but those by address, a shard's lock at a time: for slow work, off the
    /// workers. One that was listed lately may come twice.
    pub(super) fn each(&self, mut seen: impl FnMut(&Arc<Counter>)) {
        self.table.each(|_, counter| seen(counter));
        for counter in lock(&self.pinned).values() {
            seen(counter);
        }
    }

    /// Clears a slice of what is over: for the control thread, about once a second.
    pub fn sweep(&self, now: Moment) {
        self.table.sweep(SWEEP_SHARDS, |counter| fate(counter, now));
        self.ips.sweep(now);
        let now_s = now.since_start_ns / 1_000_000_000;
        if now_s >= self.next_tidy_s.load(Relaxed) {
            self.next_tidy_s.store(now_s + TIDY_EVERY_S, Relaxed);
            self.tidy(now);
        }
    }

    fn tidy(&self, now: Moment) {
        lock(&self.pinned).retain(|_, counter| {
            counter.wipe_if_over(now);
            // The last one to hold it is this map: no configuration names it any more.
            Arc::strong_count(counter) > 1 || !counter.is_over(now)
        });
        let mut names = lock(&self.names);
        names.known.retain(|_, named| Arc::strong_count(named) > 1);
    }

    /// The tables' sizes, for metrics.
    #[must_use]
    pub fn tables(&self) -> [TableSize; 2] {
        let named = |name, (entries, evictions)| TableSize {
            name,
            entries,
            evictions,
        };
        [
            named("quota_counters", (self.table.len(), self.table.evictions())),
            named("quota_ips", self.ips.size()),
        ]
    }
}

fn fate(counter: &Counter, now: Moment) -> Fate {
    match counter.is_over(now) {
        true => Fate::Expired,
        false => Fate::Keep,
    }
}
