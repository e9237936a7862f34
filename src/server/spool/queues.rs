//! What is held, by the Sentry that is to have it. Each has a queue of its own, so that one that
//! is away holds up no other's; how many may be held they share. Never says how any of it fares:
//! `policy::replay` does.

use std::collections::BTreeMap;

use crate::domain::endpoint::ProjectId;
use crate::policy::evidence::Lately;
use crate::policy::millis::Millis;
use crate::policy::replay::{Failed, Held, NotHeld, ProjectHeld, Replay, Weight};
use crate::telemetry::labels::Upstream;

use super::holds::Stowed;

/// Who is to have a request. `None`: a Sentry that is not configured any more; it waits for that
/// one to come back, until it is too old.
pub(crate) type Destination = Option<Upstream>;

/// One queue for each upstream, and one for those that have none.
const PLACES: usize = Upstream::COUNT + 1;

/// All queues. A request is held in one of them, and no order is given twice.
#[derive(Debug)]
pub(super) struct Queues {
    /// Made when first needed: most edges have one Sentry.
    queues: [Option<Box<Replay<Stowed>>>; PLACES],
    records_max: usize,
}

fn place(to: Destination) -> usize {
    to.map_or(Upstream::COUNT, Upstream::index)
}

impl Queues {
    /// Nothing held, and never more than so many.
    pub(super) fn new(records_max: usize) -> Self {
        Self {
            queues: [const { None }; PLACES],
            records_max,
        }
    }

    fn each(&self) -> impl Iterator<Item = &Replay<Stowed>> {
        self.queues.iter().flatten().map(Box::as_ref)
    }

    fn each_mut(&mut self) -> impl Iterator<Item = &mut Replay<Stowed>> {
        self.queues.iter_mut().flatten().map(Box::as_mut)
    }

    fn to(&mut self, to: Destination) -> Option<&mut Replay<Stowed>> {
        self.queues.get_mut(place(to))?.as_deref_mut()
    }

    /// The queue of a request that is under way.
    pub(super) fn of(&mut self, order: u64) -> Option<&mut Replay<Stowed>> {
        let mut all = self.each_mut();
        all.find(|queue| queue.going(order).is_some())
    }

    /// Holds a request, which is under way already where somebody is sending it.
    ///
    /// # Errors
    /// As many are held as may be, or its order is taken.
    pub(super) fn push(
        &mut self,
        to: Destination,
        held: Held<Stowed>,
        under_way: bool,
    ) -> Result<(), NotHeld> {
        if self.is_full() {
            return Err(NotHeld::Full);
        }
        let records_max = self.records_max;
        let Some(queue) = self.queues.get_mut(place(to)) else {
            return Err(NotHeld::Full);
        };
        let queue = queue.get_or_insert_with(|| Box::new(Replay::new(records_max)));
        match under_way {
            true => queue.push_under_way(held),
            false => queue.push(held),
        }
    }

    /// What goes next to an upstream, if anything may; `well`: what it never takes may be tried.
    pub(super) fn next(&mut self, to: Upstream, now: Millis, well: bool) -> Option<Held<Stowed>> {
        let queue = self.to(Some(to))?;
        let next = queue.next(now);
        // They say nothing of the upstream: those that do go first.
        next.or_else(|| well.then(|| queue.next_aside(now)).flatten())
    }

    /// When something is due for an upstream, where nothing is now.
    pub(super) fn wakes_at(&mut self, to: Upstream) -> Option<Millis> {
        self.to(Some(to))?.wakes_at()
    }

    /// Who is to have a request that is under way.
    pub(super) fn destination(&self, order: u64) -> Destination {
        let all = self.queues.iter().enumerate();
        let mut going =
            all.filter_map(|(place, queue)| queue.as_ref()?.going(order).map(|_| place));
        let at = going.next()?;
        Upstream::all().find(|upstream| upstream.index() == at)
    }

    /// A request that is under way.
    pub(super) fn going(&self, order: u64) -> Option<Held<Stowed>> {
        self.each().find_map(|queue| queue.going(order))
    }

    /// An attempt ended for good.
    pub(super) fn done(&mut self, order: u64) -> Option<Held<Stowed>> {
        self.each_mut().find_map(|queue| queue.done(order))
    }

    /// An attempt failed, and says nothing against the request.
    pub(super) fn again(&mut self, now: Millis, order: u64) {
        if let Some(queue) = self.of(order) {
            queue.again(now, order, 0);
        }
    }

