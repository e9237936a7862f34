//! The listing on disk: an edge that restarts while Sentry is away still knows
//! its keys. Written whole or not at all; a file that is not as it was written
//! is an error and never half a list. Behind its [seal](Seal) it is JSON.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

use super::list::{KeyList, ListedKey, ListedProject, RateLimit};
use super::sealed::{Seal, Unsealed};

/// The form of what is written; another one is not read.
const SEAL: Seal = Seal {
    title: "vidette key list",
    version: "1",
};

/// The largest file that is read: a million keys take some 150 MB.
const FILE_BYTES_MAX: u64 = 512 << 20;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// It cannot be read.
    #[error("the copy of the key list cannot be read")]
    Read(#[source] io::Error),
    /// It cannot be written; an older one stands.
    #[error("the copy of the key list cannot be written")]
    Write(#[source] io::Error),
    /// Some other file, or the copy of another version.
    #[error("the file is not a key list that this version can read")]
    Foreign,
    /// Cut short or changed since it was written.
    #[error("the copy of the key list is damaged")]
    Damaged,
    /// What another Sentry said.
    #[error("the copy of the key list is another Sentry's")]
    Others,
    /// Over what any list takes.
    #[error("the copy of the key list is over {FILE_BYTES_MAX} bytes")]
    TooLarge,
}

#[derive(Serialize, Deserialize)]
struct Saved<'l> {
    /// Whose list it is: the URL. Earlier copies do not say.
    #[serde(borrow, default)]
    of: Option<Cow<'l, str>>,
    at: SystemTime,
    skipped: u64,
    #[serde(borrow)]
    projects: Vec<SavedProject<'l>>,
    #[serde(borrow)]
    keys: Vec<SavedKey<'l>>,
}

#[derive(Serialize, Deserialize)]
struct SavedProject<'l> {
    id: u64,
    #[serde(borrow)]
    organization: Cow<'l, str>,
    #[serde(borrow)]
    slug: Cow<'l, str>,
    active: bool,
}

#[derive(Serialize, Deserialize)]
struct SavedKey<'l> {
    key: &'l str,
    project: u64,
    enabled: bool,
    #[serde(borrow)]
    name: Cow<'l, str>,
    /// Count and seconds.
    limit: Option<(u64, u64)>,
}

/// Puts the list of the Sentry at the URL `of` in the place of the copy at `path`,
/// readable by its owner alone. Blocks until the disk has it. Until then, and when this fails, the
/// older copy stands.
pub(crate) fn save(path: &Path, of: &str, list: &KeyList) -> Result<(), CopyError> {
    let body =
        serde_json::to_vec(&saved(of, list)).map_err(|error| CopyError::Write(error.into()))?;
    write(path, &body).map_err(CopyError::Write)
}

/// The copy at `path` of what the Sentry at the URL `of` said; `None` when there is none. One that
/// does not say whose it is counts as its. Blocks while it reads.
pub(crate) fn load(path: &Path, of: &str) -> Result<Option<KeyList>, CopyError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CopyError::Read(error)),
    };
    let mut bytes = Vec::new();
    let mut bounded = file.take(FILE_BYTES_MAX + 1);
    let read = bounded.read_to_end(&mut bytes).map_err(CopyError::Read)?;
    if bounded.limit() == 0 {
        return Err(CopyError::TooLarge);
    }
    tracing::debug!(bytes = read, "a copy of the key list was found");
    parse(&bytes, of).map(Some)
}

fn write(path: &Path, body: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    // Its own name each time: two processes may save at once while one takes over.
    let mut file = tempfile::Builder::new()
        .prefix(".key-list-")
        .tempfile_in(folder)?;
    file.write_all(SEAL.line(body).as_bytes())?;
    file.write_all(body)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

fn parse(bytes: &[u8], of: &str) -> Result<KeyList, CopyError> {
    let body = SEAL.open(bytes).map_err(|unsealed| match unsealed {
        Unsealed::Foreign => CopyError::Foreign,
        Unsealed::Damaged => CopyError::Damaged,
    })?;
    let saved: Saved<'_> = serde_json::from_slice(body).map_err(|_| CopyError::Damaged)?;
    if saved.of.as_deref().is_some_and(|other| other != of) {
        return Err(CopyError::Others);
    }
    listed(saved).ok_or(CopyError::Damaged)
}

fn saved<'l>(of: &'l str, list: &'l KeyList) -> Saved<'l> {
    Saved {
        of: Some(Cow::Borrowed(of)),
        at: list.at,
        skipped: list.skipped,
        projects: list.projects.iter().map(SavedProject::of).collect(),
        keys: list.keys.iter().map(SavedKey::of).collect(),
    }
}

fn listed(saved: Saved<'_>) -> Option<KeyList> {
    let projects = saved.projects.into_iter().map(SavedProject::listed);
    let keys = saved.keys.into_iter().map(SavedKey::listed);
    Some(KeyList {
        projects: projects.collect::<Option<_>>()?,
        keys: keys.collect::<Option<_>>()?,
        skipped: saved.skipped,
        at: saved.at,
    })
}

impl<'l> SavedProject<'l> {
    fn of(project: &'l ListedProject) -> Self {
        Self {
            id: project.id.get(),
            organization: Cow::Borrowed(&project.organization),
            slug: Cow::Borrowed(&project.slug),
            active: project.active,
        }
    }

    fn listed(self) -> Option<ListedProject> {
        Some(ListedProject {
            id: id(self.id)?,
            organization: self.organization.into_owned(),
            slug: self.slug.into_owned(),
            active: self.active,
        })
    }
}

impl<'l> SavedKey<'l> {
    fn of(key: &'l ListedKey) -> Self {
        Self {
            key: key.key.as_str(),
            project: key.project.get(),
            enabled: key.enabled,
            name: Cow::Borrowed(&key.name),
            limit: key.rate_limit.map(|limit| (limit.count, limit.window_s)),
        }
    }

    fn listed(self) -> Option<ListedKey> {
        let limit = self.limit;
        Some(ListedKey {
            key: Key::parse(self.key.as_bytes())?,
            project: id(self.project)?,
            enabled: self.enabled,
            name: self.name.into_owned(),
            rate_limit: limit.map(|(count, window_s)| RateLimit { count, window_s }),
        })
    }
}

fn id(number: u64) -> Option<ProjectId> {
    ProjectId::parse(number.to_string().as_bytes())
}

#[cfg(test)]
mod tests;
