//! The way of a real client: a tap that records what it sends, a proxy in front or
//! none, the edge; and the scripts that run clients and servers. Knows no client.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::edge::{Edge, KEY, Log, address_after, ended};
use crate::front::Nginx;
use crate::haproxy::Haproxy;
use crate::parts::{checkout, node_modules, python};
use crate::tap::Tap;

/// Where clients come from, as the edge or the proxy before it sees it: no trusted proxy.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);

/// A hang guard for one run of a client.
pub(crate) const RUN: Duration = Duration::from_secs(240);

/// What stands in front of the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Front {
    Nothing,
    Nginx,
    Haproxy,
}

/// The proxy that runs in front.
enum Proxy {
    Nginx(Nginx),
    Haproxy(Haproxy),
}

impl Proxy {
    fn before(edge: SocketAddr, front: Front) -> Option<Self> {
        match front {
            Front::Nothing => None,
            Front::Nginx => Some(Self::Nginx(Nginx::in_front_of(edge))),
            Front::Haproxy => Some(Self::Haproxy(Haproxy::in_front_of(edge))),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Nginx(nginx) => nginx.address,
            Self::Haproxy(haproxy) => haproxy.address,
        }
    }
}

/// Everything between a client and its upstream.
pub(crate) struct Way {
    pub(crate) tap: Tap,
    /// Where the tap leads: the front, or the edge where there is none.
    pub(crate) door: SocketAddr,
    _front: Option<Proxy>,
    _edge: Edge,
}

impl Way {
    pub(crate) fn to(upstream: &str, front: Front) -> Self {
        let changes = json!({"client_ip": {"trusted_proxies": ["127.0.0.1/32"]}});
        Self::over(Edge::configured(upstream, upstream, changes), front)
    }

    /// Over an edge that trusts no more than the proxy's own address.
    pub(crate) fn over(edge: Edge, front: Front) -> Self {
        let front = Proxy::before(edge.public, front);
        let door = front.as_ref().map_or(edge.public, Proxy::address);
        Self {
            tap: Tap::before(door, CLIENT),
            door,
            _front: front,
            _edge: edge,
        }
    }

    pub(crate) fn dsn(&self, project: u64) -> String {
        format!("http://{KEY}@{}/{project}", self.tap.address)
    }
}

/// Runs a script to its end; what it printed, a JSON value a line.
#[track_caller]
pub(crate) fn run(program: &Path, script: &str, arguments: &[&str]) -> Vec<Value> {
    let mut child = script_command(program, script, arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let printed = Log::follow(child.stdout.take().unwrap());
    let words = Log::follow(child.stderr.take().unwrap());
    let status = ended(&mut child, &words, RUN);
    assert!(
        status.success(),
        "{script}: {status}\n{}\n{}",
        words.whole(),
        printed.whole()
    );
    printed
        .whole()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub(crate) fn script_command(program: &Path, script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .arg(checkout("tests/clients").join(script))
        .args(arguments);
    if let Some(parts) = node_modules().as_deref().and_then(Path::parent) {
        command.env("VIDETTE_PARTS_DIR", parts);
    }
    command
}

/// A server that a script runs until its standard input closes.
pub(crate) struct Served {
    child: Child,
    told: Log,
}

impl Served {
    #[track_caller]
    pub(crate) fn start(script: &str, arguments: &[&str]) -> Self {
        let mut child = script_command(&python().unwrap(), script, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let told = Log::follow(child.stdout.take().unwrap());
        told.wait_for("ready", |line| (line == "ready").then_some(()));
        Self { child, told }
    }

    pub(crate) fn address(&self, word: &str) -> SocketAddr {
        self.told.wait_for(word, |line| address_after(line, word))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if std::thread::panicking() {
            drop(self.child.wait());
        } else {
            ended(&mut self.child, &self.told, RUN);
        }
    }
}
