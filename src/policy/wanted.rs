//! Is it wanted? What each project filters, how much of the rest it keeps, and how many of what
//! repeats.
//!
//! Owns the rule that what a project says of its own replaces the default of the same key whole. Never counts and never limits: what is dropped here, its sender never hears of.

mod filters;
mod rates;
mod sentry;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;

use crate::domain::endpoint::ProjectId;
use crate::domain::envelope::item::ItemKind;
use crate::domain::envelope::trace::Trace;
use crate::domain::event::Event;
use crate::domain::filter;
use crate::domain::repeat::Repeat;
use crate::domain::sampling::Sample;

use super::switches::OfProject;

pub use filters::{Filters, Hit};
pub use rates::{Rates, SampleKey, is_by_chance, keeps};
pub use sentry::{Roots, SentryRules};

/// What one project wants.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// What it does not want at all.
    pub filters: Arc<Filters>,
    /// How much it wants of the rest.
    pub rates: Arc<Rates>,
    /// How many it wants of what repeats; `None`: all.
    pub repeats: Option<Repeat>,
    /// What Sentry's own rules keep of it, if there are any.
    pub sentry: Option<SentryRules>,
}

impl Wishes {
    /// Whether it wants whatever comes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
            && self.rates.is_empty()
            && self.repeats.is_none()
            && self.sentry.is_none()
    }

    /// Whether the payload of such an item is asked for, its trace being known.
    #[must_use]
    pub fn read(&self, kind: ItemKind, trace: &Trace) -> bool {
        let counts = self.repeats.is_some() && kind == ItemKind::Event;
        let sentrys = self.sentry.as_ref();
        counts
            || self.filters.read(kind)
            || self.rates.read(kind, trace)
            || sentrys.is_some_and(|rules| rules.read(kind, trace))
    }
}

/// Who asks what payloads say.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// What is wanted.
    pub wishes: &'a Wishes,
    /// What is switched on for the project, if anything is.
    pub switches: Option<&'a OfProject>,
    /// What line one has said.
    pub trace: &'a Trace,
}

impl Asking<'_> {
    /// Whether the payload of such an item is asked for.
    #[must_use]
    pub fn read(&self, kind: ItemKind) -> bool {
        let switched = self
            .switches
            .is_some_and(|of| of.samples(kind.categories()));
        switched && rates::is_nameless(kind, self.trace)
            || !self.wishes.is_empty() && self.wishes.read(kind, self.trace)
    }
}

/// What is known of an item beside its header.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// What line one tells.
    pub trace: &'a Trace,
    /// What its payload tells, where that was read.
    pub event: Option<&'a Event<'a>>,
    /// Stands for an id where there is none: anything even.
    pub draw: u128,
}

/// What every project wants. Immutable; a reload builds another.
#[derive(Debug, Default)]
pub struct Wanted {
    default: Wishes,
    own: HashMap<ProjectId, Wishes, RandomState>,
}

/// What a project says of its own; `None` follows the default.
#[derive(Debug)]
pub struct Own<'a> {
    /// Whose it is.
    pub project: ProjectId,
    /// Its filters.
    pub filters: Option<&'a filter::Filters>,
    /// Its rates.
    pub sample: Option<&'a Sample>,
    /// How many it wants of what repeats.
    pub repeats: Option<Option<Repeat>>,
    /// What Sentry's own rules keep of it.
    pub sentry: Option<SentryRules>,
}

impl Own<'_> {
    const fn says_nothing(&self) -> bool {
        self.filters.is_none()
            && self.sample.is_none()
            && self.repeats.is_none()
            && self.sentry.is_none()
    }
}

impl Wanted {
    /// What follows from the defaults and from what projects say of their own.
    #[must_use]
    pub fn new<'a>(
        filters: &filter::Filters,
        sample: &Sample,
        repeats: Option<Repeat>,
        own: impl IntoIterator<Item = Own<'a>>,
    ) -> Self {
        let default = Wishes {
            filters: Arc::new(Filters::new(filters)),
            rates: Arc::new(Rates::new(sample)),
            repeats,
            sentry: None,
        };
        let own = own.into_iter().filter_map(|own| {
            if own.says_nothing() {
                return None;
            }
            let filters = own.filters.map(|filters| Arc::new(Filters::new(filters)));
            let rates = own.sample.map(|sample| Arc::new(Rates::new(sample)));
            let wishes = Wishes {
                filters: filters.unwrap_or_else(|| Arc::clone(&default.filters)),
                rates: rates.unwrap_or_else(|| Arc::clone(&default.rates)),
                repeats: own.repeats.unwrap_or(default.repeats),
                sentry: own.sentry,
            };
            Some((own.project, wishes))
        });
        let own = own.collect();
        Self { default, own }
    }

    /// What counts for a project; one that says nothing of its own follows the default.
    #[must_use]
    pub fn of(&self, project: Option<ProjectId>) -> &Wishes {
        if self.own.is_empty() {
            return &self.default;
        }
        project
            .and_then(|project| self.own.get(&project))
            .unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests;
