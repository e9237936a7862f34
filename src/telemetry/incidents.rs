//! Incidents as metrics: how many of each kind there are, and what became of the messages on
//! them. Never decides what is one.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::proto::{MetricFamily, MetricType};

use crate::domain::incident::Kind;

use super::exposition::{counter, family, gauge};
use super::labels::labels;

labels! {
    /// What became of a message to a webhook.
    Notified {
        /// Its receiver has it.
        Sent = "sent",
        /// An attempt came to nothing, and is made again.
        Failed = "failed",
        /// Its receiver does not want it; it is not sent again.
        Refused = "refused",
        /// It made room for a newer one.
        Dropped = "dropped",
    }
}

/// What the control thread counts of them.
#[derive(Debug, Default)]
pub struct IncidentCounts {
    active: [AtomicU64; Kind::COUNT],
    notified: [AtomicU64; Notified::ALL.len()],
}

impl IncidentCounts {
    /// There are these at the moment, and no others.
    pub fn note(&self, active: impl Iterator<Item = Kind>) {
        let mut counts = [0_u64; Kind::COUNT];
        for kind in active {
            if let Some(count) = counts.get_mut(kind.index()) {
                *count += 1;
            }
        }
        for (active, count) in self.active.iter().zip(counts) {
            active.store(count, Ordering::Relaxed);
        }
    }

    /// So many more messages ended so.
    pub fn notified(&self, notified: Notified, messages: u64) {
        if let Some(count) = self.notified.get(notified.index()) {
            count.fetch_add(messages, Ordering::Relaxed);
        }
    }
}

/// `vidette_incidents_active` and `vidette_webhook_messages_total`.
pub(super) fn families(counts: &IncidentCounts) -> Vec<MetricFamily> {
    let active = Kind::ALL.iter().zip(&counts.active);
    let active = active
        .map(|(kind, count)| gauge(count.load(Ordering::Relaxed), &[("kind", kind.as_str())]));
    let notified = Notified::ALL.iter().zip(&counts.notified);
    let notified = notified.map(|(outcome, count)| {
        counter(
            count.load(Ordering::Relaxed),
            &[("outcome", outcome.as_str())],
        )
    });
    vec![
        family(
            "vidette_incidents_active",
            "Incidents that are going on, by what is the matter: those of GET /api/v1/incidents.",
            MetricType::GAUGE,
            active.collect(),
        ),
        family(
            "vidette_webhook_messages_total",
            "Messages to alerts.webhook: sent, failed (an attempt; it is tried again), refused by \
             the receiver, or dropped for newer ones.",
            MetricType::COUNTER,
            notified.collect(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_counted_no_more() {
        let counts = IncidentCounts::default();
        counts.note([Kind::Loss, Kind::Loss, Kind::ClientLoop].into_iter());
        counts.note([Kind::Loss].into_iter());
        let active = &families(&counts)[0];
        let of = |kind: &str| {
            let samples = active.get_metric().iter();
            let mut of_kind = samples.filter(|sample| sample.get_label()[0].value() == kind);
            of_kind.next().unwrap().get_gauge().get_value()
        };
        assert_eq!(active.get_metric().len(), Kind::COUNT);
        assert_eq!((of("loss"), of("client_loop")), (1.0, 0.0));
    }
}
