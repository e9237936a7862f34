//! `vidette mute`, `unmute`, `limit` and `sample`: the red switches, for a while.
//! Owns how they are typed; the edge decides whether they make sense.

mod listed;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{admin, fail, misused, plain, say};
use listed::{FORGETS, Shown, list, listed};

/// The edge's path of them.
const PATH: &str = "/api/v1/mutes";

/// The longest, as the edge has it: thirty days.
const LASTS_S_MAX: u64 = 30 * 86_400;

/// In a value's place it ends what is on.
const OFF: &str = "off";

/// What `mute` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vidette mute 42 --for 30m                 nothing of project 42 goes on
  vidette mute 42 error --for 2h --keep 1%  of its errors one request in a hundred
  vidette mute --list                       what is on, of every action
Senders hear 429 and hold back as long; a mute that keeps a share asks them for a second only.")]
pub(super) struct Mute {
    /// The project's number.
    #[arg(value_name = "PROJECT", required_unless_present = "list")]
    project: Option<u64>,
    /// Only this category, such as error or transaction; else everything.
    #[arg(value_name = "CATEGORY")]
    category: Option<String>,
    /// For how long: 30m, 2h, 30d at most. It ends by itself.
    #[arg(long = "for", value_name = "TIME", value_parser = time, required_unless_present = "list")]
    lasts: Option<Duration>,
    /// Let this share of requests through: 1% or 0.01.
    #[arg(long, value_name = "SHARE")]
    keep: Option<String>,
    /// What for: it stands in the list and in the log.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Show what is on: mutes, limits and samples.
    #[arg(long, conflicts_with_all = ["project", "category", "lasts", "keep", "why"])]
    list: bool,
    /// With --list: what was on lately, and who ended it.
    #[arg(long, requires = "list")]
    history: bool,
    /// With --list: the admin's answer unchanged.
    #[arg(long, requires = "list")]
    json: bool,
    #[command(flatten)]
    address: admin::Address,
}

/// What `unmute` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vidette unmute 42        ends every mute of project 42
  vidette unmute 42 error  ends the one of its errors
Limits and samples end with `vidette limit PROJECT off` and `vidette sample PROJECT off`.")]
pub(super) struct Unmute {
    /// The project's number.
    #[arg(value_name = "PROJECT")]
    project: u64,
    /// Only the mute of this category; else all of the project's.
    #[arg(value_name = "CATEGORY")]
    category: Option<String>,
    #[command(flatten)]
    address: admin::Address,
}

/// What `limit` and `sample` take.
#[derive(Debug, clap::Args)]
pub(super) struct Valued {
    /// The project's number.
    #[arg(value_name = "PROJECT")]
    project: u64,
    /// Only this category, else everything; then the value, or `off`.
    #[arg(value_name = "[CATEGORY] VALUE", num_args = 1..=2, required = true)]
    words: Vec<String>,
    /// For how long: 30m, 2h, 30d at most. It ends by itself.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    lasts: Option<Duration>,
    /// What for: it stands in the list and in the log.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    address: admin::Address,
}

fn time(text: &str) -> Result<Duration, String> {
    crate::config::duration(text)
        .filter(|time| (1..=LASTS_S_MAX).contains(&time.as_secs()))
        .ok_or_else(|| "not a time from 1s to 30d; write 90s, 30m or 2h".to_owned())
}

