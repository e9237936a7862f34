//! The running edge: builds its parts, runs them, and stops them in reverse
//! order. The only layer with async code; it never decides by itself whether a
//! request may pass.

mod access_log;
mod acme;
pub mod admin;
mod client;
mod control;
mod delivery;
mod disk_guard;
mod entrance;
mod heap;
mod ingest;
mod memory;
mod passage;
mod pulses;
mod reloader;
mod reports;
mod rules;
mod sentry;
mod sightings;
pub mod spool;
mod stamps;
mod supervisor;
mod thread;
mod ticket;
mod upstream;
mod worker;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{Config, Loaded};
use crate::policy::blocks::Blocks;
use crate::policy::learned::Learned;
use crate::policy::millis::Millis;
use crate::policy::quotas::{CounterLimits, Counters};
use crate::policy::repeats::Repeats;
use crate::telemetry::ledger::Ledger;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process;
use crate::tls::TrustError;

pub use entrance::SealError;

use access_log::AccessLog;
use acme::{Issuance, Showcase};
use admin::Page;
use client::door::Door;
use control::Control;
use entrance::Entrance;
use memory::Memory;
use memory::switches::Switchboard;
use pulses::Pulses;
use rules::Rules;
use spool::{Spool, SpoolFolder};
use upstream::trust::Trusting;
use worker::Shared;

/// Why the edge does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {0}")]
    Listen(#[source] io::Error),
    /// A directory is another process's, which would come to harm, as this one would.
    #[error("{key} is in use: {by} has {}", path.display())]
    Taken {
        /// Where it is configured.
        key: &'static str,
        /// The directory.
        path: PathBuf,
        /// Who has it, in words.
        by: String,
    },
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
    /// A thread or its runtime cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// A thread ended that should not have.
    #[error("a thread of the edge ended unexpectedly")]
    Died,
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
    access_log: Arc<AccessLog>,
}

