//! Who comes in by a listener: clients that a balancer names in a PROXY header, strangers
//! who write one themselves, and both on one port. What a listener is for, and how many
//! connections one client may have, stand beside it.

mod balancers;
mod crowds;
mod headers;
mod listeners;
mod refused;

use std::net::{Ipv4Addr, SocketAddr};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::{Client, request};
use crate::edge::{Edge, address_after, envelope_target, lay_over};
use crate::ingest::ENVELOPE;
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    [
        headers::trials(),
        refused::trials(),
        balancers::trials(),
        listeners::trials(),
        crowds::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The trusted one, a stranger, and whom headers name.
const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const NAMED: &str = "203.0.113.9";

/// An edge whose one listener has these keys beside its address.
fn edge_with(fake: &Fake, keys: Value, changes: Value) -> Edge {
    let mut listener = json!({"address": "127.0.0.1:0"});
    lay_over(&mut listener, &keys);
    let mut all = json!({
        "listen": {"public": [listener]},
        "client_ip": {"trusted_proxies": [BALANCER.to_string()]},
    });
    lay_over(&mut all, &changes);
    Edge::configured(&fake.url(), &fake.url(), all)
}

/// An edge that takes PROXY headers so.
fn edge_taking(fake: &Fake, headers: &str) -> Edge {
    edge_with(fake, json!({"proxy_protocol": headers}), json!({}))
}

/// An envelope that came through `hops`.
fn event(hops: &[(&str, &str)]) -> Vec<u8> {
    request("POST", &envelope_target(), hops, ENVELOPE)
}

/// A header of version 1 that names an IPv4 client.
fn line(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 192.0.2.1 4711 443\r\n").into_bytes()
}

/// A header of version 2.
fn block(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    let head = [command, family, length[0], length[1]];
    [b"\r\n\r\n\0\r\nQUIT\n", &head[..], rest].concat()
}

/// Source, destination and ports of an IPv4 client.
fn addresses(client: &str) -> Vec<u8> {
    let client: Ipv4Addr = client.parse().unwrap();
    let ports = [0x12, 0x67, 0x01, 0xbb];
    [&client.octets()[..], &[192, 0, 2, 1], &ports].concat()
}

/// How many headers ended so.
fn headers_that(edge: &Edge, outcome: &str) -> f64 {
    let label = format!("outcome=\"{outcome}\"");
    edge.metric("vidette_proxy_headers_total", &[&label])
}

/// How many connections ended so.
fn connections_that(edge: &Edge, outcome: &str) -> f64 {
    let label = format!("outcome=\"{outcome}\"");
    edge.metric("vidette_connections_total", &[&label])
}

/// Whom the upstream was told, request by request.
fn told(fake: &Fake) -> Vec<String> {
    let requests = fake.requests();
    let told = requests
        .iter()
        .map(|seen| seen.headers.all("x-forwarded-for"));
    told.map(|all| all.join(" and ")).collect()
}

/// Sends these bytes from an address and reads the answer to a POST behind them.
#[track_caller]
fn answered(edge: &Edge, from: Ipv4Addr, bytes: &[u8]) -> u16 {
    let mut client = Client::connect_from(from, edge.public);
    client.send(bytes);
    client.answer_to("POST").status
}

/// All public addresses of an edge, as its log names them.
fn publics(edge: &Edge) -> Vec<SocketAddr> {
    let text = edge.log.text();
    let line = text.lines().find(|line| line.contains("listening: "));
    let named = line.unwrap().split("public ").skip(1);
    named
        .map(|rest| {
            let rest = rest.replace("[::]", "127.0.0.1");
            address_after(&format!("at {rest}"), "at").unwrap()
        })
        .collect()
}
