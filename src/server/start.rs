//! How the edge is built: what it listens on, what it remembers, what its threads share. What
//! can fail fails before the first client is served, and where another process is to be taken
//! over from, before that one has let go of anything.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{Config, Loaded};
use crate::policy::blocks::Blocks;
use crate::policy::cache::Cache;
use crate::policy::learned::Learned;
use crate::policy::millis::Millis;
use crate::policy::quotas::{CounterLimits, Counters};
use crate::policy::repeats::Repeats;
use crate::policy::strangers::Strangers;
use crate::telemetry::ledger::Ledger;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process;

use super::access_log::AccessLog;
use super::acme::{Issuance, Showcase};
use super::admin::Page;
use super::client::door::Door;
use super::client::listen::{bind, bind_alone};
use super::control::Control;
use super::descriptors::raise_open_files;
use super::entrance::Entrance;
use super::feed::Feed;
use super::handover::estate::Books;
use super::handover::heir::{self, Elder, Estate, Handed};
use super::handover::sockets::{Heirloom, Inherited, for_workers};
use super::handover::{Predecessor, Succession, activation};
use super::holding::Listening;
use super::memory::switches::Switchboard;
use super::memory::{Memory, knowledge};
use super::mirrors::{self, Mirrors};
use super::passage::cached;
use super::privileges::become_user;
use super::pulses::Pulses;
use super::reloader::number_projects;
use super::rules::{self, Rules};
use super::spool::{Heritage, Spool, SpoolFolder};
use super::upstream::trust::Trusting;
use super::worker::Shared;
use super::{Edge, StartError, looks, reports, shared_quota, sightings, supervisor, thread};

/// Where an edge comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is part of a program, and has nothing to do with that one's descriptors.
    Part,
    /// It is the program: sockets that a service manager passes are its own.
    Program,
    /// It takes over from the process that runs on the same configuration, if one does.
    TakeOver,
}

/// What comes after another process.
#[derive(Debug, Default)]
struct After {
    predecessor: Option<Predecessor>,
    heritage: Heritage,
}

impl Edge {
    /// Binds every address and starts every thread. The edge listens when this
    /// returns, whether or not an upstream answers.
    ///
    /// # Errors
    /// An address or a directory in use, or a thread that the system refuses.
    pub fn start(loaded: Loaded, pages: Vec<Page>) -> Result<Self, StartError> {
        Self::start_as(Origin::Part, loaded, pages)
    }

    /// The same for a program, whose sockets may be there already: a service manager's, or those
    /// of the process that it takes over from.
    ///
    /// # Errors
    /// As above, or the process that runs does not hand over: then it goes on.
    pub fn start_as(origin: Origin, loaded: Loaded, pages: Vec<Page>) -> Result<Self, StartError> {
        let config = &loaded.config;
        let count = rules::worker_count(config);
        let mut handed = match origin {
            Origin::Part => Handed::default(),
            Origin::Program | Origin::TakeOver => Handed {
                public: activation::sockets(),
                ..Handed::default()
            },
        };
        let elder = match origin {
            Origin::Part | Origin::Program => None,
            Origin::TakeOver => find_elder(config, &mut handed)?,
        };
        let listening = listen(config, count, &mut handed)?;
        if origin != Origin::Part {
            become_user(config)?;
        }
        let dropped = left(handed, elder.is_some());
        let estate = elder.as_ref().map(Elder::take_over).transpose();
        let estate = estate.map_err(StartError::TakeOver)?;
        let (after, books, post) = after(elder.as_ref(), estate);
        let (mirrors, queues) = Mirrors::new(config);
        let (ledger, metrics) = open_books(config, count, books.as_ref(), &mirrors);
        // Before anybody could connect here who would be served by neither.
        let memory = Memory::recall(config)?;
        let folder = SpoolFolder::find(config)?;
        let showcase = Showcase::default();
        let issuance = Issuance::recall(config, &showcase)?;
        let entrances = Entrance::open_all(config, &showcase)?;
        let trust = Trusting::open(config)?;
        let doors = (entrances, showcase, trust);
        let kept = (folder, mirrors);
        let (shared, switchboard) = share(config, doors, &memory, kept, ledger, after);
        let shared = Arc::new(shared);
        shared.mirrors.look_beside(&shared.spool.folder());
        let access_log = Arc::clone(&shared.access_log);
        let follows = access_log.follow(&config.access_log);
        follows.map_err(StartError::Thread)?;
        let bringing = post.map(|post| heir::keep_post(post, Arc::clone(&shared)));
        let bringing = bringing.transpose().map_err(StartError::Thread)?;
        let (stop, stopped) = watch::channel(false);
        let mirrors = mirrors::Threads::start(queues, &shared, &metrics);
        let mirrors = mirrors.map_err(StartError::Thread)?;
        let workers = start_workers(&listening, &shared, &metrics, &stopped)?;
        let (public, admin) = (bound(&listening.public), listening.admin.bound);
        let control = Control {
            loaded,
            shared: Arc::clone(&shared),
            metrics,
            pages,
            memory,
            switchboard,
            issuance,
            stopped,
            stop: stop.clone(),
        };
        let control = control.start(listening).map_err(StartError::Thread)?;
        if let (Some(elder), Some(bringing)) = (elder, bringing) {
            let serves = elder.succeed(dropped, bringing, shared);
            serves.map_err(StartError::TakeOver)?;
        }
        tell(&public, admin, count);
        Ok(Self {
            public,
            admin,
            stop,
            control: Some(control),
            workers,
            mirrors,
            access_log,
        })
    }
}

