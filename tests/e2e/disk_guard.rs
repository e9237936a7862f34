//! The disk guard and budgets, from outside: what of a mixed traffic still arrives while a
//! small disk is filled and emptied, and what senders and operators are told.

mod budgets;
mod ladder;
mod told;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::edge::{Edge, KEY, configuration, lay_over};
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = ladder::trials();
    trials.extend(told::trials());
    trials.extend(budgets::trials());
    trials
}

/// The size of the disk under test: a hundredth of it is some 100 KB.
const DISK_BYTES: u64 = 10 << 20;

/// An edge that guards a disk of its own, which is seen through the edge's eyes alone.
struct Guarded {
    edge: Edge,
    place: TempDir,
}

impl Guarded {
    #[track_caller]
    fn before(fake: &Fake, changes: &Value) -> Self {
        Self::filled(fake, changes, 0)
    }

    /// The same with so many hundredths used from the start, and seen.
    #[track_caller]
    fn filled(fake: &Fake, changes: &Value, percent: u64) -> Self {
        let place = TempDir::new().unwrap();
        let path = place.path().display();
        let bytes = DISK_BYTES * percent / 100;
        let done = format!(
            "mount -t tmpfs -o size={DISK_BYTES},nr_inodes=200 tmpfs {path}\n\
             head -c {bytes} /dev/zero > {path}/filled"
        );
        let mut all = json!({
            "projects": [{"id": 42, "keys": [KEY]}],
            "disk_guard": {"paths": [place.path()], "interval": "100ms"},
        });
        lay_over(&mut all, changes);
        let text = configuration(&fake.url(), &fake.url(), &all).to_string();
        let edge = Edge::run_where(&done, &text);
        let seen = |told: &Value| {
            let used = told["disks"][0]["used_ratio"].as_f64();
            used.is_some_and(|used| used * 100.0 > percent as f64 - 0.5)
        };
        told_once(&edge, seen);
        Self { edge, place }
    }

    /// Its disk, from here.
    fn disk(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.edge.pid()));
        root.join(self.place.path().strip_prefix("/").unwrap())
    }

    /// Has so many hundredths of the disk used, and waits until the edge has seen it.
    #[track_caller]
    fn uses(&self, percent: f64) -> Value {
        let bytes = (DISK_BYTES as f64 * percent / 100.0) as u64;
        let file = self.disk().join("filled");
        let mut file = OpenOptions::new().append(true).open(file).unwrap();
        let has = file.metadata().unwrap().len();
        // Never by way of an empty file, at which the edge may look.
        match bytes.checked_sub(has) {
            Some(more) => file.write_all(&vec![0; more as usize]).unwrap(),
            None => file.set_len(bytes).unwrap(),
        }
        let seen = |told: &Value| {
            let used = told["disks"][0]["used_ratio"].as_f64();
            used.is_some_and(|used| (used * 100.0 - percent).abs() < 0.2)
        };
        told_once(&self.edge, seen)
    }
}

/// The disk guard in `status`, once it is like that.
#[track_caller]
fn told_once(edge: &Edge, is: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + HANG;
    loop {
        let told = edge.admin_get("/api/v1/status").json()["disk_guard"].clone();
        if is(&told) {
            return told;
        }
        assert!(Instant::now() < deadline, "it never comes: {told}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// An envelope of one item.
fn one(kind: &str) -> Vec<u8> {
    format!("{{}}\n{{\"type\":\"{kind}\",\"length\":2}}\n{{}}\n").into_bytes()
}

/// What all rows of the ledger say of an ending, once nothing is in flight; and that each is
/// closed.
#[track_caller]
fn dropped(edge: &Edge, reason: &str) -> u64 {
    let ledger = crate::quotas::settled(edge);
    let rows = ledger["rows"].as_array().unwrap();
    let mut all = 0;
    for row in rows {
        for unit in ["items", "bytes"] {
            let of = |name: &str| row[unit][name].as_u64().unwrap();
            let dropped = row[unit]["dropped"].as_object().unwrap();
            let lost: u64 = dropped.values().filter_map(Value::as_u64).sum();
            assert_eq!(of("received"), of("forwarded") + lost, "{row}");
        }
        all += row["items"]["dropped"][reason].as_u64().unwrap_or(0);
    }
    all
}

/// Whether anything that arrived has this in its body.
fn has(fake: &Fake, text: &str) -> bool {
    let seen = fake.requests();
    seen.iter()
        .any(|request| memchr::memmem::find(&request.body, text.as_bytes()).is_some())
}

fn reasons(edge: &Edge) -> String {
    edge.admin_get("/api/v1/status").json()["reasons"].to_string()
}

/// What a command says of an edge.
#[track_caller]
fn says(edge: &Edge, words: &[&str]) -> String {
    let admin = edge.admin.to_string();
    let mut command = crate::edge::program();
    let said = crate::command_line::ran(command.args(words).args(["--admin", &admin]));
    assert_eq!(said.code, Some(0), "{words:?}: {}", said.stderr);
    said.stdout
}
