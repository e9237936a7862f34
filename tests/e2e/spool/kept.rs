//! What is kept, what its client hears, and what is not kept.

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::edge::KEY;
use crate::parts::promises;
use crate::upstream::{Fake, Silent};

use super::{arrived, booked, check_taken, emptied, event, ids, keeping, spool};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        what_the_upstream_does_not_take_arrives_later_in_order,
        each_endpoint_answers_as_its_upstream_would,
        what_cannot_wait_is_refused,
        a_kill_loses_nothing_that_was_answered,
        a_start_without_an_upstream_takes_events,
        without_a_place_it_runs_and_says_so,
        the_less_valuable_is_refused_first,
    ]
}

fn what_the_upstream_does_not_take_arrives_later_in_order() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    for number in 0..50 {
        check_taken(&edge.post_envelope(&[], &event(number)), number);
    }
    assert_eq!(spool(&edge)["items"], 50);
    let row = booked(&edge, "error");
    assert_eq!(
        (&row["received"], &row["spooled"]),
        (&json!(50), &json!(50)),
        "{row}"
    );
    assert!((edge.metric("vidette_spool_items", &[]) - 50.0).abs() < f64::EPSILON);
    let up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let requests = arrived(&up, 50);
    assert_eq!(
        ids(&requests),
        (0..50).collect::<Vec<_>>(),
        "in order, and once"
    );
    assert_eq!(requests[0].body, event(0), "byte for byte");
    emptied(&edge);
    let row = booked(&edge, "error");
    assert_eq!(
        (&row["forwarded"], &row["spooled"]),
        (&json!(50), &json!(0)),
        "{row}"
    );
    assert!((edge.metric("vidette_spool_replayed_total", &[]) - 50.0).abs() < f64::EPSILON);
    check_taken_by_upstream(&edge);
}

/// Once it is up, nothing is kept any more.
#[track_caller]
fn check_taken_by_upstream(edge: &crate::edge::Edge) {
    let answer = edge.post_envelope(&[], &event(1000));
    assert_eq!((answer.status, answer.text()), (200, "{}".to_owned()));
    assert_eq!(spool(edge)["items"], 0);
}

fn each_endpoint_answers_as_its_upstream_would() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    let key = format!("sentry_key={KEY}");
    let post = |path: &str, kind: &str, body: &[u8]| {
        let target = format!("{path}?{key}");
        let answer = edge.ask("POST", &target, &[("Content-Type", kind)], body);
        (answer.status, answer.text())
    };
    let id = "fc6d8c0c43fc4630ad850ee518f1b9d0";
    let json = "application/json";
    let event = format!("{{\"event_id\":\"{id}\"}}");
    let named = format!("{{\"id\":\"{id}\"}}");
    assert_eq!(post("/api/42/store/", json, event.as_bytes()), (200, named));
    let (status, fresh) = post("/api/42/store/", json, b"{\"message\":\"x\"}");
    assert_eq!(
        (status, fresh.len()),
        (200, "{\"id\":\"\"}".len() + 32),
        "{fresh}"
    );
    assert_eq!(
        post("/api/42/envelope/", "", b"{}\n{\"type\":\"session\"}\n{}"),
        (200, "{}".into())
    );
    assert_eq!(
        post("/api/42/security/", "application/csp-report", b"{}"),
        (200, String::new())
    );
    assert_eq!(
        post("/api/42/nel/", "application/reports+json", b"[]"),
        (200, String::new())
    );
    let (status, uuid) = post("/api/42/minidump/", "application/x-dmp", b"MDMP");
    assert_eq!((status, uuid.len()), (200, 36), "{uuid}");
    let unreal = edge.ask("POST", &format!("/api/42/unreal/{KEY}/"), &[], b"report");
    assert_eq!((unreal.status, unreal.text().len()), (200, 36));
    let path = format!("/api/42/events/{id}/attachments/");
    assert_eq!(
        post(&path, "multipart/form-data; boundary=x", b"--x--"),
        (201, String::new())
    );
    assert_eq!(post("/api/42/cron/job/", json, b"{}"), (202, String::new()));
    let tick = format!("/api/42/cron/job/{KEY}/?status=ok");
    assert_eq!(edge.ask("GET", &tick, &[], b"").status, 202);
    assert_eq!(spool(&edge)["items"], 10);
    let up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let requests = arrived(&up, 10);
    let first: Vec<_> = requests[..2].iter().map(|seen| &*seen.method).collect();
    assert!(
        first.contains(&"GET") && first.contains(&"POST"),
        "check-ins first: {first:?}"
    );
    assert!(
        requests[..2]
            .iter()
            .all(|seen| seen.target_text().contains("/cron/job/")),
        "check-ins first"
    );
    emptied(&edge);
}

