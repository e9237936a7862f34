//! What Sentry and Relay's files tell of projects, as the reloader takes it up: begins and ends
//! the asking, and makes rules of what has changed.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::{Instant, sleep};

use super::{LOOK_EVERY, Reloader};
use crate::config::Config;
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::domain::project_state::ProjectState;
use crate::server::sentry::states::files::{self, Files};
use crate::server::sentry::states::keep::{Keeper, Standing};
use crate::server::sentry::states::known::{Known, Teller, projects};
use crate::server::sentry::states::{Bounds, Source};

impl Reloader {
    /// Asks Sentry for the states of keys from now on, as configured.
    pub(super) fn ask_for_states(self: &Rc<Self>) {
        let sentry = self.loaded.borrow().config.sentry.clone();
        let both = sentry.and_then(|sentry| Some((sentry.credentials.clone()?, sentry)));
        let Some((credentials, sentry)) = both else {
            self.keeper.replace(None);
            return;
        };
        let source = Source {
            server: sentry.url,
            credentials,
            interval: sentry.interval,
            bounds: Bounds::default(),
            trust: Arc::clone(&self.shared.trust),
        };
        self.states.store(Arc::default());
        let known = self.knowledge.borrow().states.clone();
        let keeper = Keeper::new(
            source,
            Arc::clone(&self.shared),
            Arc::clone(&self.states),
            known.map_or_else(Known::default, |known| Known::clone(&known)),
            &self.named(),
        );
        let keeper = Rc::new(keeper);
        let (takes, writes) = (Rc::clone(self), Rc::clone(self));
        let keeping = Rc::clone(&keeper);
        let task = tokio::task::spawn_local(async move {
            keeping
                .keep(
                    move |known| takes.take_up(known),
                    move || writes.keep_states(),
                )
                .await;
        });
        self.keeper.replace(Some((keeper, task.abort_handle())));
    }

    /// Asks for states no more.
    pub(super) fn stop_asking(&self) {
        if let Some((_, task)) = self.keeper.borrow_mut().take() {
            task.abort();
        }
    }

    /// Asks for the keys that are named since, too.
    pub(super) fn ask_for_named(&self) {
        if let Some((keeper, _)) = &*self.keeper.borrow() {
            keeper.name(&self.named());
        }
    }

    /// Every key that somebody names: the configuration, or Sentry's list.
    fn named(&self) -> Vec<Key> {
        let config = self.config();
        let configured = config.projects.iter().flat_map(|project| &project.keys);
        let knowledge = self.knowledge.borrow();
        let listed = knowledge.listed.iter().flat_map(|list| &list.keys);
        let configured = configured.map(|key| key.key);
        configured.chain(listed.map(|listed| listed.key)).collect()
    }

    fn take_up(&self, known: Known) {
        let (states, began) = (known.states.len(), Instant::now());
        self.knowledge.borrow_mut().states = Some(Arc::new(known));
        self.put_in_force();
        let took = began.elapsed();
        tracing::debug!(states, ?took, "what Sentry says of projects is in force");
    }

    /// False: not now.
    fn keep_states(&self) -> bool {
        let (config, knowledge) = (self.config(), self.knowledge.borrow());
        let both = config.sentry.as_ref().zip(knowledge.states.as_ref());
        both.is_none_or(|(sentry, known)| self.memory.keep_states(&sentry.url, known))
    }

    /// How states stand; `None` where Sentry is not asked for any.
    pub(crate) fn states(&self) -> Option<Arc<Standing>> {
        let asks = self.keeper.borrow().is_some();
        asks.then(|| self.states.load_full())
    }

    /// What could not be read of Relay's files, in words.
    pub(crate) fn file_faults(&self) -> Vec<String> {
        let knowledge = self.knowledge.borrow();
        let files = knowledge.files.as_ref();
        files.map_or_else(Vec::new, |files| files.faults.clone())
    }

    /// Whether `strict` acts as `learn` does for want of what Relay's files say.
    pub(crate) fn awaits_files(&self) -> bool {
        self.knowledge.borrow().awaits_files(&self.config())
    }

    /// What is told of a project, and by whom.
    pub(crate) fn told_of<T>(
        &self,
        project: ProjectId,
        tell: impl FnOnce(Teller, &ProjectState) -> T,
    ) -> Option<T> {
        let config = self.config();
        let knowledge = self.knowledge.borrow();
        let files = knowledge.files.as_deref().map(|files| &files.known);
        let files = files.filter(|_| config.project_files.is_some());
        let asks = config
            .sentry
            .as_ref()
            .is_some_and(|it| it.credentials.is_some());
        let sentry = knowledge.states.as_deref().filter(|_| asks);
        let all = projects(files, sentry);
        let told = all.get(&project)?;
        Some(tell(told.teller, told.state))
    }

    /// What Relay's files said last; `None`: they were not read yet.
    fn files(&self) -> Option<Arc<Files>> {
        self.knowledge.borrow().files.clone()
    }

    /// Takes up what Relay's files say.
    pub(super) fn take_up_files(&self, files: Files) {
        if !files.faults.is_empty() {
            let faults = files.faults.join("; ");
            tracing::warn!(faults, "not all of sentry.projects can be read");
        }
        let files = Arc::new(files);
        let before = self
            .knowledge
            .borrow_mut()
            .files
            .replace(Arc::clone(&files));
        let same =
            |before: Arc<Files>| before.known == files.known && before.unread == files.unread;
        if !before.is_some_and(same) {
            self.put_in_force();
        }
    }

    /// Takes up the folder of a configuration that is new.
    pub(super) fn follow_files(&self, before: &Config, now: &Config) {
        if before.project_files != now.project_files {
            let folder = now.project_files.as_deref();
            let files = folder.map(|folder| Arc::new(files::read(folder, None)));
            self.knowledge.borrow_mut().files = files;
        }
    }
}

/// Reads Relay's files again when one has changed, after two equal looks, as with the
/// configuration's own.
pub(crate) async fn watch_project_files(reloader: Rc<Reloader>) {
    let mut seen: Option<(PathBuf, Option<u64>)> = None;
    let mut taken = seen.clone();
    loop {
        let folder = reloader.config().project_files.clone();
        if let Some(folder) = folder {
            let looked_at = folder.clone();
            let digest = tokio::task::spawn_blocking(move || files::digest(&looked_at)).await;
            let now = Some((folder.clone(), digest.ok().flatten()));
            let settled = now == seen;
            seen.clone_from(&now);
            if settled && now != taken {
                taken = now;
                let (of, before) = (folder.clone(), reloader.files());
                let read = move || files::read(&folder, before.as_deref());
                let read = tokio::task::spawn_blocking(read).await;
                // Meanwhile a reload may have named another folder, and read it.
                let still = reloader.config().project_files.as_ref() == Some(&of);
                if let (Ok(files), true) = (read, still) {
                    reloader.take_up_files(files);
                }
            }
        }
        sleep(LOOK_EVERY).await;
    }
}
