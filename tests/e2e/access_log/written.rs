//! Where the access log's lines go: how much they may take, whoever moves their file, and that
//! requests go on where nothing can be written.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{ID, edge, envelope, lines_of, only_line, wait_lines};
use crate::client::request;
use crate::edge::{Edge, configuration};
use crate::parts::{Part, promises};
use crate::upstream::{Fake, HANG};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        files_stay_under_their_limit_and_lose_no_line,
        a_stdout_that_nobody_reads_holds_up_no_request_and_no_stop,
        what_is_on_its_way_is_written_at_a_stop,
        a_file_that_is_moved_away_is_made_anew,
        a_restart_adds_to_what_is_there,
        a_reload_takes_up_where_and_how,
        a_folder_that_is_not_there_is_said_and_requests_go_on,
        a_pipe_that_nobody_reads_is_said_and_left_by_a_reload,
    ];
    trials.extend(promises![&[Part::Mounts];
        a_full_disk_holds_up_no_request_and_is_over_when_it_has_room,
    ]);
    trials
}

const LINES: &str = "vidette_access_log_lines_total";

/// Sends so many requests, each of its own path, over so many connections at once.
#[track_caller]
fn send_all(edge: &Edge, threads: usize, each: usize) {
    let (public, began) = (edge.public, Instant::now());
    let senders = (0..threads).map(|thread| {
        thread::spawn(move || {
            let mut client = crate::client::Client::connect(public);
            for number in 0..each {
                let target = format!("/visit/{thread}/{number}/");
                client.send(&request("GET", &target, &[], b""));
                assert_eq!(client.answer_to("GET").status, 200);
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.join().unwrap();
    }
    println!("{} requests in {:?}", threads * each, began.elapsed());
}

/// The paths that lines have, each once.
fn paths(lines: &[String]) -> BTreeSet<String> {
    let path = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        line["path"].as_str().unwrap().to_owned()
    };
    lines.iter().map(path).collect()
}

fn files_stay_under_their_limit_and_lose_no_line() {
    const LIMIT: u64 = 64 << 10;
    let fake = Fake::start();
    let log = json!({"max_bytes": "64KiB", "files": 100});
    let edge = edge(&fake, &log, json!({"workers": 2}));
    send_all(&edge, 4, 1000);
    edge.wait_metric(LINES, &["written"], 4000.0);
    assert_eq!(edge.metric(LINES, &["dropped"]), 0.0);
    let (mut lines, mut files) = (Vec::new(), 0);
    for entry in fs::read_dir(edge.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("access.log")
        {
            assert!(
                fs::metadata(&path).unwrap().len() <= LIMIT,
                "{}",
                path.display()
            );
            lines.extend(lines_of(&path));
            files += 1;
        }
    }
    assert!(files > 10, "{files} files");
    assert_eq!(lines.len(), 4000);
    assert_eq!(paths(&lines).len(), 4000);
    // Fewer are kept where fewer are asked for, however much comes.
    let fewer = json!({"max_bytes": "64KiB", "files": 2});
    let edge = super::edge(&fake, &fewer, json!({"workers": 2}));
    send_all(&edge, 4, 500);
    edge.wait_metric(LINES, &["written"], 2000.0);
    let sizes = ["access.log", "access.log.1", "access.log.2"];
    let sizes = sizes.map(|name| fs::metadata(edge.folder().join(name)).unwrap().len());
    assert!(sizes.iter().all(|size| *size <= LIMIT), "{sizes:?}");
    assert!(!edge.folder().join("access.log.3").exists());
}

fn a_stdout_that_nobody_reads_holds_up_no_request_and_no_stop() {
    let fake = Fake::start();
    let changes = json!({"access_log": {"mode": "all", "buffer": "64KiB"}});
    let (mut edge, mut stdout) = Edge::heard(&fake, &changes);
    // A pipe of Linux holds 64 KiB: far less than comes.
    send_all(&edge, 2, 1000);
    edge.wait_metric(LINES, &["dropped"], 100.0);
    edge.log
        .wait_for_text("lines of the access log are dropped");
    let said = edge
        .log
        .text()
        .matches("lines of the access log are dropped")
        .count();
    assert_eq!(said, 1, "it is said again and again");
    let status = edge.admin_get("/api/v1/status").json();
    let reasons = status["reasons"].to_string();
    assert_eq!(status["light"], "amber");
    assert!(
        reasons.contains("lines were dropped so far: more are coming than can be written"),
        "{reasons}"
    );
    let began = Instant::now();
    edge.signal(Signal::TERM);
    assert!(edge.wait_end().success());
    assert!(began.elapsed() < HANG / 2, "the stop waits for the pipe");
    // What did get through is whole, and in order for each connection.
    let mut text = Vec::new();
    stdout.read_to_end(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let whole = text.rsplit_once('\n').unwrap().0;
    let lines: Vec<String> = whole.lines().map(str::to_owned).collect();
    assert!(lines.len() > 50 && paths(&lines).len() == lines.len());
}

fn what_is_on_its_way_is_written_at_a_stop() {
    let fake = Fake::start();
    let changes = json!({"access_log": {"mode": "all"}, "workers": 2});
    let (mut edge, mut stdout) = Edge::heard(&fake, &changes);
    send_all(&edge, 2, 20);
    edge.signal(Signal::TERM);
    assert!(edge.wait_end().success());
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(paths(&lines).len(), 40, "{text}");
}

fn a_file_that_is_moved_away_is_made_anew() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({}), json!({}));
    let (path, moved) = (
        edge.folder().join("access.log"),
        edge.folder().join("moved.log"),
    );
    edge.ask("GET", "/one/", &[], b"");
    wait_lines(&edge, 1);
    fs::rename(&path, &moved).unwrap();
    // At once, as logrotate asks for, so that what it packs grows no more.
    edge.signal(Signal::USR1);
    wait_for("it is not made anew", || path.exists());
    edge.ask("GET", "/two/", &[], b"");
    assert_eq!(only_line(&edge)["path"], "/two/");
    fs::remove_file(&path).unwrap();
    edge.ask("GET", "/three/", &[], b"");
    assert_eq!(only_line(&edge)["path"], "/three/");
    assert_eq!(
        paths(&lines_of(&moved)),
        BTreeSet::from(["/one/".to_owned()])
    );
}

#[track_caller]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + HANG;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn a_restart_adds_to_what_is_there() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    for number in 1..=2 {
        let mut edge = edge(&fake, &json!({"to": path}), json!({}));
        edge.ask("GET", &format!("/run/{number}/"), &[], b"");
        edge.signal(Signal::TERM);
        assert!(edge.wait_end().success());
    }
    let want = ["/run/1/", "/run/2/"].map(str::to_owned);
    assert_eq!(paths(&lines_of(&path)), BTreeSet::from(want));
}

