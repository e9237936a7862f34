//! One count that all workers share. Owns its words and every change of them;
//! never knows its limit, which a reload may change.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use super::Moment;
use super::identity::{Named, Spelled, Whom};
use super::lent::Lent;
use super::measure::{self, Count, Measure};

/// A count, and how far it is written down.
#[derive(Debug)]
pub(super) struct Counter {
    word: AtomicU64,
    /// The mark that is on disk, packed as a window's word.
    reserved: AtomicU64,
    /// The mark beyond which somebody has been asked for the next.
    asked: AtomicU64,
    named: Arc<Named>,
    whom: Whom,
    /// Where edges share their quotas.
    lent: OnceLock<Box<Lent>>,
}

/// What a charge means for the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// More is used than is written down.
    Now,
    /// Soon it will be.
    Soon,
    /// Nothing.
    Not,
}

impl Counter {
    pub(super) fn new(named: &Arc<Named>, whom: Whom) -> Self {
        Self {
            word: AtomicU64::new(0),
            reserved: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            named: Arc::clone(named),
            whom,
            lent: OnceLock::new(),
        }
    }

    pub(super) fn word(&self) -> u64 {
        self.word.load(Relaxed)
    }

    pub(super) fn count(&self) -> Count {
        Count::unpacked(self.word())
    }

    pub(super) fn named(&self) -> &Arc<Named> {
        &self.named
    }

    pub(super) const fn whom(&self) -> Whom {
        self.whom
    }

    /// Its name in the journal.
    pub(super) fn spelled(&self) -> Spelled<'_> {
        Spelled(&self.named.identity, self.whom)
    }

    /// What is lent to this process of it; `None`: nothing was ever asked for.
    pub(super) fn loan(&self) -> Option<&Lent> {
        self.lent.get().map(|lent| &**lent)
    }

    /// The same, which from now on can be asked for.
    pub(super) fn lent(&self) -> &Lent {
        self.lent.get_or_init(Box::default)
    }

    /// How far its count of a window may go, as far as was heard.
    pub(super) fn lease(&self, window: u64) -> Option<u64> {
        self.loan()?.lease(window)
    }

    /// What is used of a window, and of no other.
    pub(super) fn used_of(&self, window: u64) -> u64 {
        let count = self.count();
        match count.tag == Count::of(window, 0).tag {
            true => count.used,
            false => 0,
        }
    }

    /// Its word as it were if all that other edges are known to have used were used here.
    pub(super) fn word_of_all(&self) -> u64 {
        let Some(lent) = self.loan() else {
            return self.word();
        };
        lent.and_others(self.count()).packed()
    }

    /// Its name among the counters of all edges, with a window.
    pub(super) fn name_of(&self, window: u64) -> String {
        format!("{}@{window}", self.spelled())
    }

    /// Charges, and yields the word that this made.
    pub(super) fn charge(&self, measure: &Measure, at: Moment, amount: u64) -> Result<u64, u64> {
        let mut word = self.word();
        // Each failed turn is another thread's change, so somebody gets on.
        loop {
            let next = measure.charged(word, at, amount)?;
            match self
                .word
                .compare_exchange_weak(word, next, Relaxed, Relaxed)
            {
                Ok(_) => return Ok(next),
                Err(seen) => word = seen,
            }
        }
    }

    /// Changes the word, if there is anything to change.
    pub(super) fn change(&self, change: impl Fn(u64) -> Option<u64>) {
        // What cannot be changed stays as it is.
        self.word.fetch_update(Relaxed, Relaxed, change).ok();
    }

    /// Whether a fresh counter would do the same. What is lent it would have to ask for.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        let per = self.named.identity.window_per();
        let is_lent = || {
            let on = per.and_then(|per| per.window(now.unix_s));
            on.is_some_and(|on| self.lease(on.number).is_some())
        };
        measure::is_over(per, self.word(), now) && !is_lent()
    }

    /// Wipes a word that is over, before its tag comes round again.
    pub(super) fn wipe_if_over(&self, now: Moment) {
        let per = self.named.identity.window_per();
        self.change(|word| (word != 0 && measure::is_over(per, word, now)).then_some(0));
    }

    /// Whether the mark covers a count. One of a window that is over needs none.
    pub(super) fn covers(&self, count: Count) -> bool {
        let reserved = Count::unpacked(self.reserved.load(Relaxed));
        reserved.tag != 0 && reserved.or_later(count) == reserved
    }

    /// What a charge that made `after` of the word asks of the journal, with marks `step` ahead.
    /// Each mark is asked for ahead of time once.
    pub(super) fn due(&self, after: u64, step: u64) -> Due {
        let count = Count::unpacked(after);
        if !self.covers(count) {
            return Due::Now;
        }
        let word = self.reserved.load(Relaxed);
        let left = Count::unpacked(word).used.saturating_sub(count.used);
        let first = || self.asked.load(Relaxed) != word && self.asked.swap(word, Relaxed) != word;
        match left < step / 2 && first() {
            true => Due::Soon,
            false => Due::Not,
        }
    }

    /// Notes that a mark is on disk.
    pub(super) fn reserve(&self, mark: Count) {
        raise(&self.reserved, mark);
    }

    /// The mark on disk.
    pub(super) fn reserved(&self) -> Count {
        Count::unpacked(self.reserved.load(Relaxed))
    }

    /// What is used now is what is written down.
    pub(super) fn settle(&self) {
        self.reserved.store(self.word(), Relaxed);
    }

    /// Counts what another process used of a window. That of a window before this one is over.
    pub(super) fn add(&self, more: Count) {
        self.change(|word| {
            let count = Count::unpacked(word);
            let sum = match count.tag == more.tag {
                true => Count {
                    used: count.used.saturating_add(more.used),
                    ..count
                },
                false => count.or_later(more),
            };
            Some(sum.packed())
        });
    }

    /// Takes over what an earlier process wrote down.
    pub(super) fn restore(&self, mark: Count) {
        raise(&self.word, mark);
        raise(&self.reserved, mark);
    }
}

fn raise(word: &AtomicU64, mark: Count) {
    let raised = |word| Some(Count::unpacked(word).or_later(mark).packed());
    word.fetch_update(Relaxed, Relaxed, raised).ok();
}
