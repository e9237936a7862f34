//! `vidette spool`: look at and steer what is kept.

mod drain;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::project::number_of;
use super::{Wrong, admin, fail, say};
use drain::drain;
use table::table;

/// How long a drop may take: all of it is overwritten, and a slow disk takes its time.
const DROP_PATIENCE: Duration = Duration::from_secs(3600);

/// What `spool` takes.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show what is kept, by project.
    #[command(after_help = "\
Example:
  vidette spool ls")]
    Ls {
        #[command(flatten)]
        address: admin::Address,
        /// The admin's answer unchanged.
        #[arg(long)]
        json: bool,
    },
    /// Send nothing of what is kept, until `drain`, over restarts too. New events are not
    /// held back.
    #[command(after_help = "\
Example:
  vidette spool pause")]
    Pause {
        #[command(flatten)]
        address: admin::Address,
    },
    /// Send what is kept, which ends a pause, and wait until nothing is left. Maintenance
    /// holds it back: that is said at once.
    #[command(after_help = "\
Examples:
  vidette spool drain
  vidette spool drain --no-wait    only ends a pause")]
    Drain {
        #[command(flatten)]
        address: admin::Address,
        /// Go on sending, and do not wait.
        #[arg(long)]
        no_wait: bool,
    },
    /// Drop what is kept, for good, copies for mirrors with it; its bytes are overwritten.
    #[command(after_help = "\
Examples:
  vidette spool drop --project 42
  vidette spool drop --all")]
    Drop {
        /// Only what is this project's, by its number or its name in the configuration; else --all.
        #[arg(long, value_name = "PROJECT")]
        project: Option<String>,
        /// Of all projects.
        #[arg(long, conflicts_with = "project")]
        all: bool,
        #[command(flatten)]
        address: admin::Address,
    },
}

pub(super) fn main(command: &Command) -> ExitCode {
    let done = match command {
        Command::Ls { address, json } => list(address, *json),
        Command::Pause { address } => pause(address),
        Command::Drain { address, no_wait } => drain(address, *no_wait),
        Command::Drop {
            project,
            all,
            address,
        } => return drop_kept(address, project.as_deref(), *all),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// What `/api/v1/spool` says.
#[derive(Debug, Deserialize)]
struct Overview {
    items: u64,
    requests: u64,
    bytes: u64,
    bytes_max: u64,
    oldest_s: u64,
    /// An edge of an earlier version does not say.
    #[serde(default)]
    aside: u64,
    paused: bool,
    paused_since: Option<String>,
    maintenance: Option<Maintenance>,
    projects: Vec<Held>,
    more_projects: u64,
    #[serde(default)]
    upstreams: Vec<KeptFor>,
    max_age_s: Option<u64>,
    forecast: Option<Forecast>,
    #[serde(default)]
    full_shares: Vec<FullShare>,
    #[serde(default)]
    more_full_shares: u64,
}

/// What is kept for one Sentry.
#[derive(Debug, Deserialize)]
struct KeptFor {
    /// `None`: one that is not configured any more.
    name: Option<String>,
    requests: u64,
    oldest_s: u64,
}

/// What becomes of it.
#[derive(Debug, Deserialize)]
struct Forecast {
    course: String,
    in_s: Option<u64>,
    expires_in_s: Option<u64>,
}

/// A share of which nothing is left.
#[derive(Debug, Deserialize)]
struct FullShare {
    share: String,
    project: Option<u64>,
    bytes: u64,
    bytes_max: u64,
}

/// Until when nothing is sent at all.
#[derive(Debug, Deserialize)]
struct Maintenance {
    until: String,
}

#[derive(Debug, Deserialize)]
struct Held {
    project: Option<u64>,
    requests: u64,
    bytes: u64,
    oldest_s: u64,
}

fn overview(address: &admin::Address) -> anyhow::Result<Overview> {
    address.ask(&Method::GET, "/api/v1/spool")?.json()
}

fn list(address: &admin::Address, json: bool) -> anyhow::Result<()> {
    if json {
        let answer = address.ask(&Method::GET, "/api/v1/spool")?;
        if answer.status != StatusCode::OK {
            anyhow::bail!("the edge answered {}: {}", answer.status, answer.fault());
        }
        say(&answer.body);
        return Ok(());
    }
    for line in table(&overview(address)?) {
        say(&line);
    }
    Ok(())
}

fn pause(address: &admin::Address) -> anyhow::Result<()> {
    let told = steer(address, true)?;
    say("paused: what is kept stays here until `vidette spool drain`");
    if told.get("outlives_restart") == Some(&json!(false)) {
        say("a restart of the edge forgets it: state.path is off, or cannot be written");
    }
    Ok(())
}

fn steer(address: &admin::Address, paused: bool) -> anyhow::Result<Value> {
    let answer = address.post("/api/v1/spool", &json!({"paused": paused}))?;
    answer.json()
}

fn drop_kept(address: &admin::Address, project: Option<&str>, all: bool) -> ExitCode {
    let dropped = match (project, all) {
        (None, false) => Err(Wrong::Asked(anyhow::anyhow!(
            "of which project? Write --project 42, or --all for everything that is kept"
        ))),
        (project, _) => number_of(address, project)
            .and_then(|project| purge(address, project).map_err(Wrong::Failed)),
    };
    match dropped {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => wrong.exit_code(),
    }
}

fn purge(address: &admin::Address, project: Option<u64>) -> anyhow::Result<()> {
    let path = match project {
        Some(project) => format!("/api/v1/spool?project={project}"),
        None => "/api/v1/spool".to_owned(),
    };
    let told: Value = address.delete(&path, DROP_PATIENCE)?.json()?;
    let dropped = told.get("dropped").and_then(Value::as_u64);
    let dropped = dropped.unwrap_or(0);
    // An edge of an earlier version does not say.
    match told.get("copies").and_then(Value::as_u64) {
        None | Some(0) => say(&format!("{dropped} requests dropped")),
        Some(copies) => say(&format!(
            "{dropped} requests dropped, and {copies} copies for mirrors"
        )),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
