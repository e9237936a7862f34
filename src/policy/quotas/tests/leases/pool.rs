//! The pool as the scripts of `server::shared_quota` have it.

use std::collections::HashMap;

use super::*;

/// The pool as `server/shared_quota/lease.lua` has it. Says the same, in another language.
#[derive(Default)]
pub(super) struct Pool {
    pub(super) windows: HashMap<String, Kept>,
    /// When each edge reported last, and the most that its part may be.
    pub(super) reports: HashMap<String, (u64, u64)>,
    pub(super) incarnation: u64,
    pub(super) began_ms: u64,
}

#[derive(Default)]
pub(super) struct Kept {
    pub(super) edges: HashMap<String, (u64, u64, u64)>,
    pub(super) relearns_until_ms: u64,
    /// The parts of those that have asked.
    pub(super) parts: u64,
}

impl Pool {
    /// The answer, or the number of a later question.
    pub(super) fn ask(
        &mut self,
        edge: &str,
        (ask, roll): (&Ask, &Roll),
        now_ms: u64,
    ) -> Result<Lease, u64> {
        let kept = self.windows.entry(ask.name.clone()).or_default();
        let lost = ask.heard && !kept.edges.contains_key(edge);
        if lost && kept.relearns_until_ms == 0 {
            kept.relearns_until_ms = now_ms + RELEARN_MS;
        }
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
        let away: u64 = unheard.map(|it| ask.limit / it.one_in).sum();
        if !kept.edges.contains_key(edge) {
            kept.parts += ask.part;
        }
        let still = u128::from(ask.reserved) * u128::from(WHOLE.saturating_sub(kept.parts));
        let reserved = u64::try_from(still.div_ceil(WHOLE.into())).unwrap();
        let taken = sums.0 + held + reserved + away;
        let pool = ask.limit.saturating_sub(taken);
        let all_used = sums.1 + ask.used;
        let left = ask.limit.saturating_sub(all_used);
        let even = match ask.takes {
            true => ask.used + left / 2 / roll.present.max(1),
            false => 0,
        };
        let more = ask.wanted.max(even).saturating_sub(held);
        let more = match now_ms < kept.relearns_until_ms {
            true => 0,
            false => more.min(pool.div_ceil(2)),
        };
        let leased = held + more;
        kept.edges
            .insert(edge.to_owned(), (ask.number, leased, ask.used));
        Ok(Lease {
            leased,
            all_used,
            left: pool - more,
            kept: reserved,
            over: (sums.0 + held + reserved).saturating_sub(ask.limit),
            lost,
        })
    }

    /// The answer; nothing where it comes too late.
    pub(super) fn report(&mut self, edge: &str, report: Report, now_ms: u64) -> Option<Roll> {
        if now_ms > report.until_ms {
            return None;
        }
        let known = self.reports.contains_key(edge);
        self.reports
            .retain(|other, (at_ms, _)| other == edge || now_ms - *at_ms < FORGOTTEN_MS);
        self.reports.remove(edge);
        let sharers = u64::try_from(self.reports.len()).unwrap() + 1;
        let others: u64 = self.reports.values().map(|(_, part)| part).sum();
        let room = WHOLE.saturating_sub(others);
        let even = sharers.max(2);
        let one_in = match (WHOLE / even <= room, room) {
            (true, _) => even,
            (false, 0) => 0,
            (false, room) => WHOLE.div_ceil(room),
        };
        let of = |one_in: u64| WHOLE.checked_div(one_in).unwrap_or(0);
        let most = of(one_in).max(of(report.one_in));
        self.reports.insert(edge.to_owned(), (now_ms, most));
        let away = |at_ms: u64| now_ms - at_ms > PRESENT_MS;
        let absent = self.reports.iter();
        let absent = absent.filter(|(_, (at_ms, part))| away(*at_ms) && *part > 0);
        let absent: Vec<Absent> = absent
            .map(|(edge, (_, part))| Absent {
                edge: edge.clone(),
                one_in: WHOLE / part,
            })
            .collect();
        let present = self.reports.values().filter(|(at_ms, _)| !away(*at_ms));
        Some(Roll {
            at_ms: now_ms,
            known,
            one_in,
            present: u64::try_from(present.count()).unwrap(),
            sharers,
            absent,
            absent_more: 0,
        })
    }
}
