//! Owns the defaults: every one of them, once. Reads and checks nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::checked::{
    AccessFormat, AccessLog, AccessMode, AccessTarget, Acme, AcmeChallenge, Admin, Alerts, Block,
    Bodies, Cache, Canary, ClientIpRules, ClientReports, Config, Copies, Defaults, DiskGuard, Door,
    ForwardedHeader, Global, GuardStages, HostPolicy, Http2, Idle, Inspect, KeyMode, Keys, Level,
    Limits, Listen, Listener, Log, LogFormat, Metrics, Rate, ReadAhead, ServeRelays, SharedQuota,
    SharedQuotaMode, SharedQuotaTls, Silence, SpikeMode, Spikes, Spool, State, StaticRoot,
    StorePolicy, TrustedProxies, Tunnel, UploadUrl, Uploads, Upstream, UpstreamTimeouts,
    UpstreamTls, Webhook,
};
use crate::domain::block::BlockRule;
use crate::domain::client_ip::{self, HeaderForm};
use crate::domain::dsn_map::DsnMap;
use crate::domain::filter::Filters;
use crate::domain::incident::Severity;
use crate::domain::sampling::{self, Sample};
use crate::domain::switch::Share;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Behind a Sentry that may not be there, as a default of its own.
pub(super) const SENTRY_INTERVAL: Duration = Duration::from_secs(60);

/// Every default; the one key without any, `upstream.ingest`, is empty and
/// must be filled before anybody sees this.
pub(super) fn config() -> Config {
    Config {
        workers: None,
        user: None,
        listen: listen(),
        acme: acme(),
        admin: Admin {
            token: None,
            token_file: None,
            hosts: vec!["localhost".to_owned()],
        },
        upstream: upstream(),
        serve_relays: ServeRelays::Internal,
        inspect: Inspect::Always,
        client_ip: client_ip(),
        keys: keys(),
        global: Global::default(),
        defaults: Defaults {
            quotas: Vec::new(),
            budget: None,
            sample: Sample::default(),
            filters: Filters::default(),
            repeats: None,
            allowed_origins: vec!["*".to_owned()],
        },
        projects: Vec::new(),
        dsn_map: DsnMap::default(),
        mirrors: Vec::new(),
        tunnel: Tunnel { paths: Vec::new() },
        statics: vec![StaticRoot {
            path: "/js-sdk/".to_owned(),
            root: PathBuf::from("/var/www/js-sdk"),
            cors: true,
        }],
        cache: cache(),
        uploads: Uploads {
            request_max: None,
            url: UploadUrl::Sentry,
        },
        state: State {
            path: Some(PathBuf::from("/var/lib/vidette")),
        },
        spool: spool(),
        disk_guard: disk_guard(),
        sentry: None,
        project_files: None,
        client_reports: ClientReports {
            enabled: true,
            interval: Duration::from_secs(30),
        },
        limits: limits(),
        metrics: Metrics {
            projects_max: 1_000,
        },
        log: Log {
            format: LogFormat::Auto,
            level: Level::Info,
        },
        alerts: Alerts { webhook: webhook() },
        silence: Silence { enabled: true },
        spikes: spikes(),
        canary: canary(),
        access_log: access_log(),
        shared_quota: shared_quota(),
    }
}

/// Redis as it is installed, at nobody's address: nothing is shared.
fn shared_quota() -> SharedQuota {
    SharedQuota {
        url: Vec::new(),
        mode: SharedQuotaMode::Single,
        master: "mymaster".to_owned(),
        database: 0,
        username: None,
        password: None,
        password_file: None,
        prefix: "vidette".to_owned(),
        timeout: Duration::from_secs(1),
        tls: SharedQuotaTls { ca: None },
    }
}

fn listen() -> Listen {
    Listen {
        public: vec![Listener {
            name: "public".to_owned(),
            address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9000)),
            door: Door::default(),
            tls: None,
            redirect_to_https: None,
        }],
        admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 9001)),
    }
}

fn keys() -> Keys {
    Keys {
        mode: KeyMode::Learn,
        unproven_rate: Rate {
            count: 50,
            per: Duration::from_secs(1),
        },
        proven_max: 100_000,
        candidates_max: 20_000,
        refused_max: 50_000,
        limited_max: 20_000,
    }
}

fn spikes() -> Spikes {
    Spikes {
        mode: SpikeMode::Shadow,
        times: 5,
        floor: 1_000,
    }
}

fn canary() -> Canary {
    Canary {
        dsn: None,
        every: Duration::from_secs(60),
        org: None,
        token: None,
        token_file: None,
    }
}

fn webhook() -> Webhook {
    Webhook {
        url: None,
        url_file: None,
        token: None,
        token_file: None,
        severity: Severity::Ticket,
        after: Duration::from_secs(60),
        timeout: Duration::from_secs(5),
    }
}

