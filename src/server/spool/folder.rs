//! The folder in which the spool lies, found before anything is kept in it. Never reads a record.

use std::path::PathBuf;

use crate::config::checked;

use super::super::StartError;
use super::log::{DiskError, RealDisk};

/// The directory that the configuration names, locked: it is this process's.
#[derive(Debug, Default)]
pub(crate) struct SpoolFolder(pub(super) Option<(PathBuf, Result<RealDisk, DiskError>)>);

impl SpoolFolder {
    /// Takes it, if there is to be one. One that is of no use is told of later.
    ///
    /// # Errors
    /// Another process has it: two edges cannot keep in one place, and who started the second
    /// should hear of it before anything is lost there.
    pub(crate) fn find(config: &checked::Config) -> Result<Self, StartError> {
        let Some(path) = config.spool.path.clone() else {
            return Ok(Self::default());
        };
        match RealDisk::open(&path) {
            Err(DiskError::Busy(by)) => Err(StartError::Taken {
                key: "spool.path",
                path,
                by,
            }),
            disk => Ok(Self(Some((path, disk)))),
        }
    }
}
