//! What an operator drops: out of the queue at once, overwritten on disk piece by piece, so
//! that what comes meanwhile is not held up. Owns what has yet to be overwritten, and who
//! waits to hear that it is; what goes no further is booked here once it is gone.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::oneshot;

use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;
use crate::policy::replay::Held;

use super::clerk::Clerk;
use super::holds::Stowed;
use super::log::Place;

/// Requests of one file that are overwritten in one go, and their bytes: that takes three
/// syncs of the disk, so some milliseconds, of which any request that comes waits one turn.
const RECORDS_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: u64 = 1 << 20;

/// What has yet to be overwritten. Its requests were kept, so it is bounded as what is kept
/// is; its orders are, by the queue that they came in.
#[derive(Debug, Default)]
pub(super) struct Erasing {
    queue: VecDeque<Held<Stowed>>,
    /// Large bodies of what left the queue are still there.
    wiping: bool,
    /// As many as ever left the queue.
    left: u64,
    waiting: VecDeque<Waiting>,
}

/// Somebody who waits until so many have left the queue.
#[derive(Debug)]
struct Waiting {
    until: u64,
    dropped: u64,
    told: oneshot::Sender<u64>,
}

impl Erasing {
    /// How many requests are still there.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is left to be done, and nobody to be told.
    pub(super) fn is_over(&self) -> bool {
        self.queue.is_empty() && !self.wiping && self.waiting.is_empty()
    }

    /// These are nobody else's any more.
    pub(super) fn add(&mut self, dropped: Vec<Held<Stowed>>) {
        // An empty queue takes them as they lie.
        self.queue.append(&mut dropped.into());
    }

    /// As many of the first as lie in one file, and go in one go.
    fn batch(&mut self, inline_bytes_max: u64) -> Vec<Held<Stowed>> {
        let Some(first) = self.queue.front().map(|first| first.place.lies) else {
            return Vec::new();
        };
        let mut bytes = 0;
        let fits = |held: &&Held<Stowed>| {
            let before = bytes;
            // Its large body is another matter.
            bytes += u64::from(held.bytes).min(inline_bytes_max);
            before == 0 || (bytes <= BYTES_AT_ONCE && held.place.lies.is_beside(first))
        };
        let queue = self.queue.iter().take(RECORDS_AT_ONCE);
        let count = queue.take_while(fits).count();
        self.left += u64::try_from(count).unwrap_or(u64::MAX);
        self.queue.drain(..count).collect()
    }

    /// Tells those whose requests are gone.
    fn tell(&mut self) {
        while let Some(first) = self.waiting.pop_front() {
            if first.until > self.left {
                self.waiting.push_front(first);
                return;
            }
            // Who waits no longer need not know.
            first.told.send(first.dropped).ok();
        }
    }
}

impl Clerk {
    /// Drops what is kept of a project, or of all, and says how many requests that were once
    /// they are overwritten. What is being sent is dropped unless the upstream takes it.
    pub(super) fn purge(&mut self, project: Option<ProjectId>, told: oneshot::Sender<u64>) {
        // What cannot even be read, and what is under way.
        let mut others = self.carry_for_purge(project);
        let projects = match project {
            Some(project) => vec![Some(project)],
            None => {
                let all = self.held.summary();
                all.iter().map(|held| held.project).collect()
            }
        };
        let mut all = Vec::new();
        for project in projects {
            all.extend(self.held.drop_project(project));
            for (order, going) in &mut self.going {
                let held = self.held.going(*order);
                if !going.purged && held.is_some_and(|held| held.project == project) {
                    going.purged = true;
                    others += 1;
                }
            }
        }
        // Each file is done with before the next is touched. A project's lanes come in order,
        // which this sort makes use of: of a million records that is some ten milliseconds.
        all.sort_by_key(|held| held.place.lies);
        let dropped = u64::try_from(all.len()).unwrap_or(u64::MAX) + others;
        let erasing = &mut self.erasing;
        erasing.add(all);
        let waits_for = u64::try_from(erasing.queue.len()).unwrap_or(u64::MAX);
        erasing.waiting.push_back(Waiting {
            until: erasing.left + waits_for,
            dropped,
            told,
        });
    }

    /// Overwrites the next of what was dropped.
    pub(super) fn erase_some(&mut self) {
        if self.erasing.is_over() {
            return;
        }
        if !self.erasing.wiping {
            let inline_bytes_max = self.log.limits().inline_bytes_max.into();
            let batch = self.erasing.batch(inline_bytes_max);
            self.erase(&batch);
        }
        self.erasing.wiping = self.log.wipe(BYTES_AT_ONCE).unwrap_or_else(|error| {
            tracing::error!(%error, "the body of a dropped request cannot be overwritten");
            // The next one may be.
            true
        });
        self.state.erased.fetch_add(1, Relaxed);
        if !self.erasing.wiping {
            // Large bodies have their names until their acks are on disk.
            self.log.flush_acks();
            self.erasing.tell();
        }
    }

    fn erase(&mut self, batch: &[Held<Stowed>]) {
        // While they can still be read.
        let read: Vec<_> = batch.iter().map(|held| self.look_into(held)).collect();
        let places: Vec<Place> = batch.iter().map(|held| held.place.lies).collect();
        if let Err(error) = self.log.erase(&places) {
            tracing::error!(%error, "dropped requests cannot be overwritten");
            for place in places {
                self.log.ack(place);
            }
        }
        for (held, read) in batch.iter().zip(read) {
            self.book_gone(held, read, Reason::SpoolPurged);
        }
    }
}
