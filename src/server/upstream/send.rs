//! One request to an upstream and its answer's head: the freshest connection,
//! one more try where that is safe, and patience only for silence. Never judges
//! an answer, and never reads its body.

use std::rc::Rc;
use std::time::Duration;

use http::StatusCode;
use http::request::Parts;
use http::response::Parts as Answered;
use tokio::time::Instant;

use crate::telemetry::labels::{Attempt, Upstream};

use super::connect::{ConnectError, connect};
use super::errand::Errand;
use super::line::{Failure, is_outage};
use super::pool::Lease;
use super::sending::Left;
use crate::server::client::stream::BodyError;
use crate::server::delivery::body::{BodyWatch, Outgoing};
use crate::server::worker::{InForce, Worker};

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
    /// Whether somebody will keep it if the upstream does not take it.
    pub keep: Keep,
}

/// Whether a request stays at hand until its upstream has taken it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It does; and its sender wants to know when it is kept waiting.
    Yes,
    /// Once gone it is gone.
    No,
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
    /// How long it took to come.
    pub took: Duration,
    /// The request's body, as far as it is still to come.
    pub watch: Rc<BodyWatch>,
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
    /// It was not asked.
    #[error("the upstream is not asked for now")]
    Held,
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

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It was answered.
    Answered(Answer),
    /// There is no answer; and the request, as far as it is still at hand.
    Failed(SendError, Option<Box<Errand>>),
    /// The upstream keeps it waiting, and [`Keep::Yes`] asked to be told.
    Late(Box<Waiting>),
}

/// A request that waits for its answer. Dropping it closes the upstream's connection.
#[derive(Debug)]
pub(crate) struct Waiting {
    lease: Lease,
    watch: Rc<BodyWatch>,
    upstream: Upstream,
    began: Instant,
    repeat: Repeat,
    keep: Keep,
}

impl Waiting {
    /// The request, if all of it is at hand.
    pub(crate) fn kept(&mut self) -> Option<Left> {
        self.lease.line.kept()
    }

    /// Wants to be told of it again: its client has yet to send the rest.
    pub(crate) fn hurries(&self) {
        self.lease.line.talk.hurries(true);
    }

    /// Waits on, and says no more that it is late.
    pub(crate) async fn go_on(mut self: Box<Self>, worker: &Rc<Worker>, rules: &InForce) -> Ended {
        let answered = self.lease.line.ask_on().await;
        ask(worker, rules, *self, Some(answered)).await
    }
}

/// Sends a request and waits for its answer's head.
///
/// Dropping the future closes the upstream's connection.
pub(crate) async fn send(worker: &Rc<Worker>, rules: &InForce, outbound: Outbound) -> Ended {
    let Outbound {
        upstream,
        head,
        body,
        repeat,
        keep,
    } = outbound;
    let began = Instant::now();
    let watch = body.watch();
    let mut lease = match lease(worker, rules, upstream, began, keep).await {
        Ok(lease) => lease,
        Err(error) => {
            let errand = Errand::new(&head, body);
            return Ended::Failed(error.into(), Some(errand));
        }
    };
    let named = rules.named(upstream);
    lease.line.load(head, body, named);
    let waiting = Waiting {
        lease,
        watch,
        upstream,
        began,
        repeat,
        keep,
    };
    ask(worker, rules, waiting, None).await
}

/// Asks until there is an answer, or none will come. `heard`: what came of the first
/// time, if it was asked already.
async fn ask(
    worker: &Rc<Worker>,
    rules: &InForce,
    mut waiting: Waiting,
    mut heard: Option<Result<Answered, Failure>>,
) -> Ended {
    let upstream = waiting.upstream;
    loop {
        let lease = &mut waiting.lease;
        let answered = match heard.take() {
            Some(answered) => answered,
            None => {
                let keeps = waiting.keep == Keep::Yes;
                // A kept-alive connection may be closing while the request is on its way:
                // then nobody has seen it, and it goes out once more.
                lease
                    .line
                    .keep(keeps || waiting.repeat == Repeat::Safe && lease.reused);
                lease.line.talk.hurries(keeps);
                lease.line.ask(&waiting.watch).await
            }
        };
        let failure = match answered {
            Ok(head) => return Ended::Answered(waiting.answered(worker, head)),
            Err(Failure::Late) => return Ended::Late(Box::new(waiting)),
            Err(failure) => failure,
        };
        tracing::debug!(?failure, "upstream exchange broke");
        let error = waiting.given_up(worker, rules, failure);
        if matches!(
            error,
            Some(SendError::Broken | SendError::Silent | SendError::Connect(_))
        ) {
            let address = &waiting.lease.line.address;
            worker.pool(upstream).spare(address, Instant::now());
        }
        let errand = waiting.lease.line.hand_over();
        if let Some(error) = error {
            return Ended::Failed(error, Some(errand));
        }
        // Closed before the next is dialled: it may be the one too many.
        let Waiting {
            lease: before,
            watch,
            began,
            repeat,
            keep,
            ..
        } = waiting;
        drop(before);
        let mut lease = match self::lease(worker, rules, upstream, began, keep).await {
            Ok(lease) => lease,
            Err(error) => return Ended::Failed(error.into(), Some(errand)),
        };
        let named = rules.named(upstream);
        lease.line.take_over(errand, named);
        waiting = Waiting {
            lease,
            watch,
            upstream,
            began,
            repeat,
            keep,
        };
    }
}

