//! What the edge knows beside its configuration, and what follows from both: the
//! gate, and what becomes of client addresses. Values only; `memory` keeps them.

mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::config::checked::{Config, KeyMode, StorePolicy};
use crate::domain::category::{Categories, Category};
use crate::domain::client_ip::{HashKey, Store};
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::domain::origin::AllowedOrigins;
use crate::domain::quota::{By, Limit, Per, Quota};
use crate::policy::directory::{Directory, KeyRate, Named, Source};
use crate::policy::moves::Moves;
use crate::policy::origins::Origins;
use crate::policy::quotas::{Budgets, Counters, QuotaSpec, Quotas, SentryQuotas};
use crate::policy::wanted::{Own, Wanted};
use crate::policy::{Gate, Mode};

use crate::server::sentry::list::{KeyList, ListedKey};
use crate::server::sentry::states::files::Files;
use crate::server::sentry::states::known::Known;
use told::{Beside, Told};

pub(crate) use told::Place;

/// What was learned outside of requests. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Knowledge {
    /// Sentry's own list of its keys, once one was read.
    pub listed: Option<Arc<KeyList>>,
    /// What Sentry says of keys and their projects, once it was asked.
    pub states: Option<Arc<Known>>,
    /// The same from files of Relay's.
    pub files: Option<Arc<Files>>,
    /// What addresses are hashed with where the configuration names no secret.
    pub secret: Arc<[u8]>,
}

impl Knowledge {
    /// Forgets the list and the states of a Sentry that is no longer the one configured: they
    /// say nothing about another's keys, and in mode `strict` would refuse all of them.
    pub(crate) fn follow(&mut self, before: &Config, now: &Config) {
        let url = |config: &Config| config.sentry.as_ref().map(|sentry| sentry.url.clone());
        if url(before) != url(now) {
            self.listed = None;
            self.states = None;
        }
    }

    /// The gate for a configuration, and what of it is by others' word.
    pub(crate) fn gate(
        &self,
        config: &Config,
        counters: &Counters,
    ) -> (Gate, BTreeMap<ProjectId, Place>) {
        let told = self.told(config);
        let projects = told.projects();
        let beside = Beside::of(&projects, &told.roots(), config);
        let own = config.projects.iter().filter_map(|project| {
            let patterns = project.allowed_origins.as_ref()?;
            Some((project.id, allowed(patterns)))
        });
        let awaits_list = self.awaits_list(config);
        let awaits = awaits_list || self.awaits_files(config);
        let closed = awaits || config.keys.mode == KeyMode::Strict && asks(config);
        let gate = Gate {
            body_bytes_max: config.limits.bodies.ingest,
            mode: self.mode(config),
            awaits_list,
            closed: match closed {
                true => named_projects(config),
                false => Box::default(),
            },
            moves: Moves::new(config.dsn_map.clone()),
            directory: self.directory(config),
            wanted: wanted(config, &beside),
            origins: Origins::new(
                allowed(&config.defaults.allowed_origins),
                own.chain(beside.origins),
            ),
            quotas: Quotas::compile(&self.quotas(config, beside.quotas), counters),
        };
        (gate, beside.places)
    }

