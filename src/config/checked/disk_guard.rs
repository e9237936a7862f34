//! Which disks are guarded, and from which use on what stays here, checked.

use std::path::PathBuf;
use std::time::Duration;

use crate::domain::switch::Share;

/// Intake by the free space of disks that are not the edge's: Sentry's.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskGuard {
    /// Somewhere on each disk; at most 16, absolute, unique; default none, which guards
    /// nothing. Nobody looked whether they exist.
    pub paths: Vec<PathBuf>,
    /// How often they are looked at; default 5 s, from 100 ms to a minute.
    pub interval: Duration,
    /// Where each stage begins.
    pub stages: GuardStages,
    /// A stage ends once the use is so far below its mark; default 2 %, below
    /// `stages.large`.
    pub back: Share,
    /// The share of errors that passes at the last stage; default 10 %.
    pub sample_errors: Share,
}

/// The use of the fullest disk from which on something stays here: ascending, from 1 % to all.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardStages {
    /// Replays, profiles and attachments; default 85 %.
    pub large: Share,
    /// Transactions, spans, logs and metrics too; default 90 %.
    pub bulk: Share,
    /// And all but a share of errors; default 95 %.
    pub errors: Share,
}
