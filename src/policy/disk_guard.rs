//! What stays here while a disk of Sentry's is nearly full. Owns the ladder: which stage a
//! disk's use is, and which items pass at each; never looks at a disk.
//!
//! **The ladder** goes by what a byte is worth to whoever looks for a fault, as a filling
//! spool does: first goes what is large and shows what happened beside an error, then all
//! that is many and tells of no error, and at last errors are sampled. Check-ins and sessions
//! always pass: few bytes, and their absence is an alarm or a wrong number. So does what users
//! wrote. Transactions go with spans and logs, and not, as in the spool, with sessions: they
//! are most of what a Sentry with tracing stores, and a guard that left them would not hold.
//!
//! **No flapping.** A stage is left once the use is [`back`](Ladder) below its mark: a disk
//! that fills and empties around a mark does not switch with it.

use crate::domain::category::Categories;
use crate::domain::envelope::item::ItemKind;
use crate::domain::sampling::Rate;
use crate::domain::switch::Share;

/// For how long a sender is told to hold back: no disk is emptied in seconds, and a minute
/// after it is, all come again.
const RETRY_AFTER_S: u64 = 60;

/// How far the guard goes. In order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Stage {
    /// Everything passes.
    #[default]
    Open,
    /// What is large stays here: replays, profiles, attachments.
    Large,
    /// So does what is many: transactions, spans, logs, metrics.
    Bulk,
    /// And of errors a share passes.
    Errors,
}

impl Stage {
    /// Those that keep something here, the first first.
    pub const STEPS: [Self; 3] = [Self::Large, Self::Bulk, Self::Errors];

    /// Its name, as the configuration has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Large => "large",
            Self::Bulk => "bulk",
            Self::Errors => "errors",
        }
    }

    /// Its number, from 0.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Large => 1,
            Self::Bulk => 2,
            Self::Errors => 3,
        }
    }

    /// What stays here, in words; `errors`: the share of errors that passes at the last.
    #[must_use]
    pub fn words(self, errors: Share) -> String {
        match self {
            Self::Open => "nothing".to_owned(),
            Self::Large => "replays, profiles and attachments".to_owned(),
            Self::Bulk => {
                "replays, profiles, attachments, transactions, spans, logs and metrics".to_owned()
            }
            Self::Errors if errors == Share::NONE => {
                "everything but check-ins, sessions and feedback".to_owned()
            }
            Self::Errors => format!(
                "everything but check-ins, sessions and feedback, and of errors all but {errors}"
            ),
        }
    }
}

/// The stage from which on such an item does not pass; `None`: it always does.
#[must_use]
pub const fn goes_at(kind: ItemKind) -> Option<Stage> {
    match kind {
        ItemKind::Attachment
        | ItemKind::CrashAttachment
        | ItemKind::Profile
        | ItemKind::ProfileChunk
        | ItemKind::ProfileChunkUi
        | ItemKind::ReplayEvent
        | ItemKind::ReplayRecording => Some(Stage::Large),
        ItemKind::Transaction
        | ItemKind::Span
        | ItemKind::Log
        | ItemKind::TraceMetric
        | ItemKind::Metrics
        | ItemKind::Nel
        // A type of tomorrow: those that came of late were all of this kind.
        | ItemKind::Unknown => Some(Stage::Bulk),
        ItemKind::Event | ItemKind::Security | ItemKind::UnrealReport => Some(Stage::Errors),
        ItemKind::FormData
        | ItemKind::Feedback
        | ItemKind::Session
        | ItemKind::ClientReport
        | ItemKind::CheckIn => None,
    }
}

/// Where each stage begins, and when it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    marks: [Share; 3],
    back: Share,
}

impl Ladder {
    /// Stages that begin at these uses of a disk, the lowest first, and end once the use is
    /// `back` below.
    #[must_use]
    pub const fn new(marks: [Share; 3], back: Share) -> Self {
        Self { marks, back }
    }

    /// The stage at this use, after having been at another.
    #[must_use]
    pub fn stage(&self, was: Stage, used: Share) -> Stage {
        let steps = Stage::STEPS.into_iter().zip(self.marks);
        let holds = |(stage, mark): &(Stage, Share)| {
            let back = if *stage <= was {
                self.back
            } else {
                Share::NONE
            };
            match back == Share::NONE {
                true => used >= *mark,
                // At exactly so much below it is left.
                false => used > mark.less(back),
            }
        };
        let on = steps.filter(holds).map(|(stage, _)| stage);
        on.max().unwrap_or_default()
    }

    /// The next stage that is not reached at this use, and where it begins.
    #[must_use]
    pub fn next(&self, is: Stage, used: Share) -> Option<(Stage, Share)> {
        let mut steps = Stage::STEPS.into_iter().zip(self.marks);
        steps.find(|(stage, mark)| *stage > is && used < *mark)
    }

    /// Where a stage begins.
    #[must_use]
    pub fn mark(&self, stage: Stage) -> Option<Share> {
        let mut steps = Stage::STEPS.into_iter().zip(self.marks);
        steps.find(|(of, _)| *of == stage).map(|(_, mark)| mark)
    }
}

/// A stage as items meet it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guard {
    stage: Stage,
    errors: Rate,
    /// What senders are told to hold back.
    told: Categories,
}

/// What a sender is told of an item that stays here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// What to hold back: never everything.
    pub categories: Categories,
    /// For how long.
    pub retry_after_s: u64,
}

impl Guard {
    /// A stage at which so many errors pass at the last. `None`: everything does.
    #[must_use]
    pub fn at(stage: Stage, errors: Rate) -> Option<Self> {
        if stage == Stage::Open {
            return None;
        }
        let mut guard = Self {
            stage,
            errors,
            told: Categories::EMPTY,
        };
        let kinds = ItemKind::ALL.iter();
        let gone = kinds.filter(|kind| guard.rate(**kind).is_some_and(|rate| rate.share() <= 0.0));
        guard.told = gone.fold(Categories::EMPTY, |all, kind| all.and(kind.categories()));
        Some(guard)
    }

    /// Which stage it is.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// The share of such items that passes; `None`: all.
    #[must_use]
    pub fn rate(&self, kind: ItemKind) -> Option<Rate> {
        let from = goes_at(kind).filter(|from| *from <= self.stage)?;
        match from {
            Stage::Errors => Some(self.errors).filter(|rate| rate.share() < 1.0),
            Stage::Open | Stage::Large | Stage::Bulk => Some(Rate::NONE),
        }
    }

    /// Whether items of these categories are sampled, so that somebody must know what they
    /// are part of.
    #[must_use]
    pub fn samples(&self, categories: Categories) -> bool {
        let sampled = |kind: &&ItemKind| self.rate(**kind).is_some_and(|rate| !rate.is_certain());
        let mut kinds = ItemKind::ALL.iter().filter(sampled);
        kinds.any(|kind| kind.categories().meets(categories))
    }

    /// What the sender of such an item is told.
    ///
    /// Of what does not pass at all, all of it at once, so that nothing of it is sent in vain.
    /// Where a share passes it is a second only: a sender that is silent for longer would take
    /// no part in the share.
    #[must_use]
    pub fn told(&self, kind: ItemKind) -> Told {
        let sampled = self.rate(kind).is_some_and(|rate| rate.share() > 0.0);
        match sampled {
            true => Told {
                categories: kind.categories(),
                retry_after_s: 1,
            },
            false => Told {
                categories: self.told,
                retry_after_s: RETRY_AFTER_S,
            },
        }
    }
}

#[cfg(test)]
mod tests;
