//! What is held for later, and what of it goes next. Owns the order and the waits;
//! never reads the log in which the records lie, never sends one, never says how many
//! may be under way at once.
//!
//! Check-ins go first of all. Of the rest it is the turn of the project that has sent
//! least, and in it of the lane that has sent least for its importance; in one lane
//! the records are tried for the first time strictly in their order. One that failed
//! goes before those of its lane once it is due again, until it is seen that the upstream
//! takes all but that one: then it goes after all others.
//!
//! A record that waits takes 32 bytes where its place takes 8, and at most 40 with the
//! room that its queue keeps; one that is under way some hundred; a project of which
//! anything is held some 500 more. What is held is bounded by `records_max`, and so are
//! projects, of which each holds a record.
//!
//! Two clocks: `now` and what is derived from it only moves forward; when a record was
//! taken in is Unix time, since it outlives the process.

mod aside;
mod gone;
pub mod lane;
mod project;
mod queue;
mod summary;
mod turns;

use std::collections::BTreeMap;

use super::millis::Millis;
use crate::domain::endpoint::ProjectId;

use aside::{Aside, Tried};
use lane::{Lane, Lanes};
use project::{Course, Project};
use queue::Waiting;
use turns::{Name, Turns};

pub use aside::{Failed, Weight};
pub use summary::ProjectHeld;

/// The first wait of a record that failed.
const BACKOFF_MIN_MS: u64 = 1000;

/// The longest: a record that the upstream stumbles over is tried once a minute until it expires.
const BACKOFF_MAX_MS: u64 = 60_000;

/// Beyond these nothing doubles any more; also keeps the count in its byte.
const TRIES_MAX: u8 = 32;

/// Before the clock's start: for what need not be put off.
const AT_ONCE: Millis = Millis(0);

/// One record, as its owner tells of it. `P` is its place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held<P> {
    /// Where it lies.
    pub place: P,
    /// Its number in the order of arrival: no two have the same. Its handle too.
    pub order: u64,
    /// When it was taken in, in Unix milliseconds.
    pub at: u64,
    /// Whose it is, if that is known.
    pub project: Option<ProjectId>,
    /// How much it matters.
    pub lane: Lane,
    /// Its length.
    pub bytes: u32,
}

/// Why a record is not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// No more may be.
    #[error("as many records are held as may be")]
    Full,
    /// Its order was given to another.
    #[error("a record of that order is held")]
    Twice,
}

#[derive(Debug, Clone, Copy)]
struct UnderWay<P> {
    held: Held<P>,
    tried: Tried,
}

/// How long a record waits after it failed so often: 1 s, 2 s, 4 s and so on to 60 s.
#[must_use]
pub fn backoff_ms(tries: u8) -> u64 {
    let doublings = u32::from(tries.clamp(1, TRIES_MAX) - 1);
    (BACKOFF_MIN_MS << doublings).min(BACKOFF_MAX_MS)
}

/// All that is held. One owner; what it yields is a copy, the record stays held until
/// [`done`](Self::done).
#[derive(Debug)]
pub struct Replay<P> {
    projects: BTreeMap<Name, Project<P>>,
    under_way: BTreeMap<u64, UnderWay<P>>,
    aside: Aside<P>,
    check_ins: Turns,
    rest: Turns,
    paused: bool,
    records: usize,
    bytes: u64,
    records_max: usize,
}

impl<P: Copy> Replay<P> {
    /// Nothing held, and never more than so many.
    #[must_use]
    pub fn new(records_max: usize) -> Self {
        Self {
            projects: BTreeMap::new(),
            under_way: BTreeMap::new(),
            aside: Aside::new(),
            check_ins: Turns::default(),
            rest: Turns::default(),
            paused: false,
            records: 0,
            bytes: 0,
            records_max,
        }
    }

