//! A map that all workers share and that never outgrows its limit. Owns the locks,
//! the count and the order of sweeping; never decides what is worth keeping.
//!
//! Many small maps, each behind a lock that is held for one look-up or for one
//! sweep of about a thousand entries. A map of the kind found elsewhere would not
//! do: the limit has to hold to the entry, and a sweep has to be a slice. A full
//! table takes nobody new; room comes from what has expired alone, so a flood
//! cannot push out whom it finds.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;

use super::millis::Millis;

/// A sweep holds a shard's lock for all its entries: a thousand take some ten microseconds.
const SHARD_ENTRIES: usize = 1024;

/// Fewer would make workers meet, more would make small tables large.
const SHARDS_MIN: usize = 16;
const SHARDS_MAX: usize = 1024;

/// A flood that finds the table full asks for a sweep each time: this often one is made.
const SWEEP_EVERY_MS: u64 = 10;

/// What a sweep does with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays.
    Keep,
    /// Its time is over.
    Expired,
    /// It leaves before its time, for want of room: counted.
    Evicted,
}

/// Lies on cache lines of its own: its count is read on each request, and a neighbour's counters
/// would drag it from core to core.
#[repr(align(128))]
pub(super) struct Table<K, V> {
    shards: Box<[Shard<K, V>]>,
    hasher: RandomState,
    entries: AtomicUsize,
    entries_max: usize,
    evictions: AtomicU64,
    next_shard: AtomicUsize,
    next_sweep_ms: AtomicU64,
}

struct Shard<K, V> {
    /// As many as `map` holds, to be read without its lock.
    entries: AtomicUsize,
    map: Mutex<HashMap<K, V, RandomState>>,
}

impl<K, V> Shard<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, V, RandomState>> {
        // Nothing that runs under the lock leaves an entry half written.
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq, V> Table<K, V> {
    /// An empty table for at most so many entries. Memory follows the entries, not the limit.
    pub(super) fn new(entries_max: usize) -> Self {
        let shards = (entries_max / SHARD_ENTRIES)
            .next_power_of_two()
            .clamp(SHARDS_MIN, SHARDS_MAX);
        let hasher = RandomState::default();
        let shard = || Shard {
            entries: AtomicUsize::new(0),
            map: Mutex::new(HashMap::with_hasher(hasher.clone())),
        };
        Self {
            shards: std::iter::repeat_with(shard).take(shards).collect(),
            hasher,
            entries: AtomicUsize::new(0),
            entries_max,
            evictions: AtomicU64::new(0),
            next_shard: AtomicUsize::new(0),
            next_sweep_ms: AtomicU64::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.load(Relaxed)
    }

    /// One read of a line that only changes with the table.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.entries_max
    }

    /// How many entries lost, or were not given, their place because the table was full.
    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Relaxed)
    }

    /// Looks at a key's value. Takes no lock where the key's shard is empty.
    pub(super) fn look<R>(&self, key: &K, seen: impl FnOnce(&V) -> R) -> Option<R> {
        if self.is_empty() {
            return None;
        }
        let shard = self.shard(key);
        if shard.entries.load(Relaxed) == 0 {
            return None;
        }
        shard.lock().get(key).map(seen)
    }

    /// Hands out a key's place, whoever else wants the same key waiting. The closure must not use
    /// the table again: it holds the lock.
    pub(super) fn at<R>(&self, key: K, change: impl FnOnce(Slot<'_, K, V>) -> R) -> R {
        let shard = self.shard(&key);
        change(Slot {
            table: self,
            shard,
            map: shard.lock(),
            key,
        })
    }

    /// Takes a key out, and says whether it was there. Takes no lock where its shard is empty.
    pub(super) fn remove(&self, key: &K) -> bool {
        if self.is_empty() {
            return false;
        }
        let shard = self.shard(key);
        if shard.entries.load(Relaxed) == 0 {
            return false;
        }
        let mut map = shard.lock();
        let removed = map.remove(key).is_some();
        if removed {
            self.left(shard, map.len(), 1);
        }
        removed
    }

    /// Sweeps the next shard, unless that was done a moment ago: for whoever found the table full.
    pub(super) fn sweep_if_due(&self, now: Millis, fate: impl Fn(&V) -> Fate) {
        let due_ms = self.next_sweep_ms.load(Relaxed);
        let next_ms = now.plus(SWEEP_EVERY_MS).0;
        let mine = now.0 >= due_ms
            && self
                .next_sweep_ms
                .compare_exchange(due_ms, next_ms, Relaxed, Relaxed)
                .is_ok();
        if mine {
            self.sweep(1, fate);
        }
    }

    /// Sweeps the next `shards` shards, one lock at a time.
    pub(super) fn sweep(&self, shards: usize, fate: impl Fn(&V) -> Fate) {
        for _ in 0..shards.min(self.shards.len()) {
            let at = self.next_shard.fetch_add(1, Relaxed) % self.shards.len();
            let Some(shard) = self.shards.get(at) else {
                return;
            };
            let mut map = shard.lock();
            let before = map.len();
            let mut evicted = 0;
            map.retain(|_, value| {
                let fate = fate(value);
                evicted += u64::from(fate == Fate::Evicted);
                fate == Fate::Keep
            });
            self.evictions.fetch_add(evicted, Relaxed);
            self.left(shard, map.len(), before - map.len());
        }
    }

    /// Shows every entry, one shard's lock at a time: for slow work, off the workers.
    pub(super) fn each(&self, mut seen: impl FnMut(&K, &V)) {
        for shard in &self.shards {
            for (key, value) in shard.lock().iter() {
                seen(key, value);
            }
        }
    }

    /// The number of shards is a power of two; the hash's low and high ends choose inside of the
    /// shard's own map, so the shard is chosen by the middle.
    fn shard(&self, key: &K) -> &Shard<K, V> {
        let middle = (self.hasher.hash_one(key) >> 32) & 0xffff;
        let at = usize::try_from(middle).unwrap_or_default() % self.shards.len();
        self.shards
            .get(at)
            .expect("a remainder is below its divisor")
    }

    fn left(&self, shard: &Shard<K, V>, remaining: usize, gone: usize) {
        shard.entries.store(remaining, Relaxed);
        self.entries.fetch_sub(gone, Relaxed);
    }

    /// Claims room for one more. Never more than the limit, however many ask at once.
    fn claim(&self) -> bool {
        // Looks before it writes: a flood at a full table must not fight over the count.
        if self.is_full() {
            self.evictions.fetch_add(1, Relaxed);
            return false;
        }
        if self.entries.fetch_add(1, Relaxed) >= self.entries_max {
            self.entries.fetch_sub(1, Relaxed);
            self.evictions.fetch_add(1, Relaxed);
            return false;
        }
        true
    }
}

