//! Promises about the environment: names, precedence, lists, strangers.

use super::*;

#[track_caller]
fn check_error(variables: &[(&str, &str)], want: &str) {
    let env = variables.iter().copied().collect();
    assert_eq!(refused(UPSTREAM, &env), want);
}

#[test]
fn the_environment_alone_can_say_it_all() {
    let env = Env::from([
        ("VIDETTE_UPSTREAM_INGEST", "http://relay:3000"),
        ("VIDETTE_LISTEN_PUBLIC", "127.0.0.1:0, [::1]:0"),
        ("VIDETTE_CLIENT_IP_TRUSTED_PROXIES", "docker,loopback"),
        ("VIDETTE_LIMITS_BODIES_INGEST", "100MiB"),
        ("VIDETTE_UPSTREAM_IDLE_WEB", "12s"),
        ("VIDETTE_WORKERS", "2"),
    ]);
    let loaded = load(None, &env).unwrap();
    assert_eq!(loaded.config.upstream.ingest, relay());
    assert_eq!(loaded.config.upstream.web, relay());
    assert_eq!(loaded.config.listen.public.len(), 2);
    assert_eq!(
        loaded.config.client_ip.trusted_proxies.written,
        ["docker", "loopback"]
    );
    assert_eq!(loaded.config.limits.bodies.ingest, 100 << 20);
    assert_eq!((loaded.file, loaded.warnings), (None, Vec::new()));
}

#[test]
fn nothing_at_all_says_how_to_begin() {
    let errors = load(None, &Env::empty()).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "environment: error: no upstream; set VIDETTE_UPSTREAM_INGEST=http://HOST:PORT, or name a file with -c"
    );
}

#[test]
fn the_environment_goes_before_the_file() {
    let env = Env::from([
        ("VIDETTE_LOG_LEVEL", "error"),
        ("VIDETTE_UPSTREAM_INGEST", "http://other"),
    ]);
    let config = accepted("log: {level: trace, format: json}", &env);
    assert_eq!(
        (config.log.level, config.log.format),
        (Level::Error, LogFormat::Json)
    );
    assert_eq!(config.upstream.ingest[0].host, "other");
    assert_eq!(config.upstream.web[0].host, "other");
}

/// A file's listeners with their certificates went unheard beside one that Compose sets.
#[test]
fn what_a_variable_takes_the_place_of_is_warned_of() {
    let check = |text: &str, env: &[(&str, &str)], want: &[&str]| {
        let env = env.iter().map(|(name, value)| (*name, *value)).collect();
        let (_, warnings) = parse("v.yml", &format!("{UPSTREAM}{text}"), &env).unwrap();
        assert_eq!(warnings, want, "{text}");
    };
    check(
        "listen:\n  public: [{address: '0.0.0.0:443', serve: web}]\n",
        &[("VIDETTE_LISTEN_PUBLIC", "0.0.0.0:80")],
        &["VIDETTE_LISTEN_PUBLIC overrides listen.public of v.yml:3"],
    );
    check(
        "log: {level: trace}",
        &[("VIDETTE_LOG_LEVEL", "info")],
        &["VIDETTE_LOG_LEVEL overrides log.level of v.yml:2"],
    );
    // A key of a key; what stands beside it stays.
    check(
        "defaults: {sample: {transaction: 1%, profile: 2%}}",
        &[("VIDETTE_DEFAULTS_SAMPLE_TRANSACTION", "10%")],
        &["VIDETTE_DEFAULTS_SAMPLE_TRANSACTION overrides defaults.sample.transaction of v.yml:2"],
    );
    check(
        "defaults: {sample: {profile: 2%}}",
        &[("VIDETTE_DEFAULTS_SAMPLE_TRANSACTION", "10%")],
        &[],
    );
    check("", &[("VIDETTE_LOG_LEVEL", "info")], &[]);
    check("log: {level: trace}", &[], &[]);
    check(
        "admin:\n  token_file: /run/token\n",
        &[("VIDETTE_ADMIN_TOKEN", "planted")],
        &["VIDETTE_ADMIN_TOKEN overrides admin.token_file of v.yml:3"],
    );
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let env = Env::from([("VIDETTE_LOG_LEVEL", ""), ("VIDETTE_UNHEARD_OF", "")]);
    let (config, warnings) =
        parse("v.yml", &format!("{UPSTREAM}log: {{level: trace}}"), &env).unwrap();
    assert_eq!((config.log.level, warnings.len()), (Level::Trace, 0));
}

