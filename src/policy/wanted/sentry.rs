//! Which transactions Sentry's own rules keep (PROTOCOL 7), for a project that says nothing of that
//! here. Owns whose rules are asked: first its own, then those of the project in which the trace
//! began, if that is one of its organization. What is not known for certain is kept: Sentry
//! decides again. So nothing is left out of a project whose own rules are not known.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use foldhash::quality::RandomState;

use crate::domain::credentials::Key;
use crate::domain::envelope::item::ItemKind;
use crate::domain::envelope::trace::Trace;
use crate::domain::event::Event;
use crate::domain::project_state::{
    Facts, Level, SentrySampling, StateSampling, Words, sentry_keeps,
};
use crate::domain::sampling::Rate;

use super::About;

/// The rules on traces, by the key under which their first service sends.
#[derive(Debug, Default)]
pub struct Roots(HashMap<[u8; 16], Root, RandomState>);

#[derive(Debug)]
struct Root {
    organization: u64,
    rules: Arc<SentrySampling>,
}

impl Roots {
    /// From what each key's project says, with its organization; those of which nothing is on a
    /// trace are passed over. Of one key the last that says anything counts.
    pub fn new(of_keys: impl Iterator<Item = (Key, u64, StateSampling)>) -> Self {
        let mut roots = HashMap::<[u8; 16], Root, RandomState>::default();
        for (key, organization, said) in of_keys {
            match said {
                StateSampling::Certain(rules) if rules.has(Level::Trace) => {
                    let root = Root {
                        organization,
                        rules,
                    };
                    roots.insert(key.packed(), root);
                }
                StateSampling::Certain(_) | StateSampling::Silent => {}
                StateSampling::Uncertain => drop(roots.remove(&key.packed())),
            }
        }
        Self(roots)
    }
}

/// What Sentry's rules are for one project. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SentryRules {
    /// Those on its own transactions.
    own: Option<Arc<SentrySampling>>,
    organization: Option<u64>,
    roots: Arc<Roots>,
}

impl SentryRules {
    /// The rules for a project of this organization that says so much. `None`: there are none that
    /// could leave anything out.
    #[must_use]
    pub fn new(
        said: &StateSampling,
        organization: Option<u64>,
        roots: &Arc<Roots>,
    ) -> Option<Self> {
        if *said == StateSampling::Uncertain {
            return None;
        }
        let own = said
            .rules()
            .filter(|rules| rules.has(Level::Transaction))
            .cloned();
        let organization = organization.filter(|_| !roots.0.is_empty());
        (own.is_some() || organization.is_some()).then(|| Self {
            own,
            organization,
            roots: Arc::clone(roots),
        })
    }

    /// Whether the payload of such an item is asked for.
    pub(super) fn read(&self, kind: ItemKind, trace: &Trace) -> bool {
        kind == ItemKind::Transaction
            && (self.own.is_some()
                || self
                    .root(trace)
                    .is_some_and(|rules| rules.reads(Level::Trace)))
    }

    /// The share that is kept of such items, if this one is not of it.
    #[must_use]
    pub fn leaves_out(&self, kind: ItemKind, about: &About<'_>, unix_s: u64) -> Option<Rate> {
        if kind != ItemKind::Transaction {
            return None;
        }
        let (rate, id) = self.decides(about, unix_s)?;
        (!sentry_keeps(rate, id)).then_some(rate)
    }

    /// The share, and the id that decides. `None`: no rule has the last word.
    fn decides(&self, about: &About<'_>, unix_s: u64) -> Option<(Rate, u128)> {
        let About { trace, event, .. } = about;
        let facts = facts(trace, *event);
        let now_ms = i64::try_from(unix_s.saturating_mul(1000)).unwrap_or(i64::MAX);
        // A payload that nobody could read may say anything.
        let certain = |rules: &SentrySampling, level| event.is_some() || !rules.reads(level);
        let mut factor = 1.0;
        if let Some(own) = &self.own {
            let level = Level::Transaction;
            if !certain(own, level) {
                return None;
            }
            match own.ask(level, factor, &facts, now_ms) {
                ControlFlow::Break(rate) => {
                    let id = event.and_then(Event::id).or(trace.event_id)?;
                    return Some((rate, id));
                }
                ControlFlow::Continue(with) => factor = with,
            }
        }
        let rules = self.root(trace)?;
        if !certain(rules, Level::Trace) {
            return None;
        }
        match rules.ask(Level::Trace, factor, &facts, now_ms) {
            ControlFlow::Break(rate) => Some((rate, trace.id?)),
            ControlFlow::Continue(_) => None,
        }
    }

    /// The rules of the project in which a trace began.
    fn root(&self, trace: &Trace) -> Option<&SentrySampling> {
        let organization = self.organization?;
        let key = trace.root.as_ref()?.key.as_ref()?;
        let root = self.roots.0.get(&key.packed())?;
        (root.organization == organization).then_some(&*root.rules)
    }
}

fn facts<'a>(trace: &'a Trace, event: Option<&'a Event<'a>>) -> Facts<'a> {
    let root = trace.root.as_ref();
    Facts {
        trace: Words {
            release: trace.release.as_deref(),
            environment: trace.environment.as_deref(),
            transaction: root.and_then(|root| root.transaction.as_deref()),
        },
        event: Words {
            release: event.and_then(Event::release),
            environment: event.and_then(Event::environment),
            transaction: event.and_then(Event::transaction),
        },
    }
}

#[cfg(test)]
mod tests;
