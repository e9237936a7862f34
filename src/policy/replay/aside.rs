//! Records that the upstream does not take while it takes others: such an event is ill,
//! not the upstream. Owns when one is set aside, and when it goes again: after all
//! others, and ever more seldom. Never gives one up: its age does.
//!
//! A failure speaks against a record if the upstream took another's event while it
//! rested, since its last failure at most. That the upstream merely says it is well is
//! a quarter of that: its health route may be answered by somebody who takes no events.

use std::collections::BTreeMap;

use super::super::breaker::WINDOW_MS;
use super::super::evidence::Lately;
use super::super::millis::Millis;
use super::lane::Lane;
use super::turns::Name;
use super::{AT_ONCE, Held, Replay, TRIES_MAX, UnderWay, backoff_ms};

/// So many may be set aside. Who finds no place stays where it is.
pub(super) const ASIDE_MAX: usize = 4096;

/// With so many points against it a record is set aside: five failures while others were taken,
/// more than a chance of an upstream that comes and goes.
const POINTS_MAX: u8 = 20;

/// The points of a failure while another was taken.
const POINTS_TOOK: u8 = 4;

/// The points of a failure while the upstream said that it is well.
const POINTS_HEALTHY: u8 = 1;

/// The first wait of one that is set aside: as long as the longest before.
const WAIT_MIN_MS: u64 = 60_000;

/// The longest: after the upstream was mended it arrives that much later at most.
const WAIT_MAX_MS: u64 = 600_000;

/// Beyond these nothing doubles any more.
const DOUBLINGS_MAX: u8 = 4;

/// How a record fared so far, in two bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tried {
    /// How often it failed.
    pub(super) times: u8,
    /// What speaks against it; from [`POINTS_MAX`] on how often it failed since it was set aside.
    pub(super) points: u8,
}

impl Tried {
    pub(super) const fn is_aside(self) -> bool {
        self.points >= POINTS_MAX
    }

    /// Once more.
    pub(super) fn failed(self) -> Self {
        Self {
            times: self.times.saturating_add(1).min(TRIES_MAX),
            ..self
        }
    }

    /// What a failure says against it.
    fn judged(self, now: Millis, lately: Lately) -> Self {
        let points = match self.is_aside() {
            true => self.points.min(POINTS_MAX + DOUBLINGS_MAX - 1) + 1,
            false => (self.points + points(self, now, lately)).min(POINTS_MAX),
        };
        Self { points, ..self }
    }

    fn wait_ms(self) -> u64 {
        match self.points.checked_sub(POINTS_MAX) {
            None => backoff_ms(self.times),
            Some(doublings) => {
                let doublings = u32::from(doublings.min(DOUBLINGS_MAX));
                (WAIT_MIN_MS << doublings).min(WAIT_MAX_MS)
            }
        }
    }
}

/// What speaks against a record that fails now: something was well within its last rest.
fn points(tried: Tried, now: Millis, lately: Lately) -> u8 {
    let rest_ms = backoff_ms(tried.times);
    let meanwhile = |at: Option<Millis>| at.is_some_and(|at| now.since(at) < rest_ms);
    match (meanwhile(lately.took), meanwhile(lately.healthy)) {
        (true, _) => POINTS_TOOK,
        (false, true) => POINTS_HEALTHY,
        (false, false) => 0,
    }
}

/// What became of a record that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed<P> {
    /// It is due again then.
    Rests(Millis),
    /// It was set aside just now. Told once of each.
    SetAside(Held<P>),
}

/// What the failure of a record that is under way says of its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// As much as any other's.
    Whole,
    /// Nothing new to who has heard all the others: it failed just as well a moment ago.
    Repeat,
    /// Nothing at all: it is set aside.
    Aside,
}

/// Those that are set aside, by when they are due.
#[derive(Debug)]
pub(super) struct Aside<P>(BTreeMap<(Millis, u64), (Held<P>, Tried)>);

impl<P: Copy> Aside<P> {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn is_full(&self) -> bool {
        self.0.len() >= ASIDE_MAX
    }

