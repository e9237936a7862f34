//! Counts by client address, in memory that is all taken at the start. Owns the
//! sets and who may take over a place in one; never gives away a place that still
//! means something.
//!
//! A set is two cache lines with room for six. An address belongs to one set, by a
//! keyed hash that nobody outside can aim with; the quota is hashed along, so one
//! address has a place for each quota. With places for as many addresses as send
//! at once, few sets are ever full; who finds his set full is answered from the
//! counter of all such, which the caller keeps.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;

use super::Moment;
use super::measure::Measure;

const PLACES: usize = 6;

/// The sets that one sweep visits: a fraction of a millisecond, and once a second covers room for a
/// million addresses in a minute.
const SWEEP_SETS: usize = 4096;

/// The fields of six places, and not six places of fields: those would need padding.
#[derive(Default)]
struct Set {
    /// 0: never taken.
    tags: [u64; PLACES],
    words: [u64; PLACES],
    /// From this second since the start on, the word is over.
    over_at_s: [u32; PLACES],
}

#[repr(align(128))]
struct Shelf(Mutex<Set>);

/// Who asks, as the sets know him.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    set: usize,
    tag: u64,
}

pub(super) struct Ips {
    shelves: Box<[Shelf]>,
    /// Keyed, as whoever finds two addresses that meet can use up another's limit. Nobody is told
    /// of a hash, and of all 64 bits only a whole match is a meeting: what can be tried from
    /// outside, an address at a time, says nothing of the key.
    hasher: RandomState,
    taken: AtomicUsize,
    turned_away: AtomicU64,
    next_sweep: AtomicUsize,
}

impl Ips {
    /// Room for so many addresses, about 21 bytes each.
    pub(super) fn new(places: usize) -> Self {
        let shelf = || Shelf(Mutex::default());
        let shelves = places.div_ceil(PLACES).max(1);
        Self {
            shelves: std::iter::repeat_with(shelf).take(shelves).collect(),
            hasher: RandomState::default(),
            taken: AtomicUsize::new(0),
            turned_away: AtomicU64::new(0),
            next_sweep: AtomicUsize::new(0),
        }
    }

    /// The spot of an address under one quota; 0 stands for no project.
    pub(super) fn spot(&self, quota: u64, project: u64, ip: IpAddr) -> Spot {
        let (family, address) = match ip.to_canonical() {
            IpAddr::V4(ip) => (4_u64, u64::from(ip.to_bits())),
            // Whoever has one address of a /64 has them all.
            IpAddr::V6(ip) => (6, u64::try_from(ip.to_bits() >> 64).unwrap_or_default()),
        };
        let hash = self.hasher.hash_one((quota, project, family, address));
        let shelves = u64::try_from(self.shelves.len()).unwrap_or_default();
        let set = (u128::from(hash) * u128::from(shelves)) >> 64;
        Spot {
            set: usize::try_from(set).unwrap_or_default(),
            tag: hash.max(1),
        }
    }

