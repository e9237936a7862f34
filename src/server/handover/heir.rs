//! The side that takes over: finds the process that runs, asks it for its sockets and then for
//! what only one can have, says when it serves, and hears its last words. Until it serves,
//! ending is enough to give everything back.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::policy::quotas::Outlay;
use crate::server::spool::Heritage;
use crate::server::worker::Shared;
use crate::telemetry::process;

use super::estate::{self, Books};
use super::post::bring_all;
use super::sockets::{Heirloom, Inherited};
use super::wire::{Frame, Kind, receive, send};
use super::{PROTOCOL, Predecessor, SOCKET};

/// How long the elder may take over each answer: it may have to end a large drop of the spool.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an elder is asked again that has yet to see its own elder end: the longest that may
/// take by default is `limits.keep_alive` and `limits.drain`.
const BUSY_FOR: Duration = Duration::from_secs(150);
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Who speaks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// By which protocol.
    pub protocol: u32,
    /// Its version, for the log.
    pub version: String,
    /// Its number.
    pub pid: u32,
}

impl Hello {
    /// This process.
    pub(super) fn own() -> Self {
        Self {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
        }
    }
}

/// An address, as its sockets come.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Address {
    /// It is the admin server's.
    pub admin: bool,
    pub configured: std::net::SocketAddr,
    pub bound: std::net::SocketAddr,
}

/// What the heir serves.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Serving {
    /// The public addresses that it did not take, as they are bound.
    pub dropped: Vec<std::net::SocketAddr>,
}

/// Sockets that were bound by somebody else.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    /// For clients, or for anything.
    pub public: Inherited,
    /// For operators.
    pub admin: Inherited,
}

/// The process that runs, and hands over.
#[derive(Debug)]
pub(crate) struct Elder {
    stream: UnixStream,
    pid: u32,
}

/// What it has handed over.
#[derive(Debug)]
pub(crate) struct Estate {
    /// Its books.
    pub books: Books,
    /// What is known of the spool.
    pub heritage: Heritage,
    /// Where what it has yet to keep comes from.
    pub post: UnixStream,
}

