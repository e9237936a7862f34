//! What is kept, and how the upstreams fare, as metrics. Never counts; it only tells what
//! it was given.

use prometheus::proto::{MetricFamily, MetricType};

use super::exposition::{counter, family, gauge};

/// The spool, at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpoolReading {
    /// Items that are kept.
    pub items: u64,
    /// Their bytes on disk.
    pub bytes: u64,
    /// How many there may be; 0 where nothing is kept.
    pub bytes_max: u64,
    /// How long the oldest has been kept.
    pub oldest_s: u64,
    /// Requests kept since the start.
    pub appended: u64,
    /// Requests sent since the start.
    pub replayed: u64,
    /// Requests given up for their age since the start.
    pub expired: u64,
    /// Requests lost to damage since the start.
    pub damaged: u64,
    /// Requests that may have arrived twice since the start.
    pub duplicates: u64,
    /// Large bodies that were sent without a copy since the start.
    pub unprotected: u64,
}

/// `vidette_spool_*`, `vidette_duplicates_total` and `vidette_breaker_state`, that for each
/// upstream 0 closed, 1 half open, 2 open.
pub(super) fn families(spool: &SpoolReading, breakers: &[(String, u8)]) -> Vec<MetricFamily> {
    let size = |name, help, n: u64| family(name, help, MetricType::GAUGE, vec![gauge(n, &[])]);
    let total = |name, help, n| family(name, help, MetricType::COUNTER, vec![counter(n, &[])]);
    let states = breakers.iter();
    let states = states.map(|(upstream, state)| gauge(*state, &[("upstream", upstream)]));
    vec![
        size(
            "vidette_spool_items",
            "Items that are kept until the upstream takes them.",
            spool.items,
        ),
        size("vidette_spool_bytes", "Bytes of what is kept.", spool.bytes),
        size(
            "vidette_spool_bytes_max",
            "Bytes that may be kept (spool.max_bytes); 0 where nothing is.",
            spool.bytes_max,
        ),
        size(
            "vidette_spool_oldest_seconds",
            "How long the oldest of what is kept has been.",
            spool.oldest_s,
        ),
        total(
            "vidette_spool_appended_total",
            "Requests that were kept.",
            spool.appended,
        ),
        total(
            "vidette_spool_replayed_total",
            "Kept requests that the upstream took.",
            spool.replayed,
        ),
        total(
            "vidette_spool_expired_total",
            "Kept requests that were given up for their age.",
            spool.expired,
        ),
        total(
            "vidette_spool_damaged_total",
            "Kept requests that were lost to damage on disk.",
            spool.damaged,
        ),
        total(
            "vidette_spool_unprotected_total",
            "Large bodies that were sent without a copy, for want of room for one.",
            spool.unprotected,
        ),
        total(
            "vidette_duplicates_total",
            "Requests that may have arrived twice: the upstream had fallen silent over them.",
            spool.duplicates,
        ),
        family(
            "vidette_breaker_state",
            "Whether an upstream is asked: 0 closed, it is; 1 half open, a few times; 2 open, \
             it is not, but for a probe.",
            MetricType::GAUGE,
            states.collect(),
        ),
    ]
}
