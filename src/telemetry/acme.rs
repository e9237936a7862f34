//! Certificates by ACME as metrics: orders by how they ended. Never orders.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::proto::{MetricFamily, MetricType};

use super::exposition::{counter, family};
use super::labels::Ordered;

/// Orders so far, by how they ended.
#[derive(Debug, Default)]
pub struct Orders([AtomicU64; Ordered::ALL.len()]);

impl Orders {
    /// Counts an order that ended so.
    pub fn count(&self, ended: Ordered) {
        if let Some(count) = self.0.get(ended.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// `vidette_acme_orders_total`.
    pub(super) fn family(&self) -> MetricFamily {
        let counts = Ordered::ALL.iter().zip(&self.0);
        let counts = counts.map(|(ended, count)| {
            counter(
                count.load(Ordering::Relaxed),
                &[("outcome", ended.as_str())],
            )
        });
        family(
            "vidette_acme_orders_total",
            "Certificates that were ordered by ACME, by how the order ended.",
            MetricType::COUNTER,
            counts.collect(),
        )
    }
}
