//! Copies of what the first Sentry gets, for others: somebody moves, and wants both to have
//! everything meanwhile.
//!
//! `copying` makes a request's copy once the first has taken it or it is kept for it, and puts it
//! into its mirror's queue; `thread` is a thread for each mirror, which sends what is in the queue
//! and, in `store`, keeps what that one does not take. A worker only ever tries to put something
//! into a queue: whatever a mirror does, no request waits for it or hears of it, and it is in no
//! book of the first's. `dropping` is what an operator drops of all that, and `left` what lies in
//! the folder of a mirror that is not configured any more.

pub(crate) mod copying;
mod dropping;
mod holding;
mod left;
mod room;
mod sending;
mod store;
mod thread;

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::config::checked::{self, Config, MirrorHost};
use crate::domain::coding::Coding;
use crate::domain::dsn_map::DsnMap;
use crate::domain::endpoint::ProjectId;
use crate::domain::sampling::Rate;
use crate::policy::pair::Pair;
use crate::policy::replay::lane::Lane;
use crate::telemetry::labels::{MirrorLoss, MirrorPlace, Upstream};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::mirrors::{MirrorCounts, upstream_of_mirror};

use self::dropping::{DROPS_MAX, Dropping};
use self::left::Left;
use self::room::Room;
use crate::server::delivery::spill::Spill;
use crate::server::rules::Rules;
use crate::server::upstream::Target;
use crate::server::upstream::server::Named;
use crate::server::worker::Shared;

/// Requests that wait in a mirror's queue, and their bytes in memory. What finds no place is lost.
const QUEUED_MAX: usize = 4096;
const QUEUED_BYTES_MAX: u64 = 64 << 20;

/// Of the copies of large bodies on disk (`spool.copies.disk`), those that wait for a mirror have
/// this part at most: the first Sentry's own need it.
const COPIES_PART: u64 = 4;

/// What a mirror gets, and where it is.
#[derive(Debug, Clone)]
pub(crate) struct MirrorRules {
    /// What it is called.
    pub name: String,
    /// Its servers.
    pub target: Arc<Target>,
    /// What they see as `Host`.
    pub named: Named,
    /// Where DSNs lead in it; `None`: where they say.
    pub moves: Option<Arc<DsnMap>>,
    /// What is kept for it.
    pub spool: checked::MirrorSpool,
    /// It is still configured: else what is kept for it is sent, and nothing more comes.
    gets: bool,
    share: Rate,
    projects: Vec<ProjectId>,
}

impl MirrorRules {
    /// Those of a configuration, in the order of the start, which `before` knows.
    pub(crate) fn all(config: &Config, before: Option<&Rules>) -> Vec<Self> {
        let Some(before) = before else {
            let places = MirrorPlace::ALL.into_iter();
            let configured = places.zip(&config.mirrors);
            return configured
                .map(|(place, mirror)| Self::new(place, mirror, None, config))
                .collect();
        };
        let places = MirrorPlace::ALL.into_iter().zip(&before.mirrors);
        let now = places.map(|(place, old)| {
            let mut mirrors = config.mirrors.iter();
            match mirrors.find(|mirror| mirror.name == old.name) {
                Some(mirror) => Self::new(place, mirror, Some(old), config),
                None => Self {
                    gets: false,
                    ..old.clone()
                },
            }
        });
        now.collect()
    }

    fn new(
        place: MirrorPlace,
        mirror: &checked::Mirror,
        before: Option<&Self>,
        config: &Config,
    ) -> Self {
        let target = match before.filter(|old| old.target.is_at(&mirror.ingest)) {
            Some(old) => Arc::clone(&old.target),
            None => {
                let name = upstream_of_mirror(&mirror.name);
                let urls = mirror.ingest.clone();
                Arc::new(Target::new(Upstream::Mirror(place), name, urls))
            }
        };
        target.retune(&config.upstream);
        Self {
            name: mirror.name.clone(),
            target,
            named: match mirror.host {
                MirrorHost::Target => Named::AsServer,
                MirrorHost::Client => Named::AsAsked,
            },
            moves: (!mirror.dsn_map.is_empty()).then(|| Arc::new(mirror.dsn_map.clone())),
            spool: mirror.spool.clone(),
            gets: true,
            share: mirror.share,
            projects: mirror.projects.clone(),
        }
    }

