//! Promises about showing: what is printed reads back, and the file we ship
//! says the truth.

use std::time::Duration;

use proptest::prelude::*;

use super::super::comments::SHIPPED;
use super::super::keys::KEYS;
use super::super::tree::{self, Content, Node};
use super::*;
use crate::config::errors::Faults;
use crate::domain::category::{Categories, Category};
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::domain::envelope::item::ItemKind;
use crate::domain::quota::{By, Limit, Per, Quota};

#[track_caller]
fn check_reads_back(config: &Config) {
    let yaml = config.to_yaml();
    match parse("shown.yml", &yaml, &Env::empty()) {
        Ok((back, _)) => assert_eq!(&back, config, "{yaml}"),
        Err(errors) => panic!("{errors}\n{yaml}"),
    }
}

#[test]
fn the_shipped_file_holds_every_default() {
    let (config, warnings) = parse("vidette.yml", SHIPPED, &Env::empty()).unwrap();
    let mut want = Config::in_front_of(relay());
    want.upstream.web = vec![UpstreamUrl {
        scheme: Scheme::Http,
        host: "web".to_owned(),
        port: 9000,
    }];
    assert_eq!(config, want);
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn the_shipped_file_holds_every_key() {
    let root = tree::read(
        "vidette.yml",
        SHIPPED,
        &Env::empty(),
        &mut Faults::default(),
    )
    .unwrap();
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    for key in KEYS {
        assert!(
            paths.iter().any(|path| path == key.path),
            "{} is missing",
            key.path
        );
    }
}

fn collect(node: &Node, paths: &mut Vec<String>) {
    paths.push(node.path.clone());
    if let Content::Map(entries) = &node.content {
        entries
            .iter()
            .for_each(|entry| collect(&entry.value, paths));
    }
}

#[test]
fn the_defaults_read_back() {
    let config = Config::in_front_of(relay());
    check_reads_back(&config);
    let yaml = config.to_yaml();
    assert!(
        yaml.starts_with("workers: auto\nuser: \"\"\nlisten:\n  public: [\"0.0.0.0:9000\"]\n"),
        "{yaml}"
    );
    assert!(
        yaml.contains("\nstatic:\n  - {path: /js-sdk/, root: /var/www/js-sdk, cors: true}\n"),
        "{yaml}"
    );
    assert!(
        yaml.contains(
            "\nuploads:\n  request_max: off\n  url: sentry\nstate:\n  path: /var/lib/vidette\n"
        ),
        "{yaml}"
    );
    assert!(
        yaml.contains("  idle:\n    ingest: 4s\n    web: 12s\n  resolve_interval: 10s\n"),
        "{yaml}"
    );
}

#[test]
fn another_configuration_reads_back() {
    check_reads_back(&accepted(
        "workers: 3\nlisten: {public: [{name: a, address: '[::1]:0'}, '127.0.0.1:1', {address: '127.0.0.1:3', serve: web, allow: [loopback, 10.0.0.0/8], noindex: true}, \
         {name: lb, address: '127.0.0.1:4', proxy_protocol: required, serve: ingest}], admin: '[::1]:2'}\n\
         admin: {token_file: 'C:\\x $${A} \"q\" null', hosts: []}\nserve_relays: off\n\
         client_ip: {trusted_proxies: [10.0.0.1], header: forwarded, send_as: [], store: hash, hash_key_file: '/k'}\n\
         keys: {mode: strict, unproven_rate: 600/m, proven_max: 100, candidates_max: 101, refused_max: 102, limited_max: 103}\n\
         inspect: when_needed\nmetrics: {projects_max: 12}\n\
         global: {quotas: [{limit: 0, per: 100ms}, {limit: 0B, per: 1mo, by: ip}, {name: '-', limit: 1025B, per: 366d, by: key}]}\n\
         defaults: {allowed_origins: [], quotas: [{name: 'null', categories: [error, log_byte], limit: 1GiB, per: 90s}]}\ntunnel: {paths: [/t, /x/y/]}\nstate: {path: off}\nspool: {path: /s, max_bytes: 3MiB, project_bytes: 2MiB, max_age: 30d, free_floor: 0, replay_requests: 1, copies: {memory: 0, disk: 1}}\n\
         sentry: {url: 'http://web', token_file: /t, credentials: /c, projects: /p, interval: 10s}\n\
         projects:\n\
         - {id: 18446744073709551615, name: '- x: [y] #z', keys: [11111111111111111111111111111111], allowed_origins: []}\n\
         - {id: 1, allowed_origins: ['*.a.example', 'https://b.example:8443', 'b\u{fc}cher.example'], quotas: []}\n\
         - {id: 2, keys: [{key: 0123456789abcdef0123456789abcdef, name: old, enabled: false}, \
         {key: 22222222222222222222222222222222, enabled: false}, {key: 33333333333333333333333333333333, name: ~}, \
         {key: 44444444444444444444444444444444, quotas: [{limit: 1, per: 60s}, {limit: 2MB, per: 2d, by: ip}]}], \
         quotas: [{categories: [span, user_report_v2], limit: 281474976710655, per: 1500ms}]}\n\
         static: [{path: /a/, root: '- x: [y] #z'}, {path: /b/, root: 'null', cors: true}]\n\
         limits: {inspect_bytes: 10MB, decoded_bytes: 1, decode_ratio: 2, drain: 1500ms, finishing: 7, unpacking: 8, \
         retry_after_max: 1d, items: 9, quota_ips: 1000, quota_counters: 100, connections_per_client: 9}\nlog: {format: json, level: trace}\n",
        &Env::empty(),
    ));
}

#[test]
fn secrets_are_masked_in_both_forms() {
    let config = accepted(
        "admin: {token: s3cret}\nclient_ip: {store: hash, hash_key: s3cret-2}\n\
         sentry: {url: 'http://web', token: s3cret-3}",
        &Env::empty(),
    );
    assert!(!format!("{config:?}").contains("s3cret"));
    let (yaml, json) = (config.to_yaml(), config.to_json());
    assert!(
        yaml.matches("token: \"***\"\n").count() == 2
            && yaml.contains("hash_key: \"***\"\n")
            && !yaml.contains("s3cret"),
        "{yaml}"
    );
    assert_eq!(json["admin"]["token"], "***");
    assert_eq!(json["client_ip"]["hash_key"], "***");
    assert_eq!(json["sentry"]["token"], "***");
    assert!(!json.to_string().contains("s3cret"));
}

#[test]
fn json_is_nested_as_the_file_is() {
    let json = Config::in_front_of(relay()).to_json();
    assert_eq!(json["upstream"]["web_read_ahead"]["request"], "1MiB");
    assert_eq!(json["upstream"]["connections"], 1024);
    assert_eq!(json["static"][0]["cors"], true);
    assert_eq!(json["global"]["quotas"], serde_json::json!([]));
    assert_eq!(json["admin"]["token"], serde_json::Value::Null);
}

#[test]
fn no_two_keys_share_a_path_or_a_variable() {
    let mut variables: Vec<String> = KEYS.iter().map(|key| key.variable()).collect();
    variables.sort();
    variables.dedup();
    assert_eq!(variables.len(), KEYS.len());
}

proptest! {
    /// Whatever a folder or a project is called, it comes back from what is printed.
    #[test]
    fn any_text_reads_back(name in "[^\0\u{0}-\u{1f}\u{7f}-\u{9f}\u{2028}\u{2029}\u{feff}\u{e000}-\u{f8ff}]{1,20}") {
        let mut config = Config::in_front_of(relay());
        config.statics = vec![StaticRoot { path: "/x/".to_owned(), root: PathBuf::from(&name), cors: false }];
        config.projects = vec![Project {
            id: ProjectId::parse(b"42").unwrap(),
            name: Some(name),
            keys: Vec::new(),
            allowed_origins: None,
            quotas: None,
            budget: None,
            sample: None,
            filters: None,
repeats: None,
        }];
        let (back, _) = parse("shown.yml", &config.to_yaml(), &Env::empty()).unwrap();
        prop_assert_eq!(back, config);
    }

    /// Whatever a quota says, in every place that takes one.
    #[test]
    fn any_quota_reads_back(
        name in "([A-Za-z0-9_.+-]{1,64})?",
        bits: u64,
        bytes: bool,
        number in prop_oneof![0..2000u64, 0..1u64 << 48],
        millis in prop_oneof![100..60_000u64, (60..366 * 86_400u64).prop_map(|seconds| seconds * 1000)],
        month: bool,
        by in prop_oneof![Just(By::Key), Just(By::Ip)],
    ) {
        let categories: Vec<Category> = ItemKind::all_categories().iter()
            .filter(|category| bits >> category.index() & 1 == 1)
            .collect();
        let categories = Categories::of(&categories);
        let limit = match bytes || categories.has(Category::LogByte) {
            true => Limit::Bytes(number),
            false => Limit::Items(number),
        };
        let per = if month { Per::Month } else { Per::of(Duration::from_millis(millis)).unwrap() };
        let name = if name.is_empty() { "unnamed".to_owned() } else { name };
        let quota = Quota { name: name.into(), categories, limit, per, by };
        let mut config = Config::in_front_of(relay());
        config.global.quotas = vec![Quota { by: By::Project, ..quota.clone() }];
        config.defaults.quotas = vec![quota.clone()];
        config.projects = vec![Project {
            id: ProjectId::parse(b"42").unwrap(),
            name: None,
            keys: vec![ProjectKey {
                key: Key::parse(b"0123456789abcdef0123456789abcdef").unwrap(),
                name: None,
                enabled: true,
                quotas: vec![quota.clone()],
            }],
            allowed_origins: None,
            quotas: Some(vec![quota]),
            budget: Some(None),
            sample: None,
            filters: None,
repeats: None,
        }];
        let (back, _) = parse("shown.yml", &config.to_yaml(), &Env::empty()).unwrap();
        prop_assert_eq!(back, config);
    }

    #[test]
    fn no_text_panics(text in "[ \\n\\t:{}\\[\\],\"'#&*!|>$%@a-f0-9-]{0,80}|.{0,80}") {
        let errors = parse("v.yml", &text, &Env::empty()).map(|_| ()).unwrap_err();
        prop_assert!(!errors.0.is_empty());
    }
}
