//! One look at a disk. Owns that nobody waits for a disk that does not answer, not even a
//! stop; never judges what is seen.

use std::io;
use std::path::{Path, PathBuf};
use std::thread::Builder;
use std::time::Duration;

use rustix::fs::statvfs;
use rustix::io::Errno;
use tokio::sync::oneshot::{Receiver, channel};
use tokio::time::timeout;

use crate::policy::filling::{Amount, Seen};

/// How long a disk may take: what lies on another machine may never answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why nothing is known of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// Nothing is at the path.
    #[error("does not exist")]
    Gone,
    /// The system says no.
    #[error("cannot be looked at: {0}")]
    Refused(io::ErrorKind),
    /// It has not answered yet.
    #[error("does not answer")]
    Silent,
    /// It has neither bytes nor files.
    #[error("does not say how large it is")]
    Sizeless,
}

/// A path on a disk.
#[derive(Debug)]
pub(super) struct Eye {
    path: PathBuf,
    patience: Duration,
    /// A look that took too long: there is never a second beside it.
    under_way: Option<Receiver<Result<Seen, Fault>>>,
}

impl Eye {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            patience: PATIENCE,
            under_way: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks. Dropping it leaves a look under way behind, of which there is one at the most.
    pub(super) async fn look(&mut self) -> Result<Seen, Fault> {
        let mut look = match self.under_way.take() {
            Some(look) => look,
            None => self.begin()?,
        };
        match timeout(self.patience, &mut look).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(_)) => Err(Fault::Silent),
            Err(_) => {
                self.under_way = Some(look);
                Err(Fault::Silent)
            }
        }
    }

    /// On a thread that nobody waits for: one of a pool would hold up the end of the process.
    fn begin(&self) -> Result<Receiver<Result<Seen, Fault>>, Fault> {
        let (tell, told) = channel();
        let path = self.path.clone();
        let thread = Builder::new().name("disk".to_owned()).spawn(move || {
            // Whoever asked may have gone.
            tell.send(ask(&path)).ok();
        });
        thread.map_err(|error| Fault::Refused(error.kind()))?;
        Ok(told)
    }
}

fn ask(path: &Path) -> Result<Seen, Fault> {
    let disk = statvfs(path).map_err(|errno| match errno {
        Errno::NOENT | Errno::NOTDIR => Fault::Gone,
        errno => Fault::Refused(io::Error::from(errno).kind()),
    })?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    let seen = Seen {
        bytes: Amount {
            used: bytes(disk.f_blocks.saturating_sub(disk.f_bfree)),
            // What is kept for root is no help to whoever runs as somebody else.
            free: bytes(disk.f_bavail),
        },
        inodes: Amount {
            used: disk.f_files.saturating_sub(disk.f_ffree),
            free: disk.f_favail,
        },
    };
    seen.fullest().map(|_| seen).ok_or(Fault::Sizeless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &Path, want: Result<(), Fault>) {
        assert_eq!(ask(path).map(drop), want, "{}", path.display());
    }

    #[test]
    fn a_disk_is_seen_or_it_is_said_why_not() {
        let place = tempfile::tempdir().unwrap();
        check(place.path(), Ok(()));
        check(&place.path().join("nothing"), Err(Fault::Gone));
        let file = place.path().join("file");
        std::fs::write(&file, b"x").unwrap();
        check(&file, Ok(()));
        check(&file.join("below"), Err(Fault::Gone));
        check(Path::new("/proc/self"), Err(Fault::Sizeless));
    }

    #[test]
    fn a_look_comes_back_to_whoever_waits() {
        let place = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let mut eye = Eye::new(place.path().to_path_buf());
        let seen = runtime.block_on(eye.look()).unwrap();
        assert!(seen.bytes.whole() > 0, "{seen:?}");
        assert_eq!(eye.path(), place.path());
    }

    #[test]
    fn a_disk_that_does_not_answer_is_asked_once() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let (tell, told) = channel();
        let mut eye = Eye::new(PathBuf::from("/nothing"));
        eye.under_way = Some(told);
        eye.patience = Duration::from_millis(1);
        for _ in 0..3 {
            assert_eq!(runtime.block_on(eye.look()), Err(Fault::Silent));
        }
        let seen = Seen {
            bytes: Amount { used: 1, free: 2 },
            ..Seen::default()
        };
        tell.send(Ok(seen)).unwrap();
        eye.patience = PATIENCE;
        assert_eq!(runtime.block_on(eye.look()), Ok(seen));
        assert_eq!(runtime.block_on(eye.look()), Err(Fault::Gone), "asked anew");
    }
}
