//! Which quotas apply to whom. Owns the plans of a configuration and the order of
//! their quotas; immutable, a reload builds another on the same counters.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use foldhash::quality::RandomState;

use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::domain::quota::{By, Quota};

use super::compiled::{Compiled, Kept};
use super::counters::Counters;
use super::identity::{Owner, Whom};
use super::measure::Measure;
use super::spent::Spent;
use super::{Applying, Moment, Who};

/// All quotas of a configuration. Names are unique among those of one owner.
#[derive(Debug, Clone, Default)]
pub struct QuotaSpec {
    /// For everybody, beside all others.
    pub global: Vec<Quota>,
    /// For projects that have none of their own.
    pub defaults: Vec<Quota>,
    /// The listed projects. Their own quotas replace the defaults whole; `None` follows them.
    pub projects: Vec<(ProjectId, Option<Vec<Quota>>)>,
    /// Keys with quotas of their own, beside those of their project.
    pub keys: Vec<(Key, Vec<Quota>)>,
    /// What may come in of everything in a day.
    pub budgets: Budgets,
    /// What Sentry says of projects: quotas beside all others, of listed projects and of others.
    pub sentry: BTreeMap<ProjectId, SentryQuotas>,
}

/// What Sentry says of one project.
#[derive(Debug, Clone, Default)]
pub struct SentryQuotas {
    /// The project's own.
    pub project: Vec<Quota>,
    /// The organization that it is of, and what all of its projects may do together.
    pub organization: Option<(u64, Vec<Quota>)>,
}

/// Budgets, in bytes a day: each a quota beside the others of its owner.
#[derive(Debug, Clone, Default)]
pub struct Budgets {
    /// Of everybody together.
    pub global: Option<u64>,
    /// Of each project that has none of its own.
    pub defaults: Option<u64>,
    /// Of those listed projects that say so; `None`: without end.
    pub projects: HashMap<ProjectId, Option<u64>>,
}

/// Quotas, ready to be charged.
#[derive(Default)]
pub struct Quotas {
    global: Plan,
    defaults: Plan,
    projects: HashMap<ProjectId, Plan, RandomState>,
    keys: HashMap<[u8; 16], Plan, RandomState>,
    /// Whether there is any at all.
    limits: bool,
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quotas")
            .field("global", &self.global)
            .field("defaults", &self.defaults)
            .field("projects", &self.projects.len())
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// The quotas of one owner, in the order of asking.
#[derive(Debug, Default)]
struct Plan {
    whole: Box<[Compiled]>,
    by_key: Box<[Compiled]>,
    by_ip: Box<[Compiled]>,
}

/// What is switched on, and three kinds of quotas of three owners.
pub(super) const LISTS: usize = 10;

/// How much of a quota is used, for metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// Whose it is. The defaults' are given for each project that follows them.
    pub owner: Owner,
    /// The quota's name.
    pub name: Arc<str>,
    /// From 0 to 1; by key, the highest.
    pub ratio: f64,
    /// How much that is, where it counts in windows.
    pub spent: Option<Spent>,
}

impl Quotas {
    /// Builds what requests meet. Counts of quotas whose owner, name, time and sharing stay equal go
    /// on, whatever their limit is now. Takes its time: for the control thread.
    #[must_use]
    pub fn compile(spec: &QuotaSpec, counters: &Counters) -> Self {
        let plan = |owner, quotas: &[Quota]| Plan::new(owner, quotas, None, counters);
        let budgets = &spec.budgets;
        let budget = |owner, bytes: Option<u64>, follower| {
            let bytes = bytes.map(Quota::budget)?;
            Some(Compiled::new(owner, &bytes, follower, counters))
        };
        let listed: HashSet<ProjectId> = spec.projects.iter().map(|(id, _)| *id).collect();
        let told = spec.sentry.keys().filter(|id| !listed.contains(*id));
        let told = told.map(|id| (*id, None));
        let projects = spec.projects.iter().map(|(id, own)| (*id, own.as_ref()));
        let projects = projects.chain(told).map(|(project, own)| {
            let project = &project;
            let whose = Owner::Project(*project);
            let plan = match own {
                Some(quotas) => plan(whose, quotas),
                None => Plan::new(Owner::Defaults, &spec.defaults, Some(*project), counters),
            };
            let budget = match budgets.projects.get(project) {
                Some(own) => budget(whose, *own, None),
                None => budget(Owner::Defaults, budgets.defaults, Some(*project)),
            };
            let told = spec.sentry.get(project);
            let told = told
                .into_iter()
                .flat_map(|told| told.compiled(*project, counters));
            (*project, plan.and(told.chain(budget)))
        });
        let keys = spec.keys.iter().map(|(key, quotas)| {
            let key = key.packed();
            (key, plan(Owner::Key(key), quotas))
        });
        let mut quotas = Self {
            global: plan(Owner::Global, &spec.global).and(budget(
                Owner::Global,
                budgets.global,
                None,
            )),
            defaults: plan(Owner::Defaults, &spec.defaults).and(budget(
                Owner::Defaults,
                budgets.defaults,
                None,
            )),
            projects: projects.collect(),
            keys: keys.collect(),
            limits: false,
        };
        let limits = !quotas.plans().all(Plan::is_empty);
        quotas.limits = limits;
        quotas
    }

