//! What each kept request holds, remembered from when it was entered into the books, so
//! that they are told the same when it leaves them, whatever has become of its bytes. Owns
//! how that is remembered in little memory; never books.
//!
//! A request with items of one category, as most are, takes eight bytes here, in the queue
//! itself. Another one takes some 70 in a table, and eight more for each category.

use std::collections::HashMap;

use crate::domain::category::Category;
use crate::domain::endpoint::ProjectId;
use crate::policy::replay::Held;
use crate::telemetry::ledger::Account;

use super::log::Place;
use super::parcel::Holding;

/// The table is made smaller when so few of its places are used: one in this many.
const SPARSE_PART: usize = 8;

/// And has more than so many.
const PLACES_MIN: usize = 1024;

/// Where a request lies, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stowed {
    /// Where it lies.
    pub lies: Place,
    /// What it holds.
    pub holds: Brief,
}

/// What a request holds, or that the table says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brief {
    /// Items of one category.
    One(One),
    /// See [`Holds`].
    Listed,
}

/// Items of one category, as few and as small as most are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct One {
    whose: Whose,
    category: Category,
    items: u16,
    bytes: u32,
}

/// An account, where the project is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Project,
    Other,
    Unproven,
}

impl One {
    /// `None`: it is larger than most, or another project's.
    fn of(project: Option<ProjectId>, held: &Holding) -> Option<Self> {
        let whose = match held.account {
            Account::Project(id) if Some(id) == project => Whose::Project,
            Account::Project(_) => return None,
            Account::Other => Whose::Other,
            Account::Unproven => Whose::Unproven,
        };
        Some(Self {
            whose,
            category: held.category,
            items: held.items.try_into().ok()?,
            bytes: held.bytes.try_into().ok()?,
        })
    }

    fn holding(self, project: Option<ProjectId>) -> Holding {
        let account = match self.whose {
            Whose::Project => project.map_or(Account::Other, Account::Project),
            Whose::Other => Account::Other,
            Whose::Unproven => Account::Unproven,
        };
        Holding {
            account,
            category: self.category,
            items: self.items.into(),
            bytes: self.bytes.into(),
        }
    }
}

/// What a request holds that is no [`One`].
#[derive(Debug)]
enum Listed {
    Ones(Box<[One]>),
    Any(Box<[Holding]>),
}

/// The table of those that hold more than a [`Brief`] can say, by their order. As bounded
/// as what is kept.
#[derive(Debug, Default)]
pub(super) struct Holds(HashMap<u64, Listed>);

impl Holds {
    /// Remembers what a request holds.
    pub(super) fn note(
        &mut self,
        order: u64,
        project: Option<ProjectId>,
        holdings: &[Holding],
    ) -> Brief {
        let ones: Option<Box<[One]>> = holdings.iter().map(|it| One::of(project, it)).collect();
        let listed = match ones {
            Some(ones) => match *ones {
                [one] => return Brief::One(one),
                _ => Listed::Ones(ones),
            },
            None => Listed::Any(holdings.into()),
        };
        self.0.insert(order, listed);
        Brief::Listed
    }

    /// What a request holds.
    pub(super) fn of(&self, held: &Held<Stowed>) -> Vec<Holding> {
        let project = held.project;
        match (held.place.holds, self.0.get(&held.order)) {
            (Brief::One(one), _) => vec![one.holding(project)],
            (Brief::Listed, Some(Listed::Ones(ones))) => {
                ones.iter().map(|one| one.holding(project)).collect()
            }
            (Brief::Listed, Some(Listed::Any(any))) => any.to_vec(),
            (Brief::Listed, None) => Vec::new(),
        }
    }

    /// What a request held that is kept no longer: forgotten from here on.
    pub(super) fn take(&mut self, held: &Held<Stowed>) -> Vec<Holding> {
        let holdings = self.of(held);
        if held.place.holds == Brief::Listed {
            self.0.remove(&held.order);
            let (used, places) = (self.0.len(), self.0.capacity());
            if places > PLACES_MIN && used < places / SPARSE_PART {
                self.0.shrink_to(used * 2);
            }
        }
        holdings
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::log::{Draft, Head, Log, LogLimits, RealDisk};
    use super::*;
    use crate::policy::replay::lane::Lane;

    fn project(number: u64) -> ProjectId {
        ProjectId::parse(number.to_string().as_bytes()).unwrap()
    }

    /// Any place: only a log gives one.
    pub(in super::super) fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path()).unwrap();
        let (mut log, _) = Log::open(disk, LogLimits::default()).unwrap();
        let head = Head {
            order: 1,
            at_unix_ms: 0,
            project: None,
            lane: 0,
            items: 0,
        };
        let draft = Draft {
            head,
            payload: &[],
            body: None,
        };
        log.append(&mut [draft])[0].unwrap()
    }

    fn holding(account: Account, category: Category, items: u64, bytes: u64) -> Holding {
        Holding {
            account,
            category,
            items,
            bytes,
        }
    }

    fn held(lies: Place, order: u64, holds: Brief) -> Held<Stowed> {
        Held {
            place: Stowed { lies, holds },
            order,
            at: 0,
            project: Some(project(42)),
            lane: Lane::Error,
            bytes: 0,
        }
    }

    #[track_caller]
    fn check(lies: Place, holdings: &[Holding], listed: usize) {
        let mut holds = Holds::default();
        let brief = holds.note(7, Some(project(42)), holdings);
        assert_eq!(holds.0.len(), listed, "in the table: {holdings:?}");
        let held = held(lies, 7, brief);
        assert_eq!(holds.of(&held), holdings);
        assert_eq!(holds.take(&held), holdings);
        assert!(holds.0.is_empty(), "it is forgotten: {holdings:?}");
    }

    #[test]
    fn what_was_noted_is_told_to_the_byte() {
        let lies = place();
        let own = Account::Project(project(42));
        let most = (u16::MAX.into(), u32::MAX.into());
        for account in [own, Account::Other, Account::Unproven] {
            let error = holding(account, Category::Error, 1, 14);
            let full = holding(account, Category::Session, most.0, most.1);
            let many = holding(account, Category::Session, most.0 + 1, 0);
            let large = holding(account, Category::Attachment, 1, most.1 + 1);
            check(lies, &[error], 0);
            check(lies, &[full], 0);
            check(lies, &[many], 1);
            check(lies, &[large], 1);
            check(lies, &[error, full], 1);
            check(lies, &[error, large, full], 1);
        }
        let others = holding(Account::Project(project(7)), Category::Error, 1, 14);
        check(lies, &[others], 1);
        check(lies, &[], 1);
    }

    #[test]
    fn most_take_eight_bytes() {
        assert_eq!((size_of::<Brief>(), size_of::<Stowed>()), (8, 16));
    }

    #[test]
    fn the_table_gives_its_memory_back() {
        let (lies, mut holds) = (place(), Holds::default());
        let two = [Category::Error, Category::Attachment]
            .map(|category| holding(Account::Other, category, 1, 1));
        for order in 0..10_000 {
            holds.note(order, None, &two);
        }
        for order in 0..10_000 {
            assert_eq!(holds.take(&held(lies, order, Brief::Listed)), two);
        }
        assert!(holds.0.capacity() <= 2 * PLACES_MIN);
    }
}
