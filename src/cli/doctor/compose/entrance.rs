//! Whether clients reach the edge, and as themselves: ports, what else holds them, and whose
//! address the edge sees.

use std::net::IpAddr;

use super::service::{Port, Service};
use super::{Edge, Finding};

/// An address of docker's first networks, from which its own proxy and the host connect.
const GATEWAY: &str = "172.18.0.1";

pub(super) fn of(edge: &Edge<'_>, services: &[Service<'_>]) -> Vec<Finding> {
    let ports = edge.service.ports();
    let mut findings: Vec<Finding> = nginx(edge, services).collect();
    if edge.service.text("network_mode") == Some("host") {
        let seen = format!(
            "{} has the host's own network",
            edge.service.place("network_mode")
        );
        findings.push(Finding::ok(seen));
        return findings;
    }
    if ports.is_empty() {
        findings.push(unpublished(edge));
    }
    let wrong: Vec<Finding> = ports.iter().flat_map(|port| of_port(edge, port)).collect();
    findings.extend(clashes(edge, &ports, services));
    if wrong.is_empty() {
        findings.extend(ports.iter().map(|port| {
            let Port { place, written, .. } = port;
            let name = edge.service.name;
            Finding::ok(format!("{place}: service {name} is reached at {written}"))
        }));
    }
    findings.extend(wrong);
    findings
}

/// Whether a service is self-hosted's nginx, or another's.
pub(super) fn is_nginx(service: &Service<'_>) -> bool {
    let image = service.text("image").unwrap_or_default();
    let image = image.rsplit('/').next().unwrap_or_default();
    service.name == "nginx" || image.split(':').next() == Some("nginx")
}

/// An nginx that goes on taking what the edge should.
fn nginx<'s>(
    edge: &'s Edge<'_>,
    services: &'s [Service<'_>],
) -> impl Iterator<Item = Finding> + 's {
    let others = services
        .iter()
        .filter(|service| service.name != edge.service.name);
    let nginx = others.filter(|service| is_nginx(service));
    nginx
        .filter(|nginx| !nginx.ports().is_empty())
        .map(|nginx| {
            let seen = format!(
                "{} is nginx, and still publishes a port",
                nginx.place("ports")
            );
            Finding::problem(seen)
                .why("who sends there goes round the edge")
                .mend("let vidette be that service, as config/compose does, or reset its ports:")
                .paste("ports: !reset []")
        })
}

fn unpublished(edge: &Edge<'_>) -> Finding {
    Finding::problem(format!("{} publishes no port", edge.service.place("ports")))
        .why("nobody outside its network reaches it")
        .mend("publish one of those that it listens on, such as")
        .paste(format!(
            "ports: [\"9000:{}\"]",
            listening(edge).unwrap_or(9000)
        ))
}

fn listening(edge: &Edge<'_>) -> Option<u16> {
    let listener = edge.config.listen.public.first()?;
    Some(listener.address.port())
}

/// What is wrong with one port.
fn of_port(edge: &Edge<'_>, port: &Port) -> Vec<Finding> {
    let Port { place, written, .. } = port;
    let place = format!("{place}: service {}", edge.service.name);
    let Some(target) = port.target else {
        return vec![Finding::problem(format!(
            "{place}: {written} names no port of the container"
        ))];
    };
    let mut findings = Vec::new();
    let config = &edge.config;
    let open = config
        .listen
        .public
        .iter()
        .find(|open| open.address.port() == target);
    match open {
        Some(open) if open.address.ip().is_loopback() => findings.push(
            Finding::problem(format!("{place} listens on {}", open.address))
                .why("inside a container that is the container alone")
                .mend("listen everywhere:")
                .paste(format!("VIDETTE_LISTEN_PUBLIC: \"0.0.0.0:{target}\"")),
        ),
        Some(_) => {}
        None if config.listen.admin.port() == target => findings.extend(admin(edge, port, &place)),
        None => findings.push(
            Finding::problem(format!(
                "{place}: {written} leads to a port that vidette does not listen on"
            ))
            .why("clients are refused as if nobody was there")
            .mend("listen there, in its environment:")
            .paste(format!("VIDETTE_LISTEN_PUBLIC: \"0.0.0.0:{target}\"")),
        ),
    }
    if port.published.is_none() {
        findings.push(
            Finding::problem(format!("{place}: {written} names no port of the host"))
                .why("a variable in it may be unset, such as SENTRY_BIND, and each start has another port")
                .mend("set it in .env:")
                .paste("SENTRY_BIND=9000"),
        );
    }
    findings.extend(whose_address(edge, port, &place));
    findings
}

/// The admin side, given to the world.
fn admin(edge: &Edge<'_>, port: &Port, place: &str) -> Option<Finding> {
    let inside = port.ip.is_some_and(|ip| ip.is_loopback());
    let admin = &edge.config.admin;
    let guarded = admin.token.is_some() || admin.token_file.is_some();
    (!inside && !guarded).then(|| {
        Finding::warn(format!(
            "{place} publishes its admin address without a token"
        ))
        .why("health and metrics are for everybody, and the rest is for nobody")
        .mend("publish it on loopback, and set admin.token_file")
    })
}

/// Whether clients keep their address on the way into the container.
fn whose_address(edge: &Edge<'_>, port: &Port, place: &str) -> Option<Finding> {
    let hops = edge.config.client_ip.trusted_proxies.hops();
    let believes = GATEWAY.parse().is_ok_and(|gateway| hops.contains(gateway));
    let written = &port.written;
    match port.ip {
        // Whoever is in front on this host comes from the network's gateway.
        Some(ip) if ip.is_loopback() && !believes => Some(
            Finding::problem(format!("{place}: {written} is for a proxy on this host, whom vidette does not believe"))
                .why("it connects from docker's gateway, and all visitors have that address")
                .mend("believe docker's networks:")
                .paste("VIDETTE_CLIENT_IP_TRUSTED_PROXIES: docker"),
        ),
        Some(IpAddr::V6(ip)) if !ip.is_loopback() && !has_ipv6(edge) => Some(
            Finding::problem(format!("{place}: {written} takes IPv6, and its network has none"))
                .why("docker's own proxy connects in its clients' place, and all have the gateway's address")
                .mend("give the network IPv6:")
                .paste("networks: {default: {enable_ipv6: true}}"),
        ),
        Some(_) | None => None,
    }
}

fn has_ipv6(edge: &Edge<'_>) -> bool {
    let networks = edge.networks.iter();
    let mut own = networks.filter(|(name, _)| edge.service.networks().contains(name));
    own.any(|(_, network)| network.get("enable_ipv6").and_then(super::Node::text) == Some("true"))
}

/// Ports of the host that two services want.
fn clashes(edge: &Edge<'_>, ports: &[Port], services: &[Service<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for other in services
        .iter()
        .filter(|service| service.name != edge.service.name)
    {
        for theirs in other.ports() {
            let same = ports.iter().find(|ours| {
                let any = |ip: Option<IpAddr>| ip.is_none_or(|ip| ip.is_unspecified());
                let meet = ours.ip == theirs.ip || any(ours.ip) || any(theirs.ip);
                ours.published.is_some() && ours.published == theirs.published && meet
            });
            let Some(ours) = same else { continue };
            findings.push(
                Finding::problem(format!(
                    "{}: service {} wants the port of the host that {} has: {} and {}",
                    theirs.place, other.name, edge.service.name, theirs.written, ours.written
                ))
                .why("whichever starts second does not start")
                .mend("give one of them another, or none"),
            );
        }
    }
    findings
}