/// Where it listens, for the log and the service manager.
fn tell(public: &[SocketAddr], admin: SocketAddr, workers: usize) {
    let listed = public.iter().map(|address| format!("public {address}"));
    let listed: Vec<String> = listed.collect();
    let listening = format!("listening: {}, admin {admin}", listed.join(", "));
    tracing::info!(workers, "{listening}");
    supervisor::ready(&listening);
}

/// The process to take over from, and its sockets. What can be seen to stand in the way of a
/// start is looked for first: that process need not hear of it.
fn find_elder(config: &Config, handed: &mut Handed) -> Result<Option<Elder>, StartError> {
    Entrance::open_all(config, &Showcase::default())?;
    Trusting::open(config)?;
    let elder = Elder::find(config).map_err(StartError::TakeOver)?;
    match &elder {
        None => tracing::info!("nobody runs on this state.path: starting as usual"),
        Some(elder) => {
            let theirs = elder.sockets().map_err(StartError::TakeOver)?;
            handed.admin = theirs.admin;
            for one in theirs.public.into_all() {
                handed.public.add(one);
            }
        }
    }
    Ok(elder)
}

/// What there is to go on from.
fn after(
    elder: Option<&Elder>,
    estate: Option<Estate>,
) -> (After, Option<Books>, Option<std::os::unix::net::UnixStream>) {
    let (Some(elder), Some(estate)) = (elder, estate) else {
        return (After::default(), None, None);
    };
    let after = After {
        predecessor: Some(heir::predecessor(elder.pid())),
        heritage: estate.heritage,
    };
    (after, Some(estate.books), Some(estate.post))
}

/// The sockets of every address: those that are there, else new ones.
fn listen(config: &Config, workers: usize, handed: &mut Handed) -> Result<Listening, StartError> {
    let mut public = Vec::new();
    for listener in &config.listen.public {
        let address = listener.address;
        public.push(match handed.public.take(address) {
            Some(inherited) => inherited,
            None => {
                let sockets = bind(address, workers).map_err(StartError::Listen)?;
                own(address, sockets)?
            }
        });
    }
    let address = config.listen.admin;
    let admin = handed.admin.take(address);
    let admin = match admin.or_else(|| handed.public.take(address)) {
        Some(inherited) => inherited,
        None => own(
            address,
            vec![bind_alone(address).map_err(StartError::Listen)?],
        )?,
    };
    Ok(Listening { public, admin })
}

fn own(configured: SocketAddr, sockets: Vec<TcpListener>) -> Result<Heirloom, StartError> {
    let first = sockets.first().ok_or(StartError::Died)?;
    Ok(Heirloom {
        configured,
        bound: first.local_addr().map_err(StartError::Listen)?,
        sockets,
    })
}

/// The public addresses for which there is no use here; closed with this.
fn left(handed: Handed, of_elder: bool) -> Vec<SocketAddr> {
    let left = Inherited::left(&handed.public);
    for address in &left {
        match of_elder {
            true => tracing::info!(%address, "no listener is configured there any more"),
            false => tracing::warn!(
                %address,
                "the service manager listens there, and no listener is configured there: nobody accepts"
            ),
        }
    }
    left
}

