//! `vidette spool`: look at and steer what is kept.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{admin, fail, say};

/// How often a drain looks how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What `spool` takes.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show what is kept, by project.
    Ls {
        #[command(flatten)]
        address: admin::Address,
        /// The admin's answer unchanged.
        #[arg(long)]
        json: bool,
    },
    /// Send nothing of what is kept, until `drain`. New events are not held back.
    Pause {
        #[command(flatten)]
        address: admin::Address,
    },
    /// Send what is kept, and wait until nothing is left.
    Drain {
        #[command(flatten)]
        address: admin::Address,
        /// Go on sending, and do not wait.
        #[arg(long)]
        no_wait: bool,
    },
    /// Drop what is kept, for good; its bytes are overwritten.
    Drop {
        /// Only what is this project's; else --all.
        #[arg(long, value_name = "ID", required_unless_present = "all")]
        project: Option<u64>,
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
            project, address, ..
        } => purge(address, *project),
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
    paused: bool,
    projects: Vec<Held>,
    more_projects: u64,
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

fn table(overview: &Overview) -> Vec<String> {
    let mut lines = vec![format!(
        "{} items in {} requests, {} of {}, the oldest for {}{}",
        overview.items,
        overview.requests,
        size(overview.bytes),
        size(overview.bytes_max),
        age(overview.oldest_s),
        if overview.paused { "; paused" } else { "" },
    )];
    if overview.projects.is_empty() {
        return lines;
    }
    lines.push(format!(
        "{:>12}  {:>10}  {:>10}  {:>8}",
        "project", "requests", "size", "oldest"
    ));
    lines.extend(overview.projects.iter().map(|held| {
        let project = held.project.map_or("none".to_owned(), |id| id.to_string());
        let (size, age) = (size(held.bytes), age(held.oldest_s));
        format!("{project:>12}  {:>10}  {size:>10}  {age:>8}", held.requests)
    }));
    if overview.more_projects > 0 {
        lines.push(format!("and {} more", overview.more_projects));
    }
    lines
}

fn pause(address: &admin::Address) -> anyhow::Result<()> {
    steer(address, true)?;
    say("paused: what is kept stays here until `vidette spool drain`");
    Ok(())
}

fn steer(address: &admin::Address, paused: bool) -> anyhow::Result<()> {
    let answer = address.post("/api/v1/spool", &json!({"paused": paused}))?;
    answer.json::<serde_json::Value>().map(drop)
}

fn drain(address: &admin::Address, no_wait: bool) -> anyhow::Result<()> {
    steer(address, false)?;
    if no_wait {
        say("what is kept is being sent");
        return Ok(());
    }
    let shows = std::io::stderr().is_terminal();
    let (began, first) = (Instant::now(), overview(address)?.requests);
    loop {
        let now = overview(address)?;
        if now.requests == 0 {
            if shows {
                eprintln!();
            }
            say("the spool is empty: all that was kept is sent");
            return Ok(());
        }
        if now.paused {
            anyhow::bail!("somebody has paused it; {} requests are left", now.requests);
        }
        if shows {
            eprint!("\r\x1b[K{}", progress(first, now.requests, began.elapsed()));
            std::io::stderr().flush().ok();
        }
        sleep(LOOK_EVERY);
    }
}

/// How far a drain is, and how long it will take if it goes on like this.
fn progress(first: u64, left: u64, took: Duration) -> String {
    let done = first.saturating_sub(left);
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match (millis.saturating_mul(left)).checked_div(done) {
        Some(left_ms) if done > 0 => {
            format!(
                "{left} requests left, about {}",
                age(left_ms.div_ceil(1000))
            )
        }
        _ => format!("{left} requests left"),
    }
}

fn purge(address: &admin::Address, project: Option<u64>) -> anyhow::Result<()> {
    let path = match project {
        Some(project) => format!("/api/v1/spool?project={project}"),
        None => "/api/v1/spool".to_owned(),
    };
    let told: serde_json::Value = address.ask(&Method::DELETE, &path)?.json()?;
    let dropped = told.get("dropped").and_then(serde_json::Value::as_u64);
    say(&format!("{} requests dropped", dropped.unwrap_or(0)));
    Ok(())
}

fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(name, unit)| {
            let tenths = bytes.saturating_mul(10) / unit;
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        },
    )
}

fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, json as answer};
    use super::*;

    const KEPT: &str = r#"{"items":12,"requests":7,"bytes":1572864,"bytes_max":4294967296,
        "oldest_s":7300,"paused":true,"more_projects":3,"projects":[
        {"project":42,"requests":6,"bytes":2048,"oldest_s":90},
        {"project":null,"requests":1,"bytes":10,"oldest_s":180}]}"#;

    #[test]
    fn what_is_kept_is_shown_by_project() {
        let overview: Overview = serde_json::from_str(KEPT).unwrap();
        let want = "12 items in 7 requests, 1.5 MiB of 4.0 GiB, the oldest for 2 h; paused\n     \
                    project    requests        size    oldest\n          \
                    42           6     2.0 KiB      90 s\n        \
                    none           1        10 B     3 min\n\
                    and 3 more";
        assert_eq!(table(&overview).join("\n"), want);
    }

    #[test]
    fn a_drop_names_its_project() {
        for (project, path) in [
            (Some(42), "/api/v1/spool?project=42"),
            (None, "/api/v1/spool"),
        ] {
            let fake = Fake::start(|_| answer("200 OK", r#"{"dropped":3}"#));
            purge(&admin::Address::of(fake.address), project).unwrap();
            let asked = fake.asked();
            assert_eq!((&*asked[0].method, &*asked[0].path), ("DELETE", path));
            assert_eq!(asked[0].header("content-type"), ["application/json"]);
        }
    }

    #[test]
    fn a_drain_ends_when_nothing_is_left_or_somebody_pauses() {
        let ends = |kept: &'static str| {
            let fake = Fake::start(move |_| answer("200 OK", kept));
            drain(&admin::Address::of(fake.address), false)
        };
        let nothing = r#"{"items":0,"requests":0,"bytes":0,"bytes_max":1,"oldest_s":0,
            "paused":false,"projects":[],"more_projects":0}"#;
        ends(nothing).unwrap();
        let error = ends(KEPT).unwrap_err();
        assert!(error.to_string().contains("7 requests are left"), "{error}");
    }

    #[test]
    fn progress_tells_how_long_it_will_take() {
        let took = Duration::from_secs(10);
        assert_eq!(progress(100, 100, took), "100 requests left");
        assert_eq!(progress(100, 50, took), "50 requests left, about 10 s");
        assert_eq!(progress(100, 99, took), "99 requests left, about 16 min");
        assert_eq!(progress(100, 150, took), "150 requests left");
    }
}
