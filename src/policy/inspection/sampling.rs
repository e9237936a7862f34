//! How much is kept of items, by what is configured and by what is switched on together. Owns
//! the rule that a switch only ever lowers a share; which are kept within it, `wanted` says.

use crate::domain::envelope::item::ItemKind;
use crate::domain::event::Event;
use crate::domain::sampling::Rate;
use crate::policy::switches::Sampled;
use crate::policy::wanted::{About, SampleKey, is_by_chance, keeps};

use super::{Room, first_of_all};

/// What leaves out a share of items.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// A switch, where it keeps less than is configured.
    Switched(Sampled),
    /// What is configured, and where.
    Configured(Rate, SampleKey),
    /// Sentry's own rules.
    Sentrys(Rate),
}

impl Room<'_> {
    /// Whether an item is among those that are kept. What is switched on never keeps more than is
    /// configured: whoever sheds load gets less, and by the same ids.
    pub(super) fn samples_in(&self, kind: ItemKind, event: Option<&Event<'_>>) -> bool {
        let rates = &self.wishes.rates;
        let switched = self.sampled(kind);
        if switched.is_none() && rates.is_empty() {
            return true;
        }
        let about = self.about(event);
        let configured = rates.of(kind, &about);
        let rate = switched.map_or(configured, |on| configured.lower(on.rate()));
        keeps(rate, kind, &about)
    }

    /// The share that Sentry's own rules keep of such items, if this one is not of it.
    pub(super) fn left_out_by_sentry(
        &self,
        kind: ItemKind,
        event: Option<&Event<'_>>,
    ) -> Option<Rate> {
        let rules = self.wishes.sentry.as_ref()?;
        rules.leaves_out(kind, &self.about(event), self.at.unix_s)
    }

    /// What is switched on that caps the share of such items.
    fn sampled(&self, kind: ItemKind) -> Option<Sampled> {
        let categories = first_of_all(kind).categories();
        self.switches?.sample(categories, self.at.unix_s)
    }

    /// What leaves out most of such items; `None`: all of them are kept. Sentry's rules are named
    /// where they leave out this one.
    #[must_use]
    pub fn sampling(&self, kind: ItemKind, event: Option<&Event<'_>>) -> Option<Sampling> {
        if let Some(rate) = self.left_out_by_sentry(kind, event) {
            return Some(Sampling::Sentrys(rate));
        }
        let configured = self.wishes.rates.decides(kind, &self.about(event));
        let rate = configured.map_or(Rate::ALL, |(rate, _)| rate);
        match self.sampled(kind) {
            Some(on) if on.rate() < rate => Some(Sampling::Switched(on)),
            Some(_) | None => configured.map(|(rate, key)| Sampling::Configured(rate, key)),
        }
    }

    /// Whether it cannot be told which of such items are kept: nothing says what this one is part
    /// of.
    #[must_use]
    pub fn is_by_chance(&self, kind: ItemKind, event: Option<&Event<'_>>) -> bool {
        is_by_chance(kind, &self.about(event))
    }

    pub(super) fn about<'e>(&'e self, event: Option<&'e Event<'e>>) -> About<'e> {
        About {
            trace: self.trace,
            event,
            draw: self.draw,
        }
    }
}
