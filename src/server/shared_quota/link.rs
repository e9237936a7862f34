//! One connection to one server: logged in, with the scripts on it. Questions are sent together
//! and their answers read in order, within a time; never sends anything twice, and whatever goes
//! wrong ends it.

use std::io;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::config::checked::SharedQuota;
use crate::domain::reach::ReachFault;
use crate::domain::resp::{self, Answer, RespError};
use crate::tls::{Name, Reached, Trust};

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// Bytes of answers that wait for their rest.
const HELD_BYTES_MAX: usize = 16 << 20;

const LEASE: &str = include_str!("lease.lua");
const REPORT: &str = include_str!("report.lua");
const SWITCH: &str = include_str!("switch.lua");

/// Why a server is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkFault {
    /// Its name.
    #[error("its name does not resolve")]
    Unresolved,
    /// It takes no connection.
    #[error("it takes no connection ({0})")]
    Unreachable(io::ErrorKind),
    /// No agreement on TLS.
    #[error("TLS fails: {0}")]
    Tls(ReachFault),
    /// Not all answers came in time.
    #[error("it does not answer in time")]
    Timeout,
    /// Closed.
    #[error("the connection broke")]
    Broken,
    /// What certificates are judged by.
    #[error("its authorities cannot be read (shared_quota.tls.ca)")]
    NoTrust,
    /// Something else answers there.
    #[error("{0}")]
    Answer(#[from] RespError),
    /// It refuses; its own code.
    #[error("it refuses: {0}")]
    Refused(String),
    /// An answer of another form.
    #[error("it answers what it was not asked")]
    Odd,
    /// It only repeats what another says.
    #[error("it is a replica")]
    Replica,
    /// No sentinel knows it.
    #[error("no sentinel knows a server of that name (shared_quota.master)")]
    Unknown,
    /// Some slots are nobody's.
    #[error("the cluster is not whole")]
    NotWhole,
    /// Another process goes by this edge's name.
    #[error("another process goes by this edge's name: it takes another")]
    Twin,
}

/// A command, part by part.
pub(super) type Command = Vec<Vec<u8>>;

/// What a server is, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// Another after each start.
    pub run: String,
    /// Since then.
    pub up_ms: u64,
    /// It drops keys where its memory is full, as far as it says.
    pub evicts: bool,
}

enum Stream {
    Plain(TcpStream),
    Secured(Box<Reached>),
}

/// A connection.
pub(super) struct Link {
    stream: Stream,
    held: BytesMut,
    timeout: Duration,
    lease: Vec<u8>,
    report: Vec<u8>,
    switch: Vec<u8>,
}

