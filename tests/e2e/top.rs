//! `vidette top` before a running edge: on a terminal, as text, as JSON. What a key does to the
//! screen is its own tests'; what the edge tells is the API's.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::command_line::ran;
use crate::edge::{Edge, KEY, Log, ended, program};
use crate::parts::{Part, promises, python};
use crate::upstream::{Fake, HANG};
use crate::way::run;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        without_a_terminal_it_is_a_table,
        it_ends_when_nobody_reads_on,
        json_is_the_edges_answer,
        an_edge_that_is_away_is_a_failure,
        what_cannot_be_asked_is_a_usage_error,
    ];
    trials.extend(promises![&[Part::Python];
        a_screen_shows_who_sends_and_gives_the_terminal_back,
        an_edge_that_is_away_is_tried_again,
        a_signal_gives_the_terminal_back,
        without_its_terminal_it_ends,
        without_colours_there_are_none,
    ]);
    trials
}

const EVENT: &[u8] = b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n";

/// An edge that has had eight events of project 7 and one of 42, all told.
fn busy(fake: &Fake) -> Edge {
    let edge = Edge::configured(
        &fake.url(),
        &fake.url(),
        json!({"projects": [{"id": 7, "keys": [KEY]}]}),
    );
    for (project, count) in [(7, 8), (42, 1)] {
        let target = format!("/api/{project}/envelope/?sentry_key={KEY}&sentry_version=7");
        for _ in 0..count {
            edge.ask("POST", &target, &[], EVENT);
        }
    }
    wait_for_rows(&edge);
    edge
}

