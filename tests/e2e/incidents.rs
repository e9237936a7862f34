//! Incidents: one line in the log when something goes wrong and one when it is over, the same over
//! the API, and to a webhook, whatever that does. Never about how an outage is survived.

mod journal;
mod webhook;

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::edge::{Edge, configuration, envelope_target};
use crate::parts::promises;
use crate::spool::{arrived, check_taken, event, keeping, says};
use crate::upstream::{Fake, HANG, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        an_outage_is_one_line_at_its_start_and_one_at_its_end,
        what_is_lost_is_told_as_the_books_have_it,
        a_spool_that_fills_is_an_incident_and_maintenance_is_none,
        an_outage_is_not_over_since_maintenance_begins,
        a_refused_reload_is_one_until_the_file_is_mended,
        an_edge_that_is_well_has_none,
    ];
    trials.extend(journal::trials());
    trials.extend(webhook::trials());
    trials
}

/// `/api/v1/incidents`.
#[track_caller]
fn told(edge: &Edge) -> Value {
    edge.admin_get("/api/v1/incidents").json()
}

/// The first incident of a list and a kind, once there is one.
#[track_caller]
pub(crate) fn once(edge: &Edge, list: &str, kind: &str) -> Value {
    let deadline = Instant::now() + HANG;
    loop {
        let all = told(edge);
        let of_list = all[list].as_array().unwrap();
        if let Some(one) = of_list.iter().find(|one| one["kind"] == kind) {
            return one.clone();
        }
        assert!(Instant::now() < deadline, "no {kind} is {list}: {all}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn active(edge: &Edge, kind: &str) -> f64 {
    let label = format!("kind=\"{kind}\"");
    edge.metric("vidette_incidents_active", &[&label])
}

/// The lines of the log with this text.
fn lines(edge: &Edge, text: &str) -> Vec<String> {
    let log = edge.log.text();
    let lines = log.lines().filter(|line| line.contains(text));
    lines.map(str::to_owned).collect()
}

fn an_outage_is_one_line_at_its_start_and_one_at_its_end() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let web = Fake::start();
    let edge = keeping(
        &down.url(),
        place.path(),
        &json!({"upstream": {"web": [web.url()]}}),
    );
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    let incident = once(&edge, "active", "not_delivering");
    assert_eq!(incident["subject"], "ingest");
    assert_eq!(incident["severity"], "ticket");
    let says_so = "the upstream does not take events: they are kept";
    assert_eq!(incident["says"], says_so);
    assert!(
        incident["advice"]
            .as_str()
            .unwrap()
            .contains("vidette doctor dns"),
        "{incident}"
    );
    assert_eq!(
        incident["loss"],
        json!({"items": 0, "bytes": 0, "by_reason": {}})
    );
    assert!((active(&edge, "not_delivering") - 1.0).abs() < 0.1);
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(status["incidents"][0]["id"], incident["id"]);
    let said = says(&edge, &["status"]);
    let line = format!("ticket   not_delivering ingest: {says_so} (since ");
    assert!(said.contains(&line), "{said}");
    let up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    arrived(&up, 1);
    let ended = once(&edge, "ended", "not_delivering");
    assert_eq!(ended["id"], incident["id"]);
    assert!(
        ended["ended_at"].as_str() > ended["started_at"].as_str(),
        "{ended}"
    );
    assert_eq!(told(&edge)["active"], json!([]));
    assert!(active(&edge, "not_delivering") < 0.1);
    let id = incident["id"].as_str().unwrap();
    let [start, end] = lines(&edge, id).try_into().unwrap();
    for words in [
        "WARN",
        says_so,
        "kind=\"not_delivering\"",
        "subject=\"ingest\"",
        "since=\"20",
        "lost_items=0",
        "advice=\"docker compose ps relay web; ",
    ] {
        assert!(start.contains(words), "no {words} in {start}");
    }
    for words in [
        "INFO",
        "the upstream takes requests again",
        "lasted=\"",
        "lost_items=0",
    ] {
        assert!(end.contains(words), "no {words} in {end}");
    }
    assert_eq!(lines(&edge, "does not take events").len(), 1);
}

fn what_is_lost_is_told_as_the_books_have_it() {
    let down = Silent::reserve();
    let edge = Edge::configured(
        &down.url(),
        &Fake::start().url(),
        json!({"upstream": {"probe_interval": "50ms"}}),
    );
    let lose = |count: u32| {
        for number in 0..count {
            let answer = edge.post_envelope(&[], &event(number));
            assert_eq!(answer.status / 100, 5, "{}", answer.text());
        }
    };
    lose(7);
    let loss = once(&edge, "active", "loss");
    assert_eq!(
        (&loss["subject"], &loss["severity"]),
        (&json!("no_upstream"), &json!("page"))
    );
    lose(3);
    let booked = booked(&edge);
    assert_eq!(booked["items"], 10);
    let deadline = Instant::now() + HANG;
    let told = loop {
        let now = once(&edge, "active", "loss")["loss"].clone();
        if now["items"] == booked["items"] {
            break now;
        }
        assert!(Instant::now() < deadline, "{now} is not {booked}");
        thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(told["bytes"], booked["bytes"]);
    assert_eq!(told["by_reason"], json!({"no_upstream": booked}));
    // It was away while they were lost, and says so too.
    let outage = once(&edge, "active", "not_delivering");
    assert_eq!(
        outage["says"],
        "the upstream does not take events: they are lost"
    );
    let lines = lines(&edge, "kind=\"loss\"");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("ERROR") && lines[0].contains("advice=\"vidette status"));
    let up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let ended = once(&edge, "ended", "not_delivering");
    assert_eq!(ended["id"], outage["id"]);
    assert_eq!(ended["loss"]["items"].as_u64(), Some(10), "{ended}");
    drop(up);
}

/// What the ledger says is lost for want of an upstream, once nothing is in flight.
#[track_caller]
fn booked(edge: &Edge) -> Value {
    let ledger = crate::quotas::settled(edge);
    let rows = ledger["rows"].as_array().unwrap();
    let sum = |unit: &str| -> u64 {
        let lost = rows.iter().map(|row| &row[unit]["dropped"]["no_upstream"]);
        lost.filter_map(Value::as_u64).sum()
    };
    json!({"items": sum("items"), "bytes": sum("bytes")})
}

fn a_spool_that_fills_is_an_incident_and_maintenance_is_none() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let changes = json!({"spool": {"max_bytes": "1MiB"}});
    let edge = keeping(&fake.url(), place.path(), &changes);
    says(&edge, &["maintenance", "on", "--for", "10m"]);
    let large = format!(
        "{{\"event_id\":\"{:032x}\"}}\n{{\"type\":\"event\",\"length\":100002}}\n\"{}\"\n",
        1,
        "x".repeat(100_000)
    );
    for _ in 0..8 {
        assert_eq!(edge.post_envelope(&[], large.as_bytes()).status, 200);
    }
    let filling = once(&edge, "active", "spool_filling");
    assert_eq!(
        (&filling["severity"], &filling["subject"]),
        (&json!("page"), &json!("spool"))
    );
    let all = told(&edge);
    assert_eq!(all["active"].as_array().unwrap().len(), 1, "{all}");
    says(&edge, &["maintenance", "off"]);
    arrived(&fake, 8);
    once(&edge, "ended", "spool_filling");
}

