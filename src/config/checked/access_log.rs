//! Owns the checked rules of the access log: which requests have a line, how it looks, and what
//! it may take of a disk.

use std::path::PathBuf;

use super::{AccessFormat, AccessMode, Rate};
use crate::domain::sampling;

/// Which requests have a line, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// Default `off`.
    pub mode: AccessMode,
    /// In mode `sampled`, how many of the requests that went well; default a hundredth.
    pub sample: sampling::Rate,
    /// In mode `sampled`, how many lines each reason for going wrong has at most, all workers
    /// together; what is beyond is sampled like the rest. Default 100/s.
    pub errors: Rate,
    /// Default `json`.
    pub format: AccessFormat,
    /// Default stdout.
    pub to: AccessTarget,
    /// The most that one file has, from 64 KiB; default 100 MiB.
    pub max_bytes: u64,
    /// How many files are kept beside the one that is written; default 5, up to 1000.
    pub files: u64,
    /// The most that waits to be written, from 64 KiB; default 4 MiB. Lines beyond are dropped.
    pub buffer: u64,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessTarget {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl AccessLog {
    /// Whether any request can have a line.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.mode != AccessMode::Off
    }
}
