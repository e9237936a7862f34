//! What is kept while Sentry is away, checked.

use std::path::PathBuf;
use std::time::Duration;

/// Where events lie that the upstream did not take, and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct Spool {
    /// The directory; default `/var/lib/vidette/spool`; `None`, written `off`, keeps
    /// nothing: an event that the upstream does not take is lost. It need not exist, nor
    /// be writable: nobody looked. Taken up at start only.
    pub path: Option<PathBuf>,
    /// Bytes that the directory holds, but for one segment more; default 4 GiB, from
    /// 1 MiB.
    pub max_bytes: u64,
    /// Bytes that one project may have of them; default 2 GiB, or all where that is less;
    /// from 1 MiB to `max_bytes`.
    pub project_bytes: u64,
    /// How long an event is kept; default a day.
    pub max_age: Duration,
    /// Bytes of its file system that stay free; default 1 GiB.
    pub free_floor: u64,
    /// Requests under way at once when what was kept is sent; default 64.
    pub replay_requests: u64,
    /// Where copies of bodies lie that are being sent.
    pub copies: Copies,
}

/// Where copies of bodies lie that are being sent, until the upstream has taken them.
#[derive(Clone, Debug, PartialEq)]
pub struct Copies {
    /// Bytes in memory, all together; default 16 MiB.
    pub memory: u64,
    /// Bytes of unnamed files in `spool.path`, all together, beside `max_bytes`; default
    /// 2 GiB. Beyond it bodies are sent without a copy.
    pub disk: u64,
}
