//! What nginx's directives are to vidette, one by one: those that it does by itself, and what
//! to do instead of those that it cannot.

/// Directives that need nothing: vidette does so by itself, or has no such thing to set.
const NEEDLESS: &[&str] = &[
    "absolute_redirect",
    "aio",
    "charset",
    "client_body_buffer_size",
    "client_body_in_file_only",
    "client_body_temp_path",
    "client_header_buffer_size",
    "daemon",
    "default_type",
    "etag",
    "fastcgi_temp_path",
    "events",
    "http",
    "http2",
    "if_modified_since",
    "index",
    "keepalive",
    "keepalive_requests",
    "keepalive_time",
    "limit_conn_log_level",
    "limit_conn_status",
    "limit_req_log_level",
    "limit_req_status",
    "log_not_found",
    "log_subrequest",
    "map_hash_bucket_size",
    "map_hash_max_size",
    "master_process",
    "open_file_cache",
    "open_file_cache_errors",
    "open_file_cache_min_uses",
    "open_file_cache_valid",
    "pid",
    "port_in_redirect",
    "proxy_buffer_size",
    "proxy_buffering",
    "proxy_buffers",
    "proxy_busy_buffers_size",
    "proxy_http_version",
    "proxy_max_temp_file_size",
    "proxy_request_buffering",
    "proxy_send_timeout",
    "proxy_socket_keepalive",
    "proxy_ssl_server_name",
    "proxy_ssl_session_reuse",
    "proxy_temp_file_write_size",
    "proxy_temp_path",
    "proxy_ignore_client_abort",
    "real_ip_recursive",
    "reset_timedout_connection",
    "resolver",
    "resolver_timeout",
    "scgi_temp_path",
    "send_timeout",
    "sendfile",
    "sendfile_max_chunk",
    "server_name",
    "server_names_hash_bucket_size",
    "server_names_hash_max_size",
    "server_tokens",
    "set",
    "ssl_buffer_size",
    "ssl_trusted_certificate",
    "tcp_nodelay",
    "tcp_nopush",
    "types",
    "types_hash_bucket_size",
    "types_hash_max_size",
    "underscores_in_headers",
    "upstream",
    "use",
    "uwsgi_temp_path",
    "multi_accept",
    "variables_hash_bucket_size",
    "variables_hash_max_size",
    "worker_connections",
    "worker_cpu_affinity",
    "worker_priority",
    "worker_shutdown_timeout",
    "zone",
    "accept_mutex",
    "worker_aio_requests",
    "thread_pool",
    "server",
];

/// Directives that are read where they belong: see `site`.
const CARRIED: &[&str] = &[
    "allow",
    "client_body_timeout",
    "client_header_timeout",
    "client_max_body_size",
    "deny",
    "keepalive_timeout",
    "limit_conn",
    "limit_conn_zone",
    "limit_req",
    "limit_req_zone",
    "listen",
    "location",
    "proxy_connect_timeout",
    "proxy_hide_header",
    "proxy_pass",
    "proxy_read_timeout",
    "proxy_set_header",
    "proxy_ssl_certificate",
    "proxy_ssl_certificate_key",
    "proxy_ssl_trusted_certificate",
    "real_ip_header",
    "root",
    "alias",
    "set_real_ip_from",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_client_certificate",
    "ssl_verify_client",
    "worker_processes",
];

/// What to do instead.
const INSTEAD: &[(&str, &str)] = &[
    (
        "auth_basic",
        "nobody is asked for a password here: leave pages to Sentry's own login, or narrow `allow`",
    ),
    (
        "auth_request",
        "nobody else is asked: narrow `allow` of a listener",
    ),
    (
        "error_page",
        "errors are vidette's own, as a page to browsers and as JSON to all others",
    ),
    (
        "gzip",
        "answers are not compressed here; web's are passed on as they come",
    ),
    (
        "if",
        "there are no conditions: see listen.public, filters and allowed_origins for the common ones",
    ),
    ("map", "there are no variables"),
    (
        "geo",
        "there are no variables: see `allow` of a listener and filters.client_ips",
    ),
    ("geoip2", "countries are not known here"),
    ("load_module", "there are no modules"),
    (
        "mirror",
        "events go to other Sentries too by mirrors, and nothing else does",
    ),
    (
        "proxy_cache",
        "of web, what caches may keep of the SDK's loader is kept: see cache.paths; all else passes as it comes",
    ),
    ("proxy_cookie_path", "cookies are passed on as they are"),
    (
        "hash",
        "the upstreams of a list are used in turn, whoever asks: what a client sends may go to any of them",
    ),
    (
        "ip_hash",
        "the upstreams of a list are used in turn: no client stays with one, and Sentry's processes need none to",
    ),
    (
        "least_conn",
        "the upstreams of a list are used in turn, and one that fails is left out; upstream.connections bounds what each has to do",
    ),
    (
        "limit_rate",
        "answers are sent as fast as clients take them",
    ),
    (
        "proxy_ssl_verify",
        "an upstream's certificate is always checked: see upstream.tls.ca",
    ),
    (
        "proxy_ssl_name",
        "an upstream's certificate is checked for the host of its URL: write that name in upstream",
    ),
    ("proxy_set_body", "bodies are passed on as they are"),
    (
        "return",
        "nothing is answered in Sentry's place but what listen.public says (serve, allow, redirect_to_https)",
    ),
    (
        "satisfy",
        "who may see pages is told by `allow` of a listener alone",
    ),
    (
        "random",
        "the upstreams of a list are used in turn, and one that fails is left out",
    ),
    ("rewrite", "paths leave as they came"),
    (
        "ssl_crl",
        "lists of revoked client certificates are not read: give them short lives",
    ),
    ("stream", "other ports are not this program's"),
    (
        "try_files",
        "a path is a folder of static, or it goes to an upstream",
    ),
    ("sub_filter", "bodies are passed on as they are"),
];

