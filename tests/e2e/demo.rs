//! The demo as a newcomer runs it: four lines, an event that shows, a page.

use std::net::SocketAddr;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::ask;
use crate::command_line::Running;
use crate::edge::{Log, address_after, program};
use crate::parts::{Part, promises, python};
use crate::upstream::HANG;
use crate::way::run;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        an_event_shows,
        traffic_shows_by_itself,
        what_is_kept_in_maintenance_arrives_after_it,
    ];
    trials.extend(promises![&[Part::Python]; what_sentry_sdk_sends_shows]);
    trials
}

/// A running demo, found by what it printed.
struct Demo {
    running: Running,
    /// Where it has its own.
    folder: TempDir,
    dsn: String,
    public: SocketAddr,
    key: String,
    project: String,
    admin: SocketAddr,
}

impl Demo {
    #[track_caller]
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = program()
            .args(["demo", "--public", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(arguments)
            // It has a configuration of its own, whatever is set for another edge.
            .env("VIDETTE_UPSTREAM_INGEST", "http://127.0.0.1:9")
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let log = Log::follow(child.stdout.take().unwrap());
        let running = Running(child, log.clone());
        log.wait_for("ready", |line| (line == "ready").then_some(()));
        let text = log.text();
        let lines: Vec<&str> = text.lines().collect();
        let [dsn, admin, "ready"] = lines.as_slice() else {
            panic!("not three lines:\n{text}");
        };
        let (key, rest) = dsn
            .strip_prefix("dsn: http://")
            .unwrap()
            .split_once('@')
            .unwrap();
        let (public, project) = rest.split_once('/').unwrap();
        Self {
            running,
            folder,
            dsn: dsn.trim_start_matches("dsn: ").to_owned(),
            public: public.parse().unwrap(),
            key: key.to_owned(),
            project: project.to_owned(),
            admin: address_after(admin, "admin: http://").unwrap(),
        }
    }

    /// Waits until an event is listed that `look` is content with.
    #[track_caller]
    fn wait_event(&self, look: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + HANG;
        loop {
            let host = [("Host", "localhost")];
            let seen = ask(self.admin, "GET", "/api/v1/demo/events", &host, b"").json();
            if let Some(event) = seen.as_array().unwrap().iter().find(|event| look(event)) {
                return event.clone();
            }
            assert!(Instant::now() < deadline, "the event never shows: {seen}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Posts an error with this id, which is taken.
#[track_caller]
fn post(demo: &Demo, id: &str) {
    let body =
        format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\"}}\n{{\"message\":\"x\"}}\n");
    let target = format!("/api/{}/envelope/?sentry_key={}", demo.project, demo.key);
    let from = [("X-Forwarded-For", "203.0.113.9")];
    let answer = ask(demo.public, "POST", &target, &from, body.as_bytes());
    assert_eq!(answer.status, 200);
}

/// The first thing that a newcomer should see: Sentry is away, and nothing is lost.
fn what_is_kept_in_maintenance_arrives_after_it() {
    let demo = Demo::start(&["--no-traffic"]);
    let maintenance = |on: bool| {
        let json = [("Host", "localhost"), ("Content-Type", "application/json")];
        let mut asked = json!({"on": on});
        if on {
            asked["for_s"] = json!(600);
        }
        let body = asked.to_string();
        let path = "/api/v1/maintenance";
        assert_eq!(
            ask(demo.admin, "POST", path, &json, body.as_bytes()).status,
            200
        );
    };
    maintenance(true);
    let id = "1ec79c33ec9942ab8353589fcb2e04dc";
    post(&demo, id);
    let host = [("Host", "localhost")];
    let kept = ask(demo.admin, "GET", "/api/v1/spool", &host, b"").json();
    assert_eq!(kept["requests"], 1, "{kept}");
    let seen = ask(demo.admin, "GET", "/api/v1/demo/events", &host, b"").json();
    assert_eq!(seen, json!([]));
    maintenance(false);
    demo.wait_event(|event| event["event_id"] == id);
    assert_eq!(demo.running.stop(), Some(0));
    let left = std::fs::read_dir(demo.folder.path()).unwrap().count();
    assert_eq!(left, 0, "its folder is left behind");
}

fn an_event_shows() {
    let demo = Demo::start(&["--no-traffic"]);
    let json = [("Host", "localhost"), ("Content-Type", "application/json")];
    let reloaded = ask(demo.admin, "POST", "/api/v1/reload", &json, b"{}");
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    let id = "9ec79c33ec9942ab8353589fcb2e04dc";
    post(&demo, id);
    let event = demo.wait_event(|event| event["event_id"] == id);
    assert_eq!(event["client_ip"], "203.0.113.9", "{event}");
    assert_eq!(
        event["project"].to_string().trim_matches('"'),
        demo.project,
        "{event}"
    );
    assert_eq!(event["key"], demo.key.as_str(), "{event}");
    let kind = event["type"].as_str().unwrap_or_default();
    assert!(matches!(kind, "error" | "event"), "{event}");
    let page = ask(demo.admin, "GET", "/", &[("Host", "localhost")], b"");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<html"), "no page");
    let own = ask(demo.admin, "GET", "/demo", &[("Host", "localhost")], b"");
    assert_eq!(own.status, 200);
    assert!(
        own.text().contains("href=\"./\""),
        "no way back to the dashboard"
    );
    let history = ask(
        demo.admin,
        "GET",
        "/api/v1/history",
        &[("Host", "localhost")],
        b"",
    )
    .json();
    assert_eq!(history["now"]["pages"][0]["path"], "/demo", "no way there");
    let metrics = ask(demo.admin, "GET", "/metrics", &[("Host", "localhost")], b"").text();
    let counted = metrics.lines().any(|line| {
        line.starts_with("vidette_requests_total{")
            && line.contains("\"forwarded\"")
            && line.ends_with(" 1")
    });
    assert!(counted, "{metrics}");
    assert_eq!(demo.running.stop(), Some(0));
}

/// As the README has it: point an SDK at the DSN and watch.
fn what_sentry_sdk_sends_shows() {
    let demo = Demo::start(&["--no-traffic"]);
    let told = run(&python().unwrap(), "python_sdk.py", &[&demo.dsn]);
    let errors = told.iter().filter(|line| line["kind"] == "error");
    let mut shown = 0;
    for line in errors {
        let id = line["event_id"].as_str().unwrap().replace('-', "");
        let event = demo.wait_event(|event| event["event_id"] == id.as_str());
        assert_eq!(event["client_ip"], "127.0.0.1", "{event}");
        assert_eq!(event["key"], demo.key.as_str(), "{event}");
        shown += 1;
    }
    assert!(shown > 0, "the SDK sent no error: {told:?}");
    let metrics = ask(demo.admin, "GET", "/metrics", &[("Host", "localhost")], b"").text();
    let forwarded =
        "vidette_requests_total{route=\"ingest\",outcome=\"forwarded\",status=\"200\"} ";
    let counted = metrics
        .lines()
        .find_map(|line| line.strip_prefix(forwarded));
    let counted: usize = counted.unwrap().parse().unwrap();
    assert!(counted >= shown, "{counted} of {shown}\n{metrics}");
    assert_eq!(demo.running.stop(), Some(0));
}

fn traffic_shows_by_itself() {
    let demo = Demo::start(&[]);
    for kind in ["error", "transaction"] {
        let event = demo.wait_event(|event| event["type"] == kind);
        assert!(
            event["bytes"].as_u64().is_some_and(|bytes| bytes > 0),
            "{event}"
        );
    }
    assert_eq!(demo.running.stop(), Some(0));
}
