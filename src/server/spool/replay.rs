//! What was kept is sent: below live traffic, as fast as the upstream bears it, and not
//! at all while it is away. Runs on one worker. Owns how many are under way; what goes
//! next the clerk says, and whether the upstream is asked at all its breaker.

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

/// Sends what is kept, for as long as the worker runs.
pub(crate) async fn run(worker: Rc<Worker>) {
    let under_way = Rc::new(());
    while !worker.is_leaving() {
        let rest = round(&worker, &under_way).await;
        let spool = &worker.shared.spool;
        // Whatever comes first: its time, or word that there is something.
        drop(timeout(rest, spool.is_due()).await);
    }
}

/// Sends what may be sent now, and says when to look again.
async fn round(worker: &Rc<Worker>, under_way: &Rc<()>) -> Duration {
    let rules = worker.rules();
    let (shared, config) = (&worker.shared, &rules.config.spool);
    if shared.spool.state().is_empty() {
        return LOOK_EVERY;
    }
    if shared.maintenance.is_on() {
        return REST.max(rules.config.upstream.probe_interval);
    }
    let now_under_way = u64::try_from(Rc::strong_count(under_way) - 1).unwrap_or(u64::MAX);
    let most = config.replay_requests.saturating_sub(now_under_way);
    let mut leaves = leaves(worker, &rules, most);
    if leaves.is_empty() {
        return REST;
    }
    let next = shared.spool.next(leaves.len()).await;
    let sent = next.partings.len();
    for parting in next.partings {
        let Some(leave) = leaves.pop() else {
            shared.spool.end(parting.kept, End::Unsent);
            continue;
        };
        let (worker, rules) = (Rc::clone(worker), Rc::clone(&rules));
        let counted = (Rc::clone(under_way), worker.finishes());
        tokio::task::spawn_local(async move {
            part(&worker, &rules, parting, leave).await;
            drop(counted);
        });
    }
    for leave in leaves {
        give_back(worker, &rules, leave, Heard::Nothing);
    }
    match (sent, next.wait) {
        (0, Some(wait)) => wait.clamp(REST, LOOK_EVERY),
        (0, None) => LOOK_EVERY,
        (_, _) => Duration::ZERO,
    }
}

/// Leave for as many requests as may go now.
fn leaves(worker: &Worker, rules: &InForce, most: u64) -> Vec<Leave> {
    let now = worker.millis(Instant::now());
    let leaves = (0..most).map_while(|_| Leave::for_kept(&rules.ingest, now));
    leaves.collect()
}

fn give_back(worker: &Worker, rules: &InForce, leave: Leave, heard: Heard) {
    let now = worker.millis(Instant::now());
    leave.end(&rules.ingest, now, heard);
}

/// Sends one request if its body is whole, and says what became of it.
async fn part(worker: &Rc<Worker>, rules: &Rc<InForce>, parting: Parting, leave: Leave) {
    let end = match parting.body.is_whole(parting.checksum).await {
        Ok(true) => return set_out(worker, rules, parting, leave).await,
        Ok(false) => End::Damaged,
        Err(error) => {
            tracing::error!(%error, "a body that is kept cannot be read: it is tried again");
            End::Again
        }
    };
    give_back(worker, rules, leave, Heard::Nothing);
    worker.shared.spool.end(parting.kept, end);
}

/// Sends one request, and says what became of it.
async fn set_out(worker: &Rc<Worker>, rules: &Rc<InForce>, parting: Parting, leave: Leave) {
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
    let unpacking = Unpacking {
        limits: rules.decode,
        folder: worker.shared.spool.folder(),
        disk: worker.shared.spool.copies_disk(&rules.config.spool),
    };
    let leaving = Leaving {
        upstream: Upstream::Ingest,
        head,
        body,
        envelope,
        rewriting: Rewriting { held, moves: None },
    };
    let tried = attempt(worker, rules, leaving, unpacking).await;
    if let Some((head, at, _)) = &tried.answer {
        learn_late(worker, sender, head, rules);
        if tried.end == End::Taken {
            rules.ingest.evidence.took(worker.millis(*at));
        }
    }
    let heard = tried.weighed(weight, leave.pass);
    give_back(worker, rules, leave, heard);
    worker.settle_kept(&holdings, &tried.end);
    worker.shared.spool.end(kept, tried.end);
}
