//! HAProxy from Debian as a plain proxy in front of the edge. Written from the
//! documented settings, not copied.

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
        let folder = tempfile::tempdir().unwrap();
        // Its listening socket is handed to it, so that no port is guessed.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let text = format!(
            "global
                nbthread 1
                maxconn 512
            defaults
                mode http
                option forwardfor
                http-reuse always
                timeout connect 5s
                timeout client 75s
                timeout server 90s
                timeout http-request 30s
            listen public
                bind fd@0
                server edge {edge}
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
        let haproxy = Self {
            child,
            log,
            address,
            _folder: folder,
        };
        wait_ready(haproxy.address, &haproxy.log);
        haproxy
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
