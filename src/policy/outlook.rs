//! What becomes of what is kept, should it go on as in the last minute: when all of it is
//! sent, when there is no room left, when the first of it is too old. Owns the look back;
//! says that it does not know rather than guess.

use super::lookback::{LookBack, reached_in_s};
use super::millis::Millis;

/// How far back is looked: short enough to follow a drain that gathers pace, long enough
/// that one large event is no trend.
const WINDOW_MS: u64 = 60_000;

/// How often something is noted: thirty notes are as good as sixty.
const NOTE_EVERY_MS: u64 = 2_000;

/// Less than this says nothing.
const LEAST_MS: u64 = 5_000;

/// How much of its time the oldest has had when that is worth a word, in hundredths.
const NEAR_PERCENT: u64 = 75;

/// What came and went, counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// Requests that were kept.
    pub came: u64,
    /// Their bytes.
    pub came_bytes: u64,
    /// Requests that the upstream has answered for.
    pub sent: u64,
    /// Requests that grew too old.
    pub expired: u64,
    /// The bytes of those that were sent or expired.
    pub gone_bytes: u64,
}

/// Whether what is kept is being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// The upstream takes it.
    Open,
    /// It is away, or somebody holds it back.
    #[default]
    Shut,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Requests that are kept.
    pub requests: u64,
    /// Requests for which there is room.
    pub room_requests: u64,
    /// Bytes for which there is room.
    pub room_bytes: u64,
    /// How long the oldest is kept.
    pub oldest_s: u64,
    /// How long it may be.
    pub max_age_ms: u64,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forecast {
    /// Nothing is kept, or too little was seen.
    Unknown,
    /// All of it is sent by then.
    Empty {
        /// From now.
        in_s: u64,
    },
    /// There is no room left by then.
    Full {
        /// From now.
        in_s: u64,
    },
    /// Neither, before it grows too old.
    Steady,
}

impl Forecast {
    /// Its name, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Empty { .. } => "empties",
            Self::Full { .. } => "fills",
            Self::Steady => "steady",
        }
    }

    /// When it comes true, in seconds from now.
    #[must_use]
    pub const fn in_s(self) -> Option<u64> {
        match self {
            Self::Empty { in_s } | Self::Full { in_s } => Some(in_s),
            Self::Unknown | Self::Steady => None,
        }
    }
}

/// The last minute: at most some thirty notes.
#[derive(Debug, Default)]
pub struct Outlook {
    way: Way,
    notes: LookBack<Flow, WINDOW_MS, NOTE_EVERY_MS>,
}

impl Outlook {
    /// Notes how it goes on; to be called about once a second. What was seen before the way
    /// was opened, or shut, says nothing of what comes.
    pub fn note(&mut self, now: Millis, way: Way, flow: Flow) {
        if way != self.way {
            self.way = way;
            self.notes.forget();
        }
        self.notes.note(now, flow);
    }

    /// What becomes of what is kept, if it goes on like this.
    #[must_use]
    pub fn forecast(&self, now: Millis, flow: Flow, standing: &Standing) -> Forecast {
        let Some((at, then)) = self.notes.oldest() else {
            return Forecast::Unknown;
        };
        let took_ms = now.since(at);
        if standing.requests == 0 || took_ms < LEAST_MS {
            return Forecast::Unknown;
        }
        let grew = |now: u64, then: u64| now.saturating_sub(then);
        let came = grew(flow.came, then.came);
        let sent = grew(flow.sent, then.sent);
        let gone = sent.saturating_add(grew(flow.expired, then.expired));
        let more_bytes = grew(flow.came_bytes, then.came_bytes)
            .saturating_sub(grew(flow.gone_bytes, then.gone_bytes));
        let time = |amount: u64, change: u64| reached_in_s(amount, change, took_ms);
        if self.way == Way::Open
            && let Some(in_s) = time(standing.requests, sent.saturating_sub(came))
            && in_s <= standing.max_age_ms / 1000
        {
            return Forecast::Empty { in_s };
        }
        let fills = [
            time(standing.room_bytes, more_bytes),
            time(standing.room_requests, came.saturating_sub(gone)),
        ];
        // Once the first expire, room comes back as fast as it goes.
        match fills.into_iter().flatten().min() {
            Some(in_s) if in_s <= left_s(standing) => Forecast::Full { in_s },
            Some(_) | None => Forecast::Steady,
        }
    }
}

/// How long the oldest may still be kept.
const fn left_s(standing: &Standing) -> u64 {
    (standing.max_age_ms / 1000).saturating_sub(standing.oldest_s)
}

/// In how many seconds the first is given up for its age, once that is near. `None`: it is
/// not, or all is sent before.
#[must_use]
pub fn expires_in_s(standing: &Standing, forecast: Forecast) -> Option<u64> {
    let had = standing.oldest_s.saturating_mul(1000).saturating_mul(100);
    let near = had >= standing.max_age_ms.saturating_mul(NEAR_PERCENT);
    let left_s = left_s(standing);
    let ahead = matches!(forecast, Forecast::Empty { in_s } if in_s < left_s);
    (standing.requests > 0 && near && !ahead).then_some(left_s)
}

/// Whether it was told that what is kept grows too old: once, until it is young again.
#[derive(Debug, Default)]
pub struct Aging {
    told: bool,
}

impl Aging {
    /// In how many seconds the first is given up, if that is to be told now.
    pub fn look(&mut self, standing: &Standing, forecast: Forecast) -> Option<u64> {
        // An age goes up and down with each that is sent: only half of it is another time.
        let young = standing.oldest_s.saturating_mul(2000) < standing.max_age_ms;
        if young || standing.requests == 0 {
            self.told = false;
        }
        let near = expires_in_s(standing, forecast).filter(|_| !self.told)?;
        self.told = true;
        Some(near)
    }
}

#[cfg(test)]
mod tests;
