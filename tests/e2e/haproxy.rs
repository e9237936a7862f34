//! HAProxy from Debian in front of the edge: as a plain proxy, and as a balancer that moves
//! bytes alone. Written from the documented settings, not copied.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::edge::{Log, ended};
use crate::front::wait_ready;
use crate::parts::program;
use crate::upstream::HANG;

/// A running HAProxy. Dropping it stops it.
pub(crate) struct Haproxy {
    child: Child,
    log: Log,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _folder: TempDir,
}

impl Haproxy {
    /// As an operator's outer proxy: `option forwardfor` names the client in a line
    /// of its own below those that the client sent.
    #[track_caller]
    pub(crate) fn in_front_of(edge: SocketAddr) -> Self {
        let haproxy = Self::start(
            "mode http
                option forwardfor
                http-reuse always",
            &format!("server edge {edge}"),
        );
        wait_ready(haproxy.address, &haproxy.log);
        haproxy
    }

    /// As a balancer that looks into nothing and names its clients as `how` says.
    #[track_caller]
    pub(crate) fn passing_on(edge: SocketAddr, how: &str) -> Self {
        let haproxy = Self::start("mode tcp", &format!("server edge {edge} {how}"));
        wait_ready(haproxy.address, &haproxy.log);
        haproxy
    }

    /// As one that names nobody to an edge that may not answer it.
    #[track_caller]
    pub(crate) fn mute_to(edge: SocketAddr) -> Self {
        Self::start("mode tcp", &format!("server edge {edge}"))
    }

    #[track_caller]
    fn start(mode: &str, server: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Its listening socket is handed to it, so that no port is guessed.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let text = format!(
            "global
                nbthread 1
                maxconn 512
            defaults
                {mode}
                timeout connect 5s
                timeout client 75s
                timeout server 90s
                timeout http-request 30s
            listen public
                bind fd@0
                {server}
"
        );
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, text).unwrap();
        let mut child = Command::new(program("haproxy").unwrap())
            // In the foreground, as one process.
            .args(["-db", "-f"])
            .arg(&file)
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::follow(child.stderr.take().unwrap());
        Self {
            child,
            log,
            address,
            _folder: folder,
        }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        if std::thread::panicking() {
            drop(self.child.wait());
            eprintln!("--- HAProxy's log ---\n{}\n---", self.log.text());
        } else {
            ended(&mut self.child, &self.log, HANG);
        }
    }
}
