//! What a request's answer tells its sender to hold back. Never decides what is.

use std::borrow::Cow;
use std::time::Duration;

use crate::domain::outcome::Reason;
use crate::domain::rate_limits::RateLimit;
use crate::policy::Refusal;

/// The words for a request of which a limit left nothing.
const NOTHING_LEFT: &str = "a rate limit leaves nothing of this request";

/// The limits, each once.
#[derive(Debug, Default)]
pub(super) struct Told(Vec<RateLimit>);

impl Told {
    /// Adds a limit, told for at most `most`; of two on the same the longer stands.
    pub(super) fn note(&mut self, mut limit: RateLimit, most: Duration) {
        limit.retry_after_s = limit.retry_after_s.clamp(1, most.as_secs().max(1));
        let same = |other: &&mut RateLimit| {
            (other.categories, other.scope) == (limit.categories, limit.scope)
        };
        match self.0.iter_mut().find(same) {
            Some(other) if other.retry_after_s >= limit.retry_after_s => {}
            Some(other) => *other = limit,
            None => self.0.push(limit),
        }
    }

    /// All of them.
    pub(super) fn limits(&self) -> &[RateLimit] {
        &self.0
    }

    /// The refusal of a request of which they left nothing, with their names.
    pub(super) fn refusal(&self, reason: Reason) -> Refusal {
        let names = self.0.iter().filter_map(|limit| limit.reason.as_deref());
        let names: Vec<&str> = names.collect();
        let detail = match names.is_empty() {
            true => Cow::Borrowed(NOTHING_LEFT),
            false => Cow::Owned(format!("{NOTHING_LEFT}: {}", names.join(", "))),
        };
        let mut refusal = Refusal::of(reason, 429, detail);
        refusal.limits = self.0.clone();
        refusal
    }
}
