//! The families that tell of clients: how many connections are open, how they began, who
//! their balancer said they are, and where addresses came from. Never counts; it only reads.

use prometheus::proto::{MetricFamily, MetricType};

use crate::domain::client_ip::Source;

use super::exposition::{counter, family, gauge};
use super::labels::{Handshake, ProxyHeader};
use super::metrics::Metrics;

pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let mut open = Vec::new();
    let mut totals = Vec::new();
    let mut headers = Vec::new();
    for (place, name) in metrics.listeners.iter().enumerate() {
        let n = metrics.sum_level(|w| w.open_connections(place));
        open.push(gauge(n, &[("listener", name)]));
        for &outcome in Handshake::ALL {
            let n = metrics.sum(|w| w.handshakes(place, outcome));
            totals.push(counter(
                n,
                &[("listener", name), ("outcome", outcome.as_str())],
            ));
        }
        for &outcome in ProxyHeader::ALL {
            let n = metrics.sum(|w| w.proxy_headers(place, outcome));
            let labels = [("listener", &**name), ("outcome", outcome.as_str())];
            headers.push(counter(n, &labels));
        }
    }
    let sources = Source::ALL.iter().map(|source| {
        let n = metrics.sum(|w| w.client_ip.at(source.index()));
        counter(n, &[("source", source.as_str())])
    });
    vec![
        family(
            "vidette_connections",
            "Client connections open now.",
            MetricType::GAUGE,
            open,
        ),
        family(
            "vidette_connections_total",
            "Client connections, by how they began or failed.",
            MetricType::COUNTER,
            totals,
        ),
        family(
            "vidette_proxy_headers_total",
            "Client connections by what came of their PROXY header.",
            MetricType::COUNTER,
            headers,
        ),
        family(
            "vidette_client_ip_total",
            "Requests by where their client's address came from.",
            MetricType::COUNTER,
            sources.collect(),
        ),
    ]
}
