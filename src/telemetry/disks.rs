//! The disk guard as metrics. Never looks at a disk; it only tells what it was given.

use prometheus::proto::{MetricFamily, MetricType};

use super::exposition::{family, gauge, ratio};

/// The disk guard, at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct GuardReading {
    /// How far it goes, from 0 to 3.
    pub stage: u8,
    /// The use of the fullest disk, from 0 to 1.
    pub used_ratio: f64,
    /// Guarded disks that cannot be looked at.
    pub unseen: usize,
}

/// `vidette_disk_guard_*`. No disk has a label: paths are none.
pub(super) fn families(guard: &GuardReading) -> Vec<MetricFamily> {
    vec![
        family(
            "vidette_disk_guard_stage",
            "What stays here for a nearly full disk: 0 nothing, 1 what is large, 2 what is \
             many, 3 most errors too.",
            MetricType::GAUGE,
            vec![gauge(guard.stage, &[])],
        ),
        family(
            "vidette_disk_guard_used_ratio",
            "The use of the fullest guarded disk, by bytes or inodes; 0 where none is guarded.",
            MetricType::GAUGE,
            vec![ratio(guard.used_ratio, &[])],
        ),
        family(
            "vidette_disk_guard_unseen_disks",
            "Guarded disks that cannot be looked at, and hold nothing back.",
            MetricType::GAUGE,
            vec![gauge(i64::try_from(guard.unseen).unwrap_or(i64::MAX), &[])],
        ),
    ]
}
