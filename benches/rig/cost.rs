//! The first question: what a request costs. Each kind of it goes through each proxy in turns,
//! and what it cost is compared within a round.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::budgets::{self, Budget, With};
use crate::case::{Answers, Case};
use crate::cpu::Reading;
use crate::inflate;
use crate::load::{Answered, Load};
use crate::proxies::{Kind, Lineup};
use crate::spread::Spread;

/// One proxy's turn with one kind of request in one round.
pub(crate) struct Cell {
    round: u32,
    case: Case,
    proxy: Kind,
    answered: Answered,
    cpu: Duration,
}

/// What all turns came to.
pub(crate) struct Costs {
    cells: Vec<Cell>,
    /// Of each round.
    inflates: Vec<(u32, Duration)>,
}

/// `rounds` times each kind of request through each proxy that `takes` it, one after another.
pub(crate) fn measure(
    lineup: &mut Lineup,
    load: &Load,
    cases: &[Case],
    rounds: u32,
    turn: Duration,
    takes: fn(Case, Kind) -> bool,
) -> Result<Costs> {
    let (mut cells, mut inflates) = (Vec::new(), Vec::new());
    let kinds: Vec<Kind> = lineup.proxies().map(|proxy| proxy.kind).collect();
    for round in 1..=rounds {
        for &case in cases {
            for &kind in kinds.iter().filter(|kind| takes(case, **kind)) {
                let cell = one_turn(lineup, load, case, kind, round, turn);
                let cell = cell.with_context(|| {
                    format!("{} with {} in round {round}", kind.name(), case.label())
                })?;
                eprintln!("rig: round {round} of {rounds}: {cell}");
                cells.push(cell);
            }
            if case == Case::Packed {
                inflates.push((round, inflate::once()?));
            }
        }
    }
    Ok(Costs { cells, inflates })
}

/// A turn of one proxy, checked.
pub(crate) fn one_turn(
    lineup: &mut Lineup,
    load: &Load,
    case: Case,
    kind: Kind,
    round: u32,
    turn: Duration,
) -> Result<Cell> {
    let seen = lineup.upstream_seen()?;
    let proxy = lineup.proxies().find(|proxy| proxy.kind == kind);
    let proxy = proxy.context("it does not run")?;
    let before = Reading::of_tree(proxy.pid())?;
    let answered = load.send(proxy.port_for(case), case, turn, kind.strays_max())?;
    let cpu = Reading::of_tree(proxy.pid())?.since(&before)?;
    proxy.still_runs()?;
    // The second look counts itself.
    let forwarded = lineup.upstream_seen()? - seen - 1;
    let due = match case.answers() {
        Answers::Refused(_) => 0..=kind.strays_max(),
        // wrk ends with a request under way on each connection, and counts none of these.
        Answers::Forwarded | Answers::TenthRefused => {
            let passed = answered.requests - answered.refused;
            passed..=passed + load.connections
        }
    };
    ensure!(
        due.contains(&forwarded),
        "the upstream saw {forwarded} requests, {} to {} are due",
        due.start(),
        due.end(),
    );
    Ok(Cell {
        round,
        case,
        proxy: kind,
        answered,
        cpu,
    })
}

impl Cell {
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(self.answered.requests)
    }

    pub(crate) fn requests_per_second(&self) -> f64 {
        f64::from(self.answered.requests) / self.answered.wall.as_secs_f64()
    }

    /// All of them answered as is due.
    pub(crate) fn requests(&self) -> u32 {
        self.answered.requests
    }

    /// How many cores the proxy kept busy.
    pub(crate) fn cores_busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.answered.wall.as_secs_f64()
    }

    fn json(&self) -> Value {
        json!({
            "round": self.round, "case": self.case.id(), "proxy": self.proxy.name(),
            "requests": self.answered.requests,
            "refused": self.answered.refused,
            "wall_seconds": self.answered.wall.as_secs_f64(),
            "cpu_seconds": self.cpu.as_secs_f64(),
        })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (case, proxy) = (self.case.label(), self.proxy.name());
        let (cpu, rate) = (self.cpu_us(), self.requests_per_second());
        write!(out, "{case}, {proxy}: {cpu:.1} us, {rate:.0} requests/s")
    }
}

/// One row: what one kind of request costs, over all rounds.
pub(crate) struct Row {
    pub(crate) case: Case,
    with: With,
    pub(crate) cpu_us: Spread,
    requests_per_second: Option<Spread>,
    /// vidette's share of it, taken within each round.
    share: Option<Spread>,
    budget: Budget,
}

