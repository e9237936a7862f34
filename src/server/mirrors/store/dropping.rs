//! How copies leave a store that an operator drops: out of the queue at once, overwritten piece by
//! piece.

use tokio::sync::oneshot;

use crate::domain::endpoint::ProjectId;
use crate::policy::replay::Held;
use crate::telemetry::labels::MirrorLoss;

use super::Store;
use crate::server::spool::log::Place;
use crate::server::spool::purge::overwrite;

impl Store {
    /// Drops what is kept of a project, or all, and says how many requests that were once they are
    /// overwritten; `others` were dropped elsewhere. What is being sent is dropped unless the
    /// mirror takes it.
    pub(in crate::server::mirrors) fn drop_kept(
        &mut self,
        project: Option<ProjectId>,
        mut others: u64,
        told: oneshot::Sender<u64>,
    ) {
        let projects = match project {
            Some(project) => vec![Some(project)],
            None => {
                let all = self.held.summary(usize::MAX);
                all.iter().map(|held| held.project).collect()
            }
        };
        let mut all: Vec<Held<Place>> = Vec::new();
        for project in projects {
            all.extend(self.held.drop_project(project));
            for (order, dropped) in &mut self.going {
                let held = self.held.going(*order);
                if !*dropped && held.is_some_and(|held| held.project == project) {
                    *dropped = true;
                    others += 1;
                }
            }
        }
        // Each file is done with before the next is touched.
        all.sort_by_key(|held| held.place);
        let dropped = u64::try_from(all.len()).unwrap_or(u64::MAX) + others;
        self.erasing.add(all);
        self.erasing.waits(dropped, told);
        self.publish();
    }

    /// Overwrites the next of what was dropped, and says whether there is more.
    pub(in crate::server::mirrors) fn erase_some(&mut self) -> bool {
        if self.erasing.is_over() {
            return false;
        }
        let batch = self.erasing.next(&self.log);
        overwrite(&mut self.log, &batch);
        let requests = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.counts.loses(MirrorLoss::Dropped, requests);
        // Before anybody is told.
        self.publish();
        self.erasing.wipe(&mut self.log);
        !self.erasing.is_over()
    }

    /// Nobody sends again what was dropped while it was being sent: not the next process, either.
    pub(super) fn erase_all(&mut self) {
        for order in std::mem::take(&mut self.going) {
            if let (order, true) = order
                && let Some(held) = self.held.done(order)
            {
                self.erasing.add(vec![held]);
            }
        }
        while self.erase_some() {}
    }
}
