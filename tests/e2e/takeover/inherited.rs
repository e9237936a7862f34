//! Sockets of a service manager, and upgrades that it has a part in.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::load::Load;
use super::{errors, text, upgrade};
use crate::edge::Edge;
use crate::parts::{Part, promises};
use crate::spool::event;
use crate::upstream::Fake;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = promises![&[];
        a_signal_upgrades_in_place_and_the_manager_watches_the_new_process,
    ];
    trials.extend(promises![&[Part::Systemd];
        a_socket_that_systemd_opened_is_served_and_handed_over,
    ]);
    trials.extend(promises![&[Part::Python];
        passed_sockets_are_taken_by_address_and_the_rest_is_named,
    ]);
    trials
}

fn a_signal_upgrades_in_place_and_the_manager_watches_the_new_process() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let path = place.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let text = text(&fake.url(), &fake.url(), place.path(), &json!({}));
    let environment = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("LISTEN_FDS", "3"),
        ("LISTEN_PID", "1"),
        ("WATCHDOG_PID", "1"),
        ("WATCHDOG_USEC", "400000"),
    ];
    let mut edge = Edge::run(&text, &environment);
    let load = Load::start(edge.public, 2, Duration::from_millis(10));
    load.goes_on(20);
    edge.signal(Signal::USR2);
    let heir = edge.log.wait_for("the new process", |line| {
        let (_, pid) = line.split_once("a process is started to take over pid=")?;
        pid.split_whitespace().next()?.parse::<i32>().ok()
    });
    assert!(edge.wait_end().success());
    load.goes_on(50);
    load.stop_well();
    assert_eq!(edge.post_envelope(&[], &event(1)).status, 200);
    let mut said = String::new();
    manager.set_nonblocking(true).unwrap();
    let mut bytes = [0; 4096];
    while let Ok(read) = manager.recv(&mut bytes) {
        said.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    assert!(
        said.contains(&format!("MAINPID={heir}\nREADY=1\n")),
        "{said}"
    );
    assert!(!said.contains("STOPPING"), "{said}");
    let after = said.split_once(&format!("MAINPID={heir}")).unwrap().1;
    assert!(after.contains("WATCHDOG=1"), "the heir is watched: {said}");
    kill_process(Pid::from_raw(heir).unwrap(), Signal::TERM).unwrap();
    edge.log.whole();
}

fn a_socket_that_systemd_opened_is_served_and_handed_over() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    // Free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let changes = json!({"listen": {"public": [address.to_string()]}});
    let text = text(&fake.url(), &fake.url(), place.path(), &changes);
    let mut command = Command::new("systemd-socket-activate");
    command.args(["-l", &address.to_string(), env!("CARGO_BIN_EXE_vidette")]);
    // It starts the program once somebody connects.
    let started = AtomicBool::new(false);
    let edge = thread::scope(|scope| {
        scope.spawn(|| {
            while !started.load(Ordering::Relaxed) {
                drop(TcpStream::connect(address));
                thread::sleep(Duration::from_millis(50));
            }
        });
        let edge = Edge::start(command, &text, &[]);
        started.store(true, Ordering::Relaxed);
        edge
    });
    assert_eq!(edge.public, address);
    let load = Load::start(address, 2, Duration::from_millis(10));
    load.goes_on(50);
    let edge = upgrade(edge);
    load.goes_on(50);
    let seen = load.stop_well();
    assert_eq!(errors(&edge)["forwarded"], seen.taken.len());
}

/// Binds sockets as a manager does, and becomes the program.
const PASS: &str = r#"
import os, socket, sys
count = int(sys.argv[1])
sockets = []
for number in range(count):
    one = socket.socket()
    one.bind((f"127.0.0.{number + 1}", int(sys.argv[2])))
    one.listen(128)
    sockets.append(one)
unix = socket.socket(socket.AF_UNIX)
moved = [os.dup(one.fileno()) for one in sockets + [unix]]
for number, one in enumerate(moved):
    os.dup2(one, 100 + number)
for number in range(count + 1):
    os.dup2(100 + number, 3 + number)
    os.close(100 + number)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(count + 1)
os.environ["LISTEN_FDNAMES"] = ":".join(["tcp"] * count + ["odd"])
os.execv(sys.argv[3], sys.argv[3:])
"#;

fn passed_sockets_are_taken_by_address_and_the_rest_is_named() {
    let (fake, place) = (Fake::start(), tempfile::tempdir().unwrap());
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let at = |host: u8| SocketAddr::from(([127, 0, 0, host], port)).to_string();
    let changes = json!({"listen": {"public": [at(1)], "admin": at(2)}});
    let text = text(&fake.url(), &fake.url(), place.path(), &changes);
    let mut command = Command::new(crate::parts::python().unwrap());
    command.args([
        "-c",
        PASS,
        "3",
        &port.to_string(),
        env!("CARGO_BIN_EXE_vidette"),
    ]);
    let edge = Edge::start(command, &text, &[]);
    let log = edge.log.text();
    assert!(
        log.contains("no listening TCP socket") && log.contains("odd"),
        "{log}"
    );
    let unused = format!(
        "no listener is configured there: nobody accepts address={}",
        at(3)
    );
    assert!(log.contains(&unused), "{log}");
    assert_eq!(edge.post_envelope(&[], &event(1)).status, 200);
    let edge = upgrade(edge);
    assert_eq!(edge.post_envelope(&[], &event(2)).status, 200);
    assert_eq!(errors(&edge)["forwarded"], 2);
}