impl Costs {
    /// All of them, in the order of the turns; below each kind of request what else it is
    /// compared with.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for case in Case::ALL {
            let proxies = case.proxies().iter().copied().map(With::Proxy);
            let others: &[With] = match case {
                Case::Packed => &[
                    With::PlainAndInflate(Kind::Nginx),
                    With::PlainAndInflate(Kind::NginxPooled),
                ],
                Case::Refused | Case::Spent | Case::Tenth => &[With::OwnForward],
                Case::Small
                | Case::Large
                | Case::Attachment
                | Case::Alone
                | Case::TlsFull
                | Case::TlsResumed => &[],
            };
            rows.extend(
                proxies
                    .chain(others.iter().copied())
                    .filter_map(|with| self.row(case, with)),
            );
        }
        rows
    }

    fn row(&self, case: Case, with: With) -> Option<Row> {
        let rounds = 1..=self.cells.iter().map(|cell| cell.round).max()?;
        let (mut costs, mut rates, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for round in rounds {
            let Some(cost) = self.cost(case, with, round) else {
                continue;
            };
            costs.push(cost);
            if let With::Proxy(kind) = with {
                rates.extend(self.cell(case, kind, round).map(Cell::requests_per_second));
            }
            let own = self.cell(case, Kind::Vidette, round);
            shares.extend(own.map(|own| own.cpu_us() / cost));
        }
        let compared = with != With::Proxy(Kind::Vidette);
        Some(Row {
            case,
            with,
            cpu_us: Spread::of(costs)?,
            requests_per_second: Spread::of(rates),
            share: Spread::of(shares).filter(|_| compared),
            budget: budgets::cost(case, with),
        })
    }

    /// What it cost in one round, in microseconds.
    fn cost(&self, case: Case, with: With, round: u32) -> Option<f64> {
        let of = |case, kind| self.cell(case, kind, round).map(Cell::cpu_us);
        match with {
            With::Proxy(kind) => of(case, kind),
            With::OwnForward => of(Case::Small, Kind::Vidette),
            With::PlainAndInflate(kind) => {
                let mut inflates = self.inflates.iter();
                let (_, inflate) = inflates.find(|(of, _)| *of == round)?;
                Some(of(Case::Small, kind)? + inflate.as_secs_f64() * 1e6)
            }
        }
    }

    fn cell(&self, case: Case, proxy: Kind, round: u32) -> Option<&Cell> {
        let mut cells = self.cells.iter();
        cells.find(|cell| cell.case == case && cell.proxy == proxy && cell.round == round)
    }

    /// How fast the slowest of these was, each at its median.
    pub(crate) fn slowest(&self, case: Case) -> Option<f64> {
        let rows = case.proxies().iter();
        let rows = rows.filter_map(|kind| self.row(case, With::Proxy(*kind)));
        let rates = rows.filter_map(|row| Some(row.requests_per_second?.median));
        rates.min_by(f64::total_cmp)
    }

    /// Every turn, for programs.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.cells.iter().map(Cell::json).collect()
    }

    /// What one inflate cost, in microseconds.
    pub(crate) fn inflate_us(&self) -> Option<Spread> {
        let each = self.inflates.iter();
        Spread::of(each.map(|(_, once)| once.as_secs_f64() * 1e6).collect())
    }
}

impl Row {
    /// As people read it.
    pub(crate) fn name(&self) -> String {
        match self.with {
            With::Proxy(kind) => kind.name().into(),
            With::OwnForward => format!("vidette forwarding {}", Case::Small.label()),
            With::PlainAndInflate(kind) => format!("{}, plain, and one inflate", kind.name()),
        }
    }

    /// The proxy itself, where it is one that carried these requests.
    pub(crate) fn proxy(&self) -> Option<Kind> {
        match self.with {
            With::Proxy(kind) => Some(kind),
            With::OwnForward | With::PlainAndInflate(_) => None,
        }
    }

    /// False where the gate is missed.
    pub(crate) fn holds(&self) -> bool {
        self.budget.gate_met(self.median_share()) != Some(false)
    }

    fn median_share(&self) -> Option<f64> {
        self.share.map(|share| share.median)
    }

    /// A row of the table.
    pub(crate) fn markdown(&self) -> String {
        let Spread { min, median, max } = self.cpu_us;
        let rate = self.requests_per_second;
        let rate = rate.map_or(String::new(), |rate| format!("{:.0}", rate.median));
        let share = self.share.map_or(String::new(), |share| {
            format!("{:.2} ({:.2} to {:.2})", share.median, share.min, share.max)
        });
        format!(
            "| {} | {} | {median:.1} ({min:.1} to {max:.1}) | {rate} | {share} | {} |\n",
            self.case.label(),
            self.name(),
            self.budget.cells(self.median_share()),
        )
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "case": self.case.id(), "with": self.name(), "cpu_us": self.cpu_us.json(),
            "requests_per_second": self.requests_per_second.map(Spread::json),
            "vidette_share": self.share.map(Spread::json),
            "gate": self.budget.gate, "gate_met": self.budget.gate_met(self.median_share()),
            "goal": self.budget.goal, "goal_met": self.budget.goal_met(self.median_share()),
        })
    }
}
