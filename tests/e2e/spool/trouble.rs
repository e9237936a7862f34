//! Trouble from outside the edge: its disk fails, its wall clock is set. A library that is
//! loaded before the edge's own makes it (`trouble/trouble.c`), and a file says when.

mod clock;
mod disk;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::edge::Edge;
use crate::parts::checkout;

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = disk::trials();
    trials.extend(clock::trials());
    trials
}

/// Each write fails.
pub(crate) const WRITE_EIO: u32 = 1;
/// Each write finds no room.
pub(super) const WRITE_FULL: u32 = 2;
/// Each write writes half.
pub(super) const WRITE_SHORT: u32 = 4;
/// Each sync fails.
pub(crate) const SYNC_EIO: u32 = 8;
/// Each read fails.
pub(super) const READ_EIO: u32 = 16;

/// What may happen to one edge at a time, and does not yet.
pub(crate) struct Trouble {
    control: fs::File,
    folder: TempDir,
}

/// Where `struct control` has what.
const CLOCK_MS: u64 = 0;
const FAULTS: u64 = 8;
const SEED: u64 = 24;
const DEALT: u64 = 32;
const CONTROL_BYTES: u64 = 40;

impl Trouble {
    /// Whose lots are drawn from this seed.
    pub(crate) fn new(seed: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(folder.path().join("control"))
            .unwrap();
        control.set_len(CONTROL_BYTES).unwrap();
        control.write_all_at(&seed.to_ne_bytes(), SEED).unwrap();
        Self { control, folder }
    }

    /// An edge that meets it, with its files below this folder.
    #[track_caller]
    pub(crate) fn run(&self, text: &str, place: &Path) -> Edge {
        let control = self.folder.path().join("control");
        let place = place.canonicalize().unwrap();
        let environment = [
            ("LD_PRELOAD", library()),
            ("TROUBLE_FILE", control.as_path()),
            ("TROUBLE_FOLDER", place.as_path()),
        ];
        let environment = environment.map(|(name, path)| (name, path.to_str().unwrap()));
        Edge::run(text, &environment).passing_on(&environment)
    }

    /// From now on, of 256 calls so many meet one of these.
    pub(crate) fn faults(&self, faults: u32, of_256: u32) {
        let words = [faults.to_ne_bytes(), of_256.to_ne_bytes()].concat();
        self.control.write_all_at(&words, FAULTS).unwrap();
    }

    /// How many there were.
    pub(super) fn dealt(&self) -> u64 {
        let mut dealt = [0; 8];
        self.control.read_exact_at(&mut dealt, DEALT).unwrap();
        u64::from_ne_bytes(dealt)
    }

    /// Sets the edge's wall clock so many seconds off the true one.
    pub(crate) fn clock_is_off(&self, by_s: i64) {
        let ms = (by_s * 1000).to_ne_bytes();
        self.control.write_all_at(&ms, CLOCK_MS).unwrap();
    }
}

/// The library, compiled once by the compiler that vidette's own C needs anyway.
fn library() -> &'static Path {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = BUILT.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let library = folder.path().join("trouble.so");
        let built = Command::new("cc")
            .args([
                "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o",
            ])
            .arg(&library)
            .arg(checkout("tests/e2e/spool/trouble/trouble.c"))
            .output()
            .unwrap();
        assert!(built.status.success(), "{built:?}");
        (folder, library)
    });
    library
}
