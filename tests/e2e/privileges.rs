//! An edge that is started as root, and is root no more before anybody is heard.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use nix::unistd::User;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command_line::ran;
use crate::edge::{Edge, Log, configuration, ended, program};
use crate::parts::{Part, promises};
use crate::tls::authority::Authority;
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    promises![&[Part::Root];
        root_listens_on_a_low_port_and_is_nobody_in_every_thread,
        a_successor_needs_no_root_for_a_low_port,
        whom_it_cannot_become_it_does_not_start_as,
        a_key_that_the_user_cannot_read_is_named_before_and_at_the_start,
        folders_that_are_not_there_are_made_for_the_user,
        a_folder_that_the_user_cannot_write_is_warned_of_before_the_start,
    ]
}

/// Whom every Debian has, beside root.
const USER: &str = "nobody";

/// An address that only root may listen on.
fn low_address() -> SocketAddr {
    let mut ports = (600..1024_u16).rev();
    let free = ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    SocketAddr::from(([127, 0, 0, 1], free.expect("a free low port")))
}

/// A folder that the user may write.
fn own_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let user = User::from_name(USER).unwrap().unwrap();
    chown(
        folder.path(),
        Some(user.uid.as_raw()),
        Some(user.gid.as_raw()),
    )
    .unwrap();
    folder
}

/// An edge that keeps things, on a low port, as that user: who must be able to read its file, and
/// its program, wherever this was built.
fn drops(fake: &Fake, folder: &TempDir) -> Edge {
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let kept = json!({"state": {"path": at("state")}, "spool": {"path": at("spool")}});
    drops_with(fake, &kept)
}

fn drops_with(fake: &Fake, changes: &Value) -> Edge {
    let mut changes = changes.clone();
    changes["user"] = json!(USER);
    changes["listen"] = json!({"public": [low_address()]});
    let text = configuration(&fake.url(), &fake.url(), &changes).to_string();
    let mut command = Command::new("sh");
    let built = program();
    let script = format!("set -e; cp \"$0\" vidette; chown -R {USER} .; exec ./vidette \"$@\"");
    command.args(["-c", &script]).arg(built.get_program());
    Edge::start(command, &text, &[])
}

/// What the kernel says of each thread of a process: the numbers of a line of its status.
fn each_thread(pid: u32, line: &str) -> Vec<Vec<String>> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let status = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let numbers = status.map(|status| {
        let found = status.lines().find_map(|found| found.strip_prefix(line));
        let numbers = found.unwrap().split_whitespace();
        numbers.map(str::to_owned).collect()
    });
    numbers.collect()
}

#[track_caller]
fn check_is_user(pid: u32) {
    let user = User::from_name(USER).unwrap().unwrap();
    let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
    let threads = each_thread(pid, "Uid:");
    assert!(threads.len() > 1, "the edge has threads");
    for (line, number) in [("Uid:", &uid), ("Gid:", &gid)] {
        for numbers in each_thread(pid, line) {
            assert_eq!(numbers, vec![number.clone(); 4], "{line}");
        }
    }
    for groups in each_thread(pid, "Groups:") {
        assert!(!groups.contains(&"0".to_owned()), "{groups:?}");
    }
    for capabilities in ["CapPrm:", "CapEff:", "CapInh:", "CapAmb:"] {
        for set in each_thread(pid, capabilities) {
            assert_eq!(set, ["0000000000000000"], "{capabilities}");
        }
    }
}

fn root_listens_on_a_low_port_and_is_nobody_in_every_thread() {
    let (fake, folder) = (Fake::start(), own_folder());
    let edge = drops(&fake, &folder);
    assert!(edge.public.port() < 1024);
    assert_eq!(edge.post_envelope(&[], ENVELOPE).status, 200);
    check_is_user(edge.pid());
    let user = User::from_name(USER).unwrap().unwrap();
    for name in ["state", "spool"] {
        let made = fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!(made.uid(), user.uid.as_raw(), "{name} was made by the user");
    }
    edge.log.wait_for_text("is root no more");
}

const ENVELOPE: &[u8] = b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n";