    pub(super) fn add(&mut self, held: &Held<P>, tried: Tried, due: Millis) {
        self.0.insert((due, held.order), (*held, tried));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Held<P>> {
        self.0.values().map(|(held, _)| held)
    }

    fn take_due(&mut self, now: Millis) -> Option<(Held<P>, Tried)> {
        let first = self.0.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(super) fn take(&mut self, order: u64) -> Option<Held<P>> {
        let key = *self.0.keys().find(|key| key.1 == order)?;
        self.0.remove(&key).map(|(held, _)| held)
    }

    /// Takes out those that are wanted, the oldest first, at most so many.
    pub(super) fn take_all(
        &mut self,
        most: usize,
        is_wanted: impl Fn(&Held<P>) -> bool,
    ) -> Vec<Held<P>> {
        let mut orders: Vec<u64> = self
            .iter()
            .filter(|held| is_wanted(held))
            .map(|held| held.order)
            .collect();
        orders.sort_unstable();
        orders.truncate(most);
        let wanted = |order: &u64| orders.binary_search(order).is_ok();
        let taken = self.0.extract_if(.., |key, _| wanted(&key.1));
        let mut taken: Vec<_> = taken.map(|(_, (held, _))| held).collect();
        taken.sort_unstable_by_key(|held| held.order);
        taken
    }

    /// When the oldest of each project was taken in.
    pub(super) fn oldest(&self) -> BTreeMap<Name, u64> {
        let mut oldest = BTreeMap::new();
        for held in self.iter() {
            let at = oldest.entry(held.project).or_insert(held.at);
            *at = held.at.min(*at);
        }
        oldest
    }
}

impl<P: Copy> Replay<P> {
    /// An attempt failed, and its upstream was seen to do this lately: the record waits as for
    /// [`again`](Self::again), or is set aside. `None`: none of that order is under way.
    pub fn failed(&mut self, now: Millis, order: u64, lately: Lately) -> Option<Failed<P>> {
        let UnderWay {
            held,
            tried: before,
        } = self.under_way.remove(&order)?;
        let mut tried = before.judged(now, lately).failed();
        if tried.is_aside() && !before.is_aside() && self.aside.is_full() {
            tried.points = POINTS_MAX - 1;
        }
        let due = now.plus(tried.wait_ms());
        self.return_to_wait(&held, tried, due);
        match tried.is_aside() && !before.is_aside() {
            true => Some(Failed::SetAside(held)),
            false => Some(Failed::Rests(due)),
        }
    }

    /// What goes next of those that are set aside, where [`next`](Self::next) has nothing and the
    /// upstream is known to be well: what they meet says nothing of it.
    pub fn next_aside(&mut self, now: Millis) -> Option<Held<P>> {
        if self.paused {
            return None;
        }
        // Each turn of this hands one out, or puts it off beyond now.
        while let Some((held, tried)) = self.aside.take_due(now) {
            let paused = self.paused_until(held.project, held.lane);
            if paused > now {
                self.aside.add(&held, tried, paused);
                continue;
            }
            self.under_way.insert(held.order, UnderWay { held, tried });
            return Some(held);
        }
        None
    }

    /// How many are set aside, but for those under way.
    #[must_use]
    pub fn aside(&self) -> usize {
        self.aside.len()
    }

    /// What the failure of a record that is under way would say of its upstream. One that was
    /// taken in so short a time ago comes from a client whose own attempt has just failed.
    #[must_use]
    pub fn weight(&self, order: u64, age_ms: u64) -> Weight {
        let tried = self.under_way.get(&order).map(|other| other.tried);
        let tried = tried.unwrap_or_default();
        let rested_ms = match tried.times {
            0 => age_ms,
            times => backoff_ms(times),
        };
        match (tried.is_aside(), rested_ms < WINDOW_MS) {
            (true, _) => Weight::Aside,
            (false, true) => Weight::Repeat,
            (false, false) => Weight::Whole,
        }
    }

    /// Until when nothing of a lane of a project goes; in the past where it does.
    #[must_use]
    pub fn paused_until(&self, project: Name, lane: Lane) -> Millis {
        let project = self.projects.get(&project);
        project.map_or(AT_ONCE, |found| found.paused_until(lane))
    }
}
