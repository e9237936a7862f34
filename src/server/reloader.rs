//! The configuration in force, and the one way to exchange it: read again when somebody asks,
//! by SIGHUP, or because its file has changed. The control thread's; a file with an error
//! changes nothing.

mod told;

use std::cell::{Ref, RefCell};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::Signal;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::config::{self, Config, ConfigError, Env, Errors, Loaded, Place};
use crate::domain::endpoint::ProjectId;
use crate::domain::incident::Kind;
use crate::telemetry::ledger::Ledger;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process;

use crate::server::entrance::Renewing;
use crate::server::memory::knowledge::Knowledge;
use crate::server::memory::{self, Memory};
use crate::server::passage::cached;
use crate::server::rules::Rules;
use crate::server::sentry::keep::{Standing, keep_listing};
use crate::server::sentry::list::KeyList;
use crate::server::sentry::states::keep::{Keeper, Standing as States};
use crate::server::sentry::{Bounds, Source};
use crate::server::supervisor;
use crate::server::worker::Shared;

pub(crate) use told::watch_project_files;

/// How often the configuration's file is looked at. A change counts once two
/// looks in a row have seen the same content, so that no half-written file does.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often it is looked whether rules that were replaced are still gone by. A worker looks for
/// new ones with each request, and once a second without.
const RETIRE_EVERY: Duration = Duration::from_secs(1);

/// What came of a reload.
#[derive(Debug)]
pub(crate) struct Reloaded {
    /// Keys that were changed but only count at the next start.
    pub needs_restart: Vec<&'static str>,
}

/// The configuration, and the one way to exchange it.
pub(crate) struct Reloader {
    loaded: RefCell<Loaded>,
    /// The configuration of the start: what only a restart takes up runs as it says,
    /// however many files came since. Without its projects, which may be many.
    started: Config,
    /// The file has changed, and as it was last read it is of no use: the first of its errors.
    refused: RefCell<Option<String>>,
    /// Rules that were in force, until nobody goes by them any more.
    retired: RefCell<Vec<Arc<Rules>>>,
    knowledge: RefCell<Knowledge>,
    memory: Rc<Memory>,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    /// Who reads the certificate files again.
    renewing: Rc<Renewing>,
    /// How Sentry's list of keys stands, and the task that keeps it.
    standing: Arc<ArcSwap<Standing>>,
    listing: RefCell<Option<AbortHandle>>,
    /// How the states of keys stand, and who keeps them.
    states: Arc<ArcSwap<States>>,
    keeper: RefCell<Option<(Rc<Keeper>, AbortHandle)>>,
}

