//! Owns the checked rules of telling somebody that something is wrong.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Secret, UpstreamUrl};
use crate::domain::incident::Severity;

/// Who is told when something goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    /// A page of somebody's that takes messages.
    pub webhook: Webhook,
}

/// A page that takes a message when an incident starts, and one when it is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Where it is, from `url` or from the file `url_file`; default none, which tells nobody.
    pub url: Option<WebhookUrl>,
    /// The file that `url` was read from; default none.
    pub url_file: Option<PathBuf>,
    /// What is sent as `Authorization: Bearer`, from `token` or from the file `token_file`;
    /// default none.
    pub token: Option<Secret>,
    /// The file that `token` was read from; default none.
    pub token_file: Option<PathBuf>,
    /// The least grave incidents that are told; default `ticket`, which is all.
    pub severity: Severity,
    /// How long an incident has to last before it is told; default a minute, up to a day.
    pub after: Duration,
    /// For one message, from the look-up of the name to the answer's head; default 5 s, from
    /// 100 ms to a minute.
    pub timeout: Duration,
}

/// Where a webhook is. Its path is a secret: whoever has it can post there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl {
    /// The server.
    pub server: UpstreamUrl,
    /// Path and query, visible ASCII, from the slash on.
    pub target: Secret,
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server, Secret::MASK)
    }
}
