//! One request to an upstream and its answer's head: the freshest connection,
//! one more try where that is safe, and patience only for silence. Never judges
//! an answer, and never reads its body.

use std::rc::Rc;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
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
    pub head: Parts,
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
    /// `None`: the answer came before the request was sent whole, so that the
    /// connection cannot be used again.
    pub lease: Option<Lease>,
    /// What is left of the request, where the answer came early.
    pub unsent: Option<Rc<BodyWatch>>,
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
    let upstream = outbound.upstream;
    let count = |attempt| worker.metrics.attempts(upstream, attempt).add(1);
    let began = Instant::now();
    let (head, body, repeat) = (outbound.head, outbound.body, outbound.repeat);
    let mut request = Request::from_parts(head, body);
    loop {
        let lease = lease(worker, rules, upstream, began)
            .await
            .inspect_err(|_| count(Attempt::Error))?;
        // A kept-alive connection may be closing while the request is on its way:
        // then nobody has seen it, and it goes out once more.
        let again = match repeat {
            Repeat::Safe if lease.reused => once_more(&request),
            Repeat::Safe | Repeat::Unsafe => None,
        };
        match attempt(lease, request).await {
            Ok(answer) => {
                worker
                    .metrics
                    .upstream_durations
                    .at(upstream.index())
                    .observe(began.elapsed());
                count(match answer.response.status().as_u16() {
                    ..400 => Attempt::Ok,
                    400..500 => Attempt::Refused,
                    500.. => Attempt::Error,
                });
                return Ok(answer);
            }
            Err(Trouble::Unsent(unsent)) => {
                count(Attempt::Unsent);
                request = *unsent;
            }
            Err(Trouble::Unheard) if again.is_some() => {
                count(Attempt::ReusedClosed);
                // The others lay idle just as long: they are likely gone too.
                worker.pool(upstream).clear();
                request = again.ok_or(SendError::Broken)?;
            }
            Err(Trouble::Unheard) => {
                count(Attempt::Error);
                return Err(SendError::Broken);
            }
            Err(Trouble::Final(error)) => {
                count(if error == SendError::Silent {
                    Attempt::Timeout
                } else {
                    Attempt::Error
                });
                return Err(error);
            }
        }
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

fn once_more(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let body = request.body().again()?;
    let mut again = Request::new(body);
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    Some(again)
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

async fn attempt(mut lease: Lease, request: Request<Outgoing>) -> Result<Answer, Trouble> {
    let watch = request.body().watch();
    let talk = Rc::clone(&lease.line.talk);
    talk.ask(&watch);
    let answered = lease.line.sender.try_send_request(request).await;
    talk.answered();
    match answered {
        Ok(response) if watch.is_complete() => Ok(Answer {
            response,
            lease: Some(lease),
            unsent: None,
        }),
        Ok(response) => {
            watch.pause();
            Ok(Answer {
                response,
                lease: None,
                unsent: Some(watch),
            })
        }
        Err(mut error) => {
            if let Some(request) = error.take_message() {
                return Err(Trouble::Unsent(Box::new(request)));
            }
            if talk.is_silent() {
                return Err(Trouble::Final(SendError::Silent));
            }
            if let Some(error) = watch.failed() {
                return Err(Trouble::Final(SendError::Body(error)));
            }
            let error = error.into_error();
            tracing::debug!(%error, "upstream exchange broke");
            if lease.reused && !talk.is_heard() {
                return Err(Trouble::Unheard);
            }
            Err(Trouble::Final(SendError::Broken))
        }
    }
}
