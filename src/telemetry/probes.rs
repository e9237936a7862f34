//! `vidette_upstream_probes_total`: how often an upstream that fails was asked whether it
//! is back. Never asks.

use std::sync::atomic::Ordering;

use prometheus::proto::{MetricFamily, MetricType};

use super::exposition::{counter, family};
use super::labels::{Probed, Upstream};
use super::metrics::ControlMetrics;

pub(super) fn family_of(control: &ControlMetrics) -> MetricFamily {
    let all = Upstream::OWN.iter().flat_map(|upstream| {
        Probed::ALL.iter().map(|probed| {
            let n = control.probes(*upstream, *probed);
            let labels = [
                ("upstream", upstream.as_str()),
                ("outcome", probed.as_str()),
            ];
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
