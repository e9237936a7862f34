//! Keys that nobody has told of, where Sentry can be asked for them: those that wait for that,
//! and those that it does not know. Shared by all workers; survives a reload.

mod absent;
mod first_seen;

use crate::domain::outcome::Reason;

use super::pair::Known;
use super::{Claim, Gate, Live, Mode, Refusal};

pub use absent::{Absent, Lack, Met};
pub use first_seen::FirstSeen;

/// Both.
#[derive(Debug)]
pub struct Strangers {
    /// Those that Sentry takes nothing under.
    pub absent: Absent,
    /// Those that it is to be asked for.
    pub first_seen: FirstSeen,
}

impl Strangers {
    /// None yet. `absent_max`: how many are remembered as such.
    #[must_use]
    pub fn new(absent_max: usize) -> Self {
        Self {
            absent: Absent::new(absent_max),
            first_seen: FirstSeen::default(),
        }
    }
}

impl Gate {
    /// Whether somebody names the key, or else what Sentry said of it. One that nobody has told of
    /// is noted, to be asked for.
    pub(super) fn look_up(&self, claim: &Claim<'_>, live: &Live<'_>) -> Result<Known, Refusal> {
        let known = self.identify(claim);
        let unnamed = match &known {
            Ok(known) => *known == Known::Unnamed,
            Err(refusal) => refusal.reason == Reason::UnknownKey,
        };
        if !unnamed {
            return known;
        }
        let met = live.strangers.absent.meets(live.now, &claim.key);
        if met.is_none_or(|met| met.ends_soon) {
            live.strangers.first_seen.note(&claim.key);
        }
        self.admits_lacking(met).and(known)
    }

    /// Whether a key that nobody names passes, by what Sentry said of it.
    ///
    /// # Errors
    /// Sentry takes nothing under it. That it knows none such does not matter in mode `open`.
    pub fn admits_lacking(&self, met: Option<Met>) -> Result<(), Refusal> {
        match met.map(|met| met.lack) {
            Some(Lack::Disabled) => Err(Refusal::disabled_key()),
            Some(Lack::Unknown) if self.mode != Mode::Open => Err(Refusal::unknown_key()),
            Some(Lack::Unknown) | None => Ok(()),
        }
    }
}
