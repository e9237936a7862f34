//! A directory that is one process's at a time. Owns its lock, which the system gives back
//! with the process, however that ends; never waits for it.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;

/// The lock of a directory, held for as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Gives the directory to whoever asks next, though this lives on.
    pub(crate) fn release(&self) {
        if let Err(error) = flock(&self.file, FlockOperation::Unlock) {
            tracing::warn!(%error, "a directory's lock cannot be given back");
        }
    }
}

/// Why a directory is not locked.
#[derive(Debug)]
pub(crate) enum NotLocked {
    /// Another process has it, or another part of this one.
    Taken(Holder),
    /// It cannot be locked.
    Io(io::Error),
}

/// Who has the lock, by the number that it gave itself: in a container of its own, not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "another process (pid {pid})"),
            None => write!(f, "another process"),
        }
    }
}

/// Locks a directory by a file of that name in it, which tells others who has it.
///
/// # Errors
/// Somebody has it, or what the system says.
pub(crate) fn lock(directory: impl AsFd, name: &str) -> Result<Lock, NotLocked> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(directory, name, flags, Mode::RUSR | Mode::WUSR);
    let file = File::from(file.map_err(|error| NotLocked::Io(error.into()))?);
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(NotLocked::Taken(holder(&file))),
        Err(error) => return Err(NotLocked::Io(error.into())),
    }
    // A full disk takes no number: who comes second is told without it.
    let pid = format!("{}\n", std::process::id());
    let noted = file
        .set_len(0)
        .and_then(|()| file.write_all_at(pid.as_bytes(), 0));
    if noted.is_err() {
        file.set_len(0).ok();
    }
    Ok(Lock { file })
}

/// The number in a lock's file.
fn holder(file: &File) -> Holder {
    let mut text = [0; 16];
    let read = file.read_at(&mut text, 0).unwrap_or_default();
    let text = std::str::from_utf8(text.get(..read).unwrap_or_default());
    Holder(text.ok().and_then(|text| text.trim_end().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_owners_until_that_is_gone() {
        let place = tempfile::tempdir().unwrap();
        let directory = File::open(place.path()).unwrap();
        let first = lock(&directory, "lock").unwrap();
        let Err(NotLocked::Taken(holder)) = lock(&directory, "lock") else {
            panic!("it is locked twice");
        };
        let own = std::process::id();
        assert_eq!(holder.to_string(), format!("another process (pid {own})"));
        drop(lock(&directory, "another").unwrap());
        drop(first);
        lock(&directory, "lock").unwrap();
    }

    #[test]
    fn a_lock_that_is_given_back_is_anybodys() {
        let place = tempfile::tempdir().unwrap();
        let directory = File::open(place.path()).unwrap();
        let first = lock(&directory, "lock").unwrap();
        first.release();
        let _second = lock(&directory, "lock").unwrap();
        // Its end takes nothing from who came after it.
        drop(first);
        assert!(lock(&directory, "lock").is_err(), "it is the second's");
    }

    #[test]
    fn a_file_that_tells_no_number_names_nobody() {
        #[track_caller]
        fn check(text: &[u8], want: &str) {
            let place = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(place.path(), text).unwrap();
            let said = holder(&File::open(place.path()).unwrap()).to_string();
            assert_eq!(said, want);
        }
        check(b"17\n", "another process (pid 17)");
        for odd in [
            &b""[..],
            b"-1\n",
            b"seven",
            b"\xff",
            b"17171717171717171717\n",
        ] {
            check(odd, "another process");
        }
    }
}
