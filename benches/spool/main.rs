//! What the spool costs: how fast events are kept on this machine's disk, how fast they are sent
//! again, what a restart takes, and what a crowd of large uploads takes of memory.
//!
//! Everything runs in a folder of its own beside what cargo built, so on a disk, and is gone
//! afterwards. Rates of one table were taken in turns of one run and compared within a round,
//! since a machine drifts. It never asserts an absolute time; its deadlines only end a hang.
//!
//! `cargo bench --bench spool` measures for some minutes; `-- --json` prints the numbers for
//! programs; `-- --smoke` only checks that everything works; `-- --help` lists the rest.

mod appends;
mod arguments;
#[path = "../rig/child.rs"]
mod child;
#[path = "../rig/cpu.rs"]
mod cpu;
mod edge;
#[path = "../rig/event.rs"]
mod event;
mod ground;
#[path = "../rig/host.rs"]
mod host;
#[path = "../rig/kernel.rs"]
mod kernel;
mod replay;
mod report;
mod restart;
mod senders;
#[path = "../rig/spread.rs"]
mod spread;
mod uploads;
mod upstream;
#[path = "../rig/words.rs"]
mod words;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use arguments::{Arguments, Question};
use ground::Ground;
use report::Report;
use words::Typed;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Typed::Run(arguments)) => arguments,
        Ok(Typed::Help) => return print(arguments::HELP),
        Ok(Typed::Nothing) => return print(arguments::NOTHING),
        Err(refusal) => {
            eprintln!("spool: {refusal}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(text) => print(text.trim_end()),
        Err(failure) => {
            eprintln!("spool: {failure:#}");
            ExitCode::FAILURE
        }
    }
}

/// The whole run, in order. Whatever it started is stopped when this returns or panics.
fn run(arguments: &Arguments) -> Result<String> {
    let ground = Ground::find(&arguments.vidette)?;
    let sizes = &arguments.sizes;
    let mut rows = Vec::new();
    for question in &arguments.questions {
        eprintln!("spool: {}", question.name());
        let answered = match question {
            Question::Appends => appends::measure(&ground, sizes),
            Question::Replay => replay::measure(&ground, sizes),
            Question::Restart => restart::measure(&ground, sizes),
            Question::Uploads => uploads::measure(&ground, sizes),
        };
        rows.extend(answered.context(question.name())?);
    }
    let report = Report::new(rows);
    Ok(match arguments.json {
        true => report.json(&ground),
        false => report.markdown(&ground),
    })
}

/// The one place that writes to standard output, so that a closed pipe ends the run quietly.
fn print(text: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