/// What is done here by itself, in another way.
const OTHERWISE: &[(&str, &str)] = &[
    (
        "access_log",
        "off unless it is asked for: `access_log: {mode: all, format: common, to: FILE}` writes one",
    ),
    (
        "error_log",
        "vidette's own goes to standard error, which is the journal or the container's log: see log.level",
    ),
    (
        "large_client_header_buffers",
        "how long a request's head may be is limits.header_bytes",
    ),
    (
        "log_format",
        "the access log has JSON, or the common format: access_log.format",
    ),
    (
        "proxy_next_upstream",
        "when a request is tried again, and where, is vidette's own: another upstream of the list, or what is kept (spool) until one takes it",
    ),
    (
        "proxy_ssl_ciphers",
        "upstreams are spoken to by TLS 1.2 and 1.3, with ciphers that nobody need choose among",
    ),
    (
        "proxy_ssl_protocols",
        "upstreams are spoken to by TLS 1.2 and 1.3",
    ),
    ("ssl_ciphers", CIPHERS),
    ("ssl_conf_command", CIPHERS),
    (
        "ssl_dhparam",
        "keys are exchanged by elliptic curves: no parameters are needed",
    ),
    ("ssl_early_data", "nothing is taken before a handshake ends"),
    ("ssl_ecdh_curve", CIPHERS),
    ("ssl_prefer_server_ciphers", CIPHERS),
    (
        "ssl_session",
        "who returns shows a ticket, sealed by keys that change every six hours: nothing is kept for it, and nothing to set",
    ),
    (
        "ssl_stapling",
        "no word of the authority (OCSP) is sent along with the certificate",
    ),
    (
        "ssl_verify_depth",
        "a client's certificate may have others between it and client_ca's, whatever their number",
    ),
    (
        "user",
        "whom a process that root starts becomes is `user` here; the unit and the image start it as nobody of consequence",
    ),
    (
        "worker_rlimit_nofile",
        "raised at the start as far as limits.connections needs it and the system lets it (LimitNOFILE of the unit)",
    ),
];

const CIPHERS: &str = "TLS is 1.2 and 1.3, with ciphers that keep what was said secret afterwards: there are none to choose";

/// What is on in nginx where nobody says so: off is another thing than here.
const ON_UNSAID: &[&str] = &[
    "chunked_transfer_encoding",
    "ignore_invalid_headers",
    "merge_slashes",
    "proxy_next_upstream",
    "proxy_pass_request_body",
    "proxy_pass_request_headers",
    "proxy_ssl_verify",
    "ssl_session_tickets",
];