#[test]
fn a_bad_value_is_named_by_its_variable() {
    check_error(
        &[("VIDETTE_LIMITS_HEADER_BYTES", "64k")],
        "environment: error: VIDETTE_LIMITS_HEADER_BYTES: not a size in limits.header_bytes; \
         write a size from 8KiB to 1MiB, such as 64KiB",
    );
    check_error(
        &[("VIDETTE_UPSTREAM_WEB", "http://a,b")],
        "environment: error: VIDETTE_UPSTREAM_WEB: not a URL in upstream.web[1]; \
         write http://HOST:PORT or https://HOST:PORT, such as http://relay:3000",
    );
    check_error(
        &[("VIDETTE_STATIC", "/a/")],
        "environment: error: VIDETTE_STATIC: static cannot be set here; write it in a file",
    );
    check_error(
        &[("VIDETTE_PROJECTS", "42")],
        "environment: error: VIDETTE_PROJECTS: projects cannot be set here; write it in a file",
    );
    check_error(
        &[("VIDETTE_GLOBAL_QUOTAS", "a")],
        "environment: error: VIDETTE_GLOBAL_QUOTAS: global.quotas cannot be set here; write it in a file",
    );
    check_error(
        &[("VIDETTE_DEFAULTS_QUOTAS", "a")],
        "environment: error: VIDETTE_DEFAULTS_QUOTAS: defaults.quotas cannot be set here; write it in a file",
    );
    check_error(
        &[("VIDETTE_TUNNEL_PATHS", "/t,/api/t")],
        "environment: error: VIDETTE_TUNNEL_PATHS: Sentry's own path in tunnel.paths[1]; \
         write it as /t or /t/, as it reads decoded",
    );
    check_error(
        &[("VIDETTE_SENTRY_URL", "http://web:9000")],
        "environment: error: VIDETTE_SENTRY_URL: sentry.url without a token or \
         credentials; set sentry.token, sentry.token_file or sentry.credentials",
    );
}

#[test]
fn strangers_are_warned_of_and_change_nothing() {
    let env = Env::from([
        ("VIDETTE_UPSTREM_INGEST", "http://a"),
        ("VIDETTE_SERVICE_HOST", "10.0.0.1"),
        ("VIDETTE_CONFIG", "/etc/x.yml"),
        ("VIDETTE_ADMIN", "127.0.0.1:9001"),
        ("PATH", "/bin"),
    ]);
    let (config, warnings) = parse("v.yml", UPSTREAM, &env).unwrap();
    assert_eq!(config, Config::in_front_of(relay()));
    assert_eq!(
        warnings,
        [
            "the environment's VIDETTE_SERVICE_HOST sets nothing",
            "the environment's VIDETTE_UPSTREM_INGEST sets nothing; did you mean VIDETTE_UPSTREAM_INGEST?",
        ]
    );
}

#[test]
fn scalars_and_lists_of_who_and_where_can_be_set() {
    let env = Env::from([
        ("VIDETTE_CLIENT_IP_STORE", "hash"),
        ("VIDETTE_CLIENT_IP_HASH_KEY", "s3cret"),
        ("VIDETTE_KEYS_MODE", "strict"),
        ("VIDETTE_KEYS_UNPROVEN_RATE", "10/m"),
        ("VIDETTE_KEYS_PROVEN_MAX", "101"),
        ("VIDETTE_KEYS_CANDIDATES_MAX", "102"),
        ("VIDETTE_KEYS_REFUSED_MAX", "103"),
        ("VIDETTE_KEYS_LIMITED_MAX", "104"),
        ("VIDETTE_INSPECT", "when_needed"),
        ("VIDETTE_DEFAULTS_ALLOWED_ORIGINS", "a.example, *.b.example"),
        ("VIDETTE_TUNNEL_PATHS", "/t,/u/"),
        ("VIDETTE_STATE_PATH", "off"),
        ("VIDETTE_SENTRY_URL", "http://web:9000"),
        ("VIDETTE_SENTRY_TOKEN", "t0ken"),
        ("VIDETTE_SENTRY_INTERVAL", "10s"),
        ("VIDETTE_LIMITS_DECODED_BYTES", "1MiB"),
        ("VIDETTE_LIMITS_DECODE_RATIO", "9"),
        ("VIDETTE_LIMITS_RETRY_AFTER_MAX", "2m"),
        ("VIDETTE_LIMITS_ITEMS", "10"),
        ("VIDETTE_LIMITS_QUOTA_IPS", "1001"),
        ("VIDETTE_LIMITS_QUOTA_COUNTERS", "105"),
        ("VIDETTE_METRICS_PROJECTS_MAX", "11"),
    ]);
    let in_file = accepted(
        "client_ip: {store: hash, hash_key: s3cret}\n\
         keys: {mode: strict, unproven_rate: 10/m, proven_max: 101, candidates_max: 102, refused_max: 103, limited_max: 104}\n\
         inspect: when_needed\nmetrics: {projects_max: 11}\n\
         defaults: {allowed_origins: [a.example, '*.b.example']}\ntunnel: {paths: [/t, /u/]}\nstate: {path: off}\n\
         sentry: {url: 'http://web:9000', token: t0ken, interval: 10s}\n\
         limits: {decoded_bytes: 1MiB, decode_ratio: 9, retry_after_max: 2m, items: 10, quota_ips: 1001, quota_counters: 105}",
        &Env::empty(),
    );
    assert_eq!(accepted("", &env), in_file);
}

