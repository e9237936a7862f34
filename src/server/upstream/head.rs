//! The head of an answer: its status, the headers that may cross, and where its body
//! ends. What belongs to the upstream's connection is read here and goes no further.
//! Never reads from a socket; refuses what could be understood in two ways.

use std::mem::MaybeUninit;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use httparse::{Header, ParserConfig, Status};
use memchr::memmem;

use super::framing::{Fault, Framing, Place};
use crate::server::delivery::outbound::named_by;

#[cfg(test)]
mod tests;

/// The most lines of a head; as many as hyper reads of a client's.
const HEADERS_MAX: usize = 100;

/// The most 1xx answers before the one that counts. One is usual, none too.
const INTERIM_MAX: u32 = 32;

/// An answer's head.
#[derive(Debug)]
pub(crate) struct Head {
    /// What crosses of it.
    pub parts: Parts,
    /// Where its body ends.
    pub framing: Framing,
    /// Whether the connection stays open behind it.
    pub stays: bool,
}

/// Reads the head of one answer after another. Kept with its connection, so that a
/// head costs no buffers of its own.
#[derive(Debug, Default)]
pub(crate) struct HeadReader {
    /// A map for the headers: the request's own, which has no more use for it.
    spare: HeaderMap,
    /// The request was a HEAD: its answer has no body, whatever it says.
    bodiless: bool,
    /// Where names and values lie in the head.
    marks: Vec<Mark>,
    /// So much was looked at in vain.
    looked_at: usize,
    interim: u32,
}

/// One header's place in the head: from byte to byte.
#[derive(Debug, Clone, Copy)]
struct Mark {
    name: (usize, usize),
    value: (usize, usize),
}

impl HeadReader {
    /// A request leaves; its answer comes next.
    pub(crate) fn expect(&mut self, bodiless: bool, mut spare: HeaderMap) {
        spare.clear();
        self.spare = spare;
        self.bodiless = bodiless;
        self.restart();
    }

    /// The same answer comes from another connection.
    pub(crate) fn restart(&mut self) {
        self.looked_at = 0;
        self.interim = 0;
    }

