//! One attempt to send what was kept or copied: made ready, sent, and what came of it. Never says
//! what follows from that.

use std::rc::Rc;
use std::time::Duration;

use http::request::Parts;
use http::response::Parts as Answered;
use tokio::time::Instant;

use crate::domain::coding::Coding;
use crate::policy::breaker::{Heard, Pass};
use crate::policy::replay::Weight;
use crate::telemetry::labels::Upstream;

use super::End;
use super::departure::{Body, Rewriting, Unpacking, depart};
use crate::server::delivery::rescue::said;
use crate::server::delivery::way::{heard, heard_of};
use crate::server::upstream::pool::Lease;
use crate::server::upstream::send::{Answer, Ended, SendError, Sent, send};
use crate::server::worker::{InForce, Worker};

/// An answer up to this size is read to its end, so that its connection serves again.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// A request that is to be sent now.
#[derive(Debug)]
pub(crate) struct Leaving {
    /// To whom.
    pub upstream: Upstream,
    /// Its head.
    pub head: Box<Parts>,
    /// Its body.
    pub body: Body,
    /// How its body is packed, if that is an envelope.
    pub envelope: Option<Coding>,
    /// What changes in its line one, if it is.
    pub rewriting: Rewriting,
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) struct Tried {
    /// What it means for the request.
    pub end: End,
    /// What it says of the upstream.
    pub heard: Heard,
    /// The answer's head, when it came and how long it took; `None`: there was none.
    pub answer: Option<(Box<Answered>, Instant, Duration)>,
}

impl Tried {
    /// What it says of the upstream, once it is known of whom it is: one event that it never
    /// takes shall not close it to all others. What never left is no worse than those behind it.
    pub(crate) fn weighed(&self, weight: Weight, pass: Pass) -> Heard {
        match (weight, pass, self.heard) {
            _ if self.end == End::Unsent => self.heard,
            (Weight::Aside, _, Heard::Ill) | (Weight::Repeat, Pass::Go(_), Heard::Ill) => {
                Heard::Nothing
            }
            (_, _, heard) => heard,
        }
    }

    fn without_answer(end: End, heard: Heard) -> Self {
        Self {
            end,
            heard,
            answer: None,
        }
    }
}

/// Sends a request. One that does not unpack here goes as it came: what that is worth its
/// upstream says.
pub(crate) async fn attempt(
    worker: &Rc<Worker>,
    rules: &InForce,
    leaving: Leaving,
    unpacking: Unpacking,
) -> Tried {
    let Leaving {
        upstream,
        head,
        body,
        mut envelope,
        rewriting,
    } = leaving;
    let ended = loop {
        let rewriting = rewriting.clone();
        let departs = depart(head.clone(), body.clone(), envelope, rewriting, &unpacking);
        let ended = match departs.await {
            Ok(mut outbound) => {
                outbound.upstream = upstream;
                send(worker, rules, outbound).await
            }
            Err(_) if envelope.take().is_some() => continue,
            Err(error) => {
                tracing::error!(%error, "what is kept cannot be made ready to be sent");
                return Tried::without_answer(End::Again, Heard::Nothing);
            }
        };
        match ended {
            Ended::Failed(SendError::Body(_), _) if envelope.take().is_some() => {}
            ended @ (Ended::Answered(_) | Ended::Failed(..) | Ended::Late(_)) => break ended,
        }
    };
    match ended {
        Ended::Answered(answer) => answered(answer).await,
        // It never left: it is no worse than those behind it, and stays the first.
        Ended::Failed(error @ SendError::Connect(_), _) => {
            Tried::without_answer(End::Unsent, heard_of(error))
        }
        Ended::Failed(error, _) => Tried::without_answer(End::Again, heard_of(error)),
        Ended::Late(_) => Tried::without_answer(End::Again, Heard::Ill),
    }
}

async fn answered(answer: Answer) -> Tried {
    let end = match answer.sent {
        // It cannot have taken what it has not seen.
        Sent::Part if answer.head.status.is_success() => End::Again,
        Sent::Whole | Sent::Part => said(&answer.head),
    };
    let heard = heard(&answer.head);
    let Answer {
        head,
        lease,
        sent,
        at,
        took,
        ..
    } = answer;
    finish(lease, sent).await;
    Tried {
        end,
        heard,
        answer: Some((Box::new(head), at, took)),
    }
}

/// Reads an answer to its end, so that its connection serves again.
async fn finish(mut lease: Lease, sent: Sent) {
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
