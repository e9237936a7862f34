//! How much it matters that a record gets through soon. Owns the lanes and which
//! category is of which; never looks inside a record.
//!
//! They are the groups in which a filling spool refuses, most important last, with
//! check-ins before all else: one that comes late is an alarm for a job that ran.

use crate::domain::category::{Categories, Category};

/// What a record is, for its turn: the most important of what lies in it. In the order of
/// importance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Check-ins of scheduled jobs.
    CheckIn,
    /// Errors, reports about security policies, feedback, and all that comes with one of them.
    Error,
    /// Transactions and sessions.
    Transaction,
    /// Attachments without their event, spans, logs and metrics.
    Attachment,
    /// Replays and profiles.
    Replay,
    /// All else.
    Other,
}

impl Lane {
    /// All of them, the most important first.
    pub const ALL: [Self; 6] = [
        Self::CheckIn,
        Self::Error,
        Self::Transaction,
        Self::Attachment,
        Self::Replay,
        Self::Other,
    ];

    /// The lane of a record with items of these categories: the most important decides, since
    /// what lies in one envelope travels together.
    #[must_use]
    pub fn of(categories: Categories) -> Self {
        let lanes = categories.iter().map(lane_of);
        lanes.min().unwrap_or(Self::Other)
    }

    /// Its number, to be written down: its place among all of them.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::CheckIn => 0,
            Self::Error => 1,
            Self::Transaction => 2,
            Self::Attachment => 3,
            Self::Replay => 4,
            Self::Other => 5,
        }
    }

    /// The lane of that number; of one that nobody wrote, the last.
    #[must_use]
    pub fn read(number: u8) -> Self {
        let lane = Self::ALL.get(usize::from(number));
        lane.copied().unwrap_or(Self::Other)
    }

    /// What a byte costs: each lane of a project gets at least twice the bytes of the next while
    /// both have some, and the last one in thirty-one at least. Strict order would be simpler, and
    /// let replays expire behind a flood of errors that drains as fast as it comes.
    pub(super) const fn cost(self) -> u64 {
        match self {
            Self::CheckIn | Self::Error => 1,
            Self::Transaction => 2,
            Self::Attachment => 4,
            Self::Replay => 8,
            Self::Other => 16,
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::CheckIn => 1,
            Self::Error => 2,
            Self::Transaction => 4,
            Self::Attachment => 8,
            Self::Replay => 16,
            Self::Other => 32,
        }
    }
}

/// The lane of one category.
#[must_use]
pub const fn lane_of(category: Category) -> Lane {
    match category {
        Category::Monitor | Category::MonitorSeat => Lane::CheckIn,
        // What nobody looked into may well be an error: it must not wait behind replays.
        Category::Error
        | Category::Default
        | Category::Security
        | Category::Feedback
        | Category::Unread => Lane::Error,
        Category::Transaction
        | Category::TransactionProcessed
        | Category::TransactionIndexed
        | Category::Session => Lane::Transaction,
        Category::Attachment
        | Category::AttachmentItem
        | Category::Span
        | Category::SpanIndexed
        | Category::LogItem
        | Category::LogByte
        | Category::TraceMetric
        | Category::MetricBucket
        | Category::MetricSecond => Lane::Attachment,
        Category::Replay
        | Category::ReplayVideo
        | Category::Profile
        | Category::ProfileIndexed
        | Category::ProfileDuration
        | Category::ProfileDurationUi
        | Category::ProfileChunk
        | Category::ProfileChunkUi
        | Category::ProfileBackend
        | Category::ProfileUi => Lane::Replay,
        Category::Uptime
        | Category::SeerAutofix
        | Category::SeerScanner
        | Category::SeerUser
        | Category::PreventUser
        | Category::PreventReview
        | Category::SizeAnalysis
        | Category::InstallableBuild
        | Category::ClientReport
        | Category::Uncounted
        | Category::Unknown => Lane::Other,
    }
}

/// A set of lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes(u8);

impl Lanes {
    /// All of them.
    pub const ALL: Self = Self(63);

    /// One alone.
    #[must_use]
    pub const fn only(lane: Lane) -> Self {
        Self(lane.bit())
    }

    /// Those that an upstream's limit on these categories holds; none named is a limit on
    /// everything. A limit on one category holds its whole lane.
    #[must_use]
    pub fn limited(categories: Categories) -> Self {
        if categories.is_empty() {
            return Self::ALL;
        }
        let bits = categories.iter().map(|category| lane_of(category).bit());
        Self(bits.fold(0, |all, bit| all | bit))
    }

    /// Whether it is in it.
    #[must_use]
    pub const fn has(self, lane: Lane) -> bool {
        self.0 & lane.bit() != 0
    }
}

/// One of something for each lane.
#[derive(Debug)]
pub(super) struct ByLane<T>([T; 6]);

impl<T: Default> ByLane<T> {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| T::default()))
    }
}

impl<T> ByLane<T> {
    pub(super) const fn at_mut(&mut self, lane: Lane) -> &mut T {
        let [check_in, error, transaction, attachment, replay, other] = &mut self.0;
        match lane {
            Lane::CheckIn => check_in,
            Lane::Error => error,
            Lane::Transaction => transaction,
            Lane::Attachment => attachment,
            Lane::Replay => replay,
            Lane::Other => other,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Lane, &T)> {
        Lane::ALL.into_iter().zip(&self.0)
    }

    pub(super) fn into_each(self) -> impl Iterator<Item = (Lane, T)> {
        Lane::ALL.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(categories: &[Category], want: Lane) {
        assert_eq!(Lane::of(Categories::of(categories)), want, "{categories:?}");
    }

    #[test]
    fn the_most_important_item_decides() {
        check(&[Category::Monitor, Category::Error], Lane::CheckIn);
        check(&[Category::Attachment, Category::Error], Lane::Error);
        check(&[Category::Replay, Category::Feedback], Lane::Error);
        check(
            &[Category::ProfileIndexed, Category::Transaction],
            Lane::Transaction,
        );
        check(
            &[Category::Session, Category::ClientReport],
            Lane::Transaction,
        );
        check(&[Category::LogItem, Category::LogByte], Lane::Attachment);
        check(&[Category::ProfileChunk], Lane::Replay);
        check(&[Category::Unknown, Category::ClientReport], Lane::Other);
        check(&[], Lane::Other);
    }

    #[test]
    fn what_nobody_looked_into_waits_as_an_error() {
        check(&[Category::Unread], Lane::Error);
    }

    #[test]
    fn a_limit_holds_the_lanes_of_its_categories() {
        let limited = Lanes::limited(Categories::of(&[Category::Error, Category::Span]));
        for lane in Lane::ALL {
            let want = matches!(lane, Lane::Error | Lane::Attachment);
            assert_eq!(limited.has(lane), want, "{lane:?}");
            assert!(
                Lanes::ALL.has(lane) && Lanes::only(lane).has(lane),
                "{lane:?}"
            );
            assert_eq!(Lanes::only(lane).has(Lane::Error), lane == Lane::Error);
        }
        assert_eq!(Lanes::limited(Categories::EMPTY), Lanes::ALL);
    }

    #[test]
    fn each_lane_finds_its_own() {
        let mut numbers = ByLane::<usize>::new();
        for (number, lane) in Lane::ALL.into_iter().enumerate() {
            *numbers.at_mut(lane) = number;
        }
        for (number, lane) in Lane::ALL.into_iter().enumerate() {
            assert_eq!(*numbers.at_mut(lane), number);
        }
        assert!(
            numbers
                .iter()
                .all(|(lane, number)| Lane::ALL[*number] == lane)
        );
    }
}
