//! Sentry's own list of its keys, read from a stand-in of its web API.

mod waiting;

use std::sync::{Arc, Mutex};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::ask;
use crate::edge::{Edge, KEY};
use crate::ingest::ENVELOPE;
use crate::parts::promises;
use crate::senders::{OFF, STRANGE, check_refused, reload, target};
use crate::upstream::{Door, Fake, HANG, Silent};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        the_list_lets_in_whom_it_names,
        the_list_is_read_to_its_last_page_from_its_own_host,
        the_configuration_adds_to_the_list_but_enables_nothing,
        the_last_list_stands_while_sentry_is_away,
        a_restart_without_sentry_begins_with_the_last_list,
        a_damaged_copy_is_read_anew,
        a_refused_token_is_an_amber_light,
        the_token_is_shown_to_sentry_alone,
    ];
    trials.extend(waiting::trials());
    trials
}

const TOKEN: &str = "sntrys_not_for_your_eyes";

/// A key of Sentry's project 7, on its second page.
const SECOND: &str = "11111111111111111111111111111111";

/// What a stand-in answers: paths with their query, an answer's `Link` and body.
type Pages = Vec<(&'static str, Option<String>, Value)>;

fn link(host: &str, cursor: &str) -> Option<String> {
    let before =
        format!(r#"<{host}/?&cursor=0:0:1>; rel="previous"; results="false"; cursor="0:0:1""#);
    Some(format!(
        r#"{before}, <{host}/?&cursor={cursor}>; rel="next"; results="true"; cursor="{cursor}""#
    ))
}

fn key(key: &str, project: u64, enabled: bool) -> Value {
    json!({"public": key, "projectId": project, "isActive": enabled, "name": "Default"})
}

/// Two projects on two pages; the keys of the second on two pages too. The links
/// lead to `elsewhere`.
fn pages(elsewhere: &str) -> Pages {
    let project = |id: &str, slug: &str| json!([{"id": id, "slug": slug, "status": "active", "organization": {"slug": "acme"}}]);
    let (shop, blog) = (
        "/api/0/projects/acme/shop/keys/",
        "/api/0/projects/acme/blog/keys/",
    );
    vec![
        (
            "/api/0/projects/",
            link(elsewhere, "100:1:0"),
            project("42", "shop"),
        ),
        (
            "/api/0/projects/?cursor=100:1:0",
            None,
            project("7", "blog"),
        ),
        (shop, None, json!([key(KEY, 42, true), key(OFF, 42, false)])),
        (blog, link(elsewhere, "100:2:0"), json!([])),
        (
            "/api/0/projects/acme/blog/keys/?cursor=100:2:0",
            None,
            json!([key(SECOND, 7, true)]),
        ),
    ]
}

/// A Sentry with these pages, behind a door.
fn sentry(at: Silent, pages: Pages, door: &Door) -> Fake {
    let door = door.clone();
    at.listen(move |exchange| {
        door.pass();
        let target = exchange.request.target_text();
        let page = pages.iter().find(|(path, _, _)| *path == target);
        let authorized = exchange.request.headers.one("authorization");
        match page {
            _ if authorized != Some(format!("Bearer {TOKEN}")) => exchange.answer(401, &[], b"{}"),
            None => exchange.answer(404, &[], b"{}"),
            Some((_, link, rows)) => {
                let link: Vec<(&str, &str)> =
                    link.iter().map(|link| ("Link", link.as_str())).collect();
                exchange.answer(200, &link, rows.to_string().as_bytes())
            }
        }
    })
}

/// A Sentry that answers at once, with no other host in its links.
fn open_sentry() -> Fake {
    let door = Door::default();
    door.open();
    sentry(Silent::reserve(), pages("http://sentry.example"), &door)
}

/// Only listed keys may send, as far as there is a list.
fn strict(sentry: &str) -> Value {
    json!({
        "keys": {"mode": "strict"},
        "sentry": {"url": sentry, "token": TOKEN, "interval": "10s"},
        "log": {"level": "trace"},
    })
}

/// Waits until the status says so, and yields it.
#[track_caller]
fn wait_status(edge: &Edge, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = std::time::Instant::now() + HANG;
    loop {
        let status = edge.admin_get("/api/v1/status").json();
        if is_so(&status) {
            return status;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "the status never has {what}: {status}"
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Waits until a list with so many keys is in force.
#[track_caller]
fn wait_listed(edge: &Edge, named: u64) -> Value {
    wait_status(edge, "the list", |status| status["keys"]["named"] == named)
}

#[track_caller]
fn wait_failing(edge: &Edge) -> Value {
    wait_status(edge, "a failure", |status| {
        status["keys"]["sentry"]["failing"].is_string()
    })
}

/// The list as it is in force.
#[track_caller]
fn check_listed(edge: &Edge) {
    let ask = |target: &str| edge.ask("POST", target, &[], ENVELOPE);
    for passes in [
        target(42, KEY),
        target(7, SECOND),
        format!("/api/store/?sentry_key={KEY}"),
    ] {
        let answer = ask(&passes);
        assert_eq!(answer.status, 200, "{passes}: {}", answer.text());
    }
    for (target, reason) in [
        (target(42, STRANGE), "unknown_key"),
        (target(42, OFF), "disabled_key"),
        (target(7, KEY), "wrong_project"),
    ] {
        check_refused(&target, &ask(&target), 403, reason);
    }
}

fn the_list_lets_in_whom_it_names() {
    let fake = Fake::start();
    let door = Door::default();
    let sentry = sentry(Silent::reserve(), pages("http://sentry.example"), &door);
    let edge = Edge::configured(&fake.url(), &fake.url(), strict(&sentry.url()));
    sentry.wait_for("the first question", |ledger| {
        (!ledger.requests.is_empty()).then_some(())
    });
    // Until there is a list, nobody is refused for not being on it.
    for target in [target(42, KEY), target(42, STRANGE), target(42, OFF)] {
        let answer = edge.ask("POST", &target, &[], ENVELOPE);
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    }
    door.open();
    let status = wait_listed(&edge, 3);
    check_listed(&edge);
    assert_eq!(status["light"], "green", "{status}");
    let list = &status["keys"]["sentry"];
    assert_eq!((&list["projects"], &list["keys"]), (&json!(2), &json!(3)));
    assert!(list["last_success"].is_string(), "{status}");
    assert!(list["failing"].is_null(), "{status}");
}

fn the_list_is_read_to_its_last_page_from_its_own_host() {
    let (fake, elsewhere) = (Fake::start(), Fake::start());
    let door = Door::default();
    door.open();
    let pages = pages(&elsewhere.url());
    let paths: Vec<&str> = pages.iter().map(|(path, _, _)| *path).collect();
    let sentry = sentry(Silent::reserve(), pages.clone(), &door);
    let edge = Edge::configured(&fake.url(), &fake.url(), strict(&sentry.url()));
    wait_listed(&edge, 3);
    check_listed(&edge);
    let seen = sentry.requests();
    for path in paths {
        let asked = seen.iter().filter(|seen| seen.target_text() == path);
        assert_eq!(asked.count(), 1, "{path}");
    }
    assert!(seen.iter().all(|seen| seen.method == "GET"), "{seen:#?}");
    assert_eq!(elsewhere.look(|ledger| ledger.accepted), 0);
}

fn the_configuration_adds_to_the_list_but_enables_nothing() {
    let (fake, sentry) = (Fake::start(), open_sentry());
    let mut changes = strict(&sentry.url());
    changes["projects"] = json!([{
        "id": 42,
        "keys": [STRANGE, OFF, {"key": KEY, "enabled": false}],
    }]);
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    wait_listed(&edge, 4);
    let ask = |target: &str| edge.ask("POST", target, &[], ENVELOPE);
    assert_eq!(ask(&target(42, STRANGE)).status, 200);
    assert_eq!(ask(&target(7, SECOND)).status, 200);
    check_refused("off in Sentry", &ask(&target(42, OFF)), 403, "disabled_key");
    check_refused("off here", &ask(&target(42, KEY)), 403, "disabled_key");
}

/// Makes the edge ask Sentry again now: with another interval it begins anew.
#[track_caller]
fn ask_again(edge: &Edge, fake: &Fake, sentry: &str) {
    let mut changes = strict(sentry);
    changes["sentry"]["interval"] = json!("11s");
    reload(edge, fake, &changes);
}

fn the_last_list_stands_while_sentry_is_away() {
    let (fake, sentry) = (Fake::start(), open_sentry());
    let url = sentry.url();
    let edge = Edge::configured(&fake.url(), &fake.url(), strict(&url));
    wait_listed(&edge, 3);
    drop(sentry);
    ask_again(&edge, &fake, &url);
    let status = wait_failing(&edge);
    assert_eq!(status["light"], "amber", "{status}");
    assert_eq!(status["keys"]["sentry"]["keys"], 3, "{status}");
    check_listed(&edge);
}

/// An edge on this folder that has read Sentry's list, and is stopped.
#[track_caller]
fn leave_copy(fake: &Fake, place: &TempDir, sentry: &str) {
    let mut changes = strict(sentry);
    changes["state"] = json!({"path": place.path()});
    let mut edge = Edge::configured(&fake.url(), &fake.url(), changes);
    wait_listed(&edge, 3);
    let copy = place.path().join("sentry-keys");
    let deadline = std::time::Instant::now() + HANG;
    while !copy.exists() {
        assert!(std::time::Instant::now() < deadline, "no copy is kept");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    edge.signal(Signal::TERM);
    assert_eq!(edge.wait_end().code(), Some(0), "{}", edge.log.text());
}

fn a_restart_without_sentry_begins_with_the_last_list() {
    let place = TempDir::new().unwrap();
    let (fake, sentry) = (Fake::start(), open_sentry());
    let url = sentry.url();
    leave_copy(&fake, &place, &url);
    let copy = std::fs::metadata(place.path().join("sentry-keys")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&copy.permissions());
    assert_eq!(mode & 0o777, 0o600);
    drop(sentry);
    let mut changes = strict(&url);
    changes["state"] = json!({"path": place.path()});
    let edge = Edge::configured(&fake.url(), &fake.url(), changes.clone());
    // From the first request on, whether or not Sentry was asked already.
    check_listed(&edge);
    let status = wait_failing(&edge);
    assert_eq!(status["light"], "amber", "{status}");
    assert_eq!(status["keys"]["sentry"]["keys"], 3, "{status}");
    check_listed(&edge);
    // A list counts only while its Sentry is configured.
    drop(edge);
    changes["sentry"]["url"] = json!(Silent::reserve().url());
    let edge = Edge::configured(&fake.url(), &fake.url(), changes.clone());
    edge.log.wait_for("a warning", |line| {
        (line.contains("WARN") && line.contains("another Sentry's")).then_some(())
    });
    let answer = edge.ask("POST", &target(42, OFF), &[], ENVELOPE);
    assert_eq!(answer.status, 200, "{}", answer.text());
    drop(edge);
    changes["sentry"] = json!({});
    changes["keys"] = json!({"mode": "learn"});
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    let answer = edge.ask("POST", &target(42, OFF), &[], ENVELOPE);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn a_damaged_copy_is_read_anew() {
    let place = TempDir::new().unwrap();
    let (fake, sentry) = (Fake::start(), open_sentry());
    leave_copy(&fake, &place, &sentry.url());
    let file = place.path().join("sentry-keys");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let door = Door::default();
    let (away, url) = {
        let silent = Silent::reserve();
        let url = silent.url();
        (silent, url)
    };
    let back = self::sentry(away, pages("http://sentry.example"), &door);
    let mut changes = strict(&url);
    changes["state"] = json!({"path": place.path()});
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    edge.log.wait_for("a warning", |line| {
        (line.contains("WARN") && line.contains("read from Sentry anew")).then_some(())
    });
    // Half a list would refuse: none at all refuses nobody.
    let answer = edge.ask("POST", &target(42, STRANGE), &[], ENVELOPE);
    assert_eq!(answer.status, 200, "{}", answer.text());
    door.open();
    wait_listed(&edge, 3);
    check_listed(&edge);
    drop(edge);
    drop(back);
}

fn a_refused_token_is_an_amber_light() {
    let fake = Fake::start();
    let status_of = Arc::new(Mutex::new(401));
    let sentry = {
        let status_of = Arc::clone(&status_of);
        Fake::with(move |exchange| {
            let status = *status_of.lock().unwrap();
            exchange.answer(status, &[], br#"{"detail":"told"}"#)
        })
    };
    let edge = Edge::configured(&fake.url(), &fake.url(), strict(&sentry.url()));
    let status = wait_failing(&edge);
    assert_eq!(status["light"], "amber", "{status}");
    let reason = status["reasons"][0].as_str().unwrap();
    assert!(reason.contains("sentry.token"), "{reason}");
    // An edge that was never given a list still lets events through.
    let answer = edge.ask("POST", &target(42, STRANGE), &[], ENVELOPE);
    assert_eq!(answer.status, 200, "{}", answer.text());
    *status_of.lock().unwrap() = 403;
    ask_again(&edge, &fake, &sentry.url());
    let lacks = |status: &Value| status["reasons"].to_string().contains("project:read");
    wait_status(&edge, "the missing scope", lacks);
    check_unseen(&edge);
}

/// The token is in nothing that the edge shows.
#[track_caller]
fn check_unseen(edge: &Edge) {
    for path in [
        "/api/v1/config",
        "/api/v1/status",
        "/metrics",
        "/",
        "/health/ready",
    ] {
        let answer = ask(edge.admin, "GET", path, &[("Host", "localhost")], b"");
        assert!(!answer.text().contains(TOKEN), "{path}: {}", answer.text());
    }
    // A log that says little proves little, and its lines come when they come.
    edge.log.wait_for_text("DEBUG");
    let log = edge.log.text();
    assert!(!log.contains(TOKEN), "the log has the token:\n{log}");
}

fn the_token_is_shown_to_sentry_alone() {
    let (fake, sentry) = (Fake::start(), open_sentry());
    let edge = Edge::configured(&fake.url(), &fake.url(), strict(&sentry.url()));
    wait_listed(&edge, 3);
    check_listed(&edge);
    let shown = edge.admin_get("/api/v1/config").text();
    assert!(shown.contains("***"), "{shown}");
    check_unseen(&edge);
    let seen = sentry.requests();
    let bearer = format!("Bearer {TOKEN}");
    assert!(!seen.is_empty());
    for request in &seen {
        assert_eq!(request.headers.all("authorization"), [bearer.as_str()]);
        assert!(!request.target_text().contains(TOKEN), "{request:#?}");
    }
    for request in fake.requests() {
        assert!(!format!("{request:?}").contains(TOKEN), "{request:#?}");
    }
}
