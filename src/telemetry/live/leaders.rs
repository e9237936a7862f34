//! Who sends most: projects by what they sent in a window. Keeps what the books said at a few
//! moments of the last hour, for a bounded number of projects; those beyond are one.

use std::collections::{HashMap, VecDeque};

use crate::telemetry::ledger::{Account, Line};

/// How often the books are marked.
pub const MARK_MS: u64 = 150_000;

/// An hour of marks.
pub const MARKS_MAX: usize = 24;

/// The projects that a mark remembers by number. One takes 48 bytes in each mark.
pub const ACCOUNTS_MAX: usize = 4_096;

/// What an account sent, and what of it went no further.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Items that came in.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Items that were dropped.
    pub dropped: u64,
}

impl Tally {
    fn since(self, then: Self) -> Self {
        Self {
            items: self.items.saturating_sub(then.items),
            bytes: self.bytes.saturating_sub(then.bytes),
            dropped: self.dropped.saturating_sub(then.dropped),
        }
    }

    fn add(&mut self, more: Self) {
        self.items = self.items.wrapping_add(more.items);
        self.bytes = self.bytes.wrapping_add(more.bytes);
        self.dropped = self.dropped.wrapping_add(more.dropped);
    }
}

/// What each account sent since the start.
pub type Tallies = Vec<(Account, Tally)>;

/// By what accounts are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The most bytes first.
    Bytes,
    /// The most items first.
    Items,
}

/// The first of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Top {
    /// How long the window is.
    pub span_ms: u64,
    /// The first, in order.
    pub first: Tallies,
    /// All others that sent anything, as one.
    pub others: Tally,
    /// How many those are.
    pub others_count: usize,
}

/// When the books were looked at, and what they said.
type Mark = (u64, HashMap<Account, Tally>);

/// What the books said at a few moments.
#[derive(Debug)]
pub struct Leaders {
    start: Mark,
    marks: VecDeque<Mark>,
}

/// The books by account, in the order of the lines.
#[must_use]
pub fn tallies(lines: &[Line]) -> Tallies {
    let mut tallies: Tallies = Vec::new();
    for line in lines {
        let dropped = line.dropped.values();
        let tally = Tally {
            items: line.received.items,
            bytes: line.received.bytes,
            dropped: dropped.fold(0, |sum, dropped| sum.wrapping_add(dropped.items)),
        };
        match tallies.last_mut() {
            Some((account, sum)) if *account == line.account => sum.add(tally),
            Some(_) | None => tallies.push((line.account, tally)),
        }
    }
    tallies
}

impl Leaders {
    /// No marks yet but of the start at `now_ms`, with what the books said then: they may be those
    /// of a process that was taken over from.
    #[must_use]
    pub fn new(now_ms: u64, tallies: &Tallies) -> Self {
        Self {
            start: mark(now_ms, tallies),
            marks: VecDeque::new(),
        }
    }

    /// Looks at the books; keeps what they say if it is time.
    pub fn note(&mut self, now_ms: u64, tallies: &Tallies) {
        let (last_ms, _) = self.marks.back().unwrap_or(&self.start);
        if now_ms.saturating_sub(*last_ms) < MARK_MS {
            return;
        }
        if self.marks.len() >= MARKS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back(mark(now_ms, tallies));
    }

    /// Who sent most in the last `window_ms`, as near as there is a mark: at most so many.
    #[must_use]
    pub fn top(&self, now_ms: u64, window_ms: u64, tallies: &Tallies, by: By, most: usize) -> Top {
        let begin_ms = now_ms.saturating_sub(window_ms);
        let from_start = (begin_ms <= self.start.0).then_some(&self.start);
        let mark = || {
            let mut marks = self.marks.iter().rev();
            let older = marks.find(|(at_ms, _)| *at_ms <= begin_ms);
            older.or_else(|| self.marks.front()).unwrap_or(&self.start)
        };
        let (since_ms, then) = from_start.unwrap_or_else(mark);
        // Beyond what a mark holds nobody knows what was before: such an account is left out of
        // the order, or a small one would lead with all that it ever sent.
        let is_full = then.len() >= ACCOUNTS_MAX;
        let mut moved: Tallies = Vec::new();
        for (account, tally) in tallies {
            let before = then.get(account).copied();
            let before = before.or_else(|| (!is_full).then(Tally::default));
            let moves = before.map(|before| tally.since(before));
            moved.extend(
                moves
                    .filter(|tally| *tally != Tally::default())
                    .map(|tally| (*account, tally)),
            );
        }
        let rank = |tally: &Tally| match by {
            By::Bytes => (tally.bytes, tally.items),
            By::Items => (tally.items, tally.bytes),
        };
        moved.sort_by_key(|(account, tally)| (std::cmp::Reverse(rank(tally)), *account));
        let rest = moved.split_off(moved.len().min(most));
        let mut others = Tally::default();
        rest.iter().for_each(|(_, tally)| others.add(*tally));
        Top {
            span_ms: now_ms.saturating_sub(*since_ms),
            first: moved,
            others,
            others_count: rest.len(),
        }
    }
}

