//! Whom a verdict is about: a key together with the project of the path, the
//! origin it spoke for, and whether somebody named it. Owns their identity; never
//! says what is thought of them.

use std::fmt;

use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

/// A key as it is used for one project. Verdicts belong to this, never to the key alone: whoever
/// holds a good key can have it refused for the wrong project, and must hurt nobody by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pair {
    key: [u8; 16],
    project: Option<ProjectId>,
}

impl Pair {
    /// The project is the path's. `None` is `/api/store/`, which names none: a pair of its own.
    #[must_use]
    pub fn new(key: &Key, project: Option<ProjectId>) -> Self {
        Self {
            key: key.packed(),
            project,
        }
    }

    /// The same of a key that is packed already.
    #[must_use]
    pub const fn of(key: [u8; 16], project: Option<ProjectId>) -> Self {
        Self { key, project }
    }

    /// The key as it is held: sixteen bytes.
    #[must_use]
    pub const fn packed_key(&self) -> [u8; 16] {
        self.key
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::unpacked(self.key)
    }

    /// The path's project.
    #[must_use]
    pub const fn project(&self) -> Option<ProjectId> {
        self.project
    }
}

/// Shows no more of the key than logs may.
impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let project = self.project.map_or(0, ProjectId::get);
        write!(f, "Pair({}, {project})", self.key().masked())
    }
}

/// Stands for an effective origin. Only [`Verdicts::origin_key`](super::verdicts::Verdicts::origin_key)
/// makes one, with a seed of its own, so that nobody can search for an origin that shares a victim's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OriginKey(pub(super) u64);

/// Whether the configuration or Sentry vouches for a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// The directory has the key, enabled, and its project is the path's.
    Named,
    /// Only the upstream can tell.
    Unnamed,
}

/// Who sends one request: made once when its head is read, used again for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The key and the path's project.
    pub pair: Pair,
    /// The effective origin; `None` when the request names none.
    pub origin: Option<OriginKey>,
    /// Whether the pair needs no proof.
    pub known: Known,
}
