//! `vidette mute`, `unmute`, `limit` and `sample`: the red switches, for a while.
//! Owns how they are typed; the edge decides whether they make sense.

mod listed;

use std::process::ExitCode;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{Wrong, admin, plain, project, say};
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
Senders hear 429 and hold back until its end, but limits.retry_after_max at most, 5 minutes
unless configured: for so long those told just before stay silent after an unmute, too. A mute
that keeps a share asks them for a second only.
What is kept in the spool already is sent all the same: `vidette spool drop --project 42`.")]
pub(super) struct Mute {
    /// The project's number, or its name in the configuration.
    #[arg(value_name = "PROJECT", required_unless_present = "list")]
    project: Option<String>,
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
    /// The project's number, or its name in the configuration.
    #[arg(value_name = "PROJECT")]
    project: String,
    /// Only the mute of this category; else all of the project's.
    #[arg(value_name = "CATEGORY")]
    category: Option<String>,
    #[command(flatten)]
    address: admin::Address,
}

/// What `limit` and `sample` take.
#[derive(Debug, clap::Args)]
pub(super) struct Valued {
    /// The project's number, or its name in the configuration.
    #[arg(value_name = "PROJECT")]
    project: String,
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

fn done(lines: Result<Vec<String>, Wrong>) -> ExitCode {
    match lines {
        Ok(lines) => {
            for line in lines {
                say(&line);
            }
            ExitCode::SUCCESS
        }
        Err(wrong) => wrong.exit_code(),
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
    let (Some(project), Some(lasts)) = (&arguments.project, arguments.lasts) else {
        let lines = list(address, arguments.history, arguments.json);
        return done(lines.map_err(Wrong::Failed));
    };
    let switched = project::number(address, project).and_then(|project| {
        let wanted = Wanted {
            project,
            category: category.as_deref(),
            action: "mute",
            value: keep.as_deref(),
            lasts,
            why: why.as_deref(),
        };
        set(address, &wanted)
    });
    done(switched)
}

pub(super) fn unmute(arguments: &Unmute) -> ExitCode {
    let Unmute {
        project,
        category,
        address,
    } = arguments;
    let ended = project::number(address, project)
        .and_then(|project| end(address, project, category.as_deref(), "mute"));
    done(ended)
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
        let project = project::number(address, project)?;
        return end(address, project, category, action);
    }
    let lasts = lasts.ok_or_else(|| {
        let detail = "for how long? Write --for 30m, or off as the value to end it";
        Wrong::Asked(anyhow::anyhow!(detail))
    })?;
    let wanted = Wanted {
        project: project::number(address, project)?,
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
    on: Shown,
    replaced: Option<Shown>,
    kept: bool,
    seen: bool,
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
    let told: Switched = answer.read()?;
    let until = plain(&told.on.expires_at);
    let (words, id) = (told.on.words(), told.on.id);
    let mut lines = vec![format!("{words} is on until {until} (id {id})")];
    if !told.seen {
        let project = wanted.project;
        lines.push(format!(
            "but no key of project {project} has been seen to work here yet"
        ));
    }
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
    let mut on = listed(address)?.switches;
    on.retain(|on| on.project == project && on.action == action);
    let meant = on
        .iter()
        .filter(|on| category.is_none() || on.category.as_deref() == category);
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
    let on_all = on.iter().any(|on| on.category.is_none());
    let whole = (on_all && category.is_some()).then(|| whole(project, action));
    if lines.is_empty() {
        let of = category.map_or_else(String::new, |category| format!(" {}", plain(category)));
        let hint = whole.map_or_else(String::new, |whole| format!(", but {whole}"));
        let error = anyhow::anyhow!("no {action} of project {project}{of} is on{hint}");
        return Err(Wrong::Failed(error));
    }
    lines.extend(whole.map(|whole| format!("but {whole}")));
    if !kept {
        lines.push(FORGETS.to_owned());
    }
    Ok(lines)
}

/// Said to whoever ends what is on for a category while the same is on for everything.
fn whole(project: u64, action: &str) -> String {
    let (is, ends) = match action {
        "mute" => ("muted", format!("unmute {project}")),
        "limit" => ("limited", format!("limit {project} {OFF}")),
        _ => ("sampled", format!("sample {project} {OFF}")),
    };
    format!("all of project {project} is {is}: vidette {ends}")
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
