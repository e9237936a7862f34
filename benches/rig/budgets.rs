//! What the numbers have to be, and what we are after: the budgets, once. Measures nothing.

use crate::case::Case;
use crate::proxies::Kind;

/// The most that a median may be. A gate must hold, a goal is wished for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Budget {
    pub(crate) gate: Option<f64>,
    pub(crate) goal: Option<f64>,
}

/// What vidette's cost is a share of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    /// A proxy's cost of the same requests.
    Proxy(Kind),
    /// Its own of a small error that it forwards.
    OwnForward,
    /// A proxy's of the small error when it is not packed, and one inflate.
    PlainAndInflate(Kind),
}

/// Idle connections: kilobytes each.
pub(crate) const IDLE: Budget = both(10.24, 4.096);
/// Uploads: megabytes more, all together.
pub(crate) const UPLOADS: Budget = both(64.0, 32.0);

const fn both(gate: f64, goal: f64) -> Budget {
    Budget {
        gate: Some(gate),
        goal: Some(goal),
    }
}

const fn goal(goal: f64) -> Budget {
    Budget {
        gate: None,
        goal: Some(goal),
    }
}

/// vidette's CPU time per request, as a share of another's.
pub(crate) fn cost(case: Case, with: With) -> Budget {
    match (case, with) {
        (Case::Small, With::Proxy(Kind::Nginx)) => both(0.85, 0.75),
        (Case::Small, With::Proxy(Kind::HaproxyHttp)) => both(1.0, 0.9),
        (Case::Small, With::Proxy(Kind::HaproxyTcp)) => goal(1.25),
        (Case::Large, With::Proxy(Kind::Nginx)) => both(0.75, 0.70),
        (Case::Large, With::Proxy(Kind::HaproxyHttp)) => both(0.65, 0.55),
        (Case::Attachment, With::Proxy(Kind::Nginx)) => both(0.5, 0.4),
        (Case::Attachment, With::Proxy(Kind::HaproxyHttp)) => both(0.8, 0.6),
        (Case::Packed, With::PlainAndInflate(Kind::Nginx)) => Budget {
            gate: Some(1.0),
            goal: None,
        },
        (Case::Refused | Case::Spent, With::OwnForward) => both(0.5, 0.35),
        (
            Case::Alone | Case::TlsFull | Case::TlsResumed,
            With::Proxy(Kind::Nginx | Kind::HaproxyHttp),
        ) => goal(1.0),
        (_, _) => Budget::default(),
    }
}

/// vidette's 99th percentile at half load, as a share of another's.
pub(crate) fn latency(proxy: Option<Kind>) -> Budget {
    match proxy {
        Some(Kind::Nginx) => goal(1.0),
        Some(_) | None => Budget::default(),
    }
}

/// CPU time of a request with two workers to that with one.
pub(crate) fn second_worker(proxy: Kind) -> Budget {
    match proxy {
        Kind::Vidette => both(1.05, 1.0),
        Kind::Nginx
        | Kind::NginxPooled
        | Kind::NginxRefusing
        | Kind::HaproxyHttp
        | Kind::HaproxyRefusing
        | Kind::HaproxyBare
        | Kind::HaproxyTcp => Budget::default(),
    }
}

impl Budget {
    /// Whether a median keeps to the gate; `None` where there is none.
    pub(crate) fn gate_met(self, median: Option<f64>) -> Option<bool> {
        Some(median? <= self.gate?)
    }

    /// The same for the goal.
    pub(crate) fn goal_met(self, median: Option<f64>) -> Option<bool> {
        Some(median? <= self.goal?)
    }

    /// Two cells of a table: the gate and the goal, and whether they are met.
    pub(crate) fn cells(self, median: Option<f64>) -> String {
        let gate = match (self.gate, self.gate_met(median)) {
            (Some(gate), Some(true)) => format!("{gate:?}, met"),
            (Some(gate), Some(false)) => format!("{gate:?}, **missed**"),
            (Some(gate), None) => format!("{gate:?}"),
            (None, _) => String::new(),
        };
        let goal = match (self.goal, self.goal_met(median)) {
            (Some(goal), Some(true)) => format!("{goal:?}, met"),
            (Some(goal), Some(false)) => format!("{goal:?}, not yet"),
            (Some(goal), None) => format!("{goal:?}"),
            (None, _) => String::new(),
        };
        format!("{gate} | {goal}")
    }
}
