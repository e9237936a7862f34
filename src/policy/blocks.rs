//! Clients that only misbehave, and those that are blocked for it: for a while, and over by
//! itself. Owns the counts; never decides what misbehaving is, nor who is exempt.
//!
//! One good request takes a client's misdeeds back: behind an address may be many, and who
//! has let anything good through is not only an attacker. A block stands until its end all the
//! same, or an answer that was under way would end it. A full table counts nobody new: those
//! whom it has stay blocked.

use std::net::IpAddr;
use std::time::Duration;

use crate::domain::block::BlockRule;
use crate::domain::networks::one_client;

use super::millis::Millis;
use super::table::{Fate, Table};
use super::verdicts::TableSize;

/// How many shards are cleared at a time: all of a table's in some minutes.
const SWEEP_SHARDS: usize = 4;

/// All clients that misbehaved of late. Shared by all workers; survives a reload.
pub struct Blocks {
    clients: Table<IpAddr, Standing>,
}

/// What a client has come to.
#[derive(Debug, Clone, Copy)]
enum Standing {
    /// So many misdeeds since the window began.
    Counted { strikes: u64, ends: Millis },
    /// Nobody hears it.
    Blocked { strikes: u64, until: Millis },
}

/// A blocked client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// Its address; of IPv6 the first of its /64.
    pub client: IpAddr,
    /// When the block ends.
    pub until: Millis,
    /// The misdeeds it is blocked for.
    pub strikes: u64,
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.table().fmt(f)
    }
}

impl Blocks {
    /// Nobody misbehaved yet. Of more clients at a time than so many, those that are new go
    /// uncounted.
    #[must_use]
    pub fn new(clients_max: usize) -> Self {
        Self {
            clients: Table::new(clients_max),
        }
    }

    /// Whether nobody misbehaved of late: one read of a line that changes with that alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Counts a misdeed. True: it was the last that the rule allows, and the client is blocked
    /// from now on.
    pub fn strike(&self, now: Millis, rule: &BlockRule, client: IpAddr) -> bool {
        if rule.after == 0 {
            return false;
        }
        let struck = self.clients.at(one_client(client), |mut slot| {
            let (strikes, ends) = match slot.value() {
                Some(Standing::Blocked { until, .. }) if now < *until => return false,
                Some(Standing::Counted { strikes, ends }) if now < *ends && *strikes > 0 => {
                    (strikes.saturating_add(1), *ends)
                }
                Some(_) | None => (1, now.plus(millis(rule.per))),
            };
            let blocked = strikes >= rule.after;
            let standing = match blocked {
                true => Standing::Blocked {
                    strikes,
                    until: now.plus(millis(rule.lasts)),
                },
                false => Standing::Counted { strikes, ends },
            };
            slot.put(standing) && blocked
        });
        if self.clients.is_full() {
            self.clients
                .sweep_if_due(now, |standing| fate(standing, now));
        }
        struck
    }

    /// The client did something good: its misdeeds are forgotten.
    pub fn clears(&self, client: IpAddr) {
        let client = one_client(client);
        if self.clients.look(&client, |_| ()).is_none() {
            return;
        }
        self.clients.at(client, |mut slot| {
            if let Some(Standing::Counted { strikes, .. }) = slot.value() {
                *strikes = 0;
            }
        });
    }

    /// When the client's block ends; `None`: it is not blocked.
    #[must_use]
    pub fn until(&self, now: Millis, client: IpAddr) -> Option<Millis> {
        let standing = self
            .clients
            .look(&one_client(client), |standing| *standing)?;
        match standing {
            Standing::Blocked { until, .. } if now < until => Some(until),
            Standing::Blocked { .. } | Standing::Counted { .. } => None,
        }
    }

    /// Ends a client's block, and forgets what it was for. False: it is not blocked.
    pub fn lift(&self, now: Millis, client: IpAddr) -> bool {
        self.until(now, client).is_some() && self.clients.remove(&one_client(client))
    }

    /// All that are blocked, those whose block ends last in front.
    #[must_use]
    pub fn blocked(&self, now: Millis) -> Vec<Blocked> {
        let mut blocked = Vec::new();
        self.clients.each(|client, standing| match *standing {
            Standing::Blocked { strikes, until } if now < until => blocked.push(Blocked {
                client: *client,
                until,
                strikes,
            }),
            Standing::Blocked { .. } | Standing::Counted { .. } => {}
        });
        blocked.sort_unstable_by_key(|blocked| (std::cmp::Reverse(blocked.until), blocked.client));
        blocked
    }

    /// Clears a slice of what is over: for the control thread, about once a second.
    pub fn sweep(&self, now: Millis) {
        self.clients
            .sweep(SWEEP_SHARDS, |standing| fate(standing, now));
    }

    /// The table's size, for metrics.
    #[must_use]
    pub fn table(&self) -> TableSize {
        TableSize {
            name: "blocks",
            entries: self.clients.len(),
            evictions: self.clients.evictions(),
        }
    }
}

fn fate(standing: &Standing, now: Millis) -> Fate {
    let stays = match standing {
        Standing::Counted { strikes, ends } => *strikes > 0 && now < *ends,
        Standing::Blocked { until, .. } => now < *until,
    };
    match stays {
        true => Fate::Keep,
        false => Fate::Expired,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
