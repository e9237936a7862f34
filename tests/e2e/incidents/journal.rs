//! The log as systemd's journal takes it, where stderr is the journal and where it is not.

use std::io::pipe;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use rustix::fs::fstat;
use serde_json::json;

use crate::edge::{Edge, Log, configuration, program};
use crate::parts::promises;
use crate::upstream::{Fake, Silent};

pub(super) fn trials() -> Vec<Trial> {
    promises![&[];
        where_stderr_is_the_journal_each_line_stands_behind_its_level,
        a_journal_that_is_elsewhere_changes_nothing,
        the_form_can_be_asked_for,
    ]
}

/// As systemd names a stream.
fn named(stream: impl AsFd) -> String {
    let stat = fstat(stream).unwrap();
    format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// What an edge that cannot start says on a stderr that is, or is not, the journal.
#[track_caller]
fn said(is_journal: bool) -> String {
    let (reader, writer) = pipe().unwrap();
    let stream = match is_journal {
        true => named(&writer),
        false => named(std::fs::File::open("/dev/null").unwrap()),
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vidette.yml");
    let taken = Silent::reserve();
    let changes = json!({
        "listen": {"public": [format!("127.0.0.1:{}", taken.port())]},
        "disk_guard": {"paths": ["/no/such/disk"]},
        "log": {"format": "auto", "level": "info"},
    });
    let text = configuration("http://127.0.0.1:9", "http://127.0.0.1:9", &changes).to_string();
    std::fs::write(&file, text).unwrap();
    let mut command: Command = program();
    command.args(["run", "-c"]).arg(&file);
    command.env("JOURNAL_STREAM", stream).stdin(Stdio::null());
    let mut child = command.stderr(writer).spawn().unwrap();
    // The command holds the other end of the pipe.
    drop(command);
    let log = Log::follow(reader);
    child.wait().unwrap();
    log.whole()
}

fn where_stderr_is_the_journal_each_line_stands_behind_its_level() {
    let said = said(true);
    let first = said.lines().next().unwrap();
    assert!(
        first.starts_with("<4>disk_guard.paths[0] cannot be looked at"),
        "{said}"
    );
}

fn a_journal_that_is_elsewhere_changes_nothing() {
    let said = said(false);
    let first: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(first["level"], "WARN", "{said}");
}

fn the_form_can_be_asked_for() {
    let fake = Fake::start();
    let changes = json!({"log": {"format": "journald", "level": "info"}});
    let edge = Edge::configured(&fake.url(), &fake.url(), changes);
    edge.rewrite("nonsense: true\nmore: true");
    edge.log.wait_for("a level and the fields", |line| {
        let told = line.starts_with("<3>the configuration was not reloaded")
            && line.contains("kind=\"reload_refused\"")
            && line.contains("advice=\"The old one stays in force. vidette check says")
            && line.contains("\"nonsense\"")
            && line.contains("\"more\"");
        told.then_some(())
    });
    for line in edge.log.text().lines() {
        assert!(
            line.starts_with('<') && line.get(2..3) == Some(">"),
            "{line}"
        );
    }
}
