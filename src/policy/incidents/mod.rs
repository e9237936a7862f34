//! Incidents: what was the matter from when to when, and what was lost meanwhile. Owns when one
//! starts and when it is over; never finds out by itself whether something is the matter, and
//! never tells anybody.
//!
//! **Input** is what holds at each look, as [`Condition`]s. One becomes an incident once it has
//! held at every look for [`Kind::hold_s`], and the incident is over once it was gone at every
//! look for [`Kind::clear_s`]: something that comes and goes is one incident. It is dated back to
//! the looks at which it was first seen, and first seen gone. Where nobody looks, nothing is gone:
//! [`Looked`] says which incident is held open meanwhile, and which ends unseen.
//!
//! **Loss** is the difference of two sums over the whole edge: those of the look before the
//! first one at which it held, for a loss is seen only once it has happened, and those of the
//! first look at which it was gone. Two incidents at a time have both lost what was lost then.
//!
//! **Limits.** So many pages and so many tickets are followed at a time, each beside the other,
//! so that no crowd of tickets hides a page; so many that are over are remembered. What finds no
//! place is counted.

pub mod letters;
mod loss;
pub mod signs;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::domain::incident::{Condition, Kind, Severity};

use super::millis::Millis;

pub use loss::{Loss, Lost};

/// Incidents of each severity that are followed at a time, those that are still to hold long
/// enough among them. A thousand projects over their quotas are one trouble, not a thousand.
pub const FOLLOWED_MAX: usize = 100;

/// Incidents that are over and remembered.
pub const ENDED_MAX: usize = 100;

/// A moment by both clocks: one to count with, one to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// On the clock that only goes forward.
    pub at: Millis,
    /// Unix time in milliseconds.
    pub unix_ms: u64,
}

/// Whether a condition that is not among those that hold was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// It was: it does not hold.
    Gone,
    /// Not at the moment: its incident stays as it is.
    Suspended,
    /// It is not any more: its incident ends, and nobody knows how.
    Unwatched,
}

/// One incident, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its number, from 1, in the order in which they started.
    pub number: u64,
    /// What is, or was, the matter.
    pub condition: Condition,
    /// When that was first seen.
    pub since: Moment,
    /// When it was first seen gone, if it is over.
    pub ended: Option<Moment>,
    /// It ended since nobody looks for it any more.
    pub unwatched: bool,
    /// What was lost meanwhile, whatever for.
    pub loss: Loss,
}

impl Incident {
    /// What is said when it is over.
    #[must_use]
    pub const fn over(&self) -> &'static str {
        match self.unwatched {
            true => "it is not looked for any more",
            false => self.condition.kind.over(),
        }
    }
}

/// What a look changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has held for long enough.
    Started(Incident),
    /// What had started as a ticket is a page now.
    Graver(Incident),
    /// It was gone for long enough.
    Ended(Incident),
}

/// What is followed, and what was.
#[derive(Debug)]
pub struct Incidents {
    followed: BTreeMap<(Kind, String), Followed>,
    ended: VecDeque<Incident>,
    /// As many as have started.
    started: u64,
    /// What was lost until the last look.
    lost: Loss,
    /// Conditions that found no place at the last look.
    without_place: usize,
}

#[derive(Debug)]
struct Followed {
    condition: Condition,
    since: Moment,
    /// What was lost before.
    lost_before: Loss,
    /// Its number, once it has started.
    number: Option<u64>,
    /// Since when it is gone, and what was lost until then.
    gone: Option<(Moment, Loss)>,
}

impl Incidents {
    /// Nothing is the matter yet, and so much was lost before.
    #[must_use]
    pub fn new(lost: Loss) -> Self {
        Self {
            followed: BTreeMap::new(),
            ended: VecDeque::new(),
            started: 0,
            lost,
            without_place: 0,
        }
    }

    /// Takes up what holds now and what was lost until now, and yields what that changes: ends
    /// before starts. Of conditions of one kind and subject the gravest counts, with the last
    /// words. `looked` is asked of those that are followed and do not hold.
    pub fn look(
        &mut self,
        now: Moment,
        lost: Loss,
        conditions: Vec<Condition>,
        looked: impl Fn(Kind, &str) -> Looked,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        let holding: BTreeSet<(Kind, String)> = conditions.iter().map(key).collect();
        let looked = |key: &(Kind, String)| match holding.contains(key) {
            true => None,
            false => Some(looked(key.0, &key.1)),
        };
        self.let_go(now, &lost, looked, &mut changes);
        self.without_place = 0;
        for condition in conditions {
            self.take_up(now, condition, &mut changes);
        }
        self.lost = lost;
        self.start(now, &mut changes);
        changes
    }