/// What a mark remembers: where there are too many, those that sent most.
fn mark(now_ms: u64, tallies: &Tallies) -> Mark {
    let mut kept = tallies.clone();
    if kept.len() > ACCOUNTS_MAX {
        kept.sort_unstable_by_key(|(_, tally)| std::cmp::Reverse(tally.bytes));
        kept.truncate(ACCOUNTS_MAX);
    }
    (now_ms, kept.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::ProjectId;

    fn project(id: u64) -> Account {
        Account::Project(ProjectId::parse(id.to_string().as_bytes()).unwrap())
    }

    fn sent(rows: &[(u64, u64, u64)]) -> Tallies {
        let rows = rows.iter().map(|(id, items, bytes)| {
            let (items, bytes, dropped) = (*items, *bytes, 0);
            let tally = Tally {
                items,
                bytes,
                dropped,
            };
            (project(*id), tally)
        });
        rows.collect()
    }

    #[track_caller]
    fn check(top: &Top, first: &[(u64, u64, u64)], others: (usize, u64, u64)) {
        assert_eq!(top.first, sent(first));
        let told = (top.others_count, top.others.items, top.others.bytes);
        assert_eq!(told, others);
    }

    #[test]
    fn the_first_are_named_and_the_rest_is_one() {
        let leaders = Leaders::new(0, &Tallies::new());
        let now = sent(&[(1, 5, 50), (2, 1, 900), (3, 9, 10), (4, 0, 0)]);
        let by_bytes = leaders.top(1_000, MARK_MS, &now, By::Bytes, 2);
        check(&by_bytes, &[(2, 1, 900), (1, 5, 50)], (1, 9, 10));
        let by_items = leaders.top(1_000, MARK_MS, &now, By::Items, 1);
        check(&by_items, &[(3, 9, 10)], (2, 6, 950));
        assert_eq!(by_items.span_ms, 1_000);
    }

    #[test]
    fn what_was_sent_before_the_window_does_not_count() {
        let mut leaders = Leaders::new(0, &Tallies::new());
        leaders.note(MARK_MS, &sent(&[(1, 100, 1_000)]));
        leaders.note(2 * MARK_MS, &sent(&[(1, 110, 1_100), (2, 5, 50)]));
        let now = sent(&[(1, 111, 1_110), (2, 25, 250), (3, 1, 1)]);
        let at_ms = 2 * MARK_MS + 60_000;
        let last = leaders.top(at_ms, 60_000, &now, By::Bytes, 9);
        check(&last, &[(2, 20, 200), (1, 1, 10), (3, 1, 1)], (0, 0, 0));
        assert_eq!(last.span_ms, 60_000);
        let longer = leaders.top(at_ms, MARK_MS + 60_000, &now, By::Bytes, 1);
        check(&longer, &[(2, 25, 250)], (2, 12, 111));
        let all = leaders.top(at_ms, 3_600_000, &now, By::Bytes, 1);
        check(&all, &[(1, 111, 1_110)], (2, 26, 251));
        assert_eq!(all.span_ms, at_ms, "there is no more than since the start");
    }

    #[test]
    fn what_an_earlier_process_had_booked_does_not_count() {
        let leaders = Leaders::new(1_000, &sent(&[(1, 100, 1_000), (2, 9, 90)]));
        let now = sent(&[(1, 101, 1_010), (2, 9, 90), (3, 4, 40)]);
        for window_ms in [60_000, 3_600_000] {
            let top = leaders.top(31_000, window_ms, &now, By::Bytes, 9);
            check(&top, &[(3, 4, 40), (1, 1, 10)], (0, 0, 0));
            assert_eq!(top.span_ms, 30_000);
        }
    }

    #[test]
    fn marks_and_their_projects_have_a_limit() {
        let mut leaders = Leaders::new(0, &Tallies::new());
        let many: Vec<(u64, u64, u64)> = (1..=5_000).map(|id| (id, 1, id)).collect();
        for mark in 1..=100 {
            leaders.note(mark * MARK_MS, &sent(&many));
        }
        assert_eq!(leaders.marks.len(), MARKS_MAX);
        let kept = leaders.marks.iter().map(|(_, kept)| kept.len());
        assert_eq!(kept.max(), Some(ACCOUNTS_MAX));
        let now: Vec<(u64, u64, u64)> = (1..=5_000).map(|id| (id, 2, 2 * id)).collect();
        let top = leaders.top(100 * MARK_MS, MARK_MS, &sent(&now), By::Bytes, 1);
        check(
            &top,
            &[(5_000, 1, 5_000)],
            (4_095, 4_095, 4_095 * (905 + 4_999) / 2),
        );
    }

    #[test]
    fn a_project_is_marked_no_more_often_than_it_must() {
        let mut leaders = Leaders::new(0, &Tallies::new());
        for now_ms in (0..=2 * MARK_MS).step_by(2_000) {
            leaders.note(now_ms, &sent(&[(1, 1, 1)]));
        }
        assert_eq!(leaders.marks.len(), 2);
    }
}
