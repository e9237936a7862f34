//! What is switched on for a while, as requests meet it: by operators, for a project, and by
//! the disk guard, for all. Almost always nothing at all. Immutable: every change builds another.
//! Owns what is muted and for how long; never learns who switched it on.
//!
//! **What a mute tells.** One that lets nothing through tells its senders to hold back
//! until it is over. One that keeps a share asks for a second only: a sender that is
//! silent for minutes would take no part in the share, and what passes would be a share
//! of what is left, not of what there is.

use std::fmt;
use std::sync::Arc;

use crate::domain::category::{Categories, Category};
use crate::domain::endpoint::ProjectId;
use crate::domain::sampling::Rate;
use crate::domain::switch::{Effect, NEVER_SAMPLED, Share, Switch};

use super::disk_guard::Guard;
use super::quotas::{Counters, SwitchedLimit, SwitchedLimits};

/// All that is on.
#[derive(Default)]
pub struct Switches {
    projects: Box<[(ProjectId, Arc<OfProject>)]>,
    /// For everybody else: what the disk guard keeps here.
    everybody: Option<Arc<OfProject>>,
}

impl fmt::Debug for Switches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let projects = self.projects.iter().map(|(project, _)| project);
        f.debug_set().entries(projects).finish()
    }
}

/// What is on for one project.
#[derive(Debug)]
pub struct OfProject {
    mutes: Box<[Mute]>,
    limits: SwitchedLimits,
    samples: Box<[Sampled]>,
    guard: Option<Guard>,
}

#[derive(Debug, Clone, Copy)]
struct Mute {
    category: Option<Category>,
    keep: Option<Share>,
    until_unix_s: u64,
}

/// Something is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampled {
    /// What is; `None`: everything.
    pub category: Option<Category>,
    /// How much is kept of it at most.
    pub rate: Share,
    /// The first second in which it is off again.
    pub until_unix_s: u64,
}

/// Something is muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Muted {
    /// What is; empty: everything.
    pub categories: Categories,
    /// For how long its sender is to hold back: at least 1, and not capped here.
    pub retry_after_s: u64,
    /// The share of requests that pass all the same.
    pub keep: Option<Share>,
    /// The first second in which it is off again.
    pub until_unix_s: u64,
}

impl Switches {
    /// Builds what requests meet. Takes its time: for the control thread.
    #[must_use]
    pub fn compile(switches: &[Switch], guard: Option<Guard>, counters: &Counters) -> Self {
        let mut sorted = switches.to_vec();
        sorted.sort_by_key(|switch| switch.project);
        let projects = sorted.chunk_by(|one, next| one.project == next.project);
        let compiled = projects.filter_map(|switches| {
            let project = switches.first()?.project;
            let of = OfProject::new(project, switches, guard, counters);
            Some((project, Arc::new(of)))
        });
        Self {
            projects: compiled.collect(),
            everybody: guard.map(|guard| Arc::new(OfProject::guarded(guard))),
        }
    }

    /// Whether nothing is on.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.projects.is_empty() && self.everybody.is_none()
    }

    /// What is on for a project: two tests where nothing is on at all.
    #[must_use]
    pub fn of(&self, project: Option<ProjectId>) -> Option<&Arc<OfProject>> {
        if self.projects.is_empty() {
            return self.everybody.as_ref();
        }
        let own = project.and_then(|project| {
            let place = self.projects.binary_search_by_key(&project, |(id, _)| *id);
            self.projects.get(place.ok()?)
        });
        own.map(|(_, switches)| switches)
            .or(self.everybody.as_ref())
    }
}

impl OfProject {
    /// What the disk guard alone keeps here.
    fn guarded(guard: Guard) -> Self {
        Self {
            mutes: Box::default(),
            limits: SwitchedLimits::default(),
            samples: Box::default(),
            guard: Some(guard),
        }
    }

    fn new(
        project: ProjectId,
        switches: &[Switch],
        guard: Option<Guard>,
        counters: &Counters,
    ) -> Self {
        let (mut mutes, mut limits, mut samples) = (Vec::new(), Vec::new(), Vec::new());
        for switch in switches {
            let Switch {
                category,
                effect,
                until_unix_s,
                ..
            } = *switch;
            match effect {
                Effect::Mute { keep } => mutes.push(Mute {
                    category,
                    keep,
                    until_unix_s,
                }),
                Effect::Limit { limit, per } => limits.push(SwitchedLimit {
                    categories: set(category),
                    limit,
                    per,
                    until_unix_s,
                }),
                Effect::Sample { rate } => samples.push(Sampled {
                    category,
                    rate,
                    until_unix_s,
                }),
            }
        }
        Self {
            mutes: mutes.into(),
            limits: SwitchedLimits::compile(project, limits, counters),
            samples: samples.into(),
            guard,
        }
    }

