//! What Sentry's own SDKs send, filtered and sampled: for each filter one that matches what they
//! say of themselves and one that does not, taken up by a reload under the same running client.

use std::path::Path;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::edge::{Edge, KEY, configuration};
use crate::parts::{Part, node, promises, python};
use crate::quotas::Sdk;
use crate::upstream::Fake;

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[Part::Python]; what_sentry_sdk_sends_is_filtered_and_sampled];
    trials.extend(promises![&[Part::Node]; what_sentry_node_sends_is_filtered_and_sampled]);
    trials.extend(promises![&[Part::Browser]; what_sentry_browser_sends_is_filtered_and_sampled]);
    trials
}

/// A wish that an SDK's error does not fulfil, one that it does, and the first one's reason.
type Pair = (Value, Value, &'static str);

/// What every SDK's script says of itself: `vidette-tests@1.0.0` in `tests`, an error whose
/// message ends in `error`, from this machine.
fn common() -> Vec<Pair> {
    let filters = |filters: Value| json!({"filters": filters});
    let sample = |sample: Value| json!({"sample": sample});
    vec![
        (
            filters(json!({"client_ips": ["127.0.0.0/8"]})),
            filters(json!({"client_ips": ["203.0.113.0/24"]})),
            "client_ip",
        ),
        (
            filters(json!({"releases": ["vidette-tests@1*"]})),
            filters(json!({"releases": ["vidette-tests@2*"]})),
            "release",
        ),
        (
            filters(json!({"environments": ["tests"]})),
            filters(json!({"environments": ["test"]})),
            "environment",
        ),
        (
            filters(json!({"error_messages": ["*an*error"]})),
            filters(json!({"error_messages": ["an*warning"]})),
            "error_message",
        ),
        (
            sample(json!({"error": 0})),
            sample(json!({"error": 1, "transaction": 0})),
            "sampled",
        ),
        (
            sample(json!({"rules": [{"environment": "tests", "release": "*@1.0.0", "rate": 0}]})),
            sample(json!({"rules": [{"environment": "prod", "rate": 0}]})),
            "sampled",
        ),
    ]
}

#[track_caller]
fn check(program: &Path, script: &str, arguments: &[&str], more: Vec<Pair>) {
    let fake = Fake::start();
    let text = |wishes: &Value| {
        let mut project = json!({"id": 42, "keys": [KEY]});
        crate::edge::lay_over(&mut project, wishes);
        let changes = json!({"projects": [project]});
        configuration(&fake.url(), &fake.url(), &changes).to_string()
    };
    let edge = Edge::run(&text(&json!({})), &[]);
    let dsn = format!("http://{KEY}@{}/42", edge.public);
    let mut sdk = Sdk::start(program, script, &dsn, arguments);
    let mut passes = |wishes: &Value| {
        edge.rewrite(&text(wishes));
        let answer = crate::admin::post(&edge, "/api/v1/reload", &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let before = fake.requests().len();
        sdk.captures("error");
        fake.requests().len() > before
    };
    assert!(passes(&json!({})), "nothing is filtered");
    for (fails, fulfils, reason) in common().into_iter().chain(more) {
        let labels = ["outcome=\"dropped\"", &format!("reason=\"{reason}\"")];
        let before = edge.metric("vidette_items_total", &labels);
        assert!(!passes(&fails), "{fails}");
        // A request refused by its head is counted when its body is over.
        edge.wait_metric("vidette_items_total", &labels, before + 1.0);
        assert!(passes(&fulfils), "{fulfils}");
    }
}

fn agent(matches: &str, misses: &str) -> Pair {
    let filter = |pattern: &str| json!({"filters": {"user_agents": [pattern]}});
    (filter(matches), filter(misses), "user_agent")
}

fn what_sentry_sdk_sends_is_filtered_and_sampled() {
    let more = vec![agent("sentry.python/*", "sentry.php/*")];
    check(&python().unwrap(), "obey.py", &[], more);
}

fn what_sentry_node_sends_is_filtered_and_sampled() {
    check(&node(), "obey.mjs", &[], Vec::new());
}

fn what_sentry_browser_sends_is_filtered_and_sampled() {
    let filters = |filters: Value| json!({"filters": filters});
    let more = vec![
        agent("*headlesschrome/*", "*firefox*"),
        (
            filters(json!({"localhost": true})),
            filters(json!({"localhost": false, "crawlers": true})),
            "localhost",
        ),
    ];
    check(&node(), "browser.mjs", &["--obey"], more);
}
