//! A request's head, parsed and not yet believed: its framing checked, its path
//! normalised, its client's address resolved. Never reads a body, never answers.

use std::borrow::Cow;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::domain::client_ip::{Source, resolve};
use crate::domain::host::is_host;
use crate::domain::networks::Networks;
use crate::domain::outcome::Reason;
use crate::domain::path;
use crate::policy::Refusal;

use crate::server::client::client_io::Pulse;
use crate::server::client::reception::Caller;
use crate::server::delivery::outbound::Sender;
use crate::server::rules::Rules;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A request that has come in. Its head is boxed at once: it is handed from step
/// to step, and it is large.
pub(crate) struct Arrived {
    /// The head as it came.
    pub head: Box<Parts>,
    /// The body, of which nothing has been read.
    pub body: Incoming,
    /// Who sent it.
    pub sender: Sender,
    /// The body's announced length; `None` when chunked.
    pub announced: Option<u64>,
    /// Another path to ask for upstream, where the route says so.
    pub path: Option<Box<PathAndQuery>>,
}

impl Arrived {
    /// Parses a head and resolves its sender; also where its address came from.
    pub(crate) fn new(
        request: Request<Incoming>,
        caller: &Caller,
        rules: &Rules,
    ) -> (Self, Source) {
        let (head, body) = request.into_parts();
        let announced = body.size_hint().exact();
        let (sender, source) = sender(&head, caller, rules);
        (
            Self {
                head: Box::new(head),
                body,
                sender,
                announced,
                path: None,
            },
            source,
        )
    }
}

/// How the client speaks: to us, or to a trusted peer in front of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As `X-Forwarded-Proto` names it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What of a head's framing has to be looked at, found in one walk over its
/// headers.
#[derive(Debug, Default, Clone, Copy)]
struct Framing<'h> {
    hosts: u32,
    host: Option<&'h HeaderValue>,
    lengths: u32,
    codings: u32,
    coding: Option<&'h HeaderValue>,
}

impl<'h> Framing<'h> {
    fn of(headers: &'h HeaderMap) -> Self {
        let mut framing = Self::default();
        for (name, value) in headers {
            if *name == HOST {
                framing.hosts += 1;
                framing.host = Some(value);
            } else if *name == CONTENT_LENGTH {
                framing.lengths += 1;
            } else if *name == TRANSFER_ENCODING {
                framing.codings += 1;
                framing.coding = Some(value);
            }
        }
        framing
    }
}

/// Refuses heads whose framing two hops could read differently (RFC 9112,
/// section 6.3), and methods that are not for an origin.
pub(crate) fn check_framing(head: &Parts, pulse: &Pulse) -> Result<(), Refusal> {
    let http1 = head.version != Version::HTTP_2;
    let framing = Framing::of(&head.headers);
    match framing.coding.filter(|_| http1) {
        None => pulse.head.borrow_mut().clear(),
        Some(coding) => {
            if pulse.head_names_length() || framing.lengths > 0 {
                let detail = "both Content-Length and Transfer-Encoding";
                return Err(Refusal::framing(detail));
            }
            if framing.codings > 1 || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
                let detail = "a Transfer-Encoding other than chunked";
                return Err(Refusal::framing(detail));
            }
        }
    }
    // HTTP/1.0 may leave it out (RFC 9112, section 3.2), HTTP/2 has `:authority` (RFC
    // 9113, section 8.3.1). Of two, each hop could take another.
    let asked = head.uri.authority().map(Authority::as_str);
    let hostless = match head.version {
        Version::HTTP_10 => false,
        Version::HTTP_2 => framing.hosts == 0 && asked.is_none(),
        _ => framing.hosts == 0,
    };
    if framing.hosts > 1 || hostless {
        return Err(Refusal::framing("there must be exactly one Host header"));
    }
    // Both go upstream, which builds links from them (RFC 9112, section 3.2). A user in
    // front of an authority is an error too (RFC 9110, section 4.2.4).
    let named = framing.host.map(HeaderValue::as_bytes);
    let all = named.into_iter().chain(asked.map(str::as_bytes));
    if !all.into_iter().all(is_host) {
        return Err(Refusal::framing("the host is not a name or an address"));
    }
    if !http1
        && let (Some(named), Some(asked)) = (named, asked)
        && !named.eq_ignore_ascii_case(asked.as_bytes())
    {
        return Err(Refusal::framing(":authority and Host name two hosts"));
    }
    check_method(&head.method)
}

