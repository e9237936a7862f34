//! The sharing of quotas as metrics. Never asks anybody; it only tells what it was given.

use prometheus::proto::{MetricFamily, MetricType};

use super::exposition::{counter, family, gauge};

/// How an edge stands with those that it shares quotas with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SharingState {
    /// Nothing is shared.
    #[default]
    Off,
    /// The servers were never reached.
    New,
    /// It is heard.
    Joined,
    /// It was.
    Away,
}

impl SharingState {
    const ALL: [Self; 4] = [Self::Off, Self::New, Self::Joined, Self::Away];

    /// Its word, everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::New => "new",
            Self::Joined => "joined",
            Self::Away => "away",
        }
    }
}

/// The sharing of quotas, at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct SharingReading {
    /// How it stands.
    pub state: SharingState,
    /// Edges that are there, this one included.
    pub present: u64,
    /// Counters that something is lent for.
    pub counters: usize,
    /// Exchanges with the servers that went well.
    pub exchanges: u64,
    /// And that did not.
    pub failures: u64,
    /// Windows that the servers had lost.
    pub lost_windows: u64,
}

/// `vidette_shared_quota_*`.
pub(super) fn families(sharing: &SharingReading) -> Vec<MetricFamily> {
    let states = SharingState::ALL.iter().map(|state| {
        let is_on = u64::from(*state == sharing.state);
        gauge(is_on, &[("state", state.as_str())])
    });
    let counters = i64::try_from(sharing.counters).unwrap_or(i64::MAX);
    vec![
        family(
            "vidette_shared_quota_state",
            "1 for how quotas are shared with other edges: off as configured, new (never reached), \
             joined, or away (each edge goes on with its part).",
            MetricType::GAUGE,
            states.collect(),
        ),
        family(
            "vidette_shared_quota_edges",
            "Edges that share quotas and are there, this one included, as last heard.",
            MetricType::GAUGE,
            vec![gauge(sharing.present, &[])],
        ),
        family(
            "vidette_shared_quota_leases",
            "Counters of quotas that something is lent to this edge for.",
            MetricType::GAUGE,
            vec![gauge(counters, &[])],
        ),
        family(
            "vidette_shared_quota_exchanges_total",
            "Exchanges with the servers of shared_quota, of many questions each, by outcome: ok or \
             failed.",
            MetricType::COUNTER,
            vec![
                counter(sharing.exchanges, &[("outcome", "ok")]),
                counter(sharing.failures, &[("outcome", "failed")]),
            ],
        ),
        family(
            "vidette_shared_quota_lost_windows_total",
            "Windows of quotas that the servers of shared_quota had lost while this edge reached \
             them, as where they evict keys.",
            MetricType::COUNTER,
            vec![counter(sharing.lost_windows, &[])],
        ),
    ]
}
