//! What the disk guard keeps here. Owns that it is asked last, and that nothing is charged for
//! what it keeps; which items those are, `disk_guard` says.

use crate::domain::envelope::item::ItemKind;
use crate::domain::event::Event;
use crate::domain::outcome::Reason;
use crate::domain::rate_limits::{RateLimit, Scope};
use crate::policy::quotas::{Granted, Load};
use crate::policy::wanted::keeps;

use super::{Room, told};

impl Room<'_> {
    /// Charges what the disk guard lets through.
    ///
    /// Its refusal comes behind those of quotas, as they are asked before: whoever is over one
    /// hears of that.
    #[inline]
    pub(super) fn take_guarded(
        &self,
        load: &Load,
        kind: ItemKind,
        event: Option<&Event<'_>>,
    ) -> Result<Granted, (Reason, RateLimit)> {
        // Almost always nothing is switched on: that is one test for each item.
        if self.switches.is_none() {
            return self.take(load);
        }
        let Some(kept_here) = self.guarded(kind, event) else {
            return self.take(load);
        };
        let full = self.quotas.look(self.at, load, self.counters);
        Err(full.map_or(kept_here, |full| (full.reason, told(full))))
    }

    /// What such an item's sender is told, where the disk guard keeps it here.
    fn guarded(&self, kind: ItemKind, event: Option<&Event<'_>>) -> Option<(Reason, RateLimit)> {
        let guard = self.switches?.guard()?;
        let rate = guard.rate(kind)?;
        if keeps(rate, kind, &self.about(event)) {
            return None;
        }
        let told = guard.told(kind);
        let limit = RateLimit {
            retry_after_s: told.retry_after_s,
            categories: told.categories,
            scope: Scope::Global,
            reason: Some(Box::from(Reason::DiskGuard.as_str())),
        };
        Some((Reason::DiskGuard, limit))
    }
}
