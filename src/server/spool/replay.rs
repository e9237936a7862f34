//! What was kept is sent: below live traffic, as fast as its upstream bears it, and not
//! at all while that is away. Runs on one worker. Owns how many are under way; what goes
//! next the clerk says, and whether an upstream is asked at all its breaker.

use std::rc::Rc;
use std::time::Duration;

use http::request::Parts;
use tokio::time::{Instant, timeout};

use crate::domain::coding::Coding;
use crate::policy::breaker::Heard;
use crate::policy::pair::Pair;
use crate::policy::replay::Weight;
use crate::telemetry::labels::Upstream;

use super::attempt::{Leaving, attempt};
use super::departure::{Body, Rewriting, Unpacking};
use super::parcel::Holding;
use super::{End, Kept};
use crate::server::delivery::lessons::learn_late;
use crate::server::upstream::Target;
use crate::server::upstream::leave::Leave;
use crate::server::worker::{InForce, Worker};

/// How long nothing is looked for where nobody says that there is something.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The shortest rest while the upstream is away, paused or busy.
const REST: Duration = Duration::from_millis(20);

/// A request that is to be sent now.
#[derive(Debug)]
pub(crate) struct Parting {
    /// Its number.
    pub kept: Kept,
    /// For how long it was kept.
    pub held: Duration,
    /// What it carries.
    pub holdings: Vec<Holding>,
    /// Whose limits its answer tells of, if that is known.
    pub sender: Option<Pair>,
    /// What its failure says of the upstream.
    pub weight: Weight,
    /// How its body is packed, if that is an envelope.
    pub envelope: Option<Coding>,
    /// Its head.
    pub head: Box<Parts>,
    /// Its body.
    pub body: Body,
    /// What vouches for its body, where that lies in a file.
    pub checksum: Option<u32>,
}

/// What goes next, and when to ask again if that is nothing.
#[derive(Debug, Default)]
pub(crate) struct NextUp {
    /// To be sent now.
    pub partings: Vec<Parting>,
    /// When the first of those that wait is due.
    pub wait: Option<Duration>,
}

/// One Sentry that is to have what was kept for it.
struct Lane {
    worker: Rc<Worker>,
    to: Upstream,
    /// Held by each that is under way.
    under_way: Rc<()>,
}

/// Sends what is kept, for as long as the worker runs: to each Sentry as fast as that one takes it.
pub(crate) async fn run(worker: Rc<Worker>) {
    let lanes: Vec<Lane> = destinations(&worker.rules())
        .map(|to| Lane {
            worker: Rc::clone(&worker),
            to,
            under_way: Rc::new(()),
        })
        .collect();
    while !worker.is_leaving() {
        let mut rest = LOOK_EVERY;
        for lane in &lanes {
            rest = rest.min(lane.round().await);
        }
        let spool = &worker.shared.spool;
        // Whatever comes first: its time, or word that there is something.
        drop(timeout(rest, spool.is_due()).await);
    }
}

/// The Sentrys that may have something kept for them: the first, and those that DSNs lead to.
fn destinations(rules: &InForce) -> impl Iterator<Item = Upstream> {
    let all = Upstream::all().filter(|upstream| *upstream != Upstream::Web);
    // A mirror has its place from the start to the end.
    all.take(1 + rules.mirrors.len())
}

impl Lane {
    /// Sends what may be sent now, and says when to look again.
    async fn round(&self) -> Duration {
        let Self {
            worker,
            to,
            under_way,
        } = self;
        let rules = worker.rules();
        let (shared, config) = (&worker.shared, &rules.config.spool);
        if !shared.spool.state().holds_for(*to) {
            return LOOK_EVERY;
        }
        // It is the first Sentry that somebody works on.
        if *to == Upstream::Ingest && shared.maintenance.is_on() {
            return REST.max(rules.config.upstream.probe_interval);
        }
        let now_under_way = u64::try_from(Rc::strong_count(under_way) - 1).unwrap_or(u64::MAX);
        let most = config.replay_requests.saturating_sub(now_under_way);
        let target = rules.target(*to);
        let mut leaves = leaves(worker, target, most);
        if leaves.is_empty() {
            return REST;
        }
        let next = shared.spool.next(*to, leaves.len()).await;
        let sent = next.partings.len();
        for parting in next.partings {
            let Some(leave) = leaves.pop() else {
                shared.spool.end(parting.kept, End::Unsent);
                continue;
            };
            let errand = Errand {
                worker: Rc::clone(worker),
                rules: Rc::clone(&rules),
                to: *to,
            };
            let counted = (Rc::clone(under_way), worker.finishes());
            tokio::task::spawn_local(async move {
                errand.part(parting, leave).await;
                drop(counted);
            });
        }
        for leave in leaves {
            give_back(worker, target, leave, Heard::Nothing);
        }
        match (sent, next.wait) {
            (0, Some(wait)) => wait.clamp(REST, LOOK_EVERY),
            (0, None) => LOOK_EVERY,
            (_, _) => Duration::ZERO,
        }
    }
}

/// Leave for as many requests as may go now.
fn leaves(worker: &Worker, target: &Target, most: u64) -> Vec<Leave> {
    let now = worker.millis(Instant::now());
    let leaves = (0..most).map_while(|_| Leave::for_kept(target, now));
    leaves.collect()
}

fn give_back(worker: &Worker, target: &Target, leave: Leave, heard: Heard) {
    let now = worker.millis(Instant::now());
    leave.end(target, now, heard);
}

/// What one request is sent by, and to whom.
struct Errand {
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    to: Upstream,
}

impl Errand {
    /// Sends one request if its body is whole, and says what became of it.
    async fn part(self, parting: Parting, leave: Leave) {
        let end = match parting.body.is_whole(parting.checksum).await {
            Ok(true) => return self.set_out(parting, leave).await,
            Ok(false) => End::Damaged,
            Err(error) => {
                tracing::error!(%error, "a body that is kept cannot be read: it is tried again");
                End::Again
            }
        };
        give_back(&self.worker, self.target(), leave, Heard::Nothing);
        self.worker.shared.spool.end(parting.kept, end);
    }

    fn target(&self) -> &Target {
        self.rules.target(self.to)
    }

    /// Sends one request, and says what became of it.
    async fn set_out(self, parting: Parting, leave: Leave) {
        let Parting {
            kept,
            held,
            holdings,
            sender,
            weight,
            envelope,
            head,
            body,
            checksum: _,
        } = parting;
        let (worker, rules) = (&self.worker, &self.rules);
        let unpacking = Unpacking {
            limits: rules.decode,
            folder: worker.shared.spool.folder(),
            disk: worker.shared.spool.copies_disk(&rules.config.spool),
        };
        let leaving = Leaving {
            upstream: self.to,
            head,
            body,
            envelope,
            rewriting: Rewriting { held, moves: None },
        };
        let tried = attempt(worker, rules, leaving, unpacking).await;
        if let Some((head, at, _)) = &tried.answer {
            learn_late(worker, sender, head, rules);
            if tried.end == End::Taken {
                self.target().evidence.took(worker.millis(*at));
            }
        }
        let heard = tried.weighed(weight, leave.pass);
        give_back(worker, self.target(), leave, heard);
        worker.settle_kept(&holdings, &tried.end);
        worker.shared.spool.end(kept, tried.end);
    }
}
