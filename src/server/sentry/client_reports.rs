//! Tells Sentry what was dropped here, so that its Stats counts that too: once an interval,
//! one report for each key that is known to be real. Never tells anything twice: what may
//! have arrived counts as told, what surely did not is told with the next.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::response::Parts;
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::policy::breaker::State;
use crate::policy::millis::Millis;
use crate::policy::pair::Pair;
use crate::policy::reports::{Pending, Report};
use crate::telemetry::labels::Reported;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process;

use super::api::NAME;
use crate::server::delivery::rescue::said;
use crate::server::ingest::claims::X_SENTRY_AUTH;
use crate::server::rules::Rules;
use crate::server::spool::End;
use crate::server::upstream::Target;
use crate::server::upstream::line::is_outage;
use crate::server::worker::Shared;

/// Senders told of in one interval, those first who have waited longest: a thousand reports
/// are less than a second's work of the upstream.
const SENDERS_MAX: usize = 1_000;

/// For one report, from the dial to the answer's head.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the interval is looked at, which a reload may change.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
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

/// What tells of drops, for as long as the edge runs.
#[derive(Debug)]
pub(crate) struct Teller {
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    pending: RefCell<Pending>,
}

impl Teller {
    /// Nothing to tell yet.
    pub(crate) fn new(shared: Arc<Shared>, metrics: Arc<Metrics>) -> Self {
        Self {
            shared,
            metrics,
            pending: RefCell::default(),
        }
    }

    /// Tells of drops once an interval, and once more when `last` asks for it, which ends it.
    /// Dropped before, it breaks off what is under way, and what was not told is lost.
    pub(crate) async fn tell(self, mut last: oneshot::Receiver<()>) {
        loop {
            let began = Instant::now();
            let is_last = loop {
                let interval = self.shared.rules.load().config.client_reports.interval;
                let left = interval.saturating_sub(began.elapsed());
                if left.is_zero() {
                    break false;
                }
                if timeout(left.min(LOOK_EVERY), &mut last).await.is_ok() {
                    break true;
                }
            };
            self.round().await;
            if is_last {
                return;
            }
        }
    }

    /// Tells what may be told now.
    async fn round(&self) {
        let rules = self.shared.rules.load_full();
        let reports = RefCell::new(self.due(&rules).into());
        // So many at once: what they take is taken from events.
        let lane = || self.lane(&rules, &reports);
        tokio::join!(lane(), lane(), lane(), lane());
        let mut pending = self.pending.borrow_mut();
        for report in reports.into_inner() {
            pending.put_back(report);
        }
        self.count(Reported::Expired, pending.take_lost());
    }

    /// Takes up what was gathered, and takes out what is to be told.
    fn due(&self, rules: &Rules) -> Vec<Report> {
        let shared = &self.shared;
        let now = shared.millis(Instant::now());
        let pending = &mut *self.pending.borrow_mut();
        for gathered in shared.reports.take() {
            pending.merge(now, gathered);
        }
        match rules.config.client_reports.enabled {
            true => pending.expire(now),
            false => pending.clear(),
        }
        if shared.maintenance.is_on() || rules.ingest.breaker.state() != State::Closed {
            return Vec::new();
        }
        let vouched = |pair: &Pair| rules.gate.vouches_for(pair, &shared.verdicts);
        pending.take(SENDERS_MAX, vouched)
    }

    /// Tells one after the other, until there is none left or the upstream is away: then
    /// the others wait for the next round.
    async fn lane(&self, rules: &Rules, reports: &RefCell<VecDeque<Report>>) {
        loop {
            let next = reports.borrow_mut().pop_front();
            let Some(report) = next else {
                return;
            };
            let told = self.send(rules, &report).await;
            match told {
                Told::Sent => self.count(Reported::Sent, report.items),
                Told::Refused => self.count(Reported::Refused, report.items),
                Told::Unsure => self.count(Reported::Unsure, report.items),
                Told::Later | Told::Away => self.pending.borrow_mut().put_back(report),
            }
            if matches!(told, Told::Unsure | Told::Away) {
                return;
            }
        }
    }

    /// Sends a report, on a connection of its own: on one that was used before, a close that
    /// crosses the request would leave nobody knowing whether it arrived.
    async fn send(&self, rules: &Rules, report: &Report) -> Told {
        let now = self.shared.millis(Instant::now());
        let Some(request) = request(&rules.ingest, report, now, process::now_s()) else {
            return Told::Refused;
        };
        let connect = rules.config.upstream.timeouts.connect.min(PATIENCE);
        let Some(stream) = dial(&rules.ingest, connect).await else {
            return Told::Away;
        };
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

    fn count(&self, reported: Reported, items: u64) {
        self.metrics.control.reports(reported, items);
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

/// A report as its key's own SDK would post it.
fn request(
    target: &Target,
    report: &Report,
    now: Millis,
    now_unix_s: u64,
) -> Option<Request<Full<Bytes>>> {
    let (key, project) = (report.pair.key(), report.pair.project()?);
    let key = key.as_str();
    let auth = format!("Sentry sentry_version=7, sentry_key={key}, sentry_client={NAME}");
    let mut auth = HeaderValue::try_from(auth).ok()?;
    auth.set_sensitive(true);
    let body = report.envelope(now, now_unix_s);
    Request::post(format!("/api/{project}/envelope/"))
        .header(HOST, target.authority())
        .header(USER_AGENT, NAME)
        .header(CONTENT_TYPE, "application/x-sentry-envelope")
        .header(X_SENTRY_AUTH, auth)
        .header(CONNECTION, "close")
        .body(Full::new(body.into()))
        .ok()
}

/// A connection to the first of the upstream's addresses that takes one, beginning anywhere.
async fn dial(target: &Target, limit: Duration) -> Option<TcpStream> {
    let addresses = target.addresses();
    let first = fastrand::usize(..addresses.len().max(1));
    let (before, from) = addresses.split_at_checked(first)?;
    for address in from.iter().chain(before) {
        if let Ok(Ok(stream)) = timeout(limit, TcpStream::connect(address)).await {
            return Some(stream);
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
        End::Again | End::Unsent | End::Limited(_) => match is_outage(head.status) {
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
