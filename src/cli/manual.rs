//! `vidette man`: the command line as manual pages, made from what `--help` says, never
//! by hand. Writes into a directory that is there, and makes none.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

/// What `man` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Write vidette.1 and a page for each command here; the directory is there already.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let made = match &arguments.dir {
        Some(dir) => write(dir),
        None => print(),
    };
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&error),
    }
}

fn print() -> anyhow::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(super::Arguments::command()).render(&mut page)?;
    super::say(String::from_utf8_lossy(&page).trim_end());
    Ok(())
}

fn write(dir: &Path) -> anyhow::Result<()> {
    let written = clap_mangen::generate_to(super::Arguments::command(), dir);
    written.with_context(|| format!("cannot write to {}", dir.display()))
}
