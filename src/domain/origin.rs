//! The origin that a browser's request claims; below it, the list of those that a project allows.
//!
//! Owns how `Origin` and `Referer` are read. Never answers preflights and never decides what a
//! refusal looks like. An origin proves nothing about its sender: outside a browser anybody writes
//! any, or none. It tells pages apart, not people.

mod allowed;

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use super::dsn::Scheme;

pub use allowed::{AllowedOrigins, OriginPatternError, OriginPatternFault};

/// The longest name that DNS carries. A longer one is no host that a page came from.
const HOST_BYTES_MAX: usize = 253;

/// How much of a URL is searched for the end of its authority: a host, its port, and a user name
/// of some length, which browsers cut off anyway.
const AUTHORITY_BYTES_MAX: usize = 512;

/// An http or https origin as a request claims it, normalised: equal values are the same origin.
///
/// The host is in lower case and a scheme's default port is dropped, so it can key a table. Reading
/// one allocates only for an IPv6 address, to find its shortest form, and for a name with capitals,
/// which no browser sends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin<'a> {
    scheme: Scheme,
    /// In lower case; an IPv6 address keeps its brackets.
    host: Cow<'a, str>,
    /// `None` for the scheme's default port.
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    /// The effective origin of a request: that of `Origin`, else that of `Referer`.
    ///
    /// A header that is absent or no http or https URL (`null`, an extension's page, a list) is
    /// passed over; `None`, nothing usable in either, is allowed everywhere. User name, path, query
    /// and fragment are cut. A host outside ASCII is taken as written: browsers send punycode.
    pub fn of_request(origin: Option<&'a [u8]>, referer: Option<&'a [u8]>) -> Option<Self> {
        Page::of_request(origin, referer).origin
    }

    fn of_url(url: &'a [u8]) -> Option<Self> {
        let (scheme, rest) = split_scheme(url.trim_ascii())?;
        let searched = rest.get(..=AUTHORITY_BYTES_MAX).unwrap_or(rest);
        let authority = searched
            .split(|&byte| ends_authority(char::from(byte)))
            .next()?;
        if authority.len() > AUTHORITY_BYTES_MAX {
            return None;
        }
        let authority = str::from_utf8(authority).ok()?;
        let located = authority
            .rsplit_once('@')
            .map_or(authority, |(_userinfo, located)| located);
        let (host, port) = split_port(located)?;
        if host.len() > HOST_BYTES_MAX {
            return None;
        }
        let port = match port {
            None | Some("") => None,
            Some(digits) => Some(port_of(digits)?).filter(|&port| port != default_port(scheme)),
        };
        Some(Self {
            scheme,
            host: normal_host(host)?,
            port,
        })
    }

    /// How the page was loaded.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host in lower case; an IPv6 address stands in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, where it is not the scheme's default one.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The same origin, free of the request's head: what a table keeps.
    ///
    /// It is equal to the borrowed form and hashes alike, and a table of owned origins, shared for
    /// reading, can be asked with a borrowed one. So only an insertion pays for a copy.
    pub fn into_owned(self) -> Origin<'static> {
        Origin {
            scheme: self.scheme,
            host: Cow::Owned(self.host.into_owned()),
            port: self.port,
        }
    }
}

/// The page that a request speaks for.
///
/// Other readers, Relay's URL parser among them, take spellings for an origin that are none here.
/// Whoever remembers how a page was answered has to keep such requests apart from all others:
/// whom they speak for is not known, and they may be made to look like anybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page<'a> {
    /// The effective origin, as [`Origin::of_request`] has it.
    pub origin: Option<Origin<'a>>,
    /// An `Origin` that was passed over.
    pub odd_origin: Option<&'a [u8]>,
    /// A `Referer` that was asked and passed over.
    pub odd_referer: Option<&'a [u8]>,
}

impl<'a> Page<'a> {
    /// The page of a request with these two headers.
    pub fn of_request(origin: Option<&'a [u8]>, referer: Option<&'a [u8]>) -> Self {
        let read = origin.and_then(Origin::of_url);
        if read.is_some() {
            return Self {
                origin: read,
                ..Self::default()
            };
        }
        let read = referer.and_then(Origin::of_url);
        Self {
            odd_origin: origin,
            odd_referer: referer.filter(|_| read.is_none()),
            origin: read,
        }
    }

    /// Whether everybody reads the same: one origin, or none.
    pub const fn is_plain(&self) -> bool {
        self.odd_origin.is_none() && self.odd_referer.is_none()
    }
}

/// As `Origin` headers have it: `scheme://host[:port]`.
impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// `http://` or `https://`, and what follows.
fn split_scheme(url: &[u8]) -> Option<(Scheme, &[u8])> {
    let colon = url.iter().take("https:".len()).position(|&b| b == b':')?;
    let (before, after) = url.split_at_checked(colon)?;
    Some((scheme_of(before)?, after.strip_prefix(b"://")?))
}

fn scheme_of(name: &[u8]) -> Option<Scheme> {
    [Scheme::Http, Scheme::Https]
        .into_iter()
        .find(|scheme| name.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
}

const fn default_port(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    }
}

/// What begins a path, a query or a fragment. Browsers read `\` as `/`: else
/// `https://evil.com\.good.com` would have two hosts, one for each reader.
const fn ends_authority(ch: char) -> bool {
    matches!(ch, '/' | '\\' | '?' | '#')
}

/// Cuts `host[:port]`; a bracketed host may hold colons and keeps its brackets.
fn split_port(located: &str) -> Option<(&str, Option<&str>)> {
    if !located.starts_with('[') {
        return Some(match located.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (located, None),
        });
    }
    let (host, after) = located.split_at_checked(located.find(']')?.checked_add(1)?)?;
    match after {
        "" => Some((host, None)),
        after => Some((host, Some(after.strip_prefix(':')?))),
    }
}

fn port_of(digits: &str) -> Option<u16> {
    // `parse` alone would take a plus sign.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// The form that is compared: a name in lower case, an IPv6 address in its shortest spelling.
fn normal_host(host: &str) -> Option<Cow<'_, str>> {
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        let shortest = format!("[{address}]");
        return Some(if shortest == host {
            Cow::Borrowed(host)
        } else {
            Cow::Owned(shortest)
        });
    }
    let sound = !host.is_empty() && host.chars().all(is_of_name);
    sound.then(|| {
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        }
    })
}

/// What a name may be made of: in ASCII, all that the URL standard does not forbid in a host, so
/// that odd names are compared, and refused, instead of being passed over.
fn is_of_name(ch: char) -> bool {
    let forbidden = matches!(
        ch,
        ':' | '@' | '%' | '<' | '>' | '[' | ']' | '^' | '|' | '/' | '\\' | '?' | '#'
    );
    (ch.is_ascii_graphic() && !forbidden) || (!ch.is_ascii() && ch.is_alphanumeric())
}

#[cfg(test)]
mod tests;
