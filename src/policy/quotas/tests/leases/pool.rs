//! The pool as the scripts of `server::shared_quota` have it.

use std::collections::HashMap;

use super::*;

/// The pool as `server/shared_quota/lease.lua` has it. Says the same, in another language.
#[derive(Default)]
pub(super) struct Pool {
    pub(super) windows: HashMap<String, Kept>,
    pub(super) reports: HashMap<String, (u64, u64)>,
    pub(super) incarnation: u64,
    pub(super) began_ms: u64,
}

#[derive(Default)]
pub(super) struct Kept {
    pub(super) edges: HashMap<String, (u64, u64, u64)>,
}

impl Pool {
    /// The answer, or the number of a later question.
    pub(super) fn ask(&mut self, edge: &str, ask: &Ask, roll: &Roll) -> Result<Lease, u64> {
        let kept = self.windows.entry(ask.name.clone()).or_default();
        let (number, leased, _) = kept.edges.get(edge).copied().unwrap_or_default();
        if ask.number <= number {
            return Err(number);
        }
        let held = match ask.takes_up {
            true => ask.held.max(leased),
            false => ask.held,
        };
        let others = kept.edges.iter().filter(|(other, _)| *other != edge);
        let sums = others.fold((0, 0), |(all, used), (_, edge)| {
            (all + edge.1, used + edge.2)
        });
        let unheard = roll.absent.iter();
        let unheard = unheard.filter(|it| !kept.edges.contains_key(&it.edge));
        let away: u64 = unheard.map(|it| ask.limit / it.sharers).sum();
        let taken = sums.0 + held + ask.reserved + away;
        let pool = ask.limit.saturating_sub(taken);
        let all_used = sums.1 + ask.used;
        let left = ask.limit.saturating_sub(all_used);
        let even = match ask.takes {
            true => ask.used + left / 2 / roll.present.max(1),
            false => 0,
        };
        let more = ask.wanted.max(even).saturating_sub(held);
        let more = more.min(pool.div_ceil(2));
        let leased = held + more;
        kept.edges
            .insert(edge.to_owned(), (ask.number, leased, ask.used));
        Ok(Lease {
            leased,
            all_used,
            left: pool - more,
        })
    }

    /// `sharers`: as many as the edge knows of so far.
    pub(super) fn report(&mut self, edge: &str, sharers: u64, now_ms: u64) -> Roll {
        let known = self.reports.contains_key(edge);
        self.reports
            .retain(|_, (at_ms, _)| now_ms - *at_ms < FORGOTTEN_MS);
        self.reports.insert(edge.to_owned(), (now_ms, sharers));
        let all = u64::try_from(self.reports.len()).unwrap();
        self.reports
            .insert(edge.to_owned(), (now_ms, sharers.min(all)));
        let absent = self.reports.iter();
        let absent = absent.filter(|(_, (at_ms, _))| now_ms - at_ms > PRESENT_MS);
        let absent: Vec<Absent> = absent
            .map(|(edge, (_, sharers))| Absent {
                edge: edge.clone(),
                sharers: *sharers,
            })
            .collect();
        Roll {
            known,
            present: all - u64::try_from(absent.len()).unwrap(),
            sharers: all,
            absent,
        }
    }
}
