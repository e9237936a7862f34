//! The listing as values: which projects and keys a Sentry has. Knows neither
//! how it is read nor how it is kept.

use std::time::SystemTime;

use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

/// All projects and keys that a token could see in one reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyList {
    /// By number, each once.
    pub projects: Vec<ListedProject>,
    /// In the order of the keys, each once.
    pub keys: Vec<ListedKey>,
    /// Rows that could not be read: no number, no name, no key that a client
    /// could send.
    pub skipped: u64,
    /// When the reading began: what changed later may be missing.
    pub at: SystemTime,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedProject {
    /// The number in its DSNs.
    pub id: ProjectId,
    /// The short name of the organization that owns it.
    pub organization: String,
    /// Its short name.
    pub slug: String,
    /// False for one that is being deleted or hidden: its keys are not asked
    /// for, since Sentry takes nothing for it.
    pub active: bool,
}

/// A client key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedKey {
    /// What clients show.
    pub key: Key,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Whether Sentry takes events under it.
    pub enabled: bool,
    /// What people call it; at most [`NAME_CHARS_MAX`] characters, none of them
    /// a control character.
    pub name: String,
    /// The limit that its owner set in Sentry.
    pub rate_limit: Option<RateLimit>,
}

/// So many events in so many seconds; neither is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// Events let through.
    pub count: u64,
    /// The seconds they are counted over.
    pub window_s: u64,
}

/// The longest name of a key; Sentry's own field holds as many.
pub(crate) const NAME_CHARS_MAX: usize = 64;
