//! What is live in a log, in all and by project, and where a record went that was
//! copied forward. Owns no file.

use std::collections::HashMap;

use super::Place;

/// Sums over the records not done with.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub live_bytes: u64,
    pub live_records: u64,
    /// Only of projects with a live record, so as bounded as those are.
    projects: HashMap<u64, u64>,
}

impl Books {
    /// Enters a record.
    pub(super) fn add(&mut self, project: u64, bytes: u64) {
        self.live_records += 1;
        self.live_bytes = self.live_bytes.saturating_add(bytes);
        let held = self.projects.entry(project).or_default();
        *held = held.saturating_add(bytes);
    }

    /// Strikes a record off.
    pub(super) fn remove(&mut self, project: u64, bytes: u64) {
        self.live_records = self.live_records.saturating_sub(1);
        self.live_bytes = self.live_bytes.saturating_sub(bytes);
        let left = self
            .projects
            .get_mut(&project)
            .map(|held| {
                *held = held.saturating_sub(bytes);
                *held
            })
            .unwrap_or_default();
        if left == 0 {
            self.projects.remove(&project);
        }
    }

    /// The projects with more live bytes than that, and theirs. Walks over all.
    pub(super) fn above(&self, bytes: u64) -> impl Iterator<Item = (u64, u64)> {
        let all = self
            .projects
            .iter()
            .map(|(project, held)| (*project, *held));
        all.filter(move |(_, held)| *held > bytes)
    }

    /// Live bytes of a project.
    pub(super) fn project(&self, project: u64) -> u64 {
        self.projects.get(&project).copied().unwrap_or_default()
    }
}

/// Places that were handed out before their records were copied forward. Holds the
/// live ones alone, each of which was in a segment that was almost done with.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Where a record is, by the place that its owner has.
    now: HashMap<Place, Place>,
    /// The other way round.
    issued: HashMap<Place, Place>,
}

impl Moved {
    /// Where the record of a place is now.
    pub(super) fn now(&self, issued: Place) -> Place {
        self.now.get(&issued).copied().unwrap_or(issued)
    }

    /// Notes that the record at `from` lies at `to`.
    pub(super) fn note(&mut self, from: Place, to: Place) {
        let issued = self.issued.remove(&from).unwrap_or(from);
        self.now.insert(issued, to);
        self.issued.insert(to, issued);
    }

    /// Where the record of a place is, which nobody will ask for again.
    pub(super) fn forget(&mut self, issued: Place) -> Place {
        let Some(now) = self.now.remove(&issued) else {
            return issued;
        };
        self.issued.remove(&now);
        now
    }
}
