//! A request's way to its upstream and the answer's way back: the last two steps
//! but one of the walk. Sees to it that a body which arrived whole is delivered
//! even if its client has left. Never decides whether it may pass.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http::header::CONNECTION;
use http::response::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::domain::outcome::Reason;
use crate::policy::Refusal;
use crate::telemetry::labels::{Ending, Route, Upstream};

use super::body::BodyWatch;
use super::lessons::{bare_limit, learn, learn_limits};
use super::manifest::Manifest;
use super::pump::Ahead;
use super::reply::{Held, Passing, Reply, Taken};
use super::respond;
use super::stream::BodyError;
use super::ticket::Ticket;
use super::upstream::connect::ConnectError;
use super::upstream::send::{Answer, Outbound, SendError, Sent, send};
use super::worker::{InForce, Worker};

/// An answer up to this size is taken whole if it is here already: it leaves in
/// one write, and its connection is free before the client has read a byte.
const TAKEN_AT_ONCE_BYTES: u64 = 64 * 1024;

/// Seconds after which a client whose event could not be delivered may try again.
const RETRY_AFTER_S: u32 = 30;

/// What came of a delivery. The ticket comes back with it.
type Delivered = (Ticket, Result<Answer, SendError>);

/// Sends a request and yields its answer, or ours in its place.
///
/// When the future is dropped, because the client is gone, an exchange whose
/// body is complete is finished by the worker, and counted; any other is broken off.
pub(crate) fn deliver(
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    outbound: Outbound,
    ticket: Ticket,
) -> impl Future<Output = Response<Reply>> {
    let watch = outbound.body.watch();
    let manifest = ticket.manifest().cloned();
    let exchange = Box::pin(exchange(
        Rc::clone(&worker),
        Rc::clone(&rules),
        outbound,
        ticket,
    ));
    let mut custody = Custody {
        watch,
        worker,
        rules: Rc::clone(&rules),
        manifest,
        exchange: Some(exchange),
    };
    poll_fn(move |cx| {
        let (ticket, sent) = ready!(custody.poll(cx));
        Poll::Ready(match sent {
            Ok(answer) => pass_on(cx, answer, ticket, &rules),
            Err(error) => give_up(error, &rules, ticket),
        })
    })
}

async fn exchange(
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    outbound: Outbound,
    ticket: Ticket,
) -> Delivered {
    let watch = outbound.body.watch();
    let sent = send(&worker, &rules, outbound).await;
    let had = match sent {
        Ok(_) => true,
        // Nobody can tell what it did with a whole request before it fell silent.
        Err(SendError::Broken | SendError::Silent) => watch.is_complete(),
        Err(SendError::Connect(_) | SendError::Body(_)) => false,
    };
    if let Some(manifest) = ticket.manifest().filter(|_| had) {
        manifest.is_used();
    }
    (ticket, sent)
}

/// An exchange under way, in safe hands: dropped with its body complete it goes
/// on without its client.
struct Custody {
    watch: Rc<BodyWatch>,
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    manifest: Option<Rc<Manifest>>,
    exchange: Option<Pin<Box<dyn Future<Output = Delivered>>>>,
}

impl Custody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Delivered> {
        let Some(exchange) = &mut self.exchange else {
            return Poll::Pending;
        };
        let polled = exchange.as_mut().poll(cx);
        if polled.is_ready() {
            self.exchange = None;
        }
        polled
    }
}

impl Drop for Custody {
    fn drop(&mut self) {
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        let (worker, rules) = (Rc::clone(&self.worker), Rc::clone(&self.rules));
        if !self.watch.is_complete() {
            return;
        }
        if worker.finishing.get() >= worker.rules().config.limits.finishing {
            if let Some(manifest) = &self.manifest {
                manifest.is_used();
            }
            return;
        }
        worker.finishing.set(worker.finishing.get() + 1);
        tokio::task::spawn_local(async move {
            finish_alone(exchange.await, &rules).await;
            worker
                .finishing
                .set(worker.finishing.get().saturating_sub(1));
        });
    }
}

/// The end of an exchange that nobody waits for: only the books want to know, and
/// whoever judges its key.
async fn finish_alone((mut ticket, sent): Delivered, rules: &InForce) {
    match sent {
        Ok(answer) => {
            let status = answer.head.status;
            judge(&mut ticket, status);
            ticket.unanswered();
            learn_limits(&ticket, &answer.head, rules);
            let hearing = match answer.sent {
                Sent::Whole => learn(&ticket, status, rules),
                Sent::Part => None,
            };
            let held = Held {
                lease: answer.lease,
                sent: answer.sent,
                hearing,
                ticket,
            };
            let mut passing = Passing::new(held);
            let mut left = TAKEN_AT_ONCE_BYTES;
            while let Some(Ok(chunk)) = poll_fn(|cx| passing.poll_chunk(cx)).await {
                let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                left = left.saturating_sub(bytes);
                if left == 0 {
                    // A connection is not worth a download, or one without an end.
                    return passing.forsake();
                }
            }
        }
        Err(error) => {
            let refusal = undelivered(error, ticket.route());
            ticket.judge(Ending::Failed, 0, Some(refusal.reason));
        }
    }
}

/// What the upstream's status says about the request.
fn judge(ticket: &mut Ticket, status: StatusCode) {
    let reason = match status.as_u16() {
        429 => Some(Reason::Upstream429),
        400..500 => Some(Reason::Upstream4xx),
        500.. => Some(Reason::Upstream500),
        _ => None,
    };
    ticket.judge(Ending::Forwarded, status.as_u16(), reason);
}