/// A key's place in the table, locked until this is dropped.
pub(super) struct Slot<'a, K, V> {
    table: &'a Table<K, V>,
    shard: &'a Shard<K, V>,
    map: MutexGuard<'a, HashMap<K, V, RandomState>>,
    key: K,
}

impl<K: Hash + Eq, V> Slot<'_, K, V> {
    pub(super) fn value(&mut self) -> Option<&mut V> {
        self.map.get_mut(&self.key)
    }

    /// Puts a value in the place of what is there, or in a new one. `false`: the table is full.
    pub(super) fn put(mut self, value: V) -> bool {
        if let Some(old) = self.map.get_mut(&self.key) {
            *old = value;
            return true;
        }
        if !self.table.claim() {
            return false;
        }
        self.map.insert(self.key, value);
        self.shard.entries.store(self.map.len(), Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn put(table: &Table<u64, u64>, key: u64, value: u64) -> bool {
        table.at(key, |slot| slot.put(value))
    }

    #[test]
    fn a_full_table_keeps_whom_it_has_and_takes_nobody_new() {
        let table = Table::new(2);
        assert!(put(&table, 1, 10) && put(&table, 2, 20));
        assert!(!put(&table, 3, 30), "a third entry in a table of two");
        assert!(put(&table, 1, 11), "an old entry may change");
        assert_eq!(table.look(&1, |value| *value), Some(11));
        assert_eq!(table.look(&3, |value| *value), None);
        assert_eq!((table.len(), table.evictions()), (2, 1));
    }

    #[test]
    fn what_leaves_makes_room() {
        let table = Table::new(1);
        assert!(put(&table, 1, 10));
        assert!(table.remove(&1) && !table.remove(&1));
        assert!(table.is_empty() && put(&table, 2, 20));
    }

    #[test]
    fn a_table_for_nobody_is_always_full() {
        let table = Table::new(0);
        assert!(!put(&table, 1, 10) && table.is_full());
    }

    #[test]
    fn a_sweep_is_a_slice_and_the_slices_cover_all() {
        let table = Table::new(10_000);
        for key in 0..10_000 {
            assert!(put(&table, key, key % 2));
        }
        let odd_expire = |value: &u64| match value {
            1 => Fate::Expired,
            _ => Fate::Keep,
        };
        table.sweep(1, odd_expire);
        assert!((7_000..10_000).contains(&table.len()), "one shard of many");
        for _ in 1..table.shards.len() {
            table.sweep(1, odd_expire);
        }
        assert_eq!((table.len(), table.evictions()), (5_000, 0));
        table.sweep(usize::MAX, |_| Fate::Evicted);
        assert_eq!((table.len(), table.evictions()), (0, 5_000));
    }

    #[test]
    fn sweeps_on_demand_come_once_in_a_while() {
        let table = Table::new(16);
        let shards = u64::try_from(table.shards.len()).expect("few");
        for key in 0..16 {
            put(&table, key, key);
        }
        for _ in 0..1000 {
            table.sweep_if_due(Millis(5), |_| Fate::Expired);
        }
        assert!(!table.is_empty(), "one moment swept the whole table");
        for slice in 1..shards {
            table.sweep_if_due(Millis(5 + slice * SWEEP_EVERY_MS), |_| Fate::Expired);
        }
        assert!(table.is_empty(), "{} are left", table.len());
    }

    #[test]
    fn the_limit_holds_however_many_threads_put() {
        let table = Table::new(1000);
        thread::scope(|scope| {
            for thread in 0..4_u64 {
                let table = &table;
                scope.spawn(move || {
                    for step in 0..20_000 {
                        let key = (thread * 7919 + step * 104_729) % 5000;
                        match step % 3 {
                            0 => {
                                table.remove(&key);
                            }
                            _ => {
                                put(table, key, step);
                            }
                        }
                        // The count may run ahead by the claims in flight, never the entries.
                        assert!(table.len() <= 1000 + 4, "{} entries", table.len());
                    }
                });
            }
        });
        let held: usize = table.shards.iter().map(|shard| shard.lock().len()).sum();
        assert_eq!(held, table.len(), "the count has drifted");
        assert!(held <= 1000, "{held} entries");
    }
}
