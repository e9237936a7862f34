//! Old DSNs that lead elsewhere, as the gate goes by them, and how often each was met: an entry
//! that nobody has needed for a year can go. Never rewrites a request; the server does.
//!
//! Who is led to another key of the same Sentry is judged as that one. Another Sentry has numbers
//! of its own, which may be anybody's here: who is led there goes on being judged as the old one,
//! whose key the entry vouches for.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Claim;
use crate::domain::credentials::Key;
use crate::domain::dsn_map::{DsnMap, Move};
use crate::domain::endpoint::ProjectId;

/// The map in force.
#[derive(Debug, Default)]
pub struct Moves {
    map: DsnMap,
    /// Requests that each was met by, in the map's order.
    met: Box<[AtomicU64]>,
}

impl Moves {
    /// A map that nobody has met yet.
    #[must_use]
    pub fn new(map: DsnMap) -> Self {
        Self {
            met: map.moves().iter().map(|_| AtomicU64::new(0)).collect(),
            map,
        }
    }

    /// Goes on from the counts of the map before, where both say the same.
    pub fn go_on_from(&self, before: &Self) {
        for (one, met) in self.counted() {
            let same = before.map.find(&one.key, one.project);
            if let Some((place, _)) = same.filter(|(_, other)| *other == one)
                && let Some(count) = before.met.get(place)
            {
                met.store(count.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }

    /// Whether it leads nobody anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The map.
    #[must_use]
    pub const fn map(&self) -> &DsnMap {
        &self.map
    }

    /// All of them, and how many requests each was met by.
    pub fn met(&self) -> impl Iterator<Item = (&Move, u64)> {
        let counted = self.counted();
        counted.map(|(one, met)| (one, met.load(Ordering::Relaxed)))
    }

    fn counted(&self) -> impl Iterator<Item = (&Move, &AtomicU64)> {
        self.map.moves().iter().zip(&self.met)
    }

    /// Where an old DSN leads, if that is to another Sentry.
    #[must_use]
    pub fn away(&self, key: &Key, project: Option<ProjectId>) -> Option<&Move> {
        if self.map.is_empty() {
            return None;
        }
        let (_, one) = self.map.find(key, project)?;
        one.leads_away().then_some(one)
    }

    /// What a claim becomes that is made by an old DSN: the same, where that leads to another
    /// Sentry. `None`: it is made by no old one.
    #[must_use]
    pub fn follow<'a>(&self, claim: &Claim<'a>) -> Option<(Claim<'a>, &Move)> {
        let (_, one) = self.map.find(&claim.key, claim.project)?;
        Some((moved(claim, one), one))
    }

    /// The same, and counts it.
    pub(super) fn meet<'a>(&self, claim: &Claim<'a>) -> Option<Claim<'a>> {
        if self.map.is_empty() {
            return None;
        }
        let (place, one) = self.map.find(&claim.key, claim.project)?;
        if let Some(met) = self.met.get(place) {
            met.fetch_add(1, Ordering::Relaxed);
        }
        Some(moved(claim, one))
    }
}

/// By its new key and for its new project. Whoever names no project, as at `/api/store/`, means
/// the one that the entry names: the new one, or the old one where another Sentry has that now.
fn moved<'a>(claim: &Claim<'a>, to: &Move) -> Claim<'a> {
    if to.leads_away() {
        return Claim {
            project: claim.project.or(to.project),
            ..*claim
        };
    }
    Claim {
        key: to.to_key,
        project: Some(to.to_project),
        ..*claim
    }
}
