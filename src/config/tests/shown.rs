//! Promises about showing: what is printed reads back, and the file we ship
//! says the truth.

use proptest::prelude::*;

use super::super::keys::{KEYS, State};
use super::super::tree::{self, Content, Node};
use super::*;
use crate::config::errors::Faults;

const SHIPPED: &str = include_str!("../../../config/vidette.yml");

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
    for key in KEYS
        .iter()
        .filter(|key| matches!(key.state, State::Here(_)))
    {
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
        yaml.starts_with("workers: auto\nlisten:\n  public: [\"0.0.0.0:9000\"]\n"),
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
        "workers: 3\nlisten: {public: [{name: a, address: '[::1]:0'}, '127.0.0.1:1'], admin: '[::1]:2'}\n\
         admin: {token_file: 'C:\\x $${A} \"q\" null', hosts: []}\nserve_relays: off\n\
         client_ip: {trusted_proxies: [], header: forwarded, send_as: []}\nkeys: {mode: open}\n\
         static: [{path: /a/, root: '- x: [y] #z'}, {path: /b/, root: 'null', cors: true}]\n\
         limits: {inspect_bytes: 10MB, drain: 1500ms, finishing: 7}\nlog: {format: json, level: trace}\n",
        &Env::empty(),
    ));
}

#[test]
fn secrets_are_masked_in_both_forms() {
    let config = accepted("admin: {token: s3cret}", &Env::empty());
    let (yaml, json) = (config.to_yaml(), config.to_json());
    assert!(
        yaml.contains("token: \"***\"\n") && !yaml.contains("s3cret"),
        "{yaml}"
    );
    assert_eq!(json["admin"]["token"], "***");
    assert!(!json.to_string().contains("s3cret"));
}

#[test]
fn json_is_nested_as_the_file_is() {
    let json = Config::in_front_of(relay()).to_json();
    assert_eq!(json["upstream"]["web_read_ahead"]["request"], "1MiB");
    assert_eq!(json["upstream"]["connections"], 1024);
    assert_eq!(json["static"][0]["cors"], true);
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
    /// Whatever a folder is called, it comes back from what is printed.
    #[test]
    fn any_text_reads_back(root in "[^\0\u{0}-\u{1f}\u{7f}-\u{9f}\u{2028}\u{2029}\u{feff}\u{e000}-\u{f8ff}]{1,20}") {
        let mut config = Config::in_front_of(relay());
        config.statics = vec![StaticRoot { path: "/x/".to_owned(), root: PathBuf::from(root), cors: false }];
        let (back, _) = parse("shown.yml", &config.to_yaml(), &Env::empty()).unwrap();
        prop_assert_eq!(back, config);
    }

    #[test]
    fn no_text_panics(text in "[ \\n\\t:{}\\[\\],\"'#&*!|>$%@a-f0-9-]{0,80}|.{0,80}") {
        let errors = parse("v.yml", &text, &Env::empty()).map(|_| ()).unwrap_err();
        prop_assert!(!errors.0.is_empty());
    }
}
