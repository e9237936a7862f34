//! The side-by-side rig: what one event costs in nginx, in HAProxy and in vidette, on this machine.
//!
//! One run starts an upstream's stand-in and each proxy with one worker on the same core, sends
//! the same envelopes through them in turns, and prints CPU time per request and the ratios that
//! the budgets are written in. Turns, since a machine drifts: whatever slows one round slows all
//! in it, and a ratio is taken within a round. It never asserts an absolute time, and it never
//! counts a run in which a single request failed.
//!
//! `cargo bench --bench rig` measures and writes `rig.json` into the target folder;
//! `-- --smoke` only checks that everything answers; `-- --help` lists the rest.

mod arguments;
mod child;
mod cpu;
mod envelope;
mod event;
mod host;
mod load;
mod machine;
mod proxies;
mod report;
mod spread;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use arguments::{Arguments, Depth, Typed};
use child::ScratchFolder;
use envelope::{BODIES, Body};
use load::Load;
use machine::{Cores, Machine};
use proxies::{Lineup, Proxy};
use report::{Cell, Report};

/// Long enough for caches, pools and branch predictors; its numbers are thrown away.
const WARM_UP: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Typed::Run(arguments)) => arguments,
        Ok(Typed::Help) => return print(arguments::HELP),
        Ok(Typed::Nothing) => return print(arguments::NOTHING),
        Err(refusal) => {
            eprintln!("rig: {refusal}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("rig: {failure:#}");
            ExitCode::FAILURE
        }
    }
}

/// The whole run, in order. Whatever it started is stopped when this returns or panics.
fn run(arguments: &Arguments) -> Result<ExitCode> {
    let cores = Cores::allowed().context("reading the cores this process may use")?;
    let machine = Machine::look(arguments.vidette.as_deref())?;
    let folder = ScratchFolder::create(&std::env::temp_dir(), "rig")
        .context("making a folder for configurations")?;
    let mut lineup = Lineup::start(&folder, &cores, arguments.vidette.as_deref())?;
    let load = Load::prepare(&folder, &cores)?;
    for proxy in lineup.proxies() {
        proxy.until_ready(&load)?;
    }

    let (rounds, turn) = match arguments.depth {
        Depth::Smoke => {
            measure(&mut lineup, &load, 1, Duration::from_secs(1))?;
            return Ok(print("rig: every proxy answered every request with 200"));
        }
        Depth::Measure { rounds, turn } => (rounds, turn),
    };
    eprintln!("rig: warming up");
    measure(&mut lineup, &load, 1, WARM_UP)?;
    let cells = measure(&mut lineup, &load, rounds, turn)?;

    let report = Report::new(cells, turn);
    std::fs::write(&arguments.json, report.json(&machine, &cores))
        .with_context(|| format!("writing {}", arguments.json.display()))?;
    print(&report.markdown(&machine, &cores));
    if arguments.gate && !report.gates_met() {
        bail!("a gate was missed");
    }
    Ok(ExitCode::SUCCESS)
}

/// `rounds` times each body through each proxy, one after another.
fn measure(lineup: &mut Lineup, load: &Load, rounds: u32, turn: Duration) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for round in 1..=rounds {
        for body in BODIES {
            for proxy in lineup.proxies() {
                let cell = one_turn(proxy, load, body, round, turn).with_context(|| {
                    format!("{} with {} in round {round}", proxy.kind.name(), body.label)
                })?;
                eprintln!("rig: round {round} of {rounds}: {cell}");
                cells.push(cell);
            }
        }
    }
    Ok(cells)
}

fn one_turn(
    proxy: &mut Proxy,
    load: &Load,
    body: Body,
    round: u32,
    turn: Duration,
) -> Result<Cell> {
    let before = cpu::Reading::of_tree(proxy.pid())?;
    let answered = load.send(proxy.port, body, turn)?;
    let cpu = cpu::Reading::of_tree(proxy.pid())?.since(&before)?;
    proxy.still_runs()?;
    Ok(Cell {
        round,
        body,
        proxy: proxy.kind,
        answered,
        cpu,
    })
}

/// The one place that writes to standard output, so that a closed pipe ends the run quietly.
fn print(text: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
