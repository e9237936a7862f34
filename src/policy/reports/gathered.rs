//! What one thread has dropped since it was last asked. Never waits, and never grows beyond
//! its bounds: what finds no room is counted as lost.

use std::collections::HashMap;

use foldhash::quality::RandomState;

use super::{Added, Dropped, ROWS_MAX, Rows};
use crate::policy::pair::Pair;

/// Senders at a time; most have two or three sums, of some 80 bytes each.
const PAIRS_MAX: usize = 10_000;

/// How many of them nobody vouches for: keys can be made up, and must not push others out.
const STRANGERS_MAX: usize = 1_000;

/// Whether a sender's key is known to be real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Vouched,
    /// It may come to be.
    Stranger,
}

/// One thread's sums, by sender: a key with the project that it was used for.
#[derive(Debug, Default)]
pub struct Gathered {
    pub(super) pairs: HashMap<Pair, (Standing, Rows), RandomState>,
    strangers: usize,
    /// Items for which there was no room.
    pub(super) lost: u64,
}

impl Gathered {
    /// Adds what was dropped of a sender's. What Sentry is not told of is passed over.
    pub fn add(&mut self, pair: Pair, standing: Standing, dropped: Dropped<'_>) {
        if !dropped.counts() {
            return;
        }
        if !self.pairs.contains_key(&pair) && !self.admits(standing) {
            self.lost = self.lost.saturating_add(dropped.items);
            return;
        }
        let empty = || (standing, Rows::default());
        let (_, rows) = self.pairs.entry(pair).or_insert_with(empty);
        if rows.add(dropped, ROWS_MAX) == Added::Lost {
            self.lost = self.lost.saturating_add(dropped.items);
        }
    }

    /// Whether there is room for another sender, and takes it.
    fn admits(&mut self, standing: Standing) -> bool {
        let stranger = standing == Standing::Stranger;
        let admits = self.pairs.len() < PAIRS_MAX && !(stranger && self.strangers >= STRANGERS_MAX);
        self.strangers += usize::from(admits && stranger);
        admits
    }

    /// Whether nothing was dropped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.lost == 0
    }
}
