//! Promises about each value: what is refused stands beside what is accepted.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::*;

#[test]
fn workers_are_auto_or_a_number() {
    assert_eq!(accepted("workers: auto", &Env::empty()).workers, None);
    assert_eq!(
        accepted("workers: 2", &Env::empty()).workers,
        NonZeroUsize::new(2)
    );
    check_value("workers: 1", "");
    check_value("workers: 1024", "");
    for bad in ["0", "1025", "-1", "1.5", "many", "\"\""] {
        check_value(
            &format!("workers: {bad}"),
            "not a number of workers in workers",
        );
    }
}

/// A word of a list was refused without the one that was meant, unlike a key.
#[test]
fn a_slip_of_the_fingers_in_a_word_is_answered_with_what_was_meant() {
    let check = |text: &str, want: &str| {
        let said = refused(&format!("{UPSTREAM}{text}"), &Env::empty());
        assert!(said.trim_end().ends_with(want), "{text}: {said}");
    };
    check(
        "keys: {mode: strikt}",
        "write open, learn or strict; did you mean \"strict\"?",
    );
    check(
        "alerts: {webhook: {url: 'http://a', severity: pgae}}",
        "write page or ticket; did you mean \"page\"?",
    );
    check("keys: {mode: everyone}", "write open, learn or strict");
}

#[test]
fn words_come_from_their_lists() {
    let config = accepted(
        "serve_relays: off\nkeys: {mode: open}\nlog: {level: trace, format: text}",
        &Env::empty(),
    );
    assert_eq!(config.serve_relays, ServeRelays::Off);
    assert_eq!(config.keys.mode, KeyMode::Open);
    assert_eq!(
        (config.log.level, config.log.format),
        (Level::Trace, LogFormat::Text)
    );
    check_value("serve_relays: none", "an unknown word in serve_relays");
    for mode in ["open", "learn", "strict"] {
        check_value(&format!("keys: {{mode: {mode}}}"), "");
    }
    for store in ["full", "truncate", "hash", "drop"] {
        check_value(&format!("client_ip: {{store: {store}}}"), "");
    }
    check_value(
        "client_ip: {store: none}",
        "an unknown word in client_ip.store",
    );
    for inspect in ["always", "when_needed"] {
        check_value(&format!("inspect: {inspect}"), "");
    }
    check_value("inspect: never", "an unknown word in inspect");
    check_value("keys: {mode: Open}", "an unknown word in keys.mode");
    check_value("log: {format: ''}", "an unknown word in log.format");
}

#[test]
fn tokens_are_masked_and_checked() {
    let config = accepted("admin: {token: s3cret}", &Env::empty());
    assert_eq!(
        config.admin.token.as_ref().map(Secret::expose),
        Some("s3cret")
    );
    assert!(!format!("{config:?}").contains("s3cret"));
    assert_eq!(
        accepted("admin: {token: ''}", &Env::empty()).admin.token,
        None
    );
    check_value("admin: {token: 'a b'}", "not a token in admin.token");
    check_value("admin: {token: 'é'}", "not a token in admin.token");
    check_value(
        "admin: {token: '***'}",
        "the mask that stands for a token where one is shown in admin.token",
    );
    check_value(
        "admin: {token: a, token_file: b}",
        "both admin.token and admin.token_file are set",
    );
    check_value("admin: {token_file: b}", "");
}

/// A key's section, its name, its least value and one below, its most and one above.
type Bounds<'t> = (&'t str, &'t str, &'t str, &'t str, &'t str, &'t str);

