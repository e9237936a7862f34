//! `vidette man`: the command line as manual pages, made from what `--help` says, and the
//! configuration's from what is read; never by hand. Writes into a directory that is there, and
//! makes none but its sections.

mod keys;
mod page;
mod synopsis;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};

/// What `man` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Write the pages below this directory, which is there already: man1/vidette.1 and one for
    /// each command, and man5/vidette.yml.5.
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

/// The command line with every name and every option in its place.
fn built() -> Command {
    let mut command = super::Arguments::command().disable_help_subcommand(true);
    command.build();
    command
}

fn print() -> anyhow::Result<()> {
    let page = page::of(&built())?;
    super::say(page.trim_end());
    Ok(())
}

fn write(dir: &Path) -> anyhow::Result<()> {
    let (commands, files) = (section(dir, "man1")?, section(dir, "man5")?);
    write_page(&files.join("vidette.yml.5"), &keys::page())?;
    let mut left = vec![built()];
    while let Some(command) = left.pop() {
        let name = format!("{}.1", page::name(&command));
        write_page(&commands.join(name), &page::of(&command)?)?;
        let shown = command
            .get_subcommands()
            .filter(|below| !below.is_hide_set());
        left.extend(shown.cloned());
    }
    Ok(())
}

/// The folder of a section, where `man` looks for its pages.
fn section(dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let folder = dir.join(name);
    match std::fs::create_dir(&folder) {
        Err(_) if folder.is_dir() => Ok(folder),
        made => {
            made.with_context(|| format!("cannot make {}", folder.display()))?;
            Ok(folder)
        }
    }
}

fn write_page(path: &Path, page: &str) -> anyhow::Result<()> {
    std::fs::write(path, page).with_context(|| format!("cannot write to {}", path.display()))
}