/// A connection: the freshest that lies idle, else a new one. Who keeps what is not taken
/// keeps its client waiting no longer for a connection than for an answer.
async fn lease(
    worker: &Rc<Worker>,
    rules: &InForce,
    upstream: Upstream,
    now: Instant,
    keep: Keep,
) -> Result<Lease, ConnectError> {
    let patience = match keep {
        Keep::Yes => rules.config.upstream.ingest_deadline,
        Keep::No => Duration::MAX,
    };
    match worker.pool(upstream).checkout(now, rules) {
        Some(line) => Ok(Lease::reused(Rc::clone(worker), line, upstream)),
        // Rare, and large: boxed, so that whoever waits with a connection in hand stays small.
        None => Box::pin(connect(worker, rules, rules.target(upstream), patience))
            .await
            .inspect_err(|_| worker.metrics.attempts(upstream, Attempt::Error).add(1)),
    }
}

impl Waiting {
    /// Why it is not tried once more. `None`: it is.
    fn given_up(
        &mut self,
        worker: &Worker,
        rules: &InForce,
        failure: Failure,
    ) -> Option<SendError> {
        let count = |attempt| worker.metrics.attempts(self.upstream, attempt).add(1);
        let lease = &mut self.lease;
        let again = self.repeat == Repeat::Safe && lease.reused;
        match failure {
            Failure::Unsent => {
                count(Attempt::Unsent);
                // A fresh connection that does not take it is no better the next time.
                (!lease.reused).then_some(SendError::Broken)
            }
            Failure::Refused(fault) if !lease.reused => {
                count(Attempt::Error);
                worker.metrics.reaches.at(self.upstream, fault).add(1);
                let address = &lease.line.address;
                address.server.fails(address.socket, fault);
                // As if it had not answered at all: it has looked at nothing.
                rules.target(self.upstream).doubt();
                Some(ConnectError::Unreachable.into())
            }
            Failure::Unheard | Failure::Refused(_) if again && lease.line.rewind() => {
                count(Attempt::ReusedClosed);
                // The others lay idle just as long: they are likely gone too.
                worker.pool(self.upstream).clear();
                None
            }
            Failure::Unheard | Failure::Refused(_) | Failure::Broken(_) => {
                count(Attempt::Error);
                Some(SendError::Broken)
            }
            Failure::Silent | Failure::Late => {
                count(Attempt::Timeout);
                Some(SendError::Silent)
            }
            Failure::Body(error) => {
                count(Attempt::Error);
                Some(SendError::Body(error))
            }
        }
    }

    /// An answer's head is here; whether the request had left in full decides what
    /// becomes of its connection.
    fn answered(self, worker: &Worker, head: Answered) -> Answer {
        let at = Instant::now();
        let took = at.saturating_duration_since(self.began);
        let durations = worker.metrics.upstream_durations.at(self.upstream.index());
        durations.observe(took);
        if !self.lease.reused {
            self.lease.line.address.server.answers();
        }
        if is_outage(head.status) {
            let address = &self.lease.line.address;
            worker.pool(self.upstream).spare(address, at);
        }
        let attempt = of_status(head.status);
        worker.metrics.attempts(self.upstream, attempt).add(1);
        let sent = match self.watch.is_complete() {
            true => Sent::Whole,
            false => Sent::Part,
        };
        Answer {
            head,
            lease: self.lease,
            sent,
            at,
            took,
            watch: self.watch,
        }
    }
}

fn of_status(status: StatusCode) -> Attempt {
    match status.as_u16() {
        ..400 => Attempt::Ok,
        400..500 => Attempt::Refused,
        500.. => Attempt::Error,
    }
}