fn pass_on(
    cx: &mut Context<'_>,
    answer: Answer,
    mut ticket: Ticket,
    rules: &InForce,
) -> Response<Reply> {
    let route = ticket.route();
    let early = answer.sent == Sent::Part;
    if early && route.is_event() && answer.head.status.is_success() {
        // It cannot have taken what it has not seen: its 200 would be a lie.
        return give_up(SendError::Broken, rules, ticket);
    }
    let mut head = answer.head;
    judge(&mut ticket, head.status);
    learn_limits(&ticket, &head, rules);
    let hearing = learn(&ticket, head.status, rules);
    let bare = bare_limit(&head);
    clean(&mut head, route);
    if let Some(manifest) = ticket.manifest() {
        respond::tell(&mut head.headers, &manifest.limits(), bare.as_ref());
    }
    if early {
        head.headers
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let held = Held {
        lease: answer.lease,
        sent: answer.sent,
        hearing,
        ticket,
    };
    let body = match Passing::new(held).take_at_once(answer.at, cx, TAKEN_AT_ONCE_BYTES) {
        Taken::Whole(chunks, ticket) => {
            if let Some(mut ticket) = ticket {
                ticket.ends(answer.at);
            }
            Reply::Whole(chunks)
        }
        Taken::Part(passing) if route.is_event() => Reply::Upstream(passing),
        Taken::Part(passing) => {
            let ahead = rules.config.upstream.web_read_ahead.response;
            Reply::Ahead(Box::new(Ahead::read(*passing, ahead)))
        }
    };
    Response::from_parts(head, body)
}

/// Replaces what an event's answer says of CORS. What belongs to the upstream's
/// connection was never in the head.
fn clean(head: &mut Parts, route: Route) {
    if !route.is_event() {
        return;
    }
    let headers = &mut head.headers;
    let theirs = headers.keys().filter(|name| respond::is_cors(name));
    // Most answers have none, and a list that stays empty costs nothing.
    let theirs: Vec<HeaderName> = theirs.cloned().collect();
    for name in theirs {
        headers.remove(name);
    }
    respond::share(headers);
}

fn give_up(error: SendError, rules: &InForce, mut ticket: Ticket) -> Response<Reply> {
    let refusal = match error {
        SendError::Body(error) => return turn_away(error, rules, ticket),
        SendError::Connect(_) | SendError::Broken | SendError::Silent => {
            undelivered(error, ticket.route())
        }
    };
    respond::fail(refusal, &mut ticket)
}

/// Answers a body that did not arrive whole.
pub(crate) fn turn_away(error: BodyError, rules: &InForce, mut ticket: Ticket) -> Response<Reply> {
    let refusal = match (error, ticket.manifest()) {
        (BodyError::Full, Some(manifest)) => manifest.nothing_left(),
        (error, _) => body_refusal(error, rules, ticket.route()),
    };
    let response = respond::refuse(refusal, &mut ticket);
    if error == BodyError::Gone {
        // Nobody is left to read it, but hyper wants an answer to give up on.
        ticket.judge(Ending::Aborted, 0, Some(Reason::ClientGone));
    }
    response
}

/// The words and the status for a delivery that failed.
pub(crate) fn undelivered(error: SendError, route: Route) -> Refusal {
    let mut refusal = match error {
        SendError::Body(_) => Refusal::of(
            Reason::ClientGone,
            400,
            "the body ended before its announced length",
        ),
        SendError::Connect(ConnectError::Full) => Refusal::later(
            Reason::Overloaded,
            "all connections to the upstream are in use",
            1,
        ),
        SendError::Connect(ConnectError::Unresolved) => Refusal::of(
            Reason::NoUpstream,
            502,
            "the upstream's name does not resolve",
        ),
        SendError::Connect(ConnectError::Unreachable) => Refusal::of(
            Reason::NoUpstream,
            502,
            "the upstream does not take connections",
        ),
        SendError::Broken => Refusal::of(
            Reason::NoUpstream,
            502,
            "the upstream broke its connection off",
        ),
        SendError::Silent => Refusal::of(
            Reason::NoUpstream,
            504,
            "the upstream did not answer in time",
        ),
    };
    if route.is_event() && refusal.retry_after_s.is_none() {
        // SDKs take any other 5xx for final; a 503 tells the ones that listen.
        refusal.status = 503;
        refusal.retry_after_s = Some(RETRY_AFTER_S);
    }
    refusal
}

/// The words and the status for a body that did not arrive whole.
fn body_refusal(error: BodyError, rules: &InForce, route: Route) -> Refusal {
    let mut refusal = match error {
        BodyError::TooLarge => {
            let (bytes_max, limit) = rules.body_limit(route);
            Refusal::too_large(route.as_str(), limit, bytes_max)
        }
        BodyError::Slow => {
            Refusal::of(Reason::ClientSlow, 408, "the body stood still for too long")
        }
        BodyError::Coding(error) => Refusal::coding(error),
        BodyError::Envelope(error) => Refusal::scan(error),
        BodyError::Full => Refusal::of(
            Reason::Quota,
            429,
            "a rate limit has no room for the rest of this request",
        ),
        BodyError::Disk => Refusal::of(
            Reason::Internal,
            500,
            "the body could not be kept on this machine's disk",
        ),
        BodyError::Gone => Refusal::of(
            Reason::ClientGone,
            400,
            "the body ended before its announced length",
        ),
    };
    refusal.close = true;
    refusal
}

/// The upstream of a route.
pub(crate) fn upstream_of(route: Route) -> Upstream {
    match route {
        Route::Ingest | Route::Tunnel | Route::Relay => Upstream::Ingest,
        Route::Web | Route::Upload | Route::Static | Route::Local => Upstream::Web,
    }
}
