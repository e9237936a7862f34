//! What was set on Sentry's pages is in force here, as far as the configuration has nothing of a
//! project's own.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::office::Office;
use super::{OFF, Rig, SEVENTH, send, send_until, state, wait_states};
use crate::edge::{Edge, KEY};
use crate::explained::post;
use crate::ingest::ENVELOPE;
use crate::parts::promises;
use crate::senders::{check_refused, target};
use crate::upstream::HANG;

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        a_quota_counts_once_it_is_set_and_until_it_is_not,
        an_organizations_quota_is_one_for_all_of_its_projects,
        a_keys_quota_counts_for_that_key,
        filters_and_domains_apply_where_a_project_has_none_of_its_own,
        a_project_tells_whose_word_on_it_counts,
        sampling_rules_leave_out_what_a_relay_would_leave_out,
    ]
}

fn quota(scope: &str, limit: u64, reason: &str) -> Value {
    json!({
        "id": reason,
        "scope": scope,
        "categories": ["default", "error", "security"],
        "limit": limit,
        "window": 86_400,
        "reasonCode": reason,
    })
}

/// Every item of a project that was dropped, by reason.
fn dropped(edge: &Edge, reason: &str) -> f64 {
    edge.metric("vidette_items_total", &["project=\"42\"", reason])
}

fn a_quota_counts_once_it_is_set_and_until_it_is_not() {
    let (rig, office) = (Rig::new(), Office::open());
    office.set(KEY, state(KEY, 42, "a", &json!({"quotas": []})));
    let edge = rig.edge(&office, &json!({}));
    assert_eq!(send(&edge, 42, KEY).status, 200);
    wait_states(&edge, "a state", |states| states["keys"] == 1);
    for _ in 0..5 {
        assert_eq!(send(&edge, 42, KEY).status, 200);
    }
    // Set on the page, and nobody touches the edge.
    let set = json!({"quotas": [quota("project", 2, "project_quota")]});
    office.set(KEY, state(KEY, 42, "b", &set));
    let answer = send_until(&edge, 42, KEY, 429);
    let limits = answer.header("x-sentry-rate-limits").unwrap();
    assert!(
        limits.ends_with(":default;error;security:project:project_quota"),
        "{limits}"
    );
    assert!(dropped(&edge, "reason=\"quota\"") >= 1.0);
    let used = ["project=\"42\"", "quota=\"project_quota\""];
    assert!(edge.metric("vidette_quota_used_ratio", &used) >= 1.0);
    office.set(KEY, state(KEY, 42, "c", &json!({"quotas": []})));
    send_until(&edge, 42, KEY, 200);
}

fn an_organizations_quota_is_one_for_all_of_its_projects() {
    let (rig, office) = (Rig::new(), Office::open());
    let shared = json!({"quotas": [quota("organization", 3, "org_quota")]});
    office.set(KEY, state(KEY, 42, "a", &shared));
    office.set(SEVENTH, state(SEVENTH, 7, "a", &shared));
    // Beside what is set here, which leaves room for one.
    let projects = json!({"projects": [
        {"id": 42, "keys": [KEY], "quotas": [{"name": "own", "limit": 1, "per": "1d"}]},
        {"id": 7, "keys": [SEVENTH]},
    ]});
    let edge = rig.edge(&office, &projects);
    wait_states(&edge, "both states", |states| states["keys"] == 2);
    assert_eq!(send(&edge, 42, KEY).status, 200);
    let own = send(&edge, 42, KEY);
    let limits = own.header("x-sentry-rate-limits").unwrap();
    assert!(own.status == 429 && limits.ends_with(":own"), "{limits}");
    assert_eq!(send(&edge, 7, SEVENTH).status, 200);
    assert_eq!(send(&edge, 7, SEVENTH).status, 200);
    let full = send(&edge, 7, SEVENTH);
    let limits = full.header("x-sentry-rate-limits").unwrap();
    let told = ":default;error;security:organization:org_quota";
    assert!(full.status == 429 && limits.ends_with(told), "{limits}");
    let status = edge.admin_get("/api/v1/status").text();
    assert!(
        status.contains("organization 1, which Sentry told of, is full"),
        "{status}"
    );
}

