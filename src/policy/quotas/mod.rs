//! May this item pass, by its quotas? Owns the order in which quotas are asked and
//! that an item is charged to all of them or to none; never reads a clock, never
//! writes to disk, never sees a request.
//!
//! **One word a counter.** All workers compare and swap the same word, so a limit
//! is exact however many there are, and however unevenly the kernel spreads
//! connections over them. Leases, a share for each worker, were weighed and left:
//! workers are as many as cores, a swap costs some tens of nanoseconds beside the
//! ten thousand of a request, and a leased share that sits on an idle worker is
//! refused to everybody else until it is handed back.
//!
//! **All or none.** First all quotas are looked at, in their order, and the first
//! without room is the reason; so what is refused for long writes nothing, and no
//! flood at one quota disturbs another. Then all are charged. Where another thread
//! took the last of one in between, those charged before it get theirs back: a
//! window to the item; a rate only if nobody else moved it meanwhile, else it leaks
//! away by itself, since a bucket must not get back what it has already refilled.
//!
//! **Under a flood.** Counters of keys, of projects that nobody listed and of
//! addresses live in tables of fixed size. A place is given up only by a counter
//! that holds no information any more, so nobody is handed a fresh bucket by pushing
//! others out. Who finds no place shares one more counter with all the others who
//! found none: that is all that a flood can gain, once and for everybody in it.

mod compiled;
mod counter;
mod counters;
mod identity;
mod ips;
mod journal;
mod leasing;
mod lent;
mod lessee;
mod measure;
mod membership;
mod plan;
mod sharing;
mod spent;
mod switched;

use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::category::Categories;
use crate::domain::endpoint::ProjectId;
use crate::domain::outcome::Reason;

use compiled::Compiled;

pub use counters::{CounterLimits, Counters};
pub use identity::Owner;
pub use journal::{LiveWindow, Mark, Unreserved};
pub use leasing::{
    AWAY_WINDOWS_S, FORGOTTEN_MS, PRESENT_MS, RELEARN_MS, SETTLE_MS, SKEW_S, Standing, Unasked,
    WHOLE, reserve,
};
pub use lessee::{Ask, Lease, Lessee};
pub use membership::{Absent, Contact, Membership, Report, Roll};
pub use plan::{Budgets, QuotaSpec, Quotas, SentryQuotas, Usage};
pub use sharing::Outlay;
pub use spent::Spent;
pub use switched::{SwitchedLimit, SwitchedLimits};

/// Who sends.
#[derive(Debug, Clone, Copy)]
pub struct Who {
    /// The project, if the path or the key tells. All who name none share the defaults' counters.
    pub project: Option<ProjectId>,
    /// The public key, packed: whoever looks a quota up needs no other form.
    pub key: [u8; 16],
    /// The client's address. Of IPv6 the /64 counts, and a mapped IPv4 address is IPv4.
    pub ip: IpAddr,
    /// How far it is believed to be who it says.
    pub trust: Trust,
}

/// How much of what is shared a sender may use up: keys can be made up, and the upstream finds
/// that out only once they have been charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Its key is vouched for, or nobody's is.
    Whole,
    /// It is not, and neither is any other of its project, as of a new one: with all like it, a
    /// twentieth of each quota on everybody.
    NewProject,
    /// It is not, but others of its project are: with all like it, a twentieth of each quota that
    /// it shares with them.
    Stranger,
    /// The same as of a new project; of windows, a tenth: the upstream has accepted its key once.
    ExcusedNewProject,
    /// The same as a stranger's; of windows, a tenth.
    ExcusedStranger,
}

impl Trust {
    /// For one item, which may prove it.
    #[must_use]
    pub const fn excused(self) -> Self {
        match self {
            Self::Whole => Self::Whole,
            Self::NewProject | Self::ExcusedNewProject => Self::ExcusedNewProject,
            Self::Stranger | Self::ExcusedStranger => Self::ExcusedStranger,
        }
    }
}

