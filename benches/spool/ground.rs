//! Where the bench runs: the machine, the disk, and a folder on it that goes with the run.
//! Changes nothing outside of that folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::child::ScratchFolder;
use crate::host::{Host, allowed_cores};

/// What everything stands on.
pub(crate) struct Ground {
    pub(crate) vidette: PathBuf,
    pub(crate) host: Host,
    /// The cores this process and all that it starts may use, as taskset writes them.
    pub(crate) cores: String,
    /// What the folder lies on: the type of its file system, and its device.
    pub(crate) file_system: String,
    pub(crate) folder: ScratchFolder,
}

impl Ground {
    /// Looks around, and makes the folder: below cargo's target folder, since a system's
    /// temporary one is often no disk at all.
    pub(crate) fn find(vidette: &Path) -> Result<Self> {
        ensure!(
            vidette.is_file(),
            "no vidette at {}: build it with cargo build --release",
            vidette.display()
        );
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(parent).context("making cargo's folder for temporary files")?;
        let folder = ScratchFolder::create(parent, "spool").context("making a folder")?;
        let file_system = file_system_of(folder.path())?;
        if file_system.starts_with("tmpfs") {
            eprintln!("spool: this folder is in memory: nothing here is about a disk");
        }
        Ok(Self {
            vidette: vidette.into(),
            host: Host::look(),
            cores: allowed_cores().context("reading the cores this process may use")?,
            file_system,
            folder,
        })
    }

    /// A folder for one spool: not there yet.
    pub(crate) fn spool(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The type and device of what is mounted deepest above a path.
fn file_system_of(path: &Path) -> Result<String> {
    let path = path.canonicalize().context("finding the folder")?;
    let mounts = fs::read_to_string("/proc/self/mounts").context("reading what is mounted")?;
    let mount = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (device, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
        let above = path.starts_with(place);
        above.then(|| (place.len(), format!("{kind} on {device}")))
    };
    let deepest = mounts.lines().filter_map(mount).max_by_key(|(len, _)| *len);
    Ok(deepest.map_or_else(|| "unknown".into(), |(_, named)| named))
}
