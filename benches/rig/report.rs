//! All that was measured, as Markdown for people and JSON for programs. Pure: reads no clock and
//! writes no file.

use serde_json::{Value, json};

use crate::cost::{self, Costs};
use crate::latency::{self, Latencies};
use crate::load::CONNECTIONS;
use crate::machine::{Cores, Machine};
use crate::memory;
use crate::scale;
use crate::spread::Spread;
use crate::workers::{self, Workers};

/// What was asked, and where.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) cores: Cores,
    pub(crate) rounds: u32,
    pub(crate) turn_seconds: u32,
    pub(crate) costs: Option<Costs>,
    pub(crate) latencies: Option<Latencies>,
    pub(crate) memory: Vec<memory::Row>,
    pub(crate) workers: Option<Workers>,
    pub(crate) scale: Vec<scale::Row>,
}

const COSTS: &str = "\
| request | proxy | CPU us/request, median (min to max) | requests/s \
| vidette to it, median (min to max) | gate | goal |\n|---|---|---|---|---|---|---|\n";

const LATENCIES: &str = "\
| proxy | p50 us, median (min to max) | p99 us | p99.9 us | p99 more than without a proxy \
| p99 of vidette to it | gate | goal |\n|---|---|---|---|---|---|---|---|\n";

const MEMORY: &str = "\
| memory | proxy | measured | gate | goal |\n|---|---|---|---|---|\n";

const WORKERS: &str = "\
| proxy | CPU us/request with one worker | with two | two to one, median (min to max) \
| requests/s, two to one | cores busy | the busier to the mean | gate | goal |
|---|---|---|---|---|---|---|---|---|\n";

const SCALE: &str = "\
| on a large scale | proxy | measured, median (min to max) | ratio |\n|---|---|---|---|\n";

impl Report {
    /// The rows of the first question; none where it was not asked.
    pub(crate) fn cost_rows(&self) -> Vec<cost::Row> {
        self.costs.as_ref().map(Costs::rows).unwrap_or_default()
    }

    fn latency_rows(&self) -> Vec<latency::Row> {
        let latencies = self.latencies.as_ref();
        latencies.map(Latencies::rows).unwrap_or_default()
    }

    fn worker_rows(&self) -> Vec<workers::Row> {
        let workers = self.workers.as_ref();
        workers.map(Workers::rows).unwrap_or_default()
    }

    /// False where any gate was missed.
    pub(crate) fn gates_met(&self) -> bool {
        self.cost_rows().iter().all(cost::Row::holds)
            && self.memory.iter().all(memory::Row::holds)
            && self.worker_rows().iter().all(workers::Row::holds)
    }

    /// The tables, and under them what a reader needs to believe them.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        if let Some(costs) = &self.costs {
            text.push_str(COSTS);
            text.extend(costs.rows().iter().map(cost::Row::markdown));
            if let Some(once) = costs.inflate_us() {
                let Spread { min, median, max } = once;
                text.push_str(&format!(
                    "\nOne inflate: {median:.1} us ({min:.1} to {max:.1}).\n"
                ));
            }
            text.push('\n');
        }
        if let Some(latencies) = &self.latencies {
            text.push_str(LATENCIES);
            text.extend(latencies.rows().iter().map(latency::Row::markdown));
            text.push_str(&format!(
                "\nAt {} requests of 1.4 KB a second for all, from when each was due.\n\n",
                latencies.pace.per_second
            ));
        }
        if !self.memory.is_empty() {
            text.push_str(MEMORY);
            text.extend(self.memory.iter().map(memory::Row::markdown));
            text.push_str(
                "\nResident memory of all processes, the kernel's not included. Set up for 16384 \
                 clients, for which nginx takes its memory at start.\n\n",
            );
        }
        if let Some(workers) = &self.workers {
            text.push_str(WORKERS);
            text.extend(workers.rows().iter().map(workers::Row::markdown));
            text.push('\n');
            text.push_str(&workers.ground());
        }
        if !self.scale.is_empty() {
            text.push_str(SCALE);
            text.extend(self.scale.iter().map(scale::Row::markdown));
            text.push_str(
                "\nAll keys are known to each proxy: to nginx in a map, to HAProxy in a pattern. \
                 The steady client has one connection; a reload runs on the same core.\n\n",
            );
        }
        text.push_str(&self.ground());
        text
    }

    /// The machine and the programs, in a paragraph.
    fn ground(&self) -> String {
        let Self { machine, cores, .. } = self;
        let versions: Vec<String> = machine
            .versions
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        format!(
            "{} rounds in turns of {} s, {CONNECTIONS} connections, one worker each. {}, {} cores: \
             proxies on {}, load and upstream on {}; Linux {}; load average before {}. {}.",
            self.rounds,
            self.turn_seconds,
            machine.host.processor,
            cores.count(),
            cores.proxies,
            cores.load,
            machine.host.kernel,
            machine.host.load_average,
            versions.join(", "),
        )
    }

    /// Every turn and every row, with units in the names.
    pub(crate) fn json(&self) -> String {
        let Self { machine, cores, .. } = self;
        let versions: serde_json::Map<String, Value> = machine
            .versions
            .iter()
            .map(|(name, of)| ((*name).into(), json!(of)))
            .collect();
        let costs = self.costs.as_ref().map(|costs| {
            let rows: Vec<Value> = costs.rows().iter().map(cost::Row::json).collect();
            json!({
                "rows": rows, "cells": costs.json(),
                "inflate_us": costs.inflate_us().map(Spread::json),
            })
        });
        let latencies = self.latencies.as_ref().map(|latencies| {
            let rows: Vec<Value> = self.latency_rows().iter().map(latency::Row::json).collect();
            json!({
                "requests_per_second": latencies.pace.per_second, "rows": rows,
                "cells": latencies.json(),
            })
        });
        let memory: Vec<Value> = self.memory.iter().map(memory::Row::json).collect();
        let workers: Vec<Value> = self.worker_rows().iter().map(workers::Row::json).collect();
        let scale: Vec<Value> = self.scale.iter().map(scale::Row::json).collect();
        let whole = json!({
            "machine": {
                "processor": machine.host.processor, "kernel": machine.host.kernel, "cores": cores.count(),
                "proxy_cores": cores.proxies, "load_cores": cores.load,
                "load_average_before": machine.host.load_average,
            },
            "versions": versions,
            "rounds": self.rounds,
            "turn_seconds": self.turn_seconds,
            "connections": CONNECTIONS,
            "costs": costs,
            "latencies": latencies,
            "memory": memory,
            "workers": workers,
            "scale": scale,
        });
        format!("{whole:#}\n")
    }
}
