//! Other Sentrys that get copies, checked.

use std::time::Duration;

use super::{Config, MirrorHost, UpstreamUrl};
use crate::domain::dsn_map::DsnMap;
use crate::domain::endpoint::ProjectId;
use crate::domain::sampling::Rate;

/// Another Sentry, which gets a copy of what the first one takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    /// What it is called; unique, a label of the metrics as `mirror-NAME`, and the folder of
    /// its spool. Taken up at start only.
    pub name: String,
    /// Its servers.
    pub ingest: Vec<UpstreamUrl>,
    /// What it sees as `Host`; default `target`.
    pub host: MirrorHost,
    /// The share that it gets, by the trace's id, else the event's; default all.
    pub share: Rate,
    /// The projects that it gets, as the first Sentry numbers them, in order; none: all.
    pub projects: Vec<ProjectId>,
    /// Where DSNs of the first Sentry lead in this one; default nowhere.
    pub dsn_map: DsnMap,
    /// What is kept for it while it is away.
    pub spool: MirrorSpool,
}

/// What is kept for a mirror, in `mirrors/NAME` of `spool.path`.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorSpool {
    /// Bytes, but for one segment more; default 1 GiB, from 1 MiB. Room that the first
    /// Sentry's spool may still need is never taken.
    pub max_bytes: u64,
    /// How long a request is kept; default a day.
    pub max_age: Duration,
}

impl Config {
    /// The names of the mirrors, each of which has a thread and a folder from the start.
    pub(in crate::config) fn mirror_names(&self) -> Vec<&str> {
        let mirrors = self.mirrors.iter();
        mirrors.map(|mirror| mirror.name.as_str()).collect()
    }

    /// The mirror that old DSNs lead to and that a process which was started by `started` does not
    /// know. `None`: it knows them all.
    #[must_use]
    pub fn leads_beyond(&self, started: &Self) -> Option<&str> {
        let known = started.mirror_names();
        let mut names = self.dsn_map.upstreams().iter().map(Box::as_ref);
        names.find(|name| !known.contains(name))
    }
}
