//! The command line: one file a command. Prints for people on a terminal, JSON
//! on request; exits 0 when all is well, 1 when a problem was found, 2 on usage.

mod admin;
mod blocks;
mod budget;
mod check;
mod completions;
mod credentials;
mod demo;
mod doctor;
mod exchange;
mod explain;
#[cfg(test)]
mod fake;
mod healthcheck;
mod import_nginx;
mod maintenance;
mod manual;
mod place;
mod project;
mod reload;
mod run;
mod schema;
mod send_test;
mod spool;
mod status;
mod switch;
mod tail;
mod top;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An edge relay in front of a Sentry, in nginx's place.
#[derive(Debug, Parser)]
#[command(name = "vidette", version, about, max_term_width = 100)]
#[command(after_help = "\
Examples:
  vidette demo                     see it work, without any configuration
  vidette check -c vidette.yml     is the file right?
  vidette run -c vidette.yml       then run it
  vidette status                   and does it work?")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the edge.
    #[command(after_help = "\
Examples:
  vidette run -c /etc/vidette/vidette.yml
  VIDETTE_UPSTREAM_INGEST=http://relay:3000 vidette run
  vidette run -c /etc/vidette/vidette.yml --takeover")]
    Run(run::Arguments),
    /// Check a configuration and say where it is wrong.
    #[command(after_help = "\
Examples:
  vidette check -c vidette.yml
  vidette check --print       what is in force, defaults included")]
    Check(check::Arguments),
    /// Say what a running edge would do with a request, step by step, without doing it.
    ///
    /// What a listener says by itself (`serve`, `allow`, `redirect_to_https`, PROXY headers) comes
    /// before, and is not looked at.
    #[command(after_help = "\
Examples:
  vidette explain '/api/42/envelope/?sentry_key=a94ae32be2584e0bbd7a4cbb95971fee' --body event.txt
  vidette explain -X OPTIONS -H 'Origin: https://shop.example.com' /api/42/envelope/")]
    Explain(explain::Arguments),
    /// Find what is wrong in front of, in and behind a running edge, and how to mend it.
    #[command(subcommand)]
    #[command(after_help = "\
Examples:
  vidette doctor ip
  vidette doctor cors --url https://sentry.example.com --origin https://shop.example.com
  vidette doctor upload --url https://sentry.example.com --org sentry
  vidette doctor compose self-hosted/docker-compose.yml
Each exits with 1 if it found a problem.")]
    Doctor(doctor::Subject),
    /// Run a stand-in Sentry, an edge before it, and some traffic.
    #[command(after_help = "\
Examples:
  vidette demo
  vidette demo --public 127.0.0.1:0 --admin 127.0.0.1:0 --no-traffic")]
    Demo(demo::Arguments),
    /// Show the traffic light; exit 1 on red.
    #[command(after_help = "\
Examples:
  vidette status
  vidette status --json | jq .reasons")]
    Status(status::Arguments),
    /// Show who sends most, live or as text.
    Top(top::Arguments),
    /// Let nothing of a project through for a while, or a small share.
    Mute(switch::Mute),
    /// End mutes of a project.
    Unmute(switch::Unmute),
    /// Let so much of a project through for a while: 100/s, 1000/1h, 1GiB/1d.
    #[command(after_help = "\
Examples:
  vidette limit 42 error 100/s --for 30m
  vidette limit 42 1000/1h --for 2h
  vidette limit 42 error off")]
    Limit(switch::Valued),
    /// Let at most a share of a project through for a while, silently: 0.1, 10%.
    #[command(after_help = "\
Examples:
  vidette sample 42 transaction 10% --for 30m
  vidette sample 42 off
What the configuration keeps less of stays at that. Sessions, check-ins and client reports
are never sampled.")]
    Sample(switch::Valued),
    /// Keep every event while Sentry is being worked on, and send it afterwards.
    #[command(subcommand)]
    #[command(after_help = "\
Examples:
  vidette maintenance on --for 40m
  vidette maintenance off")]
    Maintenance(maintenance::Switch),
    /// Look at what is kept until Sentry takes it, and steer that.
    #[command(subcommand)]
    #[command(after_help = "\
Examples:
  vidette spool ls
  vidette spool drain")]
    Spool(spool::Command),
    /// Look at the clients that are blocked because they only misbehaved, and lift that.
    #[command(subcommand)]
    #[command(after_help = "\
Examples:
  vidette blocks ls
  vidette blocks lift 203.0.113.9")]
    Blocks(blocks::Command),
    /// Send one event as an SDK would, and follow where it goes.
    #[command(after_help = "\
Examples:
  vidette send-test --dsn https://a94ae32be2584e0bbd7a4cbb95971fee@sentry.example.com/42
  vidette send-test --dsn ... --sentry http://web:9000 --org sentry --sentry-token TOKEN
The second waits until Sentry itself has the event.")]
    SendTest(send_test::Arguments),
    /// Show what is used of budgets and long quotas today, and when all of it will be.
    #[command(after_help = "\
Examples:
  vidette budget
  vidette budget --json")]
    Budget(budget::Arguments),
    /// Turn an nginx.conf into a vidette.yml.
    #[command(after_help = "\
