//! A Relay's `projects/<id>.json`, read as Sentry's own states are. A file that cannot be read is
//! named, and spoils no other: what it said before stands until it can, or is gone. Blocks: never
//! on a worker.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::known::Known;
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::domain::project_state::{ProjectState, StateFault};

/// Files of one folder. Whoever has more projects than that asks Sentry.
const FILES_MAX: usize = 10_000;

/// The longest file: Relay's own have many more fields than are read of them.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Files that are named of those that cannot be read.
const NAMED_MAX: usize = 5;

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
enum FileFault {
    #[error("cannot be read ({})", .0.kind())]
    Io(#[from] io::Error),
    #[error("is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error(transparent)]
    State(#[from] StateFault),
    #[error("names no key in publicKeys")]
    NoKey,
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// What is told of each key.
    pub known: Known,
    /// What could not be read, in words, the first few.
    pub faults: Vec<String>,
    /// Something that was there when the folder was first read has not been read yet: nobody
    /// knows whom it names.
    pub unread: bool,
}

/// Stands for all files with their sizes and times: another one, and something has changed.
pub(crate) fn digest(folder: &Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    for (id, path) in listed(folder).ok()? {
        let about = path.metadata().ok();
        // Who may read it changes another time than what it holds.
        let about = about.map(|about| {
            let changed = (about.ctime(), about.ctime_nsec());
            (about.len(), about.modified().ok(), changed)
        });
        (id, about).hash(&mut hasher);
    }
    Some(hasher.finish())
}

/// Reads a folder, after what was read of it before. Where it, or one of its files, cannot be read
/// now, that stands, and it is said: whoever is of a file that is being written, or of a disk that
/// is away, is refused for neither.
pub(crate) fn read(folder: &Path, before: Option<&Files>) -> Files {
    let mut files = Files::default();
    let listed = match listed(folder) {
        Ok(listed) => listed,
        Err(error) => {
            let fault = error.kind();
            files.faults.push(format!(
                "the directory of sentry.projects cannot be read: {fault}"
            ));
            files.known = before.map_or_else(Known::default, |before| before.known.clone());
            files.unread = before.is_none_or(|before| before.unread);
            return files;
        }
    };
    let mut left_out = 0_usize;
    let mut read = Vec::<(Key, Arc<ProjectState>)>::new();
    for (place, (id, path)) in listed.iter().enumerate() {
        let state = match place < FILES_MAX {
            true => state(*id, path),
            false => {
                left_out += 1;
                continue;
            }
        };
        match state {
            Ok(state) => {
                let state = Arc::new(state);
                let keys = state.keys.iter();
                read.extend(keys.map(|own| (own.key, Arc::clone(&state))));
            }
            Err(fault) => {
                if fault.hides() {
                    files.stand(*id, before);
                }
                match files.faults.len() < NAMED_MAX {
                    true => files.faults.push(format!("{id}.json {fault}")),
                    false => left_out += 1,
                }
            }
        }
    }
    // What was read now goes before what was read earlier.
    files.known.states.extend(read);
    if left_out > 0 {
        files.faults.push(format!("and {left_out} more"));
    }
    files
}

impl Files {
    /// Takes over what a file said before, that cannot be read now.
    fn stand(&mut self, id: ProjectId, before: Option<&Self>) {
        let known = before.into_iter().flat_map(|before| &before.known.states);
        let own = known.filter(|(_, state)| state.project == Some(id));
        let count = self.known.states.len();
        let own = own.map(|(key, state)| (*key, Arc::clone(state)));
        self.known.states.extend(own);
        let none = self.known.states.len() == count;
        self.unread |= none && before.is_none_or(|before| before.unread);
    }
}

impl FileFault {
    /// Whether nobody knows what the file says.
    fn hides(&self) -> bool {
        match self {
            Self::Io(error) => error.kind() != io::ErrorKind::NotFound,
            Self::TooLarge | Self::State(_) => true,
            Self::NoKey => false,
        }
    }
}

/// The files that are named by a project's number, in the order of those.
fn listed(folder: &Path) -> io::Result<BTreeMap<ProjectId, PathBuf>> {
    let mut listed = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let id = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".json"))
            .and_then(|id| ProjectId::parse(id.as_bytes()));
        if let Some(id) = id {
            listed.insert(id, path);
        }
    }
    Ok(listed)
}

