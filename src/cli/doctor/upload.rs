//! `vidette doctor upload`: why source maps, debug files and large events do not arrive.
//!
//! Owns what is asked of whom, and in which order. Leaves nothing in Sentry: what is sent with a
//! token asks only, and what is sent without is refused.

mod announced;
mod bodies;
mod post;
mod ways;
mod whose;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};

use super::super::place::{self, Authorities, Place};
use super::super::{admin, fail, misused, say};
use super::{Finding, exit_code, show};
use crate::domain::dsn;
use crate::domain::units;
use announced::Announced;
use bodies::Route;

/// A key of the right form that nobody has.
const NOBODYS_KEY: &str = "00000000000000000000000000000000";

/// The longest pause: longer than any proxy waits, and a person waits for it too.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// What `doctor upload` takes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Where uploaders and SDKs send to, through every proxy; else the edge's own first listener.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The organization's slug in Sentry's own addresses.
    #[arg(long, value_name = "SLUG", default_value = "sentry", value_parser = slug)]
    org: String,
    /// A token that may upload (org:ci): Sentry is asked where it has chunks sent.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SENTRY_AUTH_TOKEN",
        hide_env_values = true
    )]
    sentry_token: Option<String>,
    /// Sentry's web server, asked without the edge; else what upstream.web says.
    #[arg(long, value_name = "URL", requires = "sentry_token")]
    sentry: Option<String>,
    /// Whose events to try; else nobody's. No event is sent.
    #[arg(long, value_name = "DSN")]
    dsn: Option<String>,
    /// The largest body to try, 1MiB to 200MiB.
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = size)]
    up_to: u64,
    /// How long a body stands still in its middle, up to 5m; 0s leaves that out.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = pause)]
    pause: Duration,
    #[command(flatten)]
    authorities: Authorities,
    #[command(flatten)]
    address: admin::Address,
    /// The findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Who is asked, and how.
struct Asked {
    /// The front, or the edge where none is named.
    place: Place,
    /// The edge without what stands in front.
    own: Option<Place>,
    /// Sentry's web without the edge.
    behind: Option<Place>,
    authorities: Authorities,
    /// Where chunks go.
    path: String,
    /// Where events go.
    ingest_path: String,
    up_to: u64,
    pause: Duration,
}

/// What the edge takes of uploads, by its configuration.
struct Room {
    bodies: u64,
    ahead_in_memory: u64,
    ahead_on_disk: u64,
    /// Where bodies are read ahead to and the bytes free there, where that is this machine.
    free: Option<(PathBuf, u64)>,
}

fn slug(text: &str) -> Result<String, String> {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match !text.is_empty() && text.bytes().all(sound) {
        true => Ok(text.to_owned()),
        false => Err("write the slug as it stands in Sentry's addresses".to_owned()),
    }
}

fn size(text: &str) -> Result<u64, String> {
    let [least, .., most] = bodies::SIZES;
    let size = units::size(text).filter(|size| (least..=most).contains(size));
    size.ok_or_else(|| "write a size from 1MiB to 200MiB".to_owned())
}

fn pause(text: &str) -> Result<Duration, String> {
    let time = units::duration(text).filter(|time| *time <= PAUSE_MAX);
    time.ok_or_else(|| "write a time up to 5m, such as 10s".to_owned())
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let config = arguments.address.ask(&Method::GET, "/api/v1/config");
    let config = config.and_then(|answer| answer.json::<Value>());
    let asked = match asked(arguments, config.as_ref().ok()) {
        Ok(Some(asked)) => asked,
        Ok(None) => {
            let error = config
                .err()
                .unwrap_or_else(|| anyhow::anyhow!("the edge names no listener"));
            return fail(
                &error.context("nobody to ask; name the address that users have with --url"),
            );
        }
        Err(error) => return misused(&error),
    };
    let mut told = Told {
        findings: Vec::new(),
        json: arguments.json,
    };
    if !arguments.json {
        say(&format!("asking {}", asked.place));
    }
    if let Err(error) = &config {
        told.add([Finding::warn(format!(
            "no comparison with the edge: {error:#}"
        ))]);
    }
    let settings = settings(arguments, &asked, &mut told);
    if let Ok(config) = &config
        && let Some(room) = room(config, &arguments.address)
    {
        told.add(announced::room(&settings, &room));
    }
    for route in [Route::Upload, Route::Ingest] {
        told.add(bodies::of(&asked, route, settings.max_request_size));
    }
    told.add(ways::of(&asked));
    if arguments.json {
        let url = asked.place.to_string();
        say(&json!({"url": url, "findings": told.findings}).to_string());
    }
    exit_code(&told.findings)
}

