//! This edge among those that share quotas: whether the pool hears it, whom it knows, and what it
//! may do meanwhile. Owns the order of a return: first what is held is claimed, then it reports
//! to be there, since until then all others leave it its part; never sends anything.

use super::Moment;
use super::leasing::{
    AWAY_WINDOWS_S, PRESENT_MS, REPORT_WITHIN_MS, ROLL_MS, SETTLE_MS, SKEW_S, Standing, Unasked,
};

const MS_NS: u64 = 1_000_000;

/// From one report to the next.
const REPORT_EVERY_NS: u64 = 1000 * MS_NS;

/// What an edge says to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// It goes by one in so many; 0: by no part.
    pub one_in: u64,
    /// The pool's time, in milliseconds, from which on it is of no use.
    pub until_ms: u64,
}

/// What the pool says to a report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roll {
    /// The pool's time, in milliseconds.
    pub at_ms: u64,
    /// It knew this edge already.
    pub known: bool,
    /// This edge's part is one in so many; 0: none is free.
    pub one_in: u64,
    /// Edges that are there, this one included.
    pub present: u64,
    /// All of them, those that are away for a while as well.
    pub sharers: u64,
    /// Those that are away and have a part, or the first of them.
    pub absent: Vec<Absent>,
    /// What the rest of them have together, of [`WHOLE`](super::WHOLE).
    pub absent_more: u64,
}

/// An edge that is away for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// Its name.
    pub edge: String,
    /// Its part is one in so many at most.
    pub one_in: u64,
}

/// How an edge stands with the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// It has yet to reach it.
    New,
    /// It is heard.
    Joined,
    /// It was, a moment ago.
    Away,
}

/// This edge among the others.
#[derive(Debug)]
pub struct Membership {
    /// Which pool it was that was reached last, in its own words.
    pool: Option<String>,
    /// It is reached, and all that is held is being claimed.
    claims: bool,
    /// That has yet to begin.
    walks: bool,
    reached: bool,
    /// A report was confirmed since.
    heard: bool,
    settles_until_ns: u64,
    /// When the last report was sent that the pool may have heard, and that it has confirmed.
    sent: Option<Moment>,
    confirmed: Option<Moment>,
    cold: Option<Unasked>,
    /// The part of an earlier process of the same edge.
    earlier_one_in: u64,
    report_at_ns: u64,
    /// The pool's time at some moment of this process.
    pool_ms: (u64, Moment),
    roll: Roll,
}

impl Membership {
    /// One that has reached nobody yet; an earlier process of the same edge went by a part of one
    /// in so many, 0: there was none.
    #[must_use]
    pub fn new(one_in: u64) -> Self {
        Self {
            pool: None,
            claims: false,
            walks: false,
            reached: false,
            heard: false,
            settles_until_ns: 0,
            sent: None,
            confirmed: None,
            cold: None,
            earlier_one_in: one_in,
            report_at_ns: 0,
            pool_ms: (0, Moment::default()),
            roll: Roll {
                sharers: one_in.max(1),
                ..Roll::default()
            },
        }
    }

    /// A pool is reached; `name` tells it from what it was before it last lost anything, it
    /// has been there for so long, and its time was `pool_ms` before `now`. Claims are due now.
    pub fn reached(&mut self, now: Moment, name: &str, (up_ms, pool_ms): (u64, u64)) {
        let settles_ms = match &self.pool {
            Some(before) if before == name => 0,
            // What others hold they claim within that time.
            Some(_) => SETTLE_MS,
            None => SETTLE_MS.saturating_sub(up_ms),
        };
        self.pool = Some(name.to_owned());
        self.pool_ms = (pool_ms, now);
        self.settle(now, settles_ms);
        (self.reached, self.heard) = (true, false);
        (self.claims, self.walks) = (true, true);
    }

    fn settle(&mut self, now: Moment, for_ms: u64) {
        let until_ns = now.since_start_ns.saturating_add(for_ms * MS_NS);
        self.settles_until_ns = self.settles_until_ns.max(until_ns);
    }

    /// Whether all that is held has to be claimed before anything else.
    #[must_use]
    pub const fn is_claiming(&self) -> bool {
        self.claims
    }

    /// The same, and nobody has begun yet: true once. What workers are to go by comes first.
    pub const fn begins_claiming(&mut self) -> bool {
        std::mem::replace(&mut self.walks, false)
    }

    /// All of it is claimed, and was confirmed.
    pub fn claimed(&mut self) {
        self.claims = false;
        self.report_at_ns = 0;
    }

    /// Whether more may be taken of the pool: by what is known of others, which must not be old.
    #[must_use]
    pub fn takes(&self, now: Moment) -> bool {
        let recent = self.confirmed.is_some_and(|sent| {
            now.since_start_ns.saturating_sub(sent.since_start_ns) < ROLL_MS * MS_NS
        });
        self.heard && recent && !self.claims && now.since_start_ns >= self.settles_until_ns
    }

