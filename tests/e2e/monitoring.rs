//! What operators watch the edge with: the rules of alerts and the dashboard in `config/`, before
//! a real Prometheus that reads a real edge. Never about what a metric counts.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::ask;
use crate::edge::{Edge, KEY, Log, address_after, dump_target, envelope_target};
use crate::parts::{Part, checkout, program, promises};
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        what_is_watched_is_exported,
        every_alert_says_what_to_do_and_how_urgent_it_is,
    ];
    trials.extend(promises![&[Part::Prometheus];
        prometheus_takes_the_rules_and_each_fires_and_rests_at_its_threshold,
        no_plot_of_the_dashboard_is_empty,
    ]);
    trials
}

fn text_of(path: &str) -> String {
    fs::read_to_string(checkout("config").join(path)).unwrap()
}

/// The dashboard's queries, each with its panel's title.
fn plots() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&text_of("grafana/vidette.json")).unwrap();
    let mut plots = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().unwrap().to_owned();
            plots.push((title, target["expr"].as_str().unwrap().to_owned()));
        }
    }
    plots
}

/// The families named in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = words.filter(|word| word.starts_with("vidette_") || word.starts_with("process_"));
    ours.map(|word| word.strip_suffix("_bucket").unwrap_or(word))
        .collect()
}

#[track_caller]
fn check_exported(exported: &str, what: &str, text: &str) {
    let named = names(text);
    assert!(!named.is_empty(), "{what} names no metric");
    for name in named {
        assert!(
            exported.contains(&format!("# TYPE {name} ")),
            "{what} watches {name}, which is not exported"
        );
    }
}

fn what_is_watched_is_exported() {
    let fake = Fake::start();
    let edge = Edge::before(&fake);
    let exported = edge.admin_get("/metrics").text();
    check_exported(&exported, "alerts.yml", &text_of("prometheus/alerts.yml"));
    check_exported(
        &exported,
        "alerts_test.yml",
        &text_of("prometheus/alerts_test.yml"),
    );
    for (title, query) in plots() {
        check_exported(&exported, &title, &query);
    }
}

fn every_alert_says_what_to_do_and_how_urgent_it_is() {
    let text = text_of("prometheus/alerts.yml");
    let alerts: Vec<&str> = text.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 15, "{}", alerts.len());
    let tests = text_of("prometheus/alerts_test.yml");
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        let level = ["severity: page", "severity: ticket"]
            .iter()
            .filter(|level| alert.contains(**level))
            .count();
        assert_eq!(level, 1, "{name}");
        for part in ["summary: ", "action: "] {
            assert!(alert.contains(part), "{name} has no {part}");
        }
        for case in ["fires", "rests"] {
            assert!(
                tests.contains(&format!("- name: {name} {case}\n")),
                "nothing shows that {name} {case}"
            );
        }
    }
}