/// The time on both clocks: rates follow the one that only moves forward, windows the wall's.
///
/// Take it anew for each charge. One that is older than the window before the present one reads as
/// a wall clock that was set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Nanoseconds since the process started.
    pub since_start_ns: u64,
    /// Seconds since 1970.
    pub unix_s: u64,
}

/// What one item weighs. Nothing that is free may be charged: the empty set of categories is what
/// has none of Sentry's, and quotas on everything do apply to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The categories that it counts in.
    pub categories: Categories,
    /// What a limit of items counts.
    pub items: u64,
    /// What a limit of bytes counts.
    pub bytes: u64,
}

/// What a refusal is about, as far as the client may conclude from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everybody.
    Global,
    /// All projects of the organization.
    Organization,
    /// The project.
    Project,
    /// The key.
    Key,
    /// The client's address.
    Ip,
}

/// A quota has no room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Full {
    /// `Limited` of a switch, else `Quota` of a window and `Rate` of a rate.
    pub reason: Reason,
    /// The quota's name.
    pub name: Arc<str>,
    /// The categories that are refused; empty: all.
    pub categories: Categories,
    /// Whom it is about.
    pub scope: Scope,
    /// When it may be asked again: at least 1, and not capped here.
    pub retry_after_s: u64,
}

/// All quotas are charged.
#[derive(Debug, Default)]
pub struct Granted {
    /// Windows that have now used more than is written down: write, then forward. Always empty
    /// without a journal.
    pub unreserved: Vec<Unreserved>,
    /// Windows that soon will: write when convenient.
    pub ahead: Vec<Unreserved>,
}

impl Granted {
    /// Whether nothing has to be written down.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unreserved.is_empty() && self.ahead.is_empty()
    }

    /// Adds what another charge of the same request was granted.
    pub fn merge(&mut self, more: Self) {
        self.unreserved.extend(more.unreserved);
        self.ahead.extend(more.ahead);
    }
}

/// The quotas that can apply to one sender, looked up once a request.
#[derive(Debug)]
pub struct Applying<'q> {
    /// In the order of asking: switched on, global, project, key, address; but for the first, only
    /// those with something in them.
    lists: [&'q [Compiled]; plan::LISTS],
    /// How many those are, with the first.
    used: usize,
    sender: Who,
}

/// A walk over quotas, one list after the other. Each event pays for several: this is what a
/// flattened iterator does, in a third of the instructions.
struct Walk<'a, 'q> {
    list: &'q [Compiled],
    lists: &'a [&'q [Compiled]],
}

impl<'q> Iterator for Walk<'_, 'q> {
    type Item = &'q Compiled;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let [first, rest @ ..] = self.list {
                self.list = rest;
                return Some(first);
            }
            let [next, rest @ ..] = self.lists else {
                return None;
            };
            (self.list, self.lists) = (next, rest);
        }
    }
}

