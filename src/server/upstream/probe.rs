//! Asks an upstream that is failing whether it is back, so that a quiet site learns of it
//! without an event. Runs on the control thread, over connections of its own, and asks
//! nobody who is well or whom events ask already; but also whom nobody has reached yet, so that
//! nothing is called up that may not be there. Never counts as a request.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::{CONNECTION, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Request, Uri};
use tokio::time::{Instant, sleep, timeout};

use crate::policy::breaker::{Heard, Pass, State};
use crate::policy::millis::Millis;
use crate::telemetry::labels::{MirrorPlace, Probed, Upstream};
use crate::telemetry::metrics::{Metrics, WorkerMetrics};

use super::Target;
use super::connect::connect;
use super::line::{Failure, is_outage};
use super::server::Named;
use crate::server::delivery::body::Outgoing;
use crate::server::rules::Rules;
use crate::server::worker::{InForce, Shared, Worker};

/// The longest sleep: a shorter interval that a reload brings holds from then on.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// The shortest, whatever is configured.
const SLEEP_MIN: Duration = Duration::from_millis(10);

/// How long an answer may take: twice the interval, and between these. Longer than any answer
/// of a health route, shorter than the time after which a breaker forgets its probe.
const PATIENCE_MIN: Duration = Duration::from_secs(1);
const PATIENCE_MAX: Duration = Duration::from_secs(5);

/// What is asked for: Relay's and Sentry's own words about their health. A server between that
/// knows no such path says 404, and is as good a sign.
const fn path(upstream: Upstream) -> &'static str {
    match upstream {
        Upstream::Ingest | Upstream::Mirror(_) => "/api/relay/healthcheck/live/",
        Upstream::Web => "/_health/",
    }
}

/// Asks after all upstreams until the edge stops, each at most once at a time.
pub(crate) async fn keep_probing(shared: Arc<Shared>, metrics: Arc<Metrics>) {
    // For its pools and its rules; its counters are nobody's, since this is no traffic.
    let worker = Rc::new(Worker::new(shared, Arc::new(WorkerMetrics::new(0))));
    let mirrors = worker.rules().mirrors.len();
    let [a, b, c, d] = MirrorPlace::ALL.map(|place| {
        let (worker, metrics) = (&worker, &metrics);
        async move {
            // There is one from the start to the end, or never.
            if place.get() < mirrors {
                keep_asking(worker, metrics, Upstream::Mirror(place)).await;
            }
        }
    });
    tokio::join!(
        keep_asking(&worker, &metrics, Upstream::Ingest),
        keep_asking(&worker, &metrics, Upstream::Web),
        a,
        b,
        c,
        d,
    );
}

async fn keep_asking(worker: &Rc<Worker>, metrics: &Metrics, upstream: Upstream) {
    let mut asked = Instant::now();
    while !worker.is_stopping() {
        let interval = worker.rules().config.upstream.probe_interval;
        let rest = interval.saturating_sub(asked.elapsed());
        sleep(rest.clamp(SLEEP_MIN, SLEEP_MAX)).await;
        if asked.elapsed() < interval {
            continue;
        }
        asked = Instant::now();
        let rules = worker.rules();
        if is_asked(worker, &rules, upstream) {
            ask(worker, &rules, metrics, upstream).await;
        }
    }
}

/// Whether an upstream is asked now: it is failing or was never met, and no event has tried it
/// of late.
fn is_asked(worker: &Worker, rules: &Rules, upstream: Upstream) -> bool {
    let now = worker.millis(Instant::now());
    let wants =
        |target: &Target, met: bool| (is_failing(target) || !met) && is_quiet(rules, target, now);
    if let Upstream::Mirror(_) = upstream {
        let target = rules.target(upstream);
        return wants(target, target.is_met());
    }
    if worker.shared.maintenance.is_on() {
        return false;
    }
    let one = are_one(rules);
    let met = |target: &Target| target.is_met() || one && is_one_met(rules);
    let wants = |target: &Target| wants(target, met(target));
    // Where both are one, events are the better question.
    let by_other = upstream == Upstream::Web && one && wants(&rules.ingest);
    !by_other && wants(rules.target(upstream))
}

fn is_failing(target: &Target) -> bool {
    target.is_failing() || target.breaker.state() != State::Closed
}

fn is_quiet(rules: &Rules, target: &Target, now: Millis) -> bool {
    let interval = rules.config.upstream.probe_interval.as_millis();
    let interval_ms = u64::try_from(interval).unwrap_or(u64::MAX);
    target.evidence.is_quiet(now, interval_ms)
}

