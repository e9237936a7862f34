//! The list of origins that a project takes events from.
//!
//! Owns the patterns' grammar and how they match. Never reads a header: that is the parent's.

use std::borrow::Cow;

use super::{
    HOST_BYTES_MAX, Origin, Scheme, ends_authority, normal_host, port_of, scheme_of, split_port,
};

/// The longest pattern as written: a host's bytes with scheme and port, and room for the path that
/// people paste along.
const PATTERN_BYTES_MAX: usize = 512;

/// The longest list. Every request that carries an origin may walk it to its end.
const PATTERNS_MAX: usize = 1024;

/// The origins that a project takes events from.
///
/// A pattern is `[scheme://]host[:port]`; a path after it is ignored. What is left out, and a `*`
/// in its place, matches any. The rules are those of Sentry's own list, oddities included:
///
/// - The host's case does not matter. Names outside ASCII must be written in punycode, the form
///   that browsers send.
/// - `*.example.com` matches `example.com` and every name below it.
/// - Any other star stands for any run of characters, dots and nothing included. So `*example.com`
///   matches `notexample.com` too, and `a*.example.com` matches `a.b.example.com`.
/// - A port is compared after the scheme's default one was dropped from the origin. So
///   `https://a.com:443` matches nothing, and `a.com:443` only `http://a.com:443`.
/// - An empty list refuses every request that carries an origin, `["*"]` none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedOrigins {
    patterns: Vec<Pattern>,
    any: bool,
}

impl AllowedOrigins {
    /// The list `["*"]`, the default.
    pub fn any() -> Self {
        let everything = Pattern {
            written: "*".into(),
            scheme: None,
            host: "*".into(),
            port: None,
        };
        Self {
            patterns: vec![everything],
            any: true,
        }
    }

    /// Reads a list. The first pattern that cannot mean anything refuses it whole.
    pub fn parse<'a>(
        patterns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, OriginPatternError> {
        let mut list = Self {
            patterns: Vec::new(),
            any: false,
        };
        for (place, written) in patterns.into_iter().enumerate() {
            let refused = |fault| OriginPatternError { place, fault };
            if place >= PATTERNS_MAX {
                return Err(refused(OriginPatternFault::TooMany));
            }
            let pattern = Pattern::parse(written).map_err(refused)?;
            list.any |= pattern.is_any();
            list.patterns.push(pattern);
        }
        Ok(list)
    }

    /// Whether a request of this effective origin may come in; one without an origin always may.
    ///
    /// Costs a walk over the patterns, none where [`is_any`](Self::is_any).
    pub fn allows(&self, origin: Option<&Origin<'_>>) -> bool {
        self.any
            || origin
                .is_none_or(|origin| self.patterns.iter().any(|pattern| pattern.matches(origin)))
    }

    /// Whether nothing is ever refused, so that no origin needs to be read.
    pub const fn is_any(&self) -> bool {
        self.any
    }

    /// The patterns as they were written, in their order.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(|pattern| &*pattern.written)
    }
}

/// Which pattern of a list is none, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("pattern [{place}] {fault}")]
pub struct OriginPatternError {
    /// Its place in the list; the first is 0.
    pub place: usize,
    /// What is wrong with it.
    pub fault: OriginPatternFault,
}

/// Why a pattern cannot mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginPatternFault {
    /// The empty text. Refusing all is written as an empty list.
    #[error("is empty")]
    Empty,
    /// White space or a control character, which no origin has.
    #[error("holds a blank or a control character")]
    Blank,
    /// Longer than a pattern can usefully be.
    #[error("is too long: {PATTERN_BYTES_MAX} bytes are allowed, {HOST_BYTES_MAX} for the host")]
    TooLong,
    /// One scheme after the other.
    #[error("has more than one scheme")]
    SecondScheme,
    /// A scheme whose pages no list is asked about.
    #[error("has a scheme that is neither http nor https nor *")]
    BadScheme,
    /// No host, a user name before it, or characters that no host has.
    #[error("has a host that is missing or malformed")]
    BadHost,
    /// A port that no origin's port is equal to.
    #[error("has a port that is neither a plain number up to 65535 nor *")]
    BadPort,
    /// One more pattern than a list may hold.
    #[error("is one too many: a list holds {PATTERNS_MAX}")]
    TooMany,
}

