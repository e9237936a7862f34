//! What an operator drops goes for the mirrors too: copies that wait, in memory and on disk, and
//! those under way once their attempt has failed. Owns who is told, and how many they were.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::{mpsc, oneshot};

use crate::domain::endpoint::ProjectId;
use crate::telemetry::labels::MirrorLoss;

use super::thread::Desk;
use super::{Mirrors, Twin};
use crate::server::spool::told_of_drop;

/// Orders that wait for a mirror's thread: operators are few.
pub(super) const DROPS_MAX: usize = 16;

/// Copies that are to be dropped.
#[derive(Debug)]
pub(crate) struct Dropping {
    /// Whose. `None`: everybody's.
    project: Option<ProjectId>,
    /// How many they were, once none of them is on disk.
    told: oneshot::Sender<u64>,
}

impl Mirrors {
    /// Drops the copies of a project, or all, and says how many once none of them is on disk; what
    /// is being sent is dropped unless its mirror takes it. `None`: a thread does not answer, and
    /// its copies may stay; the others have done it.
    pub(crate) async fn drop_copies(&self, project: Option<ProjectId>) -> Option<u64> {
        let each = self.all.iter().map(|mirror| {
            let (told, tells) = oneshot::channel();
            let sent = mirror.drops.try_send(Dropping { project, told });
            sent.ok().map(|()| (tells, &mirror.erased))
        });
        // All of them are asked before the first is waited for.
        let asked: Vec<_> = each.collect();
        let mut all = Some(0);
        for asked in asked {
            let dropped = match asked {
                Some((tells, erased)) => told_of_drop(tells, erased).await,
                None => None,
            };
            all = all
                .zip(dropped)
                .map(|(sum, dropped): (u64, u64)| sum + dropped);
        }
        all
    }
}

impl Desk {
    /// Drops what waits, and marks what is under way.
    pub(super) fn drop_copies(
        &self,
        Dropping { project, told }: Dropping,
        next: &mut VecDeque<Twin>,
        taken: &mut mpsc::Receiver<Twin>,
    ) {
        let is_its = |twin: &Twin| project.is_none() || twin.project == project;
        while let Ok(twin) = taken.try_recv() {
            next.push_back(twin);
        }
        let before = next.len();
        next.retain(|twin| !is_its(twin));
        let waited = count(before - next.len());
        self.counts.loses(MirrorLoss::Dropped, waited);
        // They are lost when they come to be kept.
        let (fresh, left) = (self.fresh.borrow(), self.left.borrow());
        let others = fresh.values().chain(left.iter().map(|(twin, _)| twin));
        let marked = others.filter(|twin| is_its(twin) && !twin.dropped.replace(true));
        let others = waited + count(marked.count());
        match &mut *self.store.borrow_mut() {
            Some(store) => store.drop_kept(project, others, told),
            // Nothing is kept, or it is another process's by now.
            None => _ = told.send(others),
        }
    }

    /// Overwrites some of what was dropped, and says whether there is more.
    pub(super) fn erase_some(&self) -> bool {
        let more = match &mut *self.store.borrow_mut() {
            Some(store) => store.erase_some(),
            None => return false,
        };
        if more {
            self.erased.fetch_add(1, Relaxed);
        }
        more
    }
}

fn count(twins: usize) -> u64 {
    u64::try_from(twins).unwrap_or(u64::MAX)
}