/// What a directive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It needs nothing.
    Needless,
    /// It is read where it belongs.
    Carried,
    /// What it is for is done by itself, and this is how.
    Otherwise(&'static str),
    /// It stays behind, and this is what helps.
    Left(&'static str),
}

/// What this directive is.
pub(super) fn standing(name: &str, arguments: &[String]) -> Standing {
    let off = arguments.first().is_some_and(|first| first == "off");
    let off = off && !ON_UNSAID.contains(&name);
    if CARRIED.contains(&name) {
        return Standing::Carried;
    }
    let says = |word: &str| arguments.iter().any(|one| one.eq_ignore_ascii_case(word));
    match name {
        "add_header" if !is_of_cors(arguments) => {
            return Standing::Left("answers get no headers here: have Sentry send it");
        }
        "ssl_protocols" if says("TLSv1") || says("TLSv1.1") || says("SSLv3") => {
            return Standing::Left("TLS is 1.2 and 1.3: older clients are turned away");
        }
        "ssl_protocols" if !says("TLSv1.2") => {
            return Standing::Left("TLS is 1.2 and 1.3, both: 1.2 cannot be switched off");
        }
        "ssl_protocols" if !says("TLSv1.3") => {
            return Standing::Otherwise("TLS is 1.2 and 1.3, both");
        }
        "add_header" | "ssl_protocols" => return Standing::Needless,
        "proxy_ssl_verify" if says("on") => return Standing::Needless,
        _ => {}
    }
    // What is switched off here never was on.
    if NEEDLESS.contains(&name) || off {
        return Standing::Needless;
    }
    match (of_family(OTHERWISE, name), of_family(INSTEAD, name)) {
        (Some(how), _) => Standing::Otherwise(how),
        (None, Some(instead)) => Standing::Left(instead),
        (None, None) => Standing::Left("vidette has no such thing"),
    }
}

/// What is said of a directive, or of all whose names begin as its does.
fn of_family(told: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    let known = told.iter().filter(|(known, _)| {
        name.strip_prefix(known)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    });
    known
        .max_by_key(|(known, _)| known.len())
        .map(|(_, words)| *words)
}

/// CORS is answered here, by what projects allow.
fn is_of_cors(arguments: &[String]) -> bool {
    let name = arguments.first().map(|name| name.to_ascii_lowercase());
    name.is_some_and(|name| name.starts_with("access-control-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(directive: &str, want: Standing) {
        let mut words = directive.split(' ').map(str::to_owned);
        let name = words.next().unwrap();
        let arguments: Vec<String> = words.collect();
        assert_eq!(standing(&name, &arguments), want, "{directive}");
    }

    #[test]
    fn each_directive_has_its_standing() {
        check("sendfile on", Standing::Needless);
        check("listen 80", Standing::Carried);
        check("gzip off", Standing::Needless);
        check("proxy_redirect off", Standing::Needless);
        let gzip = standing("gzip", &["on".to_owned()]);
        assert!(matches!(gzip, Standing::Left(why) if why.contains("compressed")));
        assert_eq!(standing("gzip_types", &[]), gzip);
        check(
            "add_header Access-Control-Allow-Origin *",
            Standing::Needless,
        );
        check("ssl_protocols TLSv1.2 TLSv1.3", Standing::Needless);
        check(
            "ssl_protocols TLSv1.1 TLSv1.2",
            Standing::Left("TLS is 1.2 and 1.3: older clients are turned away"),
        );
        check(
            "ssl_protocols TLSv1.3",
            Standing::Left("TLS is 1.2 and 1.3, both: 1.2 cannot be switched off"),
        );
        check(
            "ssl_protocols TLSv1.2",
            Standing::Otherwise("TLS is 1.2 and 1.3, both"),
        );
        check("ssl_ciphers HIGH", Standing::Otherwise(CIPHERS));
        check("ssl_stapling off", Standing::Needless);
        check("access_log off", Standing::Needless);
        check("ssl_verify_client off", Standing::Carried);
        for named in [
            "access_log /var/log/nginx/access.log",
            "error_log stderr",
            "log_format main x",
            "ssl_stapling_verify on",
            "ssl_session_cache shared:SSL:10m",
            "ssl_session_tickets off",
            "ssl_dhparam dh.pem",
            "worker_rlimit_nofile 65535",
            "user nginx",
        ] {
            let mut words = named.split(' ').map(str::to_owned);
            let name = words.next().unwrap();
            let found = standing(&name, &words.collect::<Vec<_>>());
            assert!(
                matches!(found, Standing::Otherwise(_)),
                "{named}: {found:?}"
            );
        }
        for turned in ["least_conn", "ip_hash", "hash", "random"] {
            let found = standing(turned, &[]);
            assert!(
                matches!(found, Standing::Left(why) if why.contains("in turn")),
                "{turned}: {found:?}"
            );
        }
        for named in ["error timeout", "error http_500", "off"] {
            let arguments: Vec<String> = named.split(' ').map(str::to_owned).collect();
            let found = standing("proxy_next_upstream", &arguments);
            assert!(
                matches!(found, Standing::Otherwise(why) if why.contains("tried again")),
                "{named}"
            );
        }
        check("brotli on", Standing::Left("vidette has no such thing"));
    }

    #[test]
    fn no_directive_has_two_standings() {
        for name in NEEDLESS {
            assert!(!CARRIED.contains(name), "{name}");
        }
        for (name, _) in INSTEAD.iter().chain(OTHERWISE) {
            assert!(
                !CARRIED.contains(name) && !NEEDLESS.contains(name),
                "{name}"
            );
        }
        for (name, _) in OTHERWISE {
            assert!(of_family(INSTEAD, name).is_none(), "{name}");
        }
    }
}