    /// What states and files say, as far as they are configured.
    fn told(&self, config: &Config) -> Told<'_> {
        Told {
            files: self
                .files
                .as_deref()
                .filter(|_| config.project_files.is_some())
                .map(|files| &files.known),
            sentry: self.states.as_deref().filter(|_| asks(config)),
        }
    }

    /// Every quota that somebody set: the configuration, and Sentry.
    fn quotas(&self, config: &Config, sentry: BTreeMap<ProjectId, SentryQuotas>) -> QuotaSpec {
        let configured = config.projects.iter().flat_map(|project| &project.keys);
        let configured = configured.map(|key| (key.key, key.quotas.clone()));
        let listed = self.listed.iter().filter(|_| lists(config));
        let listed = listed.flat_map(|list| list.keys.iter().filter_map(key_quota));
        let told = self.told(config);
        QuotaSpec {
            global: config.global.quotas.clone(),
            defaults: config.defaults.quotas.clone(),
            projects: config
                .projects
                .iter()
                .map(|project| (project.id, project.quotas.clone()))
                .collect(),
            keys: together(configured.chain(told.key_quotas()).chain(listed)),
            budgets: budgets(config),
            sentry,
        }
    }

    /// Until Sentry's list has been read once, nobody could pass, and until Relay's files have,
    /// nobody of whom one of them tells: that long, `strict` acts as `learn` does. Where Sentry is
    /// asked for single keys, and lists none, it acts so on: who has not been asked for yet
    /// passes, and who is not known is refused.
    fn mode(&self, config: &Config) -> Mode {
        match config.keys.mode {
            KeyMode::Open => Mode::Open,
            KeyMode::Learn => Mode::Learn,
            KeyMode::Strict if self.awaits_list(config) => Mode::Learn,
            KeyMode::Strict if self.awaits_files(config) => Mode::Learn,
            KeyMode::Strict if asks(config) && !lists(config) => Mode::Learn,
            KeyMode::Strict => Mode::Strict,
        }
    }

    fn awaits_list(&self, config: &Config) -> bool {
        config.keys.mode == KeyMode::Strict && lists(config) && self.listed.is_none()
    }

    /// Whether `strict` waits for what Relay's files say.
    pub(crate) fn awaits_files(&self, config: &Config) -> bool {
        let files = self.files.as_ref().filter(|files| files.unread);
        config.keys.mode == KeyMode::Strict && config.project_files.is_some() && files.is_some()
    }

    fn directory(&self, config: &Config) -> Directory {
        // A list that was kept counts only while its Sentry is configured.
        let listed = self.listed.iter().filter(|_| lists(config));
        let listed = listed.flat_map(|list| list.keys.iter().map(listed_key));
        let told = self.told(config);
        let all = configured(config).chain(told.keys()).chain(listed);
        let built = Directory::build(all).or_else(|error| {
            tracing::error!(%error, "Sentry's list of keys is left out");
            Directory::build(configured(config))
        });
        built.unwrap_or_default()
    }

    /// What of a client's address goes upstream with an event.
    pub(crate) fn store(&self, config: &Config) -> Store {
        let rules = &config.client_ip;
        match rules.store {
            StorePolicy::Full => Store::Full,
            StorePolicy::Truncate => Store::Truncate,
            StorePolicy::Drop => Store::Drop,
            StorePolicy::Hash => {
                let named = rules.hash_key.as_ref().map(|key| key.expose().as_bytes());
                Store::Hash(HashKey::from_secret(named.unwrap_or(&self.secret)))
            }
        }
    }
}

/// What may come in of everything in a day.
fn budgets(config: &Config) -> Budgets {
    let own = config.projects.iter();
    Budgets {
        global: config.global.budget,
        defaults: config.defaults.budget,
        projects: own
            .filter_map(|project| Some((project.id, project.budget?)))
            .collect(),
    }
}

/// Whether Sentry lists its keys.
fn lists(config: &Config) -> bool {
    let sentry = config.sentry.as_ref();
    sentry.is_some_and(|sentry| sentry.token.is_some())
}

/// Whether Sentry is asked for the states of single keys.
pub(crate) fn asks(config: &Config) -> bool {
    let sentry = config.sentry.as_ref();
    sentry.is_some_and(|sentry| sentry.credentials.is_some())
}

