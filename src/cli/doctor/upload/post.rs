//! One body on its way: sent piece by piece while the answer is listened for, so that it can be
//! said how far it came. Judges nothing.
//!
//! No client of HTTP is used: what is asked is when `100 Continue` comes, and whether a connection
//! stands while nothing moves, which clients hide.

use std::cell::Cell;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::super::super::exchange::Line;
use super::super::super::place::{Authorities, Place};

/// How long `100 Continue` may take. curl, and sentry-cli with it, goes on after one second.
const CONTINUE_WITHIN: Duration = Duration::from_secs(3);

/// How long an answer may take once the body is sent.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The same where the body could not be sent to its end: it has come by then, or never will.
const PARTING_WITHIN: Duration = Duration::from_secs(2);

/// So many bytes at a time.
const PIECE_BYTES: u64 = 64 * 1024;

/// No slower line is waited for.
const BYTES_PER_S_MIN: u64 = 128 * 1024;

/// The longest head of an answer that is read.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Fields in it.
const FIELDS_MAX: usize = 100;

/// How a body's end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// By its length.
    Length,
    /// In chunks.
    Chunked,
}

/// A request with a body of so many bytes.
#[derive(Debug, Clone)]
pub(super) struct Post {
    /// From `/api/` on.
    pub(super) path: String,
    pub(super) content_type: &'static str,
    /// What it begins with; the rest are zeros.
    pub(super) begins: &'static [u8],
    pub(super) bytes: u64,
    pub(super) framing: Framing,
    /// What it says of how its parts are packed.
    pub(super) encoding: Option<&'static str>,
    /// Whether it waits to be asked for its body.
    pub(super) expects: bool,
    /// How long nothing moves in the middle of it.
    pub(super) pause: Duration,
}

/// How it went.
#[derive(Debug)]
pub(super) struct Went {
    /// Bytes of the body that were taken off our hands.
    pub(super) sent: u64,
    /// Whether it was asked for before it was sent.
    pub(super) asked_for: bool,
    /// `None`: the connection was closed, or nothing came.
    pub(super) answer: Option<Answer>,
}

/// An answer's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
}

impl Answer {
    /// The first value of a header, named in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }
}

impl Post {
    /// Sends it there.
    ///
    /// # Errors
    /// Nobody is there, TLS fails, or nothing moves for long.
    pub(super) fn send(&self, to: &Place, authorities: &Authorities) -> anyhow::Result<Went> {
        let line = Duration::from_secs(self.bytes / BYTES_PER_S_MIN);
        let patience = line + self.pause + CONTINUE_WITHIN + ANSWER_WITHIN;
        let head = self.head(to);
        to.converse(authorities, patience, async |line| {
            self.talk(&head, line).await
        })
    }

    fn head(&self, to: &Place) -> String {
        let mut head = format!(
            "POST {}{} HTTP/1.1\r\nhost: {}\r\nuser-agent: vidette-doctor\r\naccept: */*\r\n\
             connection: close\r\ncontent-type: {}\r\n",
            to.prefix, self.path, to.authority, self.content_type
        );
        match self.framing {
            Framing::Length => head.push_str(&format!("content-length: {}\r\n", self.bytes)),
            Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
        }
        if let Some(encoding) = self.encoding {
            head.push_str(&format!("content-encoding: {encoding}\r\n"));
        }
        if self.expects {
            head.push_str("expect: 100-continue\r\n");
        }
        head.push_str("\r\n");
        head
    }

    async fn talk(&self, head: &str, line: Box<dyn Line>) -> Went {
        let (read, mut write) = tokio::io::split(line);
        let mut ear = Ear {
            read,
            heard: Vec::new(),
        };
        let sent = Cell::new(0);
        let went = |asked_for, answer| Went {
            sent: sent.get(),
            asked_for,
            answer,
        };
        if write.write_all(head.as_bytes()).await.is_err() {
            return went(false, None);
        }
        let mut asked_for = false;
        if self.expects {
            match timeout(CONTINUE_WITHIN, ear.next()).await {
                Ok(Some(answer)) if answer.status == 100 => asked_for = true,
                Ok(answer) => return went(false, answer),
                Err(_) => {}
            }
        }
        let answered = {
            let listening = ear.last();
            tokio::pin!(listening);
            let wrote = tokio::select! {
                biased;
                wrote = self.write(&mut write, &sent) => wrote,
                answer = &mut listening => return went(asked_for, answer),
            };
            let within = match wrote {
                Ok(()) => ANSWER_WITHIN,
                Err(_) => PARTING_WITHIN,
            };
            timeout(within, listening).await
        };
        went(asked_for, answered.ok().flatten())
    }

    async fn write(
        &self,
        to: &mut (impl AsyncWrite + Unpin),
        sent: &Cell<u64>,
    ) -> std::io::Result<()> {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let middle = self.bytes / 2;
        let mut paused = self.pause.is_zero();
        while sent.get() < self.bytes {
            let at = sent.get();
            if !paused && at >= middle {
                to.flush().await?;
                tokio::time::sleep(self.pause).await;
                paused = true;
            }
            let end = if paused {
                self.bytes
            } else {
                middle.max(at + 1)
            };
            let length = PIECE_BYTES.min(end - at);
            let beginning = usize::try_from(at)
                .ok()
                .and_then(|at| self.begins.get(at..));
            let piece = match beginning {
                Some(rest) if !rest.is_empty() => rest,
                Some(_) | None => &ZEROS,
            };
            let length = usize::try_from(length).unwrap_or(piece.len());
            let piece = piece.get(..length).unwrap_or(piece);
            if self.framing == Framing::Chunked {
                to.write_all(format!("{:x}\r\n", piece.len()).as_bytes())
                    .await?;
            }
            to.write_all(piece).await?;
            if self.framing == Framing::Chunked {
                to.write_all(b"\r\n").await?;
            }
            sent.set(at + u64::try_from(piece.len()).unwrap_or(u64::MAX));
        }
        if self.framing == Framing::Chunked {
            to.write_all(b"0\r\n\r\n").await?;
        }
        to.flush().await
    }
}

/// What listens for answers.
struct Ear<R> {
    read: R,
    heard: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Ear<R> {
    /// The next answer, one that only says to go on included. `None`: there is none to come.
    async fn next(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = self.taken()? {
                return Some(answer);
            }
            if self.heard.len() > HEAD_BYTES_MAX {
                return None;
            }
            match self.read.read_buf(&mut self.heard).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The one that ends the exchange.
    async fn last(&mut self) -> Option<Answer> {
        loop {
            let answer = self.next().await?;
            if answer.status >= 200 {
                return Some(answer);
            }
        }
    }

    /// An answer that has been heard whole; the outer `None`: it is none.
    fn taken(&mut self) -> Option<Option<Answer>> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut read = httparse::Response::new(&mut fields);
        let length = match read.parse(&self.heard).ok()? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial => return Some(None),
        };
        let headers = read.headers.iter().map(|field| {
            let value = String::from_utf8_lossy(field.value).into_owned();
            (field.name.to_ascii_lowercase(), value)
        });
        let answer = Answer {
            status: read.code?,
            headers: headers.collect(),
        };
        self.heard.drain(..length);
        Some(Some(answer))
    }
}

#[cfg(test)]
mod tests;
