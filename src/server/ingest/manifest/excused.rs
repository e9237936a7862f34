//! How a key that nobody vouches for yet comes to be proven where its like have used up their
//! share of a quota: one small item a minute goes on. Owns which; never how much of a quota all of
//! them get.

use crate::domain::envelope::scan::ItemHeader;
use crate::domain::event::Event;
use crate::domain::outcome::Reason;
use crate::domain::rate_limits::RateLimit;
use crate::policy::inspection::{Fate, Ruling};
use crate::policy::quotas::{Trust, Who};

use super::Manifest;

/// An item that counts for more is not excused: as many accepted keys as the share has items could
/// use up as much again, and no more.
const EXCUSED_ITEMS_MAX: u64 = 1;

/// Neither is one that is longer: errors are shorter, and one long one would leave nothing to
/// others.
const EXCUSED_BYTES_MAX: u64 = 64 * 1024;

impl Manifest {
    /// Its sender while an item is excused.
    pub(super) fn who_is_excused(&self) -> Who {
        Who {
            trust: self.who.trust.excused(),
            ..self.who
        }
    }

    /// Judges an item. `bytes`: what is charged for it, where its length is known.
    pub(super) fn judge(
        &self,
        item: &ItemHeader,
        bytes: Option<u64>,
        event: Option<&Event<'_>>,
    ) -> Ruling {
        let gone = self.event.get();
        let judge = || self.room().judge(item, bytes.unwrap_or(0), gone, event);
        if self.who.trust == Trust::Whole {
            return judge();
        }
        let small = item.count <= EXCUSED_ITEMS_MAX
            && bytes.is_some_and(|bytes| bytes <= EXCUSED_BYTES_MAX);
        self.excused.set(self.excused.get() && small);
        let mut ruling = judge();
        if let Fate::Dropped(reason) = ruling.fate
            && small
            && gone.is_none()
            && self.kept.borrow().is_empty()
            && self.is_excused(reason)
        {
            ruling = judge();
        }
        self.excused.set(false);
        ruling
    }

    /// What refuses it whole before its body is read.
    pub(super) fn judge_head(&self) -> Option<(Reason, RateLimit)> {
        let full = self.room().full()?;
        match self.who.trust != Trust::Whole && self.is_excused(full.0) {
            true => self.room().full(),
            false => Some(full),
        }
    }

    /// Whether its sender is excused now from a share that may be what this reason is about.
    fn is_excused(&self, reason: Reason) -> bool {
        // Rates have room again soon.
        if self.excused.get() || !matches!(reason, Reason::Quota | Reason::Limited) {
            return false;
        }
        let (_, now) = self.at.get();
        let excused = self.worker.shared.verdicts.excuses(now, &self.sender);
        self.excused.set(excused);
        excused
    }
}
