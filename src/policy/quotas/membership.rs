//! This edge among those that share quotas: whether the pool hears it, whom it knows, and what it
//! may do meanwhile. Owns the order of a return: first what is held is claimed, then it reports
//! to be there, since until then all others leave it its part; never sends anything.

use super::Moment;
use super::leasing::{AWAY_WINDOWS_S, PRESENT_MS, SETTLE_MS, SKEW_S, Standing};

const MS_NS: u64 = 1_000_000;

/// From one report to the next.
const REPORT_EVERY_NS: u64 = 1000 * MS_NS;

/// What the pool says to a report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roll {
    /// It knew this edge already.
    pub known: bool,
    /// Edges that are there, this one included.
    pub present: u64,
    /// All of them, those that are away for a while as well.
    pub sharers: u64,
    /// Those that are away, or the first of them.
    pub absent: Vec<Absent>,
}

/// An edge that is away for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// Its name.
    pub edge: String,
    /// How many sharers it knew of at least: its even part is one in so many.
    pub sharers: u64,
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
    settles_until_ns: u64,
    /// When the last report was sent that was confirmed, and the first.
    confirmed: Option<Moment>,
    joined_s: Option<u64>,
    report_at_ns: u64,
    roll: Roll,
}

impl Membership {
    /// One that has reached nobody yet; an earlier process of the same edge knew of so many.
    #[must_use]
    pub fn new(sharers: u64) -> Self {
        Self {
            pool: None,
            claims: false,
            walks: false,
            reached: false,
            settles_until_ns: 0,
            confirmed: None,
            joined_s: None,
            report_at_ns: 0,
            roll: Roll {
                sharers: sharers.max(1),
                ..Roll::default()
            },
        }
    }

    /// A pool is reached; `name` tells it from what it was before it last lost anything, and it
    /// has been there for so long. Claims are due now.
    pub fn reached(&mut self, now: Moment, name: &str, up_ms: u64) {
        let settles_ms = match &self.pool {
            Some(before) if before == name => 0,
            // What others hold they claim within that time.
            Some(_) => SETTLE_MS,
            None => SETTLE_MS.saturating_sub(up_ms),
        };
        self.pool = Some(name.to_owned());
        self.settle(now, settles_ms);
        self.reached = true;
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

    /// Whether more may be taken of the pool.
    #[must_use]
    pub fn takes(&self, now: Moment) -> bool {
        self.reached && !self.claims && now.since_start_ns >= self.settles_until_ns
    }

    /// Whether a report is due.
    #[must_use]
    pub fn reports(&self, now: Moment) -> bool {
        self.reached && !self.claims && now.since_start_ns >= self.report_at_ns
    }

    /// A report sent at `sent` is confirmed.
    pub fn confirmed(&mut self, sent: Moment, roll: Roll) {
        if self.confirmed.is_some() && !roll.known {
            // It has forgotten all: what was held has to be claimed, and others have to be
            // waited for.
            self.settle(sent, SETTLE_MS);
            (self.claims, self.walks) = (true, true);
        }
        self.confirmed = Some(sent);
        self.joined_s.get_or_insert(sent.unix_s);
        self.report_at_ns = sent.since_start_ns.saturating_add(REPORT_EVERY_NS);
        self.roll = roll;
    }

    /// The pool is out of reach.
    pub fn lost(&mut self) {
        self.reached = false;
        self.claims = false;
    }

    /// What workers are to go by. While claims are made nothing more is used than they say.
    #[must_use]
    pub fn standing(&self, now: Moment) -> Standing {
        let alone = !self.reached && now.since_start_ns >= PRESENT_MS * MS_NS;
        let even_from_s = match (self.claims, self.confirmed) {
            (true, _) => None,
            (false, Some(sent)) => Some(sent.unix_s.saturating_add(AWAY_WINDOWS_S)),
            (false, None) => alone.then_some(0),
        };
        Standing {
            sharers: self.roll.sharers.max(1),
            even_from_s,
            // Who reckons this late, reckons it with all that joined.
            cold_from_s: self
                .joined_s
                .map(|joined_s| joined_s.saturating_add(SKEW_S + 1)),
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
