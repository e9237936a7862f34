//! Leave to send one request that nobody waits for: its upstream is asked at all, and bears one
//! more. Owns both answers until the request's end is told; never sends it.

use crate::policy::breaker::{Heard, Pass};
use crate::policy::millis::Millis;
use crate::policy::pace::Turn;

use super::Target;

/// Leave for one request. Dropped without [`end`](Self::end) it leaves a window narrower for good.
#[derive(Debug)]
#[must_use = "what is begun must end, or the window stays narrower for good"]
pub(crate) struct Leave {
    /// Whether it is a probe.
    pub pass: Pass,
    turn: Turn,
}

impl Leave {
    /// For one that was kept: below live traffic.
    pub(crate) fn for_kept(target: &Target, now: Millis) -> Option<Self> {
        let turn = target.pace.try_begin_replay(target.pace.live_now())?;
        Self::asked(target, now, turn)
    }

    /// For one that has just come.
    pub(crate) fn for_fresh(target: &Target, now: Millis) -> Option<Self> {
        let turn = target.pace.try_begin()?;
        Self::asked(target, now, turn)
    }

    fn asked(target: &Target, now: Millis, turn: Turn) -> Option<Self> {
        match target.breaker.ask(now) {
            Pass::Hold => {
                target.pace.end(turn, Heard::Nothing);
                None
            }
            pass @ (Pass::Go(_) | Pass::Probe(_)) => Some(Self { pass, turn }),
        }
    }

    /// The request is over, or was not sent at all.
    pub(crate) fn end(self, target: &Target, now: Millis, heard: Heard) {
        target.tell(now, self.pass, heard);
        target.pace.end(self.turn, heard);
    }
}
