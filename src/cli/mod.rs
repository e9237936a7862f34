//! The command line: one file a command. Prints for people on a terminal, JSON
//! on request; exits 0 when all is well, 1 when a problem was found, 2 on usage.

mod admin;
mod check;
mod demo;

mod healthcheck;
mod reload;
mod run;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An edge relay in front of a Sentry, in nginx's place.
#[derive(Debug, Parser)]
#[command(name = "vidette", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the edge.
    Run(WithConfig),
    /// Check a configuration and say where it is wrong.
    Check(check::Arguments),

    /// Run a stand-in Sentry, an edge in front of it, and a little traffic.
    Demo(demo::Arguments),
    /// Show the traffic light; exit 1 on red.
    Status(status::Arguments),
    /// Make a running edge read its configuration again.
    Reload(admin::Address),
    /// Exit 0 while the edge is ready; for containers.
    Healthcheck(admin::Address),
}

/// Which configuration.
#[derive(Debug, clap::Args)]
struct WithConfig {
    /// The file; else VIDETTE_CONFIG, ./vidette.yml, /etc/vidette/vidette.yml, or the environment alone.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the program; the exit code is the command's.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to stdout and are no error; clap knows which.
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match arguments.command {
        Command::Run(arguments) => run::main(&arguments),
        Command::Check(arguments) => check::main(&arguments),

        Command::Demo(arguments) => demo::main(&arguments),
        Command::Status(arguments) => status::main(&arguments),
        Command::Reload(address) => reload::main(&address),
        Command::Healthcheck(address) => healthcheck::main(&address),
    }
}

/// Says on stderr what went wrong and how that came about; the exit code is 1.
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("vidette: {error:#}");
    ExitCode::FAILURE
}

/// Writes one line to stdout; a reader that has gone away is no error.
fn say(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}").ok();
}
