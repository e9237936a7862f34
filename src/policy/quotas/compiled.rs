//! One quota as requests meet it: with its arithmetic and with its counter, or the
//! way to it. Owns where a sender's count is; never which quotas a sender has.

mod parted;

use std::sync::Arc;

use crate::domain::category::Categories;
use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;
use crate::domain::quota::{By, Limit, Quota};

use super::counter::{Counter, Due};
use super::counters::Counters;
use super::identity::{Identity, Named, Owner, Whom, number};
use super::ips::Spot;
use super::journal::Unreserved;
use super::measure::Measure;
use super::{Full, Granted, Load, Moment, Scope, Trust, Who};

/// Where a quota's count for a sender is.
#[derive(Debug)]
pub(super) enum Kept {
    /// One for all.
    Here(Arc<Counter>),
    /// In the table, by project.
    PerProject,
    /// In the table, by key.
    PerKey,
    /// By address.
    PerIp,
}

/// One quota.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) named: Arc<Named>,
    pub(super) name: Arc<str>,
    categories: Categories,
    limit: Limit,
    pub(super) measure: Measure,
    pub(super) kept: Kept,
    /// Answers for all who find no place.
    rest: Option<Arc<Counter>>,
    /// What those may use of it for whom nobody vouches; `None`: theirs is theirs already.
    strangers: Option<Measure>,
    scope: Scope,
}

impl Compiled {
    pub(super) fn new(
        owner: Owner,
        quota: &Quota,
        follower: Option<ProjectId>,
        counters: &Counters,
    ) -> Self {
        let named = counters.named(Identity {
            owner,
            name: quota.name.clone(),
            per: quota.per,
            by: quota.by,
            bytes: matches!(quota.limit, Limit::Bytes(_)),
        });
        let here = |whom| Kept::Here(counters.pinned(&named, whom));
        let kept = match (owner, quota.by) {
            (_, By::Ip) => Kept::PerIp,
            (Owner::Key(_), By::Project | By::Key)
            | (
                Owner::Global
                | Owner::Project(_)
                | Owner::Switch(_)
                | Owner::Sentry(_)
                | Owner::Organization(_),
                By::Project,
            ) => here(Whom::All),
            (Owner::Defaults, By::Project) => match follower {
                Some(_) => here(Whom::Project(follower)),
                None => Kept::PerProject,
            },
            (
                Owner::Global
                | Owner::Defaults
                | Owner::Project(_)
                | Owner::Switch(_)
                | Owner::Sentry(_)
                | Owner::Organization(_),
                By::Key,
            ) => Kept::PerKey,
        };
        let rest = match kept {
            Kept::Here(_) => None,
            Kept::PerProject | Kept::PerKey | Kept::PerIp => {
                Some(counters.pinned(&named, Whom::Rest(None)))
            }
        };
        let shared = quota.by == By::Project && !matches!(owner, Owner::Key(_));
        let strangers = shared.then(|| Measure::twentieth(quota));
        let scope = match (owner, quota.by) {
            (_, By::Ip) => Scope::Ip,
            (Owner::Key(_), _) | (_, By::Key) => Scope::Key,
            (Owner::Global, By::Project) => Scope::Global,
            (Owner::Organization(_), By::Project) => Scope::Organization,
            (
                Owner::Defaults | Owner::Project(_) | Owner::Switch(_) | Owner::Sentry(_),
                By::Project,
            ) => Scope::Project,
        };
        let compiled = Self {
            // The sender is told that somebody switched it on; the count has a name of its own.
            name: match matches!(owner, Owner::Switch(_)) {
                true => Arc::from(Reason::Limited.as_str()),
                false => Arc::from(&*quota.name),
            },
            categories: quota.categories,
            limit: quota.limit,
            measure: Measure::new(quota),
            named,
            kept,
            rest,
            strangers,
            scope,
        };
        if let Measure::Window { limit, .. } = compiled.measure {
            compiled.named.set_limit(limit);
        }
        compiled.want(counters);
        compiled
    }

    /// How much of a load counts here; `None`: it is of other categories.
    pub(super) fn amount(&self, load: &Load) -> Option<u64> {
        let applies = self.is_on_all() || self.categories.meets(load.categories);
        applies.then_some(match self.limit {
            Limit::Items(_) => load.items,
            Limit::Bytes(_) => load.bytes,
        })
    }