fn what_cannot_wait_is_refused() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let edge = keeping(&down.url(), place.path(), &json!({}));
    for path in [
        "/api/42/integration/otlp/v1/traces/",
        "/api/42/integration/vercel/",
        "/api/42/upload/",
        "/api/42/of_tomorrow/",
    ] {
        let target = format!("{path}?sentry_key={KEY}");
        let json = [("Content-Type", "application/json")];
        let answer = edge.ask("POST", &target, &json, b"{}");
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert_eq!(
            answer.header("retry-after").as_deref(),
            Some("30"),
            "{path}"
        );
    }
    let pixel = format!("/api/42/store/?sentry_key={KEY}&sentry_data=e30=");
    assert_eq!(edge.ask("GET", &pixel, &[], b"").status, 503);
    assert_eq!(
        edge.ask("GET", "/", &[], b"").status,
        502,
        "a page is no event"
    );
    assert_eq!(spool(&edge)["items"], 0);
}

fn a_kill_loses_nothing_that_was_answered() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let url = down.url();
    for round in 0..5 {
        let mut edge = keeping(&url, place.path(), &json!({}));
        for number in round * 20..round * 20 + 20 {
            check_taken(&edge.post_envelope(&[], &event(number)), number);
        }
        edge.signal(Signal::KILL);
        edge.wait_end();
    }
    let up = down.listen(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"{}")
    });
    let edge = keeping(&url, place.path(), &json!({}));
    assert_eq!(ids(&arrived(&up, 100)), (0..100).collect::<Vec<_>>());
    emptied(&edge);
    let row = booked(&edge, "error");
    assert_eq!(
        (&row["carried"], &row["forwarded"]),
        (&json!(100), &json!(100)),
        "{row}"
    );
    assert_eq!(row["received"], 0, "nothing came since the start: {row}");
}

fn a_start_without_an_upstream_takes_events() {
    let place = TempDir::new().unwrap();
    let edge = keeping("http://relay.invalid:3000", place.path(), &json!({}));
    check_taken(&edge.post_envelope(&[], &event(1)), 1);
    assert_eq!(edge.admin_get("/health/ready").status, 200, "it can keep");
}

fn without_a_place_it_runs_and_says_so() {
    let fake = Fake::start();
    let file = tempfile::NamedTempFile::new().unwrap();
    let edge = keeping(&fake.url(), &file.path().join("below"), &json!({}));
    assert_eq!(edge.post_envelope(&[], &event(1)).status, 200);
    edge.log.wait_for("a warning", |line| {
        line.contains("spool.path").then_some(())
    });
    let status = edge.admin_get("/api/v1/status").json();
    assert!(status["reasons"].to_string().contains("spool"), "{status}");
}

fn the_less_valuable_is_refused_first() {
    let (down, place) = (Silent::reserve(), TempDir::new().unwrap());
    let changes = json!({"spool": {"max_bytes": "1MiB", "project_bytes": "1MiB"}});
    let edge = keeping(&down.url(), place.path(), &changes);
    let of = |kind: &str| {
        let text = "x".repeat(20_000);
        format!("{{}}\n{{\"type\":\"{kind}\",\"length\":20000}}\n{text}\n").into_bytes()
    };
    // From the least to the most valuable, each until it is refused.
    let mut taken = Vec::new();
    for kind in ["replay_recording", "attachment", "transaction", "event"] {
        let mut count = 0;
        let refused = loop {
            let answer = edge.post_envelope(&[], &of(kind));
            if answer.status != 200 {
                break answer;
            }
            count += 1;
        };
        assert_eq!(refused.status, 503, "{kind}: {}", refused.text());
        assert_eq!(refused.json()["causes"][0], "spool_full", "{kind}");
        assert_eq!(refused.header("retry-after").as_deref(), Some("30"));
        taken.push(count);
    }
    // 700 KB of replays, 100 more of each of the others, in pieces of some 20 KB.
    let [replays, attachments, transactions, errors] = taken[..] else {
        panic!("{taken:?}");
    };
    assert!((33..=36).contains(&replays), "{taken:?}");
    for more in [attachments, transactions, errors] {
        assert!((4..=6).contains(&more), "{taken:?}");
    }
    let held: u64 = std::fs::read_dir(place.path())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(held <= 2 << 20, "{held} bytes are more than it may hold");
    assert_eq!(
        edge.admin_get("/health/ready").status,
        503,
        "nothing can be kept"
    );
}