#[test]
fn each_key_of_what_is_wanted_can_be_set() {
    let env = Env::from([
        ("VIDETTE_DEFAULTS_FILTERS_CLIENT_IPS", "203.0.113.0/24, ::1"),
        ("VIDETTE_DEFAULTS_FILTERS_CRAWLERS", "true"),
        ("VIDETTE_DEFAULTS_FILTERS_RELEASES", "a@1.*,[!3].*"),
        ("VIDETTE_DEFAULTS_SAMPLE_TRANSACTION", "10%"),
        ("VIDETTE_DEFAULTS_SAMPLE_LOG_ITEM", "0.5"),
        ("VIDETTE_DEFAULTS_REPEATS_FIRST", "100"),
        ("VIDETTE_DEFAULTS_REPEATS_THEN", "50"),
        ("VIDETTE_DEFAULTS_REPEATS_PER", "1m"),
    ]);
    // Over what a file says of each; what it says of others stays.
    let file = "defaults:\n  filters: {crawlers: false, localhost: true}\n  \
        sample: {error: 0.5, transaction: 1, rules: [{release: b, rate: 0}]}\n  repeats: off\n";
    let want = accepted(
        "defaults:\n  filters: {client_ips: [203.0.113.0/24, '::1'], crawlers: true, \
         releases: ['a@1.*', '[!3].*'], localhost: true}\n  \
         sample: {error: 0.5, transaction: 0.1, log_item: 0.5, rules: [{release: b, rate: 0}]}\n  \
         repeats: {first: 100, then: 50, per: 1m}\n",
        &Env::empty(),
    );
    let config = accepted(file, &env);
    assert_eq!(config.defaults.filters, want.defaults.filters);
    assert_eq!(config.defaults.repeats, want.defaults.repeats);
    let (is, want) = (config.defaults.sample, want.defaults.sample);
    assert_eq!(is.rules, want.rules);
    assert_eq!(is.categories.len(), 3);
    assert!(
        want.categories
            .iter()
            .all(|share| is.categories.contains(share))
    );
    let alone = accepted("", &env).defaults;
    assert_eq!(
        (alone.sample.categories.len(), alone.repeats),
        (2, config.defaults.repeats)
    );
    let off = Env::from([("VIDETTE_DEFAULTS_REPEATS", "off")]);
    let file = "defaults: {repeats: {first: 1, then: 2, per: 1s}}";
    assert_eq!(accepted(file, &off).defaults.repeats, None);
}

#[test]
fn what_is_wrong_with_a_key_of_what_is_wanted_is_named_by_its_variable() {
    check_error(
        &[("VIDETTE_DEFAULTS_FILTERS_CRAWLERS", "yes")],
        "environment: error: VIDETTE_DEFAULTS_FILTERS_CRAWLERS: not true or false in \
         defaults.filters.crawlers; write true or false",
    );
    check_error(
        &[("VIDETTE_DEFAULTS_FILTERS", "a")],
        "environment: error: VIDETTE_DEFAULTS_FILTERS: defaults.filters cannot be set here; \
         set its keys, or write it in a file",
    );
    check_error(
        &[("VIDETTE_DEFAULTS_SAMPLE_RULES", "a")],
        "environment: error: VIDETTE_DEFAULTS_SAMPLE_RULES: defaults.sample.rules cannot be set \
         here; write it in a file",
    );
    check_error(
        &[
            ("VIDETTE_DEFAULTS_SAMPLE_SPAN", "1"),
            ("VIDETTE_DEFAULTS_SAMPLE_SPAN_INDEXED", "0"),
        ],
        "environment: error: VIDETTE_DEFAULTS_SAMPLE_SPAN_INDEXED: \"span\" and \"span_indexed\" in \
         defaults.sample are of the same items; keep one",
    );
    check_error(
        &[
            ("VIDETTE_DEFAULTS_REPEATS_FIRST", "1"),
            ("VIDETTE_DEFAULTS_REPEATS_PER", "1m"),
        ],
        "environment: error: VIDETTE_DEFAULTS_REPEATS_FIRST: no \"then\" in defaults.repeats; \
         it must be there",
    );
    check_error(
        &[
            ("VIDETTE_DEFAULTS_REPEATS", "off"),
            ("VIDETTE_DEFAULTS_REPEATS_FIRST", "1"),
            ("VIDETTE_DEFAULTS_REPEATS_PER", "1m"),
            ("VIDETTE_DEFAULTS_REPEATS_THEN", "2"),
        ],
        "environment: error: VIDETTE_DEFAULTS_REPEATS_FIRST: both defaults.repeats and \
         defaults.repeats.first are set; keep one",
    );
    let env = Env::from([("VIDETTE_DEFAULTS_FILTERS_LOCALHOST", "true")]);
    let error = refused(&format!("{UPSTREAM}defaults: {{filters: [a]}}"), &env);
    assert!(error.contains("no filters in defaults.filters"), "{error}");
}

