//! Where proven keys belong: which projects have one, and which project a key is of.
//! Owns both tables; never decides what proves a pair.
//!
//! Both follow the table of proven pairs: of its limit, and forgotten after as long.

use super::millis::Millis;
use super::pair::Pair;
use super::table::{Fate, Table};
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

/// When a pair was last accepted, in seconds on the callers' clock: below 0 for what a restart
/// brought along.
pub(super) type AcceptedAt = i64;

pub(super) struct Homes {
    projects: Table<ProjectId, AcceptedAt>,
    keys: Table<[u8; 16], (ProjectId, AcceptedAt)>,
}

impl Homes {
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            projects: Table::new(entries_max),
            keys: Table::new(entries_max),
        }
    }

    /// A proven pair was accepted. A key that several projects are proven with stays with the first.
    pub(super) fn note(&self, pair: &Pair, accepted_at: AcceptedAt) {
        let Some(project) = pair.project() else {
            return;
        };
        self.projects.at(project, |mut slot| match slot.value() {
            Some(at) => *at = accepted_at.max(*at),
            None => drop(slot.put(accepted_at)),
        });
        self.keys
            .at(pair.key().packed(), |mut slot| match slot.value() {
                Some((first, at)) if *first == project => *at = accepted_at.max(*at),
                Some(_) => {}
                None => drop(slot.put((project, accepted_at))),
            });
    }

    /// Whether any key of a project is proven.
    pub(super) fn has(&self, project: ProjectId) -> bool {
        self.projects.look(&project, |_| ()).is_some()
    }

    /// Whether any key is.
    pub(super) fn is_empty(&self) -> bool {
        self.projects.len() == 0
    }

    /// The project that a key is proven with.
    pub(super) fn of(&self, key: &Key) -> Option<ProjectId> {
        self.keys.look(&key.packed(), |(project, _)| *project)
    }

    pub(super) fn sweep(
        &self,
        now: Millis,
        shards: usize,
        fate: impl Fn(Millis, AcceptedAt) -> Fate,
    ) {
        self.projects.sweep(shards, |at| fate(now, *at));
        self.keys.sweep(shards, |(_, at)| fate(now, *at));
    }
}