Examples:
  vidette import-nginx nginx.conf > vidette.yml
  vidette import-nginx /etc/nginx/nginx.conf -o vidette.yml && vidette check vidette.yml
What was not carried over is listed on stderr, and as comments at the end of the file; the exit
code is 1 then. Notes of what is done in another way by itself are no reason for that. Where nginx ran in a container, copy its files beside one another first.")]
    ImportNginx(import_nginx::Arguments),
    /// Show what becomes of each item, as it happens.
    Tail(tail::Arguments),
    /// Make a running edge read its configuration again.
    #[command(after_help = "\
Example:
  vidette check -c /etc/vidette/vidette.yml && vidette reload")]
    Reload(reload::Arguments),
    /// Exit 0 while the edge is ready; for containers.
    #[command(after_help = "\
Example:
  vidette healthcheck && echo ready
and in a Compose file:
  healthcheck: {test: [\"CMD\", \"vidette\", \"healthcheck\"]}")]
    Healthcheck(admin::Address),
    /// Make or show what proves this edge to Sentry, as a relay.
    #[command(subcommand)]
    #[command(after_help = "\
Examples:
  vidette credentials generate /etc/vidette/credentials.json
  vidette credentials show /etc/vidette/credentials.json")]
    Credentials(credentials::Command),
    /// Print what makes a shell complete this command line.
    #[command(after_help = "\
Example:
  vidette completions bash > /etc/bash_completion.d/vidette")]
    Completions(completions::Arguments),
    /// Print the JSON Schema of vidette.yml, for editors.
    #[command(after_help = "\
Example:
  vidette schema > vidette.schema.json
and as the first line of vidette.yml:
  # yaml-language-server: $schema=vidette.schema.json")]
    Schema(schema::Arguments),
    /// Print the manual page, or write those of all commands to a directory.
    #[command(after_help = "\
Examples:
  vidette man | man -l -
  vidette man --dir /usr/local/share/man")]
    Man(manual::Arguments),
    /// Print the version, as -V does.
    #[command(hide = true)]
    Version,
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
        Command::Explain(arguments) => explain::main(&arguments),
        Command::Doctor(subject) => doctor::main(&subject),
        Command::Demo(arguments) => demo::main(&arguments),
        Command::Status(arguments) => status::main(&arguments),
        Command::Top(arguments) => top::main(&arguments),
        Command::Mute(arguments) => switch::mute(&arguments),
        Command::Unmute(arguments) => switch::unmute(&arguments),
        Command::Limit(arguments) => switch::limit(&arguments),
        Command::Sample(arguments) => switch::sample(&arguments),
        Command::Maintenance(switch) => maintenance::main(&switch),
        Command::Spool(command) => spool::main(&command),
        Command::Blocks(command) => blocks::main(&command),
        Command::Budget(arguments) => budget::main(&arguments),
        Command::ImportNginx(arguments) => import_nginx::main(&arguments),
        Command::Tail(arguments) => tail::main(&arguments),
        Command::Reload(arguments) => reload::main(&arguments),
        Command::Healthcheck(address) => healthcheck::main(&address),
        Command::Credentials(command) => credentials::main(&command),
        Command::SendTest(arguments) => send_test::main(&arguments),
        Command::Completions(arguments) => completions::main(&arguments),
        Command::Schema(arguments) => schema::main(&arguments),
        Command::Man(arguments) => manual::main(&arguments),
        Command::Version => {
            say(concat!("vidette ", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
    }
}

/// Says on stderr what went wrong and how that came about; the exit code is 1.
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("vidette: {error:#}");
    ExitCode::FAILURE
}

/// Says on stderr what of the command line cannot be; the exit code is 2.
fn misused(error: &anyhow::Error) -> ExitCode {
    eprintln!("vidette: {error:#}");
    ExitCode::from(2)
}

/// Why a command fails.
#[derive(Debug)]
enum Wrong {
    /// What was typed cannot be.
    Asked(anyhow::Error),
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Wrong {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl Wrong {
    /// Says it on stderr.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Asked(error) => misused(error),
            Self::Failed(error) => fail(error),
        }
    }
}

/// The most characters of a foreign text that are shown: a long header line still fits.
const PLAIN_CHARS_MAX: usize = 1000;

/// A text from elsewhere as one line that cannot move a terminal's cursor.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    for (place, ch) in text.chars().enumerate() {
        if place >= PLAIN_CHARS_MAX {
            shown.push_str("...");
            break;
        }
        match ch {
            // Format characters turn the reading direction or have no width.
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(ch.escape_unicode());
            }
            ch if ch.is_control() => shown.extend(ch.escape_default()),
            ch => shown.push(ch),
        }
    }
    shown
}

/// Writes one line to stdout; a reader that has gone away is no error.
fn say(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(plain(text), want, "{text:?}");
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        check("203.0.113.9, 10.0.0.1", "203.0.113.9, 10.0.0.1");
        check("\u{1b}[2J\r\n", "\\u{1b}[2J\\r\\n");
        check("a\u{202e}b", "a\\u{202e}b");
        check("b\u{fc}cher", "b\u{fc}cher");
        let long = "x".repeat(PLAIN_CHARS_MAX);
        check(&long, &long);
        check(&format!("{long}y"), &format!("{long}..."));
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