fn bound(listeners: &[Heirloom]) -> Vec<SocketAddr> {
    listeners.iter().map(|one| one.bound).collect()
}

fn start_workers(
    listening: &Listening,
    shared: &Arc<Shared>,
    metrics: &Arc<Metrics>,
    stopped: &watch::Receiver<bool>,
) -> Result<Vec<std::thread::JoinHandle<std::io::Result<()>>>, StartError> {
    let count = metrics.workers.len();
    let mut sockets = Vec::new();
    for listener in &listening.public {
        sockets.push(for_workers(&listener.sockets, count).map_err(StartError::Listen)?);
    }
    let mut workers = Vec::with_capacity(count);
    for (place, counters) in metrics.workers.iter().enumerate() {
        let own = sockets.iter_mut().filter_map(|of| of.get_mut(place));
        let worker = thread::Plan {
            place,
            sockets: own.map(std::mem::take).collect(),
            shared: Arc::clone(shared),
            metrics: Arc::clone(counters),
            stopped: stopped.clone(),
        };
        workers.push(worker.start().map_err(StartError::Thread)?);
    }
    Ok(workers)
}

/// A limit as the size of a table.
fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// The counters, all at nothing, for so many workers; and the books, which may go on from
/// another process's.
fn open_books(
    config: &Config,
    workers: usize,
    inherited: Option<&Books>,
    mirrors: &Mirrors,
) -> (Arc<Ledger>, Arc<Metrics>) {
    let listeners = config.listen.public.iter();
    let names = listeners.map(|listener| listener.name.clone()).collect();
    let since = inherited.map_or_else(SystemTime::now, |books| books.since);
    let ledger = Arc::new(Ledger::new(since, 0));
    number_projects(&ledger, config);
    if let Some(books) = inherited {
        ledger.inherit(books.lines.clone());
    }
    let metrics = Metrics::new(workers, names, Arc::clone(&ledger));
    let metrics = Arc::new(metrics.with_mirrors(mirrors.counts().cloned()));
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
    (folder, mirrors): (SpoolFolder, Mirrors),
    ledger: Arc<Ledger>,
    after: After,
) -> (Shared, Switchboard) {
    let epoch = Instant::now();
    let counters = Arc::new(Counters::new(CounterLimits {
        counters: size(config.limits.quota_counters),
        ips: size(config.limits.quota_ips),
    }));
    counters.share_if(config.shared_quota.is_on());
    if after.predecessor.is_some() {
        counters.leave_elders_part();
    }
    let rules = Rules::new(config, None, &memory.knowledge, &counters);
    let rules = Arc::new(ArcSwap::from_pointee(rules));
    let switchboard = memory.switchboard(&counters);
    let strangers = Strangers::new(size(config.keys.refused_max));
    // Whoever asks begins later: what the first requests show is not to be missed.
    strangers.first_seen.switch(knowledge::asks(config));
    let reports: Arc<reports::Board> = Arc::default();
    let shared = Shared {
        spool: Spool::open(
            folder,
            &rules,
            &ledger,
            reports.share(),
            memory.pause(),
            epoch,
            after.heritage,
        ),
        mirrors,
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
        succession: Succession::after(after.predecessor),
        pulses: Pulses::new(rules::worker_count(config)),
        disk_bytes: Arc::default(),
        ahead_bytes: Arc::default(),
        verdicts: memory.verdicts(config, Millis(0)),
        strangers,
        journal: memory.journal(&counters),
        counters,
        switches: Arc::clone(switchboard.in_force()),
        disks: Arc::default(),
        habits: memory.habits(&ledger),
        shared_quota: shared_quota::Board::default(),
        learned: Learned::new(size(config.keys.limited_max)),
        repeats: Repeats::new(size(config.limits.repeats)),
        cache: Cache::new(cached::limits(&config.cache)),
        blocks: Blocks::new(size(config.limits.block.clients_max)),
        ledger,
        reports,
        access_log: Arc::new(AccessLog::new(&config.access_log)),
        feed: Feed::default(),
        looks: looks::Board::default(),
        sightings: sightings::Board::default(),
        epoch,
        wall_ms: AtomicU64::new(0),
    };
    shared.look_at_clock();
    (shared, switchboard)
}