    pub(super) const fn is_on_all(&self) -> bool {
        self.categories.is_empty()
    }

    /// Whom a counter in the table is for.
    fn whom(&self, sender: &Who) -> Whom {
        match self.kept {
            Kept::Here(_) => Whom::All,
            Kept::PerProject => Whom::Project(sender.project),
            Kept::PerKey => Whom::Key(sender.key),
            // Addresses that find no place spill over within their project.
            Kept::PerIp => Whom::Rest(self.follower(sender)),
        }
    }

    /// The project, where one quota counts for each.
    fn follower(&self, sender: &Who) -> Option<ProjectId> {
        let shared = matches!(self.named.identity.owner, Owner::Defaults);
        sender.project.filter(|_| shared)
    }

    fn spot(&self, sender: &Who, counters: &Counters) -> Spot {
        let project = number(self.follower(sender));
        counters.ips.spot(self.named.number, project, sender.ip)
    }

    /// What a sender shares with others for whom nobody vouches, and as which counter; `None`:
    /// somebody does, or nobody has to.
    #[inline]
    fn share(&self, sender: &Who) -> Option<(Measure, Whom)> {
        match sender.trust {
            Trust::Whole => None,
            Trust::NewProject
            | Trust::ExcusedNewProject
            | Trust::Stranger
            | Trust::ExcusedStranger => self.share_of_strangers(sender),
        }
    }

    /// Who is excused has a window's count go on to twice as much. Rates have room again before
    /// anybody is forgotten.
    #[cold]
    fn share_of_strangers(&self, sender: &Who) -> Option<(Measure, Whom)> {
        let owner = self.named.identity.owner;
        let global = matches!(owner, Owner::Global | Owner::Organization(_));
        let (applies, excused) = match sender.trust {
            Trust::Whole => (false, false),
            Trust::NewProject => (global, false),
            Trust::ExcusedNewProject => (global, true),
            Trust::Stranger => (true, false),
            Trust::ExcusedStranger => (true, true),
        };
        let measure = match self.strangers.filter(|_| applies)? {
            Measure::Window { per, limit } if excused => Measure::Window {
                per,
                limit: limit.saturating_mul(2),
            },
            measure @ (Measure::Window { .. } | Measure::Rate(_)) => measure,
        };
        Some((measure, Whom::Strangers(self.follower(sender))))
    }

    fn look_at_share(
        &self,
        at: Moment,
        sender: &Who,
        amount: u64,
        counters: &Counters,
    ) -> Result<(), Full> {
        let Some((measure, whom)) = self.share(sender) else {
            return Ok(());
        };
        let charged = counters.look(&self.named, whom, |counter| {
            measure.charged(counter.map_or(0, Counter::word), at, amount)
        });
        let charged = charged.unwrap_or(Err(1));
        charged.map(drop).map_err(|after_s| self.full(after_s))
    }

    /// Charges the share. It is never given back: that is for those who are known.
    fn charge_share(
        &self,
        at: Moment,
        sender: &Who,
        amount: u64,
        counters: &Counters,
    ) -> Result<(), Full> {
        let Some((measure, whom)) = self.share(sender) else {
            return Ok(());
        };
        let none = || Err(1);
        let charged = counters.with(at, (&self.named, whom), none, |counter| {
            counter.charge(&measure, at, amount)
        });
        charged.map(drop).map_err(|after_s| self.full(after_s))
    }

    /// Whether there is room. Changes nothing.
    pub(super) fn look(
        &self,
        at: Moment,
        sender: &Who,
        amount: u64,
        counters: &Counters,
    ) -> Result<(), Full> {
        self.look_at_share(at, sender, amount, counters)?;
        let charged = |counter: Option<&Counter>| {
            let word = counter.map_or(0, Counter::word);
            if counters.is_sole() {
                return self.measure.charged(word, at, amount);
            }
            self.charged_part(at, counter, amount, counters)
        };
        let tabled = || match (self.whom(sender), &self.rest) {
            (Whom::Rest(None), Some(rest)) => charged(Some(rest)),
            (whom, rest) => {
                let found = counters.look(&self.named, whom, charged);
                found.unwrap_or_else(|| charged(rest.as_deref()))
            }
        };
        let charged = match &self.kept {
            Kept::Here(counter) => charged(Some(counter)),
            Kept::PerProject | Kept::PerKey => tabled(),
            Kept::PerIp => match counters.ips.look(self.spot(sender, counters), at) {
                Some(word) => self.measure.charged(word, at, amount),
                None => tabled(),
            },
        };
        charged.map(drop).map_err(|after_s| self.full(after_s))
    }