fn a_keys_quota_counts_for_that_key() {
    let (rig, office) = (Rig::new(), Office::open());
    let mut own = quota("key", 1, "key_quota");
    own["scopeId"] = json!("420");
    let config = json!({"quotas": [own]});
    office.set(KEY, state(KEY, 42, "a", &config));
    let mut other = state(OFF, 42, "a", &config);
    other["publicKeys"][0]["numericId"] = json!(421);
    office.set(OFF, other);
    let edge = rig.edge(
        &office,
        &json!({"projects": [{"id": 42, "keys": [KEY, OFF]}]}),
    );
    wait_states(&edge, "both states", |states| states["keys"] == 2);
    assert_eq!(send(&edge, 42, KEY).status, 200);
    let full = send(&edge, 42, KEY);
    let limits = full.header("x-sentry-rate-limits").unwrap();
    assert!(
        full.status == 429 && limits.ends_with(":key:key_quota"),
        "{limits}"
    );
    for _ in 0..3 {
        assert_eq!(send(&edge, 42, OFF).status, 200);
    }
}

/// What both projects have set in Sentry.
fn set() -> Value {
    json!({
        "allowedDomains": ["*.example.org"],
        "filterSettings": {
            "webCrawlers": {"isEnabled": true},
            "errorMessages": {"patterns": ["*nobody*"]},
            "legacyBrowsers": {"isEnabled": true},
        },
    })
}

/// Two projects of which Sentry says the same, and one has its own word here.
fn both(rig: &Rig, office: &Office) -> Edge {
    office.set(KEY, state(KEY, 42, "a", &set()));
    office.set(SEVENTH, state(SEVENTH, 7, "a", &set()));
    let own = json!({
        "defaults": {"filters": {"releases": ["0.*"]}},
        "projects": [
            {"id": 42, "keys": [KEY]},
            {"id": 7, "keys": [SEVENTH], "allowed_origins": ["*"], "filters": {"localhost": true}},
        ],
    });
    let edge = rig.edge(office, &own);
    wait_states(&edge, "both states", |states| states["keys"] == 2);
    edge
}

/// An error with this message and release.
fn error(message: &str, release: &str) -> Vec<u8> {
    let event = json!({"message": message, "release": release}).to_string();
    let length = event.len();
    format!("{{}}\n{{\"type\":\"event\",\"length\":{length}}}\n{event}\n").into_bytes()
}