impl<'q> Applying<'q> {
    /// Whether nothing can ever be refused here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.quotas().next().is_none()
    }

    fn quotas(&self) -> Walk<'_, 'q> {
        Walk {
            list: &[],
            lists: self.lists.get(..self.used).unwrap_or_default(),
        }
    }

    /// The quotas that a load counts in, with how much of it.
    fn charges(&self, load: &Load) -> impl Iterator<Item = (&'q Compiled, u64)> {
        let amount = |quota: &'q Compiled| Some((quota, quota.amount(load)?));
        self.quotas().filter_map(amount)
    }

    /// Charges all quotas that apply, or none.
    ///
    /// Costs a read and a swap for each quota on a counter of its own, and a look-up more for those
    /// by key or address.
    ///
    /// # Errors
    /// The first quota in their order that has no room.
    pub fn charge(&self, at: Moment, load: &Load, counters: &Counters) -> Result<Granted, Full> {
        let mut granted = Granted::default();
        let mut charges = self.charges(load);
        let Some(mut last) = charges.next() else {
            return Ok(granted);
        };
        for next in charges {
            let (quota, amount) = last;
            let seen = quota.look(at, &self.sender, amount, counters);
            if let Err(full) = seen {
                self.misses(quota, at, amount, counters);
                return Err(full);
            }
            last = next;
        }
        // The last is charged first: as all before it have room, its refusal names it rightly, and
        // the one quota that most often stands alone, or refuses, is asked only once.
        let earlier = self.charges(load);
        let earlier = earlier.take_while(|(quota, _)| !std::ptr::eq(*quota, last.0));
        let mut charges = std::iter::once(last).chain(earlier);
        if let Err(full) = self.charge_all(at, &mut charges, counters, &mut granted) {
            self.want_leases(at, counters);
            return Err(full);
        }
        Ok(granted)
    }

    /// A quota has refused so much.
    #[cold]
    fn misses(&self, quota: &Compiled, at: Moment, amount: u64, counters: &Counters) {
        if !counters.is_sole() {
            quota.note_missed(at, &self.sender, amount, counters);
            self.want_leases(at, counters);
        }
    }

    /// Has all that count for the sender asked for, where nothing is lent yet: one refusal is
    /// enough for all of them.
    #[cold]
    fn want_leases(&self, at: Moment, counters: &Counters) {
        if counters.is_shared() {
            self.quotas()
                .for_each(|quota| quota.want_lease(at, &self.sender, counters));
        }
    }

    /// As deep as there are quotas: each waits for those behind it, to take its own back.
    fn charge_all<'c>(
        &self,
        at: Moment,
        charges: &mut impl Iterator<Item = (&'c Compiled, u64)>,
        counters: &Counters,
        granted: &mut Granted,
    ) -> Result<(), Full> {
        let Some((quota, amount)) = charges.next() else {
            return Ok(());
        };
        let after = quota.charge(at, &self.sender, amount, counters, granted)?;
        let rest = self.charge_all(at, charges, counters, granted);
        if rest.is_err() {
            quota.undo(&self.sender, amount, counters, after);
        }
        rest
    }

    /// Gives back what was charged at `charged`, as the client has left. A window that is over
    /// gets nothing back, a rate what has not leaked since.
    pub fn give_back(&self, now: Moment, charged: Moment, load: &Load, counters: &Counters) {
        for (quota, amount) in self.charges(load) {
            quota.give_back(now, charged, &self.sender, amount, counters);
        }
    }

    /// What would refuse the load now. Changes nothing.
    #[must_use]
    pub fn look(&self, at: Moment, load: &Load, counters: &Counters) -> Option<Full> {
        let mut charges = self.charges(load);
        charges.find_map(|(quota, amount)| quota.look(at, &self.sender, amount, counters).err())
    }

    /// What the sender of a load that was refused is to hold back: where the quota has room for
    /// something smaller, no more than what is of the load's own kind.
    #[must_use]
    pub fn narrowed(&self, at: Moment, load: &Load, full: Full, counters: &Counters) -> Full {
        let mut own = self.quotas().filter(|quota| quota.is_called(&full.name));
        let has_room = own.any(|quota| quota.look(at, &self.sender, 1, counters).is_ok());
        match has_room {
            // A limit on everything names nothing.
            true if full.categories.is_empty() => Full {
                categories: load.categories,
                ..full
            },
            true => Full {
                categories: full.categories.common(load.categories),
                ..full
            },
            false => full,
        }
    }

    /// A quota on everything that has no room for one item or one byte more: whatever comes will be
    /// refused. Changes nothing.
    #[must_use]
    pub fn full_for_all(&self, at: Moment, counters: &Counters) -> Option<Full> {
        self.first_full(at, counters).map(|(_, full)| full)
    }

    /// The same, where a request is refused for it: edges that share ask for more.
    #[must_use]
    pub fn refuses_all(&self, at: Moment, counters: &Counters) -> Option<Full> {
        let (quota, full) = self.first_full(at, counters)?;
        self.misses(quota, at, 1, counters);
        Some(full)
    }

    fn first_full(&self, at: Moment, counters: &Counters) -> Option<(&'q Compiled, Full)> {
        let mut on_all = self.quotas().filter(|quota| quota.is_on_all());
        on_all.find_map(|quota| {
            let full = quota.look(at, &self.sender, 1, counters).err()?;
            Some((quota, full))
        })
    }
}

#[cfg(test)]
mod tests;
