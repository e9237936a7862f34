//! What the dashboard shows: a look at everything each two seconds, kept for an hour, and told to
//! whoever listens as server-sent events. With nobody listening it is one sum over the workers;
//! nothing is counted that was not counted before. Listeners have a limit, each has a short
//! queue, and one that does not read is hung up on. Never decides anything.

mod facts;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::telemetry::exposition::QuotaUsed;
use crate::telemetry::ledger::Line;
use crate::telemetry::live::filling::Filling;
use crate::telemetry::live::history::{FINE_MS, FOLDED, History};
use crate::telemetry::live::leaders::{Leaders, Tallies, tallies};
use crate::telemetry::live::loops::Loop;
use crate::telemetry::live::reading::{Aside, Reading};
use crate::telemetry::live::senders::{Question, Senders, Top};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process;

use super::listening::{Seats, busy, stream};
use super::{Desk, Going, keeping, limits};
use crate::server::worker::Shared;

/// The path.
pub(super) const PATH: &str = "/api/v1/live";

/// Why there is no place for another.
pub(super) const FULL: &str = "16 dashboards listen already, and no more can: close one";

/// The header in which a listener that comes back names what it heard last.
const LAST_EVENT: &str = "last-event-id";

/// How many frames lie between two looks at all quotas while nobody listens, and while somebody
/// does: they may be many.
const QUOTAS_EVERY: u64 = FOLDED;
const QUOTAS_EVERY_LISTENED: u64 = 2;

/// What is kept, and who listens.
pub(in crate::server) struct Live {
    /// Tells this run from others: a number that a listener brings may be of another edge's.
    run: u64,
    /// Never borrowed over a wait.
    kept: RefCell<Kept>,
    /// Nor is this.
    senders: RefCell<Senders>,
}

struct Kept {
    history: History,
    leaders: Leaders,
    filling: Filling,
    /// The books by project, and how full quotas are, as last looked at.
    tallies: Tallies,
    quotas: Vec<QuotaUsed>,
    /// When their windows end, in seconds of Unix time.
    window_ends: HashMap<(String, String), u64>,
    seats: Seats,
}

impl Live {
    /// Nothing yet: what the books of an earlier process say came before.
    pub(in crate::server) fn new(shared: &Shared, metrics: &Metrics) -> Self {
        let now_ms = shared.millis(Instant::now()).0;
        let lines = metrics.ledger.lines();
        let tallies = tallies(&lines);
        Self {
            run: process::now_ms(),
            senders: RefCell::default(),
            kept: RefCell::new(Kept {
                history: History::new(now_ms, reading(shared, metrics, &lines)),
                leaders: Leaders::new(now_ms, &tallies),
                filling: Filling::default(),
                tallies,
                quotas: Vec::new(),
                window_ends: HashMap::new(),
                seats: Seats::default(),
            }),
        }
    }

    /// The last hour, and how everything is now. `frames`: of the fine frames the last so many
    /// only, and no coarse ones.
    pub(super) fn snapshot(&self, desk: &Desk, frames: Option<u64>) -> String {
        let now = facts::facts(desk, &self.kept.borrow());
        let kept = self.kept.borrow();
        let number = kept.history.number();
        let behind = match frames {
            Some(frames) => Behind {
                fine: number.saturating_sub(frames),
                coarse: number,
            },
            None => Behind::default(),
        };
        kept.snapshot(self.run, behind, &now)
    }

    /// Who sends most, up to now.
    pub(super) fn top(&self, desk: &Desk, asked: &Question) -> Top {
        let now_ms = desk.shared.millis(Instant::now()).0;
        self.hears_of_senders(desk, now_ms);
        self.senders.borrow().top(now_ms, asked)
    }

    /// Whose clients send most of what a project gets.
    pub(super) fn loops(&self, now_ms: u64) -> Vec<Loop> {
        self.senders.borrow().loops(now_ms)
    }

    /// Takes up what workers have seen of senders.
    fn hears_of_senders(&self, desk: &Desk, now_ms: u64) {
        let taken = desk.shared.looks.take();
        let mut senders = self.senders.borrow_mut();
        for sight in taken.sights {
            senders.note(now_ms, sight);
        }
        if taken.requests > 0 {
            senders.pass_by(now_ms, taken.requests, taken.sent);
        }
    }

    /// Looks at everything, and tells whoever listens.
    fn look(&self, desk: &Desk) {
        let now_ms = desk.shared.millis(Instant::now()).0;
        self.hears_of_senders(desk, now_ms);
        let lines = desk.metrics.ledger.lines();
        desk.incidents.look(desk, &lines);
        let reading = reading(&desk.shared, &desk.metrics, &lines);
        let mut kept = self.kept.borrow_mut();
        kept.history.note(now_ms, process::now_ms(), reading);
        kept.tallies = tallies(&lines);
        let Kept {
            leaders, tallies, ..
        } = &mut *kept;
        leaders.note(now_ms, tallies);
        let every = match kept.seats.is_empty() {
            true => QUOTAS_EVERY,
            false => QUOTAS_EVERY_LISTENED,
        };
        let number = kept.history.number();
        if number.is_multiple_of(every) || number == 1 {
            kept.quotas = limits::quotas_used(&desk.shared);
            kept.window_ends = limits::window_ends(&desk.shared);
            let Kept {
                filling, quotas, ..
            } = &mut *kept;
            filling.note(now_ms, quotas);
        }
        if kept.seats.is_empty() {
            return;
        }
        let now = facts::facts(desk, &kept);
        let event = kept.delta(self.run, number - 1, &now);
        kept.seats.tell(&event.into());
    }
}

