//! A Relay's `projects/<id>.json`, read as Sentry's own states are.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::office::Office;
use super::{OFF, Rig, SEVENTH, disabled, send, send_until, state, wait_states};
use crate::edge::{Edge, KEY};
use crate::parts::promises;
use crate::senders::{STRANGE, check_refused, reload};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        files_of_a_relay_are_in_force_from_the_start_and_after_a_change,
        a_file_that_cannot_be_read_is_an_amber_light_and_spoils_no_other,
        what_a_file_said_stands_while_it_is_half_written,
        a_file_goes_before_sentry_but_enables_nothing,
    ]
}

/// A file as Relay's own.
fn file(keys: &[(&str, bool)], config: &Value) -> Value {
    let keys = keys.iter();
    let keys = keys.map(|(key, enabled)| json!({"publicKey": key, "isEnabled": enabled}));
    json!({"slug": "shop", "publicKeys": keys.collect::<Vec<_>>(), "config": config})
}

fn write(rig: &Rig, name: &str, content: &str) -> Value {
    let folder = rig.folder.path().join("projects");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), content).unwrap();
    json!({"keys": {"mode": "strict"}, "sentry": {"projects": folder}})
}

#[track_caller]
fn edge(rig: &Rig, changes: Value) -> Edge {
    Edge::configured(&rig.upstream.url(), &rig.upstream.url(), changes)
}

fn files_of_a_relay_are_in_force_from_the_start_and_after_a_change() {
    let rig = Rig::new();
    let limit = json!({"scope": "project", "limit": 1, "window": 86_400, "reasonCode": "few"});
    let first = file(&[(KEY, true), (OFF, false)], &json!({"quotas": [limit]}));
    let changes = write(&rig, "42.json", &first.to_string());
    let edge = edge(&rig, changes.clone());
    assert_eq!(send(&edge, 42, KEY).status, 200);
    let full = send(&edge, 42, KEY);
    let limits = full.header("x-sentry-rate-limits").unwrap();
    assert!(full.status == 429 && limits.ends_with(":few"), "{limits}");
    check_refused("off", &send(&edge, 42, OFF), 403, "disabled_key");
    check_refused("nobody's", &send(&edge, 42, STRANGE), 403, "unknown_key");
    let second = file(&[(KEY, true), (STRANGE, true)], &json!({}));
    write(&rig, "42.json", &second.to_string());
    send_until(&edge, 42, STRANGE, 200);
    assert_eq!(send(&edge, 42, KEY).status, 200);
    check_refused("gone", &send(&edge, 42, OFF), 403, "unknown_key");
    let told = edge.admin_get("/api/v1/projects/42").json();
    assert_eq!(told["told"]["by"], "file", "{told}");
    assert_eq!(told["keys"][0]["source"], "file", "{told}");
    // What counts is what the configuration names now.
    let mut none = changes;
    none["sentry"] = json!({});
    none["keys"] = json!({"mode": "learn"});
    reload(&edge, &rig.upstream, &none);
    assert_eq!(send(&edge, 42, OFF).status, 200);
}

fn a_file_that_cannot_be_read_is_an_amber_light_and_spoils_no_other() {
    let rig = Rig::new();
    write(&rig, "7.json", "{");
    let good = file(&[(KEY, true)], &json!({}));
    let changes = write(&rig, "42.json", &good.to_string());
    let edge = edge(&rig, changes);
    assert_eq!(send(&edge, 42, KEY).status, 200);
    edge.log.wait_for("a warning", |line| {
        (line.contains("WARN") && line.contains("7.json")).then_some(())
    });
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(status["light"], "amber", "{status}");
    let reasons = status["reasons"].to_string();
    assert!(
        reasons.contains("sentry.projects: 7.json is no JSON object"),
        "{reasons}"
    );
    // Whom it names nobody knows.
    assert_eq!(send(&edge, 7, SEVENTH).status, 200);
    assert!(reasons.contains("strict is not in force yet"), "{reasons}");
    let mended = file(&[(SEVENTH, true)], &json!({}));
    write(&rig, "7.json", &mended.to_string());
    let answer = send_until(&edge, 7, STRANGE, 403);
    check_refused("nobody's", &answer, 403, "unknown_key");
    assert_eq!(send(&edge, 7, SEVENTH).status, 200);
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(status["light"], "green", "{status}");
}

fn what_a_file_said_stands_while_it_is_half_written() {
    let rig = Rig::new();
    let good = file(&[(KEY, true)], &json!({})).to_string();
    let changes = write(&rig, "42.json", &good);
    let edge = edge(&rig, changes);
    assert_eq!(send(&edge, 42, KEY).status, 200);
    write(&rig, "42.json", good.get(..20).unwrap());
    edge.log.wait_for("a warning", |line| {
        (line.contains("WARN") && line.contains("42.json")).then_some(())
    });
    assert_eq!(send(&edge, 42, KEY).status, 200);
    check_refused("nobody's", &send(&edge, 42, STRANGE), 403, "unknown_key");
    let status = edge.admin_get("/api/v1/status").json();
    let reasons = status["reasons"].to_string();
    assert!(reasons.contains("42.json is no JSON object"), "{reasons}");
    std::fs::remove_file(rig.folder.path().join("projects/42.json")).unwrap();
    let answer = send_until(&edge, 42, KEY, 403);
    check_refused("gone", &answer, 403, "unknown_key");
}

fn a_file_goes_before_sentry_but_enables_nothing() {
    let (rig, office) = (Rig::new(), Office::open());
    let domains = |domain: &str| json!({"allowedDomains": [domain]});
    office.set(KEY, state(KEY, 42, "a", &domains("sentry.example")));
    office.set(OFF, disabled());
    let both = file(&[(KEY, true), (OFF, true)], &domains("file.example"));
    let mut changes = write(&rig, "42.json", &both.to_string());
    changes["projects"] = json!([{"id": 42, "keys": [KEY, OFF]}]);
    let edge = rig.edge(&office, &changes);
    wait_states(&edge, "both states", |states| states["keys"] == 2);
    check_refused("off", &send(&edge, 42, OFF), 403, "disabled_key");
    let page = |page| {
        let target = crate::senders::target(42, KEY);
        edge.ask(
            "POST",
            &target,
            &[("Origin", page)],
            crate::ingest::ENVELOPE,
        )
    };
    assert_eq!(page("https://file.example").status, 200);
    check_refused("Sentry's", &page("https://sentry.example"), 403, "origin");
}