fn state(id: ProjectId, path: &Path) -> Result<ProjectState, FileFault> {
    let mut text = String::new();
    let mut file = File::open(path)?.take(FILE_BYTES_MAX + 1);
    file.read_to_string(&mut text)?;
    if file.limit() == 0 {
        return Err(FileFault::TooLarge);
    }
    let state = ProjectState::read_of(Some(id), &text)?;
    match state.keys.is_empty() {
        true => Err(FileFault::NoKey),
        false => Ok(state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_holds_the_projects_that_its_files_are_named_by() {
        let file = format!(
            r#"{{"slug":"web","publicKeys":[{{"publicKey":"{KEY}","isEnabled":true}}],
            "config":{{"quotas":[{{"scope":"project","scopeId":"42","limit":1,"window":60}}]}}}}"#
        );
        let folder = folder(&[("42.json", &file), ("note.json", "x"), ("042.json", "x")]);
        let files = read(folder.path(), None);
        assert_eq!(files.faults, [""; 0]);
        let [state] = files.known.states.values().collect::<Vec<_>>()[..] else {
            panic!("one key has a state");
        };
        assert_eq!(state.project.map(ProjectId::get), Some(42));
        assert_eq!(state.quotas.as_ref().unwrap().project.len(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_and_spoils_no_other() {
        let file = format!(r#"{{"publicKeys":[{{"publicKey":"{KEY}"}}]}}"#);
        let folder = folder(&[("1.json", "{"), ("2.json", "{}"), ("3.json", &file)]);
        let files = read(folder.path(), None);
        assert_eq!(files.known.states.len(), 1);
        assert!(files.unread, "nobody knows what 1.json says");
        assert_eq!(
            files.faults,
            [
                "1.json is no JSON object",
                "2.json names no key in publicKeys"
            ]
        );
        let gone = read(&folder.path().join("gone"), None);
        assert_eq!(gone.faults.len(), 1);
        assert!(gone.known == Known::default() && gone.unread);
    }

    /// The keys that are known, by their last digit.
    fn keys(files: &Files) -> Vec<&str> {
        let keys = files.known.states.keys();
        keys.map(|key| key.as_str().get(31..).unwrap()).collect()
    }

    /// In mode `strict` all of its senders would be refused.
    #[test]
    fn what_a_file_said_stands_until_it_can_be_read_again_or_is_gone() {
        let file = |number: u32| format!(r#"{{"publicKeys":[{{"publicKey":"{number:032x}"}}]}}"#);
        let folder = folder(&[("1.json", &file(1)), ("2.json", &file(2))]);
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let first = read(folder.path(), None);
        assert_eq!((keys(&first), first.unread), (vec!["1", "2"], false));
        // Half written; and a new one that is nobody's yet.
        write("1.json", file(1).get(..20).unwrap());
        write("3.json", "{");
        let half = read(folder.path(), Some(&first));
        assert_eq!((keys(&half), half.unread), (vec!["1", "2"], false));
        assert_eq!(half.faults.len(), 2);
        let away = read(&folder.path().join("away"), Some(&half));
        assert_eq!((&away.known, away.unread), (&half.known, false));
        assert_eq!(away.faults.len(), 1);
        // A key that another file has now is that one's.
        write("2.json", &file(1));
        let moved = read(folder.path(), Some(&away));
        assert_eq!(keys(&moved), ["1"]);
        let [state] = moved.known.states.values().collect::<Vec<_>>()[..] else {
            panic!("one key has a state");
        };
        assert_eq!(state.project.map(ProjectId::get), Some(2));
        write("2.json", &file(2));
        // One that says so names no key any more; and one that is gone says nothing.
        write("1.json", r#"{"publicKeys":[]}"#);
        let none = read(folder.path(), Some(&half));
        assert_eq!((keys(&none), none.unread), (vec!["2"], false));
        fs::remove_file(folder.path().join("1.json")).unwrap();
        assert_eq!(keys(&read(folder.path(), Some(&half))), ["2"]);
    }

    #[test]
    fn what_has_never_been_read_is_awaited_until_it_is() {
        let folder = folder(&[("1.json", "{"), ("2.json", "")]);
        let first = read(folder.path(), None);
        assert!(first.unread);
        fs::remove_file(folder.path().join("2.json")).unwrap();
        let second = read(folder.path(), Some(&first));
        assert!(second.unread, "1.json has not been read");
        fs::write(folder.path().join("1.json"), r#"{"publicKeys":[]}"#).unwrap();
        assert!(!read(folder.path(), Some(&second)).unread);
    }

    #[test]
    fn a_change_of_any_file_is_seen_without_reading_them() {
        let folder = folder(&[("1.json", "{}")]);
        let before = digest(folder.path()).unwrap();
        assert_eq!(digest(folder.path()), Some(before));
        fs::write(folder.path().join("note.txt"), "x").unwrap();
        assert_eq!(digest(folder.path()), Some(before), "it is no project's");
        fs::write(folder.path().join("1.json"), "{ }").unwrap();
        let changed = digest(folder.path()).unwrap();
        assert_ne!(changed, before);
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(folder.path().join("1.json"), private).unwrap();
        assert_ne!(digest(folder.path()), Some(changed), "who may read it");
        let changed = digest(folder.path()).unwrap();
        fs::write(folder.path().join("2.json"), "{}").unwrap();
        assert_ne!(digest(folder.path()), Some(changed));
        assert_eq!(digest(&folder.path().join("gone")), None);
    }
}
