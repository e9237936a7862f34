//! What Sentry tells a relay of its projects, from a stand-in that checks each signature: which
//! keys may send, and what was set on its pages, without anybody editing a file.

mod away;
mod crowds;
mod files;
mod office;
mod set;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::edge::{Edge, KEY, lay_over, program};
use crate::ingest::ENVELOPE;
use crate::parts::promises;
use crate::senders::{OFF, STRANGE, check_refused, reload, target};
use crate::upstream::{Fake, HANG};
use office::Office;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        a_key_is_asked_for_at_first_sight_and_a_disabled_one_refused,
        keys_that_are_named_are_asked_for_without_an_event,
        strict_lets_in_whom_sentry_knows,
        what_sentry_works_out_is_asked_for_until_it_is_there,
        what_has_not_changed_is_not_told_again,
        a_relay_that_is_none_of_sentrys_own_says_what_it_is_not_told,
        a_bare_disabled_is_believed_of_no_sentry_that_does_not_trust_the_relay,
        the_secret_is_in_nothing_that_is_shown,
    ];
    trials.extend(set::trials());
    trials.extend(away::trials());
    trials.extend(crowds::trials());
    trials.extend(files::trials());
    trials
}

/// A key of Sentry's project 7.
const SEVENTH: &str = "77777777777777777777777777777777";

