//! Promises about a file's form: keys, structure, places, variables.

use super::*;

#[track_caller]
fn check(text: &str, want: &[&str]) {
    let env = Env::from([
        ("RELAY", "http://edge:3000"),
        ("EMPTY", ""),
        ("EVIL", "a, log: {level: trace}"),
    ]);
    assert_eq!(refused(text, &env), want.join("\n"), "{text}");
}

/// The same with an upstream above it, in line 1.
#[track_caller]
fn check_below(text: &str, want: &[&str]) {
    check(&format!("{UPSTREAM}{text}"), want);
}

#[test]
fn an_upstream_is_all_that_a_file_needs() {
    let (config, warnings) = parse("v.yml", UPSTREAM, &Env::empty()).unwrap();
    assert_eq!(config, Config::in_front_of(relay()));
    assert_eq!(config.upstream.web, relay());
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn a_file_without_an_upstream_is_refused() {
    let want =
        "v.yml:1:1: error: no upstream.ingest; write upstream: {ingest: [\"http://HOST:PORT\"]}";
    check("", &[want]);
    check("# nothing\n", &[want]);
    check("~", &[want]);
    check("workers: 2\nupstream:\n  host: client\n", &[want]);
    check("upstream: {ingest: }\n", &[want]);
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    check_below(
        "upstrem: {}\n",
        &["v.yml:2:1: error: unknown key \"upstrem\" at the top; did you mean \"upstream\"?"],
    );
    check_below(
        "volumes: {}\n",
        &["v.yml:2:1: error: unknown key \"volumes\" at the top"],
    );
    check_below(
        "limits:\n  bodies:\n    injest: 1MiB\n",
        &["v.yml:4:5: error: unknown key \"injest\" in limits.bodies; did you mean \"ingest\"?"],
    );
    check_below(
        "client-ip: {}\n",
        &["v.yml:2:1: error: unknown key \"client-ip\" at the top; did you mean \"client_ip\"?"],
    );
    check_below(
        "log.level: info\n",
        &["v.yml:2:1: error: unknown key \"log.level\" at the top"],
    );
    check_below(
        "static: [{path: /a/, root: /a, core: true}]\n",
        &["v.yml:2:32: error: unknown key \"core\" in static[0]; did you mean \"cors\"?"],
    );
    check_below(
        "listen: {public: [{adress: \"[::]:1\"}]}\n",
        &[
            "v.yml:2:20: error: unknown key \"adress\" in listen.public[0]; did you mean \"address\"?",
        ],
    );
}

#[test]
fn a_key_in_the_wrong_place_is_told_where_it_stands() {
    for (text, want) in [
        (
            "filters: {}",
            "\"filters\" at the top; did you mean \"defaults.filters\"?",
        ),
        (
            "global: {filters: {}}",
            "\"filters\" in global; did you mean \"defaults.filters\"?",
        ),
        (
            "defaults: {crawlers: true}",
            "in defaults; did you mean \"defaults.filters.crawlers\"?",
        ),
        (
            "quotas: []",
            "\"quotas\" at the top; did you mean \"global.quotas\" or \"defaults.quotas\"?",
        ),
        (
            "bodies: {}",
            "\"bodies\" at the top; did you mean \"limits.bodies\"?",
        ),
    ] {
        let error = refused(&format!("{UPSTREAM}{text}"), &Env::empty());
        assert!(error.ends_with(want), "{text}: {error}");
    }
    // It stands all over the place, or where it was written.
    for text in ["path: a", "limits: {workers: 1}"] {
        let error = refused(&format!("{UPSTREAM}{text}"), &Env::empty());
        assert!(!error.contains("did you mean"), "{text}: {error}");
    }
}

#[test]
fn a_key_written_twice_is_refused() {
    check_below(
        "workers: 1\nworkers: 1\n",
        &["v.yml:3:1: error: \"workers\" is written twice; first in line 2"],
    );
    check_below(
        "limits: {drain: 1s, drain: 2s}\n",
        &["v.yml:2:21: error: \"drain\" is written twice; first in line 2"],
    );
}

#[test]
fn every_error_is_named_in_the_order_of_the_lines() {
    check(
        "worker: 2\nlimits:\n  header_bytes: 1KiB\n  drain: 5\nupstream:\n  ingest: [relay:3000, \"http://ok\", \"http://bad:0\"]\nlog: [info]\n",
        &[
            "v.yml:1:1: error: unknown key \"worker\" at the top; did you mean \"workers\"?",
            "v.yml:3:17: error: out of bounds in limits.header_bytes; write a size from 8KiB to 1MiB, such as 64KiB",
            "v.yml:4:10: error: no unit in limits.drain; write a duration from 1ms to 1d, such as 500ms, 30s or 5m",
            "v.yml:6:12: error: not a URL in upstream.ingest[0]; write http://HOST:PORT or https://HOST:PORT, such as http://relay:3000",
            "v.yml:6:37: error: not a port in upstream.ingest[2]; write http://HOST:PORT or https://HOST:PORT, such as http://relay:3000",
            "v.yml:7:6: error: no keys in log; it takes format, level",
        ],
    );
}

/// `tunnel: [/t]` was told that it takes paths, which it seemed to have.
#[test]
fn a_section_of_one_key_shows_how_it_is_written() {
    for text in ["tunnel: [/t]\n", "tunnel: /t\n"] {
        check_below(
            text,
            &["v.yml:2:9: error: no keys in tunnel; write tunnel: {paths: ...}"],
        );
    }
}

#[test]
fn a_wrong_shape_is_refused_with_the_right_one() {
    check_below(
        "workers: [1]\n",
        &["v.yml:2:10: error: a list in workers; write auto, or a number from 1 to 1024"],
    );
    check_below(
        "log: {level: {a: b}}\n",
        &["v.yml:2:14: error: keys in log.level; write error, warn, info, debug or trace"],
    );
    check_below(
        "listen: {public: \"0.0.0.0:1\"}\n",
        &["v.yml:2:18: error: no list in listen.public; write a list such as [\"0.0.0.0:9000\"]"],
    );
    check_below(
        "client_ip: {send_as: [~]}\n",
        &[
            "v.yml:2:23: error: nothing in client_ip.send_as[0]; write a header's name, such as x-forwarded-for",
        ],
    );
    check(
        "- a\n",
        &[
            "v.yml:1:1: error: no keys at the top; write key: value lines",
            "v.yml:1:1: error: no upstream.ingest; write upstream: {ingest: [\"http://HOST:PORT\"]}",
        ],
    );
}

#[test]
fn what_is_no_yaml_is_one_error_with_its_place() {
    check(
        "upstream: {ingest: [a\n",
        &["v.yml:1:20: error: not YAML: unclosed bracket '['"],
    );
    check(
        "a:\n\t- 1\n",
        &["v.yml:2:2: error: not YAML: tabs disallowed within this context (block indentation)"],
    );
    check_below(
        "---\nworkers: 1\n",
        &["v.yml:3:1: error: a second document; one file is one configuration"],
    );
    check("[a]: 1\n", &["v.yml:1:1: error: a key must be a word"]);
    check_below(
        "workers: &w 1\nlog: *w\n",
        &["v.yml:3:6: error: an alias; write the value out, or quote it if the * is its own"],
    );
    check_below(
        "workers: !!int 1\n",
        &["v.yml:2:16: error: a tag; write the value alone"],
    );
    let deep = format!("a: {}", "[".repeat(10_000));
    assert!(
        refused(&deep, &Env::empty()).starts_with("v.yml:1:"),
        "a deep nest is an error, not a crash"
    );
    let keys = |count: usize| -> String { (0..count).map(|at| format!("k{at}: 1\n")).collect() };
    check(
        &keys(257),
        &["v.yml:257:1: error: more than 256 keys in one place"],
    );
    let unknown = refused(&keys(256), &Env::empty());
    assert_eq!(unknown.matches("unknown key").count(), 256, "{unknown}");
}

#[test]
fn empty_keys_take_their_defaults() {
    let config = accepted(
        "workers:\nlisten: ~\nlog: {level: null}\nlimits:\n  bodies:\n",
        &Env::empty(),
    );
    assert_eq!(config, Config::in_front_of(relay()));
}

#[test]
fn variables_are_put_into_values() {
    let env = Env::from([("LEVEL", "warn"), ("PORT", "3100")]);
    let config = accepted(
        "log: {level: ${LEVEL}, format: \"${FORMAT:-json}\"}\n",
        &env,
    );
    assert_eq!(
        (config.log.level, config.log.format),
        (Level::Warn, LogFormat::Json)
    );
    let text = "upstream:\n  ingest: [http://${HOST:-[::1]}:${PORT}, 'http://b:${PORT}']\n";
    let (config, _) = parse("v.yml", text, &env).unwrap();
    let authorities: Vec<String> = config
        .upstream
        .ingest
        .iter()
        .map(UpstreamUrl::authority)
        .collect();
    assert_eq!(authorities, ["[::1]:3100", "b:3100"]);
}

#[test]
fn a_variable_that_is_not_set_is_named_with_its_place() {
    check(
        "upstream:\n  ingest: [${RELAY}, \"http://${HOST}\"]\n",
        &[
            "v.yml:2:22: error: the variable HOST is not set in upstream.ingest[1]; set it, or write ${NAME:-default}",
        ],
    );
    check_below(
        "log: {level: \"${}\"}\n",
        &[
            "v.yml:2:14: error: no name in ${...} in log.level; write ${NAME} or ${NAME:-default}, and $$ for a $",
        ],
    );
}

#[test]
fn a_variable_cannot_add_structure() {
    check_below(
        "workers: ${EVIL}\n",
        &[
            "v.yml:2:10: error: not a number of workers in workers; write auto, or a number from 1 to 1024",
        ],
    );
    check_below(
        "client_ip: {send_as: [${EVIL}]}\n",
        &[
            "v.yml:2:23: error: not a header's name in client_ip.send_as[0]; write a header's name, such as x-forwarded-for",
        ],
    );
    check_below(
        "${EVIL}: 1\n",
        &["v.yml:2:1: error: unknown key \"${EVIL}\" at the top"],
    );
}

#[test]
fn values_are_never_shown() {
    let errors = refused(
        &format!("{UPSTREAM}admin: {{token: \"s3cret with blanks\"}}\nlog: {{level: s3cret}}\n"),
        &Env::empty(),
    );
    assert!(
        errors.contains("admin.token") && !errors.contains("s3cret"),
        "{errors}"
    );
}

/// Patterns of origins begin with the sign of an alias, and the parser speaks of anchors.
#[test]
fn a_value_that_begins_with_an_asterisk_is_to_be_quoted() {
    for text in [
        "defaults: {allowed_origins: [*]}\n",
        "defaults: {allowed_origins: [*.example.org]}\n",
        "defaults: {allowed_origins: [\"*\", *.example.org, b]}\n",
        "defaults:\n  allowed_origins:\n    - *\n",
        "defaults:\n  allowed_origins:\n    - *.example.org\n",
        "defaults:\n  allowed_origins: *\n",
    ] {
        let shown = refused(&format!("{UPSTREAM}{text}"), &Env::empty());
        assert!(shown.contains("quote it"), "{text}: {shown}");
    }
}
