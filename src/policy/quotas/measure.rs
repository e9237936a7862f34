//! The arithmetic of one count: a word, what a charge makes of it, and when it
//! means nothing any more. Pure: never holds the word, so that counters and the
//! table of addresses share it.
//!
//! The word of a rate is the time at which its bucket is full. The word of a window
//! is the window's tag (16 bits) and what is used of it (48 bits). Tags come round
//! after 65535 windows, a month and a half of minutes; sweeps see each word more
//! often than that. None is 0, so that a word of 0 is a window nobody has used.

use crate::domain::quota::{Limit, Per, Quota, Window};
use crate::policy::gcra::Pace;

use super::Moment;

const USED_BITS: u32 = 48;

/// The most that a window counts to; a higher limit stands for this one.
pub(super) const USED_MAX: u64 = (1 << USED_BITS) - 1;

const TAGS: u64 = (1 << (64 - USED_BITS)) - 1;

const SECOND_NS: u64 = 1_000_000_000;

/// How long a thread's time may lie behind another's and still find its counts where they were.
const GRACE_S: u64 = 10;

/// Which window a word is of, and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) tag: u64,
    pub(super) used: u64,
}

impl Count {
    pub(super) fn unpacked(word: u64) -> Self {
        Self {
            tag: word >> USED_BITS,
            used: word & USED_MAX,
        }
    }

    pub(super) fn packed(self) -> u64 {
        self.tag << USED_BITS | self.used.min(USED_MAX)
    }

    /// The count of a window, by its number.
    pub(super) fn of(number: u64, used: u64) -> Self {
        Self {
            tag: tag(number),
            used,
        }
    }

    /// The higher of two counts of one window, or the one of the later window.
    pub(super) fn or_later(self, other: Self) -> Self {
        let ahead = (TAGS + other.tag - self.tag) % TAGS;
        match ahead {
            _ if self.tag == 0 => other,
            0 if other.used <= self.used => self,
            ahead if ahead < TAGS / 2 => other,
            _ => self,
        }
    }
}

fn tag(number: u64) -> u64 {
    number % TAGS + 1
}

/// The window that a count is of, seen from the one that is on. `None`: neither that nor the next.
pub(super) fn number_of(count: Count, on: u64) -> Option<u64> {
    let next = on.saturating_add(1);
    match count.tag {
        seen if seen == tag(on) => Some(on),
        seen if seen == tag(next) => Some(next),
        _ => None,
    }
}

/// What is measured, and how much of it is admitted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Measure {
    Rate(Pace),
    Window { per: Per, limit: u64 },
}

impl Measure {
    pub(super) fn new(quota: &Quota) -> Self {
        let limit = quota.limit.number();
        match quota.per {
            Per::Rate(time) => {
                let per_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                Self::Rate(Pace::new(limit, per_ns))
            }
            per @ (Per::Window { .. } | Per::Month) => Self::Window {
                per,
                limit: limit.min(USED_MAX),
            },
        }
    }

    /// The same for a twentieth of the limit, and at least one.
    pub(super) fn twentieth(quota: &Quota) -> Self {
        let part = |limit: u64| limit.div_ceil(20);
        Self::new(&Quota {
            limit: match quota.limit {
                Limit::Items(limit) => Limit::Items(part(limit)),
                Limit::Bytes(limit) => Limit::Bytes(part(limit)),
            },
            ..quota.clone()
        })
    }

    /// The word once so much is charged.
    ///
    /// # Errors
    /// No room: in how many seconds there may be, at least 1.
    pub(super) fn charged(&self, word: u64, at: Moment, amount: u64) -> Result<u64, u64> {
        match self {
            Self::Rate(pace) => pace
                .taken(word, at.since_start_ns, amount)
                .map_err(|wait_ns| wait_ns.div_ceil(SECOND_NS).max(1)),
            Self::Window { per, limit } => {
                let (count, on) = counted(*per, word, at);
                // A limit of 0 is a switch: it stops what weighs nothing, too.
                if *limit > 0 && amount <= limit.saturating_sub(count.used) {
                    let used = count.used + amount;
                    return Ok(Count { used, ..count }.packed());
                }
                let ends_unix_s = ends(*per, count, on);
                Err(ends_unix_s.saturating_sub(at.unix_s).max(1))
            }
        }
    }

