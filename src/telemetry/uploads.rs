//! Uploads as metrics: how many are under way, and what those who upload are told before. Never
//! counts; it only reads.

use prometheus::proto::{MetricFamily, MetricType};

use super::exposition::{counter, family, gauge};
use super::labels::labels;
use super::metrics::Metrics;

labels! {
    /// What became of an answer to who asked how to upload.
    Settings {
        /// It was made to fit.
        Changed = "changed",
        /// It did fit.
        Fits = "fits",
        /// It passed as it was: in a coding that was not asked for.
        Encoded = "encoded",
        /// It passed as it was: longer than any such answer.
        TooLong = "too_long",
        /// It passed as it was: it is something else.
        Unreadable = "unreadable",
    }
}

pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let settings = Settings::ALL.iter().map(|outcome| {
        let n = metrics.sum(|w| w.settings.at(outcome.index()));
        counter(n, &[("outcome", outcome.as_str())])
    });
    vec![
        family(
            "vidette_uploads_active",
            "Uploads under way: begun, and not answered whole.",
            MetricType::GAUGE,
            vec![gauge(metrics.sum_level(|w| &w.uploads), &[])],
        ),
        family(
            "vidette_uploads_active_bytes",
            "What has come of the uploads under way.",
            MetricType::GAUGE,
            vec![gauge(metrics.sum_level(|w| &w.upload_bytes), &[])],
        ),
        family(
            "vidette_upload_settings_total",
            "Answers to who asked how to upload, where they are made to fit (uploads).",
            MetricType::COUNTER,
            settings.collect(),
        ),
    ]
}
