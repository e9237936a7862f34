//! What Sentry itself says about its projects and keys, read from its web API:
//! one listing, kept fresh, with a copy on disk; and what Sentry is told of what was
//! dropped here. Never judges a request by it, and never dials a server but the
//! configured ones, whatever an answer names.

pub(crate) mod api;
pub(crate) mod client_reports;
pub(crate) mod copy;
#[cfg(test)]
mod fake;
pub(crate) mod keep;
pub(crate) mod keys;
pub(crate) mod line;
mod link;
pub(crate) mod list;
mod rows;
mod sealed;
pub(crate) mod states;
pub(crate) mod stored;

use std::sync::Arc;
use std::time::Duration;

use crate::config::checked::{Secret, UpstreamUrl};
use crate::server::upstream::trust::Trusting;

/// Where the listing is read, with what right, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The Sentry, or what stands in front of its web part.
    pub server: UpstreamUrl,
    /// What precedes `/api/0/` in a path: empty, or such as `/sentry`, with no
    /// slash at its end.
    pub prefix: String,
    /// A token with the scope `project:read`.
    pub token: Secret,
    /// From one reading to the next.
    pub interval: Duration,
    /// What one reading may take.
    pub bounds: Bounds,
    /// What TLS with it stands on.
    pub trust: Arc<Trusting>,
}

/// What one reading may take. Over a bound it fails, and the old list stands:
/// a list cut short would refuse the customers that it lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Projects in a list; default 100000.
    pub projects_max: usize,
    /// Keys in a list; default a million, some 150 MB.
    pub keys_max: usize,
    /// Pages beyond the first of each list; default 20000. Full lists take
    /// 11000, at the hundred rows that Sentry puts on a page.
    pub further_pages_max: usize,
    /// Bytes of one answer's body; default 16 MiB.
    pub answer_bytes_max: usize,
    /// For one page, from the look-up of the name to the last byte; default 10 s.
    pub timeout: Duration,
    /// The first wait after a 429 that names none; default 1 s, the window in
    /// which Sentry counts its API's requests.
    pub pause: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            projects_max: 100_000,
            keys_max: 1_000_000,
            further_pages_max: 20_000,
            answer_bytes_max: 16 << 20,
            timeout: Duration::from_secs(10),
            pause: Duration::from_secs(1),
        }
    }
}
