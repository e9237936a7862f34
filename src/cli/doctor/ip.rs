//! `vidette doctor ip`: whom the edge takes for the client, and why.
//!
//! Owns how the command runs and how a sighting's chain reads; what is wrong is
//! found by `findings`. Never resolves an address itself: the running edge tells
//! what it made of the requests it saw.

mod findings;
mod report;

use std::process::ExitCode;

use http::Method;
use serde_json::{Value, json};

use super::super::admin::{self, Answer};
use super::super::{fail, plain, say};
use super::{Finding, exit_code, show};
use report::{Clients, Sighting};

/// Sightings whose chain is printed: what fits a screen beside the findings.
const SHOWN_MAX: usize = 5;

/// What `doctor ip` takes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    address: admin::Address,
    /// The admin's answer, with `findings` added.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match look(arguments) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn look(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let answer = arguments.address.ask(&Method::GET, "/api/v1/clients")?;
    let clients: Clients = answer.json()?;
    let findings = findings::of(&clients);
    if arguments.json {
        say(&with_findings(&answer, &findings)?);
    } else {
        show(&findings);
        for sighting in clients.sightings.iter().take(SHOWN_MAX) {
            say("");
            for line in chain(sighting, &clients.header) {
                say(&line);
            }
        }
    }
    Ok(exit_code(&findings))
}

/// The admin's answer with one more key.
fn with_findings(answer: &Answer, findings: &[Finding]) -> anyhow::Result<String> {
    let mut value: Value = answer.json()?;
    if let Some(answer) = value.as_object_mut() {
        answer.insert("findings".to_owned(), json!(findings));
    }
    Ok(value.to_string())
}

/// One request's way: what came, each hop and whether it was believed, what went on.
fn chain(sighting: &Sighting, header: &str) -> Vec<String> {
    let mut lines = vec![format!(
        "{}  {}  from {}",
        plain(&sighting.at),
        plain(&sighting.route),
        plain(&sighting.peer)
    )];
    if sighting.forwarded.is_empty() {
        lines.push(format!("  no {}", plain(header)));
    }
    for line in &sighting.forwarded {
        lines.push(format!("  {}: {}", plain(header), plain(line)));
    }
    let hops: Vec<(String, String)> = sighting
        .steps
        .iter()
        .map(|step| (step.hop(), plain(&step.verdict)))
        .collect();
    let width = hops.iter().map(|(hop, _)| hop.chars().count()).max();
    for (hop, verdict) in &hops {
        let width = width.unwrap_or_default();
        lines.push(format!("    {hop:width$}  {verdict}"));
    }
    lines.push(format!(
        "  so the client is {} ({})",
        plain(&sighting.client),
        plain(&sighting.source)
    ));
    for (name, value) in &sighting.sent {
        lines.push(format!("  sent on: {}: {}", plain(name), plain(value)));
    }
    let taken = |address: &Option<String>| address.as_deref().map_or_else(nobody, plain);
    lines.push(format!(
        "  Relay will take {}, web will take {}",
        taken(&sighting.relay),
        taken(&sighting.web)
    ));
    lines
}

fn nobody() -> String {
    "no address".to_owned()
}

#[cfg(test)]
mod tests;