    fn plans(&self) -> impl Iterator<Item = &Plan> {
        let listed = self.projects.values().chain(self.keys.values());
        [&self.global, &self.defaults].into_iter().chain(listed)
    }

    /// Whether nobody is limited in anything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        !self.limits
    }

    /// The quotas that can apply to a sender: look them up once a request.
    #[must_use]
    pub fn of<'q>(&'q self, who: &Who) -> Applying<'q> {
        let mut applying = Applying {
            lists: Default::default(),
            used: 1,
            sender: *who,
        };
        if !self.limits {
            return applying;
        }
        let listed = who.project.and_then(|project| self.projects.get(&project));
        let project = listed.unwrap_or(&self.defaults);
        let own = self.keys.get(&who.key);
        // As most installations have it: one list after the other, and nobody else's between.
        if own.is_none() && self.global.is_empty() {
            for list in [&project.whole, &project.by_key, &project.by_ip] {
                applying.add(list);
            }
            return applying;
        }
        let own = |list: fn(&Plan) -> &[Compiled]| own.map_or_else(Default::default, list);
        for list in [
            &*self.global.whole,
            &project.whole,
            &self.global.by_key,
            &project.by_key,
            own(|plan| &plan.whole),
            own(|plan| &plan.by_key),
            &self.global.by_ip,
            &project.by_ip,
            own(|plan| &plan.by_ip),
        ] {
            applying.add(list);
        }
        applying
    }

    /// How much is used of each quota that is not by address nor of a single key. Walks all
    /// counters: for the control thread.
    #[must_use]
    pub fn usage(&self, now: Moment, counters: &Counters) -> Vec<Usage> {
        let mut tabled: HashMap<u64, &Compiled> = HashMap::new();
        let mut used: HashMap<(u64, Owner), (u64, &Compiled)> = HashMap::new();
        let shared = [&self.global, &self.defaults].into_iter();
        for plan in shared.chain(self.projects.values()) {
            for quota in plan.whole.iter().chain(&plan.by_key) {
                let key = (quota.named.number, quota.named.identity.owner);
                match &quota.kept {
                    Kept::Here(counter) => {
                        let owner = owner_of(quota, counter.whom());
                        used.insert((key.0, owner), (counter.word_of_all(), quota));
                    }
                    Kept::PerProject => drop(tabled.insert(key.0, quota)),
                    Kept::PerKey | Kept::PerIp => {
                        tabled.insert(key.0, quota);
                        used.entry(key).or_insert((0, quota));
                    }
                }
            }
        }
        counters.each(|counter| {
            let found = tabled.get(&counter.named().number);
            let whom = counter.whom();
            let apart = matches!(whom, Whom::Rest(_) | Whom::Strangers(_));
            // What a listed project follows of the defaults is in its own plan.
            let own = matches!(whom, Whom::Project(Some(id)) if self.projects.contains_key(&id));
            let (Some(quota), false) = (found, apart || own) else {
                return;
            };
            let key = (quota.named.number, owner_of(quota, whom));
            let (highest, _) = used.entry(key).or_insert((0, quota));
            let ratio = |word| quota.measure.used_ratio(word, now);
            if ratio(counter.word_of_all()) > ratio(*highest) {
                *highest = counter.word_of_all();
            }
        });
        let usage = used.into_iter();
        let usage = usage.map(|((_, owner), (word, quota))| Usage::of(owner, quota, word, now));
        usage.collect()
    }

    /// How much is used of each quota that a single key has, but of those by address. Walks all such
    /// keys: for the control thread.
    pub fn usage_of_keys(&self, now: Moment, mut seen: impl FnMut(Usage)) {
        for (key, plan) in &self.keys {
            for quota in plan.whole.iter().chain(&plan.by_key) {
                if let Kept::Here(counter) = &quota.kept {
                    seen(Usage::of(
                        Owner::Key(*key),
                        quota,
                        counter.word_of_all(),
                        now,
                    ));
                }
            }
        }
    }

    /// Whether a quota is a switch: one of 0, which lets nothing in on purpose and is always full.
    #[must_use]
    pub fn is_switch(&self, owner: Owner, name: &str) -> bool {
        let plan = match owner {
            Owner::Global => Some(&self.global),
            Owner::Defaults => Some(&self.defaults),
            Owner::Project(project) => self.projects.get(&project).or(Some(&self.defaults)),
            Owner::Key(key) => self.keys.get(&key),
            Owner::Sentry(project) => self.projects.get(&project),
            // Each of its projects has the same.
            Owner::Organization(_) => self.projects.values().find(|plan| plan.is_of(owner)),
            Owner::Switch(_) => None,
        };
        let zero = |measure: &Measure| match measure {
            Measure::Rate(pace) => pace.used(0, 0).1 == 0,
            Measure::Window { limit, .. } => *limit == 0,
        };
        plan.is_some_and(|plan| {
            let mut quotas = plan.whole.iter().chain(&plan.by_key);
            quotas.any(|quota| *quota.name == *name && zero(&quota.measure))
        })
    }

    /// How many quotas count by address. How full those are nobody can tell: a place knows its
    /// address and its quota by their hash alone.
    #[must_use]
    pub fn by_ip(&self) -> usize {
        self.plans().map(|plan| plan.by_ip.len()).sum()
    }
}