impl Elder {
    /// Finds the process that runs on this configuration. `None`: nobody does, as far as can be
    /// seen.
    ///
    /// # Errors
    /// It does not hand over, and why.
    pub(crate) fn find(config: &Config) -> io::Result<Option<Self>> {
        let Some(folder) = config.state.path.as_deref() else {
            tracing::warn!("state.path is off: nobody is looked for to take over from");
            return Ok(None);
        };
        let (path, until) = (folder.join(SOCKET), Instant::now() + BUSY_FOR);
        let mut told = false;
        loop {
            let stream = match UnixStream::connect(&path) {
                Ok(stream) => stream,
                Err(error) => return nobody(error),
            };
            if let Some(elder) = Self::greet(stream)? {
                return Ok(Some(elder));
            }
            if Instant::now() >= until {
                let why = "it still waits for the process that it took over from";
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            if !std::mem::replace(&mut told, true) {
                tracing::info!(
                    "the running process has itself just taken over: waiting for the one before it to end"
                );
            }
            std::thread::sleep(ASK_EVERY);
        }
    }

    /// `None`: it cannot hand over now.
    fn greet(stream: UnixStream) -> io::Result<Option<Self>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        say(&stream, Kind::Hello, &Hello::own())?;
        let frame = next(&stream)?;
        if frame.kind == Kind::Busy {
            return Ok(None);
        }
        let hello: Hello = read(&expect(frame, Kind::Hello)?)?;
        let (pid, version) = (hello.pid, hello.version);
        tracing::info!(pid, version, "taking over from the running process");
        Ok(Some(Self { stream, pid }))
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Its listening sockets, which it still accepts from.
    ///
    /// # Errors
    /// It is gone, or says something else.
    pub(crate) fn sockets(&self) -> io::Result<Handed> {
        let mut handed = Handed::default();
        loop {
            let frame = next(&self.stream)?;
            if frame.kind == Kind::All {
                return Ok(handed);
            }
            let frame = expect(frame, Kind::Sockets)?;
            let address: Address = read(&frame)?;
            let all = match address.admin {
                true => &mut handed.admin,
                false => &mut handed.public,
            };
            all.add(Heirloom {
                configured: address.configured,
                bound: address.bound,
                sockets: frame.files.into_iter().map(Into::into).collect(),
            });
        }
    }

    /// Asks for what only one can have, and has it.
    ///
    /// # Errors
    /// It is gone, or does not yield.
    pub(crate) fn take_over(&self) -> io::Result<Estate> {
        send(&self.stream, Kind::Yield, &[], &[])?;
        let books = expect(next(&self.stream)?, Kind::Books)?;
        let books = Books::read(&books.payload).ok_or_else(odd)?;
        let mut heritage = Heritage {
            booked: true,
            ..Heritage::default()
        };
        loop {
            let frame = next(&self.stream)?;
            if frame.kind == Kind::Going {
                let going = estate::read_going(&frame.payload).ok_or_else(odd)?;
                heritage.abroad.extend(going);
                continue;
            }
            let frame = expect(frame, Kind::Yielded)?;
            let post = frame.files.into_iter().next().ok_or_else(odd)?;
            return Ok(Estate {
                books,
                heritage,
                post: post.into(),
            });
        }
    }

    /// Says that this process serves, and hears the elder out on a thread of its own. `bringing`:
    /// the thread that keeps what it brings.
    ///
    /// # Errors
    /// It has taken everything back meanwhile, or there is no thread.
    pub(crate) fn succeed(
        self,
        dropped: Vec<std::net::SocketAddr>,
        bringing: JoinHandle<u64>,
        shared: Arc<Shared>,
    ) -> io::Result<()> {
        say(&self.stream, Kind::Serving, &Serving { dropped })?;
        self.stream.set_read_timeout(None)?;
        let thread = Builder::new().name("elder".to_owned());
        thread.spawn(move || self.hear_out(bringing, &shared))?;
        Ok(())
    }

    fn hear_out(self, bringing: JoinHandle<u64>, shared: &Shared) {
        let began = Instant::now();
        let last = LastWords::hear(&self.stream);
        // What it had to bring it has brought.
        let kept = bringing.join().unwrap_or_default();
        let seconds = began.elapsed().as_secs();
        match &last {
            Some(_) => tracing::info!(
                pid = self.pid,
                kept,
                seconds,
                "the process before this one has ended"
            ),
            None => tracing::error!(
                pid = self.pid,
                kept,
                seconds,
                "the process before this one ended without a word: what it had under way is lost"
            ),
        }
        settle(last, shared);
    }
}

/// What it means that nobody can be asked.
fn nobody(error: io::Error) -> io::Result<Option<Elder>> {
    let kind = error.kind();
    if kind == io::ErrorKind::InvalidInput {
        tracing::warn!(
            "state.path is too long for a socket in it: nobody is looked for to take over from"
        );
        return Ok(None);
    }
    let runs = kind != io::ErrorKind::NotFound && kind != io::ErrorKind::ConnectionRefused;
    match runs {
        true => Err(error),
        false => Ok(None),
    }
}

/// A thread that keeps what the elder brings.
///
/// # Errors
/// There is none.
pub(crate) fn keep_post(post: UnixStream, shared: Arc<Shared>) -> io::Result<JoinHandle<u64>> {
    let thread = Builder::new().name("post".to_owned());
    thread.spawn(move || bring_all(&post, &shared.spool))
}

/// The elder, as it is told of while it finishes.
pub(crate) fn predecessor(pid: u32) -> Predecessor {
    Predecessor {
        pid,
        since: Instant::now(),
    }
}

/// What an elder says at its end.
#[derive(Debug, Default)]
struct LastWords {
    books: Option<Books>,
    spent: Vec<Outlay>,
    reports: Option<Vec<u8>>,
}

impl LastWords {
    /// `None`: it was cut off.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else comes is not what was expected"
    )]
    fn hear(stream: &UnixStream) -> Option<Self> {
        let mut words = Self::default();
        loop {
            let frame = receive(stream).ok()??;
            match frame.kind {
                Kind::Books => words.books = Some(Books::read(&frame.payload)?),
                Kind::Spent => words.spent.extend(estate::read_spent(&frame.payload)?),
                Kind::Reports => words.reports = Some(frame.payload),
                Kind::Gone => return Some(words),
                _ => return None,
            }
        }
    }
}

/// From here on this process is alone.
fn settle(last: Option<LastWords>, shared: &Shared) {
    let counters = &shared.counters;
    let mut reports = None;
    match last {
        Some(words) => {
            if let Some(books) = words.books {
                shared.ledger.inherit(books.lines);
            }
            for spent in &words.spent {
                if !counters.spend(&spent.identity, spent.mark) {
                    tracing::warn!(
                        "what was used of a quota by the process before is not known here"
                    );
                }
            }
            counters.take_elders_part();
            shared.journal.note_all();
            reports = words.reports;
        }
        None => {
            shared.ledger.close_inherited();
            counters.lose_elders_part(process::now_s());
        }
    }
    shared.spool.is_alone();
    shared.succession.elder_has_ended(reports);
}

fn odd() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "it does not say what was expected",
    )
}

fn next(stream: &UnixStream) -> io::Result<Frame> {
    receive(stream)?.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "it went away"))
}

fn expect(frame: Frame, kind: Kind) -> io::Result<Frame> {
    if frame.kind == Kind::Refused {
        let why = String::from_utf8_lossy(&frame.payload);
        return Err(io::Error::other(why.into_owned()));
    }
    match frame.kind == kind {
        true => Ok(frame),
        false => Err(odd()),
    }
}

/// Sends a frame of JSON.
pub(super) fn say<T: Serialize>(stream: &UnixStream, kind: Kind, what: &T) -> io::Result<()> {
    send(stream, kind, &[&serde_json::to_vec(what)?], &[])
}

/// Reads a frame of JSON.
pub(super) fn read<T: for<'de> Deserialize<'de>>(frame: &Frame) -> io::Result<T> {
    Ok(serde_json::from_slice(&frame.payload)?)
}
