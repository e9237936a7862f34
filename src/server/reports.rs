//! Where threads leave what they have dropped, for whoever tells Sentry of it. Each has a
//! share of its own, which another takes whole once an interval: a drop never waits for
//! another thread's, and what is forwarded pays nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::category::Category;
use crate::domain::endpoint::Endpoint;
use crate::domain::outcome::Reason;
use crate::policy::inspection::only_item;
use crate::policy::pair::Pair;
use crate::policy::quotas::Who;
use crate::policy::reports::{Dropped, Gathered, Standing};

/// The shares of all threads.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Vec<Share>>);

/// One thread's. What is in it stays when it is dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Share(Arc<Mutex<Gathered>>);

/// Whose request was refused before anybody looked into it.
#[derive(Debug)]
pub(crate) struct Loser {
    pair: Pair,
    standing: Standing,
    category: Category,
}

impl Loser {
    /// `None`: of no project that is known.
    pub(crate) fn of(who: &Who, vouched: bool, endpoint: Option<Endpoint>) -> Option<Self> {
        Some(Self {
            pair: Pair::of(who.key, Some(who.project?)),
            standing: match vouched {
                true => Standing::Vouched,
                false => Standing::Stranger,
            },
            category: endpoint.map_or(Category::Unread, unread),
        })
    }

    /// Has Sentry told of it.
    pub(crate) fn report(&self, share: &Share, reason: Reason, bytes: u64) {
        let dropped = Dropped {
            reason,
            limit: None,
            category: self.category,
            items: 1,
            bytes,
        };
        share.add(self.pair, self.standing, dropped);
    }
}

/// What a request counts as in Stats into which nobody has looked: what its endpoint takes,
/// where that is one thing.
pub(crate) fn unread(endpoint: Endpoint) -> Category {
    let only = only_item(endpoint, None).kind.category();
    match only == Category::Unknown {
        true => Category::Unread,
        false => only,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Sums are added to one by one: nothing is left half written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    /// A share for another thread.
    pub(crate) fn share(&self) -> Share {
        let share = Share::default();
        locked(&self.0).push(share.clone());
        share
    }

    /// Takes what all have gathered since this was last asked.
    pub(crate) fn take(&self) -> Vec<Gathered> {
        let shares = locked(&self.0).clone();
        let taken = shares
            .iter()
            .map(|share| std::mem::take(&mut *locked(&share.0)));
        taken.filter(|gathered| !gathered.is_empty()).collect()
    }
}

impl Share {
    /// Adds what was dropped of a sender's.
    pub(crate) fn add(&self, pair: Pair, standing: Standing, dropped: Dropped<'_>) {
        if dropped.counts() {
            locked(&self.0).add(pair, standing, dropped);
        }
    }
}
