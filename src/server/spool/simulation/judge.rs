//! What was promised to whom, and what came of it. Knows nothing of how it came about.

use std::collections::{HashMap, HashSet};

use super::senders::Item;
use crate::domain::outcome::Reason;

/// What became of something that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Its sender was answered 200: it lies in the log, or has left it for the upstream.
    Owed,
    /// Written down perhaps: its sender was not answered, or refused.
    Offered,
    /// The upstream said that it has it.
    Taken,
    /// Given up, for this reason.
    Dropped(Reason),
}

/// The judge.
#[derive(Default)]
pub(super) struct Judge {
    /// By its place in the order of what was ever offered to the log.
    kept: HashMap<u64, (Item, Kept)>,
    arrived: HashMap<u64, u32>,
    /// What may arrive again, since nobody knew whether it had.
    ambiguous: HashSet<u64>,
    pub(super) promised: u64,
    pub(super) twice: u64,
    pub(super) expired: u64,
}

impl Judge {
    /// The upstream has taken it.
    pub(super) fn arrives(&mut self, id: u64) {
        let times = self.arrived.entry(id).or_default();
        *times += 1;
        if *times > 1 {
            self.twice += 1;
            assert!(
                self.ambiguous.contains(&id),
                "{id} arrives again, for no reason"
            );
        }
    }

    /// Nobody knows whether the upstream has it.
    pub(super) fn doubts(&mut self, id: u64) {
        self.ambiguous.insert(id);
    }

    /// Its sender was answered by the upstream: it has it.
    pub(super) fn forwarded(&mut self, id: u64) {
        self.promised += 1;
        assert!(
            self.arrived.contains_key(&id),
            "{id} was answered, and is not there"
        );
    }

    pub(super) fn offered(&mut self, order: u64, item: Item) {
        let before = self.kept.insert(order, (item, Kept::Offered));
        assert!(before.is_none(), "an order that was given before");
    }

    /// Its sender was answered 200, since it is on disk.
    pub(super) fn owes(&mut self, order: u64) {
        self.promised += 1;
        self.of(order).1 = Kept::Owed;
    }

    /// The edge says that the upstream has it.
    pub(super) fn taken(&mut self, order: u64) {
        let id = self.of(order).0.id;
        assert!(
            self.arrived.contains_key(&id),
            "{id} is done with, and is not there"
        );
        self.of(order).1 = Kept::Taken;
    }

    pub(super) fn dropped(&mut self, order: u64, reason: Reason) {
        self.expired += u64::from(reason == Reason::SpoolExpired);
        self.of(order).1 = Kept::Dropped(reason);
    }

    fn of(&mut self, order: u64) -> &mut (Item, Kept) {
        self.kept.get_mut(&order).expect("what was never offered")
    }

    pub(super) fn item(&self, order: u64) -> Item {
        self.kept[&order].0
    }

    /// A start found these in the log, and no others.
    pub(super) fn found(&mut self, orders: &HashSet<u64>, forgets: bool) {
        for (order, (item, kept)) in &mut self.kept {
            let is_there = orders.contains(order);
            match *kept {
                Kept::Owed => assert!(is_there, "{} is lost", item.id),
                Kept::Offered if is_there => *kept = Kept::Owed,
                Kept::Taken | Kept::Dropped(_) if is_there => {
                    assert!(forgets, "{} comes back from a clean stop", item.id);
                    // A crash forgets acks: it is sent once more.
                    self.ambiguous.insert(item.id);
                    *kept = Kept::Owed;
                }
                Kept::Offered | Kept::Taken | Kept::Dropped(_) => {}
            }
        }
        for order in orders {
            assert!(self.kept.contains_key(order), "{order} was never offered");
        }
    }

    /// Nothing is owed any more.
    pub(super) fn closes(&self) {
        let mut owed = self.kept.values().filter(|(_, kept)| *kept == Kept::Owed);
        assert!(owed.next().is_none(), "something is owed for ever");
    }
}
