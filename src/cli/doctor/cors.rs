//! `vidette doctor cors`: what a browser is answered when its page reports.
//!
//! Owns the order of the questions: the address that browsers use, the edge's
//! own listener beside it, and the project's list of origins. Never stores an
//! event: the one that it sends is empty, and refused for that.

mod admitting;
mod faults;
mod probe;

use std::process::ExitCode;

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};

use super::super::place::{self, Authorities, Place};
use super::super::{admin, explain, fail, misused, plain, say};
use super::{Finding, exit_code, show};
use crate::domain::credentials::Key;
use crate::domain::dsn;
use crate::domain::origin::Origin;
use admitting::Mend;
use faults::Fault;
use probe::{Ask, Probe};

/// The page whose reports are tried where none is named; nobody's, by RFC 2606.
const SOME_ORIGIN: &str = "https://example.com";

/// A key of the right form that nobody has.
const NOBODYS_KEY: &str = "00000000000000000000000000000000";

/// What `doctor cors` takes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Where browsers send to, through every proxy; else the edge's own first listener.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The page's origin, as the browser's address bar has it.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// The page's DSN, for its project and key; its host is not asked.
    #[arg(long, value_name = "DSN")]
    dsn: Option<String>,
    #[command(flatten)]
    authorities: Authorities,
    #[command(flatten)]
    address: admin::Address,
    /// The findings as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let (probe, front) = match read(arguments) {
        Ok(read) => read,
        Err(error) => return misused(&error),
    };
    let own = place::of_edge(&arguments.address);
    let (asked, mut findings) = match (front, own) {
        (Some(front), own) => {
            let findings = through(&probe, &front, own);
            (front, findings)
        }
        (None, Ok(own)) => {
            let findings = direct(&probe, &own);
            (own, findings)
        }
        (None, Err(error)) => return fail(&error),
    };
    findings.push(admission(arguments, &probe, &asked));
    if arguments.json {
        let told = json!({
            "url": asked.to_string(),
            "origin": probe.origin,
            "findings": findings,
        });
        say(&told.to_string());
    } else {
        say(&format!("asked {asked} as a page of {}", probe.origin));
        show(&findings);
    }
    exit_code(&findings)
}

/// What to send, and the front to send it to where one is named.
fn read(arguments: &Arguments) -> anyhow::Result<(Probe, Option<Place>)> {
    let (project, key) = match &arguments.dsn {
        Some(text) => {
            let dsn = dsn::parse(text).context("--dsn")?;
            (dsn.project.get(), dsn.key)
        }
        None => {
            let key = Key::parse(NOBODYS_KEY.as_bytes()).context("no key")?;
            (1, key)
        }
    };
    let written = arguments.origin.as_deref().unwrap_or(SOME_ORIGIN);
    let origin = Origin::of_request(Some(written.as_bytes()), None)
        .context("--origin takes what a browser sends, such as https://shop.example.com")?
        .to_string();
    let probe = Probe {
        project,
        path: format!(
            "/api/{project}/envelope/?sentry_version=7&sentry_key={}",
            key.as_str()
        ),
        origin,
        authorities: arguments.authorities.clone(),
    };
    let front = arguments.url.as_deref().map(Place::parse).transpose();
    Ok((probe, front.context("--url")?))
}

/// What is found at the edge's own listener.
fn direct(probe: &Probe, own: &Place) -> Vec<Finding> {
    let each = Ask::BOTH.map(|ask| match probe.send(ask, own) {
        Ok(answer) => {
            let faults = faults::of(ask, &answer, &probe.origin);
            found(ask, &answer, faults, |_| "the edge answers so itself")
        }
        Err(error) => vec![
            Finding::problem(format!("{}: {error:#}", ask.name()))
                .why("the edge says that it listens there, and is not to be reached from here")
                .mend("name the address that browsers use with --url"),
        ],
    });
    each.into_iter().flatten().collect()
}