    /// Holds a record. In their order, as a recovery finds them, each takes the same short time; one
    /// that comes out of order is put in its place at the price of a move in memory.
    ///
    /// # Errors
    /// As many as may be are held, or its order is taken. Nothing changes: the caller, who should
    /// have refused before it wrote the record, still has it.
    pub fn push(&mut self, held: Held<P>) -> Result<(), NotHeld> {
        self.may_hold(&held)?;
        if !self.wait(&held, Tried::default(), AT_ONCE) {
            return Err(NotHeld::Twice);
        }
        self.count(&held);
        Ok(())
    }

    /// Holds a record of which an attempt is under way already, such as one that missed its
    /// deadline: it is not handed out until [`again`](Self::again), and [`done`](Self::done) where
    /// the answer came late but well.
    ///
    /// # Errors
    /// As [`push`](Self::push), but that an order which waits is not looked for.
    pub fn push_under_way(&mut self, held: Held<P>) -> Result<(), NotHeld> {
        self.may_hold(&held)?;
        self.project(held.project);
        let tried = Tried::default();
        self.under_way.insert(held.order, UnderWay { held, tried });
        self.count(&held);
        Ok(())
    }

    /// What goes next, if anything may. It is under way from now on, until [`done`](Self::done),
    /// [`again`](Self::again) or [`put_back`](Self::put_back).
    pub fn next(&mut self, now: Millis) -> Option<Held<P>> {
        if self.paused {
            return None;
        }
        Course::ALL
            .into_iter()
            .find_map(|course| self.next_of(now, course))
    }

