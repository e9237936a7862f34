//! The built program under test, run as an operator would run it: a file, a
//! process, its log, its admin address. Never reaches into its code.

mod log;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Answer, Client, ask};
use crate::upstream::{Fake, HANG};

pub(crate) use log::Log;

/// A key in the form that Sentry issues.
pub(crate) const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

/// The program's own file.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vidette"));
    // What an operator has in the environment must not change what tests see.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("VIDETTE_") {
            command.env_remove(name);
        }
    }
    command
}

/// A configuration for tests: loopback, free ports, one worker, nothing kept over a
/// restart, or edges would learn from one another, and nothing told of its own accord;
/// `changes` lie above it.
pub(crate) fn configuration(ingest: &str, web: &str, changes: &Value) -> Value {
    let mut all = json!({
        "workers": 1,
        "listen": {"public": ["127.0.0.1:0"], "admin": "127.0.0.1:0"},
        "upstream": {"ingest": [ingest], "web": [web]},
        "client_ip": {"trusted_proxies": ["loopback"]},
        "keys": {"mode": "open"},
        "state": {"path": "off"},
        "spool": {"path": "off"},
        "client_reports": {"enabled": false},
        "log": {"format": "text", "level": "debug"},
    });
    lay_over(&mut all, changes);
    all
}

