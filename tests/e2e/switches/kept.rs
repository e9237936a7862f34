//! What a start knows of the switches that were on.

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::edge::{Edge, KEY};
use crate::parts::promises;
use crate::upstream::Fake;

use super::{EVENT, delete, edge, switch};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        switches_outlive_a_kill,
        a_damaged_file_stops_no_start,
    ]
}

#[track_caller]
fn killed(mut edge: Edge) {
    edge.signal(Signal::KILL);
    edge.wait_end();
}

fn switches_outlive_a_kill() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let state = json!({"state": {"path": place.path()}});
    let first = edge(&fake, &state);
    let said = switch(&first, json!({"by": "ops@there", "why": "a storm"}));
    assert_eq!(
        (&said["kept"], &said["replaced"]),
        (&json!(true), &json!(null))
    );
    let ended = switch(&first, json!({"project": 7}));
    assert_eq!(delete(&first, &ended["id"]).status, 200);
    let limit = json!({"project": 8, "action": "limit", "value": "3/30d"});
    switch(&first, limit);
    let eight = crate::senders::target(8, KEY.replace('a', "c").as_str());
    assert_eq!(first.ask("POST", &eight, &[], EVENT).status, 200);
    killed(first);
    let again = edge(&fake, &state);
    assert_eq!(again.post_envelope(&[], EVENT).status, 429);
    let listed = again.admin_get("/api/v1/mutes?history=true").json();
    let on = &listed["switches"][0];
    assert_eq!(
        (&on["by"], &on["why"]),
        (&json!("ops@there"), &json!("a storm"))
    );
    assert_eq!(
        (&on["id"], &on["expires_at"]),
        (&said["id"], &said["expires_at"])
    );
    let was = &listed["ended"][0];
    assert_eq!(
        (&was["project"], &was["end"]),
        (&json!(7), &json!("removed"))
    );
    // The limit counts on from where it was.
    let statuses = [(); 3].map(|()| again.ask("POST", &eight, &[], EVENT).status);
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(delete(&again, &on["id"]).status, 200);
    killed(again);
    let last = edge(&fake, &state);
    assert_eq!(
        last.post_envelope(&[], EVENT).status,
        200,
        "nobody muted it again"
    );
}

fn a_damaged_file_stops_no_start() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let state = json!({"state": {"path": place.path()}});
    let first = edge(&fake, &state);
    switch(&first, json!({}));
    killed(first);
    let path = place.path().join("switches");
    std::fs::write(&path, b"{\"version\":1,").unwrap();
    let again = edge(&fake, &state);
    assert_eq!(again.post_envelope(&[], EVENT).status, 200);
    let log = again.log.text();
    assert!(
        log.contains("which switches were on cannot be read"),
        "{log}"
    );
    assert!(place.path().join("switches.unread").exists());
    switch(&again, json!({}));
    assert_eq!(again.post_envelope(&[], EVENT).status, 429);
}
