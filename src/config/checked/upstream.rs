//! Owns where requests go: the servers, the pools and the waits.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::HostPolicy;
use crate::tls::TrustFiles;

/// Where requests go, and how long each wait may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// Takes `/api/store/` and `/api/<id>/...`; at least one; the only key
    /// without a default.
    pub ingest: Vec<UpstreamUrl>,
    /// Takes everything else; at least one; default: what `ingest` says.
    pub web: Vec<UpstreamUrl>,
    /// What the upstream sees as `Host`; default `client`.
    pub host: HostPolicy,
    /// What TLS with servers stands on, where a URL is `https`.
    pub tls: UpstreamTls,
    /// How long the upstream may keep a client waiting before the event is
    /// kept and answered here; default 2 s.
    pub ingest_deadline: Duration,
    /// How long a connection may lie unused in a pool.
    pub idle: Idle,
    /// How often names are looked up again; default 10 s.
    pub resolve_interval: Duration,
    /// How often one that fails is asked whether it is back; default 1 s.
    pub probe_interval: Duration,
    /// How much of a web exchange is read ahead, so that slow clients hold no
    /// web worker.
    pub web_read_ahead: ReadAhead,
    /// How long an upstream may be silent.
    pub timeouts: UpstreamTimeouts,
    /// Open connections to each upstream, all workers together; default 1024.
    pub connections: u64,
}

/// What TLS with servers stands on; `sentry.url` among them. The files were there and fitted
/// each other when they were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The authorities whose word about a server is believed, in PEM; `None`, the default:
    /// the system's own.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown to servers which ask for one, in PEM; `None`, the
    /// default: there is none.
    pub cert: Option<PathBuf>,
    /// Its key, in PEM, without a password; there where `cert` is.
    pub key: Option<PathBuf>,
}

impl UpstreamTls {
    /// The files as whoever reads them takes them.
    pub fn files(&self) -> TrustFiles<'_> {
        TrustFiles {
            ca: self.ca.as_deref(),
            client: self.cert.as_deref().zip(self.key.as_deref()),
        }
    }
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// By TLS.
    Https,
}

impl Scheme {
    /// As a URL begins.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that goes without saying.
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// One upstream server, spoken to in HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamUrl {
    /// Whether TLS is spoken.
    pub scheme: Scheme,
    /// A name or an address; IPv6 without its brackets; lower case.
    pub host: String,
    /// From the URL, else its scheme's.
    pub port: u16,
}

impl UpstreamUrl {
    /// `host:port`, as a `Host` header takes it; IPv6 in brackets.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// The same as browsers and SDKs write it: without a port that goes without saying.
    pub fn host_header(&self) -> String {
        let mut authority = self.authority();
        if self.port == self.scheme.port() {
            let name = authority.len() - format!(":{}", self.port).len();
            authority.truncate(name);
        }
        authority
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// How long a connection may lie unused in a pool. Each stays below the
/// upstream's own keep-alive, so that we close first.
#[derive(Clone, Debug, PartialEq)]
pub struct Idle {
    /// Default 4 s: Relay closes after 5 s.
    pub ingest: Duration,
    /// Default 12 s: uwsgi closes after 15 s.
    pub web: Duration,
}

/// How much of a web exchange is read ahead of whoever takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadAhead {
    /// Bytes of a request held in memory before the rest goes to disk;
    /// default 1 MiB.
    pub request: u64,
    /// Bytes of a response read ahead of a slow client; default 1 MiB.
    pub response: u64,
    /// Bytes of all responses together, all workers; beyond, each is read ahead by 64 KiB;
    /// default 64 MiB.
    pub memory: u64,
    /// Bytes on disk for all requests together; default 2 GiB; 0 puts
    /// nothing there.
    pub disk: u64,
    /// Where the unnamed files lie; `None` (the default): the system's
    /// temporary directory.
    pub path: Option<PathBuf>,
}

/// How long an upstream may be silent. Not the whole exchange's time: an upload
/// that moves may last for hours.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamTimeouts {
    /// Until a connection stands; default 5 s.
    pub connect: Duration,
    /// Between two signs of life from an ingest upstream; default 60 s.
    pub ingest: Duration,
    /// Between two signs of life from a web upstream; default 90 s.
    pub web: Duration,
}
