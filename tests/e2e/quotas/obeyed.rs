//! Sentry's SDKs do what they are told: they hold a limited kind back for the announced
//! time, go on with the others, and come back. Watched where the requests arrive, with
//! the clock that the SDKs themselves go by.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;

use crate::edge::{Edge, KEY};
use crate::parts::{Part, checkout, node, promises, python};
use crate::upstream::Fake;

use super::counted::settled;
use super::limited;

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[Part::Python]; sentry_sdk_holds_back_what_it_is_told_to];
    trials.extend(promises![&[Part::Node]; sentry_node_holds_back_what_it_is_told_to]);
    trials.extend(promises![&[Part::Browser]; sentry_browser_holds_back_what_it_is_told_to]);
    trials
}

/// An SDK that sends what it is told to.
pub(crate) struct Sdk {
    child: Child,
    orders: ChildStdin,
    done: BufReader<ChildStdout>,
}

impl Sdk {
    pub(crate) fn start(program: &Path, script: &str, dsn: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .arg(checkout("tests/clients").join(script))
            .arg(dsn)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let done = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            orders,
            done,
        }
    }

    /// Hands the SDK one of a kind; it has sent it, or held it back, when this returns.
    #[track_caller]
    pub(crate) fn captures(&mut self, kind: &str) {
        writeln!(self.orders, "{kind}").unwrap();
        let mut line = String::new();
        self.done.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n", "{kind}");
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// How many items of a category have reached the edge.
fn arrived(edge: &Edge, category: &str) -> u64 {
    let ledger = settled(edge);
    let rows = ledger["rows"].as_array().unwrap();
    let of = rows.iter().filter(|row| row["category"] == category);
    of.map(|row| row["items"]["received"].as_u64().unwrap())
        .sum()
}

#[track_caller]
fn check(program: &Path, script: &str, arguments: &[&str]) {
    const ANNOUNCED: Duration = Duration::from_secs(4);
    let fake = Fake::start();
    let quotas = json!([{"name": "errors", "categories": ["error"], "limit": 1, "per": "4s"}]);
    let edge = limited(&fake, &quotas);
    let dsn = format!("http://{KEY}@{}/42", edge.public);
    let mut sdk = Sdk::start(program, script, &dsn, arguments);

    sdk.captures("error");
    sdk.captures("error");
    let told = Instant::now();
    assert_eq!(arrived(&edge, "error"), 2, "one passed, one was refused");
    sdk.captures("error");
    assert_eq!(arrived(&edge, "error"), 2, "it went on sending");
    sdk.captures("session");
    sdk.captures("transaction");
    let others = (arrived(&edge, "session"), arrived(&edge, "transaction"));
    assert_eq!(others, (1, 1), "it held back what nobody limits");
    assert!(told.elapsed() < ANNOUNCED, "too slow a machine to tell");

    while arrived(&edge, "error") == 2 {
        assert!(told.elapsed() < 5 * ANNOUNCED, "it never came back");
        std::thread::sleep(Duration::from_millis(100));
        sdk.captures("error");
    }
    // The answer came a moment before we looked at the clock, with seconds rounded up.
    assert!(
        told.elapsed() > ANNOUNCED - Duration::from_millis(1500),
        "it came back early"
    );
    let errors = super::row(&edge, json!(42), "error");
    assert_eq!(
        errors["items"]["forwarded"],
        json!(2),
        "it came back in vain: {errors}"
    );
}

fn sentry_sdk_holds_back_what_it_is_told_to() {
    check(&python().unwrap(), "obey.py", &[]);
}

fn sentry_node_holds_back_what_it_is_told_to() {
    check(&node(), "obey.mjs", &[]);
}

fn sentry_browser_holds_back_what_it_is_told_to() {
    check(&node(), "browser.mjs", &["--obey"]);
}
