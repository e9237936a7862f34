//! Promises about projects, their keys and origins, and tunnels: what is refused
//! stands beside what is accepted.

use super::*;
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

const A: &str = "a94ae32be2584e0bbd7a4cbb95971fee";
const B: &str = "0123456789abcdef0123456789abcdef";

/// The one error of a text below an upstream, to the letter.
#[track_caller]
fn check_error(text: &str, want: &str) {
    let text = format!("{UPSTREAM}{text}");
    assert_eq!(refused(&text, &Env::empty()), want, "{text}");
}

#[test]
fn a_project_says_who_it_is_and_who_may_send() {
    let text = format!(
        "projects:\n\
         - id: 42\n  name: shop\n  keys: [{A}, {{key: {B}, name: old, enabled: false}}]\n  allowed_origins: ['*.shop.example']\n\
         - {{id: 7, name: '', keys: ~}}\n"
    );
    let id = |digits: &str| ProjectId::parse(digits.as_bytes()).unwrap();
    let key = |digits: &str| Key::parse(digits.as_bytes()).unwrap();
    let want = [
        Project {
            id: id("42"),
            name: Some("shop".to_owned()),
            keys: vec![
                ProjectKey {
                    key: key(A),
                    name: None,
                    enabled: true,
                    quotas: Vec::new(),
                },
                ProjectKey {
                    key: key(B),
                    name: Some("old".to_owned()),
                    enabled: false,
                    quotas: Vec::new(),
                },
            ],
            allowed_origins: Some(vec!["*.shop.example".to_owned()]),
            quotas: None,
            budget: None,
            sample: None,
            filters: None,
            repeats: None,
        },
        Project {
            id: id("7"),
            name: None,
            keys: Vec::new(),
            allowed_origins: None,
            quotas: None,
            budget: None,
            sample: None,
            filters: None,
            repeats: None,
        },
    ];
    assert_eq!(accepted(&text, &Env::empty()).projects, want);
    check_value("projects: []", "");
}

#[test]
fn slips_in_a_project_are_named_with_their_place() {
    check_error(
        "projects:\n  - id: 42\n    allowed_orgins: ['*']\n",
        "v.yml:4:5: error: unknown key \"allowed_orgins\" in projects[0]; did you mean \"allowed_origins\"?",
    );
    check_error(
        &format!("projects:\n  - name: shop\n    keys: [{A}]\n"),
        "v.yml:3:5: error: no \"id\" in projects[0]; it must be there",
    );
    check_error(
        "projects: [42]\n",
        "v.yml:2:12: error: no id in projects[0]; write {id: 42}",
    );
    check_error(
        "projects: {id: 42}\n",
        "v.yml:2:11: error: keys in projects; write a list such as [{id: 42, keys: [a94ae32be2584e0bbd7a4cbb95971fee]}]",
    );
    check_error(
        &format!("projects: [{{id: 42, keys: {A}}}]\n"),
        "v.yml:2:27: error: no list in projects[0].keys; write a list such as [a94ae32be2584e0bbd7a4cbb95971fee]",
    );
    check_error(
        &format!("projects: [{{id: 42, keys: [{{key: {A}, enable: no}}]}}]\n"),
        "v.yml:2:68: error: unknown key \"enable\" in projects[0].keys[0]; did you mean \"enabled\"?",
    );
    check_error(
        &format!("projects: [{{id: 42, keys: [{{key: {A}, enabled: no}}]}}]\n"),
        "v.yml:2:77: error: not true or false in projects[0].keys[0].enabled; write true or false",
    );
}

#[test]
fn ids_are_positive_numbers() {
    for good in ["1", "'1'", "18446744073709551615"] {
        check_value(&format!("projects: [{{id: {good}}}]"), "");
    }
    for bad in [
        "0",
        "-1",
        "042",
        "1.0",
        "shop",
        "18446744073709551616",
        "''",
    ] {
        check_value(
            &format!("projects: [{{id: {bad}}}]"),
            "not a project's number in projects[0].id",
        );
    }
}

#[test]
fn keys_are_32_digits() {
    let upper = A.to_uppercase();
    let dsn = format!("http://{A}@edge.example/42");
    for bad in [
        "''",
        "shop",
        A.trim_start_matches('a'),
        &format!("{A}0"),
        &upper,
        &dsn,
    ] {
        check_value(
            &format!("projects: [{{id: 42, keys: [{bad}]}}]"),
            "not a key in projects[0].keys[0]",
        );
        check_value(
            &format!("projects: [{{id: 42, keys: [{{key: {bad}}}]}}]"),
            "not a key in projects[0].keys[0].key",
        );
    }
    check_error(
        &format!("projects: [{{id: 42, keys: [{A}, {B}0]}}]\n"),
        "v.yml:2:62: error: not a key in projects[0].keys[1]; write the 32 digits of 0-9 and a-f that stand before the @ of a DSN",
    );
    check_value(
        "projects: [{id: 42, keys: [{name: a}]}]",
        "no \"key\" in projects[0].keys[0]",
    );
}

#[test]
fn ids_and_keys_are_unique_over_all_projects() {
    check_error(
        "projects:\n  - {id: 42}\n  - {id: 7}\n  - {id: '42'}\n",
        "v.yml:5:5: error: the same id in projects[0] and projects[2]; each must be its own",
    );
    check_error(
        &format!(
            "projects:\n  - {{id: 42, keys: [{B}, {A}]}}\n  - {{id: 7, keys: [{{key: {A}}}]}}\n"
        ),
        "v.yml:4:20: error: the same key in projects[0].keys[1] and projects[1].keys[0]; each must be its own",
    );
    check_value(
        &format!("projects: [{{id: 42, keys: [{A}, {A}]}}]"),
        "the same key in projects[0].keys[0] and projects[0].keys[1]",
    );
}

