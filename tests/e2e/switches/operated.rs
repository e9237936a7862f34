//! How switches are operated: the admin's answers, the commands, and what `status` tells.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::ask;
use crate::command_line::{Ran, ran};
use crate::edge::{Edge, KEY, program};
use crate::explained::post;
use crate::parts::promises;
use crate::upstream::Fake;

use super::{EVENT, comes, delete, edge, switch, try_switch};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        what_is_asked_for_wrongly_is_told_where,
        a_switch_takes_the_place_of_the_one_before,
        every_change_is_in_the_log,
        status_and_metrics_tell_what_is_on,
        the_commands_switch_list_and_end,
        commands_that_make_no_sense_are_usage_errors,
        operators_alone_may_switch,
    ]
}

fn what_is_asked_for_wrongly_is_told_where() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    for (changes, status, words) in [
        (json!({"project": 0}), 422, "project: "),
        (json!({"project": null}), 422, "project: missing"),
        (json!({"project": "42"}), 400, "write {\"project\": 42"),
        (json!({"action": "mutt"}), 422, "action: unknown"),
        (
            json!({"category": "errors"}),
            422,
            "did you mean \"error\"?",
        ),
        (
            json!({"category": "client_report"}),
            422,
            "category: client reports",
        ),
        (json!({"for_s": null}), 422, "for_s: "),
        (json!({"for_s": 0}), 422, "for_s: "),
        (json!({"for_s": 2_592_001}), 422, "30 days"),
        (json!({"value": "2"}), 422, "value: "),
        (
            json!({"action": "limit", "value": "100"}),
            422,
            "value: no limit",
        ),
        (
            json!({"action": "sample", "category": "session", "value": "0.1"}),
            422,
            "never sampled",
        ),
        (json!({"color": "red"}), 400, "write {\"project\": 42"),
    ] {
        let answer = try_switch(&edge, changes.clone());
        assert_eq!(answer.status, status, "{changes}: {}", answer.text());
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(words), "{changes}: {error}");
    }
    assert_eq!(post(&edge, "/api/v1/mutes", b"{").status, 400);
    assert_eq!(post(&edge, "/api/v1/mutes/1", b"{}").status, 405);
    assert_eq!(delete(&edge, &json!(1)).status, 404);
    assert_eq!(delete(&edge, &json!("x")).status, 404);
    assert_eq!(edge.admin_get("/api/v1/mutes?histoy=true").status, 400);
    let listed = edge.admin_get("/api/v1/mutes").json();
    assert_eq!(listed, json!({"switches": [], "max": 1000, "kept": false}));
    assert_eq!(edge.post_envelope(&[], EVENT).status, 200);
}

fn a_switch_takes_the_place_of_the_one_before() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let first = switch(&edge, json!({"by": "one"}));
    assert_eq!(first["replaced"], json!(null));
    assert_eq!(first["kept"], json!(false), "there is no folder");
    let second = switch(&edge, json!({"by": "two", "value": 0.5}));
    let replaced = &second["replaced"];
    assert_eq!(
        (&replaced["id"], &replaced["by"]),
        (&first["id"], &json!("one"))
    );
    let limit = json!({"action": "limit", "value": "100/s"});
    assert_eq!(switch(&edge, limit)["replaced"], json!(null));
    let listed = edge.admin_get("/api/v1/mutes?history=true").json();
    let on = listed["switches"].as_array().unwrap();
    let shown: Vec<_> = on.iter().map(|on| (&on["action"], &on["value"])).collect();
    assert_eq!(
        shown,
        [
            (&json!("mute"), &json!("50%")),
            (&json!("limit"), &json!("100/1s"))
        ]
    );
    let ended = &listed["ended"][0];
    assert_eq!(
        (&ended["end"], &ended["ended_by"]),
        (&json!("replaced"), &json!("two"))
    );
}

