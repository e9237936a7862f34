//! Who has a mirror's store, from its opening to the end: this process, or the one before or after
//! it. Never sends anything.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::telemetry::labels::MirrorLoss;

use super::store::{NoStore, Store};
use super::thread::{BATCH_MAX, Desk, REST};
use super::{Mirrors, Twin};
use crate::server::worker::InForce;

/// How long a stop, and giving the store away, wait for what is under way: what is not answered
/// by then is kept.
const PATIENCE: Duration = Duration::from_secs(2);

impl Desk {
    /// Tidies the store, or takes it where it is to be had.
    pub(super) fn tidy(&self, rules: &InForce) {
        let mirror = self.mirror(rules);
        if let Some(store) = &mut *self.store.borrow_mut() {
            return store.tidy(&mirror.spool);
        }
        if self.leaving.get().is_some() {
            return;
        }
        let Some(path) = self.path() else {
            return;
        };
        match Store::open(&path, &mirror.spool, &self.counts) {
            Ok(store) => {
                self.told.set(false);
                self.store.replace(Some(store));
                self.awaited.set(false);
                self.keep(rules, self.left.take());
            }
            Err(error) => {
                self.awaited.set(matches!(error, NoStore::Busy));
                if !self.awaited.get() {
                    self.keep(rules, self.left.take());
                }
                if !self.told.replace(true) {
                    let mirror = &mirror.name;
                    match error {
                        NoStore::Busy => tracing::info!(
                            mirror,
                            "the process before has what is kept for a mirror: it is asked for again"
                        ),
                        NoStore::Io(error) => {
                            tracing::error!(%error, mirror, "nothing can be kept for a mirror")
                        }
                    }
                }
            }
        }
    }

    /// Gives the store to the heir, and with it what waits and what is not answered soon. What
    /// the last clients of this process send later is sent by it, or lost.
    pub(super) fn give_away(&self, rules: &InForce, waiting: impl FnOnce() -> Vec<Twin>) {
        let since = self.leaving.get().unwrap_or_else(Instant::now);
        self.leaving.set(Some(since));
        let is_idle = self.fresh.borrow().is_empty() && self.kept.get() == 0;
        if self.store.borrow().is_none() || !is_idle && since.elapsed() < PATIENCE {
            return;
        }
        let waiting = waiting().into_iter().map(|twin| (Rc::new(twin), false));
        let under_way = self.fresh.take().into_values().map(|twin| (twin, true));
        self.keep_last(rules, under_way.chain(waiting).collect());
        if let Some(store) = self.store.take() {
            store.close();
        }
    }

    /// Where what this mirror does not take is kept: beside the first Sentry's, if that is.
    fn path(&self) -> Option<PathBuf> {
        let folder = self.worker.shared.spool.folder();
        let kept = !folder.as_os_str().is_empty();
        kept.then(|| Mirrors::folder(&folder).join(&self.counts.name))
    }

    /// Ends: what is under way may still be answered, and all else is kept.
    pub(super) async fn close(
        self: &Rc<Self>,
        next: VecDeque<Twin>,
        taken: &mut mpsc::Receiver<Twin>,
    ) {
        let rules = self.worker.rules();
        // Nothing comes any more: workers have ended.
        taken.close();
        self.keep_last(&rules, self.left.take());
        let mut left: Vec<_> = next
            .into_iter()
            .map(|twin| (Rc::new(twin), false))
            .collect();
        while let Ok(twin) = taken.try_recv() {
            left.push((Rc::new(twin), false));
            if left.len() == BATCH_MAX {
                self.keep_last(&rules, std::mem::take(&mut left));
            }
        }
        self.keep_last(&rules, left);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && self.fresh.borrow().len() + self.kept.get() > 0 {
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep(REST) => {}
            }
        }
        let under_way = self.fresh.take().into_values();
        let under_way: Vec<_> = under_way.map(|twin| (twin, true)).collect();
        self.keep_last(&rules, under_way);
        if let Some(store) = self.store.take() {
            store.close();
        }
    }

    fn keep_last(&self, rules: &InForce, twins: Vec<(Rc<Twin>, bool)>) {
        match &mut *self.store.borrow_mut() {
            Some(store) => store.keep(twins, self.bounds(rules)),
            None => {
                let requests = u64::try_from(twins.len()).unwrap_or(u64::MAX);
                self.counts.loses(MirrorLoss::Stopped, requests);
            }
        }
    }
}
