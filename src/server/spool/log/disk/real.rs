//! One directory as a log's disk. Owns the directory's lock, so that two processes
//! never share it, and the ways of naming an unnamed file.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, Mode, OFlags, RenameFlags, fallocate, fstatvfs, linkat, openat,
    renameat, renameat_with, unlinkat,
};
use rustix::io::Errno;

use crate::server::memory::lock::{Lock, NotLocked, lock};

use super::super::names::TEMPORARY;
use super::Disk;

const LOCK: &str = "lock";
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const DIRECTORY_MODE: u32 = 0o700;

/// Bytes copied at once, where a file can only be named by a copy.
const COPY_BYTES: usize = 128 * 1024;

/// Why a directory cannot be a log's disk.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Somebody holds its lock: who, in words.
    #[error("{0} uses this directory")]
    Busy(String),
    /// It cannot be made, opened or locked.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A directory that holds one log. Clones share it, and its lock, until the last
/// of them and of their files is gone.
#[derive(Debug, Clone)]
pub struct RealDisk(Arc<Directory>);

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    handle: OwnedFd,
    /// Held for its lock, which the system gives back with it.
    lock: Lock,
    unnamed: AtomicU64,
}

/// A file of a [`RealDisk`].
#[derive(Debug)]
pub struct RealFile {
    file: File,
    /// The name it has all the same, where the system makes no unnamed files.
    temporary: Option<Temporary>,
}

impl RealFile {
    /// The file itself, to fill or to send.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl RealFile {
    /// The file alone, to be read. One that was never linked loses its name, if it has one.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }
}

impl From<OwnedFd> for RealFile {
    fn from(file: OwnedFd) -> Self {
        Self {
            file: file.into(),
            temporary: None,
        }
    }
}

/// A name that goes with its file.
#[derive(Debug)]
struct Temporary {
    directory: Arc<Directory>,
    name: String,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.name.is_empty() {
            return;
        }
        // What stays is removed by the next start.
        unlinkat(&self.directory.handle, &self.name, AtFlags::empty()).ok();
    }
}

impl RealDisk {
    /// Gives the directory to another process, though clones of this live on: nothing may be
    /// written through them any more.
    pub fn release(&self) {
        self.0.lock.release();
    }

    /// The size of the whole file system.
    ///
    /// # Errors
    /// What the system says.
    pub fn total_bytes(&self) -> io::Result<u64> {
        let disk = fstatvfs(&self.0.handle)?;
        Ok(disk.f_blocks.saturating_mul(disk.f_frsize))
    }

    /// The directory, made if it is not there, and locked.
    ///
    /// # Errors
    /// [`DiskError::Busy`] if another process, or another log of this one, has it;
    /// else what the system says.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(path)?;
        // A volume that belongs to somebody else cannot be narrowed; its files are.
        std::fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE)).ok();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = openat(CWD, path, flags, Mode::empty()).map_err(io::Error::from)?;
        let lock = lock(&handle, LOCK).map_err(|error| match error {
            NotLocked::Taken(holder) => DiskError::Busy(holder.to_string()),
            NotLocked::Io(error) => DiskError::Io(error),
        })?;
        Ok(Self(Arc::new(Directory {
            path: path.to_path_buf(),
            handle,
            lock,
            unnamed: AtomicU64::new(0),
        })))
    }

    fn open_with(&self, name: &str, more: OFlags) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | more;
        Ok(openat(&self.0.handle, name, flags, FILE_MODE)?)
    }

    /// A file whose name goes with it: what an unnamed one is, but for a crash.
    pub(super) fn temporary(&self) -> io::Result<RealFile> {
        let count = self.0.unnamed.fetch_add(1, Ordering::Relaxed);
        let name = format!("{count}{TEMPORARY}");
        let file = self.open_with(&name, OFlags::CREATE | OFlags::TRUNC)?;
        let directory = Arc::clone(&self.0);
        Ok(RealFile {
            file: file.into(),
            temporary: Some(Temporary { directory, name }),
        })
    }

    /// Names a file by a copy of it: where nothing can be linked by its descriptor.
    pub(super) fn copy(&self, from: &File, name: &str) -> io::Result<()> {
        let to = self.create(name)?;
        let copied = (|| {
            let mut chunk = vec![0; COPY_BYTES];
            let mut at = 0;
            loop {
                let read = from.read_at(&mut chunk, at)?;
                let Some(read) = chunk.get(..read).filter(|read| !read.is_empty()) else {
                    return to.file.sync_data();
                };
                to.file.write_all_at(read, at)?;
                at += super::super::frame::size(read.len());
            }
        })();
        if copied.is_err() {
            self.unlink(name).ok();
        }
        copied
    }
}

/// What systems answer that make no unnamed files: the flag is unknown to the
/// kernel, or to the file system.
fn knows_none(error: Errno) -> bool {
    [Errno::OPNOTSUPP, Errno::ISDIR, Errno::NOENT, Errno::INVAL].contains(&error)
}

impl Disk for RealDisk {
    type File = RealFile;

    fn create(&self, name: &str) -> io::Result<RealFile> {
        Ok(self.open_with(name, OFlags::CREATE | OFlags::EXCL)?.into())
    }

    fn open(&self, name: &str) -> io::Result<RealFile> {
        Ok(self.open_with(name, OFlags::NOFOLLOW)?.into())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.0.path)? {
            // No file of a log has a name that is no text.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.0.handle, name, AtFlags::empty())?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let handle = &self.0.handle;
        Ok(renameat(handle, from, handle, to)?)
    }

    fn unnamed(&self) -> io::Result<RealFile> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        match openat(&self.0.handle, ".", flags, FILE_MODE) {
            Ok(file) => Ok(file.into()),
            Err(error) if knows_none(error) => self.temporary(),
            Err(error) => Err(error.into()),
        }
    }

    fn link(&self, mut file: RealFile, name: &str) -> io::Result<()> {
        let handle = &self.0.handle;
        if let Some(mut temporary) = file.temporary.take() {
            let flags = RenameFlags::NOREPLACE;
            let renamed = renameat_with(handle, &temporary.name, handle, name, flags);
            if renamed.is_ok() {
                // Its old name may be another file's by now: nothing is left to remove.
                temporary.name.clear();
                return Ok(());
            }
            return self.copy(&file.file, name);
        }
        let path = format!("/proc/self/fd/{}", file.file.as_raw_fd());
        match linkat(CWD, path, handle, name, AtFlags::SYMLINK_FOLLOW) {
            Err(Errno::NOENT | Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP) => {
                self.copy(&file.file, name)
            }
            linked => Ok(linked?),
        }
    }

    fn write_at(&self, file: &RealFile, slices: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(&file.file, slices, at)?)
    }

    fn read_at(&self, file: &RealFile, into: &mut [u8], at: u64) -> io::Result<usize> {
        file.file.read_at(into, at)
    }

    fn set_len(&self, file: &RealFile, bytes: u64) -> io::Result<()> {
        file.file.set_len(bytes)
    }

    fn preallocate(&self, file: &RealFile, bytes: u64) -> io::Result<()> {
        match fallocate(&file.file, FallocateFlags::empty(), 0, bytes) {
            // Zeros without a place on the disk: a full disk is noticed at a write.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.file.set_len(bytes),
            allocated => Ok(allocated?),
        }
    }

    fn sync_data(&self, file: &RealFile) -> io::Result<()> {
        file.file.sync_data()
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0.handle)?)
    }

    fn len(&self, file: &RealFile) -> io::Result<u64> {
        Ok(file.file.metadata()?.len())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let disk = fstatvfs(&self.0.handle)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