fn an_outage_is_not_over_since_maintenance_begins() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let web = Fake::start();
    let changes = json!({"upstream": {"web": [web.url()]}});
    let edge = keeping(&down.url(), place.path(), &changes);
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    let outage = once(&edge, "active", "not_delivering");
    says(&edge, &["maintenance", "on", "--for", "10m"]);
    // By looks, each two seconds: more than would end it.
    let frame = || {
        let history = edge.admin_get("/api/v1/history?frames=1").json();
        history["fine"][0][0].as_u64().unwrap()
    };
    let first = frame();
    let deadline = Instant::now() + HANG;
    while frame() < first + 8 {
        assert!(Instant::now() < deadline, "nobody looks");
        thread::sleep(Duration::from_millis(100));
    }
    let all = told(&edge);
    assert_eq!(all["active"][0]["id"], outage["id"], "{all}");
    assert_eq!(all["ended"], json!([]), "{all}");
    let _up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    says(&edge, &["maintenance", "off"]);
    let ended = once(&edge, "ended", "not_delivering");
    assert_eq!(ended["id"], outage["id"]);
    assert_eq!(ended["says"], "the upstream takes requests again");
    assert_eq!(
        (&ended["was"], &ended["advice"]),
        (&outage["says"], &json!(""))
    );
}

fn a_refused_reload_is_one_until_the_file_is_mended() {
    let fake = Fake::start();
    let text = configuration(&fake.url(), &fake.url(), &json!({})).to_string();
    let edge = Edge::run(&text, &[]);
    edge.rewrite("nonsense: true");
    let refused = once(&edge, "active", "reload_refused");
    assert_eq!(refused["subject"], "configuration");
    let said = refused["says"].as_str().unwrap();
    assert!(
        said.starts_with("the changed configuration was refused: ")
            && said.contains(":1:1: error: unknown key \"nonsense\""),
        "{said}"
    );
    edge.rewrite(&text.replace("\"debug\"", "\"info\""));
    let ended = once(&edge, "ended", "reload_refused");
    assert_eq!(ended["id"], refused["id"]);
    // Errors are a line each.
    let log = edge.log.text();
    for words in [
        " ERROR the configuration was not reloaded",
        "unknown key \"nonsense\"",
        "kind=\"reload_refused\" advice=\"The old one stays in force. vidette check says",
    ] {
        assert_eq!(log.matches(words).count(), 1, "{words} in:\n{log}");
    }
    assert_eq!(log.matches("reload_refused").count(), 1, "{log}");
}

fn an_edge_that_is_well_has_none() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    for _ in 0..3 {
        assert_eq!(
            edge.ask("POST", &envelope_target(), &[], &event(1)).status,
            200
        );
    }
    let all = told(&edge);
    assert_eq!(
        all,
        json!({"active": [], "ended": [], "more": 0, "webhook": null})
    );
    assert_eq!(edge.metric("vidette_incidents_active", &[]), 0.0);
}
