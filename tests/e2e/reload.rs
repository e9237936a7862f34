//! Taking up a changed file, and stopping: what is in force when, and what was
//! begun before. Never about who may ask for it.

use std::collections::BTreeSet;
use std::io;
use std::net::TcpStream;

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::admin::post;
use crate::client::{Client, request};
use crate::command_line::ran;
use crate::edge::{Edge, configuration, dump_target, program};
use crate::parts::promises;
use crate::upstream::{Door, Fake};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[];
        reload_by_request_takes_the_new_file,
        reload_by_signal_takes_the_new_file,
        reload_by_change_takes_the_new_file,
        a_bad_file_changes_nothing,
        what_needs_a_restart_is_said,
        what_needs_a_restart_is_not_forgotten,
        a_busy_connection_follows_the_upstream,
        where_requests_come_from_is_judged_anew_by_new_rules,
        sigterm_finishes_what_was_begun,
        sigterm_closes_idle_connections,
    ]
}

/// A configuration whose limit of ingest bodies tells which file is in force.
fn with_limit(fake: &Fake, limit: &str, changes: &Value) -> Value {
    let mut all = configuration(&fake.url(), &fake.url(), changes);
    all["limits"]["bodies"]["ingest"] = json!(limit);
    all
}

/// Whether events of a thousand bytes pass.
#[track_caller]
fn passes(edge: &Edge) -> bool {
    match edge.ask("POST", &dump_target(), &[], &[b'x'; 1000]).status {
        200 => true,
        413 => false,
        status => panic!("{status}"),
    }
}

#[track_caller]
fn check_reload(reload: impl Fn(&Edge)) {
    let fake = Fake::start();
    let edge = Edge::run(&with_limit(&fake, "100", &json!({})).to_string(), &[]);
    // A connection from before lives on and follows the new file.
    let mut before = edge.connect();
    let large = request("POST", &dump_target(), &[], &[b'x'; 1000]);
    before.send(&large);
    assert_eq!(before.answer_to("POST").status, 413);
    let reloads = edge.metric("vidette_config_reloads_total", &[]);
    edge.rewrite(&with_limit(&fake, "2000", &json!({})).to_string());
    reload(&edge);
    edge.wait_metric("vidette_config_reloads_total", &[], reloads + 1.0);
    assert!(passes(&edge));
    before.send(&large);
    assert_eq!(before.answer_to("POST").status, 200);
}

fn reload_by_request_takes_the_new_file() {
    check_reload(|edge| {
        let answer = post(edge, "/api/v1/reload", &[]);
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({"applied": true, "needs_restart": []}))
        );
    });
}

fn reload_by_signal_takes_the_new_file() {
    check_reload(|edge| edge.signal(Signal::HUP));
}

fn reload_by_change_takes_the_new_file() {
    check_reload(|_| ());
}

fn a_bad_file_changes_nothing() {
    let fake = Fake::start();
    let edge = Edge::run(&with_limit(&fake, "2000", &json!({})).to_string(), &[]);
    for bad in [
        "limits: {bodies: {ingest: 1B}}\nupstrem: {}\n",
        "\t- [",
        "",
        "upstream: {ingest: []}\n",
    ] {
        edge.rewrite(bad);
        let answer = post(&edge, "/api/v1/reload", &[]);
        assert_eq!(answer.status, 422, "{bad:?}: {}", answer.text());
        let errors = answer.json()["errors"].clone();
        let first = errors[0].as_str().unwrap_or_default();
        assert!(
            first.contains("vidette.yml") && first.contains("error: "),
            "{errors}"
        );
        assert!(passes(&edge), "{bad:?} took force");
    }
    edge.signal(Signal::HUP);
    edge.log.wait_for_text("error: ");
    assert!(passes(&edge));
    // A crash would leave nothing that starts, so it is said until it is mended.
    let status = || edge.admin_get("/api/v1/status").text();
    assert!(status().contains("the changed configuration was refused"));
    edge.rewrite(&with_limit(&fake, "2000", &json!({})).to_string());
    assert_eq!(post(&edge, "/api/v1/reload", &[]).status, 200);
    assert!(!status().contains("was refused"), "{}", status());
}

/// A proxy that was listed at last passed for nearly everybody until ten thousand
/// more requests had come.
fn where_requests_come_from_is_judged_anew_by_new_rules() {
    let fake = Fake::start();
    let trusting = |proxies: Value| {
        let changes = json!({"client_ip": {"trusted_proxies": proxies}});
        with_limit(&fake, "2000", &changes).to_string()
    };
    let edge = Edge::run(&trusting(json!([])), &[]);
    let named = [("X-Forwarded-For", "203.0.113.9")];
    let asked_once_more = || {
        edge.ask("GET", "/", &named, b"");
        edge.admin_get("/api/v1/clients").json()["requests"].clone()
    };
    let peer = json!({"peer": 1, "header": 0, "private": 0, "unknown": 0});
    assert_eq!(asked_once_more(), peer);
    edge.rewrite(&trusting(json!(["loopback"])));
    assert_eq!(post(&edge, "/api/v1/reload", &[]).status, 200);
    let header = json!({"peer": 0, "header": 1, "private": 0, "unknown": 0});
    assert_eq!(asked_once_more(), header);
    edge.rewrite(
        &with_limit(
            &fake,
            "100",
            &json!({"client_ip": {"trusted_proxies": ["loopback"]}}),
        )
        .to_string(),
    );
    assert_eq!(post(&edge, "/api/v1/reload", &[]).status, 200);
    let both = json!({"peer": 0, "header": 2, "private": 0, "unknown": 0});
    assert_eq!(asked_once_more(), both, "other changes forget nothing");
}

