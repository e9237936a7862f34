//! How much was lost, by reason. Owns the arithmetic; never what a reason means.

use std::collections::BTreeMap;

use crate::domain::outcome::Reason;

/// So many items, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub items: u64,
    /// How many bytes they have together.
    pub bytes: u64,
}

/// What was lost, by reason: of the reasons that [are a loss](Reason::is_loss), those with any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loss(BTreeMap<Reason, Lost>);

impl Loss {
    /// So much more, if that is a loss.
    pub fn add(&mut self, reason: Reason, items: u64, bytes: u64) {
        if !reason.is_loss() || (items, bytes) == (0, 0) {
            return;
        }
        let lost = self.0.entry(reason).or_default();
        // Strangers announce lengths: a sum may go round, never panic.
        lost.items = lost.items.wrapping_add(items);
        lost.bytes = lost.bytes.wrapping_add(bytes);
    }

    /// What has come since. A sum that went back, which none does, has had nothing.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = Self::default();
        for (reason, lost) in &self.0 {
            let before = earlier.0.get(reason).copied().unwrap_or_default();
            since.add(
                *reason,
                lost.items.saturating_sub(before.items),
                lost.bytes.saturating_sub(before.bytes),
            );
        }
        since
    }

    /// By reason, in the order of their declaration.
    pub fn by_reason(&self) -> impl Iterator<Item = (Reason, Lost)> {
        self.0.iter().map(|(reason, lost)| (*reason, *lost))
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> Lost {
        self.0.values().fold(Lost::default(), |all, more| Lost {
            items: all.items.wrapping_add(more.items),
            bytes: all.bytes.wrapping_add(more.bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_loss_counts_and_differences_are_by_reason() {
        let mut before = Loss::default();
        before.add(Reason::SpoolFull, 2, 20);
        before.add(Reason::Quota, 7, 70);
        before.add(Reason::SpoolPurged, 7, 70);
        let mut after = before.clone();
        after.add(Reason::SpoolFull, 1, 10);
        after.add(Reason::NoUpstream, 4, 0);
        let since = after.since(&before);
        let by_reason: Vec<_> = since.by_reason().collect();
        let lost = |items, bytes| Lost { items, bytes };
        let want = [
            (Reason::NoUpstream, lost(4, 0)),
            (Reason::SpoolFull, lost(1, 10)),
        ];
        assert_eq!(by_reason, want);
        assert_eq!(since.total(), lost(5, 10));
        assert_eq!(before.since(&after), Loss::default());
    }
}
