//! What is wrong with the addresses that the edge takes for clients.
//!
//! Owns the judgement and its numbers. Never talks to anybody: a report in,
//! findings out.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::domain::client_ip::is_internal;

use super::super::{Finding, Mark};
use super::report::{Clients, MostCommon, Sighting};

/// From this share on, one address is nearly everybody.
const NEARLY_ALL: f64 = 0.9;

/// Fewer requests may well be the operator's own attempts.
const FEW: u64 = 20;

/// From one in this many on, private addresses are no longer a few employees.
const MANY_IN: u64 = 10;

/// The most peers or hops that one finding names.
const NAMED_MAX: usize = 5;

/// What else makes many visitors one.
const NAT: &str = "if no proxy is there, Docker's userland proxy or NAT hides the visitors: run \
the edge with `network_mode: host`, or set `\"userland-proxy\": false` in Docker's daemon.json";

/// Presets of networks that only balancers and CDNs speak from, and how to call them.
const FRONTS: [(&str, &str); 3] = [
    ("cloudflare", "Cloudflare's network"),
    ("gcp", "Google Cloud's load balancers"),
    (
        "aliyun",
        "100.64.0.0/10, which balancers of Alibaba and other clouds speak from",
    ),
];

/// All findings, the gravest kind of mistake first.
pub(super) fn of(clients: &Clients) -> Vec<Finding> {
    let total = clients.requests.total();
    if total == 0 {
        return vec![nobody_yet()];
    }
    let mut findings = Vec::new();
    let everybody = clients
        .most_common
        .as_ref()
        .filter(|most| most.private && most.share_at_least >= NEARLY_ALL);
    findings.extend(everybody.map(|most| one_for_all(clients, most, total)));
    findings.extend(ignored_headers(
        clients,
        everybody.and_then(MostCommon::network),
    ));
    findings.extend(fronts_as_clients(clients));
    if everybody.is_none() {
        findings.extend(nameless(clients));
        findings.extend(many_private(clients, total));
    }
    findings.extend(hidden_hops(clients, total));
    findings.extend(disagreement(clients));
    if findings.is_empty() {
        findings.push(all_well(clients, total));
    }
    findings.extend(changed_on_purpose(clients));
    findings
}

fn nobody_yet() -> Finding {
    Finding::warn("no request has come since the edge started")
        .why("there is nothing to judge yet")
        .mend(
            "send one the way your visitors come, through every proxy, and ask again; any path \
             will do",
        )
        .paste("curl -s -o /dev/null http://YOUR-SENTRY-ADDRESS/")
}

fn one_for_all(clients: &Clients, most: &MostCommon, total: u64) -> Finding {
    let net = most.network();
    let is_it = |sighting: &&Sighting| {
        let client = sighting.client_network();
        net.is_none_or(|net| client.is_some_and(|client| net.contains(&client)))
    };
    let matching: Vec<&Sighting> = clients.sightings.iter().filter(is_it).collect();
    let who = most.address.as_deref().unwrap_or("one address");
    let few = if total < FEW {
        "; so few may be your own attempts"
    } else {
        ""
    };
    let found = Finding::problem(format!(
        "at least {:.0} % of {total} requests come from {who}, which is private{few}",
        most.share_at_least * 100.0
    ))
    .why("all visitors look like one: user counts, places and limits by address mean nothing");
    let Some(sighting) = matching.first() else {
        let entry = net.map(|net| net.to_string());
        return list(
            found,
            clients,
            entry,
            format!("list the proxy there; {NAT}"),
        );
    };
    let Clients { header, .. } = clients;
    let Sighting { peer, client, .. } = sighting;
    if sighting.names_nobody() {
        return found.mend(format!("{}; {NAT}", naming(clients, sighting)));
    }
    if sighting.source == "private" {
        let mend = format!(
            "{client}, which the peer {peer} names, is a proxy or a gateway that is not in \
             trusted_proxies: list it"
        );
        return list(found, clients, sighting.client_entry(), mend);
    }
    let mend = match sighting.is_ignored() {
        true => format!(
            "the peer {peer} writes {header} and is not in trusted_proxies, so nobody reads it: \
             list it"
        ),
        false => format!(
            "the peer {peer} passes on no {header}: let that proxy write it, and list it; {NAT}"
        ),
    };
    list(found, clients, sighting.peer_entry(), mend)
}