#[test]
fn names_are_one_line_of_200_characters() {
    let check = |name: &str, wrong: &str| {
        check_value(
            &format!("projects: [{{id: 42, name: \"{name}\"}}]"),
            &wrong.replace('@', "projects[0].name"),
        );
        check_value(
            &format!("projects: [{{id: 42, keys: [{{key: {A}, name: \"{name}\"}}]}}]"),
            &wrong.replace('@', "projects[0].keys[0].name"),
        );
    };
    check(&"\u{fc}".repeat(200), "");
    check(&"\u{fc}".repeat(201), "too long a name in @");
    check("a\\nb", "a control character in @");
    check("a\\x1bb", "a control character in @");
    check("a b, \u{1f980}", "");
}

#[test]
fn origins_are_patterns() {
    let check = |pattern: &str, wrong: &str| {
        check_value(
            &format!("defaults: {{allowed_origins: [a.example, \"{pattern}\"]}}"),
            &wrong.replace('@', "defaults.allowed_origins[1]"),
        );
        check_value(
            &format!("projects: [{{id: 42, allowed_origins: [\"{pattern}\"]}}]"),
            &wrong.replace('@', "projects[0].allowed_origins[0]"),
        );
    };
    for good in [
        "*",
        "*.example.org",
        "https://example.org:8443",
        "b\u{fc}cher.example",
        "xn--bcher-kva.example",
        &"a".repeat(253),
    ] {
        check(good, "");
    }
    check("", "an empty pattern in @");
    check("a b", "a pattern with a blank in @");
    check("a.example\\n", "a pattern with a blank in @");
    check("a\\0", "a pattern with a blank in @");
    check(&"a".repeat(254), "too long a pattern in @");
    check(
        "ftp://a.example",
        "a pattern for neither http nor https in @",
    );
    check(
        "https://a.example:x",
        "a pattern with a port that is none in @",
    );
    check_error(
        "defaults: {allowed_origins: \"*\"}\n",
        "v.yml:2:29: error: no list in defaults.allowed_origins; write a list such as [\"*.example.org\"]",
    );
    check_error(
        "defaults:\n  allowed_origins: [\"*.a.example b.example\"]\n",
        "v.yml:3:21: error: a pattern with a blank in defaults.allowed_origins[0]; \
         write *, a host such as *.example.org, or an origin such as https://example.org:8443",
    );
    let many = |count| vec!["a.example"; count].join(", ");
    check_value(
        &format!("defaults: {{allowed_origins: [{}]}}", many(1_000)),
        "",
    );
    check_value(
        &format!("defaults: {{allowed_origins: [{}]}}", many(1_001)),
        "more than 1000 patterns in defaults.allowed_origins",
    );
}

#[test]
fn tunnels_are_plain_paths_outside_of_other_peoples() {
    let check = |path: &str, wrong: &str| {
        check_value(&format!("tunnel: {{paths: ['{path}']}}"), wrong);
    };
    for good in ["/t", "/t/", "/a/b-c_d.e", "/apis/t", "/js-sdks", "/api.js"] {
        check(good, "");
    }
    for bad in [
        "", "/", "t", "//", "/t//", "/a//b", "/.", "/a/../b", "/a/./", "/a%20", "/a?b", "/a#b",
        "/a\\b", "/a b", "/\u{e4}",
    ] {
        check(bad, "not a path in tunnel.paths[0]");
    }
    for bad in ["/api", "/api/", "/api/t", "/api/42/envelope/"] {
        check(bad, "Sentry's own path in tunnel.paths[0]");
    }
    for bad in ["/js-sdk", "/js-sdk/", "/js-sdk/t"] {
        check(bad, "tunnel.paths[0] lies in static[0]");
    }
    check_value("static: []\ntunnel: {paths: [/js-sdk/t]}", "");
    check_error(
        "tunnel:\n  paths: [/t, /a/b/t]\nstatic: [{path: /c/, root: /c}, {path: /a/b/, root: /a}]\n",
        "v.yml:3:10: error: tunnel.paths[1] lies in static[1]; move it out of that folder",
    );
    check_error(
        "tunnel: {paths: [/t, /u, /t]}\n",
        "v.yml:2:26: error: the same path in tunnel.paths[0] and tunnel.paths[2]; each must be its own",
    );
    let many = |count| {
        let paths: Vec<String> = (0..count).map(|at| format!("/t{at}")).collect();
        format!("tunnel: {{paths: [{}]}}", paths.join(", "))
    };
    check_value(&many(100), "");
    check_value(&many(101), "more than 100 paths in tunnel.paths");
}

/// As many projects as are allowed, each with two keys. It was a minute's work
/// while every element was compared with all before it.
#[test]
fn a_hundred_thousand_projects_are_read() {
    let text = |count: usize| {
        let rows = (1..=count).map(|id| {
            let other = id + 1_000_000;
            format!("- {{id: {id}, keys: [{id:032x}, {other:032x}]}}\n")
        });
        format!("projects:\n{}", rows.collect::<String>())
    };
    let most = text(100_000);
    assert_eq!(accepted(&most, &Env::empty()).projects.len(), 100_000);
    check_value(&text(100_001), "more than 100000 projects in projects");
}