    /// An attempt failed, and its upstream was seen to do this lately.
    pub(super) fn failed(
        &mut self,
        now: Millis,
        order: u64,
        lately: Lately,
    ) -> Option<Failed<Stowed>> {
        self.of(order)?.failed(now, order, lately)
    }

    /// An attempt that does not count.
    pub(super) fn put_back(&mut self, order: u64) {
        if let Some(queue) = self.of(order) {
            queue.put_back(order);
        }
    }

    /// What its failure says of its upstream.
    pub(super) fn weight(&self, order: u64, age_ms: u64) -> Weight {
        let mut all = self.each();
        let own = all.find(|queue| queue.going(order).is_some());
        own.map_or(Weight::Whole, |queue| queue.weight(order, age_ms))
    }

    /// Takes out a request that waits.
    pub(super) fn withdraw(&mut self, held: &Held<Stowed>) -> Option<Held<Stowed>> {
        let mut all = self.each_mut();
        all.find_map(|queue| queue.withdraw(held.project, held.lane, held.order))
    }

    /// Gives up what is older than that, at most so many.
    pub(super) fn expire(
        &mut self,
        now_unix_ms: u64,
        max_age_ms: u64,
        most: usize,
    ) -> Vec<Held<Stowed>> {
        let mut expired = Vec::new();
        for queue in self.each_mut() {
            let left = most.saturating_sub(expired.len());
            expired.extend(queue.expire(now_unix_ms, max_age_ms, left));
        }
        expired
    }

    /// Gives up all that waits of a project.
    pub(super) fn drop_project(&mut self, project: Option<ProjectId>) -> Vec<Held<Stowed>> {
        let all = self.each_mut();
        all.flat_map(|queue| queue.drop_project(project)).collect()
    }

    /// Of which projects how much is held, the largest first.
    pub(super) fn summary(&self) -> Vec<ProjectHeld> {
        let mut all = self.each();
        let Some(first) = all.next() else {
            return Vec::new();
        };
        let mut summary = first.summary(usize::MAX);
        let others: Vec<_> = all.flat_map(|queue| queue.summary(usize::MAX)).collect();
        if !others.is_empty() {
            summary = merged(summary.into_iter().chain(others));
        }
        summary
    }

    /// Who is to have how many, and when the oldest of them was taken in, in Unix milliseconds.
    pub(super) fn by_destination(&self) -> Vec<(Destination, usize, u64)> {
        let all = self.queues.iter().enumerate();
        let held = all.filter_map(|(place, queue)| {
            let queue = queue.as_ref()?;
            let to = Upstream::all().find(|upstream| upstream.index() == place);
            Some((to, queue.len(), queue.oldest_at()?))
        });
        held.collect()
    }

    /// How many are held, those under way with them.
    pub(super) fn len(&self) -> usize {
        self.each().map(Replay::len).sum()
    }

    /// Whether none is.
    pub(super) fn is_empty(&self) -> bool {
        self.each().all(Replay::is_empty)
    }

    /// How many more may be.
    pub(super) fn room(&self) -> usize {
        self.records_max.saturating_sub(self.len())
    }

    /// Whether no more may be.
    pub(super) fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// When the oldest was taken in, in Unix milliseconds.
    pub(super) fn oldest_at(&self) -> Option<u64> {
        self.each().filter_map(Replay::oldest_at).min()
    }

    /// How many are set aside.
    pub(super) fn aside(&self) -> usize {
        self.each().map(Replay::aside).sum()
    }

    /// For which upstreams anything is held: a bit for each, by its index.
    pub(super) fn destinations(&self) -> u8 {
        let all = self.queues.iter().enumerate();
        let held = all.filter(|(_, queue)| queue.as_ref().is_some_and(|queue| !queue.is_empty()));
        held.fold(0, |bits, (place, _)| bits | 1 << place)
    }
}

/// One line for each project, wherever it goes.
fn merged(lines: impl Iterator<Item = ProjectHeld>) -> Vec<ProjectHeld> {
    let mut projects: BTreeMap<Option<ProjectId>, ProjectHeld> = BTreeMap::new();
    for line in lines {
        let sum = projects.entry(line.project).or_insert(ProjectHeld {
            records: 0,
            bytes: 0,
            ..line
        });
        sum.records += line.records;
        sum.bytes += line.bytes;
        sum.oldest_at = sum.oldest_at.min(line.oldest_at);
    }
    let mut all: Vec<_> = projects.into_values().collect();
    all.sort_by_key(|line| (std::cmp::Reverse(line.bytes), line.project));
    all
}

#[cfg(test)]
mod tests;
