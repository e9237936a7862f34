//! `vidette doctor tls`: certificates that clients refuse, or soon will.
//!
//! Owns what is said of each; the running edge knows its own, and a front is asked by a
//! handshake alone.

use std::process::ExitCode;

use anyhow::Context as _;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::super::place::{Authorities, Place};
use super::super::{admin, fail, misused, say};
use super::{Finding, exit_code, show};
use crate::domain::dsn::Scheme;
use crate::domain::reach::ReachFault;

/// Days below which the end of a certificate is near.
const NEAR_DAYS: i64 = 14;

/// What `doctor tls` takes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Where clients connect to, through every proxy, such as `https://sentry.example.com`.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    authorities: Authorities,
    #[command(flatten)]
    address: admin::Address,
    /// The findings as JSON.
    #[arg(long)]
    json: bool,
}

/// The part of the edge's status that is about TLS.
#[derive(Debug, Deserialize)]
struct Status {
    certificates: Vec<Certificate>,
    upstreams: Vec<Upstream>,
}

#[derive(Debug, Deserialize)]
struct Certificate {
    listener: String,
    names: Vec<String>,
    days_left: i64,
}

#[derive(Debug, Deserialize)]
struct Upstream {
    name: String,
    #[serde(default)]
    tls_failing: Vec<Failing>,
}

#[derive(Debug, Deserialize)]
struct Failing {
    server: String,
    cause: String,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let front = match arguments.url.as_deref().map(front).transpose() {
        Ok(front) => front,
        Err(error) => return misused(&error.context("--url")),
    };
    let status = arguments.address.ask(&Method::GET, "/api/v1/status");
    let mut findings = match status.and_then(|status| status.json::<Status>()) {
        Ok(status) => own(&status),
        // Whoever names a front can be told of that alone.
        Err(error) if front.is_some() => vec![Finding::warn(format!("{error:#}"))],
        Err(error) => return fail(&error),
    };
    if let Some(front) = &front {
        findings.push(match front.reach(&arguments.authorities) {
            Ok(Ok(())) => Finding::ok(format!("{front}: its certificate holds")),
            Ok(Err(fault)) => refused(front, fault),
            Err(error) => Finding::problem(format!("{front}: {error:#}")),
        });
    }
    if arguments.json {
        say(&json!({"findings": findings}).to_string());
    } else {
        show(&findings);
    }
    exit_code(&findings)
}

fn front(url: &str) -> anyhow::Result<Place> {
    let place = Place::parse(url)?;
    let sealed = place.scheme == Scheme::Https;
    sealed.then_some(place).context("it begins with https://")
}

/// What the edge says of itself.
fn own(status: &Status) -> Vec<Finding> {
    let mut findings: Vec<Finding> = status.certificates.iter().map(shown).collect();
    if findings.is_empty() {
        let seen = "no listener speaks TLS itself: whatever stands in front does, or nobody";
        findings.push(Finding::ok(seen));
    }
    for upstream in &status.upstreams {
        for failing in &upstream.tls_failing {
            let (name, server) = (&upstream.name, &failing.server);
            let seen = format!(
                "upstream {name}: TLS with {server} fails: {}",
                failing.cause
            );
            findings.push(
                Finding::problem(seen)
                    .mend("a private authority goes into upstream.tls.ca; the log says more"),
            );
        }
    }
    findings
}

fn shown(certificate: &Certificate) -> Finding {
    let days = certificate.days_left;
    let whose = format!(
        "listener {}: {}",
        certificate.listener,
        certificate.names.join(", ")
    );
    if days < 0 {
        Finding::problem(format!("{whose}: expired"))
            .why("clients refuse it, and their events are lost")
            .mend("put the new files in their place: they are taken up by themselves")
    } else if days < NEAR_DAYS {
        Finding::warn(format!("{whose}: {days} days left"))
            .mend("renew it; with acme, vidette status says why that has not happened")
    } else {
        Finding::ok(format!("{whose}: {days} days left"))
    }
}

/// Why a client refuses what it is shown there.
fn refused(front: &Place, fault: ReachFault) -> Finding {
    let found = Finding::problem(format!("{front}: {fault}"))
        .why("an SDK refuses it too, and says so in its debug log alone");
    let mend = match fault {
        ReachFault::NotTls => "that port speaks in the clear: name the one of TLS",
        ReachFault::UnknownAuthority => {
            "serve the whole chain (fullchain.pem), intermediates too; of a private authority \
             name its file with --ca here, and give it to the SDKs (SSL_CERT_FILE)"
        }
        ReachFault::WrongName => "use one of its names in DSNs, or a certificate for this one",
        ReachFault::Expired => "renew it, and look whether what ends TLS has taken it up",
        ReachFault::Early => "look at the clocks, here and there",
        ReachFault::Closed | ReachFault::Timeout => {
            "look whether something listens there, and what its log says"
        }
        ReachFault::NoVersion
        | ReachFault::NoCipher
        | ReachFault::NoProtocol
        | ReachFault::BadCertificate
        | ReachFault::NoClientCertificate
        | ReachFault::ClientCertificateRefused
        | ReachFault::Alert
        | ReachFault::Malformed
        | ReachFault::Unready => return found,
    };
    found.mend(mend)
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::*;

    #[track_caller]
    fn check(status: &str, want: &[(Mark, &str)]) {
        let findings = own(&serde_json::from_str(status).unwrap());
        let got = findings.iter().map(|found| (found.mark, &*found.seen));
        assert_eq!(got.collect::<Vec<_>>(), want);
    }

    fn certificate(days: i64) -> String {
        format!(
            r#"{{"certificates":[{{"listener":"public","names":["a.example"],"days_left":{days}}}],"upstreams":[]}}"#
        )
    }

    #[test]
    fn a_certificate_near_its_end_is_a_warning_and_one_past_it_a_problem() {
        let left = |days| format!("listener public: a.example: {days} days left");
        check(&certificate(14), &[(Mark::Ok, &left(14))]);
        check(&certificate(13), &[(Mark::Warn, &left(13))]);
        check(&certificate(0), &[(Mark::Warn, &left(0))]);
        let expired = "listener public: a.example: expired";
        check(&certificate(-1), &[(Mark::Problem, expired)]);
    }

    #[test]
    fn an_upstream_with_which_tls_fails_is_a_problem() {
        let failing = r#"{"certificates":[],"upstreams":[{"name":"web","tls_failing":[{"server":"https://web:9000","cause":"expired"}]}]}"#;
        check(
            failing,
            &[
                (
                    Mark::Ok,
                    "no listener speaks TLS itself: whatever stands in front does, or nobody",
                ),
                (
                    Mark::Problem,
                    "upstream web: TLS with https://web:9000 fails: expired",
                ),
            ],
        );
    }
}