    /// The word once a charge is taken back that had just made `after` of it. `None`: nothing to
    /// take back.
    pub(super) fn undone(&self, word: u64, after: u64, amount: u64) -> Option<u64> {
        match self {
            // Once others have moved it nobody can tell what has leaked in between.
            Self::Rate(pace) if word == after => {
                Some(word.saturating_sub(pace.cost_ns(amount).unwrap_or_default()))
            }
            Self::Rate(_) => None,
            Self::Window { .. } => lowered(word, Count::unpacked(after).tag, amount),
        }
    }

    /// The word once what was charged a while ago is given back. `None`: nothing to give.
    pub(super) fn given_back(
        &self,
        word: u64,
        now: Moment,
        charged: Moment,
        amount: u64,
    ) -> Option<u64> {
        match self {
            Self::Rate(pace) => {
                let (now_ns, charged_ns) = (now.since_start_ns, charged.since_start_ns);
                let given = pace.given_back(word, now_ns, charged_ns, amount);
                (given != word).then_some(given)
            }
            Self::Window { per, .. } => {
                let window = per.window(charged.unix_s)?;
                lowered(word, tag(window.number), amount)
            }
        }
    }

    /// When the word will be over, in seconds since the start.
    pub(super) fn over_at_s(&self, word: u64, at: Moment) -> u64 {
        match self {
            Self::Rate(_) => word / SECOND_NS + 2,
            Self::Window { per, .. } => {
                let (count, on) = counted(*per, word, at);
                let left_s = ends(*per, count, on).saturating_sub(at.unix_s);
                (at.since_start_ns / SECOND_NS).saturating_add(left_s.saturating_add(GRACE_S))
            }
        }
    }

    /// How much is used, and of how much.
    pub(super) fn used(&self, word: u64, at: Moment) -> (u64, u64) {
        match self {
            Self::Rate(pace) => pace.used(word, at.since_start_ns),
            Self::Window { per, limit } => (counted(*per, word, at).0.used, *limit),
        }
    }

    /// How much is used, as a part of one.
    pub(super) fn used_ratio(&self, word: u64, at: Moment) -> f64 {
        const WHOLE: u32 = 1_000_000;
        let (used, most) = self.used(word, at);
        if most == 0 {
            return 1.0;
        }
        let parts = u128::from(used) * u128::from(WHOLE) / u128::from(most);
        let parts = u32::try_from(parts).unwrap_or(WHOLE).min(WHOLE);
        f64::from(parts) / f64::from(WHOLE)
    }
}

/// What a charge at this time finds, and the window that is on. Another thread's clock may be a
/// little ahead and have begun the next one; anything else is over, or a clock that jumped.
fn counted(per: Per, word: u64, at: Moment) -> (Count, Window) {
    // Rates never come here; a window that is always on refuses rather than admits.
    let on = per.window(at.unix_s).unwrap_or(Window {
        number: 0,
        ends_unix_s: u64::MAX,
    });
    let count = Count::unpacked(word);
    match number_of(count, on.number) {
        Some(_) => (count, on),
        None => (Count::of(on.number, 0), on),
    }
}

/// When a count's window ends, seen from the one that is on.
fn ends(per: Per, count: Count, on: Window) -> u64 {
    match count.tag == tag(on.number) {
        true => on.ends_unix_s,
        false => per
            .window(on.ends_unix_s)
            .map_or(on.ends_unix_s, |next| next.ends_unix_s),
    }
}

/// Whether a word is over; a `per` of `None` is a rate's. Counts of the window that has just ended
/// stay for a moment, for threads that have yet to hear of it.
pub(super) fn is_over(per: Option<Per>, word: u64, now: Moment) -> bool {
    let Some(per) = per else {
        return word.saturating_add(SECOND_NS) <= now.since_start_ns;
    };
    let count = Count::unpacked(word);
    let live = |unix_s: u64| {
        let on = per.window(unix_s);
        on.is_some_and(|on| number_of(count, on.number).is_some())
    };
    count.used == 0 || !(live(now.unix_s) || live(now.unix_s.saturating_sub(GRACE_S)))
}

fn lowered(word: u64, tag: u64, amount: u64) -> Option<u64> {
    let count = Count::unpacked(word);
    let used = count.used.saturating_sub(amount);
    (count.tag == tag && amount > 0).then(|| Count { tag, used }.packed())
}
