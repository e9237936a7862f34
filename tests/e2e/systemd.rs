//! The edge as a service of systemd: what it tells the manager by sd_notify(3), and what
//! systemd's own tools make of the unit files. The manager's end of the socket is played here.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::edge::{Edge, configuration};
use crate::parts::{Part, checkout, promises};
use crate::upstream::{Fake, HANG};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        the_manager_hears_that_the_edge_is_ready_reloads_lives_and_stops,
        a_refused_reload_leaves_the_service_ready,
        no_sign_of_life_is_given_where_none_is_asked_for,
        the_unit_waits_longer_than_a_drain_and_has_files_for_every_connection,
    ];
    trials.extend(promises![&[Part::Python];
        a_worker_that_hangs_ends_the_signs_of_life_until_it_comes_round,
    ]);
    trials.extend(promises![&[Part::Systemd];
        systemd_finds_nothing_wrong_with_the_units,
        systemd_calls_the_service_hardened,
    ]);
    trials
}

/// The manager's end.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn listen() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        Self { socket, folder }
    }

    /// An edge that this one watches, with more environment.
    fn run(&self, fake: &Fake, more: &[(&str, &str)]) -> Edge {
        let path = self.folder.path().join("notify");
        let mut environment = vec![("NOTIFY_SOCKET", path.to_str().unwrap())];
        environment.extend_from_slice(more);
        let text = configuration(&fake.url(), &fake.url(), &json!({})).to_string();
        Edge::run(&text, &environment)
    }

    /// The next message, if one comes in this time.
    fn hear(&self, within: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(within)).unwrap();
        let mut bytes = [0; 4096];
        match self.socket.recv(&mut bytes) {
            Ok(read) => Some(String::from_utf8(bytes[..read].to_vec()).unwrap()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The next message that is no sign of life.
    #[track_caller]
    fn hear_news(&self) -> String {
        let deadline = Instant::now() + HANG;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.hear(left.max(Duration::from_millis(1)));
            let message = message.expect("the edge has nothing to say");
            if message != "WATCHDOG=1\n" {
                return message;
            }
        }
    }
}

fn the_manager_hears_that_the_edge_is_ready_reloads_lives_and_stops() {
    let (fake, manager) = (Fake::start(), Manager::listen());
    let mut edge = manager.run(&fake, &[("WATCHDOG_USEC", "400000")]);
    let ready = manager.hear_news();
    let expected = format!(
        "MAINPID={}\nREADY=1\nSTATUS=listening: public {}, admin {}\n",
        edge.pid(),
        edge.public,
        edge.admin
    );
    assert_eq!(ready, expected);
    for _ in 0..3 {
        assert_eq!(manager.hear(HANG).as_deref(), Some("WATCHDOG=1\n"));
    }
    edge.signal(Signal::HUP);
    let reloading = manager.hear_news();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(manager.hear_news(), "READY=1\n");
    edge.signal(Signal::TERM);
    let stopping = manager.hear_news();
    assert!(stopping.starts_with("STOPPING=1\n"), "{stopping}");
    assert!(edge.wait_end().success());
}

fn a_refused_reload_leaves_the_service_ready() {
    let (fake, manager) = (Fake::start(), Manager::listen());
    let edge = manager.run(&fake, &[]);
    manager.hear_news();
    edge.rewrite("nonsense: true");
    edge.signal(Signal::HUP);
    assert!(manager.hear_news().starts_with("RELOADING=1\n"));
    assert_eq!(manager.hear_news(), "READY=1\n");
}

fn no_sign_of_life_is_given_where_none_is_asked_for() {
    let (fake, manager) = (Fake::start(), Manager::listen());
    // The watch is another process's.
    let watch = [("WATCHDOG_USEC", "100000"), ("WATCHDOG_PID", "1")];
    let edge = manager.run(&fake, &watch);
    manager.hear_news();
    edge.signal(Signal::HUP);
    // What came between would be heard first.
    let next = manager.hear(HANG).unwrap();
    assert!(next.starts_with("RELOADING=1\n"), "{next}");
}

