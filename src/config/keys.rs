//! Owns the one list of every key: where it stands, how it is read and shown,
//! what its environment variable is called, and which keys wait for a later
//! version. The mirror of the file, the list of known keys, the environment,
//! `check --print` and the schema all come from here, so that they cannot differ.

use serde_json::Value;

use super::bounds::{
    ACCESS_BUFFER, ACCESS_ERRORS, ACCESS_FILE, ACCESS_FILES, ACCESS_FORMAT, ACCESS_MODE,
    ADMIN_TOKEN, AHEAD, ASK, BLOCKED_FOR, BODY, CACHE, CACHE_ENTRIES, CANARY, CANARY_TOKEN, CAP,
    CONNECTION_WINDOW, CONNECTIONS, CONTROL_FRAMES, DECODE_RATIO, DISK, FINISHING, GUARD_BACK,
    GUARD_ERRORS, GUARD_LOOK, GUARD_MARK, HANDSHAKES, HASH_KEY, HOST_POLICY, INSPECT, ITEMS, KEPT,
    KEY_MODE, LEVEL, LOG_FORMAT, LOOKED_AT, LOOKUP, MISDEEDS, MISDEEDS_PER, PER_CLIENT,
    POOL_DATABASE, POOL_MODE, POOL_PASSWORD, POOL_USER, POOL_WAIT, PROBE, PROJECTS, PROJECTS_SHOWN,
    QUOTA_IPS, READ_AHEAD, REPLAY, REPORT, REQUEST_HEAD, RESETS, RESPONSE_HEAD, RETRY_AFTER,
    SENTRY_TOKEN, SERVE_RELAYS, SEVERITY, SPIKE_FLOOR, SPIKE_MODE, SPIKE_TIMES, SPOOL, STALE,
    STORE, STREAM_WINDOW, STREAMS, TABLE, UNPACKING, UNPROVEN_RATE, UPLOAD_URL, WAIT,
    WEBHOOK_AFTER, WEBHOOK_TIMEOUT, WEBHOOK_TOKEN, WORKERS,
};
use super::checked::Config;
use super::draft::{Draft, SentryDraft};
use super::errors::Faults;
use super::kinds::{
    Address, Authority, Budget, Flag, GuardedPaths, HeaderNames, Hosts, InboundFilters, Kind,
    Listeners, Mirrors, Moves, Networks, OneHeader, OneUrl, OptionalPath, Origins, PathOrOff,
    PathPrefixes, PemFile, PoolName, PoolUrls, Proxies, Quotas, Repeats, Samples, SentryDsn, Share,
    Shown, Slug, Statics, StdoutOrPath, TunnelPaths, Urls, UserName, Variable, WebhookAddress,
};
use super::tree::Node;

/// One key.
pub(super) struct Key {
    /// Its path from the top, dots between.
    pub(super) path: &'static str,
    pub(super) used: Use,
}

/// What is done with a key.
pub(super) struct Use {
    pub(super) variable: Variable,
    /// Reads a node into the configuration, or names the fault.
    pub(super) read: fn(&Node, &mut Draft, &mut Faults),
    pub(super) show: fn(&Config) -> Shown,
    /// The JSON Schema of what is read.
    pub(super) shape: fn() -> Value,
}

impl Key {
    /// The variable that sets it: `VIDETTE_` and its path in upper case.
    pub(super) fn variable(&self) -> String {
        format!(
            "{VARIABLES}{}",
            self.path.to_ascii_uppercase().replace('.', "_")
        )
    }
}

/// What every variable of ours begins with.
pub(super) const VARIABLES: &str = "VIDETTE_";

/// Variables that the command line reads.
pub(super) const COMMAND_LINE_VARIABLES: [&str; 2] = ["VIDETTE_CONFIG", "VIDETTE_ADMIN"];

/// A key's path below another's.
pub(super) fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

const fn variable_of<K: Kind>(_: &K) -> Variable {
    K::VARIABLE
}

/// A key whose value is of this kind and lives in this field.
macro_rules! here {
    ($path:literal, $($field:ident).+, $kind:expr) => {
        Key {
            path: $path,
            used: Use {
                variable: variable_of(&$kind),
                read: |node, draft, faults| {
                    if let Some(value) = $kind.read(node, faults) {
                        draft.config.$($field).+ = value;
                    }
                },
                show: |config| $kind.show(&config.$($field).+),
                shape: || $kind.shape(),
            },
        }
    };
}

