//! `vidette check`: says where a configuration is wrong, before it is needed.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{self, Env};
use crate::server;

use super::{fail, say};

/// What `check` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file, also as a plain argument.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    #[command(flatten)]
    with: super::WithConfig,
    /// Print the configuration in force, defaults included and secrets as ***.
    #[arg(long)]
    print: bool,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let env = Env::of_process();
    let named = arguments
        .file
        .as_deref()
        .or(arguments.with.config.as_deref());
    let file = config::find(named, &env);
    let loaded = match config::load(file.as_deref(), &env) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    // Whom root becomes once it listens has to find what root finds.
    let barred = match server::rehearse(&loaded.config) {
        Ok(barred) => barred,
        Err(error) => return fail(&error.into()),
    };
    for warning in loaded.warnings.iter().chain(&barred) {
        eprintln!("warning: {warning}");
    }
    if let (Some(user), Some(file)) = (&loaded.config.user, &file)
        && std::fs::File::open(file).is_err()
    {
        let file = file.display();
        eprintln!(
            "warning: `user` {user} cannot read {file}: a start takes it up, as root, and no reload does"
        );
    }
    if arguments.print {
        say(loaded.config.to_yaml().trim_end());
    } else {
        let name = file.map_or_else(|| "environment".to_owned(), |f| f.display().to_string());
        say(&format!("{name}: ok"));
    }
    ExitCode::SUCCESS
}