    /// Whether it gets a copy of a request of this project, of which this is the id.
    fn gets(&self, project: Option<ProjectId>, id: u128) -> bool {
        let ours = || project.is_some_and(|project| self.projects.binary_search(&project).is_ok());
        self.gets && (self.projects.is_empty() || ours()) && self.share.keeps(id)
    }

    /// Whether it asks for a request's id.
    pub(crate) fn samples(&self) -> bool {
        !self.share.is_certain()
    }
}

/// All mirrors, as workers reach them.
#[derive(Debug, Default)]
pub(crate) struct Mirrors {
    all: Vec<Mirror>,
    left: Left,
}

/// The way to one.
#[derive(Debug)]
struct Mirror {
    counts: Arc<MirrorCounts>,
    queue: mpsc::Sender<Twin>,
    /// Bytes that wait for it in memory, and in files that copies of large bodies are.
    memory_bytes: Arc<AtomicU64>,
    file_bytes: Arc<AtomicU64>,
    drops: mpsc::Sender<Dropping>,
    erased: Arc<AtomicU64>,
}

/// A mirror's end of what workers and operators want of it.
#[derive(Debug)]
pub(crate) struct Wanted {
    taken: mpsc::Receiver<Twin>,
    drops: mpsc::Receiver<Dropping>,
    /// Grows with each step of what is overwritten.
    erased: Arc<AtomicU64>,
}

/// Those of all mirrors.
pub(crate) type Queues = Vec<Wanted>;

impl Mirrors {
    /// Those of the start, all of whose queues are empty.
    pub(crate) fn new(config: &Config) -> (Self, Queues) {
        let named = config.mirrors.iter();
        let all = named.map(|mirror| {
            let (queue, taken) = mpsc::channel(QUEUED_MAX);
            let (drops, dropped) = mpsc::channel(DROPS_MAX);
            let erased = Arc::default();
            let wanted = Wanted {
                taken,
                drops: dropped,
                erased: Arc::clone(&erased),
            };
            let mirror = Mirror {
                counts: Arc::new(MirrorCounts::new(mirror.name.clone())),
                queue,
                memory_bytes: Arc::default(),
                file_bytes: Arc::default(),
                drops,
                erased,
            };
            (mirror, wanted)
        });
        let (all, queues) = all.unzip();
        let left = Left::default();
        (Self { all, left }, queues)
    }

    /// The numbers of each, in their order.
    pub(crate) fn counts(&self) -> impl Iterator<Item = &Arc<MirrorCounts>> {
        self.all.iter().map(|mirror| &mirror.counts)
    }

    /// Which of them get a copy of a request: a bit for each, in their order.
    fn chosen(rules: &Rules, project: Option<ProjectId>, id: impl FnOnce() -> u128) -> u8 {
        let samples = rules.mirrors.iter().any(MirrorRules::samples);
        let id = if samples { id() } else { 0 };
        let all = rules.mirrors.iter().enumerate();
        let gets = all.filter(|(_, mirror)| mirror.gets(project, id));
        gets.fold(0, |bits, (place, _)| bits | 1 << place)
    }

    /// Those of these bits.
    fn of(&self, bits: u8) -> impl Iterator<Item = &Mirror> {
        let all = self.all.iter().enumerate();
        let chosen = all.filter(move |(place, _)| bits >> place & 1 == 1);
        chosen.map(|(_, mirror)| mirror)
    }
}

