//! Tells the log when the upstream goes and when it comes back. Looks once a second; never
//! asks it anything.

use tokio::time::Instant;

use crate::policy::breaker::State;

use super::worker::Shared;

/// What was told last.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    /// Since when it is away.
    away: Option<Instant>,
    /// Something was kept at the last look.
    kept: bool,
}

impl Outages {
    /// Tells what has changed since the last look.
    pub(crate) fn tell(&mut self, shared: &Shared) {
        let state = shared.rules.load().ingest.breaker.state();
        match (state, self.away) {
            (State::Open, None) => {
                self.away = Some(Instant::now());
                match shared.spool.is_open() {
                    true => tracing::warn!("the upstream does not take events: they are kept"),
                    false => tracing::error!("the upstream does not take events: they are lost"),
                }
            }
            (State::Closed, Some(since)) => {
                self.away = None;
                let away_s = since.elapsed().as_secs();
                tracing::info!(away_s, "the upstream takes events again");
            }
            (State::Open | State::HalfOpen | State::Closed, _) => {}
        }
        let kept = !shared.spool.state().is_empty();
        if self.kept && !kept {
            tracing::info!("nothing is kept any more");
        }
        self.kept = kept;
    }
}
