//! Two processes that count the same quotas for a while, one handing over to the other. Owns
//! what each may use until the elder is gone; never sends anything from one to the other.
//!
//! Of each window the elder may use an eighth of the limit more than was used when it handed
//! over, and the heir leaves that eighth alone. So both together never use more than the
//! limit; what the elder did not use is the heir's once the elder has said how much it did.
//! An eighth and not a half: the elder only finishes, and what it does not need is refused to
//! nobody but in the last eighth of a window. Of a window that begins meanwhile nothing was
//! used: the same rule holds.
//!
//! Where edges share their quotas, the same is done with what is lent to this one: the elder uses
//! an eighth of what was not used of it, and asks for no more.
//!
//! Only what is written down is shared like this. A rate, and a window by address, begins anew
//! in the heir, as after a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::domain::quota::{Per, Window};

use super::Moment;
use super::counter::Counter;
use super::counters::Counters;
use super::journal::{Mark, live};
use super::measure::number_of;

/// The elder's part of a limit: one in so many.
const PART: u64 = 8;

/// No window begins so late.
const FOR_NOW: u64 = u64::MAX;

/// How this process stands with another one.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    /// This is the elder: it uses what it was left.
    is_elder: AtomicBool,
    /// This is the heir: of windows that began before then, in seconds of Unix time, it leaves
    /// the elder's part alone. 0: of none.
    leaves_until_s: AtomicU64,
}

impl Sharing {
    /// Whether nobody else counts, as nearly always.
    pub(super) fn is_sole(&self) -> bool {
        !self.is_elder.load(Relaxed) && self.leaves_until_s.load(Relaxed) == 0
    }

    /// Whether another process counts, or counted, in a window that began then.
    pub(super) fn is_with_another(&self, begins_s: u64) -> bool {
        self.is_elder.load(Relaxed) || self.leaves_elder(begins_s)
    }

    /// Whether the elder's part of a window that began then is left alone.
    fn leaves_elder(&self, begins_s: u64) -> bool {
        begins_s < self.leaves_until_s.load(Relaxed)
    }

    /// How far a count of a window may go in this process. `most`: how far all of this edge may,
    /// where edges share, and whether that is lent. `counter`: what was counted so far; `None`:
    /// nothing.
    pub(super) fn of(
        &self,
        (per, limit): (Per, u64),
        most: Option<(u64, bool)>,
        on: Window,
        counter: Option<&Counter>,
    ) -> u64 {
        let whole = most.map_or(limit, |(most, _)| most);
        if self.is_elder.load(Relaxed) {
            let handed = counter.map(Counter::reserved);
            let handed = handed.filter(|it| number_of(*it, on.number) == Some(on.number));
            let base = handed.map_or(0, |handed| handed.used);
            let part = match most {
                None => limit.div_ceil(PART),
                Some((most, true)) => most.saturating_sub(base) / PART,
                // What nobody lent to anybody is the heir's.
                Some((_, false)) => 0,
            };
            return whole.min(base.saturating_add(part));
        }
        match self.leaves_elder(per.begins_unix_s(on)) {
            true => whole.saturating_sub(whole.div_ceil(PART)),
            false => whole,
        }
    }
}

/// What the elder used of a window once it had handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlay {
    /// The counter's name for [`Counters::spend`]. No white space.
    pub identity: String,
    /// Which window, and how much of it.
    pub mark: Mark,
}

impl Counters {
    /// Is about to hand over: no charge asks for a journal any more, and none goes by the whole
    /// limit. Before [`settle`](Self::settle), so that none does once its counter was looked at.
    pub fn hand_over(&self) {
        self.disable_journal();
        self.sharing.is_elder.store(true, Relaxed);
        self.look_whether_sole();
    }

    /// Has handed over: what is used now is what the heir begins with. Once nobody writes marks
    /// any more: one that came behind would stand as used. Walks all counters.
    pub fn settle(&self) {
        self.each(|counter| counter.settle());
    }

    /// The heir is gone: all of it is ours again.
    pub fn take_back(&self) {
        self.sharing.is_elder.store(false, Relaxed);
        self.look_whether_sole();
    }

    /// Takes over: an elder still counts.
    pub fn leave_elders_part(&self) {
        self.sharing.leaves_until_s.store(FOR_NOW, Relaxed);
        self.look_whether_sole();
    }

    /// Whether this process took over from another, of which something is left alone.
    #[must_use]
    pub fn has_elder(&self) -> bool {
        self.sharing.leaves_until_s.load(Relaxed) != 0
    }

    /// The elder is gone, and has said what it used.
    pub fn take_elders_part(&self) {
        self.sharing.leaves_until_s.store(0, Relaxed);
        self.look_whether_sole();
    }

    /// The elder is gone without a word, at that second: its part of the windows that it can have
    /// seen counts as used.
    pub fn lose_elders_part(&self, now_s: u64) {
        self.sharing.leaves_until_s.store(now_s.max(1), Relaxed);
        self.look_whether_sole();
    }

    /// What was used since [`hand_over`](Self::hand_over), of the windows that are on. Walks all
    /// counters.
    #[must_use]
    pub fn spent(&self, now: Moment) -> Vec<Outlay> {
        let mut spent = Vec::new();
        self.each(|counter| spent.extend(spent_of(counter, now)));
        // One that was listed lately may come twice.
        spent.sort_by(|one, other| one.identity.cmp(&other.identity));
        spent.dedup_by(|one, other| one.identity == other.identity);
        spent
    }

    /// Counts what the elder used. `false`: nothing that it could have said, or no room.
    pub fn spend(&self, identity: &str, mark: Mark) -> bool {
        self.marked(identity, mark, Counter::add)
    }
}

/// What of a window was used beyond what was written down when it was handed over.
fn spent_of(counter: &Arc<Counter>, now: Moment) -> Option<Outlay> {
    let live = live(counter, now)?;
    let used = live
        .used
        .checked_sub(live.written)
        .filter(|used| *used > 0)?;
    Some(Outlay {
        identity: live.identity().to_string(),
        mark: Mark {
            window: live.window,
            used,
        },
    })
}