impl Mirror {
    /// Puts a copy into the queue, if there is room.
    fn offer(&self, copy: Original, file_bytes_max: u64) {
        self.counts.taken.fetch_add(1, Relaxed);
        if copy.first == First::Kept {
            self.counts.first_kept.fetch_add(1, Relaxed);
        }
        let Some(body) = copy.body else {
            return self.counts.loses(MirrorLoss::Large, 1);
        };
        let head_bytes = u64::try_from(copy.head.len()).unwrap_or(u64::MAX);
        let (memory_bytes, file_bytes) = match &body {
            Body::Whole(chunks) => {
                let bytes = crate::server::ingest::chunks::total_bytes(chunks);
                (head_bytes.saturating_add(bytes), 0)
            }
            Body::File(spill) => (head_bytes, spill.file().1),
        };
        let room = Room::take(self, memory_bytes, (file_bytes, file_bytes_max));
        let Some(room) = room else {
            return self.counts.loses(MirrorLoss::QueueFull, 1);
        };
        let twin = Twin {
            head: copy.head,
            body,
            envelope: copy.envelope,
            project: copy.project,
            sender: copy.sender,
            lane: copy.lane,
            first: copy.first,
            taken: Instant::now(),
            dropped: Cell::new(false),
            _room: room,
        };
        if self.queue.try_send(twin).is_err() {
            self.counts.loses(MirrorLoss::QueueFull, 1);
        }
    }
}

/// What the first Sentry did with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// It took it, in so long.
    Took(Duration),
    /// It is kept for it.
    Kept,
}

/// A request that is to be copied.
#[derive(Debug, Clone)]
struct Original {
    head: Arc<[u8]>,
    /// `None`: it was large, and nobody has it any more.
    body: Option<Body>,
    envelope: Option<Coding>,
    project: Option<ProjectId>,
    sender: Pair,
    lane: Lane,
    first: First,
}

/// A body of which there is a copy.
#[derive(Debug, Clone)]
enum Body {
    /// In memory, shared with whoever else has it.
    Whole(VecDeque<Bytes>),
    /// In a file without a name.
    File(Arc<Spill>),
}

/// A request's copy, on its way to one mirror.
#[derive(Debug)]
pub(crate) struct Twin {
    head: Arc<[u8]>,
    body: Body,
    envelope: Option<Coding>,
    project: Option<ProjectId>,
    sender: Pair,
    lane: Lane,
    first: First,
    taken: Instant,
    /// An operator has dropped it: it is not kept, should this attempt fail.
    dropped: Cell<bool>,
    _room: Room,
}

/// The threads of all mirrors. Dropped, they are told to end, and nobody waits.
#[derive(Debug)]
pub(crate) struct Threads {
    closing: watch::Sender<bool>,
    all: Vec<JoinHandle<std::io::Result<()>>>,
}

impl Threads {
    /// Starts one for each queue.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn start(
        queues: Queues,
        shared: &Arc<Shared>,
        metrics: &Metrics,
    ) -> std::io::Result<Self> {
        let closing = watch::Sender::new(false);
        let places = MirrorPlace::ALL.into_iter().zip(queues);
        let all = places.zip(&metrics.mirrors).map(|((place, wanted), own)| {
            let (worker, counts) = own;
            let plan = thread::Plan {
                place,
                wanted,
                shared: Arc::clone(shared),
                metrics: Arc::clone(worker),
                counts: Arc::clone(counts),
                closing: closing.subscribe(),
            };
            plan.start()
        });
        let all = all.collect::<std::io::Result<_>>()?;
        Ok(Self { closing, all })
    }

    /// Ends them, once all that is to be copied has been: what a mirror has not taken is kept.
    pub(crate) fn end(&mut self) {
        self.closing.send_replace(true);
        for thread in self.all.drain(..) {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a mirror's thread failed"),
                Err(_) => tracing::error!("a mirror's thread ended unexpectedly"),
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.closing.send_replace(true);
    }
}

#[cfg(test)]
mod tests;
