//! What is held, in numbers. Owns what metrics and operators are told; changes nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::project::Project;
use super::turns::Name;
use super::{Held, Replay};
use crate::domain::endpoint::ProjectId;

/// What is held of one project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectHeld {
    /// Whose it is, if that is known.
    pub project: Option<ProjectId>,
    /// How many records, those under way with them.
    pub records: usize,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was taken in, in Unix milliseconds.
    pub oldest_at: u64,
}

impl<P: Copy> Replay<P> {
    /// Whether no more may be held.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.records >= self.records_max
    }

    /// How many more may be held.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.records_max.saturating_sub(self.records)
    }

    /// A record that is under way.
    #[must_use]
    pub fn going(&self, order: u64) -> Option<Held<P>> {
        Some(self.under_way.get(&order)?.held)
    }

    /// How many records are held, those under way with them.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records
    }

    /// Whether none is held.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The bytes of all that is held.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// When the oldest was taken in, in Unix milliseconds. Looks at each project once.
    #[must_use]
    pub fn oldest_at(&self) -> Option<u64> {
        let waiting = self.projects.values().filter_map(Project::oldest_at);
        let under_way = self.under_way.values().map(|other| other.held.at);
        let aside = self.aside.iter().map(|held| held.at);
        waiting.chain(under_way).chain(aside).min()
    }

    /// The projects of which most bytes are held, at most so many, the largest first. Looks at each
    /// project once.
    #[must_use]
    pub fn summary(&self, most: usize) -> Vec<ProjectHeld> {
        let mut largest = BinaryHeap::new();
        for (name, project) in &self.projects {
            largest.push(Reverse((project.bytes, Reverse(*name))));
            if largest.len() > most {
                largest.pop();
            }
        }
        let aside = self.aside.oldest();
        let told = |Reverse((_, Reverse(name))): &Reverse<(u64, Reverse<Name>)>| {
            let project = self.projects.get(name)?;
            let mine = self
                .under_way
                .values()
                .filter(|other| other.held.project == *name);
            let under_way = mine.map(|other| other.held.at).min();
            Some(ProjectHeld {
                project: *name,
                records: project.records,
                bytes: project.bytes,
                oldest_at: [project.oldest_at(), under_way, aside.get(name).copied()]
                    .into_iter()
                    .flatten()
                    .min()?,
            })
        };
        // Sorted by what pops first, that is the smallest last.
        largest.into_sorted_vec().iter().filter_map(told).collect()
    }
}
