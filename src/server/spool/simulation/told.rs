//! What a history came to, in a sentence.

use std::fmt;

/// What a history came to.
#[derive(Debug, Default, Clone)]
pub(super) struct Told {
    pub(super) steps: u64,
    pub(super) virtual_s: u64,
    pub(super) items: u64,
    pub(super) kills: u64,
    pub(super) power_losses: u64,
    pub(super) stops: u64,
    pub(super) faults: u64,
    pub(super) moods: u64,
    pub(super) kept: u64,
    pub(super) promised: u64,
    pub(super) twice: u64,
    pub(super) expired: u64,
    pub(super) over_quota: u64,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            steps, virtual_s, ..
        } = self;
        write!(
            f,
            "{steps} steps, {virtual_s} s: {} items, {} over a quota, {} promised ({} kept), \
             {} twice and explained, {} expired, none lost; {} moods of the upstream, {} faults \
             of the disk, {} kills, {} losses of power, {} stops",
            self.items,
            self.over_quota,
            self.promised,
            self.kept,
            self.twice,
            self.expired,
            self.moods,
            self.faults,
            self.kills,
            self.power_losses,
            self.stops
        )
    }
}
