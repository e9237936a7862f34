//! By which name this edge is known to those that it shares quotas with. Kept over a restart,
//! so that the next process goes on with what this one holds; the file tells the process that
//! wrote it, so that no copy of the folder goes by the same name. Of a copy of what a process that
//! lives goes by, the name is taken only where that one reports no more. Where the folder itself
//! is the one that was written, and the machine runs as it did then, nobody else goes by it: the
//! folder is locked by this process, so the one before has ended.

use std::os::unix::fs::MetadataExt as _;

use serde::{Deserialize, Serialize};

use crate::server::memory::state::StateFolder;

const FILE: &str = "shared-quota";

const FILE_BYTES_MAX: u64 = 4096;

/// A name, and who goes by it.
#[derive(Debug)]
pub(super) struct EdgeName {
    /// The edge's.
    pub edge: String,
    /// This process's.
    pub process: String,
    /// That of the process before this one.
    pub earlier: String,
    /// Its part was one in so many when that was last heard; 0: that was never.
    pub one_in: u64,
    /// The process before has ended, as it had this very folder.
    pub ended: bool,
    /// When the process before was last seen to have reported, by the pool's time.
    reported_ms: Option<u64>,
    folder: Option<StateFolder>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    edge: String,
    process: String,
    one_in: u64,
    /// Which folder it is, on which run of the machine; nothing where that is not to be had.
    #[serde(default)]
    place: Option<String>,
}

/// Which folder this is, on this run of the machine: no copy of it says the same.
fn place_of(folder: &StateFolder) -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let folder = std::fs::metadata(folder.path()).ok()?;
    Some(format!("{} {} {}", boot.trim(), folder.dev(), folder.ino()))
}

impl EdgeName {
    /// The one that an earlier run had, else a fresh one.
    pub(super) fn recall(folder: Option<StateFolder>) -> Self {
        let kept = folder.as_ref().and_then(|folder| {
            let kept = folder.read(FILE, FILE_BYTES_MAX).ok()??;
            serde_json::from_slice::<Written>(&kept).ok()
        });
        let kept = kept.filter(|kept| is_drawn(&kept.edge) && is_drawn(&kept.process));
        match kept {
            Some(Written {
                edge,
                process,
                one_in,
                place,
            }) => Self {
                edge,
                process: drawn(),
                earlier: process,
                one_in,
                ended: place.is_some() && place == folder.as_ref().and_then(place_of),
                reported_ms: None,
                folder,
            },
            None => Self::fresh(folder),
        }
    }

    fn fresh(folder: Option<StateFolder>) -> Self {
        Self {
            edge: drawn(),
            process: drawn(),
            earlier: String::from("-"),
            one_in: 0,
            ended: false,
            reported_ms: None,
            folder,
        }
    }

    /// Notes when the process before was seen to have reported. Whether that has changed: so it
    /// lives.
    pub(super) fn goes_on_elsewhere(&mut self, reported_ms: u64) -> bool {
        let before = self.reported_ms.replace(reported_ms);
        before.is_some_and(|before| before != reported_ms)
    }

    /// Another name, as somebody else goes by this one.
    pub(super) fn renew(&mut self) {
        let one_in = self.one_in;
        *self = Self::fresh(self.folder.take());
        self.one_in = one_in;
    }

    /// Has the next run know of it. Without a folder, or where its disk fails, what this process
    /// holds is lost with it until its windows end.
    pub(super) fn keep(&mut self, one_in: u64) {
        if self.one_in == one_in && self.earlier == self.process {
            return;
        }
        self.one_in = one_in;
        self.earlier.clone_from(&self.process);
        let Some(folder) = &self.folder else {
            return;
        };
        let written = Written {
            edge: self.edge.clone(),
            process: self.process.clone(),
            one_in,
            place: place_of(folder),
        };
        let kept = serde_json::to_vec(&written)
            .map_err(std::io::Error::other)
            .and_then(|bytes| folder.write(FILE, &bytes));
        if let Err(error) = kept {
            tracing::warn!(%error, "a restart will not know what this edge holds of shared quotas");
        }
    }
}

/// A name that nobody else draws. No secret: who can write to the pool needs none.
fn drawn() -> String {
    format!("{:032x}", fastrand::u128(..))
}

fn is_drawn(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_run_goes_by_the_same_name_and_tells_who_did_before() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path()).unwrap();
        let mut first = EdgeName::recall(Some(folder.clone()));
        first.keep(3);
        let next = EdgeName::recall(Some(folder.clone()));
        assert_eq!((&next.edge, &next.earlier), (&first.edge, &first.process));
        assert_eq!(next.one_in, 3);
        assert_ne!(next.process, first.process);
        folder.write(FILE, b"{}").unwrap();
        assert_ne!(EdgeName::recall(Some(folder)).edge, first.edge);
    }

    #[test]
    fn the_process_before_has_ended_where_the_folder_is_its_own() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path()).unwrap();
        let mut first = EdgeName::recall(Some(folder.clone()));
        assert!(!first.ended, "there was none");
        first.keep(3);
        assert!(EdgeName::recall(Some(folder)).ended);
        let copied = tempfile::tempdir().unwrap();
        std::fs::copy(place.path().join(FILE), copied.path().join(FILE)).unwrap();
        let copy = EdgeName::recall(Some(StateFolder::open(copied.path()).unwrap()));
        assert_eq!(copy.earlier, first.process);
        assert!(!copy.ended, "it may live by what this is a copy of");
    }

    #[test]
    fn the_process_before_lives_where_it_reports_again() {
        let mut name = EdgeName::recall(None);
        assert!(!name.goes_on_elsewhere(1000), "it may have ended since");
        assert!(!name.goes_on_elsewhere(1000));
        assert!(name.goes_on_elsewhere(2000));
        name.renew();
        assert!(!name.goes_on_elsewhere(3000), "of another name");
    }

    #[test]
    fn without_a_folder_each_run_is_another_edge() {
        let mut first = EdgeName::recall(None);
        first.keep(2);
        assert_ne!(EdgeName::recall(None).edge, first.edge);
        let before = first.edge.clone();
        first.renew();
        assert_ne!(first.edge, before);
    }
}
