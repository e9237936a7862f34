//! A worker's own part of the access log: which of its requests have a line, and the lines until
//! there are enough to hand over. Shared with nobody.

use std::cell::RefCell;
use std::sync::Arc;

use crate::config::checked::{AccessLog as Plan, AccessMode};
use crate::domain::outcome::{Group, Reason, Reasons};
use crate::policy::millis::Millis;
use crate::telemetry::access::{Form, Line};
use crate::telemetry::labels::Ending;

use super::AccessLog;
use super::queue::Batch;

/// Lines are handed over once there are so many bytes of them, or with the worker's next look.
const BATCH_BYTES: usize = 16 * 1024;

/// What can go wrong without a reason: a status.
const REASONS: usize = Reason::COUNT + 1;

/// One worker's lines.
#[derive(Debug)]
pub(crate) struct Desk {
    log: Arc<AccessLog>,
    lines: RefCell<Batch>,
    errors: RefCell<Box<[Window; REASONS]>>,
}

/// How many lines a reason has had in one stretch of time.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    number: u64,
    lines: u64,
}

/// How a request ended, as far as that decides whether it has a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    /// Its outcome.
    pub ending: Ending,
    /// The status that left.
    pub status: u16,
    /// Why it was not forwarded, or what the upstream thought of it.
    pub reason: Option<Reason>,
    /// Why some of it stayed here.
    pub dropped: Reasons,
}

impl How {
    /// What went wrong with it, as the place of a window; `None`: nothing. What a sampling rule
    /// leaves out is meant to be left out, and mostly it is nearly all.
    fn fault(self) -> Option<usize> {
        let mut reasons = self.reason.into_iter().chain(self.dropped.iter());
        let grave = reasons.find(|reason| reason.group() != Group::Sample);
        let odd = matches!(self.ending, Ending::Failed | Ending::Aborted) || self.status >= 400;
        match grave {
            Some(reason) => Some(reason.index()),
            None => odd.then_some(Reason::COUNT),
        }
    }
}

impl Desk {
    /// Without a line.
    pub(crate) fn new(log: Arc<AccessLog>) -> Self {
        Self {
            log,
            lines: RefCell::default(),
            errors: RefCell::new(Box::new([Window::default(); REASONS])),
        }
    }

    /// Whether a request that ended so has a line. `workers` share the plan's rate.
    pub(crate) fn wants(&self, now: Millis, plan: &Plan, workers: usize, how: How) -> bool {
        match plan.mode {
            AccessMode::Off => false,
            AccessMode::All => true,
            AccessMode::Sampled => {
                let takes = |place| self.takes(now, plan, workers, place);
                how.fault().is_some_and(takes) || fastrand::f64() < plan.sample.share()
            }
        }
    }

    fn takes(&self, now: Millis, plan: &Plan, workers: usize, place: usize) -> bool {
        let per_ms = u64::try_from(plan.errors.per.as_millis()).unwrap_or(u64::MAX);
        let number = now.0 / per_ms.max(1);
        let workers = u64::try_from(workers).unwrap_or(u64::MAX).max(1);
        let most = plan.errors.count.div_ceil(workers);
        let mut errors = self.errors.borrow_mut();
        let Some(window) = errors.get_mut(place) else {
            return false;
        };
        if window.number != number {
            *window = Window { number, lines: 0 };
        }
        window.lines = window.lines.saturating_add(1);
        window.lines <= most
    }

    /// Adds a line.
    pub(crate) fn enter(&self, form: Form, line: &Line<'_>) {
        let full = {
            let mut lines = self.lines.borrow_mut();
            line.write(form, &mut lines.bytes);
            lines.lines += 1;
            lines.bytes.len() >= BATCH_BYTES
        };
        if full {
            self.hand_over();
        }
    }

    /// Hands over what there is.
    pub(crate) fn hand_over(&self) {
        if self.lines.borrow().lines > 0 {
            self.log.put(self.lines.take());
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.hand_over();
    }
}

#[cfg(test)]
mod tests;
