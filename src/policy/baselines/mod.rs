//! What each project usually sends, and what is told from that: that one has fallen silent, and
//! what a protection against spikes would have dropped. Fed once a minute with the books' numbers;
//! no request knows of it, and nothing is dropped here.
//!
//! What is usual is said by `week`: hours of the last eight days against this one.
//!
//! **Silence** is measured in busy minutes, those in which anything came, dropped or not: sixty
//! items at the top of an hour are one, and say little of the other fifty-nine. Nothing is told
//! until [`MISSED_BUSY_MINUTES`] such minutes were to be expected, by the low end, since
//! the last item: were they to come by chance, once in `e^20` silences that long is none. The
//! first item ends it. A minute says nothing that nobody watched: the edge was not there, or it
//! was holding the project's clients back, who then keep away as they were told.
//!
//! **Spikes**, as a shadow: for each project and category a bucket that holds a limit's worth of
//! items and is refilled in an hour. The limit is so many times the upper quartile of what is
//! expected, and never below a floor. What comes while it is empty is counted as what would have
//! been dropped, and does not become usual: only what would have passed is noted.

mod file;
mod project;
mod week;

pub use file::{BaselinesFileError, bytes_max, decode, encode};
pub use week::Expected;

use std::collections::{BTreeMap, HashMap};

use crate::domain::category::Category;
use crate::domain::endpoint::ProjectId;

use project::Project;

/// Projects that are followed at a time: some 3 KB each, most in a handful of categories. The
/// books know whom they number; of more than this the first are followed.
pub const PROJECTS_MAX: usize = 5_000;

/// So many minutes with items are missed before a project is called silent.
pub const MISSED_BUSY_MINUTES: u64 = 20;

/// A spike is over once its bucket was never empty for so long.
const SPIKE_OVER_MINUTES: u64 = 15;

/// A look that is so late still speaks for the minutes since the last one. Beyond, the machine
/// slept, the clock was set or the edge was not there.
const LATE_MINUTES_MAX: u64 = 3;

const HOUR_MINUTES: u64 = 60;

/// What the books say of one project and category, since they were opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Whose.
    pub project: ProjectId,
    /// Of what.
    pub category: Category,
    /// Items that came.
    pub received: u64,
    /// Of these, what was not dropped at the door.
    pub accepted: u64,
    /// Of these, what was dropped with the advice to hold back.
    pub held_back: u64,
}

/// What is told, and from when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Whether silence is told.
    pub silence: bool,
    /// What a spike is; `None`: none is looked for.
    pub spikes: Option<Spikes>,
    /// For how long clients may keep away once they were held back, in minutes.
    pub held_minutes: u64,
    /// Projects that are followed.
    pub projects_max: usize,
}

/// From when on it is a spike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spikes {
    /// So many times what is expected.
    pub times: u64,
    /// Items an hour that never are one.
    pub floor: u64,
}

impl Spikes {
    /// The limit of an hour, where this is expected.
    const fn limit(self, expected: Expected) -> u64 {
        let limit = expected.high.saturating_mul(self.times);
        if limit > self.floor {
            limit
        } else {
            self.floor
        }
    }
}

/// What has changed by a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing comes any more, though it should.
    Silent {
        /// Whose.
        project: ProjectId,
        /// The minute of Unix time in which something came last.
        since: u64,
    },
    /// Something comes again.
    Heard {
        /// Whose.
        project: ProjectId,
        /// How many minutes nothing came.
        minutes: u64,
    },
    /// Nothing came for so long that this is what is usual now, and the project is not followed
    /// any more.
    Forgotten {
        /// Whose.
        project: ProjectId,
    },
    /// A spike has begun.
    Spike {
        /// Whose.
        project: ProjectId,
        /// Of what.
        category: Category,
        /// How many an hour would have passed.
        limit: u64,
    },
    /// It is over.
    SpikeOver {
        /// Whose.
        project: ProjectId,
        /// Of what.
        category: Category,
        /// How long it lasted.
        minutes: u64,
        /// How many would have been dropped.
        dropped: u64,
    },
}

/// What one project sends, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Whose.
    pub project: ProjectId,
    /// How many of the last hours are known.
    pub hours_known: usize,
    /// The minute of Unix time in which something came last; 0: none that is known of.
    pub last_item: u64,
    /// Since which minute of Unix time it is silent, if it is.
    pub silent_since: Option<u64>,
    /// Busy minutes to be expected of this hour.
    pub busy: Option<Expected>,
    /// What it sends.
    pub kinds: Vec<ToldKind>,
}

/// One category of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldKind {
    /// Which.
    pub category: Category,
    /// Items to be expected of this hour.
    pub expected: Option<Expected>,
    /// Items of this hour so far that passed, or would have.
    pub so_far: u64,
    /// Items an hour from which on it would be a spike.
    pub limit: Option<u64>,
    /// The minute of Unix time in which the spike began, where there is one.
    pub spike_since: Option<u64>,
    /// Items that would have been dropped by this spike.
    pub spike_dropped: u64,
    /// The same of all spikes since the start.
    pub would_drop: u64,
}

/// What the books said at the last look.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    received: u64,
    accepted: u64,
    held_back: u64,
}

/// What is new since then.
#[derive(Debug, Clone, Copy, Default)]
struct News {
    received: u64,
    held_back: u64,
}

/// All projects that are followed. [`Baselines::begin`] comes before the first look.
#[derive(Debug, Default)]
pub struct Baselines {
    /// The last minute of Unix time that was looked at; 0: none.
    minute: u64,
    projects: BTreeMap<ProjectId, Project>,
    /// As many as the books have rows.
    marks: HashMap<(ProjectId, Category), Mark>,
}