    /// Ends what is gone for long enough, and forgets what is gone before it had started. `looked`
    /// yields nothing of what holds.
    fn let_go(
        &mut self,
        now: Moment,
        lost: &Loss,
        looked: impl Fn(&(Kind, String)) -> Option<Looked>,
        changes: &mut Vec<Change>,
    ) {
        let mut over = Vec::new();
        self.followed.retain(|key, followed| {
            let Some(looked) = looked(key) else {
                followed.gone = None;
                return true;
            };
            let Some(number) = followed.number else {
                return false;
            };
            if looked == Looked::Suspended {
                followed.gone = None;
                return true;
            }
            let (since, lost) = followed.gone.get_or_insert_with(|| (now, lost.clone()));
            if now.at.since(since.at) < key.0.clear_s() * 1000 {
                return true;
            }
            over.push(Incident {
                number,
                condition: followed.condition.clone(),
                since: followed.since,
                ended: Some(*since),
                unwatched: looked == Looked::Unwatched,
                loss: lost.since(&followed.lost_before),
            });
            false
        });
        over.sort_by_key(|incident| incident.number);
        for incident in over {
            if self.ended.len() >= ENDED_MAX {
                self.ended.pop_front();
            }
            self.ended.push_back(incident.clone());
            changes.push(Change::Ended(incident));
        }
    }

    fn take_up(&mut self, now: Moment, condition: Condition, changes: &mut Vec<Change>) {
        let key = key(&condition);
        let alike = self.followed.values();
        let alike = alike.filter(|one| one.condition.severity == condition.severity);
        let has_place = alike.count() < FOLLOWED_MAX;
        if let Some(followed) = self.followed.get_mut(&key) {
            let worse = condition.severity < followed.condition.severity;
            let severity = match worse && has_place {
                true => condition.severity,
                false => followed.condition.severity,
            };
            followed.condition = condition.graded(severity);
            if worse && has_place {
                changes.extend(followed.shown(&self.lost).map(Change::Graver));
            }
            return;
        }
        if !has_place {
            self.without_place += 1;
            return;
        }
        let followed = Followed {
            condition,
            since: now,
            lost_before: self.lost.clone(),
            number: None,
            gone: None,
        };
        self.followed.insert(key, followed);
    }

    fn start(&mut self, now: Moment, changes: &mut Vec<Change>) {
        for (key, followed) in &mut self.followed {
            let held_ms = now.at.since(followed.since.at);
            if followed.number.is_some() || held_ms < key.0.hold_s() * 1000 {
                continue;
            }
            self.started += 1;
            followed.number = Some(self.started);
            changes.extend(followed.shown(&self.lost).map(Change::Started));
        }
    }

    /// What has started and is not over, the gravest and oldest first.
    #[must_use]
    pub fn active(&self) -> Vec<Incident> {
        let shown = self.followed.values();
        let mut active: Vec<Incident> = shown.filter_map(|one| one.shown(&self.lost)).collect();
        active.sort_by_key(|incident| (incident.condition.severity, incident.number));
        active
    }

    /// The one with this number, if it has not ended.
    #[must_use]
    pub fn find(&self, number: u64) -> Option<Incident> {
        let mut followed = self.followed.values();
        let found = followed.find(|one| one.number == Some(number))?;
        found.shown(&self.lost)
    }

    /// What is over, the latest first.
    pub fn ended(&self) -> impl Iterator<Item = &Incident> {
        self.ended.iter().rev()
    }

    /// How many hold at the moment beside those that are followed.
    #[must_use]
    pub fn without_place(&self) -> usize {
        self.without_place
    }
}

impl Followed {
    /// As an incident, if it has started.
    fn shown(&self, lost: &Loss) -> Option<Incident> {
        let lost = self.gone.as_ref().map_or(lost, |(_, lost)| lost);
        Some(Incident {
            number: self.number?,
            condition: self.condition.clone(),
            since: self.since,
            ended: None,
            unwatched: false,
            loss: lost.since(&self.lost_before),
        })
    }
}

fn key(condition: &Condition) -> (Kind, String) {
    (condition.kind, condition.subject.clone())
}

/// Whether receivers who want the one hear of the other.
#[must_use]
pub fn is_wanted(least: Severity, severity: Severity) -> bool {
    severity <= least
}

#[cfg(test)]
mod tests;