    /// When [`next`](Self::next) is worth another call, where it had nothing: the next time that
    /// a wait or a pause is over. A record that comes or comes back is another reason.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Millis> {
        let wakes = [self.check_ins.wakes_at(), self.rest.wakes_at()];
        wakes.into_iter().flatten().min()
    }

    /// An attempt ended for good: the record is held no longer. `None`: none of that order is
    /// under way.
    pub fn done(&mut self, order: u64) -> Option<Held<P>> {
        let over = self.under_way.remove(&order)?;
        self.uncount(&over.held);
        Some(over.held)
    }

    /// An attempt failed, which says nothing against the record: it waits before all others of its lane for its next, which is due
    /// when [`backoff_ms`] is over, and not before `wait_ms_min`. Yields when that is; `None`: none
    /// of that order is under way.
    pub fn again(&mut self, now: Millis, order: u64, wait_ms_min: u64) -> Option<Millis> {
        let failed = self.under_way.remove(&order)?;
        let tried = failed.tried.failed();
        let due = now.plus(backoff_ms(tried.times).max(wait_ms_min));
        self.return_to_wait(&failed.held, tried, due);
        Some(due)
    }

    /// An attempt that does not count: it was never sent, or was met by a limit for which
    /// [`pause`](Self::pause) is the answer. The record waits as before. False: none of that order
    /// is under way.
    pub fn put_back(&mut self, order: u64) -> bool {
        let Some(back) = self.under_way.remove(&order) else {
            return false;
        };
        self.return_to_wait(&back.held, back.tried, AT_ONCE);
        true
    }

    /// Takes out a record that waits, such as one that was delivered after all. Costs a search, and
    /// a move in memory where it lies in the middle.
    pub fn withdraw(
        &mut self,
        project: Option<ProjectId>,
        lane: Lane,
        order: u64,
    ) -> Option<Held<P>> {
        let line = self.projects.get_mut(&project)?.lines.at_mut(lane);
        let held = match line.queue.take(order) {
            Some(taken) => told(&taken, project, lane),
            None => self.aside.take(order)?,
        };
        self.left(&held);
        Some(held)
    }

    /// Nothing of these lanes of a project goes until then; of two pauses the longer holds. A
    /// project of which nothing is held is not paused: its next record learns it anew.
    pub fn pause(&mut self, project: Option<ProjectId>, lanes: Lanes, until: Millis) {
        if let Some(found) = self.projects.get_mut(&project) {
            found.pause(lanes, until);
            for course in Course::ALL {
                self.seat(AT_ONCE, project, course);
            }
        }
    }

    /// Nothing at all goes while it is on. What is under way ends as it would.
    pub const fn pause_all(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Whether nothing at all goes.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    fn may_hold(&self, held: &Held<P>) -> Result<(), NotHeld> {
        if self.records >= self.records_max {
            return Err(NotHeld::Full);
        }
        match self.under_way.contains_key(&held.order) {
            true => Err(NotHeld::Twice),
            false => Ok(()),
        }
    }

    fn project(&mut self, name: Name) -> &mut Project<P> {
        self.projects.entry(name).or_insert_with(Project::new)
    }

    /// Puts a record among those that wait. False: its order is there already.
    fn wait(&mut self, held: &Held<P>, tried: Tried, due: Millis) -> bool {
        let course = Course::of(held.lane);
        let project = self.project(held.project);
        let queue = &mut project.lines.at_mut(held.lane).queue;
        let added = queue.add(Waiting::new(held, tried, due));
        // Who waits for its turn already goes on waiting: a recovery pushes millions.
        if added && !project.account(course).is_ready() {
            self.seat(AT_ONCE, held.project, course);
        }
        added
    }

    fn return_to_wait(&mut self, held: &Held<P>, tried: Tried, due: Millis) {
        if tried.is_aside() {
            self.aside.add(held, tried, due);
        } else if !self.wait(held, tried, due) {
            self.uncount(held);
        }
    }

    fn next_of(&mut self, now: Millis, course: Course) -> Option<Held<P>> {
        while let Some(name) = self.both(course).1.woken(now) {
            self.seat(now, name, course);
        }
        // Each turn of this hands out a record or seats a project elsewhere: one whose time was
        // told by a later clock than this.
        while let Some(name) = self.both(course).1.next() {
            let (projects, turns) = self.both(course);
            let project = projects.get_mut(&name)?;
            let taken = project.take_due(now, course);
            if let Some((_, waiting)) = &taken {
                let bytes = u64::from(waiting.bytes().max(1));
                turns.pay(project.account_mut(course), bytes);
            }
            self.seat(now, name, course);
            let Some((lane, waiting)) = taken else {
                continue;
            };
            let held = told(&waiting, name, lane);
            let tried = waiting.tried();
            self.under_way.insert(held.order, UnderWay { held, tried });
            return Some(held);
        }
        None
    }

    const fn both(&mut self, course: Course) -> (&mut BTreeMap<Name, Project<P>>, &mut Turns) {
        match course {
            Course::CheckIns => (&mut self.projects, &mut self.check_ins),
            Course::Rest => (&mut self.projects, &mut self.rest),
        }
    }

    /// Gives a project the place that what it has now to send deserves.
    fn seat(&mut self, now: Millis, name: Name, course: Course) {
        let (projects, turns) = self.both(course);
        if let Some(project) = projects.get_mut(&name) {
            let from = project.ready_from(course);
            turns.seat(now, name, project.account_mut(course), from);
        }
    }

    fn count(&mut self, held: &Held<P>) {
        self.records += 1;
        self.bytes += u64::from(held.bytes);
        let project = self.project(held.project);
        project.records += 1;
        project.bytes += u64::from(held.bytes);
    }

    fn uncount(&mut self, held: &Held<P>) {
        let bytes = u64::from(held.bytes);
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(project) = self.projects.get_mut(&held.project) {
            project.records = project.records.saturating_sub(1);
            project.bytes = project.bytes.saturating_sub(bytes);
        }
        self.forget_if_empty(held.project);
    }

    /// One that waited is held no longer.
    fn left(&mut self, held: &Held<P>) {
        self.seat(AT_ONCE, held.project, Course::of(held.lane));
        self.uncount(held);
    }

    fn forget_if_empty(&mut self, name: Name) {
        if self
            .projects
            .get(&name)
            .is_some_and(|project| project.records == 0)
        {
            self.projects.remove(&name);
        }
    }
}

fn told<P: Copy>(waiting: &Waiting<P>, project: Name, lane: Lane) -> Held<P> {
    Held {
        place: waiting.place(),
        order: waiting.order(),
        at: waiting.at(),
        project,
        lane,
        bytes: waiting.bytes(),
    }
}

#[cfg(test)]
mod tests;