/// Holds one thread of a process until its own input ends.
const HOLD: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
ATTACH, DETACH = 16, 17
process = sys.argv[1]
for thread in os.listdir(f"/proc/{process}/task"):
    if open(f"/proc/{process}/task/{thread}/comm").read().strip() == "worker-0":
        break
else:
    sys.exit("no such thread")
thread = int(thread)
if libc.ptrace(ATTACH, thread, None, None) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(thread, 0x40000000)
print("held", flush=True)
sys.stdin.read()
if libc.ptrace(DETACH, thread, None, None) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
"#;

fn a_worker_that_hangs_ends_the_signs_of_life_until_it_comes_round() {
    let (fake, manager) = (Fake::start(), Manager::listen());
    let edge = manager.run(&fake, &[("WATCHDOG_USEC", "400000")]);
    manager.hear_news();
    let mut holder = Command::new(crate::parts::python().unwrap())
        .args(["-c", HOLD, &edge.pid().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = String::new();
    let mut said = io::BufReader::new(holder.stdout.take().unwrap());
    io::BufRead::read_line(&mut said, &mut held).unwrap();
    assert_eq!(held, "held\n");
    // Signs that nobody takes would fill the socket, which holds ten where the system says no
    // more, and hold up whoever gives them.
    let deadline = Instant::now() + HANG;
    while !edge.log.text().contains("a worker hangs") {
        assert!(Instant::now() < deadline, "{}", edge.log.text());
        manager.hear(Duration::from_millis(50));
    }
    // What was sent before lies in the socket still; then there is nothing for longer than
    // the manager waits.
    while manager.hear(Duration::from_millis(10)).is_some() {}
    assert_eq!(manager.hear(Duration::from_millis(800)), None);
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert_eq!(manager.hear(HANG).as_deref(), Some("WATCHDOG=1\n"));
    assert_eq!(edge.ask("GET", "/", &[], b"").status, 200);
}

/// A copy of the units that start the program under test: systemd looks for the file.
fn units() -> (TempDir, [PathBuf; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["vidette.service", "vidette.socket"].map(|name| {
        let text = std::fs::read_to_string(checkout("config/systemd").join(name)).unwrap();
        let text = text.replace("/usr/bin/vidette", env!("CARGO_BIN_EXE_vidette"));
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    });
    (folder, paths)
}

fn systemd_finds_nothing_wrong_with_the_units() {
    let (_folder, paths) = units();
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(&paths)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    // Of units that are the machine's own it may complain; of these it must not.
    let about_us: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("vidette"))
        .collect();
    assert!(verified.status.success() && about_us.is_empty(), "{said}");
}

fn systemd_calls_the_service_hardened() {
    let (_folder, [service, _]) = units();
    // In tenths: 1.6 of 10 at most, which systemd calls OK. The rest is the network, which is what
    // the edge is for.
    let judged = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=16", "--no-pager"])
        .arg(&service)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&judged.stdout);
    assert!(said.contains("Overall exposure level"), "{said}");
    assert!(judged.status.success(), "{said}");
}

/// A setting of the service.
#[track_caller]
fn setting(name: &str) -> u64 {
    let text = std::fs::read_to_string(checkout("config/systemd/vidette.service")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap().trim_end_matches('s').parse().unwrap()
}

fn the_unit_waits_longer_than_a_drain_and_has_files_for_every_connection() {
    let shown = crate::edge::program()
        .args(["check", "--print", "-c"])
        .arg(checkout("config/vidette.yml"))
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let shows = |key: &str| -> u64 {
        let line = shown
            .lines()
            .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "));
        line.unwrap().trim_end_matches('s').parse().unwrap()
    };
    assert!(setting("TimeoutStopSec") > shows("drain"));
    assert!(setting("LimitNOFILE") >= 2 * shows("connections") + 1024);
}
