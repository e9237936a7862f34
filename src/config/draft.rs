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
    pub(super) credentials_file: Option<PathBuf>,
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
                credentials: _,
                credentials_file,
                interval,
            }) => Self {
                url: Some(url),
                token,
                token_file,
                credentials_file,
                interval,
            },
            None => Self {
                url: None,
                token: None,
                token_file: None,
                credentials_file: None,
                interval: defaults::SENTRY_INTERVAL,
            },
        }
    }
    /// `sentry`, if it is whole; `None`: nothing of it is there.
    ///
    /// # Errors
    /// The key that lacks another, and what to set.
    pub(super) fn whole(self) -> Result<Option<Sentry>, (&'static str, String)> {
        // A file's token is read by whoever may read files.
        let from_file = || self.token_file.is_some().then(|| Secret::new(""));
        let token = self.token.or_else(from_file);
        let said = match (&self.credentials_file, &self.token_file, &token) {
            (_, Some(_), _) => Some("sentry.token_file"),
            (_, None, Some(_)) => Some("sentry.token"),
            (Some(_), None, None) => Some("sentry.credentials"),
            (None, None, None) => None,
        };
        match (self.url, said) {
            (Some(url), Some(_)) => Ok(Some(Sentry {
                url,
                token,
                token_file: self.token_file,
                credentials: None,
                credentials_file: self.credentials_file,
                interval: self.interval,
            })),
            (None, None) => Ok(None),
            (Some(_), None) => {
                let message = "sentry.url without a token or credentials; set sentry.token, \
                               sentry.token_file or sentry.credentials";
                Err(("sentry.url", message.to_owned()))
            }
            (None, Some(path)) => {
                let message = format!("{path} without sentry.url; set both or neither");
                Err((path, message))
            }
        }
    }
}