pub(crate) fn lay_over(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                lay_over(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

/// A running edge. Dropping it kills it.
pub(crate) struct Edge {
    child: Child,
    /// Where clients connect.
    pub(crate) public: SocketAddr,
    /// Where operators connect.
    pub(crate) admin: SocketAddr,
    /// Its standard error.
    pub(crate) log: Log,
    /// Shared by all that take over from one another.
    folder: Arc<TempDir>,
    /// What they have in their environment.
    inherited: Arc<[(String, String)]>,
}

impl Edge {
    /// An edge before one fake that is both upstreams.
    #[track_caller]
    pub(crate) fn before(fake: &Fake) -> Self {
        Self::configured(&fake.url(), &fake.url(), json!({}))
    }

    /// An edge before two upstreams, with changes to the tests' configuration.
    #[track_caller]
    pub(crate) fn configured(ingest: &str, web: &str, changes: Value) -> Self {
        Self::run(&configuration(ingest, web, &changes).to_string(), &[])
    }

    /// An edge that runs on this file's text.
    #[track_caller]
    pub(crate) fn run(text: &str, environment: &[(&str, &str)]) -> Self {
        Self::start(program(), text, environment)
    }

    /// The same in a mount namespace of its own, in which this was done first.
    #[track_caller]
    pub(crate) fn run_where(done: &str, text: &str) -> Self {
        let mut command = Command::new("unshare");
        let edge = env!("CARGO_BIN_EXE_vidette");
        let script = format!("set -e\n{done}\nexec \"{edge}\" \"$@\"");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script, "vidette"]);
        Self::start(command, text, &[])
    }

    /// An edge before one fake that is both upstreams, with changes to the tests' configuration,
    /// and what it writes to its standard output.
    #[track_caller]
    pub(crate) fn heard(fake: &Fake, changes: &Value) -> (Self, ChildStdout) {
        let text = configuration(&fake.url(), &fake.url(), changes).to_string();
        let mut edge = Self::start_with(program(), &text, &[], Stdio::piped());
        let stdout = edge.child.stdout.take().unwrap();
        (edge, stdout)
    }

    /// An edge that this command runs, which gets the program's arguments.
    #[track_caller]
    pub(crate) fn start(program: Command, text: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_with(program, text, environment, Stdio::inherit())
    }

    #[track_caller]
    fn start_with(
        mut program: Command,
        text: &str,
        environment: &[(&str, &str)],
        stdout: Stdio,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("vidette.yml"), text).unwrap();
        program.envs(environment.iter().copied()).stdout(stdout);
        Self::start_in(folder.into(), program, &[])
    }

    /// The process that takes over from this one, on what its file says now. It serves.
    #[track_caller]
    pub(crate) fn successor(&self) -> Self {
        let folder = Arc::clone(&self.folder);
        let mut program = program();
        program.envs(self.inherited.iter().map(|(name, value)| (name, value)));
        let mut next = Self::start_in(folder, program, &["--takeover"]);
        next.inherited = Arc::clone(&self.inherited);
        next
    }

    /// The same edge, whose successors have this in their environment.
    pub(crate) fn passing_on(mut self, environment: &[(&str, &str)]) -> Self {
        let owned = environment.iter();
        let owned = owned.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.inherited = owned.collect();
        self
    }

    #[track_caller]
    fn start_in(folder: Arc<TempDir>, mut program: Command, more: &[&str]) -> Self {
        let mut child = program
            .args(["run", "-c"])
            .arg(folder.path().join("vidette.yml"))
            .args(more)
            .env("TMPDIR", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::follow(child.stderr.take().unwrap());
        let (public, admin) = log.wait_for("its addresses", |line| {
            Some((
                address_after(line, "public")?,
                address_after(line, "admin")?,
            ))
        });
        Self {
            child,
            public,
            admin,
            log,
            folder,
            inherited: Arc::default(),
        }
    }

    /// The folder of its file and its temporary files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its configuration file.
    pub(crate) fn rewrite(&self, text: &str) {
        fs::write(self.folder.path().join("vidette.yml"), text).unwrap();
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn wait_end(&mut self) -> ExitStatus {
        ended(&mut self.child, &self.log, HANG)
    }

    /// Asks its admin address.
    #[track_caller]
    pub(crate) fn admin_get(&self, path: &str) -> Answer {
        ask(self.admin, "GET", path, &[("Host", "localhost")], b"")
    }

    /// The sum of all samples of a metric whose labels contain all of `labels`.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.admin_get("/metrics").text();
        let samples = text.lines().filter(|line| {
            let named = line
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']));
            named && labels.iter().all(|label| line.contains(label))
        });
        samples
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Waits, by asking again, until a metric has at least this value.
    #[track_caller]
    pub(crate) fn wait_metric(&self, name: &str, labels: &[&str], least: f64) {
        let deadline = Instant::now() + HANG;
        while self.metric(name, labels) < least {
            assert!(
                Instant::now() < deadline,
                "{name}{labels:?} stays below {least}:\n{}",
                self.log.text()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// A field of `/proc/PID/status` in KiB.
    pub(crate) fn memory_kib(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// A new connection to its public address.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.public)
    }

    /// Sends one request and reads the answer.
    #[track_caller]
    pub(crate) fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        ask(self.public, method, target, headers, body)
    }

    /// Posts an envelope with a good key and reads the answer.
    #[track_caller]
    pub(crate) fn post_envelope(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.ask("POST", &envelope_target(), headers, body)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        let log = self.log.text();
        if thread::panicking() {
            eprintln!("--- the edge's log ---\n{log}\n---");
        } else {
            // A task that ends by one is missed by nobody else.
            assert!(!log.contains("panicked at"), "the edge panicked:\n{log}");
        }
    }
}

/// Where envelopes of project 42 go, with the key in the query.
pub(crate) fn envelope_target() -> String {
    format!("/api/42/envelope/?sentry_key={KEY}&sentry_version=7")
}

/// Where dumps of project 42 go: an event's path whose body nobody looks into.
pub(crate) fn dump_target() -> String {
    format!("/api/42/minidump/?sentry_key={KEY}&sentry_version=7")
}

/// Waits until a child has ended; kills it and panics with its log when it does not.
#[track_caller]
pub(crate) fn ended(child: &mut Child, log: &Log, limit: Duration) -> ExitStatus {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            drop(child.kill());
            drop(child.wait());
            panic!("it does not end:\n{}", log.text());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The socket address that follows a word, be it bare, in brackets or a field's value.
pub(crate) fn address_after(line: &str, word: &str) -> Option<SocketAddr> {
    let after = line.split_once(word)?.1;
    let after = after.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = after.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
    after[..end.unwrap_or(after.len())].parse().ok()
}
