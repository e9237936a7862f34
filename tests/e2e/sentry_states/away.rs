//! What was told serves while Sentry is away, over a restart too; and a relay that Sentry does not
//! know, or refuses, says so.

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::office::Office;
use super::{OFF, Rig, disabled, send, send_until, state, wait_states};
use crate::edge::{Edge, KEY};
use crate::incidents::once;
use crate::parts::promises;
use crate::senders::{STRANGE, check_refused};
use crate::upstream::{HANG, Silent};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        what_was_told_stands_while_sentry_is_away_and_is_asked_for_once_it_is_back,
        a_restart_without_sentry_begins_with_what_was_told,
        a_damaged_copy_is_asked_for_anew,
        a_copy_of_another_sentrys_word_is_not_believed,
        a_sentry_that_has_forgotten_the_relay_is_told_of_it_again,
        a_relay_that_is_refused_for_good_asks_no_more,
        a_slow_sentry_keeps_no_event_waiting,
    ]
}

/// An office that knows one key, and has switched another off.
fn office() -> Office {
    let office = Office::open();
    office.set(
        KEY,
        state(KEY, 42, "a", &json!({"allowedDomains": ["shop.example"]})),
    );
    office.set(OFF, disabled());
    office
}

fn named() -> Value {
    json!({"projects": [{"id": 42, "keys": [KEY, OFF]}]})
}

/// What was told is in force.
#[track_caller]
fn check_told(edge: &Edge) {
    assert_eq!(send(edge, 42, KEY).status, 200);
    check_refused("off", &send(edge, 42, OFF), 403, "disabled_key");
}

#[track_caller]
fn wait_failing(edge: &Edge) -> Value {
    wait_states(edge, "a failure", |states| states["failing"].is_string())
}

fn what_was_told_stands_while_sentry_is_away_and_is_asked_for_once_it_is_back() {
    let rig = Rig::new();
    let office = office();
    let edge = rig.edge(&office, &named());
    wait_states(&edge, "both states", |states| states["keys"] == 2);
    check_told(&edge);
    office.books().away = true;
    let status = wait_failing(&edge);
    assert_eq!(status["light"], "amber", "{status}");
    let reason = status["reasons"][0].as_str().unwrap();
    assert!(reason.contains("what Sentry says of projects"), "{reason}");
    check_told(&edge);
    // Nobody is refused for what cannot be asked.
    assert_eq!(send(&edge, 42, STRANGE).status, 200);
    office.books().away = false;
    wait_states(&edge, "an answer again", |states| {
        states["failing"].is_null()
    });
    check_refused(
        "made up",
        &send_until(&edge, 42, STRANGE, 403),
        403,
        "unknown_key",
    );
    check_told(&edge);
}