impl Edge {
    /// Binds every address and starts every thread. The edge listens when this
    /// returns, whether or not an upstream answers.
    ///
    /// # Errors
    /// An address or a directory in use, or a thread that the system refuses.
    pub fn start(loaded: Loaded, pages: Vec<Page>) -> Result<Self, StartError> {
        let config = &loaded.config;
        let count = rules::worker_count(config);
        let (ledger, metrics) = open_books(config, count);
        // Before anybody could connect here who would be served by neither.
        let memory = Memory::recall(config)?;
        let folder = SpoolFolder::find(config)?;
        let showcase = Showcase::default();
        let issuance = Issuance::recall(config, &showcase)?;
        let entrances = open_entrances(config, &showcase)?;
        let trust = Trusting::open(config)?;
        let (mut sockets, public) = bind_public(&loaded, count)?;
        let admin_socket =
            client::listen::bind_alone(config.listen.admin).map_err(StartError::Listen)?;
        let admin = admin_socket.local_addr().map_err(StartError::Listen)?;
        let doors = (entrances, showcase, trust);
        let (shared, switchboard) = share(config, doors, &memory, folder, ledger);
        let shared = Arc::new(shared);
        let access_log = Arc::clone(&shared.access_log);
        access_log
            .follow(&config.access_log)
            .map_err(StartError::Thread)?;
        let (stop, stopped) = watch::channel(false);
        let mut workers = Vec::with_capacity(count);
        for (place, counters) in metrics.workers.iter().enumerate() {
            let own: Vec<TcpListener> = sockets.iter_mut().filter_map(Vec::pop).collect();
            let worker = thread::Plan {
                place,
                sockets: own,
                shared: Arc::clone(&shared),
                metrics: Arc::clone(counters),
                stopped: stopped.clone(),
            };
            workers.push(worker.start().map_err(StartError::Thread)?);
        }
        let control = Control {
            loaded,
            shared,
            metrics,
            pages,
            memory,
            switchboard,
            issuance,
            stopped,
            stop: stop.clone(),
        };
        let control = control
            .start(admin_socket, public.clone())
            .map_err(StartError::Thread)?;
        let listed: Vec<String> = public
            .iter()
            .map(|address| format!("public {address}"))
            .collect();
        let listening = format!("listening: {}, admin {admin}", listed.join(", "));
        tracing::info!(workers = count, "{listening}");
        supervisor::ready(&listening);
        Ok(Self {
            public,
            admin,
            stop,
            control: Some(control),
            workers,
            access_log,
        })
    }

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
    /// `limits.drain`, and stops.
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

/// A limit as the size of a table.
fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// The counters, all at nothing, for so many workers.
fn open_books(config: &Config, workers: usize) -> (Arc<Ledger>, Arc<Metrics>) {
    let listeners = config.listen.public.iter();
    let names = listeners.map(|listener| listener.name.clone()).collect();
    let ledger = Arc::new(Ledger::new(SystemTime::now(), 0));
    reloader::number_projects(&ledger, config);
    let metrics = Arc::new(Metrics::new(workers, names, Arc::clone(&ledger)));
    metrics
        .control
        .last_reload_success_s
        .store(process::now_s(), Ordering::Relaxed);
    (ledger, metrics)
}

/// What all threads will share, and who alone changes what is switched on.
fn share(
    config: &Config,
    (entrances, acme, trust): (Vec<Entrance>, Showcase, Trusting),
    memory: &Memory,
    folder: SpoolFolder,
    ledger: Arc<Ledger>,
) -> (Shared, Switchboard) {
    let epoch = Instant::now();
    let counters = Arc::new(Counters::new(CounterLimits {
        counters: size(config.limits.quota_counters),
        ips: size(config.limits.quota_ips),
    }));
    let rules = Rules::new(config, None, &memory.knowledge, &counters);
    let rules = Arc::new(ArcSwap::from_pointee(rules));
    let switchboard = memory.switchboard(&counters);
    let reports: Arc<reports::Board> = Arc::default();
    let shared = Shared {
        spool: Spool::open(
            folder,
            &rules,
            &ledger,
            reports.share(),
            memory.pause(),
            epoch,
        ),
        maintenance: memory.maintenance(),
        rules,
        entrances,
        trust: Arc::new(trust),
        acme,
        connections: AtomicU64::new(0),
        per_client: Arc::default(),
        doors: config
            .listen
            .public
            .iter()
            .map(|listener| Door::new(&listener.door))
            .collect(),
        descriptors: raise_open_files(config.limits.connections),
        stopping: AtomicBool::new(false),
        pulses: Pulses::new(rules::worker_count(config)),
        disk_bytes: Arc::default(),
        ahead_bytes: Arc::default(),
        verdicts: memory.verdicts(config, Millis(0)),
        journal: memory.journal(&counters),
        counters,
        switches: Arc::clone(switchboard.in_force()),
        disks: Arc::default(),
        learned: Learned::new(size(config.keys.limited_max)),
        repeats: Repeats::new(size(config.limits.repeats)),
        blocks: Blocks::new(size(config.limits.block.clients_max)),
        ledger,
        reports,
        access_log: Arc::new(AccessLog::new(&config.access_log)),
        sightings: sightings::Board::default(),
        epoch,
        wall_ms: AtomicU64::new(0),
    };
    shared.look_at_clock();
    (shared, switchboard)
}

fn open_entrances(config: &Config, showcase: &Showcase) -> Result<Vec<Entrance>, StartError> {
    let listeners = config.listen.public.iter();
    let opened = listeners.map(|listener| {
        Entrance::open(listener, showcase).map_err(|error| StartError::Certificates {
            listener: listener.name.clone(),
            error,
        })
    });
    opened.collect()
}

/// A socket for each worker, for each listener; and the addresses they got.
type Bound = (Vec<Vec<TcpListener>>, Vec<SocketAddr>);

fn bind_public(loaded: &Loaded, workers: usize) -> Result<Bound, StartError> {
    let mut sockets = Vec::new();
    let mut addresses = Vec::new();
    for listener in &loaded.config.listen.public {
        let bound = client::listen::bind(listener.address, workers).map_err(StartError::Listen)?;
        let first = bound.first().ok_or(StartError::Died)?;
        addresses.push(first.local_addr().map_err(StartError::Listen)?);
        sockets.push(bound);
    }
    Ok((sockets, addresses))
}

/// Descriptors kept for what is no client: upstream connections that lie idle,
/// files, the admin server.
pub(crate) const SPARE_DESCRIPTORS: u64 = 1024;

/// Asks for as many descriptors as the limits can need, two for each client's
/// connection, and yields how many there are.
fn raise_open_files(connections: u64) -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = connections
        .saturating_mul(2)
        .saturating_add(SPARE_DESCRIPTORS);
    let now = getrlimit(Resource::Nofile);
    let current = now.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return current;
    }
    let reachable = now.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = Rlimit {
        current: Some(reachable),
        maximum: now.maximum,
    };
    let reached = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => reachable,
        Err(_) => current,
    };
    if reached < wanted {
        tracing::warn!(
            open_files = reached,
            wanted,
            connections_max = worker::connections_max(connections, reached),
            "fewer connections are taken than limits.connections allows: the limit on open files is too low"
        );
    }
    reached
}
