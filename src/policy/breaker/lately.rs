//! What a breaker heard in the last seconds. Owns the counts, shared by all workers;
//! never decides what follows from them.

use super::super::atomic::{AtomicU64, Ordering::Relaxed};
use super::super::millis::Millis;
use super::super::word;
use super::standing::{TERM_BITS, low};
use super::{Heard, WINDOW_MS};

/// Half of at least so many being ill opens it: an upstream that answers every other request costs
/// each client its deadline.
const HEARD_MIN: u64 = 20;

/// The window moves in steps of this: between 8 and 10 seconds are counted.
const SLOT_MS: u64 = 2000;

/// As many as fill the window.
const SLOTS: usize = 5;

/// The last seconds of one term; what is of another does not count.
#[derive(Debug)]
pub(super) struct Lately([AtomicU64; SLOTS]);

impl Lately {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    pub(super) fn count(&self, now: Millis, term: u64, heard: Heard) {
        let epoch = now.0 / SLOT_MS;
        let Some(slot) = self.slot(epoch) else { return };
        word::change(slot, |word| {
            let tally = Tally::unpacked(word).of(Tally::tag(epoch, term));
            Some((tally.with(heard).packed(), ()))
        });
    }

    /// Whether at least half is ill, of enough to tell.
    pub(super) fn is_half_ill(&self, now: Millis, term: u64) -> bool {
        let newest = now.0 / SLOT_MS;
        let oldest = (newest + 1).saturating_sub(WINDOW_MS / SLOT_MS);
        let (mut heard, mut ill) = (0, 0);
        for epoch in oldest..=newest {
            let word = self.slot(epoch).map_or(0, |slot| slot.load(Relaxed));
            let tally = Tally::unpacked(word).of(Tally::tag(epoch, term));
            heard += tally.heard;
            ill += tally.ill;
        }
        heard >= HEARD_MIN && ill * 2 >= heard
    }

    fn slot(&self, epoch: u64) -> Option<&AtomicU64> {
        let slots = u64::try_from(SLOTS).ok()?;
        self.0.get(usize::try_from(epoch % slots).ok()?)
    }
}

/// What was heard in two seconds of one term.
#[derive(Debug, Clone, Copy)]
struct Tally {
    /// Which seconds, and which term. Wraps after three weeks.
    tag: u64,
    heard: u64,
    ill: u64,
}

const TALLY_BITS: u32 = 16;
const EPOCH_BITS: u32 = 20;

impl Tally {
    const fn tag(epoch: u64, term: u64) -> u64 {
        low(epoch, EPOCH_BITS) << TERM_BITS | term
    }

    const fn unpacked(word: u64) -> Self {
        Self {
            tag: word >> (TALLY_BITS * 2),
            heard: low(word >> TALLY_BITS, TALLY_BITS),
            ill: low(word, TALLY_BITS),
        }
    }

    const fn packed(self) -> u64 {
        (self.tag << TALLY_BITS | self.heard) << TALLY_BITS | self.ill
    }

    /// Itself if it is of these seconds and this term, else an empty one that is.
    const fn of(self, tag: u64) -> Self {
        match self.tag == tag {
            true => self,
            false => Self {
                tag,
                heard: 0,
                ill: 0,
            },
        }
    }

    fn with(self, heard: Heard) -> Self {
        // Where a count is full, halves keep what it is for: which part was ill.
        let full = self.heard == low(u64::MAX, TALLY_BITS);
        let halved = |count: u64| if full { count / 2 } else { count };
        Self {
            tag: self.tag,
            heard: halved(self.heard) + 1,
            ill: halved(self.ill) + u64::from(heard == Heard::Ill),
        }
    }
}
