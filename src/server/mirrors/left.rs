//! What lies in the folder of a mirror that is not configured any more: nobody sends it, and nobody
//! gives it up. Counts it and says so; never sends or removes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::domain::units::about_size;

use super::Mirrors;
use crate::server::spool::log::{Log, LogLimits, RealDisk};

/// Folders that are looked into.
const LOOKED_AT_MAX: usize = 64;

/// Of those in which something is kept, as many are shown.
const SHOWN_MAX: usize = 4;

/// Folders without a mirror.
#[derive(Debug, Default)]
pub(super) struct Left(Mutex<Vec<Folder>>);

#[derive(Debug)]
struct Folder {
    name: String,
    path: PathBuf,
    /// `None`: it is not known yet. The process before this one still has it.
    kept: Option<Kept>,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    requests: usize,
    bytes: u64,
}

impl Mirrors {
    /// Where mirrors' stores are, beside the first Sentry's.
    pub(super) fn folder(spool: &Path) -> PathBuf {
        spool.join("mirrors")
    }

    /// Looks which folders have no mirror in this process. Blocks.
    pub(crate) fn look_beside(&self, spool: &Path) {
        if spool.as_os_str().is_empty() {
            return;
        }
        let Ok(found) = fs::read_dir(Self::folder(spool)) else {
            return;
        };
        let folders = found.filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let is_ours = self.counts().any(|counts| counts.name == name);
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            (is_folder && !is_ours).then(|| Folder {
                name,
                path: entry.path(),
                kept: None,
            })
        });
        let mut folders: Vec<Folder> = folders.take(LOOKED_AT_MAX).collect();
        folders.sort_by(|one, other| one.name.cmp(&other.name));
        *self.left.0.lock().unwrap_or_else(PoisonError::into_inner) = folders;
        self.left.look();
    }

    /// What is kept for nobody, in words.
    pub(crate) fn left(&self) -> Vec<String> {
        self.left.look();
        let folders = self.left.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = folders.iter().filter_map(|folder| {
            let Kept { requests, bytes } = folder.kept?;
            let (name, path) = (&folder.name, folder.path.display());
            let bytes = about_size(bytes);
            Some(format!(
                "mirrors: {requests} requests ({bytes}) are kept in {path}, and no mirror is called \
                 {name}: add it again and restart, or remove that folder"
            ))
        });
        kept.take(SHOWN_MAX).collect()
    }
}

impl Left {
    /// Counts what could not be counted yet, and forgets folders that are gone.
    fn look(&self) {
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        folders.retain_mut(|folder| {
            if folder.kept.is_some() {
                return folder.path.is_dir();
            }
            folder.kept = kept_in(&folder.path);
            let Some(Kept { requests, bytes }) = folder.kept else {
                return folder.path.is_dir();
            };
            if requests > 0 {
                let path = folder.path.display();
                tracing::warn!(
                    mirror = folder.name,
                    requests,
                    bytes,
                    %path,
                    "something is kept for a mirror that is not configured any more: add it again and restart, or remove its folder"
                );
            }
            requests > 0
        });
    }
}

/// `None`: another process has it, or it cannot be read now.
fn kept_in(path: &Path) -> Option<Kept> {
    let disk = RealDisk::open(path).ok()?;
    let (log, found) = Log::open(disk, LogLimits::default()).ok()?;
    Some(Kept {
        requests: found.records.len(),
        bytes: log.usage().live_bytes,
    })
}