fn a_successor_needs_no_root_for_a_low_port() {
    let (fake, folder) = (Fake::start(), own_folder());
    let mut edge = drops(&fake, &folder);
    // Its own successor, started by somebody who could not listen there.
    edge.signal(Signal::USR2);
    let heir = edge.log.wait_for("the new process", |line| {
        let (_, pid) = line.split_once("a process is started to take over pid=")?;
        pid.split_whitespace().next()?.parse::<u32>().ok()
    });
    assert!(edge.wait_end().success());
    assert_eq!(edge.post_envelope(&[], ENVELOPE).status, 200);
    check_is_user(heir);
    let heir = Pid::from_raw(heir.try_into().unwrap()).unwrap();
    kill_process(heir, Signal::TERM).unwrap();
    edge.log.whole();
}

#[track_caller]
fn check_refused(user: &str, said: &str) {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vidette.yml");
    let text: Value = configuration(&fake.url(), &fake.url(), &json!({"user": user}));
    fs::write(&file, text.to_string()).unwrap();
    let mut child = program()
        .args(["run", "-c"])
        .arg(&file)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let log = Log::follow(child.stderr.take().unwrap());
    assert_eq!(ended(&mut child, &log, HANG).code(), Some(1));
    let log = log.whole();
    assert!(log.contains(said), "{log}");
}

fn whom_it_cannot_become_it_does_not_start_as() {
    check_refused(
        "nobody-of-this-name",
        "cannot become `user` nobody-of-this-name: no such user",
    );
    check_refused("root", "cannot become `user` root: that is root");
}

/// Who looks at it first is root, who may read everything.
fn a_key_that_the_user_cannot_read_is_named_before_and_at_the_start() {
    let fake = Fake::start();
    let authority = Authority::new();
    let (cert, key) = authority.issue("edge", &["127.0.0.1"]);
    // Both can be reached, and the key is root's alone.
    fs::set_permissions(key.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&cert, Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vidette.yml");
    let listener = json!({"address": "127.0.0.1:0", "tls": {"cert": &cert, "key": &key}});
    let changes = json!({"user": USER, "listen": {"public": [listener]}});
    let text: Value = configuration(&fake.url(), &fake.url(), &changes);
    fs::write(&file, text.to_string()).unwrap();
    let said = format!(
        "`user` {USER} cannot read {} (listen.public[0].tls.key): Permission denied",
        key.display()
    );
    for command in ["check", "run"] {
        let ran = ran(program().args([command, "-c"]).arg(&file));
        assert_eq!(ran.code, Some(1), "{command}: {}", ran.stderr);
        assert!(ran.stderr.contains(&said), "{command}: {}", ran.stderr);
    }
    chown(
        &key,
        Some(User::from_name(USER).unwrap().unwrap().uid.as_raw()),
        None,
    )
    .unwrap();
    let ran = ran(program().args(["check", "-c"]).arg(&file));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

fn folders_that_are_not_there_are_made_for_the_user() {
    let fake = Fake::start();
    let kept = tempfile::tempdir().unwrap();
    fs::set_permissions(kept.path(), Permissions::from_mode(0o755)).unwrap();
    let at = |name: &str| kept.path().join(name);
    let changes = json!({
        "state": {"path": at("deep/state")},
        "spool": {"path": at("spool")},
    });
    let edge = drops_with(&fake, &changes);
    assert_eq!(edge.post_envelope(&[], ENVELOPE).status, 200);
    let user = User::from_name(USER).unwrap().unwrap();
    for name in ["deep/state", "spool"] {
        let made = fs::metadata(at(name)).unwrap();
        assert_eq!(made.uid(), user.uid.as_raw(), "{name} is the user's");
        assert_eq!(made.mode() & 0o777, 0o700, "{name}");
        assert!(
            fs::read_dir(at(name)).unwrap().next().is_some(),
            "{name} is in use"
        );
    }
    assert_eq!(fs::metadata(at("deep")).unwrap().uid(), 0);
}

fn a_folder_that_the_user_cannot_write_is_warned_of_before_the_start() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vidette.yml");
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    let changes = json!({"user": USER, "state": {"path": state}});
    let text: Value = configuration(&fake.url(), &fake.url(), &changes);
    fs::write(&file, text.to_string()).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let checked = ran(program().args(["check", "-c"]).arg(&file));
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let said = format!(
        "`user` {USER} may not write {} (state.path)",
        state.display()
    );
    assert!(checked.stderr.contains(&said), "{}", checked.stderr);
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let checked = ran(program().args(["check", "-c"]).arg(&file));
    let said = format!("`user` {USER} cannot read {}", file.display());
    assert!(checked.stderr.contains(&said), "{}", checked.stderr);
}
