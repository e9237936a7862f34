//! One request to an upstream and its answer's head: the freshest connection,
//! one more try where that is safe, and patience only for silence. Never judges
//! an answer, and never reads its body.

use std::rc::Rc;

use http::StatusCode;
use http::request::Parts;
use http::response::Parts as Answered;
use tokio::time::Instant;

use crate::telemetry::labels::{Attempt, Upstream};

use super::super::body::{BodyWatch, Outgoing};
use super::super::stream::BodyError;
use super::super::worker::{InForce, Worker};
use super::connect::{ConnectError, connect};
use super::line::Failure;
use super::pool::Lease;

/// A request ready to leave.
#[derive(Debug)]
pub(crate) struct Outbound {
    /// Which upstream it is for.
    pub upstream: Upstream,
    /// Its head, with nothing in it that must not cross.
    pub head: Box<Parts>,
    /// Its body.
    pub body: Outgoing,
    /// Whether it may go out a second time.
    pub repeat: Repeat,
}

/// What may be done when a kept-alive connection closes without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Send once more on a fresh connection: Sentry tells events apart by their
    /// id, and an idempotent method may be asked twice.
    Safe,
    /// It may have been done already: a proxy never repeats it (RFC 9110,
    /// section 9.2.2).
    Unsafe,
}

/// An answer's head, and the connection its body comes on.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its head, with nothing in it that belongs to the connection.
    pub head: Answered,
    /// The connection, to be driven until the body is over.
    pub lease: Lease,
    /// Whether the request had left in full when the answer came.
    pub sent: Sent,
    /// When it came.
    pub at: Instant,
}

/// How much of a request had left when its answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All of it: the connection can serve again.
    Whole,
    /// The rest stays unsent, and the connection is closed with its answer's
    /// end: never a clean end of a body that has none.
    Part,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The client's body ended before its time.
    #[error(transparent)]
    Body(BodyError),
    /// The connection broke after something was sent.
    #[error("the upstream's connection broke")]
    Broken,
    /// Nothing from the upstream for its timeout.
    #[error("the upstream did not answer")]
    Silent,
}

/// Sends a request and waits for its answer's head.
///
/// Dropping the future closes the upstream's connection.
pub(crate) async fn send(
    worker: &Rc<Worker>,
    rules: &InForce,
    outbound: Outbound,
) -> Result<Answer, SendError> {
    let Outbound {
        upstream,
        head,
        body,
        repeat,
    } = outbound;
    let count = |attempt| worker.metrics.attempts(upstream, attempt).add(1);
    let began = Instant::now();
    let watch = body.watch();
    let mut lease = lease(worker, rules, upstream, began).await?;
    lease.line.load(head, body);
    loop {
        // A kept-alive connection may be closing while the request is on its way:
        // then nobody has seen it, and it goes out once more.
        lease.line.keep(repeat == Repeat::Safe && lease.reused);
        let failure = match lease.line.ask(&watch).await {
            Ok(head) => {
                let at = Instant::now();
                let took = at.saturating_duration_since(began);
                let durations = worker.metrics.upstream_durations.at(upstream.index());
                durations.observe(took);
                count(of_status(head.status));
                return Ok(answer(head, lease, at, &watch));
            }
            Err(failure) => failure,
        };
        tracing::debug!(?failure, "upstream exchange broke");
        match failure {
            Failure::Unsent => {
                count(Attempt::Unsent);
                // A fresh connection that does not take it is no better the next time.
                if !lease.reused {
                    return Err(SendError::Broken);
                }
            }
            Failure::Unheard if lease.line.rewind() => {
                count(Attempt::ReusedClosed);
                // The others lay idle just as long: they are likely gone too.
                worker.pool(upstream).clear();
            }
            Failure::Unheard | Failure::Broken(_) => {
                count(Attempt::Error);
                return Err(SendError::Broken);
            }
            Failure::Silent => {
                count(Attempt::Timeout);
                return Err(SendError::Silent);
            }
            Failure::Body(error) => {
                count(Attempt::Error);
                return Err(SendError::Body(error));
            }
        }
        let errand = lease.line.hand_over();
        // Closed before the next is dialled: it may be the one too many.
        drop(lease);
        lease = self::lease(worker, rules, upstream, began).await?;
        lease.line.take_over(errand);
    }
}

/// A connection: the freshest that lies idle, else a new one.
async fn lease(
    worker: &Rc<Worker>,
    rules: &InForce,
    upstream: Upstream,
    now: Instant,
) -> Result<Lease, ConnectError> {
    match worker.pool(upstream).checkout(now, rules) {
        Some(line) => Ok(Lease::reused(Rc::clone(worker), line, upstream)),
        None => connect(worker, rules, rules.target(upstream))
            .await
            .inspect_err(|_| worker.metrics.attempts(upstream, Attempt::Error).add(1)),
    }
}

/// An answer's head is here; whether the request had left in full decides what
/// becomes of its connection.
fn answer(head: Answered, lease: Lease, at: Instant, watch: &BodyWatch) -> Answer {
    let sent = match watch.is_complete() {
        true => Sent::Whole,
        false => Sent::Part,
    };
    if sent == Sent::Part {
        watch.pause();
    }
    Answer {
        head,
        lease,
        sent,
        at,
    }
}

fn of_status(status: StatusCode) -> Attempt {
    match status.as_u16() {
        ..400 => Attempt::Ok,
        400..500 => Attempt::Refused,
        500.. => Attempt::Error,
    }
}
