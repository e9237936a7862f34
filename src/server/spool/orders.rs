//! What workers and operators want of the clerk, and what they are told.

use tokio::sync::oneshot;

use crate::domain::endpoint::ProjectId;
use crate::telemetry::labels::Upstream;

use super::parcel::Parcel;
use super::queues::Destination;
use super::replay::NextUp;
use super::shares::FullShares;
use super::{Abroad, Due, End, Kept, NotKept};
use crate::server::handover::post::Post;

/// What somebody wants of the clerk.
pub(super) enum Order {
    /// Keep a request.
    Keep(Wanted),
    /// Anything else.
    Steer(Steer),
}

/// A request that somebody wants to be kept.
pub(super) struct Wanted {
    pub(super) parcel: Box<Parcel>,
    pub(super) due: Due,
    pub(super) whose: Whose,
    pub(super) told: oneshot::Sender<Result<Kept, NotKept>>,
}

/// Who waits for what is wanted, and tells its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// This process.
    Own,
    /// The one before it.
    Abroad,
}

/// What is done with what is kept.
pub(super) enum Steer {
    /// What became of a request.
    End { kept: Kept, end: End },
    /// What goes next to an upstream.
    Next {
        to: Upstream,
        most: usize,
        told: oneshot::Sender<NextUp>,
    },
    /// What is kept.
    Overview { told: oneshot::Sender<Overview> },
    /// Drop what is kept of a project, or of all, and say how many requests that were.
    Purge {
        project: Option<ProjectId>,
        told: oneshot::Sender<u64>,
    },
    /// Write down what is done, give the directory to another process, and say what is under way.
    Yield {
        post: Post,
        told: oneshot::Sender<Vec<(Kept, Abroad)>>,
    },
    /// Take the directory back, and say whether it is.
    TakeBack { told: oneshot::Sender<bool> },
    /// What the process before was sending is sent here.
    Alone,
    /// Write down what is done, and end.
    Close,
}

/// What is kept, for an operator.
#[derive(Debug, Default)]
pub(crate) struct Overview {
    /// Items.
    pub items: u64,
    /// Requests that carry them.
    pub requests: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// How many it may be.
    pub bytes_max: u64,
    /// How long the oldest has been kept, in seconds.
    pub oldest_s: u64,
    /// Requests that the upstream never takes while it takes others.
    pub aside: u64,
    /// Nothing of it is being sent, as somebody said then.
    pub paused_since_unix_s: Option<u64>,
    /// By project, the largest first; not more than a screen or two.
    pub projects: Vec<ProjectKept>,
    /// Projects that are not shown.
    pub more_projects: u64,
    /// By the Sentry that is to have it; none of which nothing is kept.
    pub destinations: Vec<KeptFor>,
    /// Whose share is full.
    pub full: FullShares,
}

/// What is kept for one Sentry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeptFor {
    /// Which. `None`: one that is not configured any more.
    pub to: Destination,
    /// Requests.
    pub requests: u64,
    /// How long the oldest has been kept, in seconds.
    pub oldest_s: u64,
}

/// What is kept of one project.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProjectKept {
    /// Whose.
    pub project: Option<ProjectId>,
    /// Requests.
    pub requests: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long the oldest has been kept, in seconds.
    pub oldest_s: u64,
}
