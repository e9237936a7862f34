//! HTTP/1 as it stands on the wire: heads, lengths and chunks, read from any
//! stream. Never repairs what it reads, and never speaks for either side.

use std::fmt;
use std::io::{self, Read};

/// Larger heads are a test gone wrong.
const HEAD_BYTES_MAX: usize = 4 << 20;

/// A message's header lines in order of arrival, values as raw bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers(pub(crate) Vec<(String, Vec<u8>)>);

impl Headers {
    /// All values of a header, whatever the case of its name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let named = self
            .0
            .iter()
            .filter(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        named
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    /// A header's one value; panics where it stands twice.
    #[track_caller]
    pub(crate) fn one(&self, name: &str) -> Option<String> {
        let mut all = self.all(name);
        assert!(all.len() < 2, "{name} stands more than once: {all:?}");
        all.pop()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            writeln!(f, "    {name}: {}", value.escape_ascii())?;
        }
        Ok(())
    }
}

/// The first line of a message and its headers.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The first line, without its end.
    pub(crate) first: Vec<u8>,
    /// The lines below it.
    pub(crate) headers: Headers,
}

impl Head {
    /// Whether it is the edge itself that asks, after its upstream's health.
    pub(crate) fn is_probe(&self) -> bool {
        let agents = self.headers.all("user-agent");
        let mut own = agents.iter().filter(|agent| agent.starts_with("vidette/"));
        own.any(|agent| agent.ends_with(" (probe)"))
    }

    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let mut lines = bytes
            .split(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = lines.next().unwrap_or_default().to_vec();
        let mut headers = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let colon = line
                .iter()
                .position(|&byte| byte == b':')
                .ok_or_else(|| bad("header without a colon"))?;
            let name = String::from_utf8(line[..colon].to_vec()).map_err(|_| bad("header name"))?;
            headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
        }
        Ok(Self {
            first,
            headers: Headers(headers),
        })
    }

    /// The first line's words: method, target and version, or version, status and reason.
    pub(crate) fn words(&self) -> Vec<Vec<u8>> {
        self.first
            .splitn(3, |&byte| byte == b' ')
            .map(<[u8]>::to_vec)
            .collect()
    }
}

/// How a message's end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Neither a length nor chunks.
    None,
    /// A `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// A response that ends with its connection.
    UntilClose,
}

impl Framing {
    /// What the headers of a request announce.
    pub(crate) fn of_request(headers: &Headers) -> io::Result<Self> {
        let lengths = headers.all("content-length");
        match (
            headers.all("transfer-encoding").as_slice(),
            lengths.as_slice(),
        ) {
            ([], []) => Ok(Self::None),
            ([], [length]) => length
                .parse()
                .map(Self::Length)
                .map_err(|_| bad("content-length")),
            ([coding], []) if coding == "chunked" => Ok(Self::Chunked),
            (codings, lengths) => Err(bad(&format!("ambiguous framing: {codings:?} {lengths:?}"))),
        }
    }

    /// What the headers of a response announce, given its status and the request's method.
    pub(crate) fn of_response(headers: &Headers, status: u16, method: &str) -> io::Result<Self> {
        if method == "HEAD" || (100..200).contains(&status) || status == 204 || status == 304 {
            return Ok(Self::None);
        }
        match Self::of_request(headers)? {
            Self::None => Ok(Self::UntilClose),
            told @ (Self::Length(_) | Self::Chunked | Self::UntilClose) => Ok(told),
        }
    }
}

/// A stream with what was read ahead of it.
pub(crate) struct Wire<S> {
    /// The stream itself.
    pub(crate) stream: S,
    ahead: Vec<u8>,
}

impl<S: Read> Wire<S> {
    /// A stream of which nothing was read yet.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    /// Reads a head. `None`: the peer closed before its first byte.
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                let bytes: Vec<u8> = self.ahead.drain(..end + 4).collect();
                return Head::parse(&bytes[..end]).map(Some);
            }
            if self.ahead.len() > HEAD_BYTES_MAX {
                return Err(bad("head without an end"));
            }
            if self.more()? == 0 {
                return match self.ahead.is_empty() {
                    true => Ok(None),
                    false => Err(cut("in a head")),
                };
            }
        }
    }

    /// Reads a body to its announced end, handing each piece on as it comes.
    pub(crate) fn body(&mut self, framing: Framing, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        match framing {
            Framing::None => Ok(()),
            Framing::Length(length) => self.exactly(length, sink),
            Framing::Chunked => self.chunks(sink),
            Framing::UntilClose => loop {
                self.pass_ahead(u64::MAX, sink);
                if self.more()? == 0 {
                    return Ok(());
                }
            },
        }
    }

    fn exactly(&mut self, length: u64, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut left = length;
        loop {
            left -= self.pass_ahead(left, sink);
            if left == 0 {
                return Ok(());
            }
            if self.more()? == 0 {
                return Err(cut("in a body with a length"));
            }
        }
    }

    fn chunks(&mut self, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        loop {
            let line = self.line()?;
            let digits = line
                .split(|&byte| byte == b';')
                .next()
                .unwrap_or_default()
                .trim_ascii();
            let digits = std::str::from_utf8(digits).map_err(|_| bad("chunk size"))?;
            let size = u64::from_str_radix(digits, 16).map_err(|_| bad("chunk size"))?;
            self.exactly(size, sink)?;
            // The last chunk is followed by trailers, any other by its line's end.
            while !self.line()?.is_empty() {
                if size > 0 {
                    return Err(bad("chunk longer than its size"));
                }
            }
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n") {
                let mut line: Vec<u8> = self.ahead.drain(..end + 2).collect();
                line.truncate(end);
                return Ok(line);
            }
            if self.more()? == 0 {
                return Err(cut("in a chunked body"));
            }
        }
    }

    fn pass_ahead(&mut self, most: u64, sink: &mut dyn FnMut(&[u8])) -> u64 {
        let here = self
            .ahead
            .len()
            .min(usize::try_from(most).unwrap_or(usize::MAX));
        if here > 0 {
            sink(&self.ahead[..here]);
            self.ahead.drain(..here);
        }
        u64::try_from(here).unwrap_or(u64::MAX)
    }

    /// Reads once more into what is ahead; 0 is the stream's end.
    pub(crate) fn more(&mut self) -> io::Result<usize> {
        let mut piece = [0; 64 << 10];
        let count = self.stream.read(&mut piece)?;
        self.ahead.extend_from_slice(&piece[..count]);
        Ok(count)
    }

    /// Whether bytes were read that nobody has taken.
    pub(crate) fn has_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }
}

/// Where `needle` begins.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// Whether an error means that the peer closed or reset before its message was whole.
pub(crate) fn is_cut(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
    )
}

fn cut(place: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the peer closed {place}"),
    )
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// A body as chunks of the given size, with its end.
pub(crate) fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 64);
    for piece in body.chunks(size) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}