/// One entry of a list. `None` matches any.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    written: Box<str>,
    scheme: Option<Scheme>,
    /// Normalised as an origin's host is, and may hold stars.
    host: Box<str>,
    port: Option<u16>,
}

impl Pattern {
    fn parse(written: &str) -> Result<Self, OriginPatternFault> {
        if written.is_empty() {
            return Err(OriginPatternFault::Empty);
        }
        if written.len() > PATTERN_BYTES_MAX {
            return Err(OriginPatternFault::TooLong);
        }
        if written.contains(|ch: char| ch.is_whitespace() || ch.is_control()) {
            return Err(OriginPatternFault::Blank);
        }
        let (scheme, rest) = match written.split_once("://") {
            Some(("*", rest)) => (None, rest),
            // It stands in the path: `a.com/?from=http://b.com`.
            Some((before, _)) if before.contains(ends_authority) => (None, written),
            Some((before, rest)) => (
                Some(scheme_of(before.as_bytes()).ok_or(OriginPatternFault::BadScheme)?),
                rest,
            ),
            None => (None, written),
        };
        let (authority, path) = rest
            .find(ends_authority)
            .and_then(|end| rest.split_at_checked(end))
            .unwrap_or((rest, ""));
        if authority.ends_with(':') && path.starts_with("//") {
            return Err(OriginPatternFault::SecondScheme);
        }
        let (host, port) = split_port(authority).ok_or(OriginPatternFault::BadHost)?;
        // A leading `*.` may stand for nothing, so it does not count.
        if host.strip_prefix("*.").unwrap_or(host).len() > HOST_BYTES_MAX {
            return Err(OriginPatternFault::TooLong);
        }
        let host = if host.starts_with('[') && host.contains('*') {
            starred_address(host)
        } else {
            normal_host(host)
        };
        Ok(Self {
            written: written.into(),
            scheme,
            host: host.ok_or(OriginPatternFault::BadHost)?.into(),
            port: match port {
                None | Some("*") => None,
                Some(digits) => Some(
                    port_of(digits)
                        // The comparison is one of texts: `080` equals no port.
                        .filter(|port| port.to_string() == digits)
                        .ok_or(OriginPatternFault::BadPort)?,
                ),
            },
        })
    }

    fn is_any(&self) -> bool {
        self.scheme.is_none() && self.port.is_none() && self.host.bytes().all(|byte| byte == b'*')
    }

    fn matches(&self, origin: &Origin<'_>) -> bool {
        self.scheme.is_none_or(|scheme| scheme == origin.scheme)
            && self.port.is_none_or(|port| Some(port) == origin.port)
            && (is_match(&self.host, &origin.host)
                || self
                    .host
                    .strip_prefix("*.")
                    .is_some_and(|domain| is_match(domain, &origin.host)))
    }
}

/// Whether `text` is `pattern` with each star replaced by some run of characters.
///
/// Each literal between two stars is taken where it first occurs: what lies to its left is the
/// star's, and taking it later would only leave less for the rest. So no step is ever undone, and
/// the cost is one pass over the text.
fn is_match(pattern: &str, text: &str) -> bool {
    let Some((head, after_head)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let (middle, tail) = after_head.rsplit_once('*').unwrap_or(("", after_head));
    let Some(mut left) = text
        .strip_prefix(head)
        .and_then(|left| left.strip_suffix(tail))
    else {
        return false;
    };
    for literal in middle.split('*') {
        match left.split_once(literal) {
            Some((_star, after)) => left = after,
            None => return false,
        }
    }
    true
}

/// An IPv6 address with stars has no shortest spelling: it is compared as it is written.
fn starred_address(host: &str) -> Option<Cow<'_, str>> {
    let inner = host.strip_prefix('[')?.strip_suffix(']')?;
    let sound = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.' | b'*');
    inner
        .bytes()
        .all(sound)
        .then(|| Cow::Owned(host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests;