#[track_caller]
fn check_promtool(arguments: &[&str]) {
    let checked = Command::new(program("promtool").unwrap())
        .args(arguments)
        .current_dir(checkout("config/prometheus"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    let wrong = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{arguments:?}: {said}{wrong}");
}

fn prometheus_takes_the_rules_and_each_fires_and_rests_at_its_threshold() {
    check_promtool(&["check", "rules", "alerts.yml"]);
    check_promtool(&["check", "config", "prometheus.yml"]);
    check_promtool(&["test", "rules", "alerts_test.yml"]);
}

/// A running Prometheus. Dropping it ends it.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Prometheus {
    /// One that reads the edge's metrics each second.
    #[track_caller]
    fn reading(edge: &Edge) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prometheus.yml");
        // As shipped, but for the address, and read often.
        let shipped = text_of("prometheus/prometheus.yml")
            .replace("127.0.0.1:9001", &edge.admin.to_string())
            .replace("scrape_interval: 15s", "scrape_interval: 1s");
        fs::write(&file, shipped).unwrap();
        fs::write(
            folder.path().join("alerts.yml"),
            text_of("prometheus/alerts.yml"),
        )
        .unwrap();
        let mut child = Command::new(program("prometheus").unwrap())
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::follow(child.stderr.take().unwrap());
        let address = log.wait_for("its address", |line| {
            let line = line.contains("msg=\"Listening on\"").then_some(line)?;
            address_after(line, "address=")
        });
        let deadline = Instant::now() + HANG;
        while ask(address, "GET", "/-/ready", &[("Host", "localhost")], b"").status != 200 {
            assert!(Instant::now() < deadline, "{}", log.text());
            thread::sleep(Duration::from_millis(50));
        }
        Self {
            child,
            address,
            _folder: folder,
        }
    }

    /// What a query yields now.
    #[track_caller]
    fn query(&self, query: &str) -> Vec<Value> {
        let form: String = query
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect();
        let headers = [
            ("Host", "localhost"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let body = format!("query={form}");
        let answer = ask(
            self.address,
            "POST",
            "/api/v1/query",
            &headers,
            body.as_bytes(),
        );
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        answer.json()["data"]["result"].as_array().unwrap().clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Some of everything that is plotted.
fn traffic(edge: &Edge) {
    let envelope = format!(
        "{{\"dsn\":\"http://{KEY}@localhost/42\"}}\n{{\"type\":\"event\",\"length\":2}}\n{{}}\n"
    );
    for _ in 0..3 {
        edge.ask("POST", &envelope_target(), &[], envelope.as_bytes());
        edge.ask("POST", &dump_target(), &[], b"dump");
        edge.ask("GET", "/organizations/", &[], b"");
        let upload = "/api/0/organizations/o/chunk-upload/";
        edge.ask("POST", upload, &[], b"chunk");
    }
}

/// Plots that show nothing where all is well: of TLS, of losses, and of answers that failed.
const QUIET: [&str; 3] = ["Certificate", "Lost, last hour", "Uploads and pages"];

/// A query as Grafana would send it, with everything chosen, and without what stands in for
/// nothing: that is never empty.
fn chosen(query: &str) -> String {
    chosen_whole(query.split(" or vector(").next().unwrap())
}

fn chosen_whole(query: &str) -> String {
    query
        .replace("$instance", ".*")
        .replace("$project", ".*")
        .replace("[$__rate_interval]", "[5s]")
}

fn no_plot_of_the_dashboard_is_empty() {
    let fake = Fake::start();
    let spool = tempfile::tempdir().unwrap();
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({
            "spool": {"path": spool.path(), "free_floor": 0},
            "disk_guard": {"paths": [spool.path()]},
            "projects": [{"id": 42, "quotas": [
                {"name": "few", "categories": ["error"], "limit": 1, "per": "1h"},
            ]}],
        }),
    );
    let prometheus = Prometheus::reading(&edge);
    let is_quiet = |(title, query): &(String, String)| {
        query.contains(" or vector(") && QUIET.contains(&title.as_str())
    };
    let (quiet, mut empty): (Vec<_>, Vec<_>) = plots().into_iter().partition(is_quiet);
    assert_eq!(quiet.len(), QUIET.len(), "{quiet:?}");
    for (_, query) in &quiet {
        assert!(
            !prometheus.query(&chosen_whole(query)).is_empty(),
            "{query}"
        );
    }
    assert!(empty.len() > 30, "{}", empty.len());
    let deadline = Instant::now() + HANG;
    while !empty.is_empty() {
        assert!(Instant::now() < deadline, "these stay empty: {empty:#?}");
        traffic(&edge);
        // What divides by nothing yields no number, and is as empty as nothing.
        empty.retain(|(_, query)| {
            let found = prometheus.query(&chosen(query));
            !found
                .iter()
                .any(|sample| sample["value"][1].as_str() != Some("NaN"))
        });
        thread::sleep(Duration::from_millis(500));
    }
    let firing = prometheus.query("ALERTS{alertstate=\"firing\",severity=\"page\"}");
    assert!(
        firing.is_empty(),
        "an edge that is well wakes nobody: {firing:?}"
    );
}
