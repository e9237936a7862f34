//! What is kept of web's answers as metrics: how requests for it were served, and what it takes.
//! Never keeps any.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::proto::{MetricFamily, MetricType};

use super::exposition::{counter, family, gauge};
use super::labels::labels;
use super::metrics::Metrics;

labels! {
    /// How a request for what may be kept was served.
    Served {
        /// By what is here, which is fresh.
        Hit = "hit",
        /// By what is here, which the upstream has just confirmed.
        Revalidated = "revalidated",
        /// By what is here, though it is stale.
        Stale = "stale",
        /// By the upstream.
        Miss = "miss",
    }
}

impl Served {
    /// The same in an answer's `Cache-Status` (RFC 9211).
    #[must_use]
    pub const fn cache_status(self) -> &'static str {
        match self {
            Self::Hit => "vidette; hit",
            Self::Revalidated => "vidette; fwd=stale; fwd-status=304",
            Self::Stale => "vidette; hit; detail=stale",
            Self::Miss => "vidette; fwd=miss; stored",
        }
    }
}

/// What is kept now, as somebody last looked.
#[derive(Debug, Default)]
pub struct Kept {
    entries: AtomicU64,
    bytes: AtomicU64,
}

impl Kept {
    /// Notes what there is.
    pub fn note(&self, (entries, bytes): (usize, u64)) {
        let entries = u64::try_from(entries).unwrap_or(u64::MAX);
        self.entries.store(entries, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}

pub(super) fn families(metrics: &Metrics) -> Vec<MetricFamily> {
    let served = Served::ALL.iter().map(|outcome| {
        let n = metrics.sum(|w| w.cache.at(outcome.index()));
        counter(n, &[("outcome", outcome.as_str())])
    });
    let kept = &metrics.control.cache;
    let now = |n: &AtomicU64| vec![gauge(n.load(Ordering::Relaxed), &[])];
    vec![
        family(
            "vidette_cache_requests_total",
            "Requests for answers of web that may be kept (cache), by how they were served.",
            MetricType::COUNTER,
            served.collect(),
        ),
        family(
            "vidette_cache_entries",
            "Answers of web that are kept.",
            MetricType::GAUGE,
            now(&kept.entries),
        ),
        family(
            "vidette_cache_bytes",
            "What they take.",
            MetricType::GAUGE,
            now(&kept.bytes),
        ),
    ]
}