/// Why a command fails.
enum Wrong {
    /// What was typed cannot be.
    Asked(anyhow::Error),
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Wrong {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

fn done(lines: Result<Vec<String>, Wrong>) -> ExitCode {
    match lines {
        Ok(lines) => {
            for line in lines {
                say(&line);
            }
            ExitCode::SUCCESS
        }
        Err(Wrong::Asked(error)) => misused(&error),
        Err(Wrong::Failed(error)) => fail(&error),
    }
}

pub(super) fn mute(arguments: &Mute) -> ExitCode {
    let Mute {
        category,
        keep,
        why,
        address,
        ..
    } = arguments;
    let (Some(project), Some(lasts)) = (arguments.project, arguments.lasts) else {
        let lines = list(address, arguments.history, arguments.json);
        return done(lines.map_err(Wrong::Failed));
    };
    let wanted = Wanted {
        project,
        category: category.as_deref(),
        action: "mute",
        value: keep.as_deref(),
        lasts,
        why: why.as_deref(),
    };
    done(set(address, &wanted))
}

pub(super) fn unmute(arguments: &Unmute) -> ExitCode {
    let Unmute {
        project,
        category,
        address,
    } = arguments;
    done(end(address, *project, category.as_deref(), "mute"))
}

pub(super) fn limit(arguments: &Valued) -> ExitCode {
    done(valued(arguments, "limit"))
}

pub(super) fn sample(arguments: &Valued) -> ExitCode {
    done(valued(arguments, "sample"))
}

fn valued(arguments: &Valued, action: &str) -> Result<Vec<String>, Wrong> {
    let Valued {
        project,
        words,
        lasts,
        why,
        address,
    } = arguments;
    let (category, value) = match &words[..] {
        [category, value] => (Some(&**category), value),
        [value, ..] => (None, value),
        [] => return Err(Wrong::Asked(anyhow::anyhow!("no value"))),
    };
    if value == OFF {
        return end(address, *project, category, action);
    }
    let lasts = lasts.ok_or_else(|| {
        let detail = "for how long? Write --for 30m, or off as the value to end it";
        Wrong::Asked(anyhow::anyhow!(detail))
    })?;
    let wanted = Wanted {
        project: *project,
        category,
        action,
        value: Some(value),
        lasts,
        why: why.as_deref(),
    };
    set(address, &wanted)
}

/// A switch to be on.
struct Wanted<'a> {
    project: u64,
    category: Option<&'a str>,
    action: &'a str,
    value: Option<&'a str>,
    lasts: Duration,
    why: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
struct Switched {
    id: u64,
    expires_at: String,
    replaced: Option<Shown>,
    kept: bool,
}

#[derive(Debug, Deserialize)]
struct Gone {
    ended: Shown,
    kept: bool,
}

fn set(address: &admin::Address, wanted: &Wanted<'_>) -> Result<Vec<String>, Wrong> {
    let body = json!({
        "project": wanted.project,
        "category": wanted.category,
        "action": wanted.action,
        "value": wanted.value,
        "for_s": wanted.lasts.as_secs(),
        "by": whoami(),
        "why": wanted.why,
    });
    let answer = address.post(PATH, &body)?;
    match answer.status {
        StatusCode::CREATED => {}
        StatusCode::UNPROCESSABLE_ENTITY => {
            return Err(Wrong::Asked(anyhow::anyhow!(answer.fault())));
        }
        status => {
            let error = anyhow::anyhow!("the edge answered {status}: {}", answer.fault());
            return Err(Wrong::Failed(error));
        }
    }
    let told: Switched = serde_json::from_str(&answer.body)
        .context("the edge's answer is not what was asked for")?;
    let until = plain(&told.expires_at);
    let mut lines = vec![format!(
        "{} of project {} is on until {until} (id {})",
        wanted.action, wanted.project, told.id
    )];
    if let Some(was) = told.replaced {
        let until = plain(&was.expires_at);
        lines.push(format!(
            "it takes the place of: {} until {until}, by {}",
            was.words(),
            plain(&was.by)
        ));
    }
    if !told.kept {
        lines.push(FORGETS.to_owned());
    }
    Ok(lines)
}

/// Ends what is on: of a category, or all of the project's.
fn end(
    address: &admin::Address,
    project: u64,
    category: Option<&str>,
    action: &str,
) -> Result<Vec<String>, Wrong> {
    let on = listed(address)?.switches;
    let meant = on.into_iter().filter(|on| {
        let of_category = category.is_none() || on.category.as_deref() == category;
        on.project == project && on.action == action && of_category
    });
    let mut lines = Vec::new();
    let mut kept = true;
    for on in meant {
        let by = whoami().map_or_else(|| json!({}), |by| json!({"by": by}));
        let answer = address.end(&format!("{PATH}/{}", on.id), &by)?;
        // It may have ended meanwhile, which is what was wanted.
        if answer.status != StatusCode::NOT_FOUND {
            let gone: Gone = answer.json()?;
            kept = gone.kept;
            lines.push(format!("off: {}", gone.ended.words()));
        }
    }
    if lines.is_empty() {
        let of = category.map_or_else(String::new, |category| format!(" {}", plain(category)));
        let error = anyhow::anyhow!("no {action} of project {project}{of} is on");
        return Err(Wrong::Failed(error));
    }
    if !kept {
        lines.push(FORGETS.to_owned());
    }
    Ok(lines)
}

/// Who types, and where: `ops@host`, as far as the system tells.
fn whoami() -> Option<String> {
    let user = std::env::var("USER").ok();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.as_deref().map(str::trim);
    whose(user.as_deref(), host)
}

/// The edge takes one line of a hundred characters.
fn whose(user: Option<&str>, host: Option<&str>) -> Option<String> {
    let known = |text: &&str| !text.is_empty();
    let user = user.filter(known)?;
    let by = match host.filter(known) {
        Some(host) => format!("{user}@{host}"),
        None => user.to_owned(),
    };
    let by: String = by.chars().filter(|ch| !ch.is_control()).take(100).collect();
    Some(by).filter(|by| !by.is_empty())
}

#[cfg(test)]
mod tests;
