//! `vidette explain`: what a running edge would do with a request, step by step.
//!
//! Owns how a request is written on a command line and how the answer reads.
//! Never sends the request itself: the edge walks it through its checks, and
//! nothing is forwarded, counted or charged.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::{self, Answer};
use super::{fail, misused, plain, say};

/// The largest body that is explained: the edge holds it whole, and no event is longer.
const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What `explain` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The method; GET, or POST when there is a body.
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<String>,
    /// A header, as often as there are headers.
    #[arg(short = 'H', long = "header", value_name = "N: v")]
    headers: Vec<String>,
    /// The address that the connection comes from: the nearest proxy's, if there is one.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    from: IpAddr,
    /// A file with the body, `-` for standard input; at most 16 MiB.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Path and query, or a whole URL as a browser's network tab shows it.
    #[arg(value_name = "PATH")]
    path: String,
    #[command(flatten)]
    address: admin::Address,
    /// The admin's answer unchanged.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let question = match question(arguments) {
        Ok(question) => question,
        Err(error) => return misused(&error),
    };
    let answer = match arguments.address.post(PATH, &question) {
        Ok(answer) => answer,
        Err(error) => return fail(&error),
    };
    if answer.status == http::StatusCode::BAD_REQUEST {
        return misused(&anyhow::anyhow!("this is no request: {}", answer.fault()));
    }
    match read(&answer) {
        Ok(explained) => {
            if arguments.json {
                say(&answer.body);
            } else {
                for line in explained.lines() {
                    say(&line);
                }
            }
            explained.exit_code()
        }
        Err(error) => fail(&error),
    }
}

/// Where the edge explains.
pub(super) const PATH: &str = "/api/v1/explain";

/// A request that was walked through the edge's checks.
#[derive(Debug, Deserialize)]
pub(super) struct Explained {
    pub(super) steps: Vec<Step>,
    pub(super) verdict: Verdict,
    /// `head` where the body was not given and decides, too.
    #[serde(default)]
    pub(super) judged: Option<String>,
    /// Its items, where they were looked at. An edge of an earlier version does not say.
    #[serde(default)]
    items: Option<Items>,
    /// What the edge itself would answer; absent where the upstream does.
    pub(super) status: Option<u16>,
    /// Why it is refused.
    pub(super) reason: Option<String>,
}

/// How many items there are, and how many would stay here.
#[derive(Debug, Deserialize)]
struct Items {
    found: u64,
    dropped: u64,
}

/// One check, and what came of it.
#[derive(Debug, Deserialize)]
pub(super) struct Step {
    pub(super) step: String,
    pub(super) result: String,
    #[serde(default)]
    pub(super) why: Option<String>,
}

/// How the request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Forwarded,
    Spooled,
    Refused,
    Local,
}

/// What the edge's answer says.
pub(super) fn read(answer: &Answer) -> anyhow::Result<Explained> {
    answer.json()
}

impl Explained {
    /// A line a step with its reason below, all results in one column; the verdict is the last.
    fn lines(&self) -> Vec<String> {
        const VERDICT: &str = "verdict";
        let names = self.steps.iter().map(|step| step.step.chars().count());
        let width = names.chain([VERDICT.len()]).max().unwrap_or_default();
        let mut lines = Vec::with_capacity(2 * self.steps.len() + 1);
        for step in &self.steps {
            lines.push(format!(
                "{:width$}  {}",
                plain(&step.step),
                plain(&step.result)
            ));
            if let Some(why) = step.why.as_deref().filter(|why| !why.is_empty()) {
                lines.push(format!("{:width$}    {}", "", plain(why)));
            }
        }
        lines.push(format!("{VERDICT:width$}  {}", self.ending()));
        lines
    }

    fn ending(&self) -> String {
        // What stays here is no part of what goes.
        let without = match &self.items {
            Some(items) if items.dropped > 0 => {
                format!(" without {} of {} items", items.dropped, items.found)
            }
            Some(_) | None => String::new(),
        };
        let word = match self.verdict {
            Verdict::Forwarded if self.judged.as_deref() == Some("head") => {
                "forwarded as far as its head tells; its items were not looked at: give them with --body FILE".to_owned()
            }
            Verdict::Forwarded => format!("forwarded{without}"),
            Verdict::Spooled => format!("kept{without}, and sent once the upstream takes it"),
            Verdict::Refused => "refused".to_owned(),
            Verdict::Local => "answered by the edge itself".to_owned(),
        };
        let status = self.status.map(|status| format!(" with {status}"));
        let reason = self
            .reason
            .as_deref()
            .map(|reason| format!(": {}", plain(reason)));
        format!(
            "{word}{}{}",
            status.unwrap_or_default(),
            reason.unwrap_or_default()
        )
    }

    fn exit_code(&self) -> ExitCode {
        let well = match self.verdict {
            Verdict::Forwarded | Verdict::Spooled => true,
            Verdict::Refused => false,
            Verdict::Local => self.status.is_none_or(|status| status < 400),
        };
        if well {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// What the edge is asked.
fn question(arguments: &Arguments) -> anyhow::Result<Value> {
    let (path, host) = located(&arguments.path)?;
    let body = match &arguments.body {
        Some(file) => Some(body(file)?),
        None => None,
    };
    let method = match (&arguments.method, &body) {
        (Some(method), _) => method.as_str(),
        (None, Some(_)) => "POST",
        (None, None) => "GET",
    };
    Method::from_bytes(method.as_bytes()).context("-X takes a method such as POST")?;
    let mut headers = Vec::with_capacity(arguments.headers.len() + 1);
    for written in &arguments.headers {
        headers.push(header(written)?);
    }
    let named = headers.iter().any(|(name, _)| name == HOST);
    if let Some(host) = host.filter(|_| !named) {
        headers.push((HOST, host));
    }
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    Ok(json!({
        "method": method,
        "path": path,
        "headers": headers,
        "peer": arguments.from,
        "body_base64": STANDARD.encode(body.unwrap_or_default()),
    }))
}

/// Path and query, and the host of a whole URL. What a browser keeps to itself is cut.
fn located(written: &str) -> anyhow::Result<(String, Option<String>)> {
    let sent = written.split('#').next().unwrap_or_default();
    if sent.starts_with('/') {
        return Ok((sent.to_owned(), None));
    }
    let rest = match sent.split_once("://") {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            rest
        }
        Some(_) | None => bail!("PATH begins with a slash, or with http:// or https://"),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_userinfo, host)| host);
    if host.is_empty() {
        bail!("the URL names no host");
    }
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok((path, Some(host.to_owned())))
}

/// `Name: value`, as curl's `-H` takes it.
fn header(written: &str) -> anyhow::Result<(HeaderName, String)> {
    let (name, value) = written
        .split_once(':')
        .context("-H takes a name, a colon and a value")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .context("what stands before the colon of -H is no header's name")?;
    let value = value.trim();
    HeaderValue::from_str(value).context("what stands behind the colon of -H is no value")?;
    Ok((name, value.to_owned()))
}

fn body(file: &Path) -> anyhow::Result<Vec<u8>> {
    let name = file.display();
    let reader: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(file).with_context(|| format!("{name} cannot be opened"))?)
    };
    let mut bytes = Vec::new();
    reader
        .take(BODY_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{name} cannot be read"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > BODY_BYTES_MAX {
        bail!("{name} is longer than the 16 MiB that can be explained");
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
