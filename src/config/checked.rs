//! Owns the checked configuration: what the rest of the program may rely on.
//!
//! Each value here has passed its checks: addresses parse, bounds hold, names
//! are resolved to variants. Nothing here reads a file, knows YAML or holds a
//! default: `defaults` lists those once, `keys` says how each is read and shown.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use super::words::{HostPolicy, KeyMode, Level, LogFormat, ServeRelays};
use crate::domain::client_ip::{HeaderForm, TrustedHops};

/// All that an operator can decide, checked. Equal configurations behave equally.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Worker threads; `None` (written `auto`, the default) follows the
    /// cgroup's CPU quota. Taken up at start only.
    pub workers: Option<NonZeroUsize>,
    /// The sockets that are listened on. Taken up at start only.
    pub listen: Listen,
    /// Who may use the admin server.
    pub admin: Admin,
    /// Where requests go, and how long each wait may be.
    pub upstream: Upstream,
    /// Who may reach `/api/0/relays/*`; default `internal`.
    pub serve_relays: ServeRelays,
    /// How the client's address is found and handed on.
    pub client_ip: ClientIpRules,
    /// Which keys are let in.
    pub keys: Keys,
    /// Folders served from disk, written `static`; default `/js-sdk/` from
    /// `/var/www/js-sdk` with CORS.
    pub statics: Vec<StaticRoot>,
    /// Every bound on what clients and upstreams may take.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: Log,
}

/// The sockets that are listened on.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// Where SDKs, browsers and tools connect; at least one; default
    /// `0.0.0.0:9000`. Names are unique.
    pub public: Vec<Listener>,
    /// The admin server's socket; default `127.0.0.1:9001`; port 0 lets the
    /// system choose.
    pub admin: SocketAddr,
}

/// One public socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// The `listener` label of the metrics; default `public`, then `public-2`,
    /// `public-3` by position.
    pub name: String,
    /// Port 0 lets the system choose.
    pub address: SocketAddr,
}

/// Who may use the admin server.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// The bearer token, from `token` or from the file `token_file`; default none,
    /// which leaves everything but health and metrics to loopback.
    pub token: Option<Secret>,
    /// The file that `token` was read from; default none.
    pub token_file: Option<PathBuf>,
    /// Names accepted in `Host`, beside loopback addresses; lower case; default
    /// `localhost`.
    pub hosts: Vec<String>,
}

/// A string that no log, error or page may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// What stands in a secret's place wherever it is shown.
    pub const MASK: &str = "***";

    /// Wraps what must not be shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one comparison it exists for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

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
    /// How long the upstream may keep a client waiting before the event is
    /// kept and answered here; default 2 s.
    pub ingest_deadline: Duration,
    /// How long a connection may lie unused in a pool.
    pub idle: Idle,
    /// How often names are looked up again; default 10 s.
    pub resolve_interval: Duration,
    /// How much of a web exchange is read ahead, so that slow clients hold no
    /// web worker.
    pub web_read_ahead: ReadAhead,
    /// How long an upstream may be silent.
    pub timeouts: UpstreamTimeouts,
    /// Open connections to each upstream, all workers together; default 1024.
    pub connections: u64,
}

/// One upstream server, spoken to in cleartext HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamUrl {
    /// A name or an address; IPv6 without its brackets; lower case.
    pub host: String,
    /// From the URL, else 80.
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
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
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

/// How the client's address is found and handed on.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientIpRules {
    /// Whose word about the client's address is believed; default `docker`.
    pub trusted_proxies: TrustedProxies,
    /// Where trusted proxies put it; default `x-forwarded-for`.
    pub header: ForwardedHeader,
    /// The headers that carry the one address upstream, lower case; default
    /// `x-forwarded-for`. Empty sends none.
    pub send_as: Vec<String>,
}

/// Peers whose word about the client's address is believed.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustedProxies {
    /// CIDRs and presets as the operator wrote them.
    pub written: Vec<String>,
    /// The same with the presets spelled out.
    pub nets: Vec<IpNet>,
}

impl TrustedProxies {
    /// The set to ask; build it once per policy, not per request.
    pub fn hops(&self) -> TrustedHops {
        self.nets.iter().copied().collect()
    }
}

/// The header in which trusted proxies name the client.
#[derive(Clone, Debug, PartialEq)]
pub struct ForwardedHeader {
    /// Lower case.
    pub name: String,
    /// How its value reads; follows from the name.
    pub form: HeaderForm,
}

/// Which keys are let in.
#[derive(Clone, Debug, PartialEq)]
pub struct Keys {
    /// Default `learn`.
    pub mode: KeyMode,
}

/// A folder served from disk.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticRoot {
    /// The path's prefix; starts and ends with `/`, is not `/` alone, unique.
    pub path: String,
    /// The folder that holds the files. It need not exist.
    pub root: PathBuf,
    /// Whether any origin may read them; default false, true for `/js-sdk/`.
    pub cors: bool,
}

/// Every bound on what clients and upstreams may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The largest request bodies, by route.
    pub bodies: Bodies,
    /// Bytes of an ingest body up to which it is judged whole, before the
    /// upstream is dialled; default 256 KiB.
    pub inspect_bytes: u64,
    /// Bytes of a request's head; default 64 KiB, from 8 KiB to 1 MiB.
    pub header_bytes: u64,
    /// Bytes of a web response's head; default 512 KiB, from 8 KiB to 4 MiB.
    pub response_header_bytes: u64,
    /// Open client connections, all workers together; default 100000.
    pub connections: u64,
    /// How long a client may take over a request's head; default 15 s.
    pub head_timeout: Duration,
    /// How long a client's body may stand still; default 60 s.
    pub body_idle: Duration,
    /// How long a client's connection may lie unused; default 75 s.
    pub keep_alive: Duration,
    /// Exchanges one worker finishes after their client left; default 1024.
    pub finishing: u64,
    /// How long a stop waits for requests under way; default 30 s.
    pub drain: Duration,
}

/// The largest request bodies in bytes as they arrive, by route.
#[derive(Clone, Debug, PartialEq)]
pub struct Bodies {
    /// Events, attachments, replays; default 200 MiB.
    pub ingest: u64,
    /// Everything else; default 200 MiB.
    pub web: u64,
    /// Source maps, debug files, mappings; default 2 GiB.
    pub upload: u64,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Default `auto`.
    pub format: LogFormat,
    /// Default `info`.
    pub level: Level,
}
