//! `vidette status`: does it work?

use std::process::ExitCode;

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{admin, fail, plain, say};

/// What `status` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    address: admin::Address,
    /// The admin's answer unchanged.
    #[arg(long)]
    json: bool,
}

/// The one thing that each answer has: what has none is no edge's.
#[derive(Deserialize)]
struct Light {
    light: String,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match show(arguments) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn show(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let answer = arguments.address.ask(&Method::GET, "/api/v1/status")?;
    let Light { light } = answer.json()?;
    let status: Value = answer.read()?;
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    if arguments.json {
        say(&answer.body);
    } else {
        say(&plain(&light));
        for reason in list(&status, "reasons") {
            say(&format!("  {}", text(reason)));
        }
        for upstream in list(&status, "upstreams") {
            let field = |name| upstream.get(name).map_or_else(|| "?".to_owned(), text);
            let addresses: Vec<String> = list(upstream, "addresses").iter().map(text).collect();
            say(&format!(
                "upstream {:8} {:10} {}",
                field("name"),
                field("state"),
                addresses.join(" ")
            ));
        }
        let switches = status.pointer("/switches/count").and_then(Value::as_u64);
        if let Some(count) = switches.filter(|count| *count > 0) {
            say(&format!("switches {count} on: vidette mute --list"));
        }
        let blocked = status.get("clients_blocked").and_then(Value::as_u64);
        if let Some(count) = blocked.filter(|count| *count > 0) {
            say(&format!("blocked  {count}: vidette blocks ls"));
        }
        if let Some(quotas) = status.get("quotas").filter(|quotas| quotas.is_object()) {
            say(&quotas_line(quotas));
        }
    }
    Ok(if light == "red" {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// How quotas do. Those by ip are told of here, since no metric says how full they are.
fn quotas_line(quotas: &Value) -> String {
    let number = |name| quotas.get(name).and_then(Value::as_u64).unwrap_or_default();
    let journal = quotas.get("journal").and_then(Value::as_str);
    let by_ip = match number("by_ip") {
        0 => String::new(),
        count => format!(", {count} by ip (how full those are is not measured)"),
    };
    let full = number("full");
    format!(
        "quotas   {full} full, journal {}{by_ip}",
        journal.unwrap_or("?")
    )
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
