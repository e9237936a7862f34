//! When an upstream was last seen to take something. Owns three moments beside what its
//! breaker counts; never decides what follows from them.
//!
//! That it takes events is one thing, that it says it is well another: a health route
//! may be answered by a proxy before it, or by a part of it that takes no events.

use super::atomic::{AtomicU64, Ordering::Relaxed};
use super::millis::Millis;

/// A moment is written down only if it is so much later than the last: on a busy upstream each
/// request would take the line of memory from the others' cores.
const STEP_MS: u64 = 10;

/// One upstream's, shared by all threads. Without locks, without allocation; survives a reload.
#[derive(Debug, Default)]
pub struct Evidence {
    took: Moment,
    healthy: Moment,
    tried: Moment,
}

/// What there was of it when somebody looked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lately {
    /// When it last took an event.
    pub took: Option<Millis>,
    /// When it last said that it is well.
    pub healthy: Option<Millis>,
}

impl Evidence {
    /// It took an event.
    pub fn took(&self, now: Millis) {
        self.took.note(now);
    }

    /// Asked for its health, it said that it is well.
    pub fn is_healthy(&self, now: Millis) {
        self.healthy.note(now);
    }

    /// An event was its breaker's probe, whatever was heard.
    pub fn was_tried(&self, now: Millis) {
        self.tried.note(now);
    }

    /// Whether no event was its breaker's probe for so long: then nobody finds out whether it is
    /// back but who asks.
    #[must_use]
    pub fn is_quiet(&self, now: Millis, for_ms: u64) -> bool {
        let tried = self.tried.last();
        tried.is_none_or(|at| now.since(at) >= for_ms)
    }

    /// What it was last seen to do.
    #[must_use]
    pub fn lately(&self) -> Lately {
        Lately {
            took: self.took.last(),
            healthy: self.healthy.last(),
        }
    }
}

/// One more than its milliseconds; 0 is never.
#[derive(Debug, Default)]
struct Moment(AtomicU64);

impl Moment {
    fn note(&self, now: Millis) {
        let noted = now.0.saturating_add(1);
        let last = self.0.load(Relaxed);
        // Of two threads either may win: they are as good as at the same time.
        if last == 0 || noted >= last.saturating_add(STEP_MS) {
            self.0.store(noted, Relaxed);
        }
    }

    fn last(&self) -> Option<Millis> {
        self.0.load(Relaxed).checked_sub(1).map(Millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_time_is_known_to_a_hundredth_of_a_second() {
        let evidence = Evidence::default();
        assert_eq!(evidence.lately(), Lately::default());
        evidence.took(Millis(0));
        assert_eq!(evidence.lately().took, Some(Millis(0)));
        evidence.took(Millis(9));
        assert_eq!(evidence.lately().took, Some(Millis(0)), "as good as then");
        evidence.took(Millis(10));
        evidence.took(Millis(3));
        assert_eq!(evidence.lately().took, Some(Millis(10)));
        assert_eq!(evidence.lately().healthy, None);
        evidence.is_healthy(Millis(70));
        assert_eq!(evidence.lately().healthy, Some(Millis(70)));
    }

    #[test]
    fn it_is_quiet_until_an_event_tries_it_and_again_after_a_while() {
        let evidence = Evidence::default();
        assert!(evidence.is_quiet(Millis(0), 1000));
        evidence.was_tried(Millis(500));
        assert!(!evidence.is_quiet(Millis(1499), 1000));
        assert!(evidence.is_quiet(Millis(1500), 1000));
    }
}
