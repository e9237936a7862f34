//! From cells to spreads, ratios and gates; as Markdown for people and JSON for programs.
//! Pure: reads no clock and writes no file.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::envelope::{BODIES, Body};
use crate::load::{Answered, CONNECTIONS};
use crate::machine::{Cores, Machine};
use crate::proxies::Kind;
use crate::spread::Spread;

/// The budgets: vidette's CPU time per request as a share of the other's, at most.
const GATES: [(Kind, usize, f64); 4] = [
    (Kind::Nginx, 1_400, 0.85),
    (Kind::HaproxyHttp, 1_400, 1.0),
    (Kind::Nginx, 20_000, 0.75),
    (Kind::HaproxyHttp, 20_000, 0.65),
];

/// One proxy's turn with one body in one round.
pub(crate) struct Cell {
    pub(crate) round: u32,
    pub(crate) body: Body,
    pub(crate) proxy: Kind,
    pub(crate) answered: Answered,
    pub(crate) cpu: Duration,
}

impl Cell {
    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(self.answered.requests)
    }

    fn requests_per_second(&self) -> f64 {
        f64::from(self.answered.requests) / self.answered.wall.as_secs_f64()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (body, proxy, rate) = (
            self.body.label,
            self.proxy.name(),
            self.requests_per_second(),
        );
        write!(
            out,
            "{body} {proxy}: {:.1} us, {rate:.0} requests/s",
            self.cpu_us()
        )
    }
}

/// One row: a proxy with one body over all rounds.
struct Row {
    body: Body,
    proxy: Kind,
    cpu_us: Spread,
    requests_per_second: Spread,
    /// vidette's share of this proxy's cost, taken within each round.
    vidette_share: Option<Spread>,
    gate: Option<f64>,
}

impl Row {
    /// `None` where nothing is demanded, or vidette did not run.
    fn met(&self) -> Option<bool> {
        Some(self.vidette_share?.median <= self.gate?)
    }
}

/// All that was measured.
pub(crate) struct Report {
    cells: Vec<Cell>,
    rows: Vec<Row>,
    turn: Duration,
}

impl Report {
    /// Sums the cells up.
    pub(crate) fn new(cells: Vec<Cell>, turn: Duration) -> Self {
        let pairs = BODIES
            .into_iter()
            .flat_map(|body| Kind::ALL.map(|proxy| (body, proxy)));
        let rows = pairs
            .filter_map(|(body, proxy)| row(&cells, body, proxy))
            .collect();
        Self { cells, rows, turn }
    }

    /// False where any gate was missed.
    pub(crate) fn gates_met(&self) -> bool {
        self.rows.iter().all(|row| row.met() != Some(false))
    }

    fn rounds(&self) -> u32 {
        self.cells.iter().map(|cell| cell.round).max().unwrap_or(0)
    }

    /// The table, and under it what a reader needs to believe it.
    pub(crate) fn markdown(&self, machine: &Machine, cores: &Cores) -> String {
        let mut text = String::from(
            "| body | proxy | CPU us/request, median (min to max) | requests/s \
             | vidette to it, median (min to max) | gate | |\n|---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            let share = row.vidette_share.map_or("-".into(), |share| {
                format!("{:.2} ({:.2} to {:.2})", share.median, share.min, share.max)
            });
            let gate = row.gate.map_or("-".into(), |gate| format!("{gate:.2}"));
            let met = match row.met() {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "",
            };
            let (cpu, rate) = (row.cpu_us, row.requests_per_second.median);
            text.push_str(&format!(
                "| {} | {} | {:.1} ({:.1} to {:.1}) | {rate:.0} | {share} | {gate} | {met} |\n",
                row.body.label,
                row.proxy.name(),
                cpu.median,
                cpu.min,
                cpu.max,
            ));
        }
        let versions: Vec<String> = machine
            .versions
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        text.push_str(&format!(
            "\n{} rounds in turns of {} s, wrk with {CONNECTIONS} connections, one worker each. \
             {}, {} cores: proxies on {}, wrk and upstream on {}; Linux {}; load average before \
             {}. {}.",
            self.rounds(),
            self.turn.as_secs(),
            machine.host.processor,
            cores.count,
            cores.proxies,
            cores.load,
            machine.host.kernel,
            machine.host.load_average,
            versions.join(", "),
        ));
        text
    }

    /// Every cell and every row, with units in the names.
    pub(crate) fn json(&self, machine: &Machine, cores: &Cores) -> String {
        let cells: Vec<Value> = self.cells.iter().map(cell_json).collect();
        let rows: Vec<Value> = self.rows.iter().map(row_json).collect();
        let versions: serde_json::Map<String, Value> = machine
            .versions
            .iter()
            .map(|(name, of)| ((*name).into(), json!(of)))
            .collect();
        let whole = json!({
            "machine": {
                "processor": machine.host.processor, "kernel": machine.host.kernel, "cores": cores.count,
                "proxy_cores": cores.proxies, "load_cores": cores.load,
                "load_average_before": machine.host.load_average,
            },
            "versions": versions,
            "rounds": self.rounds(),
            "turn_seconds": self.turn.as_secs(),
            "connections": CONNECTIONS,
            "rows": rows,
            "cells": cells,
        });
        format!("{whole:#}\n")
    }
}

fn row(cells: &[Cell], body: Body, proxy: Kind) -> Option<Row> {
    let of = |kind| move |cell: &&Cell| cell.body == body && cell.proxy == kind;
    let own = || cells.iter().filter(of(proxy));
    let share = |other: &Cell| {
        let same_round = |cell: &&Cell| cell.round == other.round;
        let vidette = cells.iter().filter(of(Kind::Vidette)).find(same_round)?;
        Some(vidette.cpu_us() / other.cpu_us())
    };
    let shares = if proxy == Kind::Vidette {
        Vec::new()
    } else {
        own().filter_map(share).collect()
    };
    let gate = GATES
        .into_iter()
        .find(|(kind, bytes, _)| *kind == proxy && *bytes == body.bytes);
    Some(Row {
        body,
        proxy,
        cpu_us: Spread::of(own().map(Cell::cpu_us).collect())?,
        requests_per_second: Spread::of(own().map(Cell::requests_per_second).collect())?,
        vidette_share: Spread::of(shares),
        gate: gate.map(|(_, _, most)| most),
    })
}

fn cell_json(cell: &Cell) -> Value {
    json!({
        "round": cell.round, "body_bytes": cell.body.bytes, "proxy": cell.proxy.name(),
        "requests": cell.answered.requests,
        "wall_seconds": cell.answered.wall.as_secs_f64(),
        "cpu_seconds": cell.cpu.as_secs_f64(),
    })
}

fn row_json(row: &Row) -> Value {
    json!({
        "body_bytes": row.body.bytes, "proxy": row.proxy.name(), "cpu_us": row.cpu_us.json(),
        "requests_per_second": row.requests_per_second.json(),
        "vidette_share": row.vidette_share.map(Spread::json),
        "gate": row.gate, "met": row.met(),
    })
}
