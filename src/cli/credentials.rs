//! `vidette credentials`: what proves to Sentry that this edge is one of its relays. Makes the
//! file, and shows what of it an operator enters in Sentry; never shows the secret, and never
//! writes over a file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::json;

use crate::config::credentials_of;
use crate::domain::relay::RelayCredentials;

use super::{fail, say};

/// What a Relay calls it.
const FILE: &str = "credentials.json";

/// What `credentials` takes.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Draw a new pair of keys and write it to a file that only its owner may read.
    #[command(after_help = "\
Example:
  vidette credentials generate /etc/vidette/credentials.json")]
    Generate(Arguments),
    /// Show the relay's id and its public key, which are no secrets.
    #[command(after_help = "\
Example:
  vidette credentials show /etc/vidette/credentials.json")]
    Show(Arguments),
}

/// Which file.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file; a Relay's own will do, too.
    #[arg(value_name = "FILE", default_value = FILE)]
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(command: &Command) -> ExitCode {
    let (arguments, credentials) = match command {
        Command::Generate(arguments) => (arguments, generate(&arguments.file)),
        Command::Show(arguments) => (arguments, read(&arguments.file)),
    };
    let credentials = match credentials {
        Ok(credentials) => credentials,
        Err(error) => return fail(&error),
    };
    let (id, public) = (credentials.id(), credentials.public_key());
    if arguments.json {
        say(&json!({"id": id, "public_key": public}).to_string());
        return ExitCode::SUCCESS;
    }
    say(&format!("id          {id}\npublic key  {public}"));
    if matches!(command, Command::Generate(_)) {
        let file = arguments.file.display();
        say(&format!(
            "\n{file} is written, for its owner alone. In vidette.yml:\n  \
             sentry: {{url: \"http://web:9000\", credentials: {file}}}\n\
             Within Sentry's own network it is trusted with everything by itself. From elsewhere \
             Sentry has\nto know it: SENTRY_RELAY_WHITELIST_PK in its configuration, or Settings, \
             Relay, in an organization."
        ));
        if rustix::process::getuid().is_root() {
            say(&format!(
                "\nIts owner is root, whom the edge is not where the unit starts it:\n  \
                 chown vidette: {file}"
            ));
        }
    }
    ExitCode::SUCCESS
}

fn read(file: &Path) -> anyhow::Result<RelayCredentials> {
    let read = credentials_of(file);
    read.map_err(|fault| anyhow::anyhow!("{} {fault}", file.display()))
}

fn generate(file: &Path) -> anyhow::Result<RelayCredentials> {
    let (mut seed, mut id) = ([0; 32], [0; 16]);
    for drawn in [&mut seed[..], &mut id[..]] {
        let bytes = getrandom(&mut *drawn, GetRandomFlags::empty());
        let bytes = bytes.context("the system has no random bytes")?;
        anyhow::ensure!(bytes == drawn.len(), "the system has too few random bytes");
    }
    let credentials = RelayCredentials::drawn(seed, id)?;
    let opened = OpenOptions::new()
        .write(true)
        // A pair that Sentry knows already must not be lost to a second call.
        .create_new(true)
        .mode(0o600)
        .open(file);
    let name = file.display();
    let is_there = |error: &std::io::Error| error.kind() == ErrorKind::AlreadyExists;
    let mut opened = opened.map_err(|error| match is_there(&error) {
        true => anyhow::anyhow!("{name} is there already; remove it, or name another file"),
        false => anyhow::Error::new(error).context(format!("cannot write {name}")),
    })?;
    let written = opened.write_all(credentials.to_json().as_bytes());
    let written = written.and_then(|()| opened.sync_all());
    written.with_context(|| format!("cannot write {name}"))?;
    Ok(credentials)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_made_once_for_its_owner_alone_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        assert!(read(&file).is_err());
        let made = generate(&file).unwrap();
        assert_eq!(read(&file).unwrap(), made);
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = generate(&file).unwrap_err().to_string();
        assert!(again.contains("is there already"), "{again}");
        assert_eq!(read(&file).unwrap(), made, "the first was written over");
        let other = generate(&folder.path().join("other.json")).unwrap();
        assert_ne!(other, made);
        assert_ne!(other.public_key(), made.public_key());
    }
}
