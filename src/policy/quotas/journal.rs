//! What has to be on disk so that no restart admits anything twice: for each
//! window a mark that nothing forwarded ever stands above. Owns how far ahead
//! marks lie; never writes them.
//!
//! A mark is at most a hundredth of the limit above what is used, and for limits
//! below a hundred exactly that. After a crash the count starts from its last mark:
//! never below what was used, and above it by that hundredth and what clients that
//! left were given back.

use std::fmt;
use std::sync::Arc;

use super::Moment;
use super::counter::Counter;
use super::counters::Counters;
use super::identity;
use super::measure::{Count, USED_MAX, number_of};

/// A window whose charge is not covered by what is on disk. Holds its counter.
#[derive(Debug, Clone)]
pub struct Unreserved {
    counter: Arc<Counter>,
    /// The word that the charge made.
    after: u64,
    limit: u64,
    /// The window that was on then.
    number: u64,
}

/// How much of a window is spoken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The window's number.
    pub window: u64,
    /// Up to here.
    pub used: u64,
}

/// A count that is worth writing down.
#[derive(Debug)]
pub struct LiveWindow {
    counter: Arc<Counter>,
    /// The window's number.
    pub window: u64,
    /// What is used.
    pub used: u64,
    /// What is written down of it.
    pub written: u64,
    /// What the process may use without asking again: a compaction must not write less, or the
    /// next charges go beyond what is on disk.
    pub reserved: u64,
}

impl Unreserved {
    pub(super) fn new(counter: &Arc<Counter>, after: u64, limit: u64, number: u64) -> Self {
        Self {
            counter: Arc::clone(counter),
            after,
            limit,
            number,
        }
    }

    /// The counter's name for [`Counters::restore`]. No white space.
    #[must_use]
    pub fn identity(&self) -> impl fmt::Display + '_ {
        self.counter.spelled()
    }

    /// Whether the charge is covered by now: another's mark may have been enough.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        self.counter.covers(Count::unpacked(self.after))
    }

    /// The mark to write now: it covers everything charged so far, and a step. `None`: the window
    /// is long over and needs none.
    #[must_use]
    pub fn next_mark(&self) -> Option<Mark> {
        let count = self.counter.count();
        let window = number_of(count, self.number)?;
        let ahead = count.used.saturating_add(self.limit / 100);
        // Above the limit nothing is ever charged.
        let used = ahead.min(self.limit).max(count.used);
        Some(Mark { window, used })
    }

    /// Notes that the mark is on disk. From now on it covers charges, so never before it is.
    pub fn reserved(&self, mark: Mark) {
        self.counter.reserve(Count::of(mark.window, mark.used));
    }
}

impl LiveWindow {
    /// The counter's name for [`Counters::restore`]. No white space.
    #[must_use]
    pub fn identity(&self) -> impl fmt::Display + '_ {
        self.counter.spelled()
    }
}

impl Counters {
    /// Takes up what an earlier process wrote, before anything is charged. Of several marks of one
    /// counter the highest of the latest window stands, in whatever order they come.
    ///
    /// `false`: nothing that this process could have written, or no room.
    pub fn restore(&self, identity: &str, mark: Mark) -> bool {
        self.marked(identity, mark, Counter::restore)
    }

    /// Changes the counter of that name by what another process says of it.
    pub(super) fn marked(
        &self,
        identity: &str,
        mark: Mark,
        change: impl FnOnce(&Counter, Count),
    ) -> bool {
        let Some((identity, whom)) = identity::read(identity) else {
            return false;
        };
        if !identity.is_kept() {
            return false;
        }
        let named = self.named(identity);
        let count = Count::of(mark.window, mark.used.min(USED_MAX));
        self.restored(&named, whom, |counter| change(counter, count))
    }

    /// Every window that is in use, for a compaction or a clean stop. Walks all counters: for the
    /// control thread.
    #[must_use]
    pub fn marks(&self, now: Moment) -> Vec<LiveWindow> {
        let mut marks = Vec::new();
        self.each(|counter| marks.extend(live(counter, now)));
        marks
    }
}

pub(super) fn live(counter: &Arc<Counter>, now: Moment) -> Option<LiveWindow> {
    let identity = &counter.named().identity;
    let per = identity.window_per().filter(|_| identity.is_kept())?;
    let on = per.window(now.unix_s)?;
    let (count, reserved) = (counter.count(), counter.reserved());
    let window = number_of(count, on.number)?;
    let ahead = match reserved.tag == count.tag {
        true => reserved.used,
        false => 0,
    };
    (count.used > 0 || ahead > 0).then(|| LiveWindow {
        counter: Arc::clone(counter),
        window,
        used: count.used,
        written: ahead,
        reserved: ahead.max(count.used),
    })
}
