//! The load: one kind of request repeated by wrk over 32 connections, or by TLS clients that make
//! one each, and single ones by hand.
//!
//! Accepts nothing but the answer that is due: any other, or a connection that breaks, fails the
//! run, since a proxy that refuses what it should carry must not look fast.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use crate::answer::{self, Answer};
use crate::case::{Answers, Body, Case};
use crate::child::{ScratchFolder, pinned};
use crate::estate::Estate;
use crate::handshakes;
use crate::identity::{Handshake, Identity};
use crate::machine::Cores;

/// Connections kept open at once, but where their number is the question; the reference numbers were taken with as many.
pub(crate) const CONNECTIONS: u32 = 32;
const HEADERS: [&str; 3] = [
    "Content-Type: application/x-sentry-envelope",
    "User-Agent: sentry.python/2.43.0",
    "X-Forwarded-For: 203.0.113.9",
];
const SCRIPT: &str = include_str!("conf/load.lua");
const SCRIPT_OF_MANY: &str = include_str!("conf/many.lua");
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
    #[error("not every request was answered as is due: {0}")]
    Failed(String),
    #[error("no answer: {0}")]
    NoAnswer(io::Error),
    #[error("the answer is {got} in place of {due}")]
    Refused { got: u16, due: u16 },
    #[error("the upstream did not see the whole body of {bytes} bytes: {answer:?}")]
    BodyCut { bytes: usize, answer: String },
}

/// What wrk counted in one turn, all of it answered as is due.
#[derive(Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) requests: u32,
    /// How many of them the proxy answered by itself.
    pub(crate) refused: u32,
    pub(crate) wall: Duration,
}

/// The requests, ready to be sent to any proxy.
pub(crate) struct Load {
    script: PathBuf,
    folder: PathBuf,
    cores: String,
    /// Kept open at once.
    pub(crate) connections: u32,
    /// The small error, from many keys in place of one.
    among: Option<Among>,
    identity: Rc<Identity>,
}

/// Whose requests they are, where they are of many.
#[derive(Clone, Copy)]
struct Among {
    keys_each: u32,
    keys: u32,
    sent_before: u32,
}

impl Load {
    /// Writes the bodies, wrk's script and the certificate of all proxies into the folder.
    pub(crate) fn prepare(folder: &ScratchFolder, cores: &Cores) -> Result<Self, LoadError> {
        let folder = folder.path().to_path_buf();
        let script = folder.join("load.lua");
        fs::write(&script, SCRIPT).map_err(LoadError::Prepare)?;
        let of_many = folder.join("many.lua");
        fs::write(of_many, SCRIPT_OF_MANY).map_err(LoadError::Prepare)?;
        for body in Body::ALL {
            let bytes = body.bytes().map_err(LoadError::Prepare)?;
            fs::write(folder.join(body.file()), bytes).map_err(LoadError::Prepare)?;
        }
        let identity = Identity::make(&folder).map_err(LoadError::Prepare)?;
        Ok(Self {
            script,
            folder,
            cores: cores.load.clone(),
            connections: CONNECTIONS,
            among: None,
            identity: Rc::new(identity),
        })
    }

    /// The same requests from other cores, over so many connections.
    pub(crate) fn over(&self, connections: u32, cores: &Cores) -> Self {
        Self {
            script: self.script.clone(),
            folder: self.folder.clone(),
            cores: cores.load.clone(),
            connections,
            among: None,
            identity: Rc::clone(&self.identity),
        }
    }

    /// The small error from the first so many keys of an estate in turn, after so many requests.
    pub(crate) fn among(&self, estate: Estate, keys: u32, sent_before: u32) -> Self {
        Self {
            script: self.folder.join("many.lua"),
            folder: self.folder.clone(),
            cores: self.cores.clone(),
            connections: self.connections,
            among: Some(Among {
                keys_each: estate.keys_each,
                keys,
                sent_before,
            }),
            identity: Rc::clone(&self.identity),
        }
    }

    /// What the script is told between the body and the headers.
    fn told(&self, case: Case) -> Vec<String> {
        if let Some(among) = self.among {
            let numbers = [among.keys_each, among.keys, among.sent_before];
            return numbers.map(|number| number.to_string()).into();
        }
        let counts = match case.answers() {
            Answers::Forwarded => "-",
            Answers::Refused(_) | Answers::TenthRefused => "count",
        };
        vec![case.tenth_target().unwrap_or("-".into()), counts.into()]
    }

    /// Loads the proxy on `port` for `turn`; returns when all is quiet again. Of what is to be
    /// refused, so many strays may pass.
    pub(crate) fn send(
        &self,
        port: u16,
        case: Case,
        turn: Duration,
        strays_max: u32,
    ) -> Result<Answered, LoadError> {
        if let Some(handshake) = case.handshake() {
            return self.shake(port, case, handshake, turn);
        }
        let output = pinned(Path::new("wrk"), &self.cores)
            .args([
                "-t1",
                &format!("-c{}", self.connections),
                &format!("-d{}s", turn.as_secs()),
                "-s",
            ])
            .arg(&self.script)
            .args([&format!("http://127.0.0.1:{port}{}", case.target()), "--"])
            .arg(self.folder.join(case.body().file()))
            .args(self.told(case))
            .args(headers(case))
            .output()
            .map_err(LoadError::Start)?;
        thread::sleep(SETTLE);
        let printed = String::from_utf8_lossy(&output.stdout);
        let line = printed.lines().find_map(|line| line.strip_prefix("rig "));
        let counted = line.and_then(|line| Some((line, Counted::read(line)?)));
        let (line, counted) = counted.ok_or_else(|| {
            LoadError::NoResult(String::from_utf8_lossy(&output.stderr).trim().into())
        })?;
        let answered = counted.honest(case.answers(), self.connections + strays_max, strays_max);
        answered.ok_or_else(|| LoadError::Failed(line.into()))
    }