/// Makes credentials, as an operator does.
fn credentials(folder: &Path) -> String {
    let file = folder.join("credentials.json");
    if !file.exists() {
        let mut command: Command = program();
        let made = command
            .args(["credentials", "generate"])
            .arg(&file)
            .output();
        let made = made.unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    file.display().to_string()
}

/// An edge of its own folder that asks this office.
struct Rig {
    upstream: Fake,
    folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        Self {
            upstream: Fake::start(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// What an edge is told that asks at this address; `more` lies above it.
    fn changes(&self, office: &str, more: &Value) -> Value {
        let mut changes = json!({
            "keys": {"mode": "learn"},
            "sentry": {
                "url": office,
                "credentials": credentials(self.folder.path()),
                "interval": "10s",
            },
            "log": {"level": "trace"},
        });
        lay_over(&mut changes, more);
        changes
    }

    #[track_caller]
    fn edge(&self, office: &Office, more: &Value) -> Edge {
        self.edge_at(&office.fake.url(), more)
    }

    #[track_caller]
    fn edge_at(&self, office: &str, more: &Value) -> Edge {
        let changes = self.changes(office, more);
        Edge::configured(&self.upstream.url(), &self.upstream.url(), changes)
    }

    /// Makes an edge ask for everything now: with another interval it begins anew.
    #[track_caller]
    fn ask_again(&self, edge: &Edge, office: &str, more: &Value) {
        let mut changes = self.changes(office, more);
        changes["sentry"]["interval"] = json!("11s");
        reload(edge, &self.upstream, &changes);
    }
}

/// A state of Sentry's with this `config`, of revision `rev`.
fn state(key: &str, project: u64, rev: &str, config: &Value) -> Value {
    json!({
        "projectId": project,
        "slug": format!("p{project}"),
        "organizationId": 1,
        "disabled": false,
        "rev": rev,
        "lastChange": "2026-01-01T00:00:00Z",
        "publicKeys": [{"publicKey": key, "numericId": project * 10, "isEnabled": true}],
        "config": config,
    })
}

/// What Sentry answers for a key that is switched off.
fn disabled() -> Value {
    json!({"disabled": true})
}

#[track_caller]
fn send(edge: &Edge, project: u64, key: &str) -> Answer {
    edge.ask("POST", &target(project, key), &[], ENVELOPE)
}

/// Sends until it is answered so, and yields the answer.
#[track_caller]
fn send_until(edge: &Edge, project: u64, key: &str, status: u16) -> Answer {
    let deadline = Instant::now() + HANG;
    loop {
        let answer = send(edge, project, key);
        if answer.status == status {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "never {status}, but {}: {}\n{}",
            answer.status,
            answer.text(),
            edge.log.text()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the status says so of states, and yields all of it.
#[track_caller]
fn wait_states(edge: &Edge, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + HANG;
    loop {
        let status = edge.admin_get("/api/v1/status").json();
        if is_so(&status["keys"]["states"]) {
            return status;
        }
        assert!(
            Instant::now() < deadline,
            "the status never has {what}: {status}\n{}",
            edge.log.text()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn a_key_is_asked_for_at_first_sight_and_a_disabled_one_refused() {
    let (rig, office) = (Rig::new(), Office::open());
    office.set(KEY, state(KEY, 42, "a", &json!({})));
    office.set(OFF, disabled());
    let edge = rig.edge(&office, &json!({}));
    // Nobody has to wait for Sentry.
    for key in [KEY, OFF, STRANGE] {
        assert_eq!(send(&edge, 42, key).status, 200, "{key}");
    }
    check_refused("off", &send_until(&edge, 42, OFF, 403), 403, "disabled_key");
    let answer = send_until(&edge, 42, STRANGE, 403);
    check_refused("made up", &answer, 403, "unknown_key");
    wait_states(&edge, "a state", |states| states["keys"] == 1);
    assert_eq!(send(&edge, 42, KEY).status, 200);
    check_refused("astray", &send(&edge, 7, KEY), 403, "wrong_project");
    // Each was asked for once, however often it was seen.
    let asked = office.books().asked.clone();
    let times = |key: &str| asked.iter().flatten().filter(|asked| *asked == key).count();
    assert_eq!([KEY, OFF, STRANGE].map(times), [1, 1, 1], "{asked:?}");
    assert_eq!(office.books().registrations, 1);
    let status = wait_states(&edge, "it", |states| states["registered"] == true);
    assert_eq!(status["light"], "green", "{status}");
    assert_eq!(status["keys"]["named"], 1, "{status}");
}

fn keys_that_are_named_are_asked_for_without_an_event() {
    let (rig, office) = (Rig::new(), Office::open());
    office.set(OFF, disabled());
    let projects = json!({"projects": [{"id": 42, "keys": [KEY, OFF]}]});
    let edge = rig.edge(&office, &projects);
    wait_states(&edge, "one state", |states| states["keys"] == 1);
    // Nobody enables what Sentry has disabled, and a name stands for what Sentry does not know.
    check_refused("off", &send(&edge, 42, OFF), 403, "disabled_key");
    assert_eq!(send(&edge, 42, KEY).status, 200);
    office.set(SEVENTH, disabled());
    let more = json!({"projects": [{"id": 42, "keys": [KEY, OFF]}, {"id": 7, "keys": [SEVENTH]}]});
    reload(
        &edge,
        &rig.upstream,
        &rig.changes(&office.fake.url(), &more),
    );
    wait_states(&edge, "both", |states| states["keys"] == 2);
    check_refused("off, too", &send(&edge, 7, SEVENTH), 403, "disabled_key");
}

fn strict_lets_in_whom_sentry_knows() {
    let (rig, office) = (Rig::new(), Office::open());
    office.set(KEY, state(KEY, 42, "a", &json!({})));
    office.set(SEVENTH, state(SEVENTH, 7, "a", &json!({})));
    let strict = json!({
        "keys": {"mode": "strict"},
        "projects": [{"id": 7, "keys": [OFF]}],
    });
    let edge = rig.edge(&office, &strict);
    assert_eq!(
        send(&edge, 42, KEY).status,
        200,
        "its state is being fetched"
    );
    let answer = send_until(&edge, 42, STRANGE, 403);
    check_refused("made up", &answer, 403, "unknown_key");
    // A project whose keys are named takes others once Sentry knows them.
    check_refused("not yet", &send(&edge, 7, SEVENTH), 403, "unknown_key");
    send_until(&edge, 7, SEVENTH, 200);
    let question = json!({
        "method": "POST",
        "path": target(42, STRANGE),
        "headers": [],
        "peer": "127.0.0.1",
        "body_base64": "",
    });
    let question = question.to_string();
    let told = crate::explained::post(&edge, "/api/v1/explain", question.as_bytes()).text();
    assert!(told.contains("Sentry is asked for each key"), "{told}");
    assert!(told.contains("unknown_key"), "{told}");
}

fn what_sentry_works_out_is_asked_for_until_it_is_there() {
    let (rig, office) = (Rig::new(), Office::open());
    office.set(OFF, disabled());
    office.books().pending.insert(OFF.to_owned(), u32::MAX);
    let edge = rig.edge(&office, &json!({}));
    assert_eq!(send(&edge, 42, OFF).status, 200);
    wait_states(&edge, "a key worked out", |states| states["pending"] == 1);
    office.fake.wait_for("a third question", |_| {
        (office.books().asked.len() >= 3).then_some(())
    });
    assert_eq!(send(&edge, 42, OFF).status, 200);
    office.books().pending.clear();
    check_refused("off", &send_until(&edge, 42, OFF, 403), 403, "disabled_key");
    wait_states(&edge, "nothing pending", |states| states["pending"] == 0);
}

fn what_has_not_changed_is_not_told_again() {
    let (rig, office) = (Rig::new(), Office::open());
    office.set(
        KEY,
        state(KEY, 42, "a", &json!({"allowedDomains": ["shop.example"]})),
    );
    let edge = rig.edge(&office, &json!({}));
    assert_eq!(send(&edge, 42, KEY).status, 200);
    wait_states(&edge, "a state", |states| states["keys"] == 1);
    // After its interval, by itself.
    office.fake.wait_for("a second question", |_| {
        (office.books().unchanged >= 1).then_some(())
    });
    let foreign = [("Origin", "https://blog.example")];
    let answer = edge.ask("POST", &target(42, KEY), &foreign, ENVELOPE);
    check_refused("another page", &answer, 403, "origin");
}

fn a_relay_that_is_none_of_sentrys_own_says_what_it_is_not_told() {
    let (rig, office) = (Rig::new(), Office::open());
    office.books().external = true;
    let quota = json!({"id": "p", "scope": "project", "limit": 0, "reasonCode": "project_quota"});
    let config = json!({"quotas": [quota], "allowedDomains": ["shop.example"]});
    office.set(KEY, state(KEY, 42, "a", &config));
    office.set(OFF, disabled());
    let edge = rig.edge(&office, &json!({}));
    for key in [KEY, OFF] {
        assert_eq!(send(&edge, 42, key).status, 200, "{key}");
    }
    let status = wait_states(&edge, "what is withheld", |states| {
        states["keys"] == 1 && states["withheld"] == 1
    });
    assert_eq!(status["light"], "green", "{status}");
    assert_eq!(status["keys"]["states"]["quotas_given"], false, "{status}");
    let notes = status["notes"].to_string();
    assert!(notes.contains("keeps quotas from this relay"), "{notes}");
    assert!(notes.contains("of 1 keys Sentry says no more"), "{notes}");
    // The rest of the state counts, and what may not be meant does not.
    let foreign = [("Origin", "https://blog.example")];
    let answer = edge.ask("POST", &target(42, KEY), &foreign, ENVELOPE);
    check_refused("another page", &answer, 403, "origin");
    for key in [KEY, OFF] {
        assert_eq!(send(&edge, 42, key).status, 200, "{key}");
    }
}

/// To a relay that an organization does not trust Sentry calls all of its keys disabled
/// (PROTOCOL 9): every event of its projects would be refused here, and be taken there.
fn a_bare_disabled_is_believed_of_no_sentry_that_does_not_trust_the_relay() {
    let (rig, office) = (Rig::new(), Office::open());
    office.set(OFF, disabled());
    let mut said = state(SEVENTH, 7, "a", &json!({}));
    said["disabled"] = json!(true);
    office.set(SEVENTH, said);
    let named = json!({"projects": [{"id": 42, "keys": [OFF]}, {"id": 7, "keys": [SEVENTH]}]});
    let edge = rig.edge(&office, &named);
    wait_states(&edge, "both", |states| states["keys"] == 2);
    check_refused("off", &send(&edge, 42, OFF), 403, "disabled_key");
    check_refused("all off", &send(&edge, 7, SEVENTH), 403, "disabled_key");
    // The same words mean nothing once Sentry takes the relay for a stranger.
    office.books().external = true;
    rig.ask_again(&edge, &office.fake.url(), &named);
    assert_eq!(send_until(&edge, 42, OFF, 200).status, 200);
    let status = wait_states(&edge, "what is withheld", |states| states["withheld"] == 1);
    assert_eq!(status["light"], "green", "{status}");
    // Of a project that it names, it is meant.
    check_refused("all off", &send(&edge, 7, SEVENTH), 403, "disabled_key");
}

fn the_secret_is_in_nothing_that_is_shown() {
    let (rig, office) = (Rig::new(), Office::open());
    office.set(KEY, state(KEY, 42, "a", &json!({})));
    let edge = rig.edge(&office, &json!({"projects": [{"id": 42, "keys": [KEY]}]}));
    wait_states(&edge, "a state", |states| states["keys"] == 1);
    let file = std::fs::read(rig.folder.path().join("credentials.json")).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    let secret = file["secret_key"].as_str().unwrap();
    for path in [
        "/api/v1/config",
        "/api/v1/status",
        "/metrics",
        "/api/v1/projects/42",
    ] {
        let text = edge.admin_get(path).text();
        assert!(!text.contains(secret), "{path}: {text}");
    }
    edge.log.wait_for_text("Sentry has told of its projects");
    assert!(!edge.log.text().contains(secret), "the log has the secret");
    for request in office.fake.requests() {
        assert!(!format!("{request:?}").contains(secret), "{request:#?}");
    }
    let config = edge.admin_get("/api/v1/config").text();
    assert!(config.contains("credentials.json"), "{config}");
}