/// Refuses heads over `limits.header_bytes`. The parser alone would not: it counts a
/// head only while it waits for the rest of one, so that what comes at once may be more.
pub(crate) fn check_bytes(head: &Parts, bytes_max: u64) -> Result<(), Refusal> {
    match u64::try_from(bytes(head)).is_ok_and(|bytes| bytes <= bytes_max) {
        true => Ok(()),
        false => Err(Refusal::head_too_large()),
    }
}

/// The bytes of a head as HTTP/1 writes it, but for blanks that mean nothing.
fn bytes(head: &Parts) -> usize {
    let Parts { uri, headers, .. } = head;
    let target = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let authority = uri.authority().map_or(0, |host| host.as_str().len());
    let scheme = uri
        .scheme_str()
        .map_or(0, |scheme| scheme.len() + "://".len());
    let line = head.method.as_str().len() + " ".len() + scheme + authority + target;
    let fields = headers.iter().map(|(name, value)| {
        let written = name.as_str().len() + value.len();
        written + ": \r\n".len()
    });
    line + " HTTP/1.1\r\n".len() + fields.sum::<usize>() + "\r\n".len()
}

/// Refuses methods that are not for an origin.
pub(crate) fn check_method(method: &Method) -> Result<(), Refusal> {
    if method == Method::CONNECT || method == Method::TRACE {
        let mut refusal = Refusal::method("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        refusal.close = true;
        return Err(refusal);
    }
    Ok(())
}

/// The path as routes and guards look at it.
pub(crate) fn normalised(head: &Parts) -> Result<Cow<'_, [u8]>, Refusal> {
    path::normalise(head.uri.path())
        .map_err(|error| Refusal::of(Reason::BadPath, 400, error.to_string()))
}

/// Where the same page is found by https, for methods that ask for one. `None`: it asks for
/// none, or names no host.
pub(crate) fn place_by_https(head: &Parts, port: u16) -> Option<HeaderValue> {
    // A preflight that is moved fails.
    if head.method == Method::OPTIONS {
        return None;
    }
    let written = head.headers.get(HOST).map(HeaderValue::as_bytes);
    let named = || Authority::try_from(written?).ok();
    let authority = head.uri.authority().cloned().or_else(named)?;
    let (host, target) = (authority.host(), head.uri.path_and_query()?);
    let place = match port {
        443 => format!("https://{host}{target}"),
        port => format!("https://{host}:{port}{target}"),
    };
    HeaderValue::try_from(place).ok()
}

/// Who sent the request, from the peer and from whom it may speak for.
fn sender(head: &Parts, caller: &Caller, rules: &Rules) -> (Sender, Source) {
    let nobody = Networks::default();
    let trusted = match caller.unnamed {
        true => &nobody,
        false => &rules.trusted,
    };
    let peer = caller.peer.ip();
    let lines = head
        .headers
        .get_all(&rules.forwarded)
        .iter()
        .map(http::HeaderValue::as_bytes);
    let client = resolve(peer, rules.config.client_ip.header.form, lines, trusted);
    let trusted = trusted.contains(peer);
    let claimed = head.headers.get(X_FORWARDED_PROTO).filter(|_| trusted);
    let scheme = match claimed {
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"https") => Scheme::Https,
        Some(_) => Scheme::Http,
        None => caller.scheme,
    };
    (
        Sender {
            client: client.address,
            scheme,
            trusted,
        },
        client.source,
    )
}
