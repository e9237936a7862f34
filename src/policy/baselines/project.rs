//! One project: its hours, what it misses, and a bucket for each of its categories. Never looks
//! at a clock or at the books.

use crate::domain::category::Category;
use crate::domain::endpoint::ProjectId;

use super::week::{self, Expected, Week, whole_hour};
use super::{
    Change, Counted, HOUR_MINUTES, MISSED_BUSY_MINUTES, SPIKE_OVER_MINUTES, Spikes, Terms, Told,
    ToldKind,
};

/// What is known of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Project {
    /// Minutes that were watched, by the hour.
    pub(super) watched: Week<u8>,
    /// Minutes of these in which something came.
    pub(super) busy: Week<u8>,
    /// What came, and passed.
    pub(super) kinds: Vec<Kind>,
    /// The minute in which something came last.
    pub(super) last_item: u64,
    /// Busy minutes to be expected since then, in sixtieths.
    pub(super) missed: u64,
    pub(super) silent_since: Option<u64>,
    /// Until this minute its clients may keep away as they were told.
    pub(super) held_until: u64,
}

/// One category of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) category: Category,
    /// The hour in which the first came: before, there was no habit to have.
    pub(super) since: u64,
    /// Items that passed, or would have, by the hour.
    pub(super) counts: Week<u32>,
    /// What is left in the bucket, in sixtieths of an item; `None`: it is full.
    level: Option<u64>,
    spike: Option<Spike>,
    /// Since the start.
    pub(super) would_drop: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spike {
    since: u64,
    /// The last minute in which the bucket was empty.
    last: u64,
    dropped: u64,
}

impl Project {
    /// Counts what passed of one category in the minutes up to the one that is over.
    pub(super) fn takes(
        &mut self,
        over: u64,
        span: u64,
        row: &Counted,
        accepted: u64,
        terms: &Terms,
        changes: &mut Vec<Change>,
    ) {
        let hour = over / HOUR_MINUTES;
        let known = self.kinds.iter().position(|it| it.category == row.category);
        let at = match known {
            Some(at) => at,
            None if accepted == 0 => return,
            None => {
                self.kinds
                    .push(Kind::new(row.category, hour, Week::default()));
                self.kinds.len() - 1
            }
        };
        let limit = terms.spikes.zip(self.expected(at, hour));
        let limit = limit.map(|(spikes, expected)| spikes.limit(expected));
        let Some(kind) = self.kinds.get_mut(at) else {
            return;
        };
        let passed = kind.pours(over, span, accepted, limit);
        let count = kind.counts.at(hour);
        let count = count.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        kind.counts.set(hour, count);
        changes.extend(kind.change(over, row.project, limit));
    }

    /// Notes that the minutes up to this one were watched, and whether something came.
    pub(super) fn watched(&mut self, over: u64, span: u64, busy: bool) {
        let hour = over / HOUR_MINUTES;
        let span = u8::try_from(span).unwrap_or(u8::MAX);
        let whole = u8::try_from(HOUR_MINUTES).unwrap_or(u8::MAX);
        let add = |week: &mut Week<u8>, more: u8| {
            week.set(hour, week.at(hour).saturating_add(more).min(whole));
        };
        add(&mut self.watched, span);
        add(&mut self.busy, u8::from(busy));
    }

    /// Nothing came in the minutes up to this one. Yields when something came last, where that
    /// is too long ago from now on.
    pub(super) fn misses(&mut self, over: u64, span: u64) -> Option<u64> {
        let low = self.busy(over / HOUR_MINUTES).map_or(0, |busy| busy.low);
        self.missed = self.missed.saturating_add(low.saturating_mul(span));
        let enough = self.missed >= MISSED_BUSY_MINUTES * HOUR_MINUTES;
        if !enough || self.silent_since.is_some() {
            return None;
        }
        self.silent_since = Some(self.last_item);
        self.silent_since
    }

    /// Something came. Yields for how many minutes it was silent, if it was.
    pub(super) fn is_heard(&mut self, over: u64) -> Option<u64> {
        self.missed = 0;
        self.last_item = over;
        let since = self.silent_since.take()?;
        Some(over.saturating_sub(since))
    }