/// Waits until all that was sent is told.
fn wait_for_rows(edge: &Edge) {
    let begin = Instant::now();
    loop {
        let top = edge.admin_get("/api/v1/top?by=project").json();
        if top["rows"][0]["items"].as_u64() >= Some(8) {
            return;
        }
        assert!(begin.elapsed() < HANG, "it is never told: {top}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn top(admin: &str, arguments: &[&str]) -> Command {
    let mut command = program();
    command.args(["top", "--admin", admin]).args(arguments);
    command
}

/// An address where nobody listens.
fn nowhere() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().to_string()
}

fn without_a_terminal_it_is_a_table() {
    let fake = Fake::start();
    let edge = busy(&fake);
    let admin = edge.admin.to_string();
    let told = ran(&mut top(&admin, &["-n", "1"]));
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert!(lines[0].starts_with("green  in "), "{lines:?}");
    assert!(lines[0].contains("ingest up"), "{lines:?}");
    assert!(
        lines[1].starts_with("by project, most items first, all projects, last "),
        "{lines:?}"
    );
    let words =
        |line: &str| -> Vec<String> { line.split_whitespace().map(ToOwned::to_owned).collect() };
    assert_eq!(
        words(lines[2]),
        ["project", "items", "bytes", "dropped", "share"]
    );
    let seven = lines.iter().find(|line| line.starts_with("7 ")).unwrap();
    assert_eq!(words(seven)[1], "8", "{lines:?}");
    let twice = ran(&mut top(
        &admin,
        &["-n", "2", "--every", "1s", "--by", "key"],
    ));
    let heads = twice
        .stdout
        .lines()
        .filter(|line| line.starts_with("by key"));
    assert_eq!(heads.count(), 2, "{}", twice.stdout);
    assert!(!twice.stdout.contains(KEY), "a key stands there whole");
    assert!(twice.stdout.contains("a94a..."), "{}", twice.stdout);
}

fn it_ends_when_nobody_reads_on() {
    let fake = Fake::start();
    let edge = busy(&fake);
    let mut child = top(&edge.admin.to_string(), &["--every", "1s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let words = Log::follow(child.stderr.take().unwrap());
    let mut printed = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    printed.read_line(&mut line).unwrap();
    assert!(line.starts_with("green"), "{line}");
    drop(printed);
    let status = ended(&mut child, &words, HANG);
    assert_eq!(status.code(), Some(0), "{}", words.whole());
    assert_eq!(words.whole(), "");
}

fn json_is_the_edges_answer() {
    let fake = Fake::start();
    let edge = busy(&fake);
    let arguments = ["--json", "--by", "key", "--minutes", "60", "--project", "7"];
    let told = ran(&mut top(&edge.admin.to_string(), &arguments));
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    assert_eq!(told.stdout.lines().count(), 1, "unchanged, it is one line");
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["by"], "key");
    assert_eq!(told["rows"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["rows"][0]["project"], 7, "{told}");
    assert_eq!(told["rows"][0]["name"], "a94a...", "{told}");
}

fn an_edge_that_is_away_is_a_failure() {
    for arguments in [&["-n", "1"][..], &["--json"]] {
        let told = ran(&mut top(&nowhere(), arguments));
        assert_eq!((told.code, &*told.stdout), (Some(1), ""), "{arguments:?}");
        assert!(
            told.stderr.contains("no connection to 127.0.0.1:"),
            "{}",
            told.stderr
        );
    }
}

fn what_cannot_be_asked_is_a_usage_error() {
    for arguments in [
        &["--by", "user"][..],
        &["--order", "name"],
        &["--minutes", "61"],
        &["--minutes", "0"],
        &["--project", "0"],
        &["--every", "0s"],
        &["-n", "0"],
        &["--json", "--plain"],
    ] {
        let told = ran(&mut top(&nowhere(), arguments));
        assert_eq!(told.code, Some(2), "{arguments:?}: {}", told.stderr);
    }
}

/// What the screen showed, of a program that left the terminal as it was.
#[track_caller]
fn scene(admin: &str, scene: &str) -> Value {
    let vidette = env!("CARGO_BIN_EXE_vidette");
    let mut told = run(&python().unwrap(), "top.py", &[vidette, admin, scene]);
    let told = told.pop().unwrap();
    for promise in ["restored", "left", "cursor"] {
        assert_eq!(told[promise], true, "{promise}: {told}");
    }
    assert_eq!(told["code"], 0, "{told}");
    told
}

fn a_screen_shows_who_sends_and_gives_the_terminal_back() {
    let fake = Fake::start();
    let edge = busy(&fake);
    let told = scene(&edge.admin.to_string(), "look");
    let line = |screen: &str, place: usize| told[screen][place].as_str().unwrap().to_owned();
    assert_eq!(line("first", 0), format!("vidette  green  {}", edge.admin));
    assert!(line("first", 1).starts_with("in "), "{told}");
    assert!(line("first", 23).starts_with("q quit  pkrsi by"), "{told}");
    assert!(
        line("keys", 2).contains("by key, most items first"),
        "{told}"
    );
    assert!(
        line("bytes", 2).contains("by key, most bytes first"),
        "{told}"
    );
    assert_eq!(line("page", 2), "project 7, since the start", "{told}");
    assert_eq!(told["narrow"].as_array().unwrap().len(), 12);
    assert_eq!(told["coloured"], true, "the light has a colour");
    assert!(!told.to_string().contains(KEY), "a key stands there whole");
}

fn an_edge_that_is_away_is_tried_again() {
    let told = scene(&nowhere(), "away");
    let first = told["first"].as_array().unwrap();
    assert!(
        first[0].as_str().unwrap().starts_with("vidette  away"),
        "{told}"
    );
}

fn a_signal_gives_the_terminal_back() {
    let fake = Fake::start();
    let edge = busy(&fake);
    for signal in ["TERM", "HUP", "INT"] {
        scene(&edge.admin.to_string(), signal);
    }
}

/// It went round and round at the place where keys are read, on half a core.
fn without_its_terminal_it_ends() {
    let fake = Fake::start();
    let edge = busy(&fake);
    let (vidette, admin) = (env!("CARGO_BIN_EXE_vidette"), edge.admin.to_string());
    let told = run(&python().unwrap(), "top.py", &[vidette, &admin, "gone"]);
    assert_eq!(told, [json!({"ended": true})]);
}

fn without_colours_there_are_none() {
    let fake = Fake::start();
    let edge = busy(&fake);
    let told = scene(&edge.admin.to_string(), "plain");
    assert_eq!(told["coloured"], false, "{told}");
}