fn filters_and_domains_apply_where_a_project_has_none_of_its_own() {
    let (rig, office) = (Rig::new(), Office::open());
    let edge = both(&rig, &office);
    let page = |project, key, page| {
        let headers = [("Origin", page)];
        edge.ask("POST", &target(project, key), &headers, ENVELOPE)
    };
    assert_eq!(page(42, KEY, "https://shop.example.org").status, 200);
    let refused = page(42, KEY, "https://example.com");
    check_refused("another page", &refused, 403, "origin");
    assert_eq!(page(7, SEVENTH, "https://example.com").status, 200);
    let before = rig.upstream.requests().len();
    let sent = |project, key, message, release, agent| {
        let headers = [("User-Agent", agent)];
        let body = error(message, release);
        let answer = edge.ask("POST", &target(project, key), &headers, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    for (message, release, agent) in [
        ("wanted by nobody", "1.0", "curl/8"),
        ("wanted", "0.9", "curl/8"),
        ("wanted", "1.0", "Googlebot/2.1"),
    ] {
        sent(42, KEY, message, release, agent);
    }
    assert_eq!(
        rig.upstream.requests().len(),
        before,
        "Sentry's and the defaults'"
    );
    sent(42, KEY, "wanted", "1.0", "curl/8");
    sent(7, SEVENTH, "wanted by nobody", "0.9", "Googlebot/2.1");
    rig.upstream.wait_for("both that are wanted", |ledger| {
        (ledger.requests.len() == before + 2).then_some(())
    });
    let deadline = std::time::Instant::now() + HANG;
    while dropped(&edge, "reason=\"error_message\"") < 1.0 {
        assert!(std::time::Instant::now() < deadline, "it is in no book");
    }
}

fn a_project_tells_whose_word_on_it_counts() {
    let (rig, office) = (Rig::new(), Office::open());
    let edge = both(&rig, &office);
    let told = |project: u64| {
        let answer = edge.admin_get(&format!("/api/v1/projects/{project}"));
        answer.json()["told"].clone()
    };
    let (mine, own) = (told(42), told(7));
    assert_eq!(mine["by"], "sentry", "{mine}");
    assert_eq!(mine["allowed_origins"], "sentry", "{mine}");
    assert_eq!(mine["filters"], "sentry", "{mine}");
    assert_eq!(
        mine["left_to_sentry"],
        json!(["filterSettings.legacyBrowsers"])
    );
    assert_eq!(own["allowed_origins"], "configuration", "{own}");
    assert_eq!(own["filters"], "configuration", "{own}");
    assert_eq!(told(9), Value::Null);
    let explained = |headers: Value, body: &[u8]| explained(&edge, &headers, body);
    let by_name = error("wanted by nobody", "1.0");
    let text = explained(json!([["Origin", "https://a.example.org"]]), &by_name);
    assert!(
        text.contains("its allowed domains in Sentry let it send"),
        "{text}"
    );
    assert!(
        text.contains("in its inbound filters in Sentry, here.error_messages"),
        "{text}"
    );
    let text = explained(json!([]), &error("wanted", "0.9"));
    assert!(text.contains("in defaults.filters.releases"), "{text}");
}

/// What would become of an event of project 42.
fn explained(edge: &Edge, headers: &Value, body: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(body);
    let question = json!({
        "method": "POST",
        "path": target(42, KEY),
        "headers": headers,
        "peer": "127.0.0.1",
        "body_base64": body,
    });
    post(edge, "/api/v1/explain", question.to_string().as_bytes()).text()
}

/// A transaction with this name and id, of a trace that began with this key.
fn transaction(name: &str, id: &str, root: &str) -> Vec<u8> {
    let event = json!({
        "type": "transaction",
        "transaction": name,
        "event_id": id,
        "contexts": {"trace": {"trace_id": id}},
    });
    let event = event.to_string();
    let line = json!({"event_id": id, "trace": {"trace_id": id, "public_key": root}});
    let length = event.len();
    format!("{line}\n{{\"type\":\"transaction\",\"length\":{length}}}\n{event}\n").into_bytes()
}

/// Which of both ids passes at 0.3 is PROTOCOL 7's own word: 0.229 and 0.467.
fn sampling_rules_leave_out_what_a_relay_would_leave_out() {
    const LOW: &str = "4a106cf6b15144eb9131ae7db1a157a3";
    const HIGH: &str = "ffffffffffffffffffffffffffffffff";
    let rule = |level: &str, rate: f64, condition: Value| {
        json!({
            "id": 1000,
            "type": level,
            "samplingValue": {"type": "sampleRate", "value": rate},
            "condition": condition,
        })
    };
    let health = json!({"op": "glob", "name": "event.transaction", "value": ["/health*"]});
    let all = json!({"op": "and", "inner": []});
    let rules = json!([rule("transaction", 0.0, health), rule("trace", 0.3, all)]);
    let config = json!({"sampling": {"version": 2, "rules": rules}});
    let (rig, office) = (Rig::new(), Office::open());
    office.set(KEY, state(KEY, 42, "a", &config));
    office.set(SEVENTH, state(SEVENTH, 7, "a", &config));
    let own = json!({"projects": [
        {"id": 42, "keys": [KEY]},
        {"id": 7, "keys": [SEVENTH], "sample": {"error": 0.5}},
    ]});
    let edge = rig.edge(&office, &own);
    wait_states(&edge, "both states", |states| states["keys"] == 2);
    let before = rig.upstream.requests().len();
    let sent = |project, key, name: &str, id: &str, root: &str| {
        let body = transaction(name, id, root);
        let answer = edge.ask("POST", &target(project, key), &[], &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    sent(42, KEY, "/health/live", LOW, KEY);
    sent(42, KEY, "/", HIGH, KEY);
    // The trace began in another project of the organization.
    sent(42, KEY, "/", HIGH, SEVENTH);
    assert_eq!(rig.upstream.requests().len(), before, "Sentry's rules");
    sent(42, KEY, "/", LOW, KEY);
    sent(42, KEY, "/", HIGH, OFF);
    // What a project says of its own goes before Sentry's word.
    sent(7, SEVENTH, "/health/live", HIGH, SEVENTH);
    rig.upstream.wait_for("those that are kept", |ledger| {
        (ledger.requests.len() == before + 3).then_some(())
    });
    let deadline = std::time::Instant::now() + HANG;
    while dropped(&edge, "reason=\"sampled\"") < 3.0 {
        assert!(std::time::Instant::now() < deadline, "it is in no book");
    }
    let told = edge.admin_get("/api/v1/projects/42").json();
    assert_eq!(told["told"]["sampling"], "sentry", "{told}");
    assert_eq!(told["told"]["left_to_sentry"], json!([]), "{told}");
    let told = edge.admin_get("/api/v1/projects/7").json();
    assert_eq!(told["told"]["sampling"], "configuration", "{told}");
    let text = explained(&edge, &json!([]), &transaction("/", HIGH, KEY));
    assert!(
        text.contains("Sentry's own sampling rules keep 30%"),
        "{text}"
    );
}