/// An edge on this folder that was told, and is stopped; yields who told it.
#[track_caller]
fn leave_copy(rig: &Rig, state: &Value) -> Office {
    let office = office();
    let mut more = named();
    more["state"] = state.clone();
    let mut edge = rig.edge(&office, &more);
    wait_states(&edge, "both states", |states| states["keys"] == 2);
    let copy = rig.folder.path().join("state/sentry-states");
    let deadline = std::time::Instant::now() + HANG;
    while !copy.exists() {
        assert!(std::time::Instant::now() < deadline, "no copy is kept");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    edge.signal(Signal::TERM);
    assert_eq!(edge.wait_end().code(), Some(0), "{}", edge.log.text());
    office
}

fn a_restart_without_sentry_begins_with_what_was_told() {
    let rig = Rig::new();
    let folder = json!({"path": rig.folder.path().join("state")});
    let office = leave_copy(&rig, &folder);
    office.books().away = true;
    let copy = std::fs::metadata(rig.folder.path().join("state/sentry-states")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&copy.permissions());
    assert_eq!(mode & 0o777, 0o600);
    let edge = rig.edge(&office, &json!({"state": folder}));
    // From the first request on, whether or not Sentry was asked already, and though nobody
    // names the keys.
    check_told(&edge);
    let status = wait_failing(&edge);
    assert_eq!(status["keys"]["states"]["keys"], 2, "{status}");
    let foreign = [("Origin", "https://blog.example")];
    let target = crate::senders::target(42, KEY);
    let answer = edge.ask("POST", &target, &foreign, crate::ingest::ENVELOPE);
    check_refused("another page", &answer, 403, "origin");
}

fn a_damaged_copy_is_asked_for_anew() {
    let rig = Rig::new();
    let folder = json!({"path": rig.folder.path().join("state")});
    let office = leave_copy(&rig, &folder);
    let file = rig.folder.path().join("state/sentry-states");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let edge = rig.edge(&office, &json!({"state": folder}));
    edge.log.wait_for("a warning", |line| {
        (line.contains("WARN") && line.contains("asked for anew")).then_some(())
    });
    check_refused("off", &send_until(&edge, 42, OFF, 403), 403, "disabled_key");
}

fn a_copy_of_another_sentrys_word_is_not_believed() {
    let rig = Rig::new();
    let folder = json!({"path": rig.folder.path().join("state")});
    leave_copy(&rig, &folder);
    let edge = rig.edge_at(&Silent::reserve().url(), &json!({"state": folder}));
    edge.log.wait_for("a warning", |line| {
        (line.contains("WARN") && line.contains("another Sentry's")).then_some(())
    });
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(status["keys"]["states"]["keys"], 0, "{status}");
    assert_eq!(send(&edge, 42, OFF).status, 200);
}

fn a_sentry_that_has_forgotten_the_relay_is_told_of_it_again() {
    let rig = Rig::new();
    let office = office();
    let edge = rig.edge(&office, &named());
    wait_states(&edge, "both states", |states| states["keys"] == 2);
    office.books().registered.clear();
    office.set(KEY, disabled());
    check_refused(
        "off now",
        &send_until(&edge, 42, KEY, 403),
        403,
        "disabled_key",
    );
    assert_eq!(office.books().registrations, 2);
    let status = wait_states(&edge, "no failure", |states| states["failing"].is_null());
    assert_eq!(status["light"], "green", "{status}");
}

fn a_relay_that_is_refused_for_good_asks_no_more() {
    let rig = Rig::new();
    let office = office();
    let refusal = json!({"detail": "relay is not allowed", "relay": "stop"});
    office.books().refuses = Some((403, refusal));
    let edge = rig.edge(&office, &named());
    let status = wait_states(&edge, "an end", |states| states["stopped"] == true);
    assert_eq!(status["light"], "amber", "{status}");
    let reasons = status["reasons"].to_string();
    assert!(reasons.contains("vidette credentials show"), "{reasons}");
    let incident = once(&edge, "active", "states_stale");
    assert_eq!(incident["subject"], "sentry", "{incident}");
    let says = incident["says"].as_str().unwrap();
    assert!(
        says.contains("Sentry refuses this relay for good"),
        "{says}"
    );
    let asked = office.fake.requests().len();
    assert_eq!(send(&edge, 42, STRANGE).status, 200);
    edge.wait_metric("vidette_requests_total", &["route=\"ingest\""], 1.0);
    assert_eq!(office.fake.requests().len(), asked);
    // Whoever has mended it says so.
    office.books().refuses = None;
    rig.ask_again(&edge, &office.fake.url(), &named());
    check_refused("off", &send_until(&edge, 42, OFF, 403), 403, "disabled_key");
    let ended = once(&edge, "ended", "states_stale");
    assert_eq!(ended["id"], incident["id"]);
}

fn a_slow_sentry_keeps_no_event_waiting() {
    let rig = Rig::new();
    // It takes connections, and says nothing.
    let silent = Silent::reserve();
    let door = crate::upstream::Door::default();
    let behind = door.clone();
    let url = silent.url();
    let fake = silent.listen(move |exchange| {
        behind.pass();
        exchange.answer(503, &[], b"{}")
    });
    let edge = rig.edge_at(&url, &named());
    fake.wait_for("a question", |ledger| {
        (!ledger.requests.is_empty()).then_some(())
    });
    for key in [KEY, OFF, STRANGE] {
        assert_eq!(send(&edge, 42, key).status, 200, "{key}");
    }
    door.open();
    let status = wait_failing(&edge);
    assert!(status["reasons"].to_string().contains("503"), "{status}");
}
