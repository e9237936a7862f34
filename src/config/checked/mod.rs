//! Owns the checked configuration: what the rest of the program may rely on.
//!
//! Each value here has passed its checks: addresses parse, bounds hold, names
//! are resolved to variants. Nothing here reads a file, knows YAML or holds a
//! default: `defaults` lists those once, `keys` says how each is read and shown.

mod access_log;
mod acme;
mod alerts;
mod cache;
mod canary;
mod client_ip;
mod disk_guard;
mod door;
mod habits;
mod listen;
mod mirrors;
mod projects;
mod secret;
mod shared_quota;
mod spool;
mod upstream;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::block::BlockRule;
use crate::domain::dsn_map::DsnMap;

pub use super::words::{
    AccessFormat, AccessMode, AcmeChallenge, ClientAuth, HostPolicy, Inspect, KeyMode, Level,
    LogFormat, MirrorHost, ProxyProtocol, Serve, ServeRelays, SharedQuotaMode, SpikeMode,
    StorePolicy, UploadUrl,
};
pub use access_log::{AccessLog, AccessTarget};
pub use acme::{Acme, ExternalAccount};
pub use alerts::{Alerts, Webhook, WebhookUrl};
pub use cache::Cache;
pub use canary::{Canary, CanaryDsn};
pub use client_ip::{ClientIpRules, ForwardedHeader, TrustedProxies};
pub use disk_guard::{DiskGuard, GuardStages};
pub use door::Door;
pub use habits::{Silence, Spikes};
pub use listen::{CertificateFiles, Listen, Listener, ListenerTls};
pub use mirrors::{Mirror, MirrorSpool};
pub use projects::{Defaults, Global, Keys, Project, ProjectKey, Rate, Sentry};
pub use secret::Secret;
pub use shared_quota::{PoolUrl, SharedQuota, SharedQuotaTls};
pub use spool::{Copies, Spool};
pub use upstream::{Idle, ReadAhead, Scheme, Upstream, UpstreamTimeouts, UpstreamTls, UpstreamUrl};

/// All that an operator can decide, checked. Equal configurations behave equally.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Worker threads; `None` (written `auto`, the default) follows the
    /// cgroup's CPU quota. Taken up at start only.
    pub workers: Option<NonZeroUsize>,
    /// Whom a process that was started as root becomes once it listens; `None` (the default): it
    /// stays whoever it is. Taken up at start only.
    pub user: Option<String>,
    /// The sockets that are listened on. Taken up at start only.
    pub listen: Listen,
    /// How certificates are had by ACME. Taken up at start only.
    pub acme: Acme,
    /// Who may use the admin server.
    pub admin: Admin,
    /// Where requests go, and how long each wait may be.
    pub upstream: Upstream,
    /// Who may reach `/api/0/relays/*`; default `internal`.
    pub serve_relays: ServeRelays,
    /// When an envelope's items are looked at; default `always`.
    pub inspect: Inspect,
    /// How the client's address is found and handed on.
    pub client_ip: ClientIpRules,
    /// Which keys are let in, and how many are remembered.
    pub keys: Keys,
    /// What holds for all projects together.
    pub global: Global,
    /// What a project that says nothing of its own follows.
    pub defaults: Defaults,
    /// The projects that the operator lists; default none. Ids are unique, and so
    /// are keys, over all projects together.
    pub projects: Vec<Project>,
    /// Where old DSNs lead; default nowhere.
    pub dsn_map: DsnMap,
    /// Other Sentrys that get copies of what the first one takes; default none.
    pub mirrors: Vec<Mirror>,
    /// Where browsers may send envelopes that name their project themselves.
    pub tunnel: Tunnel,
    /// Folders served from disk, written `static`; default `/js-sdk/` from
    /// `/var/www/js-sdk` with CORS.
    pub statics: Vec<StaticRoot>,
    /// What is kept of web's answers.
    pub cache: Cache,
    /// What uploaders are told.
    pub uploads: Uploads,
    /// What outlives a restart.
    pub state: State,
    /// What is kept while the upstream is away.
    pub spool: Spool,
    /// What stays here while a disk of Sentry's is nearly full.
    pub disk_guard: DiskGuard,
    /// By what quotas are shared with other edges. Taken up at start only.
    pub shared_quota: SharedQuota,
    /// The Sentry that is asked for its keys and projects; `None`, the default, asks nobody.
    pub sentry: Option<Sentry>,
    /// The folder with a Relay's `projects/<id>.json`, written `sentry.projects`; default none.
    pub project_files: Option<PathBuf>,
    /// What Sentry is told of what was dropped here.
    pub client_reports: ClientReports,
    /// Every bound on what clients and upstreams may take.
    pub limits: Limits,
    /// How large the metrics may become.
    pub metrics: Metrics,
    /// What is logged, and how.
    pub log: Log,
    /// Who is told when something goes wrong.
    pub alerts: Alerts,
    /// Whether it is told that a project falls silent.
    pub silence: Silence,
    /// What of a project's bursts is one too many.
    pub spikes: Spikes,
    /// An event of the edge's own, sent again and again and followed.
    pub canary: Canary,
    /// Which requests have a line of their own, and where.
    pub access_log: AccessLog,
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

