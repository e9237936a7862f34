//! A row of the books: numbers that one thread writes and any may read as an equation
//! that holds. Never knows whose row it is.
//!
//! At any moment `received + carried = forwarded + spooled + dropped + in flight`, and a
//! reader sees it hold, though it reads one number after the other:
//!
//! - The writer counts an item as received before its bytes, and its bytes as ended
//!   before the item; each of its stores releases what it stored before.
//! - The reader goes the other way, and each of its loads acquires: items that ended,
//!   bytes that ended, bytes that came, items that came.
//!
//! So an end that is seen brings the sight of its beginning, and nothing in flight is
//! ever negative. And where the items leave nothing in flight the bytes are exact: one
//! byte of a further item, seen in between, would have brought the sight of that item.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::domain::category::Category;
use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;

use super::Account;

/// One worker's row. Its owner alone has it, so that two threads never write one.
///
/// An item is received once, and once forwarded or dropped; each with as many bytes in
/// sum as it was received with, or the row never closes.
#[derive(Debug)]
pub struct Row {
    counts: Arc<Counts>,
    one_writer: PhantomData<Cell<()>>,
}

impl Row {
    pub(super) fn new(counts: Arc<Counts>) -> Self {
        Self {
            counts,
            one_writer: PhantomData,
        }
    }

    /// Items whose header was read, and their bytes. More bytes of an item that is
    /// still under way are received with no item.
    pub fn received(&self, items: u64, bytes: u64) {
        self.counts.received.items.add(items);
        self.counts.received.bytes.add(bytes);
    }

    /// Items that the upstream took.
    pub fn forwarded(&self, items: u64, bytes: u64) {
        self.counts.forwarded.ended(items, bytes);
    }

    /// Items that are held in the spool from now on. Received before, or
    /// [carried](Self::carried).
    pub fn spooled(&self, items: u64, bytes: u64) {
        self.counts.spooled.ended(items, bytes);
    }

    /// Items that leave the spool: for the upstream, or for good. Call it before what
    /// becomes of them, in a row of their own account and category; that another thread
    /// had spooled them does not matter, the sum over all rows does.
    pub fn left_spool(&self, items: u64, bytes: u64) {
        let less = |n: u64| 0_u64.wrapping_sub(n);
        self.counts.spooled.ended(less(items), less(bytes));
    }

    /// Items that were found in the spool at start.
    pub fn carried(&self, items: u64, bytes: u64) {
        self.counts.carried.items.add(items);
        self.counts.carried.bytes.add(bytes);
        self.spooled(items, bytes);
    }

    /// Items that went no further.
    pub fn dropped(&self, reason: Reason, items: u64, bytes: u64) {
        let dropped = self.counts.dropped.get_or_init(Box::default);
        dropped.of(reason).ended(items, bytes);
    }
}

/// A number with one writer, whose stores are seen in their order.
#[derive(Debug, Default)]
struct Tally(AtomicU64);

impl Tally {
    fn add(&self, n: u64) {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(n);
        self.0.store(sum, Ordering::Release);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Debug, Default)]
struct Amount {
    items: Tally,
    bytes: Tally,
}

impl Amount {
    fn ended(&self, items: u64, bytes: u64) {
        self.bytes.add(bytes);
        self.items.add(items);
    }
}

/// The numbers of a row.
#[derive(Debug, Default)]
pub(super) struct Counts {
    received: Amount,
    /// Found in the spool at start.
    carried: Amount,
    forwarded: Amount,
    /// Held in the spool now.
    spooled: Amount,
    /// Most rows have none.
    dropped: OnceLock<Box<Dropped>>,
}

#[derive(Debug)]
struct Dropped([Amount; Reason::COUNT]);

impl Default for Dropped {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Amount::default()))
    }
}

impl Dropped {
    #[expect(
        clippy::indexing_slicing,
        reason = "as long as Reason::ALL, and `index` is dense in it"
    )]
    fn of(&self, reason: Reason) -> &Amount {
        &self.0[reason.index()]
    }
}

/// So many items, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub items: u64,
    /// How many bytes they have together.
    pub bytes: u64,
}