impl Baselines {
    /// Goes on from what the books say now: what was counted before is not news.
    pub fn begin(&mut self, counted: &[Counted]) {
        for row in counted {
            self.passed(row);
        }
    }

    /// Looks at the books in a minute of Unix time, and says what has changed. Where it is the
    /// minute of the last look, nothing has. `is_held` tells of whom nothing can be expected now.
    pub fn look(
        &mut self,
        minute: u64,
        counted: &[Counted],
        terms: &Terms,
        is_held: impl Fn(ProjectId) -> bool,
    ) -> Vec<Change> {
        if minute == self.minute {
            return Vec::new();
        }
        let ahead = minute.checked_sub(self.minute);
        let span = ahead.filter(|span| *span <= LATE_MINUTES_MAX).unwrap_or(0);
        let mut changes = Vec::new();
        self.turn(minute, &mut changes);
        let news = self.take(counted, minute, span, terms, &mut changes);
        if span == 0 {
            return changes;
        }
        // What is new came in the minute that is over.
        let over = minute.saturating_sub(1);
        for (id, project) in &mut self.projects {
            let news = news.get(id).copied().unwrap_or_default();
            if news.held_back > 0 {
                project.held_until = over.saturating_add(terms.held_minutes);
            }
            let held = || over < project.held_until || is_held(*id);
            if news.received == 0 && held() {
                continue;
            }
            project.watched(over, span, news.received > 0);
            changes.extend(match news.received {
                0 if terms.silence => project.misses(over, span).map(|since| Change::Silent {
                    project: *id,
                    since,
                }),
                0 => None,
                _ => project.is_heard(over).map(|minutes| Change::Heard {
                    project: *id,
                    minutes,
                }),
            });
            if !terms.silence {
                project.silent_since = None;
            }
        }
        changes
    }

    /// Comes to another minute: hours begin, and those of eight days ago are forgotten.
    fn turn(&mut self, minute: u64, changes: &mut Vec<Change>) {
        let (was, is) = (self.minute / HOUR_MINUTES, minute / HOUR_MINUTES);
        self.minute = minute;
        if was == is {
            return;
        }
        // Set back, the hours ahead are no past of it; set far ahead, no hour is.
        let (from, to) = match is > was {
            true => (
                was.saturating_add(1).max(is.saturating_sub(whole_week())),
                is,
            ),
            false => (
                is.saturating_add(1),
                was.min(is.saturating_add(whole_week())),
            ),
        };
        self.projects.retain(|id, project| {
            project.forget(from, to);
            let known = project.is_known();
            if !known && project.silent_since.is_some() {
                changes.push(Change::Forgotten { project: *id });
            }
            known
        });
    }

    /// Takes up what is new by category, and yields what it is by project.
    fn take(
        &mut self,
        counted: &[Counted],
        minute: u64,
        span: u64,
        terms: &Terms,
        changes: &mut Vec<Change>,
    ) -> HashMap<ProjectId, News> {
        let over = minute.saturating_sub(1);
        let mut all = HashMap::<ProjectId, News>::new();
        for row in counted {
            let (news, accepted) = self.passed(row);
            if span == 0 {
                continue;
            }
            let sum = all.entry(row.project).or_default();
            sum.received = sum.received.saturating_add(news.received);
            sum.held_back = sum.held_back.saturating_add(news.held_back);
            let full = self.projects.len() >= terms.projects_max.min(PROJECTS_MAX);
            let known = self.projects.contains_key(&row.project);
            if known || news.received > 0 && !full {
                let project = self.projects.entry(row.project).or_default();
                project.takes(over, span, row, accepted, terms, changes);
            }
        }
        all
    }

    /// Moves a row's mark up, and yields what is new: in all, and of what passed. A number that
    /// sinks for a moment, while something is under way, is no news when it is back.
    fn passed(&mut self, row: &Counted) -> (News, u64) {
        let mark = self.marks.entry((row.project, row.category)).or_default();
        let step = |mark: &mut u64, now: u64| {
            let more = now.saturating_sub(*mark);
            *mark = now.max(*mark);
            more
        };
        let news = News {
            received: step(&mut mark.received, row.received),
            held_back: step(&mut mark.held_back, row.held_back),
        };
        (news, step(&mut mark.accepted, row.accepted))
    }

    /// The last minute of Unix time that was looked at; 0: none was.
    #[must_use]
    pub const fn minute(&self) -> u64 {
        self.minute
    }

    /// How many projects are followed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.projects.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.projects.is_empty()
    }

    /// All that is known, by project. Some microseconds each.
    pub fn told(&self, terms: &Terms) -> impl Iterator<Item = Told> {
        let hour = self.minute / HOUR_MINUTES;
        let projects = self.projects.iter();
        projects.map(move |(id, project)| project.told(*id, hour, terms))
    }

    /// The projects that are followed, and since which minute of Unix time each is silent.
    pub fn silent(&self) -> impl Iterator<Item = (ProjectId, Option<u64>)> {
        let projects = self.projects.iter();
        projects.map(|(id, project)| (*id, project.silent_since))
    }

    /// What would have been dropped since the start, and since which minute of Unix time there is
    /// a spike, by project and category; where nothing ever would have been, nothing.
    pub fn spikes(&self) -> impl Iterator<Item = (ProjectId, Category, u64, Option<u64>)> {
        self.projects.iter().flat_map(|(id, project)| {
            let kinds = project.kinds.iter().filter(|kind| kind.would_drop > 0);
            kinds.map(|kind| (*id, kind.category, kind.would_drop, kind.spike_since()))
        })
    }
}

/// The hours before the one that is counted.
fn whole_week() -> u64 {
    u64::try_from(week::HOURS)
        .unwrap_or(u64::MAX)
        .saturating_sub(1)
}

#[cfg(test)]
mod tests;
