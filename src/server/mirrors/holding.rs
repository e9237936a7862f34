//! Who has a mirror's store, from its opening to the end: this process, or the one before or after
//! it. Never sends anything.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::telemetry::labels::MirrorLoss;

use super::Twin;
use super::store::{NoStore, Store};
use super::thread::{BATCH_MAX, Desk, REST};
use crate::server::worker::InForce;

/// How long a stop waits for what is under way: what is not answered by then is kept.
const PATIENCE: Duration = Duration::from_secs(2);

impl Desk {
    /// Tidies the store; takes it where it is to be had, and gives it away where an heir is to
    /// have it.
    pub(super) fn tidy(&self, rules: &InForce) {
        let mirror = self.mirror(rules);
        if self.worker.is_leaving() {
            self.gone.set(true);
            // What is under way from it is told of before.
            if self.kept.get() == 0
                && let Some(store) = self.store.take()
            {
                store.close();
            }
            return;
        }
        if let Some(store) = &mut *self.store.borrow_mut() {
            return store.tidy(&mirror.spool);
        }
        if self.gone.get() {
            return;
        }
        let Some(path) = self.path() else {
            return;
        };
        match Store::open(&path, &mirror.spool, &self.counts) {
            Ok(store) => {
                self.told.set(false);
                self.store.replace(Some(store));
            }
            Err(error) => {
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

    /// Where what this mirror does not take is kept: beside the first Sentry's, if that is.
    fn path(&self) -> Option<PathBuf> {
        let folder = self.worker.shared.spool.folder();
        let kept = !folder.as_os_str().is_empty();
        kept.then(|| folder.join("mirrors").join(&self.counts.name))
    }

    /// Ends: what is under way may still be answered, and all else is kept.
    pub(super) async fn close(
        self: &Rc<Self>,
        next: Option<Twin>,
        taken: &mut mpsc::Receiver<Twin>,
    ) {
        let rules = self.worker.rules();
        // Nothing comes any more: workers have ended.
        taken.close();
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
