//! `vidette completions`: the command line as shells complete it. Made from the command line
//! itself, never by hand.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

/// What `completions` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Whose.
    shell: Shell,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let mut script = Vec::new();
    let mut command = super::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "vidette", &mut script);
    super::say(String::from_utf8_lossy(&script).trim_end());
    ExitCode::SUCCESS
}