/// It named a variable that is then refused.
#[test]
fn a_hint_names_only_what_can_be_set() {
    for (name, meant) in [
        (
            "VIDETTE_DEFAULTS_FILTERS_CRAWLER",
            "; did you mean VIDETTE_DEFAULTS_FILTERS_CRAWLERS?",
        ),
        (
            "VIDETTE_DEFAULTS_SAMPLE_ERRORS",
            "; did you mean VIDETTE_DEFAULTS_SAMPLE_ERROR?",
        ),
        ("VIDETTE_PROJECT", ""),
    ] {
        let (_, warnings) = parse("v.yml", UPSTREAM, &Env::from([(name, "1")])).unwrap();
        let want = format!("the environment's {name} sets nothing{meant}");
        assert_eq!(warnings, [want]);
    }
}

#[test]
fn the_environments_token_goes_before_the_files() {
    let in_file = "admin: {token: from-file}";
    let config = accepted(
        in_file,
        &Env::from([("VIDETTE_ADMIN_TOKEN_FILE", "/run/token")]),
    );
    assert_eq!(
        (config.admin.token, config.admin.token_file),
        (None, Some(PathBuf::from("/run/token")))
    );
    let env = Env::from([("VIDETTE_ADMIN_TOKEN", "from-env")]);
    let config = accepted("admin: {token_file: /run/token}", &env);
    assert_eq!(
        (
            config.admin.token.as_ref().map(Secret::expose),
            config.admin.token_file
        ),
        (Some("from-env"), None)
    );
    check_error(
        &[
            ("VIDETTE_ADMIN_TOKEN", "a"),
            ("VIDETTE_ADMIN_TOKEN_FILE", "b"),
        ],
        "environment: error: VIDETTE_ADMIN_TOKEN_FILE: both admin.token and admin.token_file are set; keep one",
    );
}

#[test]
fn every_secret_has_one_source() {
    let env = Env::from([
        ("VIDETTE_SENTRY_TOKEN_FILE", "/run/sentry"),
        ("VIDETTE_CLIENT_IP_HASH_KEY", "from-env"),
    ]);
    let config = accepted(
        "sentry: {url: 'http://web', token: from-file}\nclient_ip: {store: hash, hash_key_file: /run/key}",
        &env,
    );
    let sentry = config.sentry.unwrap();
    assert_eq!(
        (sentry.token, sentry.token_file),
        (Some(Secret::new("")), Some(PathBuf::from("/run/sentry")))
    );
    assert_eq!(
        config.client_ip.hash_key.as_ref().map(Secret::expose),
        Some("from-env")
    );
    assert_eq!(config.client_ip.hash_key_file, None);
    check_error(
        &[
            ("VIDETTE_SENTRY_URL", "http://web"),
            ("VIDETTE_SENTRY_TOKEN", "a"),
            ("VIDETTE_SENTRY_TOKEN_FILE", "b"),
        ],
        "environment: error: VIDETTE_SENTRY_TOKEN_FILE: both sentry.token and sentry.token_file are set; keep one",
    );
}

#[test]
fn values_from_the_environment_are_not_substituted() {
    let env = Env::from([("VIDETTE_ADMIN_TOKEN", "a${HOME}$$b")]);
    assert_eq!(
        accepted("", &env).admin.token.as_ref().map(Secret::expose),
        Some("a${HOME}$$b")
    );
}
