//! Who is largest of more than can be counted: a bounded table that keeps whoever is a large part
//! of all (Metwally, Agrawal and El Abbadi: Space-Saving). Never asks what it counts.

use std::collections::HashMap;
use std::hash::Hash;

/// What somebody sent, and what of it went no further.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Items.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Items that were dropped.
    pub dropped: u64,
}

impl Sent {
    /// The sum of both.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            items: self.items.saturating_add(more.items),
            bytes: self.bytes.saturating_add(more.bytes),
            dropped: self.dropped.saturating_add(more.dropped),
        }
    }

    /// What is left without those.
    #[must_use]
    pub fn without(self, those: Self) -> Self {
        Self {
            items: self.items.saturating_sub(those.items),
            bytes: self.bytes.saturating_sub(those.bytes),
            dropped: self.dropped.saturating_sub(those.dropped),
        }
    }

    /// So many times as much.
    #[must_use]
    pub fn times(self, n: u64) -> Self {
        Self {
            items: self.items.saturating_mul(n),
            bytes: self.bytes.saturating_mul(n),
            dropped: self.dropped.saturating_mul(n),
        }
    }

    /// What it counts for in the choice of who is kept: an item as much as a kilobyte, so that
    /// neither many small ones nor a few large ones are lost sight of.
    #[must_use]
    pub fn weight(self) -> u64 {
        self.items.saturating_add(self.bytes / 1024)
    }
}

/// The largest of all that were counted, each with something that is remembered of it.
///
/// What it tells of one is never too much; it is too little by at most [`doubt`](Self::doubt), for
/// one that came, went and came again. Whoever's weight is more than the `most`th part of all is in
/// it.
#[derive(Debug)]
pub struct Heavy<K, T = ()> {
    most: usize,
    counts: HashMap<K, Counted<T>>,
}

#[derive(Debug, Default)]
struct Counted<T> {
    /// What it sent since it is here.
    sent: Sent,
    /// The weight of whose place it took: it may have had as much before.
    before: u64,
    also: T,
}

impl<T> Counted<T> {
    fn weight(&self) -> u64 {
        self.before.saturating_add(self.sent.weight())
    }
}

impl<K: Clone + Eq + Hash, T: Default> Heavy<K, T> {
    /// Nobody yet, and never more than `most`.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            counts: HashMap::new(),
        }
    }

    /// Counts what somebody sent, and yields what is remembered of them. Where there is no room, the
    /// least goes: some hundred steps.
    pub fn add(&mut self, who: K, sent: Sent) -> &mut T {
        let mut before = 0;
        if self.counts.len() >= self.most && !self.counts.contains_key(&who) {
            let least = self.counts.iter().min_by_key(|(_, count)| count.weight());
            if let Some((least, weight)) = least.map(|(who, count)| (who.clone(), count.weight())) {
                self.counts.remove(&least);
                before = weight;
            }
        }
        let count = self.counts.entry(who).or_insert_with(|| Counted {
            before,
            ..Counted::default()
        });
        count.sent = count.sent.and(sent);
        &mut count.also
    }

    /// All that are here, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, Sent, &T)> {
        let counts = self.counts.iter();
        counts.map(|(who, count)| (who, count.sent, &count.also))
    }

    /// What one sent that is here.
    #[must_use]
    pub fn of(&self, who: &K) -> Option<(Sent, &T)> {
        let count = self.counts.get(who)?;
        Some((count.sent, &count.also))
    }

    /// By how much what is told of anybody may be too little.
    #[must_use]
    pub fn doubt(&self) -> u64 {
        let before = self.counts.values().map(|count| count.before);
        before.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(items: u64) -> Sent {
        Sent {
            items,
            ..Sent::default()
        }
    }

    #[test]
    fn while_there_is_room_all_is_exact() {
        let mut heavy: Heavy<u32> = Heavy::new(2);
        for (who, count) in [(1, 5), (2, 1), (1, 5)] {
            heavy.add(who, items(count));
        }
        assert_eq!(heavy.of(&1).unwrap().0, items(10));
        assert_eq!(heavy.of(&2).unwrap().0, items(1));
        assert_eq!(heavy.doubt(), 0);
    }

    #[test]
    fn the_least_makes_room_and_leaves_its_doubt() {
        let mut heavy: Heavy<u32, u8> = Heavy::new(2);
        *heavy.add(1, items(5)) = 7;
        heavy.add(2, items(3));
        heavy.add(3, items(1));
        assert!(heavy.of(&2).is_none());
        assert_eq!(heavy.of(&3).unwrap().0, items(1), "no more than it sent");
        assert_eq!(heavy.of(&1).unwrap(), (items(5), &7));
        assert_eq!(heavy.doubt(), 3);
    }

    #[test]
    fn a_few_large_ones_are_kept_as_many_small_ones_are() {
        let mut heavy: Heavy<u32> = Heavy::new(2);
        let large = Sent {
            items: 1,
            bytes: 50 << 20,
            dropped: 0,
        };
        heavy.add(0, large);
        for who in 1..1_000 {
            heavy.add(who % 7 + 1, items(1));
        }
        assert_eq!(heavy.of(&0).unwrap().0, large);
    }

    proptest! {
        /// Held against exact counts.
        #[test]
        fn who_is_a_large_part_is_here_and_what_is_told_is_never_too_much(
            most in 1_usize..12,
            all in prop::collection::vec((0_u8..30, 0_u64..20, 0_u64..9_000), 1..400),
        ) {
            let mut heavy: Heavy<u8> = Heavy::new(most);
            let mut exact: HashMap<u8, Sent> = HashMap::new();
            let mut total = 0;
            for (who, items, bytes) in all {
                let sent = Sent { items, bytes: bytes * 1024, dropped: items / 2 };
                total += sent.weight();
                heavy.add(who, sent);
                let sum = exact.entry(who).or_default();
                *sum = sum.and(sent);
            }
            prop_assert!(heavy.iter().count() <= most);
            let share = total / u64::try_from(most).unwrap();
            prop_assert!(heavy.doubt() <= share, "{} of {share}", heavy.doubt());
            for (who, sent) in exact {
                let told = heavy.of(&who).map(|(sent, _)| sent);
                prop_assert!(told.is_some() || sent.weight() <= share, "{who} is missing");
                let told = told.unwrap_or_default();
                prop_assert!(told.items <= sent.items && told.bytes <= sent.bytes);
                prop_assert!(told.dropped <= sent.dropped);
                let least = sent.weight().saturating_sub(share);
                prop_assert!(told.weight() >= least, "{who}: {told:?} of {sent:?}");
            }
        }
    }
}