impl Link {
    /// Connects, with nothing said yet.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub(super) async fn open(
        (host, port): (&str, u16),
        config: &SharedQuota,
        trust: Option<&Trust>,
    ) -> Result<Self, LinkFault> {
        let opened = async {
            let addresses = lookup_host((host, port)).await;
            let addresses: Vec<_> = addresses.map_err(|_| LinkFault::Unresolved)?.collect();
            let socket = TcpStream::connect(addresses.as_slice()).await;
            let socket = socket.map_err(|error| LinkFault::Unreachable(error.kind()))?;
            // A question waits for its answer anyway.
            socket.set_nodelay(true).ok();
            let Some(trust) = trust else {
                return Ok::<_, LinkFault>(Stream::Plain(socket));
            };
            let name = Name::parse(host).ok_or(LinkFault::Unresolved)?;
            let reached = trust.reach(&name, socket).await;
            Ok(Stream::Secured(Box::new(reached.map_err(LinkFault::Tls)?)))
        };
        let stream = timeout(config.timeout, opened).await;
        Ok(Self {
            stream: stream.map_err(|_| LinkFault::Timeout)??,
            held: BytesMut::new(),
            timeout: config.timeout,
            lease: Vec::new(),
            report: Vec::new(),
            switch: Vec::new(),
        })
    }

    /// Logs in, and yields who it is.
    ///
    /// # Errors
    /// It refuses, or cannot be written to.
    pub(super) async fn log_in(&mut self, config: &SharedQuota) -> Result<Identity, LinkFault> {
        if let Some(password) = &config.password {
            let mut login = command(&["AUTH"]);
            login.extend(config.username.iter().map(|name| name.clone().into_bytes()));
            login.push(password.expose().as_bytes().to_vec());
            self.ask(login).await?;
        }
        if config.database != 0 {
            let number = config.database.to_string();
            self.ask(command(&["SELECT", &number])).await?;
        }
        let replication = self.ask(command(&["INFO", "replication"])).await?;
        if field(replication.text(), "role") != Some("master") {
            return Err(LinkFault::Replica);
        }
        let info = self.ask(command(&["INFO", "server"])).await?;
        let run = field(info.text(), "run_id").ok_or(LinkFault::Odd)?;
        let up_s = field(info.text(), "uptime_in_seconds");
        let up_s: u64 = up_s
            .and_then(|up_s| up_s.parse().ok())
            .ok_or(LinkFault::Odd)?;
        let memory = self.ask(command(&["INFO", "memory"])).await?;
        self.lease = self.load(LEASE).await?;
        self.report = self.load(REPORT).await?;
        self.switch = self.load(SWITCH).await?;
        Ok(Identity {
            run: run.to_owned(),
            up_ms: up_s.saturating_mul(1000),
            evicts: evicts(memory.text()),
        })
    }

    async fn load(&mut self, script: &str) -> Result<Vec<u8>, LinkFault> {
        let answer = self.ask(command(&["SCRIPT", "LOAD", script])).await?;
        let digest = answer.text().ok_or(LinkFault::Odd)?;
        Ok(digest.as_bytes().to_vec())
    }

    /// The digest of the script that leases.
    pub(super) fn lease(&self) -> Vec<u8> {
        self.lease.clone()
    }

    /// The digest of the script of reports.
    pub(super) fn report(&self) -> Vec<u8> {
        self.report.clone()
    }

    /// The digest of the script of switches.
    pub(super) fn switch(&self) -> Vec<u8> {
        self.switch.clone()
    }

    /// Asks one question. A refusal is an error.
    ///
    /// # Errors
    /// The server is of no use any more.
    pub(super) async fn ask(&mut self, question: Command) -> Result<Answer, LinkFault> {
        let answers = self.exchange(&[question]).await?;
        answers.into_iter().next().ok_or(LinkFault::Odd)
    }

    /// Asks several questions at once; the answers come in their order. A refusal is an error.
    ///
    /// # Errors
    /// The server is of no use any more. What was asked may have been done.
    pub(super) async fn exchange(
        &mut self,
        questions: &[Command],
    ) -> Result<Vec<Answer>, LinkFault> {
        let mut out = Vec::new();
        for question in questions {
            let parts: Vec<&[u8]> = question.iter().map(Vec::as_slice).collect();
            resp::write(&parts, &mut out);
        }
        let within = self.timeout;
        let exchanged = async {
            self.send(&out).await.map_err(|_| LinkFault::Broken)?;
            let mut answers = Vec::with_capacity(questions.len());
            while answers.len() < questions.len() {
                answers.push(self.next().await?);
            }
            Ok(answers)
        };
        timeout(within, exchanged)
            .await
            .map_err(|_| LinkFault::Timeout)?
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes).await,
            Stream::Secured(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    async fn next(&mut self) -> Result<Answer, LinkFault> {
        loop {
            if let Some((answer, length)) = resp::read(&self.held)? {
                self.held.advance(length);
                if let Answer::Refused(words) = &answer {
                    return Err(LinkFault::Refused(code(words)));
                }
                return Ok(answer);
            }
            if self.held.len() > HELD_BYTES_MAX {
                return Err(RespError::TooLarge.into());
            }
            let mut chunk = [0; CHUNK_BYTES];
            let read = match &mut self.stream {
                Stream::Plain(stream) => stream.read(&mut chunk).await,
                Stream::Secured(stream) => stream.read(&mut chunk).await,
            };
            let read = read.map_err(|_| LinkFault::Broken)?;
            match chunk.get(..read) {
                None | Some([]) => return Err(LinkFault::Broken),
                Some(bytes) => self.held.extend_from_slice(bytes),
            }
        }
    }
}

/// A command of words.
pub(super) fn command(words: &[&str]) -> Command {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// A field of what `INFO` says.
fn field<'t>(text: Option<&'t str>, name: &str) -> Option<&'t str> {
    let mut lines = text?.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// Whether keys are dropped, by what `INFO memory` says: where it has a limit, and drops any that
/// have an end, as all of ours do.
fn evicts(info: Option<&str>) -> bool {
    let has_limit = field(info, "maxmemory").is_some_and(|bytes| bytes != "0");
    has_limit && field(info, "maxmemory_policy").is_some_and(|policy| policy != "noeviction")
}

/// The code that a refusal begins with: what follows may hold what was sent.
fn code(words: &str) -> String {
    const LETTERS_MAX: usize = 20;
    let code = words.split(' ').next().unwrap_or_default();
    let is_code = code.bytes().all(|byte| byte.is_ascii_uppercase());
    match is_code && (1..=LETTERS_MAX).contains(&code.len()) {
        true => code.to_owned(),
        false => "ERR".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_its_code_alone() {
        assert_eq!(code("WRONGPASS invalid user:pass"), "WRONGPASS");
        assert_eq!(code("wrong"), "ERR");
        assert_eq!(code(""), "ERR");
        assert_eq!(code("AAAAAAAAAAAAAAAAAAAAA x"), "ERR");
    }

    #[test]
    fn a_server_that_has_a_limit_and_any_other_policy_than_to_refuse_evicts() {
        let memory = |bytes: u64, policy: &str| {
            format!("# Memory\r\nmaxmemory:{bytes}\r\nmaxmemory_policy:{policy}\r\n")
        };
        assert!(evicts(Some(&memory(1, "volatile-lru"))));
        assert!(evicts(Some(&memory(1, "allkeys-lfu"))));
        assert!(!evicts(Some(&memory(1, "noeviction"))));
        assert!(!evicts(Some(&memory(0, "volatile-lru"))));
        assert!(!evicts(Some("# Memory\r\n")));
        assert!(!evicts(None));
    }

    #[test]
    fn what_a_server_is_stands_in_its_lines() {
        let info = Some("# Server\r\nredis_version:7\r\nrun_id:abc\r\nuptime_in_seconds:12\r\n");
        assert_eq!(field(info, "run_id"), Some("abc"));
        assert_eq!(field(info, "uptime_in_seconds"), Some("12"));
        assert_eq!(field(info, "role"), None);
        assert_eq!(field(None, "role"), None);
    }
}