/// What all counters say now.
fn reading(shared: &Shared, metrics: &Metrics, lines: &[Line]) -> Reading {
    let aside = Aside {
        spool: keeping::reading(shared),
        resident_bytes: process::resident_bytes().unwrap_or(0),
        cpu_ns: process::cpu_ns().unwrap_or(0),
    };
    Reading::of(metrics, lines, &aside)
}

/// The frames that are told: those behind these.
#[derive(Debug, Clone, Copy, Default)]
struct Behind {
    fine: u64,
    coarse: u64,
}

/// How many frames a query asks for: `frames=15`; none without it.
pub(super) fn frames_of(query: Option<&str>) -> Result<Option<u64>, &'static str> {
    let Some(query) = query.filter(|query| !query.is_empty()) else {
        return Ok(None);
    };
    let frames = query.strip_prefix("frames=").and_then(|n| n.parse().ok());
    match frames.filter(|frames| *frames > 0) {
        Some(frames) => Ok(Some(frames)),
        None => Err("write frames=15 for the last fifteen, or nothing for all"),
    }
}

impl Kept {
    fn snapshot(&self, run: u64, behind: Behind, now: &Value) -> String {
        let history = &self.history;
        let (columns, fine, coarse) = (
            history.columns_json(),
            history.fine_json(behind.fine),
            history.coarse_json(behind.coarse),
        );
        format!(
            "{{\"run\":{run},\"fine_ms\":{FINE_MS},\"coarse_ms\":{},\"columns\":{columns},\
             \"fine\":{fine},\"coarse\":{coarse},\"now\":{now}}}",
            FINE_MS * FOLDED
        )
    }

    /// The event that tells all.
    fn whole(&self, run: u64, now: &Value) -> String {
        let number = self.history.number();
        let snapshot = self.snapshot(run, Behind::default(), now);
        format!("id: {run}-{number}\nevent: snapshot\ndata: {snapshot}\n\n")
    }

    /// The event that tells what came behind a frame.
    fn delta(&self, run: u64, behind: u64, now: &Value) -> String {
        let history = &self.history;
        let number = history.number();
        let (fine, coarse) = (history.fine_json(behind), history.coarse_json(behind));
        format!(
            "id: {run}-{number}\nevent: delta\n\
             data: {{\"fine\":{fine},\"coarse\":{coarse},\"now\":{now}}}\n\n"
        )
    }
}

/// Looks each two seconds, until the control thread ends. A stop ends all listening.
pub(in crate::server) async fn keep(desk: Rc<Desk>) {
    // Whoever listens from the beginning is told what there are numbers of, though none is yet.
    desk.live.look(&desk);
    let every = Duration::from_millis(FINE_MS);
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match desk.shared.stopping.load(Ordering::Relaxed) {
            true => desk.live.kept.borrow_mut().seats.clear(),
            false => desk.live.look(&desk),
        }
    }
}

impl Desk {
    /// `/api/v1/live`. `hang_up` ends the connection.
    pub(super) fn watch(&self, headers: &HeaderMap, hang_up: Rc<Notify>) -> Going {
        let now = facts::facts(self, &self.live.kept.borrow());
        let mut kept = self.live.kept.borrow_mut();
        let heard = headers.get(LAST_EVENT);
        let heard = heard.and_then(|id| id.to_str().ok());
        let heard = heard.and_then(|id| heard_of(self.live.run, id));
        let first = match heard.filter(|number| kept.history.reaches(*number)) {
            Some(number) => kept.delta(self.live.run, number, &now),
            None => kept.whole(self.live.run, &now),
        };
        let taken = kept.seats.take(first.into(), hang_up);
        taken.map_or_else(|| busy(FULL), stream)
    }
}

/// The frame that a listener heard last, if it was of this run.
fn heard_of(run: u64, id: &str) -> Option<u64> {
    let (of, number) = id.split_once('-')?;
    (of.parse() == Ok(run)).then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_asks_for_so_many_frames_or_for_all() {
        for (query, want) in [
            (None, None),
            (Some(""), None),
            (Some("frames=15"), Some(15)),
        ] {
            assert_eq!(frames_of(query), Ok(want), "{query:?}");
        }
        for query in [
            "frames=0",
            "frames=",
            "frames=x",
            "frames=-1",
            "frame=1",
            "frames=1&n=2",
        ] {
            assert!(frames_of(Some(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn a_listener_of_another_run_begins_anew() {
        assert_eq!(heard_of(17, "17-4"), Some(4));
        for id in ["18-4", "17-", "17", "-4", "17-x", ""] {
            assert_eq!(heard_of(17, id), None, "{id}");
        }
    }
}
