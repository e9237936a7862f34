//! Whether the edge reaches relay and web: names, ports, networks.

use super::service::Service;
use super::{Edge, Finding};
use crate::config::UpstreamUrl;

/// Where self-hosted's services listen, which its file does not say.
const PORTS: [(&str, u16); 2] = [("relay", 3000), ("web", 9000)];

/// How an override is given that does not lie beside its file.
const OVER: &str = "vidette doctor compose docker-compose.yml -f docker-compose.override.yml";

pub(super) fn of(edge: &Edge<'_>, services: &[Service<'_>]) -> Vec<Finding> {
    let upstream = &edge.config.upstream;
    let mut findings = Vec::new();
    // Without web of its own, ingest takes all: one finding is enough.
    let web = if upstream.web == upstream.ingest {
        &[][..]
    } else {
        &upstream.web
    };
    for (key, urls) in [("ingest", &*upstream.ingest), ("web", web)] {
        for url in urls {
            findings.push(server(edge, services, key, url));
        }
    }
    if upstream.web == upstream.ingest && services.iter().any(|service| service.name == "web") {
        findings.push(
            Finding::warn(format!(
                "{}: pages and the API go where events go, and there is a service web",
                edge.service.place("environment")
            ))
            .why("Relay passes them on, but holds each body whole, up to 100 MiB of an upload")
            .mend("name it in the environment:")
            .paste("VIDETTE_UPSTREAM_WEB: http://web:9000"),
        );
    }
    findings
}

fn server(edge: &Edge<'_>, services: &[Service<'_>], key: &str, url: &UpstreamUrl) -> Finding {
    let place = format!("{}: upstream.{key}", edge.service.place("environment"));
    let host = url.host.as_str();
    let variable = format!("VIDETTE_UPSTREAM_{}", key.to_ascii_uppercase());
    if host == "localhost"
        || host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    {
        return Finding::problem(format!("{place} is {url}, the edge's own container"))
            .mend("name the service:")
            .paste(format!("{variable}: {}", usual(key)));
    }
    let Some(theirs) = services.iter().find(|service| service.answers_to(host)) else {
        // A name with a dot may be anywhere.
        if host.contains(['.', ':']) {
            return Finding::ok(format!("{place} is {url}, which is none of these services"));
        }
        return nobody(&place, services, key, url);
    };
    if theirs.name == edge.service.name {
        return Finding::problem(format!("{place} is {url}, the edge itself"))
            .why("each request would come round again")
            .paste(format!("{variable}: {}", usual(key)));
    }
    if let Some((_, port)) = PORTS
        .iter()
        .find(|(name, port)| *name == theirs.name && *port != url.port)
    {
        return Finding::problem(format!(
            "{place} is {url}, and {} listens on {port}",
            theirs.name
        ))
        .paste(format!("{variable}: http://{host}:{port}"));
    }
    if edge.service.text("network_mode") == Some("host") {
        return Finding::problem(format!(
            "{place} is {url}, which the host's network does not know"
        ))
        .why("names of services resolve in their own networks only")
        .mend("take network_mode out, or publish relay's and web's ports on loopback");
    }
    let (ours, networks) = (edge.service.networks(), theirs.networks());
    if ours.is_disjoint(&networks) {
        let listed = |set: &std::collections::BTreeSet<String>| {
            set.iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        };
        return Finding::problem(format!(
            "{}: {} is in network {}, and {} in {}",
            edge.service.place("networks"),
            edge.service.name,
            listed(&ours),
            theirs.name,
            listed(&networks)
        ))
        .why("so it is not found from there")
        .mend("put the edge into that network too:")
        .paste(format!(
            "networks: [{}]",
            listed(&ours.union(&networks).cloned().collect())
        ));
    }
    Finding::ok(format!("{place} is {url}, a service in the same network"))
}

/// What is said where no service has the upstream's name.
fn nobody(place: &str, services: &[Service<'_>], key: &str, url: &UpstreamUrl) -> Finding {
    let found = Finding::problem(format!("{place} is {url}, and no service is called so"));
    let names: Vec<&str> = services.iter().map(|service| service.name).collect();
    // Self-hosted has them all: these files are not all of it.
    if !PORTS.iter().any(|(name, _)| names.contains(name)) {
        return found
            .why("neither relay nor web is in these files: an override alone is no Sentry")
            .mend("give the file that it lies over, and it behind -f:")
            .paste(OVER);
    }
    found
        .why("the edge finds nobody: events are kept, and pages fail")
        .mend(format!("it may be one of {}:", names.join(", ")))
        .paste(format!(
            "VIDETTE_UPSTREAM_{}: {}",
            key.to_ascii_uppercase(),
            usual(key)
        ))
}

fn usual(key: &str) -> &'static str {
    match key {
        "web" => "http://web:9000",
        _ => "http://relay:3000",
    }
}
