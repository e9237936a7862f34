//! The browser's SDKs through the edge's tunnel: no key in the address, the DSN in
//! the envelope alone, and what they send arrives in its original bytes with the
//! address they come from.

use libtest_mimic::Trial;
use serde_json::json;

use crate::edge::Edge;
use crate::journey::{Journey, target};
use crate::parts::{Part, node, promises};
use crate::upstream::Fake;
use crate::way::{Front, Way};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[Part::Browser];
        browser_sdk_arrives_through_the_tunnel,
        vue_sdk_arrives_through_the_tunnel,
        react_sdk_arrives_through_the_tunnel,
    ];
    trials.extend(promises![&[Part::Browser, Part::Nginx];
        browser_sdk_arrives_through_nginx_and_the_tunnel,
    ]);
    trials
}

const TUNNEL: &[u8] = b"/t";

/// Where the upstream wants what the tunnel takes.
const ENVELOPE: &[u8] = b"/api/42/envelope/";

/// A target without its query, and the tunnel's as the upstream's: where the edge
/// puts the key on the way there is its own affair.
fn place(target: &[u8]) -> Vec<u8> {
    let path = target.split(|byte| *byte == b'?').next().unwrap();
    if path == TUNNEL { ENVELOPE } else { path }.to_vec()
}

/// A page with this SDK, which is told of the tunnel as its user would tell it.
#[track_caller]
fn check_tunnel(sdk: &str, front: Front) {
    let fake = Fake::start();
    let changes = json!({
        "tunnel": {"paths": ["/t"]},
        "client_ip": {"trusted_proxies": ["127.0.0.1/32"]},
    });
    let way = Way::over(Edge::configured(&fake.url(), &fake.url(), changes), front);
    let tunnel = format!("http://{}/t", way.tap.address);
    let arguments = ["--sdk", sdk, "--tunnel", &tunnel];
    let journey = Journey::along(&way, &fake, (&node(), "browser.mjs"), &arguments);
    assert!(
        journey.posted().all(|sent| target(sent) == TUNNEL),
        "{sdk} does not post to the bare tunnel: this test proves nothing"
    );
    journey.check_arrival(place);
    journey.check_told(&["error", "transaction", "session", "attachment"]);
    journey.check_words(&[&format!("sentry.javascript.{sdk}")]);
}

fn browser_sdk_arrives_through_the_tunnel() {
    check_tunnel("browser", Front::Nothing);
}

fn vue_sdk_arrives_through_the_tunnel() {
    check_tunnel("vue", Front::Nothing);
}

fn react_sdk_arrives_through_the_tunnel() {
    check_tunnel("react", Front::Nothing);
}

fn browser_sdk_arrives_through_nginx_and_the_tunnel() {
    check_tunnel("browser", Front::Nginx);
}
