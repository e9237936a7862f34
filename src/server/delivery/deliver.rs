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
use crate::telemetry::labels::{Ending, Route};

use crate::server::client::reply::{Held, Passing, Reply, Taken};
use crate::server::client::respond;
use crate::server::client::stream::BodyError;
use crate::server::delivery::body::BodyWatch;
use crate::server::delivery::exchange::{Came, Delivered, exchange};
use crate::server::delivery::lessons::{bare_limit, learn, learn_limits};
use crate::server::delivery::pump::Ahead;
use crate::server::delivery::rescue::{Keeper, Told};
use crate::server::delivery::undelivered::{body_refusal, no_room, undelivered};
use crate::server::ingest::manifest::Manifest;
use crate::server::mirrors::copying::Copying;
use crate::server::ticket::Ticket;
use crate::server::upstream::send::{Answer, Outbound, SendError, Sent};
use crate::server::worker::{InForce, Worker};

/// An answer up to this size is taken whole if it is here already: it leaves in
/// one write, and its connection is free before the client has read a byte.
const TAKEN_AT_ONCE_BYTES: u64 = 64 * 1024;

/// Sends a request and yields its answer, or ours in its place. `keeping`: who keeps it
/// where the upstream does not take it, and who copies it to mirrors.
///
/// When the future is dropped, because the client is gone, an exchange whose
/// body is complete is finished by the worker, and counted; any other is broken off.
pub(crate) fn deliver(
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    outbound: Outbound,
    ticket: Ticket,
    keeping: (Option<Keeper>, Option<Box<Copying>>),
) -> impl Future<Output = Response<Reply>> {
    let watch = outbound.body.watch();
    let manifest = ticket.manifest().cloned();
    let exchange = Box::pin(exchange(
        Rc::clone(&worker),
        Rc::clone(&rules),
        outbound,
        ticket,
        keeping,
    ));
    let mut custody = Custody {
        watch,
        worker,
        rules: Rc::clone(&rules),
        manifest,
        exchange: Some(exchange),
    };
    poll_fn(move |cx| {
        let (ticket, came) = ready!(custody.poll(cx));
        Poll::Ready(match came {
            Came::Answer(answer) => pass_on(cx, *answer, ticket, &rules),
            Came::Kept(told) => answer_kept(told, ticket),
            Came::Nothing(error) => give_up(error, &rules, ticket),
            Came::NoRoom => {
                let mut ticket = ticket;
                respond::fail(no_room(), &mut ticket)
            }
        })
    })
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
        let finishing = worker.finishes();
        tokio::task::spawn_local(async move {
            finish_alone(exchange.await, &rules).await;
            drop(finishing);
        });
    }
}

/// The end of an exchange that nobody waits for: only the books want to know, and
/// whoever judges its key.
async fn finish_alone((mut ticket, came): Delivered, rules: &InForce) {
    match came {
        Came::Answer(answer) => {
            let status = answer.head.status;
            judge(&mut ticket, status);
            ticket.waited_for_upstream(answer.took);
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
        Came::Kept(_) => ticket.judge(Ending::Spooled, 0, None),
        Came::Nothing(error) => {
            let refusal = undelivered(error, ticket.route());
            ticket.judge(Ending::Failed, 0, Some(refusal.reason));
        }
        Came::NoRoom => ticket.judge(Ending::Failed, 0, Some(no_room().reason)),
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

/// An answer on its way to the client: its head as it may be, its body as it comes.
pub(crate) fn pass_on(
    cx: &mut Context<'_>,
    answer: Answer,
    mut ticket: Ticket,
    rules: &InForce,
) -> Response<Reply> {
    let route = ticket.route();
    ticket.waited_for_upstream(answer.took);
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
        // The upstream's connection stays open for the rest of its answer.
        answer.watch.pause();
        head.headers
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let budget = (!route.is_event()).then(|| ticket.ahead_budget(rules));
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
        Taken::Part(passing) => match budget {
            None => Reply::Upstream(passing),
            Some(budget) => {
                let ahead = rules.config.upstream.web_read_ahead.response;
                Reply::Ahead(Box::new(Ahead::read(*passing, ahead, budget)))
            }
        },
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

/// The answer to a request that is kept.
fn answer_kept(told: Told, mut ticket: Ticket) -> Response<Reply> {
    let limits = match ticket.manifest() {
        Some(manifest) => manifest.limits().to_vec(),
        None => Vec::new(),
    };
    let id = told.event_id.as_deref();
    respond::kept(told.endpoint, id, &limits, &mut ticket)
}

/// What stands in the place of an answer that will not come.
pub(crate) fn give_up(error: SendError, rules: &InForce, mut ticket: Ticket) -> Response<Reply> {
    let refusal = match error {
        SendError::Body(error) => return turn_away(error, rules, ticket),
        SendError::Connect(_) | SendError::Held | SendError::Broken | SendError::Silent => {
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
