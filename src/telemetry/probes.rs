//! `vidette_upstream_probes_total`: how often an upstream that fails was asked whether it
//! is back, or one that was never reached whether it is there. Never asks.

use std::sync::atomic::Ordering;

use prometheus::proto::{MetricFamily, MetricType};

use super::exposition::{counter, family};
use super::labels::Probed;
use super::metrics::Metrics;

pub(super) fn family_of(metrics: &Metrics) -> MetricFamily {
    let all = metrics.upstreams().flat_map(|(upstream, name)| {
        Probed::ALL.iter().map(move |probed| {
            let n = metrics.control.probes(upstream, *probed);
            let labels = [("upstream", &*name), ("outcome", probed.as_str())];
            counter(n.load(Ordering::Relaxed), &labels)
        })
    });
    family(
        "vidette_upstream_probes_total",
        "Questions to an upstream that is failing whether it is back, by how they ended.",
        MetricType::COUNTER,
        all.collect(),
    )
}
