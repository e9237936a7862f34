//! One request to an upstream and its answer's head: the freshest connection,
//! one more try where that is safe, and patience only for silence. Never judges
//! an answer, and never reads its body.

use std::rc::Rc;

use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::Instant;

use crate::telemetry::labels::{Attempt, Upstream};

use super::super::body::{BodyError, BodyWatch, Outgoing};
use super::super::worker::{InForce, Worker};
use super::connect::{ConnectError, connect};
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
    /// Head, and the body still to come.
    pub response: Response<Incoming>,
    /// The connection, to be driven until the body is over.
    pub lease: Lease,
    /// Whether the request had left in full when the answer came.
    pub sent: Sent,
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
        mut head,
        mut body,
        repeat,
    } = outbound;
    let count = |attempt| worker.metrics.attempts(upstream, attempt).add(1);
    let began = Instant::now();
    loop {
        let mut lease = match lease(worker, rules, upstream, began).await {
            Ok(lease) => lease,
            Err(error) => {
                count(Attempt::Error);
                return Err(error.into());
            }
        };
        // A kept-alive connection may be closing while the request is on its way:
        // then nobody has seen it, and it goes out once more.
        let again = match repeat {
            Repeat::Safe if lease.reused => once_more(&head, &body),
            Repeat::Safe | Repeat::Unsafe => None,
        };
        let fresh = !lease.reused;
        let watch = body.watch();
        lease.line.talk.ask(&watch);
        let answered = lease.line.ask(Request::from_parts(*head, body)).await;
        lease.line.talk.answered();
        let trouble = match answered {
            Ok(response) => {
                worker
                    .metrics
                    .upstream_durations
                    .at(upstream.index())
                    .observe(began.elapsed());
                count(of_status(response.status()));
                return Ok(answer(response, lease, &watch));
            }
            Err(error) => trouble(error, &lease, &watch),
        };
        (head, body) = match (trouble, again) {
            // A fresh connection that hands it back is no better the next time.
            (Trouble::Unsent(_), _) if fresh => {
                count(Attempt::Unsent);
                return Err(SendError::Broken);
            }
            (Trouble::Unsent(unsent), _) => {
                count(Attempt::Unsent);
                let (head, body) = unsent.into_parts();
                (Box::new(head), body)
            }
            (Trouble::Unheard, Some(again)) => {
                count(Attempt::ReusedClosed);
                // The others lay idle just as long: they are likely gone too.
                worker.pool(upstream).clear();
                again
            }
            (Trouble::Unheard, None) => {
                count(Attempt::Error);
                return Err(SendError::Broken);
            }
            (Trouble::Final(error), _) => {
                count(if error == SendError::Silent {
                    Attempt::Timeout
                } else {
                    Attempt::Error
                });
                return Err(error);
            }
        };
    }
}

async fn lease(
    worker: &Rc<Worker>,
    rules: &InForce,
    upstream: Upstream,
    now: Instant,
) -> Result<Lease, ConnectError> {
    match worker.pool(upstream).checkout(now, rules) {
        Some(line) => Ok(Lease::reused(Rc::clone(worker), line, upstream)),
        None => connect(worker, rules, rules.target(upstream)).await,
    }
}

/// The same request once more, if its body is here in full.
fn once_more(head: &Parts, body: &Outgoing) -> Option<(Box<Parts>, Outgoing)> {
    let body = body.again()?;
    let (mut again, ()) = Request::new(()).into_parts();
    again.method.clone_from(&head.method);
    again.uri.clone_from(&head.uri);
    again.headers.clone_from(&head.headers);
    Some((Box::new(again), body))
}

/// An answer's head is here; whether the request had left in full decides what
/// becomes of its connection.
fn answer(response: Response<Incoming>, lease: Lease, watch: &BodyWatch) -> Answer {
    let sent = match watch.is_complete() {
        true => Sent::Whole,
        false => Sent::Part,
    };
    if sent == Sent::Part {
        watch.pause();
    }
    Answer {
        response,
        lease,
        sent,
    }
}

fn of_status(status: StatusCode) -> Attempt {
    match status.as_u16() {
        ..400 => Attempt::Ok,
        400..500 => Attempt::Refused,
        500.. => Attempt::Error,
    }
}

/// How an attempt failed, as far as a next one is concerned.
enum Trouble {
    /// The connection was gone before anything left: the request comes back.
    Unsent(Box<Request<Outgoing>>),
    /// It closed, and no byte came back.
    Unheard,
    /// There is no next attempt.
    Final(SendError),
}

fn trouble(
    mut error: TrySendError<Request<Outgoing>>,
    lease: &Lease,
    watch: &BodyWatch,
) -> Trouble {
    if let Some(request) = error.take_message() {
        return Trouble::Unsent(Box::new(request));
    }
    if lease.line.talk.is_silent() {
        return Trouble::Final(SendError::Silent);
    }
    if let Some(error) = watch.failed() {
        return Trouble::Final(SendError::Body(error));
    }
    let error = error.into_error();
    tracing::debug!(%error, "upstream exchange broke");
    match lease.reused && !lease.line.talk.is_heard() {
        true => Trouble::Unheard,
        false => Trouble::Final(SendError::Broken),
    }
}
