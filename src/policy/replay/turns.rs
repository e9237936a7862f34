//! Whose turn it is among projects. Owns the order; never sees a record.
//!
//! Each project pays for its bytes, and who has paid least is next: among projects
//! that have something to send, none gets ahead of another by more than one record.
//! Rounds with a quantum, the common way, come to the same, but would go round a
//! thousand times before a large record is paid for. Who comes, or comes back from a
//! rest, begins where the others are: nobody saves up.

use std::collections::BTreeSet;

use crate::domain::endpoint::ProjectId;

use super::super::millis::Millis;

/// A project; `None` are the records of which it is not known.
pub(super) type Name = Option<ProjectId>;

/// One project's account.
#[derive(Debug, Default)]
pub(super) struct Account {
    paid: u64,
    seat: Seat,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Seat {
    /// Has nothing to send.
    #[default]
    Away,
    /// Has nothing to send before then.
    Asleep(Millis),
    /// Waits for its turn, with so much paid.
    Ready(u64),
}

impl Account {
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.seat, Seat::Ready(_))
    }
}

/// Those that wait for their turn, and those that sleep.
#[derive(Debug, Default)]
pub(super) struct Turns {
    ready: BTreeSet<(u64, Name)>,
    asleep: BTreeSet<(Millis, Name)>,
    /// What had been paid by the one whose turn it was last.
    level: u64,
}

impl Turns {
    /// Whose turn it is.
    pub(super) fn next(&self) -> Option<Name> {
        self.ready.first().map(|(_, name)| *name)
    }

    /// Who sleeps no longer, one after the other: the caller seats them.
    pub(super) fn woken(&self, now: Millis) -> Option<Name> {
        let (until, name) = self.asleep.first()?;
        (*until <= now).then_some(*name)
    }

    /// When the next one wakes.
    pub(super) fn wakes_at(&self) -> Option<Millis> {
        self.asleep.first().map(|(until, _)| *until)
    }

    /// Who had its turn pays.
    pub(super) fn pay(&mut self, account: &mut Account, bytes: u64) {
        self.level = self.level.max(account.paid);
        account.paid = account.paid.saturating_add(bytes);
    }

    /// Seats a project that has something to send from then on: `None`, nothing. What is past is
    /// now.
    pub(super) fn seat(
        &mut self,
        now: Millis,
        name: Name,
        account: &mut Account,
        from: Option<Millis>,
    ) {
        let was_ready = account.is_ready();
        match account.seat {
            Seat::Away => {}
            Seat::Asleep(until) => {
                self.asleep.remove(&(until, name));
            }
            Seat::Ready(paid) => {
                self.ready.remove(&(paid, name));
            }
        }
        account.seat = match from {
            None => Seat::Away,
            Some(from) if from > now => Seat::Asleep(from),
            Some(_) => {
                if !was_ready {
                    account.paid = account.paid.max(self.level);
                }
                Seat::Ready(account.paid)
            }
        };
        match account.seat {
            Seat::Away => {}
            Seat::Asleep(until) => {
                self.asleep.insert((until, name));
            }
            Seat::Ready(paid) => {
                self.ready.insert((paid, name));
            }
        }
    }
}
