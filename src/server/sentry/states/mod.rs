//! What Sentry tells a relay of its projects: asked by key with signed requests, as a Relay asks
//! (PROTOCOL 9), kept fresh, with a copy on disk; and the same from files of Relay's. Never
//! judges a request by it: what follows from states, `memory` says.

mod answer;
pub(crate) mod copy;
pub(crate) mod files;
pub(crate) mod keep;
pub(crate) mod known;
mod round;
mod talk;

use std::sync::Arc;
use std::time::Duration;

use crate::config::checked::UpstreamUrl;
use crate::domain::relay::RelayCredentials;
use crate::server::upstream::trust::Trusting;

/// Who is asked, by whom, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The Sentry, or a Relay in front of it.
    pub server: UpstreamUrl,
    /// What proves to it that this is a relay.
    pub credentials: Arc<RelayCredentials>,
    /// From one question after a key to the next.
    pub interval: Duration,
    /// What asking may take.
    pub bounds: Bounds,
    /// What TLS with it stands on.
    pub trust: Arc<Trusting>,
}

/// What asking may take, as Relay has it where it has (PROTOCOL 9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// How long keys are gathered for one question; default 100 ms.
    pub batch: Duration,
    /// Keys in one question; default 500.
    pub batch_keys_max: usize,
    /// Bytes of one answer; default 32 MiB, at which a question for fewer keys follows.
    pub answer_bytes_max: usize,
    /// For one answer, from the look-up of the name to the last byte; default 30 s.
    pub timeout: Duration,
    /// How long a key that Sentry does not know stays refused; default 60 s.
    pub unknown: Duration,
    /// The first wait for what Sentry works out; default 500 ms. It doubles.
    pub pending: Duration,
    /// The first wait after a failure; default 1 s. Half as much is added with each.
    pub retry: Duration,
    /// How long failures may go on until no key is asked for, but only whether Sentry lives;
    /// default 10 s.
    pub outage: Duration,
    /// From one registration to the next; default 600 s.
    pub registration: Duration,
    /// From one copy on disk to the next; default 10 s.
    pub copy: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            batch: Duration::from_millis(100),
            batch_keys_max: 500,
            answer_bytes_max: 32 << 20,
            timeout: Duration::from_secs(30),
            unknown: Duration::from_secs(60),
            pending: Duration::from_millis(500),
            retry: Duration::from_secs(1),
            outage: Duration::from_secs(10),
            registration: Duration::from_secs(600),
            copy: Duration::from_secs(10),
        }
    }
}