fn access_log() -> AccessLog {
    const SAMPLE: f64 = 0.01;
    AccessLog {
        mode: AccessMode::Off,
        sample: sampling::Rate::of(SAMPLE).unwrap_or(sampling::Rate::ALL),
        errors: Rate {
            count: 100,
            per: Duration::from_secs(1),
        },
        format: AccessFormat::Json,
        to: AccessTarget::Stdout,
        max_bytes: 100 * MIB,
        files: 5,
        buffer: 4 * MIB,
    }
}

/// What customers' pages load from Sentry; of that there is a few kilobytes for each key.
fn cache() -> Cache {
    Cache {
        paths: vec!["/js-sdk-loader/".to_owned(), "/js-sdk/".to_owned()],
        max_bytes: 16 * MIB,
        entries: 1_000,
        answer_bytes: MIB,
        stale_if_error: Duration::from_secs(7 * 86_400),
    }
}

/// Let's Encrypt, from whom nothing is asked before somebody agrees to its terms.
pub(super) fn acme() -> Acme {
    Acme {
        contact: Vec::new(),
        directory: "https://acme-v02.api.letsencrypt.org/directory".to_owned(),
        path: PathBuf::from("/var/lib/vidette/acme"),
        challenge: AcmeChallenge::Auto,
        ca: None,
        external_account: None,
        agree_to_terms: false,
    }
}

fn upstream() -> Upstream {
    Upstream {
        ingest: Vec::new(),
        web: Vec::new(),
        host: HostPolicy::Client,
        tls: UpstreamTls::default(),
        ingest_deadline: Duration::from_secs(2),
        idle: Idle {
            ingest: Duration::from_secs(4),
            web: Duration::from_secs(12),
        },
        resolve_interval: Duration::from_secs(10),
        probe_interval: Duration::from_secs(1),
        web_read_ahead: ReadAhead {
            request: MIB,
            response: MIB,
            memory: 64 * MIB,
            disk: 2 * GIB,
            path: None,
        },
        timeouts: UpstreamTimeouts {
            connect: Duration::from_secs(5),
            ingest: Duration::from_secs(60),
            web: Duration::from_secs(90),
        },
        connections: 1024,
    }
}

fn spool() -> Spool {
    Spool {
        path: Some(PathBuf::from("/var/lib/vidette/spool")),
        max_bytes: 4 * GIB,
        project_bytes: 2 * GIB,
        max_age: Duration::from_secs(86_400),
        free_floor: GIB,
        replay_requests: 64,
        copies: Copies {
            memory: 16 * MIB,
            disk: 2 * GIB,
        },
    }
}

/// The marks are those that operators of search clusters know.
fn disk_guard() -> DiskGuard {
    let percent = |percent| Share::of(percent, 100).unwrap_or(Share::ALL);
    DiskGuard {
        paths: Vec::new(),
        interval: Duration::from_secs(5),
        stages: GuardStages {
            large: percent(85),
            bulk: percent(90),
            errors: percent(95),
        },
        back: percent(2),
        sample_errors: percent(10),
    }
}

fn client_ip() -> ClientIpRules {
    const TRUSTED: &str = "docker";
    const HEADER: &str = "x-forwarded-for";
    let nets = client_ip::preset(TRUSTED).map(<[_]>::to_vec);
    ClientIpRules {
        trusted_proxies: TrustedProxies {
            written: vec![TRUSTED.to_owned()],
            nets: nets.unwrap_or_default(),
        },
        header: ForwardedHeader {
            name: HEADER.to_owned(),
            form: HeaderForm::List,
        },
        send_as: vec![HEADER.to_owned()],
        store: StorePolicy::Full,
        hash_key: None,
        hash_key_file: None,
    }
}

fn limits() -> Limits {
    Limits {
        bodies: Bodies {
            ingest: 200 * MIB,
            web: 200 * MIB,
            upload: 2 * GIB,
        },
        decoded_bytes: 400 * MIB,
        decode_ratio: 200,
        inspect_bytes: 256 * KIB,
        header_bytes: 64 * KIB,
        response_header_bytes: 512 * KIB,
        retry_after_max: Duration::from_secs(300),
        items: 1_000,
        quota_ips: 100_000,
        quota_counters: 20_000,
        repeats: 20_000,
        connections: 100_000,
        connections_per_client: 0,
        block: Block {
            rule: BlockRule {
                after: 100,
                per: Duration::from_secs(60),
                lasts: Duration::from_secs(600),
            },
            exempt: TrustedProxies {
                written: Vec::new(),
                nets: Vec::new(),
            },
            clients_max: 20_000,
        },
        http2: Http2 {
            streams: 100,
            stream_window: 256 * KIB,
            connection_window: MIB,
            resets: 200,
            control_frames: 1_000,
        },
        handshakes: 256,
        head_timeout: Duration::from_secs(15),
        body_idle: Duration::from_secs(60),
        keep_alive: Duration::from_secs(75),
        finishing: 1024,
        unpacking: 16,
        drain: Duration::from_secs(30),
    }
}