fn are_one(rules: &Rules) -> bool {
    rules.ingest.servers == rules.web.servers
}

fn is_one_met(rules: &Rules) -> bool {
    rules.ingest.is_met() || rules.web.is_met()
}

async fn ask(worker: &Rc<Worker>, rules: &InForce, metrics: &Metrics, upstream: Upstream) {
    let target = rules.target(upstream);
    // Nobody else holds web's breaker to anything: only whether it can be reached is asked.
    let pass = match upstream {
        Upstream::Ingest | Upstream::Mirror(_) => {
            Some(target.breaker.ask(worker.millis(Instant::now())))
        }
        Upstream::Web => None,
    };
    if pass == Some(Pass::Hold) {
        return;
    }
    let probed = probe(worker, rules, target).await;
    let counter = metrics.control.probes(upstream, probed);
    counter.fetch_add(1, Ordering::Relaxed);
    let outcome = probed.as_str();
    tracing::debug!(
        upstream = upstream.as_str(),
        outcome,
        "asked whether it is back"
    );
    let now = worker.millis(Instant::now());
    if probed == Probed::Ok {
        target.evidence.is_healthy(now);
        if are_one(rules) {
            rules.ingest.trust();
            rules.web.trust();
        }
    }
    if let Some(pass) = pass {
        target.breaker.tell(now, pass, heard(pass, probed));
    }
}

/// What a breaker is told of it. A closed one hears of failures alone: that a health route
/// answers excuses no event that fails.
const fn heard(pass: Pass, probed: Probed) -> Heard {
    match (pass, probed) {
        (Pass::Go(_), Probed::Ok) => Heard::Nothing,
        (_, Probed::Ok) => Heard::Well,
        (_, Probed::Error | Probed::Timeout) => Heard::Ill,
    }
}

/// One question on a connection of its own, and what came of it.
async fn probe(worker: &Rc<Worker>, rules: &InForce, target: &Target) -> Probed {
    let interval = rules.config.upstream.probe_interval;
    let patience = interval.saturating_mul(2).clamp(PATIENCE_MIN, PATIENCE_MAX);
    let pool = worker.pool(target.upstream);
    let Ok(mut lease) = connect(worker, rules, target, patience).await else {
        return Probed::Error;
    };
    let body = Outgoing::whole(VecDeque::new());
    let watch = body.watch();
    lease
        .line
        .load(Box::new(head(target)), body, Named::AsServer);
    let probed = match timeout(patience, lease.line.ask(&watch)).await {
        Ok(Ok(head)) if !is_outage(head.status) => {
            lease.line.address.server.answers();
            Probed::Ok
        }
        Ok(Err(Failure::Refused(fault))) => {
            let address = &lease.line.address;
            address.server.fails(address.socket, fault);
            target.doubt();
            Probed::Error
        }
        Ok(Ok(_) | Err(_)) => Probed::Error,
        Err(_) => Probed::Timeout,
    };
    if probed != Probed::Ok {
        // The next goes to another of its addresses, if there are any.
        pool.spare(&lease.line.address, Instant::now());
    }
    drop(lease);
    // Forgets the connection, whose silence was timed here.
    pool.listen(Duration::ZERO, rules);
    probed
}

fn head(target: &Target) -> Parts {
    const AGENT: &str = concat!("vidette/", env!("CARGO_PKG_VERSION"), " (probe)");
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_static(path(target.upstream));
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    request.into_parts().0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::breaker::Breaker;

    #[test]
    fn health_closes_a_breaker_that_is_open_and_excuses_nothing_of_one_that_is_closed() {
        let breaker = Breaker::new(1000);
        let tell = |now, probed| {
            let pass = breaker.ask(Millis(now));
            breaker.tell(Millis(now), pass, heard(pass, probed));
        };
        for now in [0, 1, 2, 3] {
            tell(now, Probed::Error);
            tell(now, Probed::Ok);
        }
        assert_eq!(breaker.state(), State::Closed);
        tell(4, Probed::Timeout);
        assert_eq!(breaker.state(), State::Open, "five failed in a row");
        for second in 1..=15 {
            assert_ne!(breaker.state(), State::Closed, "after {second} s");
            tell(4 + second * 1000, Probed::Ok);
        }
        assert_eq!(breaker.state(), State::Closed);
    }
}
