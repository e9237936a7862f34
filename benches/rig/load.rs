//! The load: one request repeated by wrk over 32 connections, and one request by hand beforehand.
//!
//! Accepts nothing but success: an answer that is not one, or a connection that breaks, fails the
//! run, since a proxy that refuses cheaply must not look fast.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::child::{ScratchFolder, pinned};
use crate::envelope::{BODIES, Body};
use crate::machine::Cores;

/// Connections kept open at once; the reference numbers were taken with as many.
pub(crate) const CONNECTIONS: u32 = 32;
const PATH: &str = "/api/42/envelope/?sentry_key=a94ae32be2584e0bbd7a4cbb95971fee&sentry_version=7";
const HEADERS: [&str; 3] = [
    "Content-Type: application/x-sentry-envelope",
    "User-Agent: sentry.python/2.43.0",
    "X-Forwarded-For: 203.0.113.9",
];
const SCRIPT: &str = include_str!("conf/load.lua");
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A proxy closes wrk's connections after wrk has ended; that belongs to the turn before.
const SETTLE: Duration = Duration::from_millis(50);

/// Why a load proves nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("cannot prepare the load")]
    Prepare(#[source] io::Error),
    #[error("cannot run wrk")]
    Start(#[source] io::Error),
    #[error("wrk gave no result: {0}")]
    NoResult(String),
    #[error("not every request was answered with success: {0}")]
    Failed(String),
    #[error("no answer: {0}")]
    NoAnswer(io::Error),
    #[error("the answer is not 200: {0:?}")]
    Refused(String),
    #[error("the upstream did not see the whole body of {bytes} bytes: {answer:?}")]
    BodyCut { bytes: usize, answer: String },
}

/// What wrk counted in one turn, all of it answered with success.
#[derive(Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) requests: u32,
    pub(crate) wall: Duration,
}

/// The requests, ready to be sent to any proxy.
pub(crate) struct Load {
    script: PathBuf,
    folder: PathBuf,
    cores: String,
}

impl Load {
    /// Writes the envelopes and wrk's script into the folder.
    pub(crate) fn prepare(folder: &ScratchFolder, cores: &Cores) -> Result<Self, LoadError> {
        let folder = folder.path().to_path_buf();
        let script = folder.join("load.lua");
        fs::write(&script, SCRIPT).map_err(LoadError::Prepare)?;
        for body in BODIES {
            fs::write(folder.join(body.file), body.envelope()).map_err(LoadError::Prepare)?;
        }
        Ok(Self {
            script,
            folder,
            cores: cores.load.clone(),
        })
    }

    /// Loads the proxy on `port` for `turn`; returns when all is quiet again.
    pub(crate) fn send(
        &self,
        port: u16,
        body: Body,
        turn: Duration,
    ) -> Result<Answered, LoadError> {
        let output = pinned(Path::new("wrk"), &self.cores)
            .args([
                "-t1",
                &format!("-c{CONNECTIONS}"),
                &format!("-d{}s", turn.as_secs()),
                "-s",
            ])
            .arg(&self.script)
            .args([&format!("http://127.0.0.1:{port}{PATH}"), "--"])
            .arg(self.folder.join(body.file))
            .args(HEADERS)
            .output()
            .map_err(LoadError::Start)?;
        thread::sleep(SETTLE);
        Answered::read(&String::from_utf8_lossy(&output.stdout))
            .unwrap_or_else(|| Err(LoadError::NoResult(said(&output.stderr))))
    }

    /// One request by hand: must be answered 200, by an upstream that has seen the whole body.
    pub(crate) fn probe(&self, port: u16, body: Body) -> Result<(), LoadError> {
        let answer = self.ask(port, body).map_err(LoadError::NoAnswer)?;
        if !answer.starts_with("HTTP/1.1 200 ") {
            let status = answer.lines().next().unwrap_or_default();
            return Err(LoadError::Refused(status.into()));
        }
        // The stand-in counts head and body together.
        let seen = answer.split_once("\"bytes_seen\":").and_then(|(_, rest)| {
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse::<usize>().ok()
        });
        match seen {
            Some(seen) if seen > body.bytes => Ok(()),
            Some(_) | None => Err(LoadError::BodyCut {
                bytes: body.bytes,
                answer,
            }),
        }
    }

    fn ask(&self, port: u16, body: Body) -> io::Result<String> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        socket.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        let (headers, length) = (HEADERS.join("\r\n"), body.bytes);
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        socket.write_all(head.as_bytes())?;
        socket.write_all(&fs::read(self.folder.join(body.file))?)?;
        let mut answer = Vec::new();
        socket.take(64 * 1024).read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Answered {
    /// Reads the one line that the script prints; `None` where it is not there.
    fn read(printed: &str) -> Option<Result<Self, LoadError>> {
        let line = printed.lines().find_map(|line| line.strip_prefix("rig "))?;
        let (mut requests, mut wall, mut failed) = (0, Duration::ZERO, 0);
        for field in line.split_ascii_whitespace() {
            let (name, value) = field.split_once('=')?;
            match name {
                "requests" => requests = value.parse().ok()?,
                "duration_us" => wall = Duration::from_micros(value.parse().ok()?),
                _ => failed += value.parse::<u64>().ok()?,
            }
        }
        if failed > 0 || requests == 0 || wall.is_zero() {
            return Some(Err(LoadError::Failed(line.into())));
        }
        Some(Ok(Self { requests, wall }))
    }
}

fn said(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().into()
}
