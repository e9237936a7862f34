//! Redis itself, as Debian ships it, and edges on it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::request;
use crate::edge::{Edge, KEY, configuration, envelope_target, lay_over};
use crate::upstream::{Fake, HANG};

/// A server of Redis that keeps its data in a file, so that it can begin again with it. Dropped,
/// it is killed.
pub(crate) struct Redis {
    child: Child,
    folder: TempDir,
    pub(crate) port: u16,
    more: Vec<String>,
}

impl Redis {
    #[track_caller]
    pub(crate) fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Redis itself cannot choose one.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let more: Vec<String> = more.iter().map(ToString::to_string).collect();
        let child = spawn(&folder, port, &more);
        let redis = Self {
            child,
            folder,
            port,
            more,
        };
        redis.wait_up();
        redis
    }

    #[track_caller]
    fn wait_up(&self) {
        comes("redis answers", || self.cli(&["PING"]).trim() == "PONG");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What its own client says.
    pub(crate) fn cli(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(words)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// It begins again, with what it last wrote, or with nothing.
    #[track_caller]
    pub(crate) fn begin_again(&mut self, with_data: bool) {
        if !with_data {
            for entry in std::fs::read_dir(self.folder.path()).unwrap().flatten() {
                drop(std::fs::remove_file(entry.path()));
                drop(std::fs::remove_dir_all(entry.path()));
            }
        }
        self.child = spawn(&self.folder, self.port, &self.more);
        self.wait_up();
    }

    /// What all edges have said that they used of what is counted under a name, and the sum of
    /// their leases.
    pub(crate) fn counted(&self, named: &str) -> (u64, u64) {
        let keys = self.cli(&["KEYS", &format!("vidette:q:*{named}*")]);
        let sum = |field: &str| -> u64 {
            let of = |key: &str| self.cli(&["HGET", key, field]).trim().parse::<u64>();
            keys.lines().filter_map(|key| of(key).ok()).sum()
        };
        (sum("=used"), sum("=leased"))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(folder: &TempDir, port: u16, more: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args([
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
        ])
        .arg("--dir")
        .arg(folder.path())
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[track_caller]
pub(crate) fn comes(what: &str, mut true_yet: impl FnMut() -> bool) {
    let deadline = Instant::now() + HANG;
    while !true_yet() {
        assert!(Instant::now() < deadline, "{what}: it never comes");
        thread::sleep(Duration::from_millis(20));
    }
}

/// An edge that shares, with one quota of a day for project 42.
#[track_caller]
pub(crate) fn edge(fake: &Fake, url: &str, limit: u64, changes: &Value) -> Edge {
    let mut all = json!({
        "projects": [{"id": 42, "keys": [KEY], "quotas": [
            {"name": "shared", "categories": ["error"], "limit": limit, "per": "1d"},
        ]}],
        "shared_quota": {"url": url, "timeout": "500ms"},
        "log": {"level": "info"},
    });
    lay_over(&mut all, changes);
    Edge::run(
        &configuration(&fake.url(), &fake.url(), &all).to_string(),
        &[],
    )
}

/// How an edge says that its sharing stands.
#[track_caller]
pub(crate) fn sharing(edge: &Edge) -> Value {
    edge.admin_get("/api/v1/status").json()["shared_quota"].clone()
}

/// Waits until all edges are heard, know of one another, and take of the pool.
#[track_caller]
pub(crate) fn wait_joined(edges: &[Edge]) {
    for edge in edges {
        comes("an edge has joined", || {
            let told = sharing(edge);
            told["state"] == "joined"
                && told["edges"] == edges.len()
                && told["settling"] == false
                && told["leases"].as_u64() > Some(0)
        });
    }
}

#[track_caller]
pub(crate) fn wait_state(edge: &Edge, state: &str) {
    comes(state, || sharing(edge)["state"] == state);
}

const EVENT: &[u8] = b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n";

/// Posts single events until so many were admitted.
#[track_caller]
pub(crate) fn post_events(edge: &Edge, most: u64) -> u64 {
    let posts = request("POST", &envelope_target(), &[], EVENT);
    let mut client = edge.connect();
    let (mut admitted, deadline) = (0, Instant::now() + HANG);
    while admitted < most {
        assert!(Instant::now() < deadline, "{admitted} of {most}");
        client.send(&posts);
        match client.answer_to("POST").status {
            200 => admitted += 1,
            429 => thread::sleep(Duration::from_millis(50)),
            other => panic!("{other}"),
        }
    }
    admitted
}

/// Posts single events to every edge at once until each has refused `enough` in a row, a moment
/// between refusals, and says how many each admitted.
#[track_caller]
pub(crate) fn flood(edges: &[&Edge], enough: u32) -> Vec<u64> {
    let posts = Arc::new(request("POST", &envelope_target(), &[], EVENT));
    thread::scope(|scope| {
        let threads: Vec<_> = edges
            .iter()
            .map(|edge| {
                let posts = Arc::clone(&posts);
                scope.spawn(move || {
                    let mut client = edge.connect();
                    let (mut admitted, mut refused) = (0, 0);
                    while refused < enough {
                        client.send(&posts);
                        match client.answer_to("POST").status {
                            200 => (admitted, refused) = (admitted + 1, 0),
                            429 => {
                                refused += 1;
                                thread::sleep(Duration::from_millis(50));
                            }
                            other => panic!("{other}"),
                        }
                    }
                    admitted
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}
