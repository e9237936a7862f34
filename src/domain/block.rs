//! The rule by which clients that only misbehave are blocked: how often is too often, and
//! for how long nobody hears them. Never counts, and never says what misbehaving is.

use std::time::Duration;

/// When a client is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRule {
    /// So many misdeeds, with nothing good between them; 0: nobody is ever blocked.
    pub after: u64,
    /// Within this time from the first.
    pub per: Duration,
    /// For how long.
    pub lasts: Duration,
}
