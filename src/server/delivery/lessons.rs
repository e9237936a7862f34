//! What an answer's head teaches: whom the upstream takes events from, and what it
//! wants held back. Never changes the answer.

use http::StatusCode;
use http::header::RETRY_AFTER;
use http::response::Parts;

use crate::domain::category::Categories;
use crate::domain::rate_limits::{self, RateLimit, Scope};
use crate::policy::pair::Pair;

use crate::server::client::respond;
use crate::server::delivery::hearing::{First, Hearing};
use crate::server::ticket::Ticket;
use crate::server::worker::{InForce, Worker};

/// Takes up the limits that an answer tells of: they hold for its sender until they
/// expire. A 429 that tells of none is a limit on everything (PROTOCOL 4.1).
pub(crate) fn learn_limits(ticket: &Ticket, head: &Parts, rules: &InForce) {
    let Some(sender) = ticket.sender().filter(|_| ticket.route().is_event()) else {
        return;
    };
    if tells_limits(head) {
        let most = rules.config.limits.retry_after_max;
        ticket.learn_limits(sender, limits_of(head), most);
    }
}

/// The same of an answer to a request that was kept: those who send now are told here what
/// Sentry would have told them.
pub(crate) fn learn_late(worker: &Worker, sender: Option<Pair>, head: &Parts, rules: &InForce) {
    if let Some(pair) = sender.filter(|_| tells_limits(head)) {
        worker.learn_limits(pair, limits_of(head), rules.config.limits.retry_after_max);
    }
}

fn tells_limits(head: &Parts) -> bool {
    let limited = head.status == StatusCode::TOO_MANY_REQUESTS;
    limited || head.headers.contains_key(respond::X_SENTRY_RATE_LIMITS)
}

/// The limits that an answer tells of.
pub(crate) fn limits_of(head: &Parts) -> Vec<RateLimit> {
    let values = head.headers.get_all(respond::X_SENTRY_RATE_LIMITS).iter();
    let told = values.flat_map(|value| rate_limits::parse(value.as_bytes()));
    told.chain(bare_limit(head)).collect()
}

/// The limit on everything that a 429 means which tells of none.
pub(crate) fn bare_limit(head: &Parts) -> Option<RateLimit> {
    const UNTOLD_S: u64 = 60;
    let limited = head.status == StatusCode::TOO_MANY_REQUESTS;
    if !limited || head.headers.contains_key(respond::X_SENTRY_RATE_LIMITS) {
        return None;
    }
    let after = head.headers.get(RETRY_AFTER);
    let after_s = after.and_then(|after| after.to_str().ok()?.trim().parse().ok());
    Some(RateLimit {
        retry_after_s: after_s.unwrap_or(UNTOLD_S),
        categories: Categories::EMPTY,
        scope: Scope::Key,
        reason: None,
    })
}

/// Lets an answer's head teach what it can about who asked, and yields the ear for
/// its body where that must be heard first.
pub(crate) fn learn(ticket: &Ticket, status: StatusCode, rules: &InForce) -> Option<Hearing> {
    if !ticket.route().is_event() || !ticket.teaches(rules) {
        return None;
    }
    match First::of(status) {
        First::Word(answer) => {
            ticket.teach(answer);
            None
        }
        First::Listen => Some(Hearing::default()),
    }
}