/// A key of `sentry`, which is whole or not there once all keys are read.
macro_rules! sentry {
    ($path:literal, $field:ident, $kind:expr) => {
        Key {
            path: $path,
            used: Use {
                variable: variable_of(&$kind),
                read: |node, draft, faults| {
                    if let Some(value) = $kind.read(node, faults) {
                        draft.sentry.$field = value;
                    }
                },
                show: |config| $kind.show(&SentryDraft::of(config).$field),
                shape: || $kind.shape(),
            },
        }
    };
}

/// Every key, in the order in which a file is best written.
pub(super) static KEYS: &[Key] = &[
    here!("workers", workers, WORKERS),
    here!("user", user, UserName),
    here!("listen.public", listen.public, Listeners),
    here!("listen.admin", listen.admin, Address),
    here!("acme", acme, Authority),
    here!("admin.token", admin.token, ADMIN_TOKEN),
    here!("admin.token_file", admin.token_file, OptionalPath),
    here!("admin.hosts", admin.hosts, Hosts),
    here!("upstream.ingest", upstream.ingest, Urls),
    here!("upstream.web", upstream.web, Urls),
    here!("upstream.host", upstream.host, HOST_POLICY),
    here!("upstream.tls.ca", upstream.tls.ca, PemFile),
    here!("upstream.tls.cert", upstream.tls.cert, PemFile),
    here!("upstream.tls.key", upstream.tls.key, PemFile),
    here!("upstream.ingest_deadline", upstream.ingest_deadline, WAIT),
    here!("upstream.idle.ingest", upstream.idle.ingest, WAIT),
    here!("upstream.idle.web", upstream.idle.web, WAIT),
    here!(
        "upstream.resolve_interval",
        upstream.resolve_interval,
        LOOKUP
    ),
    here!("upstream.probe_interval", upstream.probe_interval, PROBE),
    here!(
        "upstream.web_read_ahead.request",
        upstream.web_read_ahead.request,
        READ_AHEAD
    ),
    here!(
        "upstream.web_read_ahead.response",
        upstream.web_read_ahead.response,
        READ_AHEAD
    ),
    here!(
        "upstream.web_read_ahead.memory",
        upstream.web_read_ahead.memory,
        AHEAD
    ),
    here!(
        "upstream.web_read_ahead.disk",
        upstream.web_read_ahead.disk,
        DISK
    ),
    here!(
        "upstream.web_read_ahead.path",
        upstream.web_read_ahead.path,
        OptionalPath
    ),
    here!("upstream.timeouts.connect", upstream.timeouts.connect, WAIT),
    here!("upstream.timeouts.ingest", upstream.timeouts.ingest, WAIT),
    here!("upstream.timeouts.web", upstream.timeouts.web, WAIT),
    here!("upstream.connections", upstream.connections, CONNECTIONS),
    here!("serve_relays", serve_relays, SERVE_RELAYS),
    here!("inspect", inspect, LOOKED_AT),
    here!(
        "client_ip.trusted_proxies",
        client_ip.trusted_proxies,
        Proxies
    ),
    here!("client_ip.header", client_ip.header, OneHeader),
    here!("client_ip.send_as", client_ip.send_as, HeaderNames),
    here!("client_ip.store", client_ip.store, STORE),
    here!("client_ip.hash_key", client_ip.hash_key, HASH_KEY),
    here!(
        "client_ip.hash_key_file",
        client_ip.hash_key_file,
        OptionalPath
    ),
    here!("keys.mode", keys.mode, KEY_MODE),
    here!("keys.unproven_rate", keys.unproven_rate, UNPROVEN_RATE),
    here!("keys.proven_max", keys.proven_max, TABLE),
    here!("keys.candidates_max", keys.candidates_max, TABLE),
    here!("keys.refused_max", keys.refused_max, TABLE),
    here!("keys.limited_max", keys.limited_max, TABLE),
    here!("global.quotas", global.quotas, Quotas::OfProject),
    here!("global.budget", global.budget, Budget),
    here!("defaults.quotas", defaults.quotas, Quotas::OfProject),
    here!("defaults.budget", defaults.budget, Budget),
    here!("defaults.sample", defaults.sample, Samples),
    here!("defaults.filters", defaults.filters, InboundFilters),
    here!("defaults.repeats", defaults.repeats, Repeats),
    here!(
        "defaults.allowed_origins",
        defaults.allowed_origins,
        Origins
    ),
    here!("projects", projects, PROJECTS),
    here!("dsn_map", dsn_map, Moves::OF_FIRST),
    here!("mirrors", mirrors, Mirrors),
    here!("tunnel.paths", tunnel.paths, TunnelPaths),
    here!("static", statics, Statics),
    here!("cache.paths", cache.paths, PathPrefixes),
    here!("cache.max_bytes", cache.max_bytes, CACHE),
    here!("cache.entries", cache.entries, CACHE_ENTRIES),
    here!("cache.answer_bytes", cache.answer_bytes, INSPECT),
    here!("cache.stale_if_error", cache.stale_if_error, STALE),
    here!("uploads.request_max", uploads.request_max, CAP),
    here!("uploads.url", uploads.url, UPLOAD_URL),
    here!("state.path", state.path, PathOrOff),
    here!("spool.path", spool.path, PathOrOff),
    here!("spool.max_bytes", spool.max_bytes, SPOOL),
    here!("spool.project_bytes", spool.project_bytes, SPOOL),
    here!("spool.max_age", spool.max_age, KEPT),
    here!("spool.free_floor", spool.free_floor, DISK),
    here!("spool.replay_requests", spool.replay_requests, REPLAY),
    here!("spool.copies.memory", spool.copies.memory, DISK),
    here!("spool.copies.disk", spool.copies.disk, DISK),
    here!("disk_guard.paths", disk_guard.paths, GuardedPaths),
    here!("disk_guard.interval", disk_guard.interval, GUARD_LOOK),
    here!(
        "disk_guard.stages.large",
        disk_guard.stages.large,
        GUARD_MARK
    ),
    here!("disk_guard.stages.bulk", disk_guard.stages.bulk, GUARD_MARK),
    here!(
        "disk_guard.stages.errors",
        disk_guard.stages.errors,
        GUARD_MARK
    ),
    here!("disk_guard.back", disk_guard.back, GUARD_BACK),
    here!(
        "disk_guard.sample_errors",
        disk_guard.sample_errors,
        GUARD_ERRORS
    ),
    here!("shared_quota.url", shared_quota.url, PoolUrls),
    here!("shared_quota.mode", shared_quota.mode, POOL_MODE),
    here!("shared_quota.master", shared_quota.master, PoolName),
    here!(
        "shared_quota.database",
        shared_quota.database,
        POOL_DATABASE
    ),
    here!("shared_quota.username", shared_quota.username, POOL_USER),
    here!(
        "shared_quota.password",
        shared_quota.password,
        POOL_PASSWORD
    ),
    here!(
        "shared_quota.password_file",
        shared_quota.password_file,
        OptionalPath
    ),
    here!("shared_quota.prefix", shared_quota.prefix, PoolName),
    here!("shared_quota.timeout", shared_quota.timeout, POOL_WAIT),
    here!("shared_quota.tls.ca", shared_quota.tls.ca, PemFile),
    sentry!("sentry.url", url, OneUrl),
    sentry!("sentry.credentials", credentials_file, OptionalPath),
    sentry!("sentry.token", token, SENTRY_TOKEN),
    sentry!("sentry.token_file", token_file, OptionalPath),
    sentry!("sentry.interval", interval, ASK),
    here!("sentry.projects", project_files, OptionalPath),
    here!("client_reports.enabled", client_reports.enabled, Flag),
    here!("client_reports.interval", client_reports.interval, REPORT),
    here!("limits.bodies.ingest", limits.bodies.ingest, BODY),
    here!("limits.bodies.web", limits.bodies.web, BODY),
    here!("limits.bodies.upload", limits.bodies.upload, BODY),
    here!("limits.decoded_bytes", limits.decoded_bytes, BODY),
    here!("limits.decode_ratio", limits.decode_ratio, DECODE_RATIO),
    here!("limits.inspect_bytes", limits.inspect_bytes, INSPECT),
    here!("limits.header_bytes", limits.header_bytes, REQUEST_HEAD),
    here!(
        "limits.response_header_bytes",
        limits.response_header_bytes,
        RESPONSE_HEAD
    ),
    here!(
        "limits.retry_after_max",
        limits.retry_after_max,
        RETRY_AFTER
    ),
    here!("limits.items", limits.items, ITEMS),
    here!("limits.quota_ips", limits.quota_ips, QUOTA_IPS),
    here!("limits.quota_counters", limits.quota_counters, TABLE),
    here!("limits.repeats", limits.repeats, TABLE),
    here!("limits.connections", limits.connections, CONNECTIONS),
    here!(
        "limits.connections_per_client",
        limits.connections_per_client,
        PER_CLIENT
    ),
    here!("limits.block.after", limits.block.rule.after, MISDEEDS),
    here!("limits.block.per", limits.block.rule.per, MISDEEDS_PER),
    here!("limits.block.for", limits.block.rule.lasts, BLOCKED_FOR),
    here!("limits.block.exempt", limits.block.exempt, Networks),
    here!("limits.block.clients_max", limits.block.clients_max, TABLE),
    here!("limits.http2.streams", limits.http2.streams, STREAMS),
    here!(
        "limits.http2.stream_window",
        limits.http2.stream_window,
        STREAM_WINDOW
    ),
    here!(
        "limits.http2.connection_window",
        limits.http2.connection_window,
        CONNECTION_WINDOW
    ),
    here!("limits.http2.resets", limits.http2.resets, RESETS),
    here!(
        "limits.http2.control_frames",
        limits.http2.control_frames,
        CONTROL_FRAMES
    ),
    here!("limits.handshakes", limits.handshakes, HANDSHAKES),
    here!("limits.head_timeout", limits.head_timeout, WAIT),
    here!("limits.body_idle", limits.body_idle, WAIT),
    here!("limits.keep_alive", limits.keep_alive, WAIT),
    here!("limits.finishing", limits.finishing, FINISHING),
    here!("limits.unpacking", limits.unpacking, UNPACKING),
    here!("limits.drain", limits.drain, WAIT),
    here!("metrics.projects_max", metrics.projects_max, PROJECTS_SHOWN),
    here!("log.format", log.format, LOG_FORMAT),
    here!("log.level", log.level, LEVEL),
    here!("alerts.webhook.url", alerts.webhook.url, WebhookAddress),
    here!(
        "alerts.webhook.url_file",
        alerts.webhook.url_file,
        OptionalPath
    ),
    here!("alerts.webhook.token", alerts.webhook.token, WEBHOOK_TOKEN),
    here!(
        "alerts.webhook.token_file",
        alerts.webhook.token_file,
        OptionalPath
    ),
    here!("alerts.webhook.severity", alerts.webhook.severity, SEVERITY),
    here!("alerts.webhook.after", alerts.webhook.after, WEBHOOK_AFTER),
    here!(
        "alerts.webhook.timeout",
        alerts.webhook.timeout,
        WEBHOOK_TIMEOUT
    ),
    here!("silence.enabled", silence.enabled, Flag),
    here!("spikes.mode", spikes.mode, SPIKE_MODE),
    here!("spikes.times", spikes.times, SPIKE_TIMES),
    here!("spikes.floor", spikes.floor, SPIKE_FLOOR),
    here!("canary.dsn", canary.dsn, SentryDsn),
    here!("canary.every", canary.every, CANARY),
    here!("canary.org", canary.org, Slug),
    here!("canary.token", canary.token, CANARY_TOKEN),
    here!("canary.token_file", canary.token_file, OptionalPath),
    here!("access_log.mode", access_log.mode, ACCESS_MODE),
    here!("access_log.sample", access_log.sample, Share),
    here!("access_log.errors", access_log.errors, ACCESS_ERRORS),
    here!("access_log.format", access_log.format, ACCESS_FORMAT),
    here!("access_log.to", access_log.to, StdoutOrPath),
    here!("access_log.max_bytes", access_log.max_bytes, ACCESS_FILE),
    here!("access_log.files", access_log.files, ACCESS_FILES),
    here!("access_log.buffer", access_log.buffer, ACCESS_BUFFER),
];
