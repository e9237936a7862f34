//! Owns a configuration while it is read: what each key said so far, before the
//! keys were looked at together.

use std::path::PathBuf;
use std::time::Duration;

use super::checked::{Config, Secret, Sentry, UpstreamUrl};
use super::defaults;

/// A configuration half read.
pub(super) struct Draft {
    pub(super) config: Config,
    /// Becomes `config.sentry` once it is whole.
    pub(super) sentry: SentryDraft,
}

impl Draft {
    /// What stands before any source was read.
    pub(super) fn new() -> Self {
        let config = defaults::config();
        let sentry = SentryDraft::of(&config);
        Self { config, sentry }
    }
}

/// What was said of `sentry`, whole or not.
#[derive(Clone)]
pub(super) struct SentryDraft {
    pub(super) url: Option<UpstreamUrl>,
    pub(super) token: Option<Secret>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) interval: Duration,
}

impl SentryDraft {
    /// What would be written to get this configuration.
    pub(super) fn of(config: &Config) -> Self {
        match config.sentry.clone() {
            Some(Sentry {
                url,
                token,
                token_file,
                interval,
            }) => Self {
                url: Some(url),
                token: Some(token),
                token_file,
                interval,
            },
            None => Self {
                url: None,
                token: None,
                token_file: None,
                interval: defaults::SENTRY_INTERVAL,
            },
        }
    }
}