/// What is wanted of what.
fn wanted(config: &Config, beside: &Beside) -> Wanted {
    let listed = config.projects.iter().map(|project| Own {
        project: project.id,
        filters: project
            .filters
            .as_ref()
            .or_else(|| beside.filters.get(&project.id)),
        sample: project.sample.as_ref(),
        repeats: project.repeats,
        sentry: beside.sampling.get(&project.id).cloned(),
    });
    let ids: BTreeSet<ProjectId> = config.projects.iter().map(|project| project.id).collect();
    let told: BTreeSet<ProjectId> = beside
        .filters
        .keys()
        .chain(beside.sampling.keys())
        .copied()
        .collect();
    let others = told.difference(&ids).map(|id| Own {
        project: *id,
        filters: beside.filters.get(id),
        sample: None,
        repeats: None,
        sentry: beside.sampling.get(id).cloned(),
    });
    let defaults = &config.defaults;
    Wanted::new(
        &defaults.filters,
        &defaults.sample,
        defaults.repeats,
        listed.chain(others),
    )
}

/// The projects that the configuration gives keys, in order.
fn named_projects(config: &Config) -> Box<[ProjectId]> {
    let named = config.projects.iter();
    let named = named.filter(|project| !project.keys.is_empty());
    let mut named: Vec<ProjectId> = named.map(|project| project.id).collect();
    named.sort_unstable();
    named.into()
}

fn configured(config: &Config) -> impl Iterator<Item = (Key, Named)> {
    config.projects.iter().flat_map(|project| {
        project.keys.iter().map(|key| {
            let named = Named {
                project: Some(project.id),
                enabled: key.enabled,
                name: key.name.as_deref().map(Box::from),
                source: Source::Configured,
                rate_limit: None,
            };
            (key.key, named)
        })
    })
}

/// The quotas of each key once, whoever set them.
fn together(all: impl Iterator<Item = (Key, Vec<Quota>)>) -> Vec<(Key, Vec<Quota>)> {
    let mut of_keys = BTreeMap::<Key, Vec<Quota>>::new();
    for (key, quotas) in all.filter(|(_, quotas)| !quotas.is_empty()) {
        let of_key = of_keys.entry(key).or_default();
        // A name counts once: the configuration's own goes before Sentry's.
        let named = |name: &str| of_key.iter().any(|quota| *quota.name == *name);
        let new: Vec<Quota> = quotas
            .into_iter()
            .filter(|quota| !named(&quota.name))
            .collect();
        of_key.extend(new);
    }
    of_keys.into_iter().collect()
}

/// The limit that Sentry's page sets on a key: on events of these categories, under this
/// name (PROTOCOL 4.3).
fn key_quota(key: &ListedKey) -> Option<(Key, Vec<Quota>)> {
    let limit = key.rate_limit.as_ref()?;
    let quota = Quota {
        name: Box::from("key_quota"),
        categories: Categories::of(&[Category::Default, Category::Error, Category::Security]),
        limit: Limit::Items(limit.count),
        per: Per::of(Duration::from_secs(limit.window_s))?,
        by: By::Key,
    };
    Some((key.key, vec![quota]))
}

fn listed_key(key: &ListedKey) -> (Key, Named) {
    let rate = |count: u64, window_s: u64| {
        Some(KeyRate {
            count: u32::try_from(count).ok()?,
            window_s: u32::try_from(window_s).ok()?,
        })
    };
    let named = Named {
        project: Some(key.project),
        enabled: key.enabled,
        name: (!key.name.is_empty()).then(|| Box::from(key.name.as_str())),
        source: Source::Sentry,
        rate_limit: key
            .rate_limit
            .as_ref()
            .and_then(|limit| rate(limit.count, limit.window_s)),
    };
    (key.key, named)
}

