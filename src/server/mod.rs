//! The running edge: builds its parts, runs them, and stops them in reverse
//! order. The only layer with async code; it never decides by itself whether a
//! request may pass.

mod access_log;
mod acme;
pub mod admin;
mod canary;
mod client;
mod control;
mod delivery;
mod descriptors;
mod disk_guard;
mod entrance;
mod feed;
mod habits;
mod handover;
mod heap;
mod holding;
mod incidents;
mod ingest;
mod looks;
mod memory;
mod mirrors;
mod passage;
mod privileges;
mod pulses;
mod reloader;
mod reports;
mod rules;
mod sentry;
mod settling;
mod shared_quota;
mod sightings;
pub mod spool;
mod stamps;
mod start;
mod supervisor;
mod thread;
mod ticket;
mod upkeep;
mod upstream;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::tls::TrustError;

pub use entrance::SealError;
pub use start::Origin;

use access_log::AccessLog;

pub(crate) use descriptors::SPARE_DESCRIPTORS;
pub(crate) use privileges::rehearse;

/// Why the edge does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on. The error names it.
    #[error("cannot listen on {0}")]
    Listen(io::Error),
    /// A directory is another process's, which would come to harm, as this one would.
    #[error(
        "{key} is in use: {by} has {}; to take over from it without a break, start with --takeover",
        path.display()
    )]
    Taken {
        /// Where it is configured.
        key: &'static str,
        /// The directory.
        path: PathBuf,
        /// Who has it, in words.
        by: String,
    },
    /// The process that runs does not hand over.
    #[error("cannot take over from the running process")]
    TakeOver(#[source] io::Error),
    /// A listener's certificate files are of no use.
    #[error("listener {listener}: {error}")]
    Certificates {
        /// Its name.
        listener: String,
        /// What is wrong with them.
        error: SealError,
    },
    /// What TLS with servers stands on is of no use.
    #[error("upstream.tls: {0}")]
    Trust(#[from] TrustError),
    /// It cannot become who it is to be.
    #[error("cannot become `user` {user}: {error}")]
    User {
        /// Its name.
        user: String,
        /// Why not.
        error: io::Error,
    },
    /// Who it is to be may not read what was read before it became that.
    #[error("`user` {user} cannot read {} ({key}): {error}", path.display())]
    Unreadable {
        /// Its name.
        user: String,
        /// Where the file is configured.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A thread or its runtime cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// A thread ended that should not have.
    #[error("a thread of the edge ended unexpectedly")]
    Died,
}

impl StartError {
    /// Whether somebody listens where it was to listen.
    #[must_use]
    pub fn is_address_taken(&self) -> bool {
        matches!(self, Self::Listen(error) if error.kind() == io::ErrorKind::AddrInUse)
    }
}

/// A running edge. Dropping it stops it at once, without a drain; `wait` is the
/// way to a clean end.
#[derive(Debug)]
pub struct Edge {
    public: Vec<SocketAddr>,
    admin: SocketAddr,
    stop: watch::Sender<bool>,
    control: Option<JoinHandle<io::Result<()>>>,
    workers: Vec<JoinHandle<io::Result<()>>>,
    mirrors: mirrors::Threads,
    access_log: Arc<AccessLog>,
}

impl Edge {
    /// The first public address, with the port that was chosen for 0.
    ///
    /// # Panics
    /// Never: a configuration without a public listener is refused.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        *self
            .public
            .first()
            .expect("checked: there is at least one public listener")
    }

    /// The admin address, with the port that was chosen for 0.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Waits for SIGTERM or SIGINT, lets requests under way finish for up to
    /// `limits.drain`, and stops; or until another process has taken over, and all that was
    /// begun here is finished.
    ///
    /// # Errors
    /// A thread that failed on its way.
    pub fn wait(mut self) -> Result<(), StartError> {
        // Control ends last: while it drains, `/health/ready` says so.
        for worker in self.workers.drain(..) {
            worker
                .join()
                .map_err(|_| StartError::Died)?
                .map_err(StartError::Thread)?;
        }
        // All that is to be copied has been.
        self.mirrors.end();
        self.stop.send_replace(true);
        let ended = match self.control.take() {
            Some(control) => control
                .join()
                .map_err(|_| StartError::Died)?
                .map_err(StartError::Thread),
            None => Ok(()),
        };
        // All that workers had to hand over came before they were gone.
        self.access_log.close();
        ended
    }
}
