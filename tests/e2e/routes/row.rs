//! One row of the golden table: a request, where self-hosted's nginx puts it, and
//! where the edge differs. Sends nothing itself.

use std::fmt;

use super::paths::LARGE_HEAD;
use crate::edge::KEY;
use crate::wire::chunked;

/// Where a request comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lands {
    /// At the ingest upstream.
    Relay,
    /// At the web upstream.
    Web,
    /// At a file below `/js-sdk/`.
    Disk,
    /// Nowhere: answered at the door with this status.
    Answered(u16),
}

impl Lands {
    /// Equal, or two refusals of one status class.
    pub(crate) fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::Answered(status), Self::Answered(wanted)) => status / 100 == wanted / 100,
            _ => self == other,
        }
    }
}

/// Where the edge differs from nginx, and why that is right.
#[derive(Debug)]
pub(crate) struct Unlike {
    pub(crate) lands: Lands,
    pub(crate) reason: &'static str,
}

/// One request and where it belongs.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) method: &'static str,
    target: Vec<u8>,
    rewritten: Option<&'static str>,
    pub(crate) lands: Lands,
    pub(crate) unlike: Option<Unlike>,
    headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    in_chunks: bool,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:.120}",
            self.method,
            self.target.escape_ascii().to_string()
        )?;
        self.headers.iter().try_for_each(|(name, value)| {
            write!(f, " [{name}: {:.60}]", value.escape_ascii().to_string())
        })
    }
}

impl Row {
    /// The bytes that the client sends.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.method.as_bytes(), b" ", &self.target, b" HTTP/1.1\r\n"].concat();
        if !self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            bytes.extend_from_slice(b"Host: sentry.example.com\r\n");
        }
        for (name, value) in &self.headers {
            bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if self.in_chunks {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            bytes.extend_from_slice(&chunked(&self.body, 7));
            return bytes;
        }
        if !self.body.is_empty() || matches!(self.method, "POST" | "PUT" | "PATCH") {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// What the upstream is asked for.
    pub(crate) fn target_upstream(&self) -> Vec<u8> {
        self.rewritten.map_or_else(
            || self.target.clone(),
            |rewritten| rewritten.as_bytes().to_vec(),
        )
    }

    /// The `Host` that the upstream is told.
    pub(crate) fn host(&self) -> String {
        let host = self
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("host"));
        host.map_or("sentry.example.com".to_owned(), |(_, value)| {
            String::from_utf8_lossy(value).into_owned()
        })
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.as_bytes().to_vec()));
        self
    }

    pub(crate) fn with_bytes(mut self, name: &'static str, value: &[u8]) -> Self {
        self.headers.push((name, value.to_vec()));
        self
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub(crate) fn in_chunks(mut self) -> Self {
        self.in_chunks = true;
        self
    }

    pub(crate) fn rewritten(mut self, target: &'static str) -> Self {
        self.rewritten = Some(target);
        self
    }

    pub(crate) fn unlike(mut self, lands: Lands, reason: &'static str) -> Self {
        self.unlike = Some(Unlike { lands, reason });
        self
    }
}

pub(crate) fn row(lands: Lands, method: &'static str, target: impl AsRef<[u8]>) -> Row {
    let target = target.as_ref().to_vec();
    Row {
        method,
        target,
        rewritten: None,
        lands,
        unlike: None,
        headers: Vec::new(),
        body: Vec::new(),
        in_chunks: false,
    }
}

pub(crate) fn relay(method: &'static str, target: impl AsRef<[u8]>) -> Row {
    row(Lands::Relay, method, target)
}

pub(crate) fn web(method: &'static str, target: impl AsRef<[u8]>) -> Row {
    row(Lands::Web, method, target)
}

/// An event's request: the key in the query, and a body.
pub(crate) fn event(method: &'static str, target: &str) -> Row {
    let join = if target.contains('?') { '&' } else { '?' };
    let target = format!("{target}{join}sentry_key={KEY}&sentry_version=7");
    relay(method, target).body(if method == "GET" { b"" } else { b"{}\n" })
}

impl Row {
    /// nginx reads heads in buffers of 8 KiB and refuses longer lines with this status.
    pub(crate) fn unlike_head(self, status: u16) -> Self {
        Self {
            lands: Lands::Answered(status),
            unlike: Some(LARGE_HEAD),
            ..self
        }
    }
}
