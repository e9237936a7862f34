//! `vidette run`: the edge, until it is told to stop.

use std::process::ExitCode;

use anyhow::Context as _;
use tracing::level_filters::LevelFilter;

use crate::config::{self, Env, Level, Loaded, LogFormat};
use crate::server::Edge;
use crate::telemetry::log::{self, Format};

use super::{WithConfig, fail};

pub(super) fn main(arguments: &WithConfig) -> ExitCode {
    let env = Env::of_process();
    let file = config::find(arguments.config.as_deref(), &env);
    let loaded = match config::load(file.as_deref(), &env) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    start_log(&loaded);
    announce(&loaded);
    let ran = Edge::start(loaded, Vec::new()).and_then(Edge::wait);
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
