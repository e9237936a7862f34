//! What a log asks of a disk, so that tests can stand one in that fails, forgets
//! and loses power. [`RealDisk`] is a directory; nothing else opens a file.

use std::io::{self, IoSlice};

pub use real::{DiskError, RealDisk, RealFile};

mod real;

/// The few things a log does with files. Names are relative to its one directory.
///
/// Each call stands for one call to the system: what it wrote is safe from a loss
/// of power only after `sync_data` of the file and, for names, `sync_dir`.
pub trait Disk {
    /// An open file.
    type File;

    /// A new file, for its owner's eyes only.
    ///
    /// # Errors
    /// What the system says; a file of that name is one.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// A file that is there, to read and write.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// The names of all files.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Takes a file's name away.
    ///
    /// # Errors
    /// What the system says.
    fn unlink(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in place of what had it.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// A file without a name: it goes with its handle unless it is linked.
    ///
    /// # Errors
    /// What the system says.
    fn unnamed(&self) -> io::Result<Self::File>;

    /// Names a file that [`Disk::unnamed`] made. Without success it is lost.
    ///
    /// # Errors
    /// What the system says; a file of that name is one.
    fn link(&self, file: Self::File, name: &str) -> io::Result<()>;

    /// Writes some of the slices, one after the other, and says how many bytes.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&self, file: &Self::File, slices: &[IoSlice<'_>], at: u64) -> io::Result<usize>;

    /// Reads some bytes and says how many; none at the file's end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, file: &Self::File, into: &mut [u8], at: u64) -> io::Result<usize>;

    /// Cuts a file, or lengthens it by zeros.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, file: &Self::File, bytes: u64) -> io::Result<()>;

    /// Lengthens an empty file by zeros that have their place on the disk already.
    ///
    /// # Errors
    /// What the system says.
    fn preallocate(&self, file: &Self::File, bytes: u64) -> io::Result<()>;

    /// Returns once what was written to the file is on disk.
    ///
    /// # Errors
    /// What the system says. What was written since the last success may be lost
    /// then, and a later success says nothing of it.
    fn sync_data(&self, file: &Self::File) -> io::Result<()>;

    /// Returns once names that were given or taken are so on disk.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self) -> io::Result<()>;

    /// The length of a file.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self, file: &Self::File) -> io::Result<u64>;

    /// Bytes that may still be written to this disk.
    ///
    /// # Errors
    /// What the system says.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// Slices that one call takes: the system's own limit (IOV_MAX).
const SLICES_MAX: usize = 1024;

/// Zeros to write from, for what is erased.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Writes all slices, in as many calls as it takes.
pub(super) fn write_all<D: Disk>(
    disk: &D,
    file: &D::File,
    mut slices: &mut [IoSlice<'_>],
    mut at: u64,
) -> io::Result<()> {
    // Slices of no bytes are skipped first: a write of nothing looks like a full disk.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let now = slices.get(..SLICES_MAX).unwrap_or(slices);
        match disk.write_at(file, now, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                at += super::frame::size(written);
                IoSlice::advance_slices(&mut slices, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Overwrites `bytes` bytes with zeros.
pub(super) fn write_zeros<D: Disk>(
    disk: &D,
    file: &D::File,
    mut at: u64,
    mut bytes: u64,
) -> io::Result<()> {
    while bytes > 0 {
        let now = usize::try_from(bytes).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        let zeros = ZEROS.get(..now).unwrap_or(&ZEROS);
        write_all(disk, file, &mut [IoSlice::new(zeros)], at)?;
        at += super::frame::size(now);
        bytes -= super::frame::size(now);
    }
    Ok(())
}

/// Fills the buffer, or as much of it as the file has, and says how much.
pub(super) fn read_full<D: Disk>(
    disk: &D,
    file: &D::File,
    mut into: &mut [u8],
    mut at: u64,
) -> io::Result<usize> {
    let mut filled = 0;
    while !into.is_empty() {
        match disk.read_at(file, into, at) {
            Ok(0) => break,
            Ok(read) => {
                filled += read;
                at += super::frame::size(read);
                into = into.get_mut(read..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Goes on after a failure that costs disk space or a duplicate, never a record.
pub(super) fn forgive(done: io::Result<()>, what: &'static str) -> bool {
    if let Err(error) = &done {
        tracing::warn!(%error, "spool: {what}");
    }
    done.is_ok()
}
