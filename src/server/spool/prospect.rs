//! What is to come of what is kept, as `policy::outlook` has it from the numbers in `state`.

use std::sync::atomic::Ordering::Relaxed;

use crate::config::checked;
use crate::policy::millis::Millis;
use crate::policy::outlook::{Flow, Forecast, Standing, Way, expires_in_s};

use super::Spool;
use super::state::State;

/// What is to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prospect {
    /// How it stands.
    pub standing: Standing,
    /// If it goes on as in the last minute.
    pub forecast: Forecast,
    /// When the first is given up for its age, if that is near and nothing is ahead of it.
    pub expires_in_s: Option<u64>,
}

impl Spool {
    /// Looks how it goes on. To be called about once a second.
    pub(crate) fn look(&self, now: Millis, way: Way) {
        if let Ok(mut outlook) = self.outlook.lock() {
            outlook.note(now, way, flow(&self.state));
        }
    }

    /// What is to come of what is kept.
    pub(crate) fn prospect(&self, now: Millis, config: &checked::Spool) -> Prospect {
        let standing = standing(&self.state, config);
        let outlook = self.outlook.lock();
        let forecast = outlook.map_or(Forecast::Unknown, |outlook| {
            outlook.forecast(now, flow(&self.state), &standing)
        });
        Prospect {
            standing,
            forecast,
            expires_in_s: expires_in_s(&standing, forecast),
        }
    }
}

fn flow(state: &State) -> Flow {
    Flow {
        came: state.appended.load(Relaxed),
        came_bytes: state.appended_bytes.load(Relaxed),
        sent: state.answered.load(Relaxed),
        expired: state.expired.load(Relaxed),
        gone_bytes: state.gone_bytes.load(Relaxed),
    }
}

fn standing(state: &State, config: &checked::Spool) -> Standing {
    Standing {
        requests: state.requests.load(Relaxed),
        room_requests: state.room_requests.load(Relaxed),
        room_bytes: state.room_bytes.load(Relaxed),
        oldest_s: state.oldest_s.load(Relaxed),
        max_age_ms: u64::try_from(config.max_age.as_millis()).unwrap_or(u64::MAX),
    }
}
