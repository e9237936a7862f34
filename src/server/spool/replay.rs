//! What was kept is sent: below live traffic, as fast as the upstream bears it, and not
//! at all while it is away. Runs on one worker. Owns how many are under way; what goes
//! next the clerk says, and whether the upstream is asked at all its breaker.

use std::rc::Rc;
use std::time::Duration;

use http::request::Parts;
use tokio::time::{Instant, timeout};

use crate::domain::coding::Coding;
use crate::policy::breaker::{Heard, Pass};
use crate::policy::pace::Turn;
use crate::policy::pair::Pair;
use crate::policy::replay::Weight;

use super::departure::{Body, Unpacking, depart};
use super::parcel::Holding;
use super::{End, Kept};
use crate::server::delivery::lessons::learn_late;
use crate::server::delivery::rescue::said;
use crate::server::delivery::way::{heard, heard_of};
use crate::server::upstream::send::{Answer, Ended, SendError, Sent, send};
use crate::server::worker::{InForce, Worker};

/// How long nothing is looked for where nobody says that there is something.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The shortest rest while the upstream is away, paused or busy.
const REST: Duration = Duration::from_millis(20);

/// An answer up to this size is read to its end, so that its connection serves again.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

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

/// Leave for one request.
struct Leave {
    pass: Pass,
    turn: Turn,
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
    let target = &rules.ingest;
    let now = worker.millis(Instant::now());
    let mut leaves = Vec::new();
    for _ in 0..most {
        let Some(turn) = target.pace.try_begin_replay(target.pace.live_now()) else {
            break;
        };
        match target.breaker.ask(now) {
            Pass::Hold => {
                target.pace.end(turn, Heard::Nothing);
                break;
            }
            pass @ (Pass::Go(_) | Pass::Probe(_)) => leaves.push(Leave { pass, turn }),
        }
    }
    leaves
}

fn give_back(worker: &Worker, rules: &InForce, leave: Leave, heard: Heard) {
    let now = worker.millis(Instant::now());
    rules.ingest.tell(now, leave.pass, heard);
    rules.ingest.pace.end(leave.turn, heard);
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
        mut envelope,
        head,
        body,
        checksum: _,
    } = parting;
    let unpacking = Unpacking {
        limits: rules.decode,
        folder: worker.shared.spool.folder(),
        disk: worker.shared.spool.copies_disk(&rules.config.spool),
    };
    let ended = loop {
        let departs = depart(
            head.clone(),
            body.clone(),
            envelope,
            held,
            unpacking.clone(),
        );
        let ended = match departs.await {
            Ok(outbound) => send(worker, rules, outbound).await,
            Err(_) if envelope.take().is_some() => continue,
            Err(error) => {
                tracing::error!(%error, "what is kept cannot be made ready to be sent");
                give_back(worker, rules, leave, Heard::Nothing);
                worker.shared.spool.end(kept, End::Again);
                return;
            }
        };
        // What does not unpack here goes as it came: what that is worth its upstream says.
        match ended {
            Ended::Failed(SendError::Body(_), _) if envelope.take().is_some() => {}
            ended @ (Ended::Answered(_) | Ended::Failed(..) | Ended::Late(_)) => break ended,
        }
    };
    let (end, heard) = match ended {
        Ended::Answered(answer) => {
            let end = match answer.sent {
                Sent::Whole => said(&answer.head),
                // It cannot have taken what it has not seen.
                Sent::Part if answer.head.status.is_success() => End::Again,
                Sent::Part => said(&answer.head),
            };
            let heard = heard(&answer.head);
            learn_late(worker, sender, &answer.head, rules);
            if end == End::Taken {
                let now = worker.millis(answer.at);
                rules.ingest.evidence.took(now);
            }
            finish(answer).await;
            (end, weighed(weight, leave.pass, heard))
        }
        // It never left: it is no worse than those behind it, and stays the first.
        Ended::Failed(error @ SendError::Connect(_), _) => (End::Unsent, heard_of(error)),
        Ended::Failed(error, _) => {
            let heard = heard_of(error);
            (End::Again, weighed(weight, leave.pass, heard))
        }
        Ended::Late(_) => (End::Again, weighed(weight, leave.pass, Heard::Ill)),
    };
    give_back(worker, rules, leave, heard);
    worker.settle_kept(&holdings, &end);
    worker.shared.spool.end(kept, end);
}

/// What a failure says of the upstream, once it is known of whom it is: one event that it
/// never takes shall not close it to all others.
const fn weighed(weight: Weight, pass: Pass, heard: Heard) -> Heard {
    match (weight, pass, heard) {
        (Weight::Aside, _, Heard::Ill) | (Weight::Repeat, Pass::Go(_), Heard::Ill) => {
            Heard::Nothing
        }
        (_, _, heard) => heard,
    }
}

/// Reads an answer to its end, so that its connection serves again.
async fn finish(answer: Answer) {
    let Answer {
        mut lease, sent, ..
    } = answer;
    let mut left = ANSWER_BYTES_MAX;
    loop {
        match std::future::poll_fn(|cx| lease.line.poll_body(cx)).await {
            Some(Ok(chunk)) => {
                let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                left = left.saturating_sub(bytes);
                if left == 0 {
                    return;
                }
            }
            Some(Err(_)) => return,
            None => break,
        }
    }
    if sent == Sent::Whole {
        lease.give_back(Instant::now());
    }
}