fn a_reload_takes_up_where_and_how() {
    let fake = Fake::start();
    let text = |log: Value| {
        configuration(&fake.url(), &fake.url(), &json!({"access_log": log})).to_string()
    };
    let edge = Edge::run(&text(json!({"mode": "all", "to": "./access.log"})), &[]);
    edge.ask("GET", "/one/", &[], b"");
    wait_lines(&edge, 1);
    edge.rewrite(&text(
        json!({"mode": "all", "to": "./other.log", "format": "common"}),
    ));
    edge.signal(Signal::HUP);
    edge.wait_metric("vidette_config_reloads_total", &["applied"], 1.0);
    edge.ask("GET", "/two/", &[], b"");
    edge.wait_metric(LINES, &["written"], 2.0);
    let lines = lines_of(&edge.folder().join("other.log"));
    assert!(
        lines.len() == 1 && lines[0].contains("\"GET /two/ HTTP/1.1\" 200"),
        "{lines:?}"
    );
    edge.rewrite(&text(
        json!({"mode": "sampled", "sample": 0, "to": "./other.log"}),
    ));
    edge.signal(Signal::HUP);
    edge.wait_metric("vidette_config_reloads_total", &["applied"], 2.0);
    edge.ask("GET", "/three/", &[], b"");
    edge.ask("POST", "/api/42/store/", &[], b"{}");
    edge.wait_metric(LINES, &["written"], 3.0);
    let lines = lines_of(&edge.folder().join("other.log"));
    assert!(
        lines.len() == 2 && lines[1].contains("\"reason\":\"no_key\""),
        "{lines:?}"
    );
}