/// What is found at the address that browsers use, beside what the edge answers.
fn through(probe: &Probe, front: &Place, own: anyhow::Result<Place>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ask in Ask::BOTH {
        let seen = match probe.send(ask, front) {
            Ok(seen) => seen,
            Err(error) => {
                findings.push(
                    Finding::problem(format!("{}: {error:#}", ask.name()))
                        .why("a browser gets no answer either")
                        .mend("see whether something listens there, and whether a firewall stands between"),
                );
                continue;
            }
        };
        let of_edge = own.as_ref().ok().and_then(|own| probe.send(ask, own).ok());
        let faults_of_edge = of_edge.map(|answer| faults::of(ask, &answer, &probe.origin));
        let whose = |fault: &Fault| match &faults_of_edge {
            None => "the edge's own answer could not be had beside it",
            Some(same) if same.iter().any(|same| same.kind == fault.kind) => {
                "the edge itself answers the same"
            }
            Some(_) => "the edge itself answers well, so whatever stands in front of it does this",
        };
        findings.extend(found(
            ask,
            &seen,
            faults::of(ask, &seen, &probe.origin),
            whose,
        ));
    }
    if let Err(error) = own {
        findings.push(
            Finding::warn(format!(
                "no comparison with the edge's own answer: {error:#}"
            ))
            .why("whether a fault lies in front of the edge or in it stays open"),
        );
    }
    findings
}

/// The faults of one answer as findings, or that there are none.
fn found<'w>(
    ask: Ask,
    answer: &probe::Answer,
    faults: Vec<Fault>,
    whose: impl Fn(&Fault) -> &'w str,
) -> Vec<Finding> {
    if faults.is_empty() {
        let right = match ask {
            Ask::Preflight => "",
            // Who reads a 4xx beside "ok" would look for what is wrong.
            Ask::Report => ", which is right for the empty event that was sent",
        };
        return vec![Finding::ok(format!(
            "{}: {}{right}, and a browser hands it to the page",
            ask.name(),
            answer.status.as_u16()
        ))];
    }
    let faults = faults.into_iter();
    faults
        .map(|fault| {
            Finding::new(
                fault.mark,
                format!("{}: {}; {}", ask.name(), fault.seen, whose(&fault)),
            )
            .why(fault.why)
            .mend(fault.mend)
        })
        .collect()
}

/// Whether the project takes events from pages of this origin, as the edge explains it.
fn admission(arguments: &Arguments, probe: &Probe, asked: &Place) -> Finding {
    let headers = probe.headers(Ask::Report);
    let headers: Vec<(&str, &str)> = [("host", &*asked.authority)]
        .into_iter()
        .chain(headers.iter().map(|(name, value)| (*name, &**value)))
        .collect();
    let question: Value = json!({
        "method": Method::POST.as_str(),
        "path": probe.path,
        "headers": headers,
        "peer": "127.0.0.1",
        "body_base64": "",
    });
    let answer = arguments.address.post(explain::PATH, &question);
    match answer.and_then(|answer| explain::read(&answer)) {
        Ok(explained) => {
            let named = arguments.origin.is_some();
            judged(&explained, named, &probe.origin, || {
                admitting::ask(&arguments.address, probe)
            })
        }
        Err(error) => Finding::warn(format!(
            "whether the project admits {} is not known: {error:#}",
            probe.origin
        )),
    }
}

/// What the explanation says of the origin; `mend` is asked for what would admit it.
fn judged(
    explained: &explain::Explained,
    is_named: bool,
    origin: &str,
    mend: impl FnOnce() -> anyhow::Result<Mend>,
) -> Finding {
    let origin = plain(origin);
    let reason = explained.reason.as_deref().unwrap_or_default();
    let reached = explained.steps.iter().any(|step| step.step == "origin");
    let goes_on = explained.verdict != explain::Verdict::Refused;
    if reason == "origin" {
        let text = format!("the project's allowed_origins do not admit {origin}");
        if !is_named {
            return Finding::warn(text)
                .why("that is only this command's own choice of a page")
                .mend("name your page's origin with --origin");
        }
        let found = Finding::problem(text).why("every event of that page is refused with 403");
        return match mend() {
            Ok(Mend { place, line }) => found.mend(place).paste(line),
            Err(error) => found.mend(format!(
                "add it to the project's allowed_origins, or to those of defaults where the \
                 project has none ({error:#})"
            )),
        };
    }
    // The origin is looked at by the head; that the body is empty shows only behind it.
    if reached || goes_on || reason == "empty" {
        return Finding::ok(format!("the project's allowed_origins admit {origin}"));
    }
    Finding::warn(format!(
        "the edge refuses before it looks at the origin: {}",
        plain(reason)
    ))
    .why("so whether allowed_origins admit the page cannot be seen")
    .mend("name the page's DSN with --dsn; its project and key are what an event is judged by")
}

#[cfg(test)]
mod tests;