fn what_needs_a_restart_is_said() {
    let fake = Fake::start();
    let edge = Edge::run(&with_limit(&fake, "100", &json!({})).to_string(), &[]);
    edge.rewrite(
        &with_limit(
            &fake,
            "2000",
            &json!({"workers": 2, "listen": {"public": ["127.0.0.1:0", "127.0.0.2:0"]}}),
        )
        .to_string(),
    );
    let answer = post(&edge, "/api/v1/reload", &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    let named: BTreeSet<&str> = json["needs_restart"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(named, BTreeSet::from(["listen", "workers"]));
    assert!(
        passes(&edge),
        "the rest of the file is in force all the same"
    );
    let typed = |more: &[&str]| {
        let admin = edge.admin.to_string();
        let typed = ran(program().args(["reload", "--admin", &admin]).args(more));
        assert_eq!(typed.code, Some(0), "{}", typed.stderr);
        typed.stdout
    };
    assert_eq!(
        typed(&[]),
        "reloaded; these keys count at the next start only: listen, workers\n"
    );
    assert_eq!(typed(&["--json"]).trim(), answer.text());
}

/// The second of two reloads compared with the first, which nobody had started with.
fn what_needs_a_restart_is_not_forgotten() {
    let fake = Fake::start();
    let edge = Edge::run(&with_limit(&fake, "100", &json!({})).to_string(), &[]);
    let reloaded = |workers: u64| {
        let changes = json!({"workers": workers});
        edge.rewrite(&with_limit(&fake, "2000", &changes).to_string());
        let answer = post(&edge, "/api/v1/reload", &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let status = edge.admin_get("/api/v1/status").json();
        (answer.json()["needs_restart"].clone(), status)
    };
    for _ in 0..2 {
        let (named, status) = reloaded(2);
        assert_eq!(named, json!(["workers"]));
        assert_eq!(status["light"], "amber", "{status}");
        let reasons = status["reasons"].to_string();
        assert!(reasons.contains("restart: workers"), "{status}");
    }
    let (named, status) = reloaded(1);
    assert_eq!(named, json!([]), "it runs as the file says");
    assert_eq!(status["light"], "green", "{status}");
}

/// A client that never paused kept the connection to the old upstream in use.
fn a_busy_connection_follows_the_upstream() {
    let (old, new) = (Fake::start(), Fake::start());
    let edge = Edge::run(&with_limit(&old, "2000", &json!({})).to_string(), &[]);
    let mut client = edge.connect();
    let mut reaches = |fake: &Fake, target: &str| {
        let before = fake.requests().len();
        client.send(&request("POST", target, &[], b"{}\n"));
        assert_eq!(client.answer_to("POST").status, 200);
        fake.requests().len() - before == 1
    };
    for target in [&*dump_target(), "/web"] {
        assert!(reaches(&old, target), "{target}");
    }
    edge.rewrite(&with_limit(&new, "2000", &json!({})).to_string());
    assert_eq!(post(&edge, "/api/v1/reload", &[]).status, 200);
    for target in [&*dump_target(), "/web"] {
        assert!(reaches(&new, target), "{target} still reaches the old one");
    }
}

fn sigterm_finishes_what_was_begun() {
    let door = Door::default();
    let fake = {
        let door = door.clone();
        Fake::with(move |exchange| {
            exchange.read_body()?;
            door.pass();
            exchange.answer(200, &[], b"late")
        })
    };
    let mut edge = Edge::before(&fake);
    let mut clients: Vec<Client> = [dump_target(), "/web".to_owned()]
        .iter()
        .map(|target| {
            let mut client = edge.connect();
            client.send(&request("POST", target, &[], b"{}\n"));
            client
        })
        .collect();
    fake.wait_for("both requests", |ledger| {
        (ledger.requests.len() == 2).then_some(())
    });
    edge.signal(Signal::TERM);
    // Readiness goes first; the admin address may be gone as well by the time we ask.
    let probe = || -> io::Result<u16> {
        let mut admin = TcpStream::connect(edge.admin).map(|_| Client::connect(edge.admin))?;
        admin.try_send(&request(
            "GET",
            "/health/ready",
            &[("Host", "localhost")],
            b"",
        ))?;
        Ok(admin.try_answer_to("GET")?.status)
    };
    while matches!(probe(), Ok(200)) {}
    door.open();
    for client in &mut clients {
        let answer = client.answer_to("POST");
        assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
    }
    assert_eq!(edge.wait_end().code(), Some(0), "{}", edge.log.text());
    assert!(TcpStream::connect(edge.public).is_err());
}

fn sigterm_closes_idle_connections() {
    let fake = Fake::start();
    let mut edge = Edge::before(&fake);
    let mut idle = edge.connect();
    idle.send(&request("GET", "/", &[], b""));
    assert_eq!(idle.answer_to("GET").status, 200);
    let mut silent = edge.connect();
    edge.signal(Signal::TERM);
    assert_eq!(edge.wait_end().code(), Some(0), "{}", edge.log.text());
    idle.expect_close();
    silent.expect_close();
    assert!(!edge.log.text().contains("panicked"), "{}", edge.log.text());
}