fn allowed(patterns: &[String]) -> AllowedOrigins {
    let patterns = patterns.iter().map(String::as_str);
    AllowedOrigins::parse(patterns).expect("the configuration holds checked patterns only")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::config::{self, Env};
    use crate::policy::quotas::CounterLimits;

    fn empty() -> KeyList {
        KeyList {
            projects: Vec::new(),
            keys: Vec::new(),
            skipped: 0,
            at: SystemTime::UNIX_EPOCH,
        }
    }

    #[track_caller]
    fn check(before: &str, now: &str, kept: bool) {
        let config = |sentry: &str| {
            let text = format!("upstream: {{ingest: ['http://relay:3000']}}\n{sentry}\n");
            config::parse("v.yml", &text, &Env::empty()).unwrap().0
        };
        let mut knowledge = Knowledge {
            listed: Some(Arc::new(empty())),
            states: None,
            files: None,
            secret: Arc::from([0; 32]),
        };
        knowledge.follow(&config(before), &config(now));
        assert_eq!(knowledge.listed.is_some(), kept, "{before} to {now}");
    }

    #[track_caller]
    fn check_gate(text: &str, listed: bool, want: (Mode, Option<&[u64]>)) {
        let text = format!("upstream: {{ingest: ['http://relay:3000']}}\n{text}");
        let config = config::parse("v.yml", &text, &Env::empty()).unwrap().0;
        let knowledge = Knowledge {
            listed: listed.then(|| Arc::new(empty())),
            states: None,
            files: None,
            secret: Arc::from([0; 32]),
        };
        let (gate, _) = knowledge.gate(
            &config,
            &Counters::new(CounterLimits {
                ips: 1,
                counters: 10,
            }),
        );
        let closed: Vec<u64> = gate.closed.iter().map(|id| id.get()).collect();
        let closed = gate.awaits_list.then_some(closed.as_slice());
        assert_eq!((gate.mode, closed), want, "{text}");
    }

    /// Every key passed, those of projects whose keys stand in the file too.
    #[test]
    fn strict_waits_for_the_list_but_not_where_the_file_names_keys() {
        let (key, other) = (
            "a94ae32be2584e0bbd7a4cbb95971fee",
            "b94ae32be2584e0bbd7a4cbb95971fee",
        );
        let own = format!(
            "projects: [{{id: 42, keys: [{key}]}}, {{id: 41}}, {{id: 7, keys: [{other}]}}]\n"
        );
        let sentry = "sentry: {url: 'http://web:9000', token: a}\n";
        let strict = format!("keys: {{mode: strict}}\n{own}");
        check_gate(
            &format!("{strict}{sentry}"),
            false,
            (Mode::Learn, Some(&[7, 42])),
        );
        check_gate(&format!("{strict}{sentry}"), true, (Mode::Strict, None));
        check_gate(&strict, false, (Mode::Strict, None));
        check_gate(&format!("{own}{sentry}"), false, (Mode::Learn, None));
    }

    /// Those whom a file names that nobody could read yet would be refused.
    #[test]
    fn strict_waits_until_all_files_have_been_read_once() {
        let mode = |text: &str, unread| {
            let text = format!(
                "upstream: {{ingest: ['http://relay:3000']}}\n\
                 keys: {{mode: strict}}\nprojects: [{{id: 7}}]\n{text}"
            );
            let config = config::parse("v.yml", &text, &Env::empty()).unwrap().0;
            let files = Files {
                unread,
                ..Files::default()
            };
            let knowledge = Knowledge {
                listed: None,
                states: None,
                files: Some(Arc::new(files)),
                secret: Arc::from([0; 32]),
            };
            let limits = CounterLimits {
                ips: 1,
                counters: 10,
            };
            knowledge.gate(&config, &Counters::new(limits)).0.mode
        };
        let folder = "sentry: {projects: /projects}\n";
        assert_eq!(mode(folder, true), Mode::Learn);
        assert_eq!(mode(folder, false), Mode::Strict);
        assert_eq!(mode("", true), Mode::Strict, "none is configured");
    }

    #[test]
    fn a_list_lasts_as_long_as_its_sentry_and_survives_a_new_token() {
        let own = "sentry: {url: 'http://web:9000', token: a}";
        check(own, own, true);
        check(own, "sentry: {url: 'http://web:9000', token: b}", true);
        check(own, "sentry: {url: 'http://other:9000', token: a}", false);
        check(own, "", false);
    }
}