    /// The report that is due. `newest_s`: when the latest window of all counters began. Of the
    /// one before it something may be used here that was never claimed, while others are in it
    /// for [`SKEW_S`] more.
    pub fn report(&mut self, now: Moment, newest_s: impl Fn() -> u64) -> Option<Report> {
        let due = self.reached && !self.claims && now.since_start_ns >= self.report_at_ns;
        if due && self.heard && self.was_given_up(now) {
            // Nothing was said for so long that all others leave it its part, as to one that is
            // cut off.
            self.heard = false;
            (self.claims, self.walks) = (true, true);
            return None;
        }
        let away = self.away(now).filter(|_| due && !self.heard);
        let waits = away.is_some_and(|away| {
            let newest_s = newest_s();
            newest_s >= away.from_s && now.unix_s <= newest_s.saturating_add(SKEW_S)
        });
        if !due || waits {
            return None;
        }
        self.sent = Some(now);
        let (pool_ms, known_at) = self.pool_ms;
        let since_ns = now.since_start_ns.saturating_sub(known_at.since_start_ns);
        Some(Report {
            one_in: self.roll.one_in,
            until_ms: pool_ms.saturating_add(since_ns / MS_NS + REPORT_WITHIN_MS),
        })
    }

    /// Whether others may take it for one that is away.
    fn was_given_up(&self, now: Moment) -> bool {
        self.sent.is_some_and(|sent| {
            now.since_start_ns.saturating_sub(sent.since_start_ns) >= PRESENT_MS * MS_NS
        })
    }

    /// The report sent at `sent` is confirmed, `now`.
    pub fn confirmed(&mut self, sent: Moment, now: Moment, mut roll: Roll) {
        if self.confirmed.is_some() && !roll.known {
            // It has forgotten all: what was held has to be claimed, and others have to be
            // waited for.
            self.settle(now, SETTLE_MS);
            (self.claims, self.walks) = (true, true);
        }
        self.pool_ms = (roll.at_ms, now);
        self.confirmed = Some(sent);
        self.heard = true;
        self.report_at_ns = sent.since_start_ns.saturating_add(REPORT_EVERY_NS);
        if self.settles(now) {
            // Others may go by parts that it does not know of yet.
            roll.one_in = smaller(self.roll.one_in, roll.one_in);
        }
        self.roll = roll;
        self.cold = cold(self.cold, sent, self.roll.one_in);
    }

    /// The report was heard too late to be of use, `now`; the pool's time was that.
    pub fn came_late(&mut self, now: Moment, pool_ms: u64) {
        self.pool_ms = (pool_ms, now);
    }

    /// The pool is out of reach.
    pub fn lost(&mut self) {
        (self.reached, self.heard) = (false, false);
        self.claims = false;
    }

    /// What this edge has had without asking while it was not heard.
    fn away(&self, now: Moment) -> Option<Unasked> {
        match (self.confirmed.and(self.sent), self.roll.one_in) {
            (Some(_), 0) => None,
            (Some(sent), one_in) => Some(Unasked {
                one_in,
                from_s: sent.unix_s.saturating_add(AWAY_WINDOWS_S),
            }),
            (None, _) => {
                let alone = now.since_start_ns >= PRESENT_MS * MS_NS;
                alone.then_some(Unasked {
                    one_in: self.earlier_one_in.max(1),
                    from_s: 0,
                })
            }
        }
    }

    /// What workers are to go by. From the first claim to the first report nothing more is used
    /// than was claimed.
    #[must_use]
    pub fn standing(&self, now: Moment) -> Standing {
        let returns = self.reached && !self.heard || self.claims;
        Standing {
            sharers: self.roll.sharers.max(1),
            away: self.away(now).filter(|_| !returns),
            cold: self.cold,
        }
    }

    /// Who else is there.
    #[must_use]
    pub const fn roll(&self) -> &Roll {
        &self.roll
    }

    /// Whether it is heard.
    #[must_use]
    pub fn contact(&self, now: Moment) -> Contact {
        let Some(sent) = self.confirmed else {
            return Contact::New;
        };
        let since_ns = now.since_start_ns.saturating_sub(sent.since_start_ns);
        match self.reached && since_ns < PRESENT_MS * MS_NS {
            true => Contact::Joined,
            false => Contact::Away,
        }
    }

    /// When it was heard last.
    #[must_use]
    pub const fn heard_at(&self) -> Option<Moment> {
        self.confirmed
    }

    /// Whether a pool that may have lost something is still waited for.
    #[must_use]
    pub fn settles(&self, now: Moment) -> bool {
        self.reached && now.since_start_ns < self.settles_until_ns
    }
}

/// What is used before anything is heard, by the part that a report sent at `sent` brought: never
/// more than before in a window that is on, as others may have had that of it.
fn cold(before: Option<Unasked>, sent: Moment, one_in: u64) -> Option<Unasked> {
    let anew = Unasked {
        one_in,
        from_s: sent.unix_s.saturating_add(SKEW_S + 1),
    };
    match before {
        _ if one_in == 0 => None,
        // One that is a little larger is not worth to have none in the windows that are on.
        Some(before) if one_in.saturating_mul(2) > before.one_in => Some(Unasked {
            one_in: before.one_in.max(one_in),
            ..before
        }),
        Some(_) | None => Some(anew),
    }
}

/// The smaller of two parts; 0 is none at all.
fn smaller(one: u64, other: u64) -> u64 {
    match one.min(other) {
        0 => 0,
        _ => one.max(other),
    }
}
