//! Sentry's SDKs through the edge, with nginx in front and without: what they send
//! arrives in its original bytes with the address they come from. What the clients
//! do is theirs; the scripts that run them lie in `tests/clients/`.

use std::path::Path;

use libtest_mimic::Trial;

use crate::journey::{Journey, target};
use crate::parts::{Part, node, promises, python};
use crate::upstream::Fake;
use crate::way::{Front, Way};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[Part::Python];
        python_sdk_arrives_in_its_own_bytes,
        python_sdk_arrives_over_fresh_connections,
    ];
    trials.extend(promises![&[Part::Node];
        node_sdk_arrives_in_its_own_bytes,
        node_sdk_streams_a_large_attachment,
        a_mini_programs_events_arrive_in_its_own_bytes,
    ]);
    trials.extend(promises![&[Part::Browser];
        browser_sdk_arrives_across_origins,
        browser_sdk_arrives_after_a_preflight,
        vue_sdk_arrives_across_origins,
        react_sdk_arrives_across_origins,
        a_closing_page_loses_nothing,
    ]);
    trials.extend(promises![&[Part::Python, Part::Nginx];
        python_sdk_arrives_through_nginx,
    ]);
    trials.extend(promises![&[Part::Node, Part::Nginx]; node_sdk_arrives_through_nginx]);
    trials.extend(promises![&[Part::Browser, Part::Nginx]; browser_sdk_arrives_through_nginx]);
    trials
}

/// What every SDK's script sends, whatever else it does.
const KINDS: &[&str] = &["error", "session", "attachment"];

/// A client's run towards a fake: all it sent arrived, byte by byte, from its address.
#[track_caller]
fn check_client(
    program: &Path,
    script: &str,
    arguments: &[&str],
    front: Front,
    kinds: &[&str],
) -> Journey {
    let fake = Fake::start();
    let way = Way::to(&fake.url(), front);
    let journey = Journey::along(&way, &fake, (program, script), arguments);
    journey.check_arrival(<[u8]>::to_vec);
    journey.check_told(kinds);
    journey
}

fn python_sdk_arrives_in_its_own_bytes() {
    for compression in ["default", "gzip", "none"] {
        let arguments = ["--compression", compression];
        check_client(
            &python().unwrap(),
            "python_sdk.py",
            &arguments,
            Front::Nothing,
            KINDS,
        );
    }
}

fn python_sdk_arrives_over_fresh_connections() {
    let arguments = ["--fresh-connections", "--rounds", "5"];
    check_client(
        &python().unwrap(),
        "python_sdk.py",
        &arguments,
        Front::Nothing,
        KINDS,
    );
}

fn python_sdk_arrives_through_nginx() {
    check_client(
        &python().unwrap(),
        "python_sdk.py",
        &[],
        Front::Nginx,
        KINDS,
    );
}

fn node_sdk_arrives_in_its_own_bytes() {
    check_client(&node(), "node_sdk.mjs", &[], Front::Nothing, KINDS);
}

fn node_sdk_streams_a_large_attachment() {
    let journey = check_client(&node(), "node_sdk.mjs", &["--large"], Front::Nothing, KINDS);
    let chunked = journey
        .sent
        .iter()
        .any(|sent| !sent.head.headers.all("transfer-encoding").is_empty());
    assert!(
        chunked,
        "the SDK no longer sends large envelopes in chunks: this test proves nothing"
    );
}

fn node_sdk_arrives_through_nginx() {
    check_client(&node(), "node_sdk.mjs", &[], Front::Nginx, KINDS);
}

fn browser_sdk_arrives_across_origins() {
    check_client(&node(), "browser.mjs", &[], Front::Nothing, KINDS);
}

fn browser_sdk_arrives_after_a_preflight() {
    let journey = check_client(
        &node(),
        "browser.mjs",
        &["--preflight"],
        Front::Nothing,
        KINDS,
    );
    let asked = journey
        .sent
        .iter()
        .any(|sent| sent.head.first.starts_with(b"OPTIONS "));
    assert!(
        asked,
        "the browser asked for no preflight: this test proves nothing"
    );
}

fn browser_sdk_arrives_through_nginx() {
    check_client(&node(), "browser.mjs", &[], Front::Nginx, KINDS);
}

fn a_closing_page_loses_nothing() {
    check_client(
        &node(),
        "browser.mjs",
        &["--close-at-end"],
        Front::Nothing,
        KINDS,
    );
}

/// A framework's SDK across origins; these words of its own came with its errors.
#[track_caller]
fn check_framework(sdk: &str, kinds: &[&str], words: &[&str]) {
    let kinds = [KINDS, kinds].concat();
    let arguments = ["--sdk", sdk];
    let journey = check_client(&node(), "browser.mjs", &arguments, Front::Nothing, &kinds);
    journey.check_words(words);
}

fn vue_sdk_arrives_across_origins() {
    let words = ["sentry.javascript.vue", "auto.function.vue.error_handler"];
    check_framework("vue", &[], &words);
}

fn react_sdk_arrives_across_origins() {
    let words = [
        "sentry.javascript.react",
        "auto.function.react.error_boundary",
        "auto.function.react.error_handler",
    ];
    check_framework("react", &["uncaught"], &words);
}

fn a_mini_programs_events_arrive_in_its_own_bytes() {
    let kinds = ["error", "message"];
    let journey = check_client(&node(), "miniapp.mjs", &[], Front::Nothing, &kinds);
    journey.check_words(&["sentry.javascript.miniapp"]);
    let stored = |sent| target(sent).starts_with(b"/api/42/store/?");
    assert!(
        journey.posted().all(stored),
        "the SDK no longer posts to the store endpoint: this test proves nothing"
    );
}
