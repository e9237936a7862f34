//! Promises about states: what is read of them, and what of them is left to Sentry.

use std::time::Duration;

use super::*;
use crate::domain::category::{Categories, Category};
use crate::domain::origin::Origin;
use crate::domain::quota::{By, Limit, Per};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "22222222222222222222222222222222";

/// As PROTOCOL 9 has it.
const WHOLE: &str = r#"{"projectId":7,"slug":"web","organizationId":42,"disabled":false,
 "lastChange":"2026-01-01T00:00:00Z","rev":"5f1c","unknown":{"a":[1]},
 "publicKeys":[{"publicKey":"0123456789abcdef0123456789abcdef","numericId":3}],
 "config":{"allowedDomains":["*"],"features":["organizations:example"],
  "quotas":[{"id":"k","scope":"key","scopeId":"3","categories":["default","error","security"],
             "limit":100,"window":60,"reasonCode":"key_quota"}],
  "filterSettings":{"localhost":{"isEnabled":true}},
  "datascrubbingSettings":{"scrubIpAddresses":false},
  "sampling":{"version":2,"rules":[]}}}"#;

fn key(text: &str) -> Key {
    Key::parse(text.as_bytes()).unwrap()
}

fn read(text: &str) -> ProjectState {
    ProjectState::read(text).unwrap()
}

/// A state of project 7 of organization 42, with key 3, and this `config`.
fn with(config: &str) -> ProjectState {
    read(&format!(
        r#"{{"projectId":"7","organizationId":"42","publicKeys":[{{"publicKey":"{KEY}","numericId":"3"}},
        {{"publicKey":"{OTHER}","numericId":4,"isEnabled":false}}],"config":{config}}}"#
    ))
}

#[test]
fn a_state_is_read_as_sentry_writes_it() {
    let state = read(WHOLE);
    assert_eq!(state.project, ProjectId::parse(b"7"));
    assert_eq!(state.slug.as_deref(), Some("web"));
    assert_eq!(
        (state.organization, state.rev.as_deref()),
        (Some(42), Some("5f1c"))
    );
    assert!(!state.disabled && !state.is_bare());
    let keys: Vec<_> = state
        .keys
        .iter()
        .map(|own| (own.key, own.enabled))
        .collect();
    assert_eq!(keys, [(key(KEY), true)]);
    assert!(state.allowed_domains.as_ref().unwrap().is_any());
    assert!(state.filters.as_ref().unwrap().localhost);
    let quotas = state.quotas.as_ref().unwrap();
    assert!(quotas.organization.is_empty() && quotas.project.is_empty());
    let want = Quota {
        name: "key_quota".into(),
        categories: Categories::of(&[Category::Default, Category::Error, Category::Security]),
        limit: Limit::Items(100),
        per: Per::of(Duration::from_secs(60)).unwrap(),
        by: By::Key,
    };
    assert_eq!(quotas.keys, [(key(KEY), vec![want])]);
    assert_eq!(state.left_out.len(), 0);
}

#[test]
fn what_is_written_down_says_the_same_and_no_more() {
    let state = read(WHOLE);
    assert_eq!(read(state.text()), state);
    assert!(!state.text().contains("features") && !state.text().contains("unknown"));
    let disabled = ProjectState::disabled(key(KEY));
    assert!(disabled.disabled && disabled.keys[0].key == key(KEY));
    assert_eq!(read(disabled.text()), disabled);
}

#[test]
fn every_field_may_be_absent_or_of_an_unknown_form() {
    assert_eq!(read("{}").keys, []);
    for wrong in [
        "null", "1", "-1", "1.5", "true", "\"a\"", "[]", "[1]", "{}", "[[]]",
    ] {
        let text = format!(
            r#"{{"projectId":{wrong},"slug":{wrong},"organizationId":{wrong},"rev":{wrong},
            "publicKeys":{wrong},"config":{wrong}}}"#
        );
        assert!(read(&text).quotas.is_none(), "{wrong}");
        let state = with(&format!(
            r#"{{"allowedDomains":{wrong},"quotas":{wrong},"filterSettings":{wrong},"sampling":{wrong}}}"#
        ));
        assert_eq!(state.keys.len(), 2, "{wrong}");
        let state = with(&format!(
            r#"{{"quotas":[{wrong},{{"limit":{wrong},"window":{wrong},"categories":{wrong}}}],
            "filterSettings":{{"clientIps":{wrong},"csp":{wrong},"localhost":{wrong},
            "releases":{{"releases":[{wrong}]}}}}}}"#
        ));
        assert!(!state.filters.unwrap().localhost, "{wrong}");
    }
}