/// A row summed over all workers, as it stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whose it is.
    pub account: Account,
    /// What it counts.
    pub category: Category,
    /// What came in.
    pub received: Sum,
    /// What lay in the spool at start; nothing is spooled yet.
    pub carried: Sum,
    /// What the upstream took.
    pub forwarded: Sum,
    /// What lies in the spool now.
    pub spooled: Sum,
    /// What went no further, by reason; those without any are left out.
    pub dropped: BTreeMap<Reason, Sum>,
}

impl Line {
    /// The project that it counts for, if that has a number.
    pub(super) fn project(&self) -> Option<ProjectId> {
        match self.account {
            Account::Project(project) => Some(project),
            Account::Other | Account::Unproven => None,
        }
    }

    /// Ends what has not ended: whoever had it is gone.
    pub(super) fn close(&mut self) {
        let left = self.in_flight();
        if left != Sum::default() {
            let sum = self.dropped.entry(Reason::Internal).or_default();
            sum.items = sum.items.wrapping_add(left.items);
            sum.bytes = sum.bytes.wrapping_add(left.bytes);
        }
    }

    /// A row in which nothing has happened.
    #[must_use]
    pub fn empty(account: Account, category: Category) -> Self {
        Self {
            account,
            category,
            received: Sum::default(),
            carried: Sum::default(),
            forwarded: Sum::default(),
            spooled: Sum::default(),
            dropped: BTreeMap::new(),
        }
    }

    /// Adds a worker's row. The order of these reads is what the module's head argues.
    pub(super) fn add(&mut self, counts: &Counts) {
        let dropped: &[Amount] = counts.dropped.get().map_or(&[], |dropped| &dropped.0);
        let mut drops = [Sum::default(); Reason::COUNT];
        add(&mut self.forwarded.items, &counts.forwarded.items);
        add(&mut self.spooled.items, &counts.spooled.items);
        for (sum, amount) in drops.iter_mut().zip(dropped) {
            add(&mut sum.items, &amount.items);
        }
        add(&mut self.forwarded.bytes, &counts.forwarded.bytes);
        add(&mut self.spooled.bytes, &counts.spooled.bytes);
        for (sum, amount) in drops.iter_mut().zip(dropped) {
            add(&mut sum.bytes, &amount.bytes);
        }
        add(&mut self.carried.bytes, &counts.carried.bytes);
        add(&mut self.received.bytes, &counts.received.bytes);
        add(&mut self.carried.items, &counts.carried.items);
        add(&mut self.received.items, &counts.received.items);
        let drops = Reason::ALL.iter().zip(drops);
        for (reason, more) in drops.filter(|(_, more)| *more != Sum::default()) {
            let sum = self.dropped.entry(*reason).or_default();
            sum.items = sum.items.wrapping_add(more.items);
            sum.bytes = sum.bytes.wrapping_add(more.bytes);
        }
    }

    pub(super) fn has_any(&self) -> bool {
        *self != Self::empty(self.account, self.category)
    }

    /// What was begun and has not ended. Where it is no item, the line's bytes are exact.
    #[must_use]
    pub fn in_flight(&self) -> Sum {
        Sum {
            items: self.left(|sum| sum.items),
            bytes: self.left(|sum| sum.bytes),
        }
    }

    /// What is left of one side. Numbers may have gone round, their difference has not:
    /// one that looks negative says that something was ended twice, and is told as none.
    fn left(&self, of: fn(&Sum) -> u64) -> u64 {
        let add = |sum: u64, more: &Sum| sum.wrapping_add(of(more));
        let begun = [self.received, self.carried].iter().fold(0, add);
        let held = [self.forwarded, self.spooled].iter().fold(0, add);
        let left = begun.wrapping_sub(self.dropped.values().fold(held, add));
        if left > u64::MAX / 2 { 0 } else { left }
    }
}

/// Adds what is counted. Strangers announce lengths: a sum may go round, never panic.
fn add(sum: &mut u64, tally: &Tally) {
    *sum = sum.wrapping_add(tally.value());
}