    fn shake(
        &self,
        port: u16,
        case: Case,
        handshake: Handshake,
        turn: Duration,
    ) -> Result<Answered, LoadError> {
        let sent = || {
            let request = self.request(port, case, &case.target())?;
            let clients = self.identity.clients(handshake)?;
            handshakes::send(port, &clients, handshake, &request, turn)
        };
        let (requests, wall) = sent().map_err(LoadError::NoAnswer)?;
        thread::sleep(SETTLE);
        Ok(Answered {
            requests,
            refused: 0,
            wall,
        })
    }

    /// One request of this kind by hand, and one of those that are each tenth: must be answered
    /// as is due, and what is forwarded by an upstream that has seen the whole body.
    pub(crate) fn probe(&self, port: u16, case: Case) -> Result<(), LoadError> {
        match case.answers() {
            Answers::Forwarded => self.forwarded(port, case),
            Answers::Refused(due) => self.refused(port, case, &case.target(), due),
            Answers::TenthRefused => {
                self.forwarded(port, case)?;
                let tenth = case.tenth_target().unwrap_or_default();
                self.refused(port, case, &tenth, 429)
            }
        }
    }

    /// A whole request as it is written, for whoever sends it by himself.
    pub(crate) fn request(&self, port: u16, case: Case, target: &str) -> io::Result<Vec<u8>> {
        let body = fs::read(self.folder.join(case.body().file()))?;
        let (headers, length) = (headers(case).join("\r\n"), body.len());
        let mut request = format!(
            "POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n\
             Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(&body);
        Ok(request)
    }

    fn forwarded(&self, port: u16, case: Case) -> Result<(), LoadError> {
        let (answer, bytes) = self.ask(port, case, &case.target())?;
        due(&answer, 200)?;
        // The stand-in counts head and body together.
        let seen = answer.body.split_once("\"bytes_seen\":");
        let seen = seen.and_then(|(_, rest)| {
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse::<usize>().ok()
        });
        match seen {
            Some(seen) if seen > bytes => Ok(()),
            Some(_) | None => Err(LoadError::BodyCut {
                bytes,
                answer: answer.body,
            }),
        }
    }

    fn refused(&self, port: u16, case: Case, target: &str, status: u16) -> Result<(), LoadError> {
        due(&self.ask(port, case, target)?.0, status)
    }

    /// The answer, and how long the body was.
    fn ask(&self, port: u16, case: Case, target: &str) -> Result<(Answer, usize), LoadError> {
        let asked = || {
            let request = self.request(port, case, target)?;
            let answer = match case.handshake() {
                Some(_) => {
                    handshakes::once(port, &self.identity.clients(Handshake::Full)?, &request)?.0
                }
                None => {
                    let mut socket = answer::connected(port)?;
                    socket.write_all(&request)?;
                    answer::read(&mut socket)?
                }
            };
            let body = fs::metadata(self.folder.join(case.body().file()))?;
            let bytes = usize::try_from(body.len()).unwrap_or(usize::MAX);
            Ok((answer, bytes))
        };
        asked().map_err(LoadError::NoAnswer)
    }
}

fn due(answer: &Answer, due: u16) -> Result<(), LoadError> {
    match answer.status {
        got if got == due => Ok(()),
        got => Err(LoadError::Refused { got, due }),
    }
}

fn headers(case: Case) -> Vec<&'static str> {
    let own = [case.body().encoding(), case.connection()];
    HEADERS
        .into_iter()
        .chain(own.into_iter().flatten())
        .collect()
}

/// The one line that the script prints.
#[derive(Default)]
struct Counted {
    requests: u32,
    wall: Duration,
    /// Connections refused or broken, and answers that did not come in time.
    broken: u32,
    /// Answers of 400 and more.
    failed: u32,
    /// Answers by status, where they are counted.
    ok: u32,
    denied: u32,
    limited: u32,
}

impl Counted {
    fn read(line: &str) -> Option<Self> {
        let mut counted = Self::default();
        for field in line.split_ascii_whitespace() {
            let (name, value) = field.split_once('=')?;
            let number: u32 = value.parse().ok()?;
            match name {
                "requests" => counted.requests = number,
                "duration_us" => counted.wall = Duration::from_micros(number.into()),
                "status" => counted.failed = number,
                "ok" => counted.ok = number,
                "denied" => counted.denied = number,
                "limited" => counted.limited = number,
                _ => counted.broken += number,
            }
        }
        Some(counted)
    }

    /// `None` where an answer was not the one that is due.
    fn honest(&self, due: Answers, off_max: u32, strays_max: u32) -> Option<Answered> {
        let refused = match due {
            Answers::Forwarded => 0,
            Answers::Refused(403) => self.denied,
            Answers::Refused(_) | Answers::TenthRefused => self.limited,
        };
        let all = self.requests;
        let as_due = match due {
            Answers::Forwarded => self.failed == 0,
            Answers::Refused(_) => refused + self.ok == all && self.ok <= strays_max,
            // At the end, each connection may have one more under way that nobody counted.
            Answers::TenthRefused => {
                let off = (refused * 10).abs_diff(all);
                refused + self.ok == all && off <= 10 * off_max
            }
        };
        let measured = self.broken == 0 && all > 0 && !self.wall.is_zero();
        (measured && as_due).then_some(Answered {
            requests: all,
            refused,
            wall: self.wall,
        })
    }
}
