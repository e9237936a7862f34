//! Owns the demo's folder: where the edge keeps events while Sentry is away, for as long as the
//! demo runs.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Names that are tried: an earlier demo that was killed has left its own.
const TRIES: u32 = 16;

/// A new folder, which nobody else can read. Dropped, it is removed with all that is in it.
#[derive(Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    /// Makes one within a folder.
    ///
    /// # Errors
    /// Nothing can be made there.
    pub(super) fn within(folder: &Path) -> io::Result<Self> {
        let process = std::process::id();
        let mut names = (0..TRIES).map(|n| folder.join(format!("vidette-demo-{process}-{n}")));
        let made = |path: &PathBuf| DirBuilder::new().mode(0o700).create(path);
        names
            .find_map(|path| match made(&path) {
                Ok(()) => Some(Ok(Self(path))),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                Err(error) => Some(Err(error)),
            })
            .unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            let path = self.0.display();
            tracing::warn!(%error, %path, "the demo's folder is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn each_is_its_owners_alone_and_goes_with_what_is_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Place::within(folder.path()).expect("made");
        let second = Place::within(folder.path()).expect("made");
        assert_ne!(first.path(), second.path());
        let mode = std::fs::metadata(first.path())
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
        std::fs::write(first.path().join("kept"), "x").expect("written");
        drop(first);
        drop(second);
        let left = std::fs::read_dir(folder.path()).expect("there").count();
        assert_eq!(left, 0);
    }

    #[test]
    fn where_nothing_can_be_made_is_told() {
        let gone = Path::new("/nowhere/at/all");
        assert!(Place::within(gone).is_err());
    }
}
