//! How much of what is wanted a project keeps, and which: what belongs together is kept or left
//! out together, on every edge alike (DESIGN trap 13).

use std::fmt;

use crate::domain::category::{Categories, Category};
use crate::domain::envelope::item::ItemKind;
use crate::domain::envelope::trace::Trace;
use crate::domain::event::Event;
use crate::domain::glob::Glob;
use crate::domain::sampling::{Rate, Rule, Sample};

use super::About;

/// A project's rates, ready to be asked. The default keeps everything.
#[derive(Debug, Default)]
pub struct Rates {
    rules: Vec<Rule>,
    categories: Vec<(Categories, Rate)>,
}

/// Where a project's `sample` says how much is kept of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleKey {
    /// In the rule at this place, counted from 0.
    Rule(usize),
    /// Under the category.
    Category(Categories),
}

/// As an error in it is told: `rules[0]`, `transaction`.
impl fmt::Display for SampleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(place) => write!(f, "rules[{place}]"),
            Self::Category(named) => {
                let mut named = named.iter();
                f.write_str(named.next().map_or("rules", Category::name))
            }
        }
    }
}

/// What is never sampled: each one counts, or tells of others.
const WHOLE: Categories =
    Categories::of(&[Category::Session, Category::Monitor, Category::ClientReport]);

/// What an item is one part of.
enum Whole {
    Trace,
    Replay,
    Profiler,
}

impl Whole {
    const fn of(kind: ItemKind) -> Self {
        if kind.is_replay() {
            Self::Replay
        } else if matches!(kind, ItemKind::ProfileChunk | ItemKind::ProfileChunkUi) {
            Self::Profiler
        } else {
            Self::Trace
        }
    }
}

impl Rates {
    /// The rates as they were written.
    #[must_use]
    pub fn new(written: &Sample) -> Self {
        Self {
            rules: written.rules.clone(),
            categories: written.categories.clone(),
        }
    }

    /// Whether everything is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.categories.is_empty()
    }

    /// Whether items of a category may be sampled at all.
    #[must_use]
    pub fn may(category: Category) -> bool {
        !WHOLE.has(category)
    }

    /// The share that is kept of such items.
    #[must_use]
    pub fn of(&self, kind: ItemKind, about: &About<'_>) -> Rate {
        let decides = self.decides(kind, about);
        decides.map_or(Rate::ALL, |(rate, _)| rate)
    }

    /// The same, and what says so; `None`: nothing does, and all are kept.
    #[must_use]
    pub fn decides(&self, kind: ItemKind, about: &About<'_>) -> Option<(Rate, SampleKey)> {
        let categories = categories(kind);
        if categories.meets(WHOLE) || self.is_empty() {
            return None;
        }
        let mut rules = self.rules.iter().enumerate();
        let rule = rules.find(|(_, rule)| {
            covers(rule, categories)
                && matches(rule.environment.as_ref(), environment(about))
                && matches(rule.release.as_ref(), release(about))
        });
        if let Some((place, rule)) = rule {
            return Some((rule.rate, SampleKey::Rule(place)));
        }
        let mut named = self.categories.iter();
        let (named, rate) = named.find(|(named, _)| named.meets(categories))?;
        Some((*rate, SampleKey::Category(*named)))
    }

    /// Whether the payload of such an item must be read to know which are kept.
    #[must_use]
    pub fn read(&self, kind: ItemKind, trace: &Trace) -> bool {
        let categories = categories(kind);
        if categories.meets(WHOLE) || self.is_empty() || !tells(kind) {
            return false;
        }
        let rules = self.rules.iter().filter(|rule| covers(rule, categories));
        let named = self.categories.iter();
        let named = named.filter(|(named, _)| named.meets(categories));
        let mut rates = rules
            .clone()
            .map(|rule| rule.rate)
            .chain(named.map(|(_, rate)| *rate));
        let unknown = |rule: &Rule| {
            rule.environment.is_some() && trace.environment.is_none()
                || rule.release.is_some() && trace.release.is_none()
        };
        is_nameless(kind, trace) && rates.any(|rate| !rate.is_certain())
            || rules.clone().any(unknown)
    }
}

/// Whether only the payload of such an item can say what it is part of.
pub(super) fn is_nameless(kind: ItemKind, trace: &Trace) -> bool {
    match Whole::of(kind) {
        Whole::Trace => trace.id.is_none() && tells(kind),
        // Its own payload alone says for certain which replay or run it is part of.
        Whole::Replay | Whole::Profiler => tells(kind),
    }
}

/// Whether the payload of such an item says of itself what is asked here: recordings, dumps and
/// containers of many traces are copied and read in vain.
const fn tells(kind: ItemKind) -> bool {
    matches!(
        kind,
        ItemKind::Event
            | ItemKind::Transaction
            | ItemKind::ReplayEvent
            | ItemKind::ProfileChunk
            | ItemKind::ProfileChunkUi
    )
}

/// Whether such an item is among those that a rate keeps.
#[must_use]
pub fn keeps(rate: Rate, kind: ItemKind, about: &About<'_>) -> bool {
    rate.is_certain() && rate.share() > 0.0 || rate.keeps(id(kind, about))
}

/// The id of what an item is part of: two parts of one thing have the same.
fn id(kind: ItemKind, about: &About<'_>) -> u128 {
    found(kind, about).unwrap_or(about.draw)
}

/// Whether nothing tells what an item is part of: then nobody can say whether it is kept.
#[must_use]
pub fn is_by_chance(kind: ItemKind, about: &About<'_>) -> bool {
    found(kind, about).is_none()
}

fn found(kind: ItemKind, about: &About<'_>) -> Option<u128> {
    let About { trace, event, .. } = about;
    match Whole::of(kind) {
        Whole::Trace => trace
            .id
            .or_else(|| event.and_then(Event::trace_id))
            .or(trace.event_id)
            .or_else(|| event.and_then(Event::id)),
        // Browsers name an envelope of a replay by the replay.
        Whole::Replay => event
            .and_then(Event::replay_id)
            .or(trace.replay_id)
            .or(trace.event_id),
        Whole::Profiler => event.and_then(Event::profiler_id),
    }
}

/// The categories by which a rate may name an item.
fn categories(kind: ItemKind) -> Categories {
    kind.categories().with(kind.category())
}

fn covers(rule: &Rule, categories: Categories) -> bool {
    rule.categories.is_empty() || rule.categories.meets(categories)
}

/// Of a trace what its first service says counts for all of it: else each would decide anew.
fn environment<'a>(about: &About<'a>) -> Option<&'a str> {
    let own = || about.event.and_then(Event::environment);
    about.trace.environment.as_deref().or_else(own)
}

fn release<'a>(about: &About<'a>) -> Option<&'a str> {
    let own = || about.event.and_then(Event::release);
    about.trace.release.as_deref().or_else(own)
}

fn matches(pattern: Option<&Glob>, text: Option<&str>) -> bool {
    match (pattern, text) {
        (None, _) => true,
        (Some(pattern), Some(text)) => pattern.matches(text),
        (Some(_), None) => false,
    }
}
