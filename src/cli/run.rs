//! `vidette run`: the edge, until it is told to stop.

use std::process::ExitCode;

use anyhow::anyhow;
use tracing::level_filters::LevelFilter;

use crate::config::{self, Env, Level, Loaded, LogFormat};
use crate::server::{Edge, Origin, StartError};
use crate::telemetry::log::{self, Format};

use super::{WithConfig, fail};

/// What `run` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: WithConfig,
    /// Take over from the process that runs on this configuration, without a break: its sockets,
    /// its spool and its counts. It finishes what it has begun, and exits. Where none runs, start
    /// as usual.
    #[arg(long)]
    takeover: bool,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let env = Env::of_process();
    let file = config::find(arguments.which.config.as_deref(), &env);
    let loaded = match config::load(file.as_deref(), &env) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    start_log(&loaded);
    announce(&loaded);
    let origin = match arguments.takeover {
        true => Origin::TakeOver,
        false => Origin::Program,
    };
    let ran = Edge::start_as(origin, loaded, Vec::new()).and_then(Edge::wait);
    match ran {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&told(error, arguments.takeover).context("the edge cannot run")),
    }
}

/// The error, with whose the address may be where one is taken.
fn told(error: StartError, takeover: bool) -> anyhow::Error {
    match (error.is_address_taken(), takeover) {
        (false, _) => error.into(),
        (true, false) => anyhow!(
            "{error}; another process has it: if that is a vidette on this configuration, \
             --takeover takes over from it without a break"
        ),
        (true, true) => {
            anyhow!("{error}; another process has it, which is no vidette on this configuration")
        }
    }
}

/// Starts the log as configured.
pub(super) fn start_log(loaded: &Loaded) {
    let format = match loaded.config.log.format {
        LogFormat::Auto => Format::Auto,
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
        LogFormat::Journald => Format::Journald,
    };
    let level = match loaded.config.log.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    log::start(format, level);
}

fn announce(loaded: &Loaded) {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[track_caller]
    fn check(kind: io::ErrorKind, takeover: bool, want: &str) {
        let error = StartError::Listen(io::Error::new(kind, "192.0.2.1:9000: why"));
        let said = format!("{:#}", told(error, takeover));
        assert_eq!(said, format!("cannot listen on 192.0.2.1:9000: why{want}"));
    }

    /// It stood there twice, and a vidette that ran already was not thought of.
    #[test]
    fn an_address_that_is_taken_is_said_once_and_who_may_have_it() {
        check(
            io::ErrorKind::AddrInUse,
            false,
            "; another process has it: if that is a vidette on this configuration, --takeover \
             takes over from it without a break",
        );
        check(
            io::ErrorKind::AddrInUse,
            true,
            "; another process has it, which is no vidette on this configuration",
        );
        check(io::ErrorKind::AddrNotAvailable, false, "");
    }
}
