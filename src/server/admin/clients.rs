//! `/api/v1/clients`: where requests come from, and why their clients' addresses
//! came out as they did. What strangers wrote is shown escaped; where
//! `client_ip.store` cuts addresses, clients' are cut here too.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::domain::client_ip::{Explained, HopStep, HopVerdict, Source, Store};
use crate::domain::client_ip::{conclusions, explain, is_internal};
use crate::telemetry::clock::rfc3339;
use crate::telemetry::metrics::Metrics;

use super::super::rules::Rules;
use super::super::sightings::{Share, Sighting};
use super::super::worker::Shared;

/// The page as it stands now.
pub(super) fn clients(shared: &Shared, metrics: &Metrics) -> Value {
    let rules = shared.rules.load();
    let requests = Source::ALL.map(|source| {
        let n = metrics.sum(|worker| worker.client_ip.at(source.index()));
        (source.as_str().to_owned(), json!(n))
    });
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
    let sent_value = sent(rules, seen, client.address);
    let named: Vec<(&str, &[u8])> = rules
        .send_as
        .iter()
        .map(|name| (name.as_str(), sent_value.as_bytes()))
        .collect();
    let concluded = conclusions(&named);
    let full = rules.store == Store::Full;
    let forwarded: Vec<String> = match full {
        true => lines()
            .map(|line| line.escape_ascii().to_string())
            .collect(),
        false => Vec::new(),
    };
    json!({
        "at": rfc3339(seen.at),
        "route": seen.route.as_str(),
        "peer": shown(rules, seen.peer),
        "forwarded": forwarded,
        "client": shown(rules, client.address),
        "source": client.source.as_str(),
        "steps": steps.iter().map(|hop| step(rules, hop)).collect::<Vec<_>>(),
        "sent": named.iter().map(|(name, _)| [*name, &sent_value]).collect::<Vec<_>>(),
        "relay": concluded.relay,
        "web": concluded.web,
    })
}

fn sent(rules: &Rules, seen: &Sighting, client: IpAddr) -> String {
    let stored = match seen.route.is_event() {
        true => rules.store.stored(client),
        false => Some(client),
    };
    match stored {
        Some(address) if seen.route.is_event() => address.to_string(),
        // A page's address goes whole to web, and is cut where it is shown.
        Some(address) => shown(rules, address).unwrap_or_default(),
        None => "unknown".to_owned(),
    }
}

fn step(rules: &Rules, hop: &HopStep) -> Value {
    let text = match (hop.verdict, &rules.store) {
        (_, Store::Full) | (HopVerdict::TrustedSoOn, _) => hop.text.as_str(),
        _ => "...",
    };
    json!({
        "text": text,
        "address": hop.address.and_then(|address| shown(rules, address)),
        "verdict": hop.verdict.as_str(),
    })
}

/// An address as an operator may see it: proxies' whole, clients' as they are kept.
fn shown(rules: &Rules, address: IpAddr) -> Option<String> {
    let whole = rules.trusted.contains(address) || is_internal(address);
    match (whole, &rules.store) {
        (true, _) | (false, Store::Full) => Some(address.to_string()),
        (false, Store::Truncate | Store::Hash(_)) => {
            Store::Truncate.stored(address).map(|cut| cut.to_string())
        }
        (false, Store::Drop) => None,
    }
}
