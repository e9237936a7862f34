//! `/api/v1/clients`: where requests come from, and why their clients' addresses
//! came out as they did, by the rules in force and since they are. What strangers
//! wrote is shown escaped, and of clients' addresses what `client_ip.store` keeps.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::domain::client_ip::{Explained, HopStep, HopVerdict, Source, Store};
use crate::domain::client_ip::{conclusions, explain, front_of, is_internal};
use crate::telemetry::clock::rfc3339;
use crate::telemetry::metrics::Metrics;

use crate::server::rules::Rules;
use crate::server::sightings::{Share, Sighting};
use crate::server::worker::Shared;

/// What stands for that which `client_ip.store` keeps from eyes.
const HIDDEN: &str = "...";

/// The page as it stands now.
pub(super) fn clients(shared: &Shared, metrics: &Metrics) -> Value {
    let rules = shared.rules.load();
    let counted = shared.sightings.resolved(metrics.resolved());
    let named = Source::ALL.iter().map(|source| source.as_str().to_owned());
    let requests = named.zip(counted.map(Value::from));
    let most_common = shared.sightings.most_common();
    let sightings = shared.sightings.sightings();
    json!({
        "requests": serde_json::Map::from_iter(requests),
        "most_common": most_common.map(|share| self::share(&rules, &share)),
        "trusted_proxies": rules.config.client_ip.trusted_proxies.written,
        "header": rules.config.client_ip.header.name,
        "store": rules.config.client_ip.store.as_str(),
        "sightings": sightings.iter().map(|seen| sighting(&rules, seen)).collect::<Vec<_>>(),
    })
}

/// The same without a single request: who sends, and how it was found out.
pub(super) fn summary(shared: &Shared, metrics: &Metrics) -> Value {
    let rules = shared.rules.load();
    let counted = shared.sightings.resolved(metrics.resolved());
    let named = Source::ALL.iter().map(|source| source.as_str().to_owned());
    let most_common = shared.sightings.most_common();
    json!({
        "requests": serde_json::Map::from_iter(named.zip(counted.map(Value::from))),
        "most_common": most_common.map(|share| self::share(&rules, &share)),
    })
}

fn share(rules: &Rules, share: &Share) -> Value {
    let count = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let ratio = count(share.own) / count(share.all.max(1));
    json!({
        "address": shown(rules, share.address),
        "share_at_least": ratio,
        "private": is_internal(share.address),
    })
}

fn sighting(rules: &Rules, seen: &Sighting) -> Value {
    let lines = || seen.forwarded.iter().map(Vec::as_slice);
    let form = rules.config.client_ip.header.form;
    let Explained { client, steps } = explain(seen.peer, form, lines(), &rules.trusted);
    let stored = match seen.route.is_event() {
        true => rules.store.stored(client.address),
        false => Some(client.address),
    };
    let sent = stored.map_or("unknown".to_owned(), |address| address.to_string());
    let named: Vec<(&str, &[u8])> = rules
        .send_as
        .iter()
        .map(|name| (name.as_str(), sent.as_bytes()))
        .collect();
    let concluded = conclusions(&named);
    // A page's address goes whole to web, and is kept from eyes where it is shown.
    let as_shown = |address: IpAddr| match seen.route.is_event() {
        true => address.to_string(),
        false => shown(rules, address).unwrap_or_else(|| HIDDEN.to_owned()),
    };
    let sent_shown = stored.map_or(sent.clone(), as_shown);
    let full = rules.store == Store::Full;
    let forwarded: Vec<String> = lines()
        .map(|line| match full || line.trim_ascii().is_empty() {
            true => line.escape_ascii().to_string(),
            false => HIDDEN.to_owned(),
        })
        .collect();
    json!({
        "at": rfc3339(seen.at),
        "route": seen.route.as_str(),
        "peer": shown(rules, seen.peer),
        "peer_is_whole": is_whole(rules, seen.peer),
        "peer_front": front_of(&seen.peer.into()),
        "forwarded": forwarded,
        "client": shown(rules, client.address),
        "client_is_whole": is_whole(rules, client.address),
        "client_front": front_of(&client.address.into()),
        "source": client.source.as_str(),
        "steps": steps.iter().map(|hop| step(rules, hop)).collect::<Vec<_>>(),
        "sent": named.iter().map(|(name, _)| [*name, &sent_shown]).collect::<Vec<_>>(),
        "relay": concluded.relay.map(as_shown),
        "web": concluded.web.map(as_shown),
    })
}

fn step(rules: &Rules, hop: &HopStep) -> Value {
    let text = match (hop.verdict, &rules.store) {
        (_, Store::Full) | (HopVerdict::TrustedSoOn, _) => hop.text.as_str(),
        _ => HIDDEN,
    };
    json!({
        "text": text,
        "address": hop.address.and_then(|address| shown(rules, address)),
        "verdict": hop.verdict.as_str(),
    })
}

/// Whether an operator may see all of an address: another's pseudonym could pass for
/// one of the operator's own.
fn is_whole(rules: &Rules, address: IpAddr) -> bool {
    rules.store == Store::Full || rules.trusted.contains(address) || is_internal(address)
}

/// An address as an operator may see it: proxies' whole, clients' as they are kept.
fn shown(rules: &Rules, address: IpAddr) -> Option<String> {
    match is_whole(rules, address) {
        true => Some(address.to_string()),
        false => rules.store.stored(address).map(|kept| kept.to_string()),
    }
}
