//! The three that are compared, each in front of a recorder of its own: vidette, nginx as
//! self-hosted Sentry sets it up, HAProxy as a plain proxy.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::json;
use tempfile::TempDir;

use super::recorder::{BARRIER, Recorder};
use crate::edge::Edge;
use crate::front::Nginx;
use crate::haproxy::Haproxy;
use crate::upstream::HANG;

/// Which of the three it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Vidette,
    Nginx,
    Haproxy,
}

impl Who {
    pub(super) const ALL: [Self; 3] = [Self::Vidette, Self::Nginx, Self::Haproxy];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vidette => "vidette",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
        }
    }
}

/// How clients speak to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tongue {
    Http1,
    /// By prior knowledge, in the clear.
    Http2,
}

/// The running program; held until its side is dropped.
#[expect(dead_code, reason = "what matters of it is that it runs")]
enum Running {
    Edge(Edge),
    Nginx(Nginx, TempDir),
    Haproxy(Haproxy),
}

/// One of the three, with what reached its upstream.
pub(super) struct Side {
    pub(super) address: SocketAddr,
    // Asked until the end, so it goes after who asks.
    _running: Running,
    pub(super) recorder: Recorder,
    door: SocketAddr,
    barrier: Option<TcpStream>,
}

impl Side {
    pub(super) fn start(who: Who, tongue: Tongue) -> Self {
        let recorder = Recorder::start();
        let upstream = recorder.address;
        let url = format!("http://{upstream}");
        // Where a version has a port of its own, barriers go through the other's.
        let (address, door, running) = match who {
            Who::Vidette => {
                let edge = Edge::configured(&url, &url, json!({}));
                (edge.public, edge.public, Running::Edge(edge))
            }
            Who::Nginx => {
                let folder = tempfile::tempdir().unwrap();
                let statics = folder.path();
                let (nginx, h2) = Nginx::self_hosted_h2(upstream, upstream, statics);
                let address = match tongue {
                    Tongue::Http1 => nginx.address,
                    Tongue::Http2 => h2,
                };
                (address, nginx.address, Running::Nginx(nginx, folder))
            }
            Who::Haproxy => {
                let haproxy = Haproxy::in_front_of(upstream);
                let address = haproxy.address;
                (address, address, Running::Haproxy(haproxy))
            }
        };
        let mut side = Self {
            address,
            _running: running,
            recorder,
            door,
            barrier: None,
        };
        side.barrier();
        side
    }

    /// Comes back once everything that was sent before has been looked at, there and at
    /// its upstream: either works on one thread, and takes what comes in turn.
    pub(super) fn barrier(&mut self) {
        for _ in 0..2 {
            let stream = match self.barrier.take() {
                Some(stream) => stream,
                None => TcpStream::connect(self.door).unwrap(),
            };
            // A connection serves so many requests; the next one takes over.
            if let Ok(stream) = pass(stream) {
                self.barrier = Some(stream);
                return;
            }
        }
        panic!("a barrier does not come back");
    }
}

fn pass(mut stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(HANG))?;
    stream.set_nodelay(true)?;
    stream.write_all(format!("GET {BARRIER} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"\r\n\r\nok") {
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => answer.extend_from_slice(&piece[..count]),
        }
    }
    Ok(stream)
}

/// A client that sends what it is given, and keeps all that comes back.
pub(super) struct Client {
    stream: TcpStream,
    pub(super) heard: Vec<u8>,
    pub(super) is_closed: bool,
}

impl Client {
    pub(super) fn of(side: &Side) -> Self {
        let stream = TcpStream::connect(side.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(HANG)).unwrap();
        Self {
            stream,
            heard: Vec::new(),
            is_closed: false,
        }
    }

    /// Sends all of it, as far as the other end takes it, and waits until it was looked at.
    pub(super) fn send(&mut self, side: &mut Side, bytes: &[u8]) {
        self.stream.set_nonblocking(false).unwrap();
        drop(self.stream.write_all(bytes));
        self.settle(side);
    }

    /// Waits until nothing happens any more, be it here or at the upstream.
    fn settle(&mut self, side: &mut Side) {
        const CALM: u32 = 3;
        let mut calm = 0;
        while calm < CALM {
            let before = (self.heard.len(), side.recorder.bytes(), self.is_closed);
            self.hear();
            side.barrier();
            self.hear();
            let after = (self.heard.len(), side.recorder.bytes(), self.is_closed);
            calm = if before == after { calm + 1 } else { 0 };
        }
    }

    fn hear(&mut self) {
        self.stream.set_nonblocking(true).unwrap();
        let mut piece = [0; 64 << 10];
        while !self.is_closed {
            match self.stream.read(&mut piece) {
                Ok(0) => self.is_closed = true,
                Ok(count) => self.heard.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.is_closed = true,
            }
        }
    }

    /// Leaves; what that does to what was under way is over when this comes back.
    pub(super) fn leave(mut self, side: &mut Side) {
        drop(self.stream.shutdown(std::net::Shutdown::Both));
        self.is_closed = true;
        self.settle(side);
    }
}
