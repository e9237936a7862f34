//! A program that a bench started, and the folder it runs in: both gone when the value is.
//!
//! Ends nothing but its own child, by its process id, and never by name.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A proxy that drains gets this long to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// Why a program does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    #[error("cannot start {name}")]
    Start {
        name: &'static str,
        source: io::Error,
    },
    #[error("{name} ended by itself ({status}); the end of its log:\n{log}")]
    Ended {
        name: &'static str,
        status: std::process::ExitStatus,
        log: String,
    },
    #[error("cannot ask after {name}")]
    Wait {
        name: &'static str,
        source: io::Error,
    },
}

/// A running program, tied to its cores. Dropping it ends it and waits until it has ended.
pub(crate) struct Child {
    name: &'static str,
    process: Process,
    log: PathBuf,
}

impl Child {
    /// Starts `program` on `cores`, its output going to `NAME.log` in the folder.
    pub(crate) fn start<A: AsRef<OsStr>>(
        name: &'static str,
        program: &Path,
        arguments: &[A],
        cores: &str,
        folder: &ScratchFolder,
    ) -> Result<Self, ChildError> {
        let refused = |source| ChildError::Start { name, source };
        let log = folder.path().join(format!("{name}.log"));
        let output = File::create(&log).map_err(refused)?;
        let process = pinned(program, cores)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(refused)?)
            .stderr(output)
            .spawn()
            .map_err(refused)?;
        Ok(Self { name, process, log })
    }

    /// The process id: the root of the tree whose CPU time is this program's.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Fails, with what the program last said, once it has ended by itself.
    pub(crate) fn still_runs(&mut self) -> Result<(), ChildError> {
        let name = self.name;
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(ChildError::Ended {
                name,
                status,
                log: self.last_words(),
            }),
            Err(source) => Err(ChildError::Wait { name, source }),
        }
    }

    /// The last lines of the program's log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        lines
            .get(lines.len().saturating_sub(10)..)
            .unwrap_or_default()
            .join("\n")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // A child that has ended must not be asked: its id may already be another's.
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        // Asked first, killed last: nginx ends its worker only when it is asked.
        let asked = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while asked.is_ok() && Instant::now() < deadline {
            match self.process.try_wait() {
                Ok(None) => thread::sleep(POLL),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        eprintln!("{} did not end when asked: killed", self.name);
        // Fails only where the process has ended meanwhile, which is what is wanted.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A command that runs on `cores` alone and is told to end if this process dies without a word.
///
/// Both wrappers replace themselves by the program, so the child's id is the program's own.
pub(crate) fn pinned(program: &Path, cores: &str) -> Command {
    let mut command = found("setpriv");
    command
        .args(["--pdeathsig", "TERM", "taskset", "-c", cores])
        .arg(program);
    command
}

/// A command by its name, also where Debian keeps daemons and a user's path does not lead.
pub(crate) fn found(program: impl AsRef<OsStr>) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin"));
    command
}

/// A fresh folder, removed with all in it when dropped.
///
/// Anyone may read it: nginx's worker is another user than the rig when root runs it.
pub(crate) struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// Makes the folder in another; fails if it is already there.
    pub(crate) fn create(parent: &Path, name: &str) -> io::Result<Self> {
        let path = parent.join(format!("vidette-{name}-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}