fn every_change_is_in_the_log() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let id = switch(
        &edge,
        json!({"category": "error", "by": "ops@there", "why": "a storm"}),
    )["id"]
        .clone();
    switch(&edge, json!({"category": "error"}));
    let next = json!(id.as_u64().unwrap() + 1);
    assert_eq!(delete(&edge, &next).status, 200);
    let has = |parts: &[&str]| {
        edge.log.wait_for(&parts.join(" "), |line| {
            let all = parts.iter().all(|part| line.contains(part));
            (line.contains("INFO") && all).then_some(())
        });
    };
    has(&[
        "a switch is on",
        "project=42",
        "category=\"error\"",
        "by=\"ops@there\"",
        "why=\"a storm\"",
        "until=\"20",
    ]);
    has(&[
        "a switch is on in another's place",
        "by=\"127.0.0.1\"",
        "instead_of=1",
    ]);
    has(&[
        "a switch is off",
        "id=2",
        "by=\"127.0.0.1\"",
        "end=\"removed\"",
    ]);
}

fn status_and_metrics_tell_what_is_on() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let edge = edge(&fake, &json!({"state": {"path": place.path()}}));
    let gauge = |action: &str| edge.metric("vidette_switches", &[action]);
    assert!(gauge("mute") < 0.1 && gauge("limit") < 0.1 && gauge("sample") < 0.1);
    assert!(
        edge.admin_get("/metrics")
            .text()
            .contains("vidette_switches{action=\"sample\"} 0")
    );
    for project in 1..=30 {
        switch(&edge, json!({"project": project, "by": "ops"}));
    }
    assert!((gauge("mute") - 30.0).abs() < 0.1);
    let status = edge.admin_get("/api/v1/status").json();
    assert_eq!(status["light"], "amber");
    let switches = &status["switches"];
    assert_eq!(
        (&switches["count"], &switches["kept"]),
        (&json!(30), &json!(true))
    );
    assert_eq!(switches["list"].as_array().unwrap().len(), 20);
    let reasons: Vec<&str> = status["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(reasons.len(), 5, "{reasons:?}");
    assert!(
        reasons[0].starts_with("project 1: all muted until 20"),
        "{reasons:?}"
    );
    assert!(reasons[0].ends_with(" UTC by ops"), "{reasons:?}");
    assert!(
        reasons[4].ends_with("and 25 more switches: vidette mute --list"),
        "{reasons:?}"
    );
    let said = command(&edge, &["status"]);
    assert_eq!(said.code, Some(0));
    assert!(
        said.stdout.contains("project 1: all muted") && said.stdout.contains("switches 30 on"),
        "{}",
        said.stdout
    );
}

fn command(edge: &Edge, words: &[&str]) -> Ran {
    let admin = edge.admin.to_string();
    ran(program()
        .args(words)
        .args(["--admin", &admin])
        .env("USER", "ops"))
}

#[track_caller]
fn says(edge: &Edge, words: &[&str], want: &str) {
    let said = command(edge, words);
    assert_eq!(said.code, Some(0), "{words:?}: {}", said.stderr);
    assert!(said.stdout.contains(want), "{words:?}: {}", said.stdout);
}

