//! `vidette tail`, run as its users do.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{EVENT, FROM, edge};
use crate::command_line::{Ran, ran};
use crate::edge::{Edge, KEY, Log, ended, program};
use crate::parts::{Part, promises, python};
use crate::upstream::{Fake, HANG};
use crate::way::run;

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        it_shows_what_was_asked_for_and_ends_after_so_many,
        json_is_one_object_a_line,
        it_ends_after_a_while,
        it_ends_with_its_reader,
        it_says_when_the_edge_goes_away,
        it_says_what_there_is_where_it_is_asked_for_something_else,
        a_project_is_typed_by_its_name,
    ];
    trials.extend(promises![&[Part::Python]; a_terminal_is_told_what_is_listened_to]);
    trials
}

/// `vidette tail`, in the course of being told.
struct Tail {
    child: Child,
    out: Log,
    err: Log,
}

fn command(edge: &Edge, words: &[&str]) -> Command {
    let mut command = program();
    command
        .args(["tail", "--admin", &edge.admin.to_string()])
        .args(words);
    command
}

impl Tail {
    fn start(edge: &Edge, words: &[&str]) -> Self {
        let mut command = command(edge, words);
        let piped = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let out = Log::follow(child.stdout.take().unwrap());
        let err = Log::follow(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Its exit code, once it has ended.
    #[track_caller]
    fn code(&mut self) -> Option<i32> {
        ended(&mut self.child, &self.err, HANG).code()
    }
}

/// Sends until this is so: nobody knows from outside when a listener has its place.
#[track_caller]
fn send_until(edge: &Edge, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + HANG;
    while !so() {
        assert!(Instant::now() < deadline, "it never comes");
        assert_eq!(edge.post_envelope(&[FROM], EVENT).status, 200);
        thread::sleep(Duration::from_millis(10));
    }
}

fn it_shows_what_was_asked_for_and_ends_after_so_many() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let words = ["--project", "42", "--outcome", "forwarded", "-n", "2"];
    let mut tail = Tail::start(&edge, &words);
    send_until(&edge, || tail.child.try_wait().unwrap().is_some());
    assert_eq!(tail.code(), Some(0));
    let text = tail.out.whole();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    let words =
        |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let names = "time project key ip category outcome reason items bytes";
    assert_eq!(words(lines[0]).join(" "), names);
    let told = words(lines[1]);
    assert_eq!(
        told[1..].join(" "),
        "42 a94a... 203.0.113.x error forwarded - 1 2"
    );
    assert_eq!(told[0].len(), "12:00:00.000".len(), "{text}");
    // The columns stand below their names.
    for (name, value) in [("key", "a94a"), ("ip", "203."), ("outcome", "forwarded")] {
        assert_eq!(lines[0].find(name), lines[1].find(value), "{text}");
    }
}

fn json_is_one_object_a_line() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let mut tail = Tail::start(&edge, &["--json", "-n", "1"]);
    send_until(&edge, || tail.child.try_wait().unwrap().is_some());
    assert_eq!(tail.code(), Some(0));
    let told: Value = serde_json::from_str(&tail.out.whole()).unwrap();
    assert_eq!(told["key"], "a94a...");
    assert_eq!(told["skipped"], 0);
}

fn it_ends_after_a_while() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let Ran {
        code,
        stdout,
        stderr,
    } = ran(&mut command(&edge, &["--for", "300ms"]));
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", ""));
}

fn it_ends_with_its_reader() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let mut command = command(&edge, &["--json"]);
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tail = piped.spawn().unwrap();
    let err = Log::follow(tail.stderr.take().unwrap());
    let mut head = {
        let mut head = Command::new("head");
        let head = head.arg("-n1").stdin(tail.stdout.take().unwrap());
        // The command has an end of the pipe too, as long as it is there.
        head.stdout(Stdio::null()).spawn().unwrap()
    };
    send_until(&edge, || head.try_wait().unwrap().is_some());
    assert!(head.wait().unwrap().success());
    send_until(&edge, || tail.try_wait().unwrap().is_some());
    assert_eq!(ended(&mut tail, &err, HANG).code(), Some(0));
    assert_eq!(err.whole(), "");
}

fn it_says_when_the_edge_goes_away() {
    let fake = Fake::start();
    for signal in [Signal::TERM, Signal::KILL] {
        let mut edge = edge(&fake, &json!({}));
        let mut tail = Tail::start(&edge, &["--json"]);
        send_until(&edge, || !tail.out.text().is_empty());
        edge.signal(signal);
        assert_eq!(tail.code(), Some(1), "{}", tail.err.text());
        let said = tail.err.whole();
        assert!(said.contains(&edge.admin.to_string()), "{said}");
        edge.wait_end();
        let mut late = Tail::start(&edge, &[]);
        assert_eq!(late.code(), Some(1), "nobody is there");
    }
}

fn it_says_what_there_is_where_it_is_asked_for_something_else() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    for (words, want) in [
        (
            ["--outcome", "lost"],
            "outcome: write forwarded, spooled or dropped",
        ),
        (["--reason", "because"], "reason: write one of no_key,"),
        (["--category", "bugs"], "category: write one of default,"),
        // A slip of the fingers is answered with the word alone.
        (["--reason", "qouta"], "did you mean \"quota\"?\n"),
        (["--category", "errors"], "did you mean \"error\"?\n"),
        (["--project", "shop"], "write its number"),
        (["--project", "0"], "no project has such a number"),
        (["--for", "soon"], "30s"),
    ] {
        let ran = ran(&mut command(&edge, &words));
        assert_eq!(ran.code, Some(2), "{words:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(want), "{words:?}: {}", ran.stderr);
    }
}

fn a_project_is_typed_by_its_name() {
    let fake = Fake::start();
    let edge = edge(
        &fake,
        &json!({"projects": [{"id": 42, "name": "shop", "keys": [KEY]}]}),
    );
    let mut tail = Tail::start(&edge, &["--project", "shop", "--json", "-n", "1"]);
    send_until(&edge, || tail.child.try_wait().unwrap().is_some());
    assert_eq!(tail.code(), Some(0), "{}", tail.err.text());
    let told: Value = serde_json::from_str(&tail.out.whole()).unwrap();
    assert_eq!(told["project"], 42);
    let top = |name: &str| {
        let admin = edge.admin.to_string();
        ran(program().args(["top", "--json", "--project", name, "--admin", &admin]))
    };
    let named = top("shop");
    assert_eq!(named.code, Some(0), "{}", named.stderr);
    let told: Value = serde_json::from_str(&named.stdout).unwrap();
    assert!(told["rows"].is_array(), "{told}");
    let unknown = top("shopp");
    assert_eq!(unknown.code, Some(2), "{}", unknown.stdout);
    assert!(
        unknown.stderr.contains("write its number"),
        "{}",
        unknown.stderr
    );
}

/// Who looked at a quiet project saw nothing at all, and did not know whether it worked.
fn a_terminal_is_told_what_is_listened_to() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}));
    let (vidette, admin) = (env!("CARGO_BIN_EXE_vidette"), edge.admin.to_string());
    let words = [
        "tail",
        "--project",
        "999",
        "--for",
        "300ms",
        "--admin",
        &admin,
    ];
    let told = run(
        &python().unwrap(),
        "terminal.py",
        &[&[vidette], &words[..]].concat(),
    );
    let want = format!("listening to {admin}, project 999, for 300ms\nnothing came\n");
    assert_eq!(told, [json!({"code": 0, "stdout": "", "stderr": want})]);
}