/// How a proxy that is trusted already comes to name its visitors.
fn naming(clients: &Clients, sighting: &Sighting) -> String {
    let header = &clients.header;
    format!(
        "{} is trusted already, but names nobody in {header}: let it write its visitor's \
         address there, or set client_ip.header to the header in which it does",
        sighting.client
    )
}

/// Trusted proxies that name nobody, though not all stand for one another.
fn nameless(clients: &Clients) -> Option<Finding> {
    let sightings = clients.sightings.iter();
    let nameless: Vec<&Sighting> = sightings.filter(|seen| seen.names_nobody()).collect();
    let sample = nameless.first()?;
    // A health check names nobody either; it is not half of all requests.
    (nameless.len() * 2 >= clients.sightings.len()).then(|| {
        Finding::warn(format!(
            "{} of {} sampled requests end at a trusted proxy that names nobody, such as {}",
            nameless.len(),
            clients.sightings.len(),
            sample.client
        ))
        .why("unless it asks for itself, its address stands for every visitor behind it")
        .mend(naming(clients, sample))
    })
}

/// Peers that write the header and are not believed, but for those that a
/// finding above has named.
fn ignored_headers(clients: &Clients, named_above: Option<IpNet>) -> Option<Finding> {
    let ignored = clients
        .sightings
        .iter()
        .filter(|sighting| sighting.is_ignored());
    let is_new = |sighting: &&Sighting| {
        let net = sighting.peer_network();
        net.is_none_or(|net| !named_above.is_some_and(|above| above.contains(&net)))
    };
    let peers: BTreeMap<&str, &Sighting> = ignored
        .filter(is_new)
        .map(|sighting| (&*sighting.peer, sighting))
        .collect();
    // What stands in a network of ours is a proxy; a stranger may write what it likes.
    let (ours, strangers): (Vec<&Sighting>, Vec<&Sighting>) = peers
        .into_values()
        .partition(|sighting| peer_is_ours_or_a_front(sighting));
    let (mark, sightings) = match (ours.is_empty(), strangers.is_empty()) {
        (true, true) => return None,
        (true, false) => (Mark::Warn, strangers),
        (false, _) => (Mark::Problem, ours),
    };
    let peers: Vec<&str> = sightings.iter().map(|sighting| &*sighting.peer).collect();
    let entries = sightings.iter().filter_map(|seen| seen.peer_entry());
    let header = &clients.header;
    let found = Finding::new(
        mark,
        format!(
            "{} sends {header}, which is ignored: the peer is not trusted",
            named(&peers)
        ),
    );
    Some(list(
        found.why("if that is a proxy, its address stands for every visitor behind it"),
        clients,
        entries.take(NAMED_MAX),
        "if it is yours, list it; if not, a client tries to forge its address, in vain",
    ))
}

fn peer_is_ours_or_a_front(sighting: &Sighting) -> bool {
    let net = sighting.peer_network();
    net.is_some_and(|net| is_internal(net.addr())) || sighting.peer_front.is_some()
}

/// Clients that are a balancer's or a CDN's own hop.
fn fronts_as_clients(clients: &Clients) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, called) in FRONTS {
        let untrusted = !clients.trusted_proxies.iter().any(|known| known == name);
        let sightings: Vec<&Sighting> = clients
            .sightings
            .iter()
            .filter(|seen| untrusted && seen.client_front.as_deref() == Some(name))
            .filter(|seen| !seen.names_nobody())
            .collect();
        let Some(sample) = sightings.first() else {
            continue;
        };
        // A worker in a CDN may be a client itself; it is not half of all clients.
        let text = format!(
            "{} of {} sampled requests have a client in {called}, such as {}",
            sightings.len(),
            clients.sightings.len(),
            sample.client
        );
        let found = match sightings.len() * 2 >= clients.sightings.len() {
            true => Finding::problem(text),
            false => Finding::warn(text),
        };
        findings.push(list(
            found.why("that is the last hop before you, not a visitor: it stands for thousands"),
            clients,
            [name.to_owned()],
            format!("trust the preset {name}, so that the hop before it counts"),
        ));
    }
    findings
}

