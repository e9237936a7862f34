//! `vidette schema`: what an editor has to know of a configuration file.

use std::process::ExitCode;

use crate::config;

use super::say;

/// What `schema` takes: nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn main(_: &Arguments) -> ExitCode {
    say(&format!("{:#}", config::schema()));
    ExitCode::SUCCESS
}