impl Reloader {
    /// Begins with what the edge was started with.
    pub(crate) fn new(
        loaded: Loaded,
        memory: Rc<Memory>,
        renewing: Rc<Renewing>,
        shared: Arc<Shared>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            renewing,
            knowledge: RefCell::new(memory.knowledge.clone()),
            memory,
            started: loaded.config.without_projects(),
            refused: RefCell::default(),
            retired: RefCell::default(),
            loaded: RefCell::new(loaded),
            shared,
            metrics,
            standing: Arc::default(),
            listing: RefCell::default(),
            states: Arc::default(),
            keeper: RefCell::default(),
        }
    }

    /// Reads the file and the environment again. All or nothing: a file with an
    /// error changes nothing.
    pub(crate) fn reload(self: &Rc<Self>) -> Result<Reloaded, Errors> {
        if self.loaded.borrow().built_in {
            tracing::warn!("the configuration is built in; there is nothing to reload");
            let needs_restart = Vec::new();
            return Ok(Reloaded { needs_restart });
        }
        let _told = supervisor::reloading();
        let file = self.loaded.borrow().file.clone();
        let counters = &self.metrics.control;
        let loaded = config::load(file.as_deref(), &Env::of_process());
        let loaded = match loaded.and_then(|loaded| self.within_reach(loaded)) {
            Ok(loaded) => loaded,
            Err(errors) => {
                // Other files of it, such as certificates, are watched by themselves.
                let in_force = self.loaded.borrow().digest;
                let now = file.as_deref().and_then(digest_of);
                let first = errors.0.first().map(ToString::to_string);
                let refused = first.filter(|_| now != Some(in_force));
                self.refused.replace(refused);
                counters.reloads_refused.fetch_add(1, Ordering::Relaxed);
                let kind = Kind::ReloadRefused;
                let advice = kind.advice_on("configuration");
                tracing::error!(%errors, kind = kind.as_str(), advice, "the configuration was not reloaded; the old one stays in force");
                return Err(errors);
            }
        };
        self.refused.take();
        let old = self.loaded.replace(loaded);
        let config = &self.loaded.borrow().config;
        self.memory.keep_secret(config);
        if let Err(error) = self.shared.access_log.follow(&config.access_log) {
            tracing::error!(%error, "no thread for the access log: its lines are dropped");
        }
        let rate = memory::per_second(config.keys.unproven_rate);
        self.shared.verdicts.retune(rate);
        self.knowledge.borrow_mut().follow(&old.config, config);
        self.follow_files(&old.config, config);
        number_projects(&self.metrics.ledger, config);
        // Before anybody dials a server that is new.
        self.shared.trust.take_up(config, &self.metrics);
        self.put_in_force();
        self.shared.cache.limit(cached::limits(&config.cache));
        if old.config.cache.paths != config.cache.paths
            || old.config.upstream.web != config.upstream.web
        {
            self.shared.cache.clear();
        }
        let (was, is) = (&old.config.client_ip, &config.client_ip);
        if was.trusted_proxies != is.trusted_proxies || was.header != is.header {
            let resolved = self.metrics.resolved();
            self.shared.sightings.begin_anew(resolved);
        }
        if old.config.sentry != config.sentry {
            self.ask_sentry();
        } else {
            self.ask_for_named();
        }
        self.renewing.all();
        counters.reloads_applied.fetch_add(1, Ordering::Relaxed);
        counters
            .last_reload_success_s
            .store(process::now_s(), Ordering::Relaxed);
        let needs_restart = self.needs_restart();
        if needs_restart.is_empty() {
            tracing::info!("configuration reloaded");
        } else {
            tracing::warn!(
                ?needs_restart,
                "configuration reloaded; some keys count at the next start only"
            );
        }
        Ok(Reloaded { needs_restart })
    }

    /// A configuration whose old DSNs lead to none but the Sentrys that this process knows: what
    /// came for another would have nowhere to go.
    fn within_reach(&self, loaded: Loaded) -> Result<Loaded, Errors> {
        let Some(name) = loaded.config.leads_beyond(&self.started) else {
            return Ok(loaded);
        };
        let message = format!(
            "dsn_map leads to the mirror {name:?}, which begins at the next start; restart, or take \
             the program over"
        );
        let file = loaded
            .file
            .as_deref()
            .map(|file| file.display().to_string());
        let place = Place::File(file.unwrap_or_default());
        Err(Errors(vec![ConfigError { place, message }]))
    }

    /// The keys that run otherwise than the file now says, until a restart.
    pub(crate) fn needs_restart(&self) -> Vec<&'static str> {
        config::needs_restart(&self.started, &self.loaded.borrow().config)
    }

    /// Makes the rules anew from what is configured and what is known.
    fn put_in_force(&self) {
        let before = self.shared.rules.load_full();
        let rules = Rules::new(
            &self.loaded.borrow().config,
            Some(&before),
            &self.knowledge.borrow(),
            &self.shared.counters,
        );
        self.shared.rules.store(Arc::new(rules));
        self.retired.borrow_mut().push(before);
    }

    /// Frees rules that nobody goes by any more, now and then. Here and not where they were last
    /// used: that is a worker, and to free a million keys takes longer than its clients should
    /// wait. There are as many as there were reloads during the longest request under way.
    pub(crate) async fn keep_retiring(self: Rc<Self>) {
        loop {
            sleep(RETIRE_EVERY).await;
            let mut retired = self.retired.borrow_mut();
            retired.retain(|rules| Arc::strong_count(rules) > 1);
        }
    }

    /// Takes up Sentry's list of its keys.
    fn knows(&self, list: Arc<KeyList>) {
        if let Some(sentry) = &self.config().sentry {
            self.memory.keep_list(&sentry.url, &list);
        }
        let before = self
            .knowledge
            .borrow_mut()
            .listed
            .replace(Arc::clone(&list));
        // A list that says the same changes nothing; most do.
        if before.is_none_or(|before| before.keys != list.keys) {
            self.put_in_force();
            self.ask_for_named();
        }
    }

    /// Reads Sentry's list, and asks it for states, from now on, as configured.
    pub(crate) fn ask_sentry(self: &Rc<Self>) {
        self.stop_asking_sentry();
        self.ask_for_states();
        self.list_keys();
    }

    fn list_keys(self: &Rc<Self>) {
        let sentry = self.loaded.borrow().config.sentry.clone();
        let both = sentry.and_then(|sentry| Some((sentry.token.clone()?, sentry)));
        let Some((token, sentry)) = both else {
            return;
        };
        let known = self.knowledge.borrow().listed.clone();
        let standing = known.map_or_else(Standing::default, |list| Standing::of(&list));
        self.standing.store(Arc::new(standing));
        let source = Source {
            server: sentry.url,
            prefix: String::new(),
            token,
            interval: sentry.interval,
            bounds: Bounds::default(),
            trust: Arc::clone(&self.shared.trust),
        };
        let own = Rc::clone(self);
        let listing = keep_listing(source, Arc::clone(&self.standing), move |list| {
            own.knows(list);
        });
        let task = tokio::task::spawn_local(listing);
        *self.listing.borrow_mut() = Some(task.abort_handle());
    }

    /// Asks Sentry no more.
    pub(crate) fn stop_asking_sentry(&self) {
        self.stop_asking();
        if let Some(before) = self.listing.borrow_mut().take() {
            before.abort();
        }
    }

    /// The configuration of the start.
    pub(crate) fn started(&self) -> &Config {
        &self.started
    }

    /// Whether the last reload was refused for the file itself: the old configuration is in force, and the file
    /// would not do for a start.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.borrow().is_some()
    }

    /// The first error of the file that was refused, if one was: where it is, and what.
    pub(crate) fn refused(&self) -> Option<String> {
        self.refused.borrow().clone()
    }

    /// How Sentry's list of keys stands; `None` where no Sentry is asked for one.
    pub(crate) fn standing(&self) -> Option<Arc<Standing>> {
        let config = self.config();
        let lists = config.sentry.as_ref().is_some_and(|it| it.token.is_some());
        lists.then(|| self.standing.load_full())
    }

    /// Writes down whether the upstream is being worked on.
    pub(crate) fn keep_maintenance(&self) {
        self.memory.keep_maintenance(&self.shared.maintenance);
    }

    /// Writes down whether the spool is paused. False: a restart will not know.
    pub(crate) fn keep_pause(&self) -> bool {
        self.memory.keep_pause(&self.shared.spool.state().pause)
    }

    /// The configuration in force. Not to be held while anything is waited for: a reload
    /// would panic.
    pub(crate) fn config(&self) -> Ref<'_, Config> {
        Ref::map(self.loaded.borrow(), |loaded| &loaded.config)
    }
}