#[test]
fn what_is_no_state_is_refused() {
    for text in ["", "null", "[]", "7", "\"a\"", "{", "[1,2]"] {
        assert_eq!(ProjectState::read(text), Err(StateFault::Form), "{text}");
    }
    let slug = |bytes: usize| format!(r#"{{"slug":"{}"}}"#, "a".repeat(bytes));
    // Two braces, the key, quotes and colon.
    let around = slug(0).len();
    assert!(ProjectState::read(&slug(STATE_BYTES_MAX - around)).is_ok());
    let over = ProjectState::read(&slug(STATE_BYTES_MAX - around + 1));
    assert_eq!(over, Err(StateFault::TooLarge));
    // What means nothing here does not count.
    let padded = format!(r#"{{"piiConfig":"{}"}}"#, "a".repeat(STATE_BYTES_MAX));
    assert!(ProjectState::read(&padded).is_ok());
    let keys = |count: usize| {
        let row = format!(r#"{{"publicKey":"{KEY}"}}"#);
        format!(r#"{{"publicKeys":[{}]}}"#, vec![row; count].join(","))
    };
    assert!(ProjectState::read(&keys(KEYS_MAX)).is_ok());
    let over = ProjectState::read(&keys(KEYS_MAX + 1));
    assert_eq!(over, Err(StateFault::TooManyKeys));
}

#[test]
fn a_bare_word_of_being_disabled_is_told_apart() {
    assert!(read(r#"{"disabled":true}"#).is_bare());
    assert!(!read(r#"{"disabled":true,"projectId":7}"#).is_bare());
    assert!(!read(r#"{"disabled":false}"#).is_bare());
    assert!(!read(r#"{"disabled":"true"}"#).disabled);
}

/// The quotas of one row, as owner, name, limit and time; and whether it is left to Sentry.
#[track_caller]
fn check_quota(row: &str, want: &[&str], left_out: bool) {
    let state = with(&format!(r#"{{"quotas":[{row}]}}"#));
    let quotas = state.quotas.as_ref().unwrap();
    let told = |owner: &str, quota: &Quota| {
        format!("{owner} {} {:?} {}", quota.name, quota.limit, quota.per)
    };
    let mut got: Vec<String> = Vec::new();
    got.extend(
        quotas
            .organization
            .iter()
            .map(|quota| told("organization", quota)),
    );
    got.extend(quotas.project.iter().map(|quota| told("project", quota)));
    for (key, quotas) in &quotas.keys {
        let digit = key.as_str().get(1..2).unwrap();
        got.extend(quotas.iter().map(|quota| told(digit, quota)));
    }
    assert_eq!(got, want, "{row}");
    assert_eq!(state.left_out.contains("quotas"), left_out, "{row}");
}

#[test]
fn a_quota_counts_for_whom_its_scope_names() {
    let scope = |scope: &str| format!(r#"{{"id":"p",{scope}"limit":5,"window":60}}"#);
    let of = |owner: &str| format!("{owner} p Items(5) 1m");
    check_quota(&scope(""), &[&of("organization")], false);
    check_quota(
        &scope(r#""scope":"organization","scopeId":"42","#),
        &[&of("organization")],
        false,
    );
    check_quota(
        &scope(r#""scope":"organization","scopeId":"43","#),
        &[],
        false,
    );
    check_quota(
        &scope(r#""scope":"project","scopeId":"7","#),
        &[&of("project")],
        false,
    );
    check_quota(&scope(r#""scope":"project","#), &[&of("project")], false);
    check_quota(&scope(r#""scope":"project","scopeId":"8","#), &[], false);
    check_quota(&scope(r#""scope":"project","scopeId":"web","#), &[], false);
    check_quota(&scope(r#""scope":"key","#), &[&of("1"), &of("2")], false);
    check_quota(
        &scope(r#""scope":"key","scopeId":"4","#),
        &[&of("2")],
        false,
    );
    check_quota(&scope(r#""scope":"key","scopeId":"7","#), &[], false);
    check_quota(&scope(r#""scope":"global","#), &[], true);
}

#[test]
fn a_limit_is_read_with_its_unit_and_time() {
    let check = |fields: &str, want: &str| {
        let want: Vec<&str> = Some(want)
            .filter(|want| !want.is_empty())
            .into_iter()
            .collect();
        check_quota(
            &format!(r#"{{"id":"p","scope":"project",{fields}}}"#),
            &want,
            want.is_empty(),
        );
    };
    check(r#""limit":5,"window":10"#, "project p Items(5) 10s");
    check(r#""limit":5,"window":86400"#, "project p Items(5) 1d");
    check(r#""limit":0"#, "project p Items(0) 1m");
    check(r#""limit":0,"window":3600"#, "project p Items(0) 1h");
    check(r#""limit":5"#, "");
    check(r#""limit":5,"window":0"#, "");
    check(r#""limit":5,"window":1.5"#, "");
    check(r#""limit":-1,"window":60"#, "");
    check(r#""limit":5,"window":31622400"#, "project p Items(5) 366d");
    check(r#""limit":5,"window":31622401"#, "");
    let of = |categories: &str, limit: u64| {
        format!(r#""categories":[{categories}],"limit":{limit},"window":60"#)
    };
    check(&of(r#""attachment""#, 5), "project p Bytes(5) 1m");
    check(&of(r#""log_byte","new""#, 5), "project p Bytes(5) 1m");
    check(&of(r#""attachment_item""#, 5), "project p Items(5) 1m");
    check(&of(r#""attachment","error""#, 5), "");
    check(&of(r#""new""#, 5), "");
    check(&of(r#""profile_duration""#, 5), "");
    check(&of(r#""profile_duration""#, 0), "project p Items(0) 1m");
    check(r#""limit":5,"window":60,"namespace":"custom""#, "");
    check_quota(r#"{"id":"p","limit":null,"window":60}"#, &[], false);
}

/// A full one would refuse whole transactions, of which Sentry still takes metrics (PROTOCOL 4.2).
#[test]
fn a_quota_on_what_is_kept_of_an_item_refuses_none_whole() {
    let on = |categories: &str| {
        with(&format!(
            r#"{{"quotas":[{{"scope":"project","categories":[{categories}],"limit":0}}]}}"#
        ))
    };
    let all = r#""transaction_indexed","profile_indexed","span_indexed""#;
    for kept in [all, r#""span_indexed""#, r#""profile_indexed","new""#] {
        let state = on(kept);
        assert!(state.quotas.unwrap().project.is_empty(), "{kept}");
        let left_out: Vec<_> = state.left_out.into_iter().collect();
        let words = "quotas of transaction_indexed, profile_indexed or span_indexed";
        assert_eq!(left_out, [words], "{kept}");
    }
    // Beside others it counts for those.
    let state = on(&format!(r#""transaction",{all}"#));
    let quota = state.quotas.unwrap().project.remove(0);
    assert_eq!(quota.categories, Categories::of(&[Category::Transaction]));
    assert!(state.left_out.is_empty());
}

#[test]
fn quotas_of_one_owner_have_names_of_their_own() {
    let row = |fields: &str| format!(r#"{{"scope":"project","limit":5,"window":60,{fields}}}"#);
    let rows = [
        row(r#""id":"p","reasonCode":"project_quota""#),
        row(r#""id":"q","reasonCode":"project_quota""#),
        row(r#""id":"a b","reasonCode":"a/b""#),
    ];
    check_quota(
        &rows.join(","),
        &[
            "project project_quota Items(5) 1m",
            "project project_quota-2 Items(5) 1m",
            "project all-1m Items(5) 1m",
        ],
        false,
    );
}

#[test]
fn so_many_quotas_count_and_no_more() {
    let rows = |count: usize| {
        let row = r#"{"scope":"project","limit":5,"window":60}"#;
        with(&format!(r#"{{"quotas":[{}]}}"#, vec![row; count].join(",")))
    };
    let (all, over) = (rows(50), rows(51));
    assert_eq!(all.quotas.unwrap().project.len(), 50);
    assert!(all.left_out.is_empty());
    assert_eq!(over.quotas.unwrap().project.len(), 50);
    assert!(over.left_out.contains("quotas"));
}

#[test]
fn filters_are_read_and_those_that_are_left_to_sentry_named() {
    let settings = r#"{"filterSettings":{
        "clientIps":{"blacklistedIps":["203.0.113.9","10.0.0.0/8","::1","10.0.0.*"]},
        "webCrawlers":{"isEnabled":true},"releases":{"releases":["1.*"," ","a[^"]},
        "errorMessages":{"patterns":["*timeout*"]},"localhost":{"isEnabled":false},
        "generic":{"version":1,"filters":[{"id":"x","isEnabled":true}]},
        "csp":{"disallowedSources":[]},"browserExtensions":{"isEnabled":true},
        "legacyBrowsers":{"isEnabled":false,"options":["ie9"]},
        "ignoreTransactions":{"isEnabled":true,"patterns":["*health*"]}}}"#;
    let state = with(settings);
    let filters = state.filters.unwrap();
    let networks: Vec<String> = filters.client_ips.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["203.0.113.9/32", "10.0.0.0/8", "::1/128"]);
    assert!(filters.crawlers && !filters.localhost);
    let patterns = |globs: &[crate::domain::glob::Glob]| {
        globs
            .iter()
            .map(|glob| glob.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(patterns(&filters.releases), ["1.*"]);
    assert_eq!(patterns(&filters.error_messages), ["*timeout*"]);
    let left_out: Vec<_> = state.left_out.into_iter().collect();
    assert_eq!(
        left_out,
        [
            "filterSettings.browserExtensions",
            "filterSettings.clientIps",
            "filterSettings.generic",
            "filterSettings.ignoreTransactions",
            "filterSettings.releases",
        ]
    );
    // A list that is switched off filters nothing.
    let off = with(r#"{"filterSettings":{"releases":{"isEnabled":false,"releases":["1.*"]}}}"#);
    assert!(off.filters.unwrap().releases.is_empty());
}

#[test]
fn domains_that_no_page_has_do_not_spoil_the_list() {
    let allows = |list: &str, url: &str| {
        let state = with(&format!(r#"{{"allowedDomains":{list}}}"#));
        let origin = Origin::of_request(Some(url.as_bytes()), None);
        state
            .allowed_domains
            .map(|allowed| allowed.allows(origin.as_ref()))
    };
    let list = r#"["*.example.org","chrome-extension://abc","a b"]"#;
    assert_eq!(allows(list, "https://shop.example.org"), Some(true));
    assert_eq!(allows(list, "https://example.com"), Some(false));
    assert_eq!(allows("[]", "https://example.com"), Some(false));
    assert_eq!(allows("{}", "https://example.com"), None);
    assert_eq!(allows("[null]", "https://example.com"), None);
    let many = format!("[{}]", vec![r#""a.example""#; 1025].join(","));
    let state = with(&format!(r#"{{"allowedDomains":{many}}}"#));
    assert!(state.allowed_domains.is_none() && state.left_out.contains("allowedDomains"));
}

#[test]
fn sampling_is_left_to_sentry_where_its_rules_are_not_certain() {
    for (sampling, left_out) in [
        (r#"{"version":2,"rules":[]}"#, false),
        (r#"{"version":2,"rules":[{"id":1}]}"#, true),
        (r#"{"rules":[],"rulesV2":[{"id":1}]}"#, true),
        ("[]", false),
    ] {
        let state = with(&format!(r#"{{"sampling":{sampling}}}"#));
        assert_eq!(state.left_out.contains("sampling"), left_out, "{sampling}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_to_an_end(text in ".{0,200}") {
        ProjectState::read(&text).ok();
    }

    #[test]
    fn anything_of_the_right_letters_is_read_to_an_end(inner in r#"[\[\]{}:,"a-z0-9]{0,80}"#) {
        ProjectState::read(&format!(r#"{{"publicKeys":[{inner}],"config":{{"quotas":[{inner}]}}}}"#)).ok();
        ProjectState::read(&inner).ok();
    }
}