    /// Takes the head out of what was read; `None` until it is here in full.
    pub(crate) fn take(&mut self, read: &mut BytesMut) -> Result<Option<Head>, Fault> {
        while self.may_be_whole(read) {
            let mut lines = [const { MaybeUninit::uninit() }; HEADERS_MAX];
            let mut answer = httparse::Response::new(&mut []);
            let parsed = ParserConfig::default().parse_response_with_uninit_headers(
                &mut answer,
                read,
                &mut lines,
            );
            let length = match parsed {
                Ok(Status::Complete(length)) => length,
                Ok(Status::Partial) => {
                    self.looked_at = read.len();
                    return Ok(None);
                }
                Err(httparse::Error::TooManyHeaders) => return Err(Fault::TooLong),
                Err(_) => return Err(Fault::Nonsense),
            };
            let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok());
            let status = status.ok_or(Fault::Nonsense)?;
            let old = answer.version == Some(0);
            if status.is_informational() {
                self.skip(status)?;
                read.advance(length);
                continue;
            }
            self.mark(read, answer.headers);
            let head = read.split_to(length).freeze();
            return self.assemble(&head, status, old).map(Some);
        }
        Ok(None)
    }

    /// Whether a look is worth it. A long head comes in many reads, and to parse
    /// each time from its first byte would cost their square.
    fn may_be_whole(&mut self, read: &BytesMut) -> bool {
        if self.looked_at == 0 {
            return !read.is_empty();
        }
        let new = read.get(self.looked_at.saturating_sub(3)..);
        let new = new.unwrap_or_default();
        let whole = memmem::find(new, b"\n\r\n").is_some() || memmem::find(new, b"\n\n").is_some();
        self.looked_at = if whole { 0 } else { read.len() };
        whole
    }

    /// Answers before the answer are between two hops: none crosses, since nobody
    /// asked for leave, and a client of events would not know what to do with one.
    fn skip(&mut self, status: StatusCode) -> Result<(), Fault> {
        self.interim += 1;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Fault::Switch);
        }
        match self.interim > INTERIM_MAX {
            true => Err(Fault::Nonsense),
            false => Ok(()),
        }
    }

    /// Remembers where names and values lie, for when the head has been split off.
    fn mark(&mut self, read: &BytesMut, lines: &[Header<'_>]) {
        let start = read.as_ptr().addr();
        let place = |part: &[u8]| {
            let from = part.as_ptr().addr().saturating_sub(start);
            (from, from + part.len())
        };
        self.marks.clear();
        self.marks.extend(lines.iter().map(|line| Mark {
            name: place(line.name.as_bytes()),
            value: place(line.value),
        }));
    }

    fn assemble(&mut self, head: &Bytes, status: StatusCode, old: bool) -> Result<Head, Fault> {
        let mut hop = Hop::default();
        let mut headers = std::mem::take(&mut self.spare);
        for Mark { name, value } in &self.marks {
            let name = head.get(name.0..name.1).ok_or(Fault::Nonsense)?;
            let value = head.get(value.0..value.1).ok_or(Fault::Nonsense)?;
            if hop.takes(name, value)? {
                continue;
            }
            let name = HeaderName::from_bytes(name).map_err(|_| Fault::Nonsense)?;
            let value = HeaderValue::from_maybe_shared(head.slice_ref(value));
            headers.append(name, value.map_err(|_| Fault::Nonsense)?);
        }
        for named in &hop.named {
            for name in named_by(named) {
                headers.remove(name);
            }
        }
        let empty = status == StatusCode::NO_CONTENT;
        if let Some(bytes) = hop.length.filter(|_| !empty) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
        }
        // The body that it must not announce may come all the same (RFC 9110, section
        // 8.6), and late: the next answer would begin with it.
        let out_of_step = empty && (hop.chunked || hop.length.is_some_and(|bytes| bytes > 0));
        let bodiless = self.bodiless || empty || status == StatusCode::NOT_MODIFIED;
        let framing = match (hop.chunked, hop.length) {
            (true, Some(_)) => return Err(Fault::Ambiguous),
            // HTTP/1.0 knows no chunks: whoever sends them so means something else.
            (true, None) if old => return Err(Fault::Ambiguous),
            _ if bodiless => Framing::Over,
            (true, None) => Framing::Chunks(Place::Size),
            (false, Some(bytes)) => Framing::of_length(bytes),
            (false, None) => Framing::UntilClose,
        };
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = status;
        parts.headers = headers;
        Ok(Head {
            parts,
            framing,
            stays: !hop.close
                && (!old || hop.keep_alive)
                && framing != Framing::UntilClose
                && !out_of_step,
        })
    }
}

/// What a head says about its own connection.
#[derive(Debug, Default)]
struct Hop {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    /// `Connection` headers that name others.
    named: Vec<HeaderValue>,
}

impl Hop {
    /// Takes a header that is for this hop, or says that it is not.
    fn takes(&mut self, name: &[u8], value: &[u8]) -> Result<bool, Fault> {
        // The length spares most headers the comparison.
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        match name.len() {
            14 if is("content-length") => self.length(value)?,
            17 if is("transfer-encoding") => {
                if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Fault::Ambiguous);
                }
                self.chunked = true;
            }
            10 if is("connection") => self.connection(value),
            10 if is("keep-alive") => {}
            16 if is("proxy-connection") => {}
            7 if is("trailer") || is("upgrade") => {}
            6 if is("expect") => {}
            2 if is("te") => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Several lengths are one if they are equal (RFC 9110, section 8.6).
    fn length(&mut self, value: &[u8]) -> Result<(), Fault> {
        for word in value.split(|byte| *byte == b',') {
            let bytes = decimal(word.trim_ascii()).ok_or(Fault::Ambiguous)?;
            if self.length.is_some_and(|before| before != bytes) {
                return Err(Fault::Ambiguous);
            }
            self.length = Some(bytes);
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        let mut names = false;
        for word in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if word.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if word.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else {
                names = true;
            }
        }
        if names && let Ok(value) = HeaderValue::from_bytes(value) {
            self.named.push(value);
        }
    }
}

/// Digits and nothing else: no sign, no blank, no more than fits.
fn decimal(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
