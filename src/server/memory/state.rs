//! The folder in which the edge keeps what it has learned over a restart. Each
//! file is written whole or not at all and is its owner's alone to read, and the folder is
//! one edge's at a time; without one the edge runs all the same and forgets.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::server::memory::lock::{Holder, Lock, NotLocked, lock};

/// The file by which the folder is one edge's. Not the name of the spool's, which may lie in
/// the same folder.
const LOCK: &str = "state-lock";

/// A folder that takes files. Clones share it, and its lock.
#[derive(Debug, Clone)]
pub(crate) struct StateFolder {
    path: PathBuf,
    hold: Arc<Hold>,
}

/// What makes the folder ours.
#[derive(Debug)]
struct Hold {
    lock: Mutex<Option<Lock>>,
    /// It is another process's now: nothing is written to it.
    given_away: AtomicBool,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// Another edge has it.
    #[error("{0} uses this directory")]
    Taken(Holder),
    /// It cannot be made, or takes no file.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl StateFolder {
    /// The folder of `state.path`; see [`StateFolder::open_for`].
    ///
    /// # Errors
    /// Another edge has it, or what the system says.
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        Self::open_for(path, "state.path")
    }

    /// A folder, made if it is not there, locked, and tried by writing to it. `key` is where it
    /// is configured.
    ///
    /// # Errors
    /// Another edge has it, or what the system says.
    pub(crate) fn open_for(path: &Path, key: &'static str) -> Result<Self, StateError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = locked(path, key)?;
        let folder = Self {
            path: path.to_path_buf(),
            hold: Arc::new(Hold {
                lock: Mutex::new(lock),
                given_away: AtomicBool::new(false),
            }),
        };
        folder.write("trial", b"")?;
        std::fs::remove_file(folder.file("trial"))?;
        Ok(folder)
    }

    /// Gives the folder to another process. From now on nothing is written here.
    pub(crate) fn give_away(&self) {
        self.hold.given_away.store(true, Ordering::Relaxed);
        if let Ok(mut lock) = self.hold.lock.lock()
            && let Some(lock) = lock.take()
        {
            lock.release();
        }
    }

    /// Takes it back from a process that is gone.
    ///
    /// # Errors
    /// That one, or another, has it still; or what the system says.
    pub(crate) fn take_back(&self) -> Result<(), StateError> {
        let lock = locked(&self.path, "state.path")?;
        if let Ok(mut held) = self.hold.lock.lock() {
            *held = lock;
        }
        self.hold.given_away.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Whether it is another process's.
    pub(crate) fn is_given_away(&self) -> bool {
        self.hold.given_away.load(Ordering::Relaxed)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file of that name lies.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file's content; `None` if there is none.
    ///
    /// # Errors
    /// What the system says; a file over `bytes_max` is one.
    pub(crate) fn read(&self, name: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.file(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut content = Vec::new();
        let read = file.take(bytes_max + 1).read_to_end(&mut content)?;
        match u64::try_from(read).is_ok_and(|read| read <= bytes_max) {
            true => Ok(Some(content)),
            false => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "larger than any file of its kind",
            )),
        }
    }

    /// Gives a file another name, for an operator to look at; an earlier one of that
    /// name is lost.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn put_aside(&self, name: &str) -> io::Result<()> {
        std::fs::rename(self.file(name), self.file(&format!("{name}.unread")))
    }

    /// Removes a file for good: a loss of power does not bring it back.
    ///
    /// # Errors
    /// What the system says; the file may be there or not.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.file(name))?;
        File::open(&self.path)?.sync_all()
    }

    /// Writes a file whole: under another name first, on disk before it takes the
    /// old one's place. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// What the system says; the old content stands.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        if self.is_given_away() {
            return Err(io::Error::other("the folder was handed over"));
        }
        let draft = self.file(&format!("{name}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&draft, self.file(name))?;
        File::open(&self.path)?.sync_all()
    }
}

/// A directory's lock.
fn locked(path: &Path, key: &'static str) -> Result<Option<Lock>, StateError> {
    match lock(File::open(path)?, LOCK) {
        Ok(lock) => Ok(Some(lock)),
        Err(NotLocked::Taken(holder)) => Err(StateError::Taken(holder)),
        // Some file systems know no locks: what is learned is worth more than one.
        Err(NotLocked::Io(error)) => {
            tracing::warn!(%error, "{key} cannot be locked: another edge on it would not be noticed");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_was_written_is_read_back_and_is_nobody_elses() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(&place.path().join("deep/state")).unwrap();
        assert_eq!(folder.read("a", 10).unwrap(), None);
        folder.write("a", b"first, and longer").unwrap();
        folder.write("a", b"second").unwrap();
        assert_eq!(
            folder.read("a", 6).unwrap().as_deref(),
            Some(&b"second"[..])
        );
        assert!(folder.read("a", 5).is_err(), "over its limit");
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.file("a")), 0o600);
        assert_eq!(mode(folder.path.clone()), 0o700);
        let left = std::fs::read_dir(&folder.path).unwrap();
        let mut left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["a", LOCK], "no draft is left");
    }

    #[test]
    fn a_folder_is_one_edges_until_that_is_gone() {
        let place = tempfile::tempdir().unwrap();
        let first = StateFolder::open(place.path()).unwrap();
        let second = StateFolder::open(place.path());
        assert!(matches!(second, Err(StateError::Taken(_))), "{second:?}");
        let copy = first.clone();
        drop(first);
        assert!(StateFolder::open(place.path()).is_err(), "it is in use");
        drop(copy);
        StateFolder::open(place.path()).unwrap();
    }

    #[test]
    fn a_folder_given_away_is_another_edges_and_takes_nothing_until_it_is_back() {
        let place = tempfile::tempdir().unwrap();
        let first = StateFolder::open(place.path()).unwrap();
        first.clone().give_away();
        let second = StateFolder::open(place.path()).unwrap();
        assert!(first.write("a", b"1").is_err(), "it is the second's");
        assert!(matches!(first.take_back(), Err(StateError::Taken(_))));
        drop(second);
        first.take_back().unwrap();
        first.write("a", b"1").unwrap();
        assert!(StateFolder::open(place.path()).is_err(), "it is ours");
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error() {
        let place = tempfile::NamedTempFile::new().unwrap();
        assert!(StateFolder::open(place.path()).is_err());
        assert!(StateFolder::open(&place.path().join("below")).is_err());
    }
}
