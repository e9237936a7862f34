//! What Sentry's states and Relay's files add to the configuration. Owns who goes before whom:
//! a project's own keys in the configuration, then its file, then Sentry, then the defaults;
//! quotas are counted beside each other, and what is disabled stays so. Values only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::checked::Config;
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::domain::filter::Filters;
use crate::domain::origin::AllowedOrigins;
use crate::domain::quota::Quota;
use crate::policy::directory::{Named, Source};
use crate::policy::quotas::SentryQuotas;
use crate::policy::wanted::{Roots, SentryRules};
use crate::server::sentry::states::known::{Known, Project, Teller, projects};

/// Both, as far as they are configured.
pub(super) struct Told<'k> {
    pub files: Option<&'k Known>,
    pub sentry: Option<&'k Known>,
}

impl<'k> Told<'k> {
    /// What is told of each project.
    pub(super) fn projects(&self) -> BTreeMap<ProjectId, Project<'k>> {
        projects(self.files, self.sentry)
    }

    /// Every key that is told of, as often as it is.
    pub(super) fn keys(&self) -> impl Iterator<Item = (Key, Named)> {
        let files = told_keys(self.files, Source::File);
        files.chain(told_keys(self.sentry, Source::Sentry))
    }

    /// The sampling rules on traces, by the key under which they begin: a file's word goes before
    /// Sentry's.
    pub(super) fn roots(&self) -> Arc<Roots> {
        let all = states(self.sentry).chain(states(self.files));
        Arc::new(Roots::new(all.filter_map(|(key, state)| {
            let organization = state.organization.filter(|_| !state.disabled)?;
            Some((*key, organization, state.sampling.clone()))
        })))
    }

    /// The quotas of single keys.
    pub(super) fn key_quotas(&self) -> impl Iterator<Item = (Key, Vec<Quota>)> {
        let (files, sentry) = (states(self.files), states(self.sentry));
        files.chain(sentry).flat_map(|(key, state)| {
            let quotas = state.quotas.iter().flat_map(|quotas| &quotas.keys);
            let own = quotas.filter(move |(of, _)| of == key);
            own.map(|(key, quotas)| (*key, quotas.clone()))
        })
    }
}

/// What is told of all projects together, where the configuration has nothing of a project's own.
pub(super) struct Beside {
    /// The pages that may send.
    pub origins: Vec<(ProjectId, AllowedOrigins)>,
    /// What is not wanted.
    pub filters: BTreeMap<ProjectId, Filters>,
    /// How many transactions are kept.
    pub sampling: BTreeMap<ProjectId, SentryRules>,
    /// How much may come.
    pub quotas: BTreeMap<ProjectId, SentryQuotas>,
    /// Whose word all that is.
    pub places: BTreeMap<ProjectId, Place>,
}

/// Whose word on a project is in force.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Who told.
    pub teller: Teller,
    /// Which pages may send is told.
    pub origins: bool,
    /// What is filtered, beside the defaults, is told.
    pub filters: bool,
}

impl Beside {
    pub(super) fn of(
        projects: &BTreeMap<ProjectId, Project<'_>>,
        roots: &Arc<Roots>,
        config: &Config,
    ) -> Self {
        let own = |is_own: fn(&crate::config::checked::Project) -> bool| {
            let own = config.projects.iter().filter(|project| is_own(project));
            own.map(|project| project.id).collect::<BTreeSet<_>>()
        };
        let origins = own(|project| project.allowed_origins.is_some());
        let filters = own(|project| project.filters.is_some());
        let samples = own(|project| project.sample.is_some());
        let mut beside = Self {
            origins: Vec::new(),
            filters: BTreeMap::new(),
            sampling: BTreeMap::new(),
            quotas: BTreeMap::new(),
            places: BTreeMap::new(),
        };
        for (id, Project { state, teller }) in projects {
            // All pages is what a project has whose owner has said nothing: the defaults may.
            let allowed = state.allowed_domains.iter();
            let allowed = allowed.filter(|allowed| !allowed.is_any() && !origins.contains(id));
            let allowed: Vec<_> = allowed.map(|allowed| (*id, allowed.clone())).collect();
            let told = state.filters.iter();
            let told = told.filter(|told| **told != Filters::default() && !filters.contains(id));
            let both = told.map(|told| (*id, both(&config.defaults.filters, told)));
            let both: Vec<_> = both.collect();
            let rules = SentryRules::new(&state.sampling, state.organization, roots);
            let rules: Vec<_> = rules
                .filter(|_| !samples.contains(id))
                .map(|rules| (*id, rules))
                .into_iter()
                .collect();
            if !allowed.is_empty() || !both.is_empty() || !rules.is_empty() {
                let place = Place {
                    teller: *teller,
                    origins: !allowed.is_empty(),
                    filters: !both.is_empty(),
                };
                beside.places.insert(*id, place);
            }
            beside.origins.extend(allowed);
            beside.filters.extend(both);
            beside.sampling.extend(rules);
            if let Some(quotas) = &state.quotas {
                let organization = state.organization.map(|number| {
                    let quotas = quotas.organization.clone();
                    (number, quotas)
                });
                let organization = organization.filter(|(_, quotas)| !quotas.is_empty());
                let project = quotas.project.clone();
                if organization.is_some() || !project.is_empty() {
                    let quotas = SentryQuotas {
                        project,
                        organization,
                    };
                    beside.quotas.insert(*id, quotas);
                }
            }
        }
        beside
    }
}

/// What is filtered by either: the operator of the edge and a project's owner each meant theirs.
fn both(defaults: &Filters, told: &Filters) -> Filters {
    fn either<T: Clone + PartialEq>(one: &[T], other: &[T]) -> Vec<T> {
        let more = other.iter().filter(|it| !one.contains(it));
        one.iter().chain(more).cloned().collect()
    }
    Filters {
        client_ips: either(&defaults.client_ips, &told.client_ips),
        user_agents: either(&defaults.user_agents, &told.user_agents),
        crawlers: defaults.crawlers || told.crawlers,
        releases: either(&defaults.releases, &told.releases),
        environments: either(&defaults.environments, &told.environments),
        error_messages: either(&defaults.error_messages, &told.error_messages),
        localhost: defaults.localhost || told.localhost,
    }
}

fn states(
    known: Option<&Known>,
) -> impl Iterator<Item = (&Key, &crate::domain::project_state::ProjectState)> {
    let states = known.into_iter().flat_map(|known| &known.states);
    states.map(|(key, state)| (key, &**state))
}

fn told_keys(known: Option<&Known>, source: Source) -> impl Iterator<Item = (Key, Named)> {
    states(known).map(move |(key, state)| {
        let named = Named {
            project: state.project,
            enabled: Known::enables(key, state),
            name: None,
            source,
            rate_limit: None,
        };
        (*key, named)
    })
}