fn many_private(clients: &Clients, total: u64) -> Option<Finding> {
    let private = clients.requests.private;
    if private.saturating_mul(MANY_IN) < total {
        return None;
    }
    let sightings = clients.sightings.iter();
    let sightings = sightings.filter(|sighting| sighting.source == "private");
    let (nameless, hops): (Vec<&Sighting>, _) = sightings.partition(|seen| seen.names_nobody());
    let entries: BTreeSet<String> = hops.iter().filter_map(|seen| seen.client_entry()).collect();
    // Those have a finding of their own; nothing is left to list.
    if entries.is_empty() && !nameless.is_empty() {
        return None;
    }
    let found = Finding::warn(format!(
        "{private} of {total} requests come, through a trusted proxy, from private addresses"
    ))
    .why(
        "unless your users sit in that network, each is a proxy or a gateway that stands for many",
    );
    if entries.is_empty() {
        return Some(found.mend("send a request the way your visitors come and ask again"));
    }
    let entries = entries.into_iter().take(NAMED_MAX);
    let mend = "list those that are proxies";
    Some(list(found, clients, entries, mend))
}

fn hidden_hops(clients: &Clients, total: u64) -> Option<Finding> {
    let unknown = clients.requests.unknown;
    (unknown > 0).then(|| {
        Finding::warn(format!(
            "{unknown} of {total} requests name a hop that is no address, such as `unknown`"
        ))
        .why("the proxy that wrote it hides its visitors; its own address stands for them")
        .mend(format!(
            "let that proxy write addresses into {} (Squid: `forwarded_for on`)",
            clients.header
        ))
    })
}

/// Relay and web read different headers: a sighting shows whether it matters.
fn disagreement(clients: &Clients) -> Option<Finding> {
    let mut sightings = clients.sightings.iter();
    let sighting = sightings.find(|sighting| sighting.relay != sighting.web)?;
    let taken = |address: &Option<String>| address.clone().unwrap_or_else(super::nobody);
    Some(
        Finding::warn(format!(
            "Relay will take {} and web {} for the same client",
            taken(&sighting.relay),
            taken(&sighting.web)
        ))
        .why("events and the audit log will name different people")
        .mend("send the address in the one header that both read: set client_ip.send_as to")
        .paste("send_as: [x-forwarded-for]"),
    )
}

fn all_well(clients: &Clients, total: u64) -> Finding {
    let requests = &clients.requests;
    Finding::ok(format!(
        "{total} requests: {} with an address from {}, {} with their peer's, {} private",
        requests.header, clients.header, requests.peer, requests.private
    ))
    .why(
        "if users are missing all the same, no proxy hides them: newer browser SDKs leave the \
         address out unless `sendDefaultPii` is on, and a project can be told to store none",
    )
}

fn changed_on_purpose(clients: &Clients) -> Option<Finding> {
    let effect = match &*clients.store {
        "full" => return None,
        "truncate" => "addresses are cut to their network: users of one network are one",
        "hash" => "addresses are pseudonyms: users are counted right, but have no place",
        "drop" => "no address goes upstream: users without an id are not counted apart",
        _ => "addresses are changed before they go upstream",
    };
    Some(
        Finding::warn(format!("client_ip.store is {}: {effect}", clients.store))
            .why("what Sentry shows differs from what the edge saw, as configured")
            .mend("if that is not meant, keep them: set client_ip.store to")
            .paste("store: full"),
    )
}

/// The mend that trusts these too: one key, which goes into the block that is there.
fn list(
    found: Finding,
    clients: &Clients,
    more: impl IntoIterator<Item = String>,
    mend: impl Into<String>,
) -> Finding {
    let mend = mend.into();
    let mut more = more.into_iter().peekable();
    if more.peek().is_none() {
        let store = &clients.store;
        return found.mend(format!(
            "{mend}, in client_ip.trusted_proxies (its address is not shown here: \
             client_ip.store is {store})"
        ));
    }
    let mut entries = clients.trusted_proxies.clone();
    for entry in more {
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    let entries: Vec<String> = entries.iter().map(|entry| quoted(entry)).collect();
    found
        .mend(format!(
            "{mend}; with it listed, client_ip.trusted_proxies is"
        ))
        .paste(format!("trusted_proxies: [{}]", entries.join(", ")))
}

/// An entry as YAML's flow style takes it: colons need quotes.
fn quoted(entry: &str) -> String {
    if entry.contains(':') {
        format!("\"{entry}\"")
    } else {
        entry.to_owned()
    }
}

/// Some of many, in words.
fn named(names: &[&str]) -> String {
    let listed: Vec<&str> = names.iter().take(NAMED_MAX).copied().collect();
    match names.len().saturating_sub(listed.len()) {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}
