//! One request's exchange with its upstream: it is asked, or is not; and what it does not
//! take is kept. Never answers a client.

use std::rc::Rc;

use crate::server::delivery::rescue::{Keeper, Lost, Told, outlive};
use crate::server::delivery::way::Way;
use crate::server::mirrors::copying::Copying;
use crate::server::spool::{Due, NotKept};
use crate::server::ticket::Ticket;
use crate::server::upstream::errand::Errand;
use crate::server::upstream::send::{Answer, Ended, Outbound, SendError, send};
use crate::server::worker::{InForce, Worker};

/// What came of a delivery. The ticket comes back with it.
pub(crate) type Delivered = (Ticket, Came);

/// What there is for a request's client.
pub(crate) enum Came {
    /// The upstream's answer.
    Answer(Box<Answer>),
    /// Its own: the request is kept.
    Kept(Told),
    /// Nothing.
    Nothing(SendError),
    /// Nothing, and the spool has no room for it.
    NoRoom,
}

/// Asks the upstream, and keeps what it does not take, if somebody keeps it. What was taken or is
/// kept is copied to mirrors, if any is to have it.
pub(crate) async fn exchange(
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    outbound: Outbound,
    ticket: Ticket,
    (keeper, copying): (Option<Keeper>, Option<Box<Copying>>),
) -> Delivered {
    let watch = outbound.body.watch();
    let way = match &keeper {
        Some(_) => Way::open(&worker, &rules, outbound.upstream, ticket.started, &watch),
        None => None,
    };
    let ended = match (way, &keeper) {
        (Some(way), _) => {
            let ended = send(&worker, &rules, outbound).await;
            way.close(&ended);
            ended
        }
        (None, Some(_)) => {
            let errand = Errand::new(&outbound.head, outbound.body);
            Ended::Failed(SendError::Held, Some(errand))
        }
        (None, None) => send(&worker, &rules, outbound).await,
    };
    let had = match &ended {
        Ended::Answered(_) => true,
        // Nobody can tell what it did with a whole request before it fell silent.
        Ended::Failed(SendError::Broken | SendError::Silent, _) => watch.is_complete(),
        Ended::Failed(SendError::Connect(_) | SendError::Held | SendError::Body(_), _)
        | Ended::Late(_) => false,
    };
    if let Some(manifest) = ticket.manifest().filter(|_| had) {
        manifest.is_used();
    }
    let came = match (ended, keeper) {
        (Ended::Answered(answer), None) => Came::Answer(Box::new(answer)),
        (Ended::Answered(answer), Some(keeper)) if !keeper.saves(&answer) => {
            Came::Answer(Box::new(answer))
        }
        (Ended::Failed(error, _), None) => Came::Nothing(error),
        // Rare, and large: boxed, so that every other exchange stays small.
        (ended, Some(keeper)) => Box::pin(rescue(&worker, &rules, ended, keeper)).await,
        // Only who has a keeper asks to be told.
        (Ended::Late(_), None) => Came::Nothing(SendError::Silent),
    };
    if let Some(copying) = copying {
        copying.settle(&worker, &rules, &came);
    }
    (ticket, came)
}

/// Keeps what the upstream did not take.
async fn rescue(
    worker: &Rc<Worker>,
    rules: &Rc<InForce>,
    mut ended: Ended,
    mut keeper: Keeper,
) -> Came {
    loop {
        let (left, instead, maybe_sent) = match ended {
            Ended::Answered(answer) if !keeper.saves(&answer) => {
                return Came::Answer(Box::new(answer));
            }
            Ended::Answered(mut answer) => {
                let left = answer.lease.line.hand_over().into_left();
                (left, Came::Answer(Box::new(answer)), false)
            }
            Ended::Failed(SendError::Body(error), _) => {
                return Came::Nothing(SendError::Body(error));
            }
            Ended::Failed(error, None) => return Came::Nothing(error),
            Ended::Failed(error, Some(errand)) => {
                let maybe_sent = matches!(error, SendError::Broken | SendError::Silent);
                (errand.into_left(), Came::Nothing(error), maybe_sent)
            }
            Ended::Late(mut waiting) => {
                let kept = match waiting.kept() {
                    Some(left) => keeper.keep(worker, left, true, Due::WhenTold).await.ok(),
                    None => {
                        waiting.hurries();
                        None
                    }
                };
                let Some(rescued) = kept else {
                    ended = waiting.go_on(worker, rules).await;
                    continue;
                };
                let told = rescued.told();
                let (worker, rules) = (Rc::clone(worker), Rc::clone(rules));
                let finishing = worker.finishes();
                tokio::task::spawn_local(async move {
                    outlive(worker, rules, waiting, rescued).await;
                    drop(finishing);
                });
                return Came::Kept(told);
            }
        };
        let Some(left) = left else {
            return instead;
        };
        return match keeper.keep(worker, left, maybe_sent, Due::Now).await {
            Ok(rescued) => Came::Kept(rescued.told()),
            Err(Lost::Body(error)) => Came::Nothing(SendError::Body(error)),
            Err(Lost::Spool(NotKept::Full)) if matches!(instead, Came::Nothing(_)) => Came::NoRoom,
            Err(Lost::Gone | Lost::Spool(_)) => instead,
        };
    }
}