#[track_caller]
fn check_bounds(cases: &[Bounds<'_>]) {
    for (section, key, least, below, most, above) in cases {
        let text = |value: &str| match section.split_once('.') {
            Some((outer, inner)) => format!("{outer}: {{{inner}: {{{key}: {value}}}}}"),
            None => format!("{section}: {{{key}: {value}}}"),
        };
        let wrong = format!("out of bounds in {section}.{key}");
        check_value(&text(least), "");
        check_value(&text(most), "");
        check_value(&text(below), &wrong);
        check_value(&text(above), &wrong);
    }
}

#[test]
fn the_spool_keeps_its_bounds() {
    check_bounds(&[
        (
            "spool",
            "max_bytes",
            "1MiB",
            "1048575",
            "1024TiB",
            "1025TiB",
        ),
        // By itself it is at most what the whole spool may hold.
        (
            "spool",
            "project_bytes",
            "1MiB",
            "1048575",
            "4GiB",
            "1025TiB",
        ),
        ("spool", "max_age", "1s", "999ms", "30d", "31d"),
        ("spool", "replay_requests", "1", "0", "4096", "4097"),
    ]);
    for key in [
        "free_floor: 0",
        "copies: {memory: 0}",
        "copies: {disk: 1024TiB}",
    ] {
        check_value(&format!("spool: {{{key}}}"), "");
    }
}

#[test]
fn sizes_and_counts_keep_their_bounds() {
    let cases = [
        ("limits", "header_bytes", "8KiB", "8191", "1MiB", "1048577"),
        (
            "limits",
            "response_header_bytes",
            "8KiB",
            "8191",
            "4MiB",
            "4194305",
        ),
        ("limits", "inspect_bytes", "1KiB", "1023", "64MiB", "65MiB"),
        ("limits", "decoded_bytes", "1", "0", "1TiB", "2TiB"),
        ("limits", "decode_ratio", "2", "1", "10000", "10001"),
        ("keys", "proven_max", "100", "99", "1000000", "1000001"),
        ("keys", "candidates_max", "100", "99", "1000000", "1000001"),
        ("keys", "refused_max", "100", "99", "1000000", "1000001"),
        (
            "keys",
            "unproven_rate",
            "1/s",
            "0/s",
            "1000000/s",
            "1000001/s",
        ),
        (
            "keys",
            "unproven_rate",
            "1/h",
            "0/h",
            "60000000/m",
            "60000001/m",
        ),
        ("limits", "connections", "1", "0", "1048576", "1048577"),
        ("limits", "finishing", "1", "0", "1048576", "1048577"),
        ("limits", "unpacking", "1", "0", "1048576", "1048577"),
        ("limits", "drain", "1ms", "0s", "1d", "25h"),
        ("limits", "head_timeout", "1ms", "0ms", "24h", "2d"),
        ("limits", "body_idle", "1ms", "0s", "24h", "2d"),
        ("limits", "keep_alive", "1ms", "0s", "24h", "2d"),
        ("limits.bodies", "ingest", "1", "0", "1TiB", "2TiB"),
        ("limits.bodies", "web", "1", "0", "1TiB", "2TiB"),
        ("limits.bodies", "upload", "1", "0", "1TiB", "2TiB"),
    ];
    check_bounds(&cases);
    for key in [
        "free_floor: 0",
        "copies: {memory: 0}",
        "copies: {disk: 1024TiB}",
    ] {
        check_value(&format!("spool: {{{key}}}"), "");
    }
    check_value(
        "limits: {connections: 1e3}",
        "not a whole number in limits.connections",
    );
    check_value(
        "limits: {header_bytes: 64k}",
        "not a size in limits.header_bytes",
    );
    check_value("limits: {drain: 30 secs}", "not a duration in limits.drain");
    check_value("limits: {drain: 30}", "no unit in limits.drain");
    check_value(
        "limits: {retry_after_max: 1}",
        "no unit in limits.retry_after_max",
    );
    check_value("keys: {unproven_rate: 50}", "no unit in keys.unproven_rate");
    check_value(
        "keys: {unproven_rate: 50s}",
        "not a rate in keys.unproven_rate",
    );
}

#[test]
fn what_is_remembered_and_shown_keeps_its_bounds() {
    check_bounds(&[
        ("keys", "limited_max", "100", "99", "1000000", "1000001"),
        ("limits", "retry_after_max", "1s", "999ms", "1d", "25h"),
        ("limits", "items", "1", "0", "100000", "100001"),
        ("limits", "repeats", "100", "99", "1000000", "1000001"),
        ("limits", "quota_ips", "1000", "999", "10000000", "10000001"),
        (
            "limits",
            "quota_counters",
            "100",
            "99",
            "1000000",
            "1000001",
        ),
        ("metrics", "projects_max", "1", "0", "100000", "100001"),
    ]);
}

#[test]
fn upstream_waits_keep_their_bounds() {
    let check = |key: &str, value: &str, wrong: &str| {
        let sections: Vec<&str> = key.split('.').collect();
        let inner = match sections.as_slice() {
            [section, key] => format!("{section}: {{{key}: {value}}}"),
            _ => format!("{key}: {value}"),
        };
        let result = parse(
            "v.yml",
            &format!("upstream: {{ingest: ['http://a'], {inner}}}"),
            &Env::empty(),
        );
        let shown = result
            .err()
            .map(|errors| errors.to_string())
            .unwrap_or_default();
        assert!(shown.contains(wrong), "{key} {value}: {shown}");
        assert_eq!(shown.is_empty(), wrong.is_empty(), "{key} {value}: {shown}");
    };
    for key in [
        "ingest_deadline",
        "idle.ingest",
        "idle.web",
        "timeouts.connect",
        "timeouts.ingest",
        "timeouts.web",
    ] {
        check(key, "1ms", "");
        check(key, "0s", "out of bounds");
    }
    check("resolve_interval", "100ms", "");
    check("resolve_interval", "99ms", "out of bounds");
    check("probe_interval", "10ms", "");
    check("probe_interval", "9ms", "out of bounds");
    check("web_read_ahead.request", "4KiB", "");
    check("web_read_ahead.request", "4095", "out of bounds");
    check("web_read_ahead.response", "1GiB", "");
    check("web_read_ahead.response", "2GiB", "out of bounds");
    check("web_read_ahead.disk", "0", "");
    check("web_read_ahead.path", "/tmp", "");
    check("connections", "0", "out of bounds");
    check("host", "client_without_port", "");
    check("host", "upstream", "an unknown word");
}

#[test]
fn values_arrive_where_they_belong() {
    let text = "upstream: {ingest: ['http://a'], host: target, tls: {ca: /ca, cert: /cert, key: /key}, ingest_deadline: 3s, idle: {ingest: 1s, web: 2s}, \
                resolve_interval: 7s, probe_interval: 8s, web_read_ahead: {request: 8KiB, response: 9KiB, disk: 3GiB, path: /x}, \
                timeouts: {connect: 4s, ingest: 5s, web: 6s}, connections: 7}";
    let (config, _) = parse("v.yml", text, &Env::empty()).unwrap();
    let seconds = Duration::from_secs;
    let ingest = vec![UpstreamUrl {
        scheme: Scheme::Http,
        host: "a".to_owned(),
        port: 80,
    }];
    let want = Upstream {
        web: ingest.clone(),
        ingest,
        host: HostPolicy::Target,
        tls: UpstreamTls {
            ca: Some(PathBuf::from("/ca")),
            cert: Some(PathBuf::from("/cert")),
            key: Some(PathBuf::from("/key")),
        },
        ingest_deadline: seconds(3),
        idle: Idle {
            ingest: seconds(1),
            web: seconds(2),
        },
        resolve_interval: seconds(7),
        probe_interval: seconds(8),
        web_read_ahead: ReadAhead {
            request: 8 << 10,
            response: 9 << 10,
            memory: 64 << 20,
            disk: 3 << 30,
            path: Some(PathBuf::from("/x")),
        },
        timeouts: UpstreamTimeouts {
            connect: seconds(4),
            ingest: seconds(5),
            web: seconds(6),
        },
        connections: 7,
    };
    assert_eq!(config.upstream, want);
}
