//! TLS, from outside: whom the edge shows which certificate, what it refuses and how that
//! is counted, and that certificates change without anybody noticing; and which servers it
//! believes.

mod acme;
mod agreed;
pub(crate) mod authority;
mod canary;
pub(crate) mod client;
mod gate;
mod idle;
mod judged;
mod moved;
mod pebble;
mod porter;
mod refused;
mod renewed;
mod servers;
mod vouched;

use std::net::SocketAddr;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::edge::Edge;
use crate::upstream::Fake;

use authority::Authority;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = agreed::trials();
    trials.extend(refused::trials());
    trials.extend(renewed::trials());
    trials.extend(moved::trials());
    trials.extend(idle::trials());
    trials.extend(servers::trials());
    trials.extend(vouched::trials());
    trials.extend(judged::trials());
    trials.extend(acme::trials());
    trials.extend(canary::trials());
    trials
}

/// The name that clients ask for.
pub(crate) const NAME: &str = "sentry.example.com";

/// A listener's `tls` with one certificate.
fn pair((cert, key): &(std::path::PathBuf, std::path::PathBuf)) -> Value {
    json!({"cert": cert, "key": key})
}

/// An edge whose one public listener speaks TLS so, with further changes.
#[track_caller]
fn secured(fake: &Fake, tls: &Value, changes: &Value) -> Edge {
    let mut all = json!({"listen": {"public": [{"address": "127.0.0.1:0", "tls": tls}]}});
    crate::edge::lay_over(&mut all, changes);
    Edge::configured(&fake.url(), &fake.url(), all)
}

/// The same with a certificate of this authority for [`NAME`].
#[track_caller]
fn simple(fake: &Fake, authority: &Authority) -> Edge {
    let files = authority.issue("edge", &[NAME, "127.0.0.1"]);
    secured(fake, &pair(&files), &json!({}))
}

/// How many handshakes failed for this cause.
fn failed(edge: &Edge, cause: &str) -> f64 {
    let cause = format!("cause=\"{cause}\"");
    edge.metric("vidette_tls_handshakes_total", &[&cause])
}

/// Waits until so many handshakes have failed for this cause.
#[track_caller]
fn wait_failed(edge: &Edge, cause: &str, least: f64) {
    let cause = format!("cause=\"{cause}\"");
    edge.wait_metric("vidette_tls_handshakes_total", &[&cause], least);
}

/// All public addresses, in their order.
fn public(edge: &Edge) -> Vec<SocketAddr> {
    let status = edge.admin_get("/api/v1/status").json();
    let listed = status["public"].as_array().unwrap().iter();
    listed
        .map(|address| address.as_str().unwrap().parse().unwrap())
        .collect()
}

/// What the traffic light says, and why.
fn light(edge: &Edge) -> (String, String) {
    let status = edge.admin_get("/api/v1/status").json();
    let light = status["light"].as_str().unwrap().to_owned();
    (light, status["reasons"].to_string())
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}
