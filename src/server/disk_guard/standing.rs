//! How the guarded disks stand, for whoever asks. Written by the keeper alone.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::switch::Share;
use crate::policy::disk_guard::Stage;
use crate::policy::filling::{Reaches, Resource, Seen};

use super::Fault;

/// How they stood at the last look.
#[derive(Debug, Default)]
pub(crate) struct Board(ArcSwap<Standing>);

/// How they stand.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// How far the guard goes.
    pub stage: Stage,
    /// Since when it keeps anything here.
    pub since_unix_s: Option<u64>,
    /// Where its stage begins.
    pub mark: Option<Share>,
    /// The share of errors that passes at the last stage.
    pub errors: Share,
    /// The disks, as they were configured.
    pub disks: Vec<Disk>,
}

/// How one stands.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    /// Where it is.
    pub path: PathBuf,
    /// What was seen of it.
    pub seen: Option<Seen>,
    /// How full it is, and of what.
    pub used: Option<(Share, Resource)>,
    /// Why nothing new is known of it.
    pub fault: Option<Fault>,
    /// The next stage, where it begins, and when.
    pub next: Option<(Stage, Share, Reaches)>,
    /// When it is full.
    pub full: Reaches,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            stage: Stage::Open,
            since_unix_s: None,
            mark: None,
            errors: Share::ALL,
            disks: Vec::new(),
        }
    }
}

impl Board {
    pub(super) fn show(&self, standing: Standing) {
        self.0.store(Arc::new(standing));
    }

    /// How they stand.
    pub(crate) fn read(&self) -> Arc<Standing> {
        self.0.load_full()
    }
}

impl Standing {
    /// The disk that sets the stage.
    pub(crate) fn fullest(&self) -> Option<&Disk> {
        let seen = self.disks.iter().filter(|disk| disk.used.is_some());
        seen.max_by_key(|disk| disk.used.map(|(share, _)| share))
    }

    /// The least that is free on any of them, in bytes.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let seen = self.disks.iter().filter_map(|disk| disk.seen);
        seen.map(|seen| seen.bytes.free).min()
    }
}

impl Disk {
    /// Its path, its use, and of what.
    pub(crate) fn fields(&self) -> (String, String, &'static str) {
        let path = self.path.display().to_string();
        let (used, of) = self
            .used
            .map_or_else(Default::default, |(share, of)| (share.short(), of.name()));
        (path, used, of)
    }

    /// In words: `/var/lib/docker is 91.2% used`, by inodes where that is what is short.
    pub(crate) fn words(&self) -> String {
        let (path, used, of) = self.fields();
        match self.used {
            None => format!("{path} is unknown"),
            Some((_, Resource::Space)) => format!("{path} is {used} used"),
            Some((_, Resource::Inodes)) => format!("{path} is {used} used, by {of}"),
        }
    }
}
