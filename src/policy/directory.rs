//! The keys that somebody vouches for: the configuration, or Sentry. Owns the
//! look-up and the rule for a key that both name; never changes once it is built,
//! so all workers read it without a lock, and a reload builds another.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;

use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

/// A table of four million takes 300 MB, and twice that while a reload builds the next. No
/// installation has as many; whoever names more has made a mistake worth hearing of.
pub const KEYS_MAX: usize = 4_000_000;

/// A slot that leads to no entry. Above [`KEYS_MAX`].
const EMPTY: u32 = u32::MAX;

/// Who vouches for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The configuration file. Goes before Sentry.
    Configured,
    /// A file of Relay's.
    File,
    /// Sentry's own list, or its word on a single key.
    Sentry,
}

/// A key's own limit, as Sentry knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRate {
    /// So many events.
    pub count: u32,
    /// In so many seconds.
    pub window_s: u32,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The project it belongs to. `None`: not told.
    pub project: Option<ProjectId>,
    /// Whether it may be used at all.
    pub enabled: bool,
    /// What people call it.
    pub name: Option<Box<str>>,
    /// Who vouches for it; the configuration, when both do.
    pub source: Source,
    /// Its own limit.
    pub rate_limit: Option<KeyRate>,
}

impl Named {
    /// Adds what a later word says about the same key. The earlier one stands wherever it says
    /// something, but nobody can enable what Sentry has disabled.
    fn also(&mut self, later: &mut Self) {
        if later.source != Source::Configured {
            self.enabled &= later.enabled;
        }
        self.project = self.project.or(later.project);
        self.name = self.name.take().or_else(|| later.name.take());
        self.rate_limit = self.rate_limit.or(later.rate_limit);
    }
}

/// More keys than a directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {KEYS_MAX} keys are named")]
pub struct TooManyKeys;

/// All keys that somebody vouches for; not to be printed.
///
/// A look-up costs two random reads; a million keys take 72 MB and their names.
#[derive(Default)]
pub struct Directory {
    entries: Box<[Entry]>,
    /// Where in `entries` a key is: open addressing, at most half full. A map that held the entries
    /// themselves would be twice as large, for the room it keeps free.
    slots: Box<[u32]>,
    /// In order, those that any key is of.
    projects: Box<[ProjectId]>,
    hasher: RandomState,
}

struct Entry {
    key: [u8; 16],
    named: Named,
}

impl Directory {
    /// Builds a directory from what the configuration and Sentry name, in any order.
    ///
    /// A key of the configuration wins over Sentry's, except that Sentry's `enabled: false` always
    /// refuses; what the configuration leaves open is Sentry's. Of two from one source the first
    /// wins. Sorts: for the control thread.
    ///
    /// # Errors
    /// [`TooManyKeys`] beyond [`KEYS_MAX`].
    pub fn build(named: impl IntoIterator<Item = (Key, Named)>) -> Result<Self, TooManyKeys> {
        Self::within(KEYS_MAX, named)
    }

    fn within(
        keys_max: usize,
        named: impl IntoIterator<Item = (Key, Named)>,
    ) -> Result<Self, TooManyKeys> {
        let mut entries: Vec<Entry> = Vec::new();
        for (key, named) in named {
            // Each source may name each key, so twice the limit is still honest.
            if entries.len() >= 2 * keys_max {
                return Err(TooManyKeys);
            }
            let key = key.packed();
            entries.push(Entry { key, named });
        }
        // Stable, so the first of one source stays the first.
        entries.sort_by_key(|entry| (entry.key, entry.named.source));
        entries.dedup_by(|later, earlier| {
            let same = later.key == earlier.key;
            if same {
                earlier.named.also(&mut later.named);
            }
            same
        });
        if entries.len() > keys_max {
            return Err(TooManyKeys);
        }
        Ok(Self::indexed(entries))
    }

    fn indexed(entries: Vec<Entry>) -> Self {
        let slots = (entries.len() * 2).next_power_of_two();
        let mut projects: Vec<_> = entries.iter().filter_map(|at| at.named.project).collect();
        projects.sort_unstable();
        projects.dedup();
        let mut directory = Self {
            projects: projects.into_boxed_slice(),
            entries: entries.into_boxed_slice(),
            slots: vec![EMPTY; slots].into_boxed_slice(),
            hasher: RandomState::default(),
        };
        for (entry, at) in directory.entries.iter().zip(0_u32..) {
            let free = probe(&directory.hasher, slots, &entry.key)
                .find(|slot| directory.slots.get(*slot) == Some(&EMPTY));
            if let Some(slot) = free.and_then(|slot| directory.slots.get_mut(slot)) {
                *slot = at;
            }
        }
        directory
    }

    /// Whether any key is named for a project.
    #[must_use]
    pub fn has_project(&self, project: ProjectId) -> bool {
        self.projects.binary_search(&project).is_ok()
    }

    /// What is known of a key.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<&Named> {
        let key = key.packed();
        // Half of the slots are empty, so an empty one ends the search soon.
        for slot in probe(&self.hasher, self.slots.len(), &key) {
            let at = *self.slots.get(slot)?;
            let entry = self.entries.get(usize::try_from(at).ok()?)?;
            if entry.key == key {
                return Some(&entry.named);
            }
        }
        None
    }

    /// The keys of a project, at most so many, in their own order. Walks all: for the control
    /// thread.
    pub fn of_project(
        &self,
        project: ProjectId,
        most: usize,
    ) -> impl Iterator<Item = (Key, &Named)> {
        let own = self.entries.iter();
        let own = own.filter(move |entry| entry.named.project == Some(project));
        own.take(most)
            .map(|entry| (Key::unpacked(entry.key), &entry.named))
    }

    /// How many keys it knows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody vouches for anything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The slots where a key may be, in order; each of them once.
fn probe(hasher: &RandomState, slots: usize, key: &[u8; 16]) -> impl Iterator<Item = usize> {
    let mask = slots.saturating_sub(1);
    // The low half alone: enough for any table, and the same on a machine of 32 bits.
    let home = usize::try_from(hasher.hash_one(key) & 0xffff_ffff).unwrap_or_default();
    (0..slots).map(move |step| home.wrapping_add(step) & mask)
}

#[cfg(test)]
mod tests;
