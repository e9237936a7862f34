//! `vidette import-nginx`: an nginx.conf as a vidette.yml, and what of it could not be carried
//! over. Reads files alone: neither nginx nor an edge is asked.

mod admitted;
mod amounts;
mod carry;
mod grammar;
mod held;
mod listening;
mod sheet;
mod site;
mod upstreams;
mod words;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::{self, Env};

use super::{fail, plain};

/// What `import-nginx` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The nginx.conf; what it includes is looked for beside it.
    file: PathBuf,
    /// Write the configuration to this file, which must not exist; else it is printed.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match import(&arguments.file, arguments.output.as_deref()) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn import(file: &Path, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let tree = grammar::read(file)?;
    let sheet = carry::carry(&tree);
    let yaml = sheet.to_yaml(&file.display().to_string());
    match output {
        Some(output) => write_new(output, &yaml)?,
        None => super::say(yaml.trim_end()),
    }
    // On a screen that has the file, the file's own list is before their eyes.
    let shown = output.is_none() && std::io::stdout().is_terminal();
    let lost = sheet.left.iter().map(|note| ("", note));
    let otherwise = sheet.otherwise.iter().map(|note| ("note: ", note));
    for (kind, (place, what, why)) in lost.chain(otherwise).filter(|_| !shown) {
        eprintln!("{}", plain(&format!("{kind}{place}: {what}: {why}")));
    }
    // Nothing that is printed here may be refused by `check`.
    if let Err(errors) = config::parse("what was carried over", &yaml, &Env::empty()) {
        eprintln!("what is in the file needs a hand before it is a configuration:\n{errors}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(match sheet.left.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let file = std::fs::File::create_new(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}