    fn lock(&self, spot: Spot) -> Option<MutexGuard<'_, Set>> {
        let Shelf(set) = self.shelves.get(spot.set)?;
        // Nothing that runs under the lock leaves a place half written.
        Some(set.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Charges, and yields the word that this made. `None`: no place.
    pub(super) fn charge(
        &self,
        spot: Spot,
        measure: &Measure,
        at: Moment,
        amount: u64,
    ) -> Option<Result<u64, u64>> {
        let mut set = self.lock(spot)?;
        let Some(place) = set.place(spot.tag, at) else {
            self.turned_away.fetch_add(1, Relaxed);
            return None;
        };
        let was = set.read(place, spot.tag);
        let charged = measure.charged(was.unwrap_or_default(), at, amount);
        if let Ok(word) = charged {
            let over_at_s = measure.over_at_s(word, at);
            if set.write(place, spot.tag, word, over_at_s) {
                self.taken.fetch_add(1, Relaxed);
            }
        }
        Some(charged)
    }

    /// The word that a charge would find: 0 where a place is free. `None`: no place.
    pub(super) fn look(&self, spot: Spot, at: Moment) -> Option<u64> {
        let set = self.lock(spot)?;
        let place = set.place(spot.tag, at)?;
        Some(set.read(place, spot.tag).unwrap_or_default())
    }

    /// Changes the word of an address that has a place; `false`: it has none.
    pub(super) fn change(&self, spot: Spot, change: impl Fn(u64) -> Option<u64>) -> bool {
        let Some(mut set) = self.lock(spot) else {
            return false;
        };
        let Set { tags, words, .. } = &mut *set;
        let mut places = tags.iter().zip(words);
        let found = places.find(|(tag, _)| **tag == spot.tag);
        if let Some((_, word)) = found {
            *word = change(*word).unwrap_or(*word);
            return true;
        }
        false
    }

    /// Clears a slice of what is over, so that what is shown as taken is.
    pub(super) fn sweep(&self, now: Moment) {
        let now_s = seconds(now);
        for _ in 0..SWEEP_SETS.min(self.shelves.len()) {
            let at = self.next_sweep.fetch_add(1, Relaxed) % self.shelves.len();
            let spot = Spot { set: at, tag: 0 };
            let Some(mut set) = self.lock(spot) else {
                return;
            };
            let Set {
                tags, over_at_s, ..
            } = &mut *set;
            let places = tags.iter_mut().zip(over_at_s);
            let mut left = 0;
            for (tag, _) in places.filter(|(tag, over_at_s)| **tag != 0 && **over_at_s <= now_s) {
                *tag = 0;
                left += 1;
            }
            self.taken.fetch_sub(left, Relaxed);
        }
    }

    /// Places taken, and how many charges found none.
    pub(super) fn size(&self) -> (usize, u64) {
        (self.taken.load(Relaxed), self.turned_away.load(Relaxed))
    }
}

impl Set {
    /// The place of an address, or one that it may take.
    fn place(&self, tag: u64, at: Moment) -> Option<usize> {
        let now_s = seconds(at);
        let own = self.tags.iter().position(|held| *held == tag);
        own.or_else(|| {
            let mut places = self.tags.iter().zip(&self.over_at_s);
            places.position(|(held, over_at_s)| *held == 0 || *over_at_s <= now_s)
        })
    }

    /// The word of an address at its place; `None`: the place is not its own yet.
    fn read(&self, place: usize, tag: u64) -> Option<u64> {
        let own = *self.tags.get(place)? == tag;
        self.words.get(place).filter(|_| own).copied()
    }

    /// `true`: nobody had the place before.
    fn write(&mut self, place: usize, tag: u64, word: u64, over_at_s: u64) -> bool {
        let (Some(held), Some(old), Some(over)) = (
            self.tags.get_mut(place),
            self.words.get_mut(place),
            self.over_at_s.get_mut(place),
        ) else {
            return false;
        };
        let first = *held == 0;
        *held = tag;
        *old = word;
        *over = u32::try_from(over_at_s).unwrap_or(u32::MAX);
        first
    }
}

/// A process lives for less than a century.
fn seconds(at: Moment) -> u32 {
    u32::try_from(at.since_start_ns / 1_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_two_cache_lines() {
        assert_eq!(size_of::<Shelf>(), 128);
    }

    #[test]
    fn an_address_is_known_by_what_its_holder_cannot_change() {
        let ips = Ips::new(1000);
        let tag = |ip: &str| ips.spot(1, 2, ip.parse().unwrap()).tag;
        assert_eq!(tag("203.0.113.9"), tag("::ffff:203.0.113.9"));
        assert_ne!(tag("203.0.113.9"), tag("203.0.113.10"));
        assert_eq!(tag("2001:db8::1"), tag("2001:db8::ffff:0:1"));
        assert_ne!(tag("2001:db8::1"), tag("2001:db8:0:1::1"));
        let ip = "203.0.113.9".parse().unwrap();
        assert_ne!(ips.spot(1, 2, ip).tag, ips.spot(1, 3, ip).tag);
        assert_ne!(ips.spot(1, 2, ip).tag, ips.spot(2, 2, ip).tag);
    }
}
