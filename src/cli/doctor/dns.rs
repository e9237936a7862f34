//! `vidette doctor dns`: upstreams that cannot be found, or not where the edge looks.
//!
//! Owns what is said of each. Asks the system's resolver where it runs, which is not where the
//! edge does if that is in a container: what differs is said so.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::super::place::Place;
use super::super::{admin, fail, say};
use super::{Finding, exit_code, show};

/// How long an address may take to answer a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// What `doctor dns` takes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    address: admin::Address,
    /// The findings as JSON.
    #[arg(long)]
    json: bool,
}

/// The part of the configuration that names upstreams.
#[derive(Debug, Deserialize)]
struct Config {
    upstream: Urls,
}

#[derive(Debug, Deserialize)]
struct Urls {
    ingest: Vec<String>,
    #[serde(default)]
    web: Vec<String>,
}

/// Where the edge looks for them.
#[derive(Debug, Deserialize)]
struct Status {
    upstreams: Vec<Upstream>,
}

#[derive(Debug, Deserialize)]
struct Upstream {
    name: String,
    addresses: Vec<SocketAddr>,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let findings = match look(&arguments.address) {
        Ok(findings) => findings,
        Err(error) => return fail(&error),
    };
    if arguments.json {
        say(&json!({"findings": findings}).to_string());
    } else {
        show(&findings);
    }
    exit_code(&findings)
}

fn look(edge: &admin::Address) -> anyhow::Result<Vec<Finding>> {
    let config: Config = edge.ask(&Method::GET, "/api/v1/config")?.json()?;
    let status: Status = edge.ask(&Method::GET, "/api/v1/status")?.json()?;
    let mut findings = Vec::new();
    for (name, urls) in [
        ("ingest", &config.upstream.ingest),
        ("web", &config.upstream.web),
    ] {
        let used = status
            .upstreams
            .iter()
            .find(|upstream| upstream.name == name);
        let mut found = BTreeSet::new();
        for url in urls {
            let place = Place::parse(url)?;
            let resolved = place.dialled.to_socket_addrs();
            let addresses: BTreeSet<SocketAddr> = resolved.into_iter().flatten().collect();
            findings.push(named(name, &place.dialled, &addresses));
            found.extend(addresses);
        }
        if let Some(used) = used {
            findings.extend(elsewhere(name, &used.addresses, &found));
        }
    }
    Ok(findings)
}

/// Where one name leads, and who is there.
fn named(upstream: &str, dialled: &str, addresses: &BTreeSet<SocketAddr>) -> Finding {
    if addresses.is_empty() {
        return Finding::problem(format!(
            "upstream {upstream}: {dialled} does not resolve here"
        ))
        .why("where the edge finds nothing either, events are kept, and pages fail")
        .mend("is it in the edge's network? docker compose ps; getent hosts NAME");
    }
    let is_address = dialled.parse::<SocketAddr>().is_ok();
    let found = match is_address {
        true => format!("{dialled} is an address, so there is nothing to look up"),
        false => format!("{dialled} is {}", listed(addresses)),
    };
    let answers =
        |address: &&SocketAddr| TcpStream::connect_timeout(address, CONNECT_WITHIN).is_ok();
    let silent: BTreeSet<SocketAddr> = addresses
        .iter()
        .filter(|one| !answers(one))
        .copied()
        .collect();
    if silent.is_empty() {
        return Finding::ok(format!(
            "upstream {upstream}: {found}, and it takes connections"
        ));
    }
    let silent = match is_address {
        true => "there".to_owned(),
        false => format!("at {}", listed(&silent)),
    };
    Finding::problem(format!(
        "upstream {upstream}: {found}, and nobody answers {silent}"
    ))
    .mend("look whether it runs and listens on that port; from a container's host it may not be reached at all")
}

/// What the edge uses otherwise than is found here.
fn elsewhere(upstream: &str, used: &[SocketAddr], found: &BTreeSet<SocketAddr>) -> Option<Finding> {
    let used: BTreeSet<SocketAddr> = used.iter().copied().collect();
    (used != *found && !found.is_empty()).then(|| {
        let (used, found) = (listed(&used), listed(found));
        Finding::warn(format!(
            "upstream {upstream}: the edge uses {used}, and here it is {found}"
        ))
        .why("it looks again each upstream.resolve_interval, and at once when it cannot connect")
        .mend("where this stays so, the edge asks another resolver: run the doctor where it runs")
    })
}

fn listed(addresses: &BTreeSet<SocketAddr>) -> String {
    if addresses.is_empty() {
        return "none".to_owned();
    }
    let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::Mark;
    use super::*;

    fn set(addresses: &[&str]) -> BTreeSet<SocketAddr> {
        addresses.iter().map(|one| one.parse().unwrap()).collect()
    }

    #[test]
    fn a_name_that_leads_nowhere_is_a_problem() {
        let found = named("ingest", "relay:3000", &set(&[]));
        assert_eq!(found.mark, Mark::Problem);
        assert_eq!(
            found.seen,
            "upstream ingest: relay:3000 does not resolve here"
        );
    }

    #[test]
    fn an_address_where_nobody_answers_is_a_problem_and_one_that_does_is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found = named("web", "web:9000", &BTreeSet::from([address]));
        let want = format!("upstream web: web:9000 is {address}, and it takes connections");
        assert_eq!((found.mark, found.seen), (Mark::Ok, want));
        // It was said of an address that it is itself.
        let of_address = || named("web", &address.to_string(), &BTreeSet::from([address]));
        let bare = format!("upstream web: {address} is an address, so there is nothing to look up");
        let want = format!("{bare}, and it takes connections");
        assert_eq!((of_address().mark, of_address().seen), (Mark::Ok, want));
        drop(listener);
        let found = named("web", "web:9000", &BTreeSet::from([address]));
        assert_eq!(found.mark, Mark::Problem);
        assert!(found.seen.contains("nobody answers at"), "{}", found.seen);
        let want = format!("{bare}, and nobody answers there");
        assert_eq!(
            (of_address().mark, of_address().seen),
            (Mark::Problem, want)
        );
    }

    #[test]
    fn an_edge_that_looks_elsewhere_is_a_warning() {
        let one = set(&["192.0.2.1:9"]);
        assert_eq!(
            elsewhere("web", &["192.0.2.1:9".parse().unwrap()], &one),
            None
        );
        let found = elsewhere("web", &["192.0.2.2:9".parse().unwrap()], &one).unwrap();
        assert_eq!(found.mark, Mark::Warn);
        // What is said of a name that does not resolve is enough.
        assert_eq!(
            elsewhere("web", &["192.0.2.2:9".parse().unwrap()], &set(&[])),
            None
        );
    }
}