fn a_folder_that_is_not_there_is_said_and_requests_go_on() {
    let fake = Fake::start();
    let edge = edge(&fake, &json!({"to": "./later/access.log"}), json!({}));
    edge.log
        .wait_for_text("the folder of access_log.to is not there");
    edge.log
        .wait_for_text("the access log cannot be written: ./later/access.log: No such file");
    assert_eq!(edge.post_envelope(&[], &envelope(ID)).status, 200);
    edge.wait_metric(LINES, &["dropped"], 1.0);
    let reasons = edge.admin_get("/api/v1/status").json()["reasons"].to_string();
    assert!(
        reasons.contains("access log: ./later/access.log: No such file"),
        "{reasons}"
    );
    fs::create_dir(edge.folder().join("later")).unwrap();
    let path = edge.folder().join("later/access.log");
    wait_for("it is not tried again", || path.exists());
    assert_eq!(edge.post_envelope(&[], &envelope(ID)).status, 200);
    edge.wait_metric(LINES, &["written"], 1.0);
    assert_eq!(lines_of(&path).len(), 1);
}

fn a_pipe_that_nobody_reads_is_said_and_left_by_a_reload() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let (pipe, file) = (place.path().join("pipe"), place.path().join("file"));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let edge = edge(&fake, &json!({"to": pipe}), json!({}));
    assert_eq!(edge.post_envelope(&[], &envelope(ID)).status, 200);
    edge.wait_metric(LINES, &["dropped"], 1.0);
    let reasons = edge.admin_get("/api/v1/status").json()["reasons"].to_string();
    assert!(reasons.contains("access log: "), "{reasons}");
    // It waited for a reader for ever, and opened no other file after that.
    let changes = json!({"access_log": {"mode": "all", "to": file}});
    edge.rewrite(&configuration(&fake.url(), &fake.url(), &changes).to_string());
    let reloaded = crate::admin::post(&edge, "/api/v1/reload", &[]);
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    assert_eq!(edge.post_envelope(&[], &envelope(ID)).status, 200);
    wait_for("no line in the new file", || {
        file.exists() && lines_of(&file).len() == 1
    });
}

fn a_full_disk_holds_up_no_request_and_is_over_when_it_has_room() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = format!("mount -t tmpfs -o size=256k none \"{}\"", disk.display());
    let log = json!({"mode": "all", "to": disk.join("access.log"), "max_bytes": "100MiB"});
    let changes = json!({"access_log": log});
    let text = configuration(&fake.url(), &fake.url(), &changes).to_string();
    let edge = Edge::run_where(&mount, &text);
    send_all(&edge, 2, 1000);
    // Written or dropped, none is still on its way.
    edge.wait_metric(LINES, &[], 2000.0);
    assert!(edge.metric(LINES, &["dropped"]) > 100.0);
    let reasons = edge.admin_get("/api/v1/status").json()["reasons"].to_string();
    assert!(reasons.contains("No space left on device"), "{reasons}");
    let said = edge.log.text();
    assert_eq!(
        said.matches("No space left on device").count(),
        1,
        "it is said again and again"
    );
    // Seen through the edge, whose mount is its own.
    let inside = std::path::PathBuf::from(format!("/proc/{}/root{}", edge.pid(), disk.display()));
    let lines = lines_of(&inside.join("access.log"));
    assert!(lines.len() > 100 && paths(&lines).len() == lines.len());
    fs::remove_file(inside.join("access.log")).unwrap();
    let dropped = edge.metric(LINES, &["dropped"]);
    send_all(&edge, 1, 10);
    wait_for("nothing is written again", || {
        lines_of(&inside.join("access.log")).len() == 10
    });
    assert_eq!(edge.metric(LINES, &["dropped"]), dropped);
}
