//! What is switched on and what was, as the edge lists it and as it is printed. Never
//! changes a switch.

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::super::{admin, plain};
use super::PATH;

/// A switch as the edge lists it.
#[derive(Debug, Deserialize)]
pub(super) struct Shown {
    pub(super) id: u64,
    pub(super) project: u64,
    pub(super) category: Option<String>,
    pub(super) action: String,
    pub(super) value: Option<String>,
    pub(super) by: String,
    pub(super) why: Option<String>,
    pub(super) expires_at: String,
    #[serde(default)]
    pub(super) end: String,
    pub(super) ended_by: Option<String>,
    #[serde(default)]
    pub(super) ended_at: String,
}

/// All that the edge lists.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) switches: Vec<Shown>,
    #[serde(default)]
    pub(super) ended: Vec<Shown>,
    pub(super) kept: bool,
}

/// Said where what is on is not on disk.
pub(super) const FORGETS: &str =
    "but a restart will not know of it: state.path is off or cannot be written";

impl Shown {
    /// `mute 42 error 1%`.
    pub(super) fn words(&self) -> String {
        let mut words = format!("{} {}", plain(&self.action), self.project);
        for more in [&self.category, &self.value].into_iter().flatten() {
            words.push(' ');
            words.push_str(&plain(more));
        }
        words
    }
}

/// What is on, and what was.
pub(super) fn listed(address: &admin::Address) -> anyhow::Result<Listed> {
    address
        .ask(&Method::GET, &format!("{PATH}?history=true"))?
        .json()
}

/// The same as it is printed.
pub(super) fn list(
    address: &admin::Address,
    history: bool,
    json: bool,
) -> anyhow::Result<Vec<String>> {
    if json {
        let query = if history { "?history=true" } else { "" };
        let answer = address.ask(&Method::GET, &format!("{PATH}{query}"))?;
        answer.json::<Value>()?;
        return Ok(vec![answer.body]);
    }
    Ok(table(&listed(address)?, history))
}

/// A line for each.
pub(super) fn table(listed: &Listed, history: bool) -> Vec<String> {
    let mut lines: Vec<String> = listed.switches.iter().map(on_line).collect();
    if lines.is_empty() {
        lines.push("nothing is switched on".to_owned());
    } else if !listed.kept {
        lines.push(FORGETS.to_owned());
    }
    if history && listed.ended.is_empty() {
        lines.push("nothing has ended yet".to_owned());
    } else if history {
        lines.push("ended, the latest first:".to_owned());
        lines.extend(listed.ended.iter().map(|ended| {
            let by = ended
                .ended_by
                .as_deref()
                .map(|by| format!(" by {}", plain(by)));
            let (end, at) = (plain(&ended.end), plain(&ended.ended_at));
            let (line, by) = (on_line(ended), by.unwrap_or_default());
            format!("{line}; {end} {at}{by}")
        }));
    }
    lines
}

fn on_line(on: &Shown) -> String {
    let why = on.why.as_deref().map(|why| format!(": {}", plain(why)));
    let (words, until) = (on.words(), plain(&on.expires_at));
    let (by, why) = (plain(&on.by), why.unwrap_or_default());
    format!("{words:<32} until {until} by {by}{why}")
}
