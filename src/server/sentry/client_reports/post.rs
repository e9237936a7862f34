//! One client report on its way: a connection, a request, an answer, and what that says.
//! Never sends twice: whoever has the report decides what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::response::Parts;
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::policy::millis::Millis;
use crate::policy::pair::Pair;
use crate::policy::reports::Report;
use crate::telemetry::labels::Upstream;

use crate::server::delivery::rescue::said;
use crate::server::ingest::claims::X_SENTRY_AUTH;
use crate::server::rules::Rules;
use crate::server::sentry::line::NAME;
use crate::server::spool::End;
use crate::server::upstream::Target;
use crate::server::upstream::connect;
use crate::server::upstream::line::is_outage;
use crate::server::upstream::server::Server;
use crate::server::upstream::stream::Stream;
use crate::server::upstream::trust::Trusting;

/// For one report, from the dial to the answer's head.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// The upstream has it.
    Sent,
    /// The upstream has no use for it.
    Refused,
    /// It may have it.
    Unsure,
    /// It does not have it, for now.
    Later,
    /// It is not there to be told.
    Away,
}

impl Told {
    /// The word for it in the log.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Unsure => "unsure",
            Self::Later => "later",
            Self::Away => "away",
        }
    }
}

/// Sends a report, on a connection of its own: on one that was used before, a close that
/// crosses the request would leave nobody knowing whether it arrived. `has_left` says from
/// when on it may have.
pub(super) async fn send(
    trust: &Trusting,
    rules: &Rules,
    to: Upstream,
    mut request: Request<Full<Bytes>>,
    has_left: &mut bool,
) -> Told {
    let patience = rules.config.upstream.timeouts.connect.min(PATIENCE);
    let Some((stream, server)) = dial(trust, rules.target(to), patience).await else {
        return Told::Away;
    };
    request.headers_mut().insert(HOST, server.host.clone());
    let mut builder = Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX);
    let Ok((mut sender, connection)) = builder.handshake(TokioIo::new(stream)).await else {
        return Told::Away;
    };
    let driver = tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection of a client report broke");
        }
    });
    let _driver = Driver(driver.abort_handle());
    *has_left = true;
    match timeout(PATIENCE, sender.try_send_request(request)).await {
        Ok(Ok(answer)) => heard(&answer.into_parts().0),
        // It comes back where nothing of it has left.
        Ok(Err(mut error)) => match error.take_message() {
            Some(_) => Told::Away,
            None => Told::Unsure,
        },
        Err(_) => Told::Unsure,
    }
}

/// Closes its connection when it is dropped.
#[derive(Debug)]
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A report as the SDK of this key would post it, to whichever server it goes.
pub(super) fn request(
    report: &Report,
    pair: &Pair,
    (now, now_unix_s): (Millis, u64),
) -> Option<Request<Full<Bytes>>> {
    let (key, project) = (pair.key(), pair.project()?);
    let key = key.as_str();
    let auth = format!("Sentry sentry_version=7, sentry_key={key}, sentry_client={NAME}");
    let mut auth = HeaderValue::try_from(auth).ok()?;
    auth.set_sensitive(true);
    let body = report.envelope(now, now_unix_s);
    Request::post(format!("/api/{project}/envelope/"))
        .header(USER_AGENT, NAME)
        .header(CONTENT_TYPE, "application/x-sentry-envelope")
        .header(X_SENTRY_AUTH, auth)
        .header(CONNECTION, "close")
        .body(Full::new(body.into()))
        .ok()
}

/// A connection to the first of the upstream's addresses that takes one, beginning anywhere.
async fn dial(trust: &Trusting, target: &Target, limit: Duration) -> Option<(Stream, Arc<Server>)> {
    let addresses = target.addresses();
    let first = fastrand::usize(..addresses.len().max(1));
    let (before, from) = addresses.split_at_checked(first)?;
    for address in from.iter().chain(before) {
        // A report is no traffic: who counts is who sends events.
        if let Some(stream) = connect::dial(trust, address, limit, |_| {}).await {
            return Some((stream, Arc::clone(&address.server)));
        }
    }
    target.doubt();
    None
}

/// What an answer says of a report.
fn heard(head: &Parts) -> Told {
    match said(head) {
        End::Taken => Told::Sent,
        End::Refused(_) => Told::Refused,
        End::Again | End::Unsent | End::Limited(_) | End::Damaged => match is_outage(head.status) {
            true => Told::Away,
            false => Told::Later,
        },
    }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    #[track_caller]
    fn check(status: u16, kind: &str, want: Told) {
        let answer = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, kind)
            .body(())
            .unwrap();
        assert_eq!(heard(&answer.into_parts().0), want, "{status} {kind}");
    }

    #[test]
    fn only_what_surely_did_not_count_is_told_again() {
        const JSON: &str = "application/json";
        check(200, JSON, Told::Sent);
        check(202, "text/plain", Told::Sent);
        for status in [400, 403, 413] {
            check(status, JSON, Told::Refused);
            // A proxy's page: Sentry has not seen it.
            check(status, "text/html", Told::Later);
        }
        for status in [302, 408, 429, 500] {
            check(status, JSON, Told::Later);
        }
        for status in [502, 503, 504] {
            check(status, "text/html", Told::Away);
        }
    }
}
