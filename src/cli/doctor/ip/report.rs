//! What the edge tells of its clients, as `/api/v1/clients` has it.
//!
//! Owns the reading of it, masked addresses included. Never judges.

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::super::super::plain;
use crate::domain::client_ip::HopVerdict;

/// Whom the edge took for clients since it started.
#[derive(Debug, Deserialize)]
pub(super) struct Clients {
    pub(super) requests: Requests,
    pub(super) most_common: Option<MostCommon>,
    pub(super) trusted_proxies: Vec<String>,
    pub(super) header: String,
    pub(super) store: String,
    /// Samples, the newest first.
    pub(super) sightings: Vec<Sighting>,
}

/// How many requests were resolved in which way.
#[derive(Debug, Deserialize)]
pub(super) struct Requests {
    pub(super) peer: u64,
    pub(super) header: u64,
    pub(super) private: u64,
    pub(super) unknown: u64,
}

impl Requests {
    pub(super) const fn total(&self) -> u64 {
        self.peer
            .saturating_add(self.header)
            .saturating_add(self.private)
            .saturating_add(self.unknown)
    }
}

/// The client that came most often.
#[derive(Debug, Deserialize)]
pub(super) struct MostCommon {
    pub(super) address: Option<String>,
    /// The least share of all requests that it has, from 0 to 1.
    pub(super) share_at_least: f64,
    pub(super) private: bool,
}

impl MostCommon {
    pub(super) fn network(&self) -> Option<IpNet> {
        self.address.as_deref().and_then(network)
    }
}

/// One request that was looked at closely.
#[derive(Debug, Deserialize)]
pub(super) struct Sighting {
    pub(super) at: String,
    pub(super) route: String,
    #[serde(deserialize_with = "shown")]
    pub(super) peer: String,
    /// Whether `client_ip.store` let the edge tell all of it.
    peer_is_whole: bool,
    /// The preset of a balancer or a CDN that it is in.
    pub(super) peer_front: Option<String>,
    /// The believed header's lines; dots for those that are not told.
    pub(super) forwarded: Vec<String>,
    #[serde(deserialize_with = "shown")]
    pub(super) client: String,
    client_is_whole: bool,
    pub(super) client_front: Option<String>,
    pub(super) source: String,
    pub(super) steps: Vec<Step>,
    /// The forwarding headers that went upstream.
    pub(super) sent: Vec<(String, String)>,
    pub(super) relay: Option<String>,
    pub(super) web: Option<String>,
}

/// An address that is told; none is, where `client_ip.store` keeps none.
fn shown<'de, D: Deserializer<'de>>(told: D) -> Result<String, D::Error> {
    let told = Option::deserialize(told)?;
    Ok(told.unwrap_or_else(super::nobody))
}

impl Sighting {
    /// A header came, and nobody read it, since the peer is not trusted.
    pub(super) fn is_ignored(&self) -> bool {
        self.ended(HopVerdict::PeerNotTrustedSoPeer)
            && self.forwarded.iter().any(|line| !line.trim().is_empty())
    }

    /// The client is a proxy that is trusted already, and has named nobody.
    pub(super) fn names_nobody(&self) -> bool {
        self.ended(HopVerdict::AllTrustedSoThis)
    }

    fn ended(&self, verdict: HopVerdict) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.verdict == verdict.as_str())
    }

    /// The peer as the configuration lists it: its preset, or itself where it is told.
    pub(super) fn peer_entry(&self) -> Option<String> {
        entry(self.peer_network(), self.peer_front.as_deref())
    }

    /// The client as the configuration lists it, were it a proxy.
    pub(super) fn client_entry(&self) -> Option<String> {
        entry(self.client_network(), self.client_front.as_deref())
    }

    /// The peer, where it is told.
    pub(super) fn peer_network(&self) -> Option<IpNet> {
        network(&self.peer).filter(|_| self.peer_is_whole)
    }

    /// The client, where it is told.
    pub(super) fn client_network(&self) -> Option<IpNet> {
        network(&self.client).filter(|_| self.client_is_whole)
    }
}

/// One hop of a chain.
#[derive(Debug, Deserialize)]
pub(super) struct Step {
    pub(super) text: String,
    pub(super) address: Option<String>,
    pub(super) verdict: String,
}

impl Step {
    /// The hop as it was written, and the address in it where that is not the same.
    pub(super) fn hop(&self) -> String {
        match self.address.as_deref() {
            Some(address) if address != self.text => {
                format!("{} ({})", plain(&self.text), plain(address))
            }
            Some(_) | None => plain(&self.text),
        }
    }
}

/// A preset where one fits, else the network itself.
fn entry(network: Option<IpNet>, front: Option<&str>) -> Option<String> {
    let front = front.map(str::to_owned);
    front.or_else(|| network.map(|network| network.to_string()))
}

/// The network behind an address as the edge shows it: in full, as a network, or
/// with its last part masked by an `x`.
pub(super) fn network(shown: &str) -> Option<IpNet> {
    if let Ok(address) = shown.parse::<std::net::IpAddr>() {
        return Some(IpNet::from(address));
    }
    if let Some(kept) = shown.strip_suffix(".x") {
        return format!("{kept}.0/24").parse().ok();
    }
    shown.parse().ok()
}
