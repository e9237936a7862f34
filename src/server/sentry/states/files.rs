//! A Relay's `projects/<id>.json`, read as Sentry's own states are. A file that cannot be read is
//! named and left out, and spoils no other. Blocks: never on a worker.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::known::Known;
use crate::domain::endpoint::ProjectId;
use crate::domain::project_state::{ProjectState, StateFault};

/// Files of one folder. Whoever has more projects than that asks Sentry.
const FILES_MAX: usize = 10_000;

/// The longest file: Relay's own have many more fields than are read of them.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Files that are named of those that cannot be read.
const NAMED_MAX: usize = 5;

/// Why a file is left out.
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
}

/// Stands for all files with their sizes and times: another one, and something has changed.
pub(crate) fn digest(folder: &Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    for (id, path) in listed(folder).ok()? {
        let about = path.metadata().ok();
        let about = about.map(|about| (about.len(), about.modified().ok()));
        (id, about).hash(&mut hasher);
    }
    Some(hasher.finish())
}

/// Reads a folder. One that cannot be read holds nothing, and says so.
pub(crate) fn read(folder: &Path) -> Files {
    let mut files = Files::default();
    let listed = match listed(folder) {
        Ok(listed) => listed,
        Err(error) => {
            let fault = error.kind();
            files.faults.push(format!(
                "the directory of sentry.projects cannot be read: {fault}"
            ));
            return files;
        }
    };
    let mut left_out = 0_usize;
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
                let keys = keys.map(|own| (own.key, Arc::clone(&state)));
                files.known.states.extend(keys);
            }
            Err(fault) if files.faults.len() < NAMED_MAX => {
                files.faults.push(format!("{id}.json {fault}"));
            }
            Err(_) => left_out += 1,
        }
    }
    if left_out > 0 {
        files.faults.push(format!("and {left_out} more"));
    }
    files
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
        let files = read(folder.path());
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
        let files = read(folder.path());
        assert_eq!(files.known.states.len(), 1);
        assert_eq!(
            files.faults,
            [
                "1.json is no JSON object",
                "2.json names no key in publicKeys"
            ]
        );
        let gone = read(&folder.path().join("gone"));
        assert_eq!(gone.faults.len(), 1);
        assert_eq!(gone.known, Known::default());
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
        fs::write(folder.path().join("2.json"), "{}").unwrap();
        assert_ne!(digest(folder.path()), Some(changed));
        assert_eq!(digest(&folder.path().join("gone")), None);
    }
}