/// Paths that take envelopes on a site's own name, where blockers let them pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tunnel {
    /// Absolute, normalised, unique, outside `/api/` and every folder of `static`;
    /// with or without a slash at the end; default none.
    pub paths: Vec<String>,
}

/// What sentry-cli and build plugins are told before they upload, beside what Sentry says.
#[derive(Clone, Debug, PartialEq)]
pub struct Uploads {
    /// The largest request in bytes that passes whatever stands in front; `None`, written
    /// `off`, is the default; from 64 KiB.
    pub request_max: Option<u64>,
    /// Where chunks go; default `sentry`.
    pub url: UploadUrl,
}

/// What outlives a restart.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The directory that keeps what was learned; default `/var/lib/vidette`;
    /// `None`, written `off`, keeps it in memory alone. It need not exist, nor be
    /// writable: nobody looked. Taken up at start only.
    pub path: Option<PathBuf>,
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

/// What Sentry is told of what was dropped here, so that its Stats counts that too.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientReports {
    /// Whether it is told; default true.
    pub enabled: bool,
    /// From one report to the next; default 30 s, from 1 s to an hour.
    pub interval: Duration,
}

/// Every bound on what clients and upstreams may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The largest request bodies, by route.
    pub bodies: Bodies,
    /// Bytes that one ingest body may decode to; default 400 MiB.
    pub decoded_bytes: u64,
    /// How many times larger than it arrived an ingest body may become by
    /// decoding; default 200, from 2 to 10000.
    pub decode_ratio: u64,
    /// Bytes of an ingest body up to which it is judged whole, before the
    /// upstream is dialled; default 256 KiB.
    pub inspect_bytes: u64,
    /// Bytes of a request's head; default 64 KiB, from 8 KiB to 1 MiB. Over HTTP/1 it
    /// has at most 100 fields beside.
    pub header_bytes: u64,
    /// Bytes of a web response's head; default 512 KiB, from 8 KiB to 4 MiB.
    pub response_header_bytes: u64,
    /// How long a client may be told to wait; default 300 s, from 1 s to a day.
    pub retry_after_max: Duration,
    /// Items in one envelope; default 1000, from 1 to 100000.
    pub items: u64,
    /// Client addresses that quotas by ip count at a time; default 100000, from
    /// 1000 to 10 million. Taken up at start only.
    pub quota_ips: u64,
    /// Counters of quotas by key, and of default quotas for projects that are not
    /// listed; default 20000, from 100 to 1000000. Taken up at start only.
    pub quota_counters: u64,
    /// Errors that are counted at a time where `repeats` is set; default 20000, from 100
    /// to 1000000. Taken up at start only.
    pub repeats: u64,
    /// Open client connections, all workers together; default 100000.
    pub connections: u64,
    /// The same of one client address, of IPv6 one /64; trusted proxies are not counted.
    /// Default 0, which counts nobody.
    pub connections_per_client: u64,
    /// When clients that only misbehave are blocked.
    pub block: Block,
    /// What one HTTP/2 connection may hold and ask for.
    pub http2: Http2,
    /// TLS handshakes under way in one worker at a time; default 256, from 1 to 65536.
    /// More wait, and the slow among those under way make room for them.
    pub handshakes: u64,
    /// How long a client may take over a request's head, and over a TLS handshake;
    /// default 15 s.
    pub head_timeout: Duration,
    /// How long a client's body may stand still; default 60 s.
    pub body_idle: Duration,
    /// How long a client's connection may lie unused; default 75 s.
    pub keep_alive: Duration,
    /// Exchanges one worker finishes after their client left; default 1024.
    pub finishing: u64,
    /// Bodies one worker unpacks at a time on their way upstream; default 16.
    pub unpacking: u64,
    /// How long a stop waits for requests under way; default 30 s.
    pub drain: Duration,
}

/// When a client that only misbehaves is blocked, and who never is.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// After 100 misdeeds in a minute for 10 minutes, unless set.
    pub rule: BlockRule,
    /// Networks that are never blocked, beside trusted proxies and this machine; default none.
    pub exempt: TrustedProxies,
    /// Clients that are counted and blocked at a time; default 20000, from 100 to 1000000.
    /// Taken up at start only.
    pub clients_max: u64,
}

/// One HTTP/2 connection's share.
#[derive(Clone, Debug, PartialEq)]
pub struct Http2 {
    /// Streams at a time; default 100, from 1 to 10000.
    pub streams: u64,
    /// Bytes of a stream's body that may be on their way; default 256 KiB, from 64 KiB to
    /// 64 MiB.
    pub stream_window: u64,
    /// The same of all its streams; default 1 MiB, from 64 KiB to 1 GiB.
    pub connection_window: u64,
    /// Streams that the client resets within ten seconds, or has the edge reset for its
    /// errors in all; default 200, from 1 to 1000000.
    pub resets: u64,
    /// Frames within ten seconds that carry nothing of a request, beyond those that its
    /// requests and answers call for; default 1000, from 10 to 1000000.
    pub control_frames: u64,
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

/// How large the metrics may become.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Projects with a label of their own, the rest being `other`; default 1000,
    /// from 1 to 100000.
    pub projects_max: u64,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Default `auto`.
    pub format: LogFormat,
    /// Default `info`.
    pub level: Level,
}
