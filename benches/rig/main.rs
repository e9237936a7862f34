//! The side-by-side rig: what events cost in nginx, in HAProxy and in vidette, on this machine.
//!
//! One run starts an upstream's stand-in and each proxy with one worker on the same core, sends
//! the same requests through them in turns, and prints CPU time per request, how long clients
//! wait at half load, memory, what a second worker costs and how the two share, what 100,000
//! projects cost, and the ratios that the budgets are written in. Turns, since a
//! machine drifts: whatever slows one round slows all in it, and a ratio is taken within a round.
//! It never asserts an absolute time, and it never counts a turn in which a single request was
//! not answered as is due: the upstream's own count has to agree.
//!
//! `cargo bench --bench rig` measures and writes `rig.json` into the target folder;
//! `-- --smoke` only checks that everything answers; `-- --help` lists the rest.

mod answer;
mod arguments;
mod budgets;
mod case;
mod child;
mod cost;
mod cpu;
mod estate;
mod event;
mod handshakes;
mod host;
mod identity;
mod inflate;
mod kernel;
mod latency;
mod load;
mod machine;
mod memory;
mod pace;
mod programs;
mod proxies;
mod reload;
mod report;
mod scale;
#[expect(dead_code, reason = "the bench of the spool asks more of them")]
#[path = "../spool/senders.rs"]
mod senders;
mod spread;
mod svg;
mod thread;
mod uploads;
#[expect(dead_code, reason = "the bench of the spool asks more of it")]
#[path = "../spool/upstream.rs"]
mod upstream;
mod words;
mod workers;

use std::fs;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use arguments::{Arguments, Depth, Question};
use case::Case;
use child::ScratchFolder;
use cost::Costs;
use latency::Latencies;
use load::{CONNECTIONS, Load};
use machine::{Cores, Machine};
use pace::Pace;
use proxies::{Kind, Lineup, Room, Setup};
use report::Report;
use words::Typed;
use workers::Workers;

/// Long enough for caches, pools and branch predictors; its numbers are thrown away.
const WARM_UP: Duration = Duration::from_secs(1);
/// In a short run: nothing is measured, and every machine can keep it.
const SMOKE_RATE: u32 = 320;

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
    ensure!(
        arguments.vidette.is_some() || !arguments.gate,
        "--gate compares with vidette: it cannot go with --without-vidette"
    );
    if arguments.install {
        machine::install_missing()?;
    }
    let machine = Machine::look(arguments.vidette.as_deref())?;
    let cores = Cores::allowed().context("reading the cores this process may use")?;
    cores.settle()?;
    let folder = ScratchFolder::create(&std::env::temp_dir(), "rig")
        .context("making a folder for configurations")?;
    let load = Load::prepare(&folder, &cores)?;
    let certificate = folder.path().join(identity::FILE);
    let setup = Setup {
        folder: &folder,
        certificate: &certificate,
        cores: &cores,
        vidette: arguments.vidette.as_deref(),
        workers: 1,
        connections: CONNECTIONS,
        estate: None,
    };
    let asks = |question| arguments.questions.contains(&question);
    let costs = match asks(Question::Cost) {
        true => Some(costs(arguments, &setup, &load)?),
        false => None,
    };
    let latencies = match asks(Question::Latency) {
        true => Some(latencies(arguments, &setup, &load)?),
        false => None,
    };
    let memory = match asks(Question::Memory) {
        true => memory::measure(&setup, &load, arguments.sizes())?,
        false => Vec::new(),
    };
    let workers = match asks(Question::Workers) {
        true => Some(workers(arguments, &setup, &load)?),
        false => None,
    };
    let scale = match asks(Question::Scale) {
        true => scale(arguments, &setup, &load)?,
        false => Vec::new(),
    };
    let report = Report {
        machine,
        rounds: arguments.rounds,
        turn_seconds: arguments.seconds,
        costs,
        latencies,
        memory,
        workers,
        scale,
        cores: cores.clone(),
    };
    publish(arguments, &report)
}