    /// Forgets what is noted of these hours.
    pub(super) fn forget(&mut self, from: u64, to: u64) {
        self.watched.forget(from, to);
        self.busy.forget(from, to);
        for kind in &mut self.kinds {
            kind.counts.forget(from, to);
        }
    }

    /// Whether anything is known of it still.
    pub(super) fn is_known(&self) -> bool {
        !self.busy.is_empty()
    }

    /// Busy minutes to be expected of an hour.
    fn busy(&self, hour: u64) -> Option<Expected> {
        week::expected(hour, |hour| {
            whole_hour(u64::from(self.busy.at(hour)), self.watched.at(hour))
        })
    }

    /// Items to be expected of an hour.
    fn expected(&self, kind: usize, hour: u64) -> Option<Expected> {
        let kind = self.kinds.get(kind)?;
        week::expected(hour, |hour| {
            let watched = self.watched.at(hour);
            let counts = || whole_hour(u64::from(kind.counts.at(hour)), watched);
            (hour >= kind.since).then(counts).flatten()
        })
    }

    pub(super) fn told(&self, project: ProjectId, hour: u64, terms: &Terms) -> Told {
        let hours = (0..=hour).rev().take(week::HOURS);
        let known = hours.filter(|hour| whole_hour(0, self.watched.at(*hour)).is_some());
        let kinds = self.kinds.iter().enumerate().map(|(at, kind)| {
            let expected = self.expected(at, hour);
            let limit = terms.spikes.zip(expected);
            ToldKind {
                category: kind.category,
                expected,
                so_far: u64::from(kind.counts.at(hour)),
                limit: limit.map(|(spikes, expected)| Spikes::limit(spikes, expected)),
                spike_since: kind.spike_since(),
                spike_dropped: kind.spike.map_or(0, |spike| spike.dropped),
                would_drop: kind.would_drop,
            }
        });
        Told {
            project,
            hours_known: known.count(),
            last_item: self.last_item,
            silent_since: self.silent_since,
            busy: self.busy(hour),
            kinds: kinds.collect(),
        }
    }
}

impl Kind {
    pub(super) fn new(category: Category, since: u64, counts: Week<u32>) -> Self {
        Self {
            category,
            since,
            counts,
            level: None,
            spike: None,
            would_drop: 0,
        }
    }

    pub(super) fn spike_since(&self) -> Option<u64> {
        self.spike.map(|spike| spike.since)
    }

    /// Refills the bucket for these minutes and takes so many items out of it; yields how many
    /// there were. Without a limit all are.
    fn pours(&mut self, over: u64, span: u64, items: u64, limit: Option<u64>) -> u64 {
        let Some(limit) = limit else {
            self.level = None;
            return items;
        };
        let whole = limit.saturating_mul(HOUR_MINUTES);
        let level = self.level.unwrap_or(whole);
        let level = level.saturating_add(limit.saturating_mul(span)).min(whole);
        let passed = items.min(level / HOUR_MINUTES);
        self.level = Some(level.saturating_sub(passed.saturating_mul(HOUR_MINUTES)));
        let dropped = items.saturating_sub(passed);
        if dropped > 0 {
            self.would_drop = self.would_drop.saturating_add(dropped);
            let spike = self.spike.get_or_insert(Spike {
                since: over,
                last: over,
                dropped: 0,
            });
            spike.last = over;
            spike.dropped = spike.dropped.saturating_add(dropped);
        }
        passed
    }

    /// Whether a spike began in this minute, or is over.
    fn change(&mut self, over: u64, project: ProjectId, limit: Option<u64>) -> Option<Change> {
        let spike = self.spike?;
        let category = self.category;
        match limit {
            Some(limit) if spike.since == over => Some(Change::Spike {
                project,
                category,
                limit,
            }),
            Some(_) if over.saturating_sub(spike.last) < SPIKE_OVER_MINUTES => None,
            Some(_) | None => {
                self.spike = None;
                Some(Change::SpikeOver {
                    project,
                    category,
                    minutes: spike.last.saturating_sub(spike.since).saturating_add(1),
                    dropped: spike.dropped,
                })
            }
        }
    }
}
