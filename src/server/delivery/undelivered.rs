//! The words and the status for what was not delivered: no way to the upstream, no room
//! in the spool, or a body that did not arrive whole.

use crate::domain::outcome::Reason;
use crate::policy::Refusal;
use crate::telemetry::labels::Route;

use crate::server::client::stream::BodyError;
use crate::server::upstream::connect::ConnectError;
use crate::server::upstream::send::SendError;
use crate::server::worker::InForce;

/// Seconds after which a client whose event could not be delivered may try again.
const RETRY_AFTER_S: u32 = 30;

/// The words for a request that the spool has no room for.
pub(crate) fn no_room() -> Refusal {
    let detail = "the upstream does not take it, and its share of the spool is full";
    Refusal::later(Reason::SpoolFull, detail, RETRY_AFTER_S)
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
        SendError::Held => Refusal::of(
            Reason::NoUpstream,
            502,
            "the upstream is not asked while it fails, or is being worked on",
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
pub(crate) fn body_refusal(error: BodyError, rules: &InForce, route: Route) -> Refusal {
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