fn the_commands_switch_list_and_end() {
    let (fake, place) = (Fake::start(), TempDir::new().unwrap());
    let projects = json!([{"id": 42, "name": "shop", "keys": [KEY]}]);
    let state = json!({"path": place.path()});
    let edge = edge(&fake, &json!({"state": state, "projects": projects}));
    says(&edge, &["mute", "--list"], "nothing is switched on");
    says(
        &edge,
        &["mute", "42", "--for", "30m", "--why", "a storm"],
        "mute 42 is on until 20",
    );
    assert_eq!(edge.post_envelope(&[], EVENT).status, 429);
    says(
        &edge,
        &["mute", "42", "--for", "1h", "--keep", "1%"],
        "it takes the place of: mute 42 until",
    );
    says(
        &edge,
        &["mute", "42", "error", "--for", "1h"],
        "is on until",
    );
    says(
        &edge,
        &["limit", "42", "error", "100/s", "--for", "30m"],
        "limit 42 error 100/1s is on until 20",
    );
    says(
        &edge,
        &["sample", "42", "10%", "--for", "30m"],
        "sample 42 10% is on until 20",
    );
    let listed = command(&edge, &["mute", "--list", "--history"]).stdout;
    for part in [
        "mute 42 1% ",
        "mute 42 error ",
        "limit 42 error 100/1s ",
        "sample 42 10% ",
        "by ops@",
        "a storm; replaced 20",
    ] {
        assert!(listed.contains(part), "no {part} in {listed}");
    }
    let json = command(&edge, &["mute", "--list", "--json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["switches"].as_array().unwrap().len(), 4);
    says(&edge, &["unmute", "shop"], "off: mute 42 error");
    comes("unmuted", || edge.post_envelope(&[], EVENT).status == 200);
    says(&edge, &["limit", "42", "off"], "off: limit 42 error 100/1s");
    says(&edge, &["sample", "42", "off"], "off: sample 42 10%");
    says(&edge, &["mute", "--list"], "nothing is switched on");
    let nothing = command(&edge, &["unmute", "42"]);
    assert_eq!(nothing.code, Some(1));
    assert!(
        nothing.stderr.contains("no mute of project 42 is on"),
        "{}",
        nothing.stderr
    );
}

fn commands_that_make_no_sense_are_usage_errors() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    for words in [
        &["mute"][..],
        &["mute", "42"],
        &["mute", "42", "--for", "30"],
        &["mute", "42", "--for", "31d"],
        &["mute", "shop", "--for", "30m"],
        &["mute", "42", "--list"],
        &["mute", "42", "errors", "--for", "30m"],
        &["mute", "42", "--for", "30m", "--keep", "all"],
        &["limit", "42", "--for", "30m"],
        &["limit", "42", "100/s"],
        &["limit", "42", "100", "--for", "30m"],
        &["sample", "42", "session", "10%", "--for", "30m"],
        &["unmute"],
    ] {
        let said = command(&edge, words);
        assert_eq!(
            said.code,
            Some(2),
            "{words:?}: {}{}",
            said.stdout,
            said.stderr
        );
    }
    let said = command(&edge, &["mute", "shop", "--for", "30m"]);
    assert!(said.stderr.contains("write its number"), "{}", said.stderr);
    let said = command(&edge, &["mute", "999", "--for", "30m"]);
    let unseen = "no key of project 999 has been seen to work here yet";
    assert!(said.stdout.contains(unseen), "{}", said.stdout);
    assert_eq!(said.code, Some(0), "it is switched on all the same");
    let said = command(&edge, &["mute", "42", "errors", "--for", "30m"]);
    assert!(
        said.stderr.contains("did you mean \"error\"?"),
        "{}",
        said.stderr
    );
    let said = command(&edge, &["mute", "42", "--for", "30m"]);
    assert!(!said.stdout.contains("seen to work"), "{}", said.stdout);
    assert!(
        said.stdout.contains("a restart will not know of it"),
        "{}",
        said.stdout
    );
    for name in ["mute", "unmute", "limit", "sample"] {
        let help = ran(program().args([name, "--help"]));
        assert_eq!(help.code, Some(0));
        assert!(
            help.stdout.contains(&format!("vidette {name} 42")),
            "{}",
            help.stdout
        );
    }
}

fn operators_alone_may_switch() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let body = json!({"project": 42, "action": "mute", "for_s": 60}).to_string();
    let json = ("Content-Type", "application/json");
    for (headers, status) in [
        (&[("Host", "evil.example"), json][..], 403),
        (&[("Host", "localhost")], 415),
        (
            &[
                ("Host", "localhost"),
                json,
                ("Origin", "https://evil.example"),
            ],
            403,
        ),
    ] {
        let answer = ask(
            edge.admin,
            "POST",
            "/api/v1/mutes",
            headers,
            body.as_bytes(),
        );
        assert_eq!(answer.status, status, "{headers:?}");
    }
    assert_eq!(edge.post_envelope(&[], EVENT).status, 200);
}
