//! TLS as metrics: handshakes with clients by how they ended, how long certificates hold,
//! and why servers were not reached. Never counts; it only tells what it was given.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use prometheus::proto::{MetricFamily, MetricType};

use crate::domain::handshake::HandshakeFault;
use crate::domain::reach::ReachFault;

use super::counts::Count;
use super::exposition::{counter, family, gauge};
use super::labels::{Handshake, Upstream};
use super::metrics::Metrics;

/// A certificate that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateReading {
    /// Whose it is.
    pub listener: String,
    /// The first name that it is for.
    pub name: String,
    /// Whole days until its end; below zero once that is past.
    pub days_left: i64,
}

/// How often TLS with each upstream failed, by cause.
#[derive(Debug)]
pub struct Reaches(Vec<Count>);

impl Default for Reaches {
    fn default() -> Self {
        let all = 0..Upstream::COUNT * ReachFault::ALL.len();
        Self(all.map(|_| Count::default()).collect())
    }
}

impl Reaches {
    /// The counter of connections on which TLS failed so.
    #[expect(
        clippy::indexing_slicing,
        reason = "sized as the product of the two closed lists"
    )]
    #[must_use]
    pub fn at(&self, upstream: Upstream, fault: ReachFault) -> &Count {
        &self.0[upstream.index() * ReachFault::ALL.len() + fault.index()]
    }
}

/// `vidette_tls_*`, `vidette_acme_*` and `vidette_upstream_tls_*`: of the listeners that are
/// `secured`, and of the upstreams that are `sealed`.
pub(super) fn families(
    metrics: &Metrics,
    certificates: &[CertificateReading],
    secured: &[String],
    sealed: &[Upstream],
) -> Vec<MetricFamily> {
    vec![
        metrics.control.orders.family(),
        family(
            "vidette_upstream_tls_failures_total",
            "Connections to an upstream on which TLS failed, by cause.",
            MetricType::COUNTER,
            reaches(metrics, sealed),
        ),
        family(
            "vidette_tls_handshakes_total",
            "TLS handshakes with clients, by how they ended and why they failed.",
            MetricType::COUNTER,
            handshakes(metrics, secured),
        ),
        family(
            "vidette_tls_certificate_days_left",
            "Whole days until a certificate ends, by the first name that it is for.",
            MetricType::GAUGE,
            days_left(certificates),
        ),
        family(
            "vidette_tls_certificate_reloads_total",
            "Changed certificate files that were taken up, or left the old in force.",
            MetricType::COUNTER,
            vec![
                reloads(
                    metrics.control.certificates_applied.load(Ordering::Relaxed),
                    "applied",
                ),
                reloads(
                    metrics.control.certificates_refused.load(Ordering::Relaxed),
                    "refused",
                ),
            ],
        ),
    ]
}

/// Every cause, of those upstreams alone that are spoken to by TLS.
fn reaches(metrics: &Metrics, sealed: &[Upstream]) -> Vec<prometheus::proto::Metric> {
    let mut counts = Vec::new();
    let upstreams = metrics.upstreams();
    for (upstream, name) in upstreams.filter(|(upstream, _)| sealed.contains(upstream)) {
        for fault in ReachFault::ALL {
            let n = metrics.sum(|worker| worker.reaches.at(upstream, *fault));
            let labels = [("upstream", &*name), ("cause", fault.as_str())];
            counts.push(counter(n, &labels));
        }
    }
    counts
}

fn reloads(n: u64, outcome: &str) -> prometheus::proto::Metric {
    counter(n, &[("outcome", outcome)])
}

/// Every cause, of those listeners alone that speak TLS.
fn handshakes(metrics: &Metrics, secured: &[String]) -> Vec<prometheus::proto::Metric> {
    let mut counts = Vec::new();
    for (place, name) in metrics.listeners.iter().enumerate() {
        if !secured.contains(name) {
            continue;
        }
        let causes = HandshakeFault::ALL.iter().copied().map(Some);
        for fault in std::iter::once(None).chain(causes) {
            let n = metrics.sum(|worker| worker.tls(place, fault));
            let outcome = fault.map_or(Handshake::Ok, Handshake::of);
            let cause = fault.map_or("", HandshakeFault::as_str);
            let labels = [
                ("listener", name.as_str()),
                ("outcome", outcome.as_str()),
                ("cause", cause),
            ];
            counts.push(counter(n, &labels));
        }
    }
    counts
}

/// Of several with one name, the one that ends first.
fn days_left(certificates: &[CertificateReading]) -> Vec<prometheus::proto::Metric> {
    let mut first = BTreeMap::<(&str, &str), i64>::new();
    for one in certificates {
        let days = first.entry((&one.listener, &one.name));
        let days = days.or_insert(one.days_left);
        *days = one.days_left.min(*days);
    }
    let gauges = first.into_iter().map(|((listener, name), days)| {
        gauge(days, &[("listener", listener), ("certificate", name)])
    });
    gauges.collect()
}
