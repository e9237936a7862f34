//! What of one window is lent to this process, beside its counter. Owns the words that workers
//! read and what they leave for whoever asks for more; never asks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::measure::{Count, USED_MAX};

/// A counter's loan. All of it is of the window whose tag it bears; of any other, nothing is lent.
#[derive(Debug, Default)]
pub(super) struct Lent {
    /// How far the count may go.
    lease: AtomicU64,
    /// From which count on more is asked for.
    low: AtomicU64,
    /// What all others had used when that was last heard.
    others: AtomicU64,
    /// What was refused because too little is lent, since that was last taken.
    missed: AtomicU64,
    /// The largest of that.
    largest: AtomicU64,
    /// All of the window is used, wherever.
    spent: AtomicBool,
    /// Somebody is asked to look at it.
    queued: AtomicBool,
}

impl Lent {
    /// How far the count may go; `None`: nothing was heard of that window.
    pub(super) fn lease(&self, window: u64) -> Option<u64> {
        of(&self.lease, window)
    }

    /// Nobody goes further from now on. Who is about to has to be seen afterwards: see
    /// [`leasing`](super::leasing).
    pub(super) fn lower(&self, window: u64, lease: u64) {
        self.lease.store(Count::of(window, lease).packed(), Relaxed);
    }

    /// What was heard of a window: how far its count may go, from where on to ask for more, and
    /// what all others have used.
    pub(super) fn hear(&self, window: u64, [lease, low, others]: [u64; 3], spent: bool) {
        let packed = |amount: u64| Count::of(window, amount.min(USED_MAX)).packed();
        self.low.store(packed(low), Relaxed);
        self.others.store(packed(others), Relaxed);
        self.spent.store(spent, Relaxed);
        self.lease.store(packed(lease), Relaxed);
    }

    /// A count with what all others have used of its window, as far as was heard; where nothing
    /// is used here, theirs.
    pub(super) fn and_others(&self, count: Count) -> Count {
        let others = Count::unpacked(self.others.load(Relaxed));
        match others.tag == count.tag {
            true => Count {
                used: count.used.saturating_add(others.used),
                ..count
            },
            false => count.or_later(others),
        }
    }

    /// Whether more is to be asked for.
    pub(super) fn is_low(&self, window: u64, used: u64) -> bool {
        of(&self.low, window).is_none_or(|low| used >= low)
    }

    /// Whether all of the window is used, wherever.
    pub(super) fn is_spent(&self, window: u64) -> bool {
        self.spent.load(Relaxed) && self.lease(window).is_some()
    }

    /// So much was refused because too little is lent.
    pub(super) fn miss(&self, amount: u64) {
        self.missed.fetch_add(amount, Relaxed);
        self.largest.fetch_max(amount, Relaxed);
    }

    /// What was missed since this was last asked, and the largest of that.
    pub(super) fn take_missed(&self) -> (u64, u64) {
        (self.missed.swap(0, Relaxed), self.largest.swap(0, Relaxed))
    }

    /// Whether anything was since.
    pub(super) fn has_missed(&self) -> bool {
        self.missed.load(Relaxed) > 0
    }

    /// Whether this is the first to queue it.
    pub(super) fn queue(&self) -> bool {
        !self.queued.load(Relaxed) && !self.queued.swap(true, Relaxed)
    }

    pub(super) fn unqueue(&self) {
        self.queued.store(false, Relaxed);
    }
}

fn of(word: &AtomicU64, window: u64) -> Option<u64> {
    let count = Count::unpacked(word.load(Relaxed));
    (count.tag == Count::of(window, 0).tag).then_some(count.used)
}