impl Usage {
    fn of(owner: Owner, quota: &Compiled, word: u64, now: Moment) -> Self {
        let per = quota.named.identity.window_per();
        let window = per.and_then(|per| Some((per, per.window(now.unix_s)?)));
        Self {
            owner,
            name: Arc::clone(&quota.name),
            ratio: quota.measure.used_ratio(word, now),
            spent: window.map(|(per, window)| {
                let (used, limit) = quota.measure.used(word, now);
                Spent {
                    used,
                    limit,
                    is_bytes: quota.named.identity.bytes,
                    begins_unix_s: per.begins_unix_s(window),
                    ends_unix_s: window.ends_unix_s,
                }
            }),
        }
    }
}

impl<'q> Applying<'q> {
    fn add(&mut self, list: &'q [Compiled]) {
        if !list.is_empty()
            && let Some(next) = self.lists.get_mut(self.used)
        {
            *next = list;
            self.used += 1;
        }
    }
}

impl SentryQuotas {
    fn compiled<'s>(
        &'s self,
        project: ProjectId,
        counters: &'s Counters,
    ) -> impl Iterator<Item = Compiled> + 's {
        let own = self.project.iter();
        let own = own.map(move |quota| (Owner::Sentry(project), quota));
        let shared = self.organization.iter().flat_map(|(number, quotas)| {
            let owner = Owner::Organization(*number);
            quotas.iter().map(move |quota| (owner, quota))
        });
        own.chain(shared)
            .map(|(owner, quota)| Compiled::new(owner, quota, None, counters))
    }
}

/// A default quota's count for one project is that project's.
fn owner_of(quota: &Compiled, whom: Whom) -> Owner {
    match whom {
        Whom::Project(Some(project)) => Owner::Project(project),
        Whom::All | Whom::Project(None) | Whom::Key(_) | Whom::Rest(_) | Whom::Strangers(_) => {
            quota.named.identity.owner
        }
    }
}

impl Plan {
    fn new(
        owner: Owner,
        quotas: &[Quota],
        follower: Option<ProjectId>,
        counters: &Counters,
    ) -> Self {
        let of = |by: &[By]| {
            let mine = quotas.iter().filter(|quota| by.contains(&quota.by));
            mine.map(|quota| Compiled::new(owner, quota, follower, counters))
                .collect()
        };
        Self {
            whole: of(&[By::Project]),
            by_key: of(&[By::Key]),
            by_ip: of(&[By::Ip]),
        }
    }

    /// The same with some more, asked behind the others on everybody.
    fn and(self, more: impl IntoIterator<Item = Compiled>) -> Self {
        let mut whole = self.whole.into_vec();
        whole.extend(more);
        Self {
            whole: whole.into(),
            ..self
        }
    }

    /// Whether any quota in it is this owner's.
    fn is_of(&self, owner: Owner) -> bool {
        let mut whole = self.whole.iter();
        whole.any(|quota| quota.named.identity.owner == owner)
    }

    fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.by_key.is_empty() && self.by_ip.is_empty()
    }
}