    /// Charges, and yields the word that this made, for [`undo`](Self::undo).
    pub(super) fn charge(
        &self,
        at: Moment,
        sender: &Who,
        amount: u64,
        counters: &Counters,
        granted: &mut Granted,
    ) -> Result<u64, Full> {
        self.charge_share(at, sender, amount, counters)?;
        let charge = |counter: &Arc<Counter>| {
            let after = if counters.is_sole() || !self.is_parted() {
                counter.charge(&self.measure, at, amount)?
            } else {
                counters.charge_part(self.measure, at, counter, amount)?
            };
            Ok((after, self.due(at, counter, after, counters)))
        };
        let tabled = || match (self.whom(sender), &self.rest) {
            (Whom::Rest(None), Some(rest)) => charge(rest),
            (whom, rest) => {
                let none = || rest.as_ref().map_or(Err(1), charge);
                counters.with(at, (&self.named, whom), none, charge)
            }
        };
        let charged = match &self.kept {
            Kept::Here(counter) => charge(counter),
            Kept::PerProject | Kept::PerKey => tabled(),
            Kept::PerIp => {
                let spot = self.spot(sender, counters);
                match counters.ips.charge(spot, &self.measure, at, amount) {
                    Some(charged) => charged.map(|after| (after, None)),
                    None => tabled(),
                }
            }
        };
        let (after, due) = charged.map_err(|after_s| self.full(after_s))?;
        match due {
            None => {}
            Some((Due::Soon, window)) => granted.ahead.push(window),
            Some((_, window)) => granted.unreserved.push(window),
        }
        Ok(after)
    }

    /// What the journal has to be told, if anything.
    fn due(
        &self,
        at: Moment,
        counter: &Arc<Counter>,
        after: u64,
        counters: &Counters,
    ) -> Option<(Due, Unreserved)> {
        let (Measure::Window { per, limit }, true) = (self.measure, counters.has_journal()) else {
            return None;
        };
        if self.named.identity.by == By::Ip {
            return None;
        }
        let due = counter.due(after, limit / 100);
        let window = per.window(at.unix_s).filter(|_| due != Due::Not)?;
        let unreserved = Unreserved::new(counter, after, limit, window.number);
        Some((due, unreserved))
    }

    /// Takes back what was charged a moment ago.
    pub(super) fn undo(&self, sender: &Who, amount: u64, counters: &Counters, after: u64) {
        self.change(sender, counters, &|word| {
            self.measure.undone(word, after, amount)
        });
    }

    /// Gives back what was charged earlier.
    pub(super) fn give_back(
        &self,
        now: Moment,
        charged: Moment,
        sender: &Who,
        amount: u64,
        counters: &Counters,
    ) {
        self.change(sender, counters, &|word| {
            self.measure.given_back(word, now, charged, amount)
        });
    }

    fn change(&self, sender: &Who, counters: &Counters, change: &dyn Fn(u64) -> Option<u64>) {
        let changed = match &self.kept {
            Kept::Here(counter) => return counter.change(change),
            Kept::PerIp => counters.ips.change(self.spot(sender, counters), change),
            Kept::PerProject | Kept::PerKey => false,
        };
        let whom = self.whom(sender);
        // Who has no place was charged with the rest.
        if !changed
            && !counters.change(&self.named, whom, |counter| counter.change(change))
            && let Some(rest) = &self.rest
        {
            rest.change(change);
        }
    }

    /// Whether a refusal is this one's.
    pub(super) fn is_called(&self, name: &Arc<str>) -> bool {
        Arc::ptr_eq(&self.name, name)
    }

    fn full(&self, retry_after_s: u64) -> Full {
        Full {
            reason: match (self.named.identity.owner, self.measure) {
                (Owner::Switch(_), _) => Reason::Limited,
                (_, Measure::Rate(_)) => Reason::Rate,
                (_, Measure::Window { .. }) => Reason::Quota,
            },
            name: Arc::clone(&self.name),
            categories: self.categories,
            scope: self.scope,
            retry_after_s,
        }
    }
}
