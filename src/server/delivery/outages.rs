//! Tells the log when nothing is kept any more, and when what is kept is soon too old. Looks
//! once a second; never asks the upstream anything. That it is away is an incident, which
//! `server::incidents` tells.

use tokio::time::Instant;

use crate::policy::breaker::State;
use crate::policy::outlook::{Aging, Way};

use crate::server::worker::Shared;

/// What was told last.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    /// Something was kept at the last look.
    kept: bool,
    /// Whether it was told that what is kept is soon too old.
    aging: Aging,
}

impl Outages {
    /// Tells what has changed since the last look.
    pub(crate) fn tell(&mut self, shared: &Shared) {
        let state = shared.rules.load().ingest.breaker.state();
        let kept = !shared.spool.state().is_empty();
        if self.kept && !kept {
            tracing::info!("nothing of what was kept waits any more");
        }
        self.kept = kept;
        self.look_ahead(shared, state);
    }

    /// Has the spool look how it goes on, and tells when the first of what is kept is soon
    /// given up.
    fn look_ahead(&mut self, shared: &Shared, state: State) {
        let (spool, now) = (&shared.spool, shared.millis(Instant::now()));
        let held = shared.maintenance.is_on() || spool.state().pause.is_on();
        let way = match state == State::Closed && !held {
            true => Way::Open,
            false => Way::Shut,
        };
        spool.look(now, way);
        let prospect = spool.prospect(now, &shared.rules.load().config.spool);
        let standing = prospect.standing;
        if let Some(expires_in_s) = self.aging.look(&standing, prospect.forecast) {
            tracing::warn!(
                oldest_s = standing.oldest_s,
                max_age_s = standing.max_age_ms / 1000,
                expires_in_s,
                "what is kept is soon older than spool.max_age: it is given up then"
            );
        }
    }
}