/// Gives the projects that an operator lists their numbers in the books.
pub(crate) fn number_projects(ledger: &Ledger, config: &Config) {
    ledger.resize(usize::try_from(config.metrics.projects_max).unwrap_or(usize::MAX));
    let listed: Vec<ProjectId> = config.projects.iter().map(|project| project.id).collect();
    ledger.reserve(&listed);
}

/// Reads the configuration again at each SIGHUP.
pub(crate) async fn reload_on_hangup(hangup: io::Result<Signal>, reloader: Rc<Reloader>) {
    let Ok(mut hangup) = hangup else {
        tracing::warn!("SIGHUP cannot be caught; reload through the admin API instead");
        return;
    };
    while hangup.recv().await.is_some() {
        // What went wrong has been logged, and the old configuration stands.
        reloader.reload().ok();
    }
}

/// Reads the configuration again when its file has changed.
pub(crate) async fn watch_file(reloader: Rc<Reloader>) {
    let Some(file) = reloader.loaded.borrow().file.clone() else {
        return;
    };
    let mut seen = reloader.loaded.borrow().digest;
    let mut refused = None;
    loop {
        sleep(LOOK_EVERY).await;
        let Some(digest) = digest_of(&file) else {
            continue;
        };
        let in_force = reloader.loaded.borrow().digest;
        let settled = digest == seen;
        seen = digest;
        if settled && digest == in_force {
            // What was in it was taken back: it would do for a start again.
            reloader.refused.take();
            refused = None;
        }
        if settled && digest != in_force && refused != Some(digest) {
            refused = reloader.reload().err().map(|_| digest);
        }
    }
}

fn digest_of(file: &Path) -> Option<u64> {
    std::fs::read(file).ok().map(|bytes| config::digest(&bytes))
}
