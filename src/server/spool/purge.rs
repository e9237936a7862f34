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
use super::log::{Log, Place, RealDisk};

/// Requests of one file that are overwritten in one go, and their bytes: that takes three
/// syncs of the disk, so some milliseconds, of which any request that comes waits one turn.
const RECORDS_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: u64 = 1 << 20;

/// Knows where in the log it lies.
pub(in crate::server) trait Lies: Copy {
    /// Where.
    fn lies(&self) -> Place;
}

impl Lies for Place {
    fn lies(&self) -> Place {
        *self
    }
}

impl Lies for Stowed {
    fn lies(&self) -> Place {
        self.lies
    }
}

/// What has yet to be overwritten. Its requests were kept, so it is bounded as what is kept
/// is; its orders are, by the queue that they came in.
#[derive(Debug)]
pub(in crate::server) struct Erasing<P> {
    queue: VecDeque<Held<P>>,
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

impl<P> Default for Erasing<P> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            wiping: false,
            left: 0,
            waiting: VecDeque::new(),
        }
    }
}

impl<P: Lies> Erasing<P> {
    /// How many requests are still there.
    pub(in crate::server) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is left to be done, and nobody to be told.
    pub(in crate::server) fn is_over(&self) -> bool {
        self.queue.is_empty() && !self.wiping && self.waiting.is_empty()
    }

    /// These are nobody else's any more.
    pub(in crate::server) fn add(&mut self, dropped: Vec<Held<P>>) {
        // An empty queue takes them as they lie.
        self.queue.append(&mut dropped.into());
    }

    /// Somebody waits until all that is there is overwritten, and is told how many were dropped.
    pub(in crate::server) fn waits(&mut self, dropped: u64, told: oneshot::Sender<u64>) {
        let waits_for = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
        self.waiting.push_back(Waiting {
            until: self.left + waits_for,
            dropped,
            told,
        });
    }

    /// What goes next. Nothing while large bodies of the last are being overwritten.
    pub(in crate::server) fn next(&mut self, log: &Log<RealDisk>) -> Vec<Held<P>> {
        match self.wiping {
            true => Vec::new(),
            false => self.batch(log.limits().inline_bytes_max.into()),
        }
    }

    /// Overwrites some of the large bodies; once none is left, those are told who wait.
    pub(in crate::server) fn wipe(&mut self, log: &mut Log<RealDisk>) {
        self.wiping = log.wipe(BYTES_AT_ONCE).unwrap_or_else(|error| {
            tracing::error!(%error, "the body of a dropped request cannot be overwritten");
            // The next one may be.
            true
        });
        if !self.wiping {
            // Large bodies have their names until their acks are on disk.
            log.flush_acks();
            self.tell();
        }
    }

    /// As many of the first as lie in one file, and go in one go.
    fn batch(&mut self, inline_bytes_max: u64) -> Vec<Held<P>> {
        let Some(first) = self.queue.front().map(|first| first.place.lies()) else {
            return Vec::new();
        };
        let mut bytes = 0;
        let fits = |held: &&Held<P>| {
            let before = bytes;
            // Its large body is another matter.
            bytes += u64::from(held.bytes).min(inline_bytes_max);
            before == 0 || (bytes <= BYTES_AT_ONCE && held.place.lies().is_beside(first))
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
        self.erasing.add(all);
        self.erasing.waits(dropped, told);
    }

    /// Overwrites the next of what was dropped.
    pub(super) fn erase_some(&mut self) {
        if self.erasing.is_over() {
            return;
        }
        let batch = self.erasing.next(&self.log);
        self.erase(&batch);
        self.erasing.wipe(&mut self.log);
        self.state.erased.fetch_add(1, Relaxed);
    }

    fn erase(&mut self, batch: &[Held<Stowed>]) {
        // While they can still be read.
        let read: Vec<_> = batch.iter().map(|held| self.look_into(held)).collect();
        overwrite(&mut self.log, batch);
        for (held, read) in batch.iter().zip(read) {
            self.book_gone(held, read, Reason::SpoolPurged);
        }
    }
}

/// Overwrites requests; where that fails they are done with all the same.
pub(in crate::server) fn overwrite<P: Lies>(log: &mut Log<RealDisk>, batch: &[Held<P>]) {
    let places: Vec<Place> = batch.iter().map(|held| held.place.lies()).collect();
    if let Err(error) = log.erase(&places) {
        tracing::error!(%error, "dropped requests cannot be overwritten");
        for place in places {
            log.ack(place);
        }
    }
}