/// What was found so far, said at once: the rest takes its time.
struct Told {
    findings: Vec<Finding>,
    json: bool,
}

impl Told {
    fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        let findings: Vec<Finding> = findings.into_iter().collect();
        if !self.json {
            show(&findings);
        }
        self.findings.extend(findings);
    }
}

/// Who is asked; `None`: nobody is named, and the edge cannot say where it listens.
fn asked(arguments: &Arguments, config: Option<&Value>) -> anyhow::Result<Option<Asked>> {
    let parse = |url: &Option<String>, name: &'static str| {
        url.as_deref().map(Place::parse).transpose().context(name)
    };
    let front = parse(&arguments.url, "--url")?;
    let sentry = parse(&arguments.sentry, "--sentry")?;
    let (project, key) = match &arguments.dsn {
        Some(text) => {
            let dsn = dsn::parse(text).context("--dsn")?;
            (dsn.project.get(), dsn.key.as_str().to_owned())
        }
        None => (1, NOBODYS_KEY.to_owned()),
    };
    let own = place::of_edge(&arguments.address).ok();
    let Some(place) = front.or_else(|| own.clone()) else {
        return Ok(None);
    };
    let web = config.and_then(|config| config.pointer("/upstream/web/0")?.as_str());
    Ok(Some(Asked {
        place,
        own,
        behind: sentry.or_else(|| web.and_then(|url| Place::parse(url).ok())),
        authorities: arguments.authorities.clone(),
        path: format!("/api/0/organizations/{}/chunk-upload/", arguments.org),
        ingest_path: format!("/api/{project}/envelope/?sentry_version=7&sentry_key={key}"),
        up_to: arguments.up_to,
        pause: arguments.pause,
    }))
}

/// What Sentry tells uploaders, or what it usually does where nobody may ask.
fn settings(arguments: &Arguments, asked: &Asked, told: &mut Told) -> Announced {
    let Some(token) = &arguments.sentry_token else {
        told.add([Finding::warn("where Sentry has chunks sent was not asked")
            .why("that takes a token; its usual sizes are taken for granted")
            .mend("give one that may upload, with --sentry-token or SENTRY_AUTH_TOKEN")]);
        return Announced::usual();
    };
    let host = &asked.place.authority;
    let announced = match announced::ask(asked, &asked.place, host, token) {
        Ok(announced) => announced,
        Err(error) => {
            told.add([Finding::problem(format!("{error:#}"))
                .why("an uploader asks this first, and ends here")]);
            return Announced::usual();
        }
    };
    let behind = asked
        .behind
        .as_ref()
        .map(|web| announced::ask(asked, web, host, token));
    let directly = behind.as_ref().and_then(|behind| behind.as_ref().ok());
    told.add([announced::address(&asked.place, &announced, directly)]);
    match behind {
        Some(Err(error)) => told.add([Finding::warn(format!("web itself: {error:#}"))
            .why("so what it says cannot be held against what arrives here")
            .mend("from where it can be reached, name it with --sentry")]),
        Some(Ok(behind)) if sizes(&behind) != sizes(&announced) => {
            told.add([
                Finding::problem("web itself announces other sizes than arrive here")
                    .why("something in front of it changes its answers, or it is another Sentry"),
            ])
        }
        Some(Ok(_)) | None => {}
    }
    announced
}

fn sizes(announced: &Announced) -> (u64, u64, u64) {
    let Announced {
        chunk_size,
        max_request_size,
        concurrency,
        ..
    } = announced;
    (*chunk_size, *max_request_size, *concurrency)
}

/// What the edge's configuration says.
fn room(config: &Value, edge: &admin::Address) -> Option<Room> {
    let size = |path: &str| config.pointer(path)?.as_str().and_then(units::size);
    let folder = config
        .pointer("/upstream/web_read_ahead/path")
        .and_then(Value::as_str);
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    let here = edge.ip().is_loopback();
    let free = here.then(|| free(&folder)).flatten();
    Some(Room {
        bodies: size("/limits/bodies/upload")?,
        ahead_in_memory: size("/upstream/web_read_ahead/request")?,
        ahead_on_disk: size("/upstream/web_read_ahead/disk")?,
        free: free.map(|free| (folder, free)),
    })
}

fn free(folder: &std::path::Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}
