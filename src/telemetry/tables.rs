//! How full the tables of live state are, as metrics. Never counts; it only tells what was
//! noted last.

use prometheus::proto::{MetricFamily, MetricType};

use super::exposition::{counter, family, gauge};
use super::metrics::ControlMetrics;

/// `vidette_table_*`.
pub(super) fn families(control: &ControlMetrics) -> Vec<MetricFamily> {
    let (mut entries, mut most, mut evictions) = (Vec::new(), Vec::new(), Vec::new());
    for now in control.tables() {
        let labels = [("table", now.table.as_str())];
        entries.push(gauge(now.entries, &labels));
        most.push(gauge(now.entries_max, &labels));
        evictions.push(counter(now.evictions, &labels));
    }
    vec![
        family(
            "vidette_table_entries",
            "Entries in the bounded tables of live state.",
            MetricType::GAUGE,
            entries,
        ),
        family(
            "vidette_table_entries_max",
            "What each of these tables may hold.",
            MetricType::GAUGE,
            most,
        ),
        family(
            "vidette_table_evictions_total",
            "Entries that lost, or did not get, their place in a full table.",
            MetricType::COUNTER,
            evictions,
        ),
    ]
}