    /// What the disk guard keeps here, if it does.
    #[must_use]
    pub const fn guard(&self) -> Option<&Guard> {
        self.guard.as_ref()
    }

    /// Whether any of them samples items of these categories, be it over or not.
    #[must_use]
    pub fn samples(&self, categories: Categories) -> bool {
        let mut samples = self.samples.iter();
        samples.any(|sample| {
            sample
                .category
                .is_none_or(|category| categories.has(category))
        }) || self.guard.is_some_and(|guard| guard.samples(categories))
    }

    /// The mutes that are on, in words: `all; error but for 1%`.
    #[must_use]
    pub fn mutes_on(&self, unix_s: u64) -> String {
        let on = self.mutes.iter().filter(|mute| mute.until_unix_s > unix_s);
        let words = on.map(|mute| {
            let muted = mute.category.map_or("all", Category::name);
            match mute.keep {
                Some(keep) => format!("{muted} but for {keep}"),
                None => muted.to_owned(),
            }
        });
        words.collect::<Vec<_>>().join("; ")
    }

    /// Whether one of them keeps a share of requests.
    #[must_use]
    pub fn keeps_a_share(&self, unix_s: u64) -> bool {
        let mut mutes = self.mutes.iter();
        mutes.any(|mute| mute.until_unix_s > unix_s && mute.keep.is_some())
    }

    /// The samples that are on, in words: `all at most 50%; error at most 1%`.
    #[must_use]
    pub fn samples_on(&self, unix_s: u64) -> String {
        let words = self.sampled(unix_s).map(|on| {
            let sampled = on.category.map_or("all", Category::name);
            format!("{sampled} at most {}", on.rate)
        });
        words.collect::<Vec<_>>().join("; ")
    }

    /// The limits among them.
    #[must_use]
    pub const fn limits(&self) -> &SwitchedLimits {
        &self.limits
    }

    /// The mute of everything that leaves nothing of a request with this draw.
    #[must_use]
    pub fn mutes_all(&self, unix_s: u64, draw: u32) -> Option<Muted> {
        self.muted(unix_s, draw, |category| category.is_none())
    }

    /// The mute that an item of these categories falls under, in a request with this draw.
    #[must_use]
    pub fn mutes(&self, categories: Categories, unix_s: u64, draw: u32) -> Option<Muted> {
        self.muted(unix_s, draw, |category| {
            category.is_none_or(|category| categories.has(category))
        })
    }

    /// Of several the one that holds back longest.
    fn muted(
        &self,
        unix_s: u64,
        draw: u32,
        covers: impl Fn(Option<Category>) -> bool,
    ) -> Option<Muted> {
        let on = self.mutes.iter().filter(|mute| {
            mute.until_unix_s > unix_s
                && covers(mute.category)
                && !mute.keep.is_some_and(|keep| keep.has(draw))
        });
        let muted = on.map(|mute| Muted {
            categories: set(mute.category),
            retry_after_s: match mute.keep {
                Some(_) => 1,
                None => mute.until_unix_s.saturating_sub(unix_s),
            },
            keep: mute.keep,
            until_unix_s: mute.until_unix_s,
        });
        muted.max_by_key(|muted| muted.retry_after_s)
    }

    /// Whether an item may be judged by any of them, be it over or not; limits aside, which
    /// count with the quotas.
    #[must_use]
    pub const fn judges_any(&self) -> bool {
        !self.mutes.is_empty() || !self.samples.is_empty() || self.guard.is_some()
    }

    /// What caps the share that is kept of items of these categories; `None`: nothing is
    /// switched on for them. A switch on a category beats one on everything; of several on
    /// categories the lowest stands. What has no category, or counts wrongly in parts, is never
    /// sampled.
    #[must_use]
    pub fn sample(&self, categories: Categories, unix_s: u64) -> Option<Sampled> {
        if categories.is_empty() || categories.meets(NEVER_SAMPLED) {
            return None;
        }
        let of_category = self.sampled(unix_s).filter(|sample| {
            let category = sample.category;
            category.is_some_and(|category| categories.has(category))
        });
        let lowest = of_category.min_by_key(|sample| sample.rate);
        let on_all = || {
            let mut on = self.sampled(unix_s);
            on.find(|sample| sample.category.is_none())
        };
        lowest.or_else(on_all)
    }

    fn sampled(&self, unix_s: u64) -> impl Iterator<Item = Sampled> {
        let samples = self.samples.iter().copied();
        samples.filter(move |sample| sample.until_unix_s > unix_s)
    }
}

impl Sampled {
    /// How much is kept at most, as rates have it.
    #[must_use]
    pub fn rate(self) -> Rate {
        Rate::of(self.rate.ratio()).unwrap_or(Rate::ALL)
    }
}

fn set(category: Option<Category>) -> Categories {
    category.map_or(Categories::EMPTY, |category| Categories::of(&[category]))
}

#[cfg(test)]
mod tests;
