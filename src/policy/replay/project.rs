//! What is held of one project. Owns the order of its lanes; never looks at another
//! project.

use super::super::millis::Millis;
use super::lane::{ByLane, Lane, Lanes};
use super::queue::{Queue, Waiting};
use super::turns::Account;

/// Which of the two turns: check-ins have one of their own, before all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    CheckIns,
    Rest,
}

impl Course {
    pub(super) const ALL: [Self; 2] = [Self::CheckIns, Self::Rest];

    pub(super) const fn of(lane: Lane) -> Self {
        match lane {
            Lane::CheckIn => Self::CheckIns,
            Lane::Error | Lane::Transaction | Lane::Attachment | Lane::Replay | Lane::Other => {
                Self::Rest
            }
        }
    }
}

/// One lane of a project.
#[derive(Debug)]
pub(super) struct Line<P> {
    pub(super) queue: Queue<P>,
    paused_until: Millis,
    /// What its bytes have cost.
    paid: u64,
}

impl<P> Default for Line<P> {
    fn default() -> Self {
        Self {
            queue: Queue::default(),
            paused_until: Millis(0),
            paid: 0,
        }
    }
}

/// One project's records and accounts: some 500 bytes beside the records.
#[derive(Debug)]
pub(super) struct Project<P> {
    pub(super) lines: ByLane<Line<P>>,
    check_ins: Account,
    rest: Account,
    /// What had been paid by the lane whose turn it was last.
    level: u64,
    /// Waiting and under way.
    pub(super) records: usize,
    pub(super) bytes: u64,
}

impl<P: Copy> Project<P> {
    pub(super) fn new() -> Self {
        Self {
            lines: ByLane::new(),
            check_ins: Account::default(),
            rest: Account::default(),
            level: 0,
            records: 0,
            bytes: 0,
        }
    }

    pub(super) const fn account(&self, course: Course) -> &Account {
        match course {
            Course::CheckIns => &self.check_ins,
            Course::Rest => &self.rest,
        }
    }

    pub(super) const fn account_mut(&mut self, course: Course) -> &mut Account {
        match course {
            Course::CheckIns => &mut self.check_ins,
            Course::Rest => &mut self.rest,
        }
    }

    pub(super) fn pause(&mut self, lanes: Lanes, until: Millis) {
        for lane in Lane::ALL.into_iter().filter(|lane| lanes.has(*lane)) {
            let line = self.lines.at_mut(lane);
            line.paused_until = line.paused_until.max(until);
        }
    }

    pub(super) fn paused_until(&self, lane: Lane) -> Millis {
        let mut lines = self.lines.iter();
        let line = lines.find(|(other, _)| *other == lane);
        line.map_or(Millis(0), |(_, line)| line.paused_until)
    }

    /// All that waits, and the pauses with it.
    pub(super) fn take_lines(&mut self) -> ByLane<Line<P>> {
        std::mem::replace(&mut self.lines, ByLane::new())
    }

    /// From when on a course has something to send.
    pub(super) fn ready_from(&self, course: Course) -> Option<Millis> {
        let lines = self
            .lines
            .iter()
            .filter(|(lane, _)| Course::of(*lane) == course);
        let from = lines.filter_map(|(_, line)| Some(line.queue.due()?.max(line.paused_until)));
        from.min()
    }

    /// What of a course goes next: of the lanes that have something due the one that has paid
    /// least, and of it the lowest order.
    pub(super) fn take_due(&mut self, now: Millis, course: Course) -> Option<(Lane, Waiting<P>)> {
        let lines = self.lines.iter().filter(|(lane, line)| {
            Course::of(*lane) == course && line.paused_until <= now && line.queue.is_due(now)
        });
        // A lane that had nothing begins where the others are. Of equals the important goes first.
        let next = lines
            .map(|(lane, line)| (line.paid.max(self.level), lane))
            .min();
        let (paid, lane) = next?;
        let line = self.lines.at_mut(lane);
        let waiting = line.queue.take_due(now)?;
        let price = u64::from(waiting.bytes().max(1)).saturating_mul(lane.cost());
        line.paid = paid.saturating_add(price);
        if course == Course::Rest {
            self.level = paid;
        }
        Some((lane, waiting))
    }

    /// When the oldest that waits was taken in.
    pub(super) fn oldest_at(&self) -> Option<u64> {
        let fronts = self.lines.iter().filter_map(|(_, line)| line.queue.front());
        fronts.map(Waiting::at).min()
    }
}
