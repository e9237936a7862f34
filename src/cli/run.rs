//! `vidette run`: the edge, until it is told to stop.

use std::process::ExitCode;

use anyhow::Context as _;
use tracing::level_filters::LevelFilter;

use crate::config::{self, Env, Level, Loaded, LogFormat};
use crate::server::{Edge, Origin};
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
    match ran.context("the edge cannot run") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
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