/// Says and writes what came out.
fn publish(arguments: &Arguments, report: &Report) -> Result<ExitCode> {
    if let Some(json) = &arguments.json {
        fs::write(json, report.json()).with_context(|| format!("writing {}", json.display()))?;
    }
    if let Some(svg) = &arguments.svg {
        let picture = svg::picture(&report.cost_rows()).context("no costs to make a picture of")?;
        fs::write(svg, picture).with_context(|| format!("writing {}", svg.display()))?;
    }
    match arguments.depth {
        Depth::Smoke => return Ok(print("rig: every request was answered as is due")),
        Depth::Measure => print(&report.markdown()),
    };
    if arguments.gate && !report.gates_met() {
        bail!("a gate was missed");
    }
    Ok(ExitCode::SUCCESS)
}

fn costs(arguments: &Arguments, setup: &Setup<'_>, load: &Load) -> Result<Costs> {
    let mut lineup = Lineup::start(setup, &Kind::ALL, Room::AsShipped)?;
    for proxy in lineup.proxies() {
        proxy.until_ready(load, &arguments.cases)?;
    }
    let cases = &arguments.cases;
    if arguments.depth == Depth::Smoke {
        return cost::measure(&mut lineup, load, cases, 1, WARM_UP, takes_in_short);
    }
    eprintln!("rig: warming up");
    cost::measure(&mut lineup, load, cases, 1, WARM_UP, takes)?;
    let (rounds, turn) = (arguments.rounds, arguments.turn());
    cost::measure(&mut lineup, load, cases, rounds, turn, takes)
}

fn takes(case: Case, kind: Kind) -> bool {
    case.proxies().contains(&kind)
}

/// Each kind of request was answered by each proxy to one who asked by hand. Under load it is
/// vidette, and one other.
fn takes_in_short(case: Case, kind: Kind) -> bool {
    kind == Kind::Vidette || case.proxies().first() == Some(&kind)
}

fn latencies(arguments: &Arguments, setup: &Setup<'_>, load: &Load) -> Result<Latencies> {
    let mut lineup = Lineup::start(setup, &latency::ASKED, Room::AsShipped)?;
    for proxy in lineup.proxies() {
        proxy.until_ready(load, &[Case::Small])?;
    }
    if arguments.depth == Depth::Smoke {
        let pace = Pace {
            per_second: SMOKE_RATE,
            seconds: 1,
        };
        return latency::measure(&mut lineup, load, 1, pace);
    }
    let per_second = match arguments.rate {
        Some(rate) => rate,
        None => half_load(&mut lineup, load, arguments.turn())?,
    };
    let pace = Pace {
        per_second,
        seconds: arguments.seconds,
    };
    latency::measure(&mut lineup, load, arguments.rounds, pace)
}

/// Half of what the slowest of them takes from wrk in a turn: none is near its end there, and all
/// have the same to do.
fn half_load(lineup: &mut Lineup, load: &Load, turn: Duration) -> Result<u32> {
    eprintln!("rig: looking for half load");
    let most = cost::measure(lineup, load, &[Case::Small], 1, turn, takes)?;
    let slowest = most.slowest(Case::Small).context("nothing was measured")?;
    // A hundred a second at least: a number there is.
    let rates = (1..=2_000).map(|step| step * 100).rev();
    let half = rates.filter(|rate| f64::from(*rate) <= slowest / 2.0);
    Ok(half.max().unwrap_or(100))
}

fn workers(arguments: &Arguments, setup: &Setup<'_>, load: &Load) -> Result<Workers> {
    match arguments.depth {
        Depth::Smoke => workers::measure(setup, load, 1, WARM_UP, |kind| kind == Kind::Vidette),
        Depth::Measure => {
            let (rounds, turn) = (arguments.rounds, arguments.turn());
            workers::measure(setup, load, rounds, turn, |_| true)
        }
    }
}

fn scale(arguments: &Arguments, setup: &Setup<'_>, load: &Load) -> Result<Vec<scale::Row>> {
    let (rounds, turn) = match arguments.depth {
        Depth::Smoke => (1, WARM_UP),
        Depth::Measure => (arguments.rounds, arguments.turn()),
    };
    scale::measure(setup, load, arguments.scale(), rounds, turn)
}

/// The one place that writes to standard output, so that a closed pipe ends the run quietly.
fn print(text: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
