//! Whose share of the spool is full: nothing more of theirs is kept, though there is room for
//! others. Looks at sums alone.

use crate::config::checked::Spool;
use crate::domain::endpoint::ProjectId;

use super::room::{COMMON_BYTES, Used, strangers_max};

/// Shares that an operator is shown.
const SHOWN: usize = 10;

/// Who has a share of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Senders whose keys nobody vouches for, all together.
    Strangers,
    /// A project; `None`: requests that name none.
    Project(Option<ProjectId>),
}

/// A share of which nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FullShare {
    /// Whose.
    pub whose: Whose,
    /// What they have.
    pub bytes: u64,
    /// What they may have.
    pub bytes_max: u64,
}

/// All of them, as far as they are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FullShares {
    /// That of strangers first, then projects, the largest before others.
    pub shown: Vec<FullShare>,
    /// How many more there are.
    pub more: u64,
}

/// What a project may have at most before its share counts as full: less is left than a
/// common event takes.
pub(super) const fn nearly_all(config: &Spool) -> u64 {
    config.project_bytes.saturating_sub(COMMON_BYTES)
}

/// Whether projects have shares: one that may have everything meets the spool's own end.
pub(super) const fn are_kept_apart(config: &Spool) -> bool {
    config.project_bytes < config.max_bytes
}

/// Which shares are full. `projects` are those with more than [`nearly_all`], each with its
/// number and its bytes; 0 stands for none.
pub(super) fn full(
    config: &Spool,
    used: Used,
    projects: impl Iterator<Item = (u64, u64)>,
) -> FullShares {
    let most = strangers_max(config);
    let strangers = (used.strangers.saturating_add(COMMON_BYTES) > most).then_some(FullShare {
        whose: Whose::Strangers,
        bytes: used.strangers,
        bytes_max: most,
    });
    let mut projects: Vec<(u64, u64)> = projects.collect();
    projects.sort_unstable_by_key(|(number, bytes)| (std::cmp::Reverse(*bytes), *number));
    let all = projects.len() + usize::from(strangers.is_some());
    let projects = projects.into_iter().map(|(number, bytes)| FullShare {
        whose: Whose::Project(ProjectId::parse(number.to_string().as_bytes())),
        bytes,
        bytes_max: config.project_bytes,
    });
    FullShares {
        shown: strangers.into_iter().chain(projects).take(SHOWN).collect(),
        more: u64::try_from(all.saturating_sub(SHOWN)).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn config() -> Spool {
        Spool {
            max_bytes: 100 * MIB,
            project_bytes: 10 * MIB,
            ..crate::config::Config::in_front_of(Vec::new()).spool
        }
    }

    fn of_strangers(bytes: u64) -> FullShares {
        let used = Used {
            strangers: bytes,
            ..Used::default()
        };
        full(&config(), used, std::iter::empty())
    }

    #[test]
    fn strangers_are_named_when_no_event_more_fits() {
        assert_eq!(of_strangers(5 * MIB - COMMON_BYTES), FullShares::default());
        let share = FullShare {
            whose: Whose::Strangers,
            bytes: 5 * MIB - COMMON_BYTES + 1,
            bytes_max: 5 * MIB,
        };
        assert_eq!(of_strangers(share.bytes).shown, [share]);
    }

    #[test]
    fn projects_are_named_the_largest_first_and_not_all_of_many() {
        let project = |number: u64| (number, if number == 7 { 10 * MIB } else { 10 * MIB - 1 });
        let shares = full(&config(), Used::default(), (1..=12).map(project));
        assert_eq!((shares.shown.len(), shares.more), (SHOWN, 2));
        let names: Vec<Whose> = shares.shown.iter().map(|share| share.whose).collect();
        let named = |text: &[u8]| Whose::Project(ProjectId::parse(text));
        assert_eq!(names[..3], [named(b"7"), named(b"1"), named(b"2")]);
        assert_eq!(shares.shown[0].bytes_max, 10 * MIB);
    }

    #[test]
    fn a_project_that_may_have_everything_has_no_share_to_fill() {
        assert!(are_kept_apart(&config()));
        let config = Spool {
            project_bytes: 100 * MIB,
            ..config()
        };
        assert!(!are_kept_apart(&config));
    }
}
