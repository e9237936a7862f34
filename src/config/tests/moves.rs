//! Promises about where old DSNs lead.

use super::*;
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

const OLD: &str = "11111111111111111111111111111111";
const NEW: &str = "22222222222222222222222222222222";

/// With the keys spelled out.
fn keys(text: &str) -> String {
    text.replace("OLD", OLD).replace("NEW", NEW)
}

#[track_caller]
fn check(text: &str, wrong: &str) {
    check_value(&keys(text), &keys(wrong));
}

#[test]
fn a_map_is_read_and_reads_back() {
    let config = accepted(
        &keys(
            "dsn_map:\n  - {key: OLD, project: 12, to: {key: NEW, project: 42}}\n  \
             - {key: 33333333333333333333333333333333, to: {key: NEW, project: 42}}\n",
        ),
        &Env::empty(),
    );
    let key = |text: &str| Key::parse(text.as_bytes()).unwrap();
    let project = |number: &str| ProjectId::parse(number.as_bytes());
    let (place, found) = config.dsn_map.find(&key(OLD), project("12")).unwrap();
    assert_eq!((place, found.to_key), (0, key(NEW)));
    assert_eq!(Some(found.to_project), project("42"));
    assert_eq!(config.dsn_map.find(&key(OLD), project("13")), None);
    let (back, _) = parse("shown.yml", &config.to_yaml(), &Env::empty()).unwrap();
    assert_eq!(back, config, "{}", config.to_yaml());
}

#[test]
fn both_ends_are_a_key_and_a_project() {
    check("dsn_map: []", "");
    check("dsn_map: OLD", "no list in dsn_map");
    check("dsn_map: [OLD]", "no key in dsn_map[0]");
    check(
        "dsn_map: [{key: OLD, to: {key: NEW}}]",
        "no \"project\" in dsn_map[0].to",
    );
    check(
        "dsn_map: [{key: OLD, to: NEW}]",
        "no key and project in dsn_map[0].to",
    );
    check(
        "dsn_map: [{key: OLD, to: {key: NEW, project: 0}}]",
        "not a project's number in dsn_map[0].to.project",
    );
    check(
        "dsn_map: [{key: 1, to: {key: NEW, project: 42}}]",
        "not a key in dsn_map[0].key",
    );
    check(
        "dsn_map: [{to: {key: NEW, project: 42}}]",
        "no \"key\" in dsn_map[0]",
    );
    check(
        "dsn_map: [{key: OLD, from: 1, to: {key: NEW, project: 42}}]",
        "unknown key \"from\" in dsn_map[0]",
    );
}

#[test]
fn what_leads_to_another_sentry_names_a_mirror() {
    const NEXT: &str = "mirrors: [{name: next, ingest: ['http://next']}]\n";
    let to = |rest: &str| {
        format!("{NEXT}dsn_map: [{{key: OLD, project: 12, to: {{key: NEW, project: 42{rest}}}}}]")
    };
    check(&to(""), "");
    check(&to(", upstream: next"), "");
    check(
        &to(", upstream: nxt"),
        "dsn_map[0].to.upstream names \"nxt\", and no mirror is called so",
    );
    check(
        &to(", upstream: NEXT"),
        "not a name in dsn_map[0].to.upstream",
    );
    // It is imported with its key and number, or another's has both.
    check(
        &format!(
            "{NEXT}dsn_map: [{{key: OLD, project: 12, to: {{key: OLD, project: 12, upstream: next}}}}]"
        ),
        "",
    );
    check(
        &format!(
            "{NEXT}dsn_map: [{{key: OLD, to: {{key: NEW, project: 42, upstream: next}}}}, {{key: NEW, to: {{key: OLD, project: 7}}}}]"
        ),
        "dsn_map[1] leads to a DSN that dsn_map[0] moves on",
    );
    check(
        "mirrors: [{name: a, ingest: ['http://a'], dsn_map: [{key: OLD, to: {key: NEW, project: 42, upstream: a}}]}]",
        "unknown key \"upstream\" in mirrors[0].dsn_map[0].to",
    );
    let text = keys(&to(", upstream: next"));
    let config = accepted(&text, &Env::empty());
    let (back, _) = parse("shown.yml", &config.to_yaml(), &Env::empty()).unwrap();
    assert_eq!(back, config, "{}", config.to_yaml());
    assert_eq!(config.leads_beyond(&config), None);
    assert_eq!(
        config.leads_beyond(&accepted("", &Env::empty())),
        Some("next")
    );
}

#[test]
fn a_key_moves_once_and_one_step() {
    check(
        "dsn_map: [{key: OLD, project: 1, to: {key: NEW, project: 42}}, {key: OLD, project: 2, to: {key: NEW, project: 42}}]",
        "the same key in dsn_map[0] and dsn_map[1]",
    );
    check(
        "dsn_map: [{key: OLD, project: 42, to: {key: OLD, project: 42}}]",
        "the same DSN twice in dsn_map[0]",
    );
    // A key that was kept, by a project of another number.
    check(
        "dsn_map: [{key: OLD, project: 12, to: {key: OLD, project: 42}}]",
        "",
    );
    check("dsn_map: [{key: OLD, to: {key: OLD, project: 42}}]", "");
    check(
        "dsn_map: [{key: OLD, to: {key: NEW, project: 42}}, {key: NEW, to: {key: 33333333333333333333333333333333, project: 7}}]",
        "dsn_map[0] leads to a DSN that dsn_map[1] moves on",
    );
}

/// It stands in the place of another block's `dsn_map`, and so by itself.
#[test]
fn the_readmes_other_sentry_is_taken() {
    let readme = include_str!("../../../README.md");
    let (_, block) = readme
        .split_once("```yml\n# vidette.yml, in the place of `dsn_map`")
        .unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let (config, warnings) =
        parse("README.md", &format!("{UPSTREAM}#{block}"), &Env::empty()).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.dsn_map.upstreams(), ["next".into()]);
}
