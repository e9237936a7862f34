//! What projects usually send, and what became of the canaries, as metrics. Never decides what is
//! silent or a spike; it only tells what it was given.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use prometheus::proto::{MetricFamily, MetricType};

use crate::domain::category::Category;

use super::exposition::{approximate, counter, family, gauge, ratio};
use super::labels::labels;

/// Projects that are followed, at one moment.
#[derive(Debug, Clone, Default)]
pub struct HabitsReading {
    /// Each by its number, and whether it is silent.
    pub silent: Vec<(u64, bool)>,
    /// What would have been dropped since the start, by project and category, and whether there
    /// is a spike.
    pub spikes: Vec<(u64, Category, u64, bool)>,
}

labels! {
    /// What became of a canary, as far as it was followed.
    Flown {
        /// Sentry has it.
        Stored = "stored",
        /// Sentry answered 200; nobody asked further.
        Forwarded = "forwarded",
        /// It lies in the spool.
        Kept = "kept",
        /// It was dropped here, in silence: a filter, a sample.
        Dropped = "dropped",
        /// It was refused.
        Refused = "refused",
        /// No answer came, or one that no Sentry gives.
        Failed = "failed",
        /// Sentry answered 200 and does not have it.
        NotStored = "not_stored",
        /// Sentry could not be asked whether it has it.
        Unverified = "unverified",
        /// None was sent: it is maintenance.
        Skipped = "skipped",
    }
}

/// What the control thread counts of canaries.
#[derive(Debug, Default)]
pub struct CanaryCounts {
    flown: [AtomicU64; Flown::ALL.len()],
    /// In seconds since the epoch; 0: none has arrived.
    last_success_s: AtomicU64,
    took_ms: AtomicU64,
    missing: AtomicBool,
}

impl CanaryCounts {
    /// One more has ended so.
    pub fn flown(&self, flown: Flown) {
        if let Some(count) = self.flown.get(flown.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One has arrived, in so many milliseconds.
    pub fn arrived(&self, now_s: u64, took_ms: u64) {
        self.last_success_s.store(now_s, Ordering::Relaxed);
        self.took_ms.store(took_ms, Ordering::Relaxed);
    }

    /// Whether one should have arrived and has not.
    pub fn note_missing(&self, missing: bool) {
        self.missing.store(missing, Ordering::Relaxed);
    }
}

/// `vidette_project_silent` and `vidette_spike*`.
pub(super) fn families(reading: &HabitsReading) -> Vec<MetricFamily> {
    let silent = reading.silent.iter().map(|(project, silent)| {
        let project = project.to_string();
        gauge(u64::from(*silent), &[("project", &project)])
    });
    let (mut now, mut dropped) = (Vec::new(), Vec::new());
    for (project, category, would_drop, spike) in &reading.spikes {
        let project = project.to_string();
        let labels = [("project", &*project), ("category", category.name())];
        now.push(gauge(u64::from(*spike), &labels));
        dropped.push(counter(*would_drop, &labels));
    }
    vec![
        family(
            "vidette_project_silent",
            "1 while a project sends nothing that usually does; each project whose habits are \
             known.",
            MetricType::GAUGE,
            silent.collect(),
        ),
        family(
            "vidette_spike",
            "1 while a project sends far more of a category than it usually does; each that ever \
             did since the start.",
            MetricType::GAUGE,
            now,
        ),
        family(
            "vidette_spike_would_drop_items_total",
            "Items that a protection against spikes would have dropped. None was.",
            MetricType::COUNTER,
            dropped,
        ),
    ]
}

/// `vidette_canary_*`.
pub(super) fn canary(counts: &CanaryCounts) -> Vec<MetricFamily> {
    let flown = Flown::ALL.iter().zip(&counts.flown);
    let flown = flown.map(|(outcome, count)| {
        counter(
            count.load(Ordering::Relaxed),
            &[("outcome", outcome.as_str())],
        )
    });
    let took = approximate(counts.took_ms.load(Ordering::Relaxed)) / 1e3;
    vec![
        family(
            "vidette_canary_total",
            "Events of the edge's own that were sent through it, by how far they came.",
            MetricType::COUNTER,
            flown.collect(),
        ),
        family(
            "vidette_canary_last_success_timestamp_seconds",
            "When the last of them arrived; 0: none has.",
            MetricType::GAUGE,
            vec![gauge(counts.last_success_s.load(Ordering::Relaxed), &[])],
        ),
        family(
            "vidette_canary_last_duration_seconds",
            "How long the last of them that arrived took.",
            MetricType::GAUGE,
            vec![ratio(took, &[])],
        ),
        family(
            "vidette_canary_missing",
            "1 where three in a row should have arrived and none has.",
            MetricType::GAUGE,
            vec![gauge(
                u64::from(counts.missing.load(Ordering::Relaxed)),
                &[],
            )],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canaries_appear_by_how_far_they_came_from_the_start() {
        let counts = CanaryCounts::default();
        counts.flown(Flown::Kept);
        counts.arrived(1_790_000_000, 1250);
        counts.note_missing(true);
        let families = canary(&counts);
        let [flown, last, took, missing] = &families[..] else {
            panic!("{} families", families.len());
        };
        assert_eq!(flown.get_metric().len(), Flown::ALL.len());
        let count = |at: usize| flown.get_metric()[at].get_counter().get_value();
        assert_eq!((count(Flown::Kept.index()), count(0)), (1.0, 0.0));
        let value = |family: &MetricFamily| family.get_metric()[0].get_gauge().get_value();
        assert_eq!(value(last), 1_790_000_000.0);
        assert_eq!((value(took), value(missing)), (1.25, 1.0));
    }

    #[test]
    fn silence_and_spikes_appear_by_project() {
        let families = families(&HabitsReading {
            silent: vec![(7, false), (42, true)],
            spikes: vec![(42, Category::Error, 1000, false)],
        });
        let sizes: Vec<usize> = families.iter().map(|it| it.get_metric().len()).collect();
        assert_eq!(sizes, [2, 1, 1]);
        assert_eq!(families[0].get_metric()[1].get_gauge().get_value(), 1.0);
        assert_eq!(families[1].get_metric()[0].get_gauge().get_value(), 0.0);
        assert_eq!(
            families[2].get_metric()[0].get_counter().get_value(),
            1000.0
        );
    }
}
