//! Promises about quotas: what they become, what is refused beside what is
//! accepted, and where.

use std::time::Duration;

use super::*;
use crate::domain::category::{Categories, Category};
use crate::domain::envelope::item::ItemKind;
use crate::domain::quota::{By, Limit, Per, Quota};

const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

/// The quotas of the default that a list gives.
#[track_caller]
fn quotas(list: &str) -> Vec<Quota> {
    let text = format!("defaults: {{quotas: {list}}}");
    accepted(&text, &Env::empty()).defaults.quotas
}

/// One quota in every place that takes one; `@` in `wrong` is its path.
#[track_caller]
fn check(quota: &str, wrong: &str) {
    let places = [
        ("global: {quotas: [Q]}", "global.quotas[0]"),
        ("defaults: {quotas: [Q]}", "defaults.quotas[0]"),
        ("projects: [{id: 42, quotas: [Q]}]", "projects[0].quotas[0]"),
        (
            "projects: [{id: 42, keys: [{key: KEY, quotas: [Q]}]}]",
            "projects[0].keys[0].quotas[0]",
        ),
    ];
    for (text, path) in places {
        let text = text.replace("KEY", KEY).replace('Q', quota);
        check_value(&text, &wrong.replace('@', path));
    }
}

/// The one error of a text below an upstream, to the letter.
#[track_caller]
fn check_error(text: &str, want: &str) {
    let text = format!("{UPSTREAM}{text}");
    assert_eq!(refused(&text, &Env::empty()), want, "{text}");
}

#[test]
fn a_quota_says_how_much_of_what_in_how_long_for_whom() {
    let want = [
        Quota {
            name: "errors".into(),
            categories: Categories::of(&[Category::Error, Category::Security]),
            limit: Limit::Items(10_000),
            per: Per::Window { seconds: 3_600 },
            by: By::Project,
        },
        Quota {
            name: "attachment-1d".into(),
            categories: Categories::of(&[Category::Attachment]),
            limit: Limit::Bytes(1 << 30),
            per: Per::Window { seconds: 86_400 },
            by: By::Project,
        },
        Quota {
            name: "all-1s-by-ip".into(),
            categories: Categories::EMPTY,
            limit: Limit::Items(200),
            per: Per::Rate(Duration::from_secs(1)),
            by: By::Ip,
        },
        Quota {
            name: "all-1mo-by-key".into(),
            categories: Categories::EMPTY,
            limit: Limit::Items(0),
            per: Per::Month,
            by: By::Key,
        },
    ];
    let list = "[{name: errors, categories: [error, security], limit: 10000, per: 1h}, \
                {categories: [attachment], limit: 1GiB, per: 1d, by: ~}, \
                {limit: 200, per: 1s, by: ip, categories: []}, {limit: 0, per: 1mo, by: key}]";
    assert_eq!(quotas(list), want);
    let global = accepted(&format!("global: {{quotas: {list}}}"), &Env::empty()).global;
    assert_eq!(global.quotas, want);
}

#[test]
fn a_projects_own_quotas_replace_the_defaults_whole() {
    let config = accepted(
        "defaults: {quotas: [{limit: 1, per: 1s}]}\n\
         projects: [{id: 1}, {id: 2, quotas: ~}, {id: 3, quotas: []}, {id: 4, quotas: [{limit: 2, per: 1m}]}]",
        &Env::empty(),
    );
    let own: Vec<Option<usize>> = config
        .projects
        .iter()
        .map(|project| project.quotas.as_ref().map(Vec::len))
        .collect();
    assert_eq!(own, [None, None, Some(0), Some(1)]);
    assert_eq!(config.defaults.quotas.len(), 1);
}

#[test]
fn a_keys_quotas_count_the_key_or_its_addresses() {
    let of = |quota: &str| {
        format!("projects: [{{id: 42, keys: [{{key: {KEY}, quotas: [{quota}]}}]}}]\n")
    };
    let config = accepted(
        &of("{limit: 1, per: 1h}, {limit: 2, per: 1h, by: ip}"),
        &Env::empty(),
    );
    let quotas = config.projects[0].keys[0].quotas.iter();
    let seen: Vec<(&str, By)> = quotas.map(|quota| (&*quota.name, quota.by)).collect();
    assert_eq!(seen, [("all-1h-by-key", By::Key), ("all-1h-by-ip", By::Ip)]);
    check_error(
        &of("{limit: 1, per: 1h, by: project}"),
        "v.yml:2:101: error: a project's count for a key's quota in projects[0].keys[0].quotas[0].by; \
         write key or ip",
    );
    check("{limit: 1, per: 1h, by: key}", "");
    check("{limit: 1, per: 1h, by: ip}", "");
    check("{limit: 1, per: 1h, by: user}", "an unknown word in @.by");
    check_value("defaults: {quotas: [{limit: 1, per: 1h, by: project}]}", "");
    // A key that has no more than quotas is no bare key when it is shown.
    let (back, _) = parse("shown.yml", &config.to_yaml(), &Env::empty()).unwrap();
    assert_eq!(back, config);
}

#[test]
fn limits_are_items_or_bytes_and_never_taken_for_each_other() {
    let limit = |text: &str| quotas(&format!("[{{limit: {text}, per: 1h}}]"))[0].limit;
    let most = (1 << 48) - 1;
    assert_eq!(limit("0"), Limit::Items(0));
    assert_eq!(limit("1024"), Limit::Items(1024));
    assert_eq!(limit("281474976710655"), Limit::Items(most));
    assert_eq!(limit("0B"), Limit::Bytes(0));
    assert_eq!(limit("1024 B"), Limit::Bytes(1024));
    assert_eq!(limit("281474976710655B"), Limit::Bytes(most));
    assert_eq!(limit("255TiB"), Limit::Bytes(255 << 40));
    for bad in ["281474976710656", "281474976710656B", "256TiB"] {
        check(
            &format!("{{limit: {bad}, per: 1h}}"),
            "out of bounds in @.limit",
        );
    }
    for bad in [
        "''",
        "-1",
        "1.5",
        "1e3",
        "'10 '",
        "10k",
        "18446744073709551616",
        "16777216TiB",
    ] {
        check(
            &format!("{{limit: {bad}, per: 1h}}"),
            "not a number or a size in @.limit",
        );
    }
    for (rate, right) in [
        ("10/s", "limit: 10, per: 1s"),
        ("1GiB/s", "limit: 1GiB, per: 1s"),
        ("100 per hour", "limit: 100, per: 1h"),
    ] {
        check(&format!("{{limit: {rate}, per: 1h}}"), "a rate in @.limit");
        check_error(
            &format!("global: {{quotas: [{{limit: {rate}, per: 1h}}]}}\n"),
            &format!("v.yml:2:27: error: a rate in global.quotas[0].limit; write {right}"),
        );
    }
    check_error(
        "global:\n  quotas:\n    - {limit: lots, per: 1h}\n",
        "v.yml:4:15: error: not a number or a size in global.quotas[0].limit; write a number of items \
         up to 281474976710655, or a size below 256TiB, such as 10000 or 1GiB",
    );
}

#[test]
fn times_reach_from_a_tenth_of_a_second_to_a_leap_year() {
    let of = |per: &str| format!("{{limit: 1, per: {per}}}");
    for good in [
        "100ms", "1500ms", "59999ms", "60s", "60000ms", "366d", "1mo",
    ] {
        check(&of(good), "");
    }
    for bad in ["0s", "99ms", "8785h", "367d"] {
        check(&of(bad), "out of bounds in @.per");
    }
    for bad in ["60001ms", "90500ms"] {
        check(&of(bad), "a part of a second beyond a minute in @.per");
    }
    for bad in ["2mo", "1M", "1h30m", "3y", "''"] {
        check(&of(bad), "not a duration in @.per");
    }
    for (bad, right) in [
        ("mo", "1mo"),
        ("1MO", "1mo"),
        ("1w", "7d"),
        ("1y", "365d"),
        ("hour", "1h"),
    ] {
        check_error(
            &format!("defaults: {{quotas: [{{limit: 1, per: {bad}}}]}}\n"),
            &format!("v.yml:2:37: error: not a duration in defaults.quotas[0].per; write {right}"),
        );
    }
    check(&of("7d"), "");
    check(&of("60"), "no unit in @.per");
    check_error(
        "defaults: {quotas: [{limit: 1, per: 1f}]}\n",
        "v.yml:2:37: error: not a duration in defaults.quotas[0].per; write a duration from 100ms to 366d, \
         such as 1s, 1h or 1d, or 1mo for a calendar month",
    );
}

/// A quota on anything else was taken, and limited nothing.
#[test]
fn categories_are_those_that_items_count_in() {
    let counted = ItemKind::all_categories();
    for category in Category::ALL {
        let name = category.name();
        let wrong = match (counted.has(*category), category.is_sentrys()) {
            (true, _) => String::new(),
            (false, true) => format!("{name} counts nothing in @.categories[0]"),
            (false, false) if *category == Category::ClientReport => {
                "client_report is never limited in @.categories[0]".to_owned()
            }
            (false, false) => "an unknown category in @.categories[0]".to_owned(),
        };
        let quota = format!("{{categories: [{name}], limit: 1B, per: 1h}}");
        check(&quota, &wrong);
    }
    check("{categories: [user_report_v2], limit: 1, per: 1h}", "");
    check(
        "{categories: error, limit: 1, per: 1h}",
        "no list in @.categories",
    );
    check(
        "{categories: [~], limit: 1, per: 1h}",
        "nothing in @.categories[0]",
    );
    const ALL: &str = "write error, transaction, security, attachment, session, profile, replay, \
         transaction_indexed, monitor, profile_indexed, span, feedback, metric_bucket, span_indexed, \
         profile_chunk, attachment_item, log_item, log_byte, profile_chunk_ui or trace_metric";
    let text = |name: &str| {
        format!(
            "projects:\n  - id: 42\n    quotas:\n      - {{categories: [error, {name}], limit: 1, per: 1h}}\n"
        )
    };
    let at = "v.yml:5:30: error:";
    let path = "in projects[0].quotas[0].categories[1]";
    check_error(
        &text("volumes"),
        &format!("{at} an unknown category {path}; {ALL}"),
    );
    check_error(
        &text("default"),
        &format!("{at} default counts nothing {path}; {ALL}; did you mean \"error\"?"),
    );
    for (slip, meant) in [
        ("log", "log_item"),
        ("check_in", "monitor"),
        ("sessions", "session"),
        ("spans", "span"),
        ("errors", "error"),
        ("transactions", "transaction"),
        ("replais", "replay"),
    ] {
        check_error(
            &text(slip),
            &format!("{at} an unknown category {path}; {ALL}; did you mean \"{meant}\"?"),
        );
    }
}

#[test]
fn what_is_bytes_takes_a_size() {
    check_error(
        "defaults: {quotas: [{categories: [log_item, log_byte], limit: 1000, per: 1h}]}\n",
        "v.yml:2:63: error: log_byte counts bytes: no unit in defaults.quotas[0].limit; \
         write a size such as 1GiB",
    );
    check(
        "{categories: [log_item, log_byte], limit: 1000B, per: 1h}",
        "",
    );
    check("{categories: [log_item], limit: 1000, per: 1h}", "");
}

#[test]
fn names_are_safe_wherever_they_stand() {
    let of = |name: &str| format!("{{name: '{name}', limit: 1, per: 1h}}");
    for good in ["a", "A-z_0.9+b", "-", &"n".repeat(64)] {
        check(&of(good), "");
    }
    for bad in ["", "a b", "a:b", "a/b", "a,b", "\u{e4}", &"n".repeat(65)] {
        check(&of(bad), "not a quota's name in @.name");
    }
    check_error(
        "defaults: {quotas: [{name: 'a b', limit: 1, per: 1h}]}\n",
        "v.yml:2:28: error: not a quota's name in defaults.quotas[0].name; \
         write up to 64 of letters, digits, _ . + and -",
    );
    // With the time and the address, 64 characters and 65.
    let many = "transaction_indexed, profile_chunk_ui, span_indexed";
    let of = |more: &str| format!("{{categories: [{many}{more}], limit: 1, per: 1h, by: ip}}");
    check(&of(", error"), "");
    check(
        &of(", replay"),
        "too many categories for a default name in @",
    );
    check(&of(", replay").replace("limit", "name: a, limit"), "");
}

#[test]
fn names_are_unique_in_their_list_alone() {
    check_error(
        "defaults:\n  quotas:\n    - {limit: 1, per: 1h}\n    - {name: b, limit: 1, per: 1h}\n    - {limit: 1GiB, per: 60m}\n",
        "v.yml:6:7: error: the same name in defaults.quotas[0] and defaults.quotas[2]; \
         give one a name: of its own",
    );
    check_value(
        &format!(
            "projects: [{{id: 42, keys: [{{key: {KEY}, quotas: [{{limit: 1, per: 1h}}, {{limit: 2, per: 1h}}]}}]}}]"
        ),
        "the same name in projects[0].keys[0].quotas[0] and projects[0].keys[0].quotas[1]",
    );
    let list = "quotas: [{name: a, limit: 1, per: 1h}]";
    check_value(
        &format!(
            "global: {{{list}}}\ndefaults: {{{list}}}\nprojects: [{{id: 1, {list}, keys: [{{key: {KEY}, {list}}}]}}, {{id: 2, {list}}}]"
        ),
        "",
    );
}

#[test]
fn lists_are_short_and_whole() {
    let many = |count: usize| {
        let rows = (0..count).map(|at| format!("{{name: q{at}, limit: 1, per: 1h}}"));
        format!(
            "global: {{quotas: [{}]}}",
            rows.collect::<Vec<_>>().join(", ")
        )
    };
    check_value(&many(50), "");
    check_value(&many(51), "more than 50 quotas in global.quotas");
    check("{per: 1h}", "no \"limit\" in @");
    check("{limit: 1}", "no \"per\" in @");
    check("errors", "no limit and time in @");
    check("{limit: 1, per: 1h, bye: ip}", "unknown key \"bye\" in @");
    check_error(
        "global: {quotas: {limit: 1, per: 1h}}\n",
        "v.yml:2:18: error: keys in global.quotas; \
         write a list such as [{categories: [error], limit: 10000, per: 1h}]",
    );
    // One run names them all.
    let errors = refused(
        &format!(
            "{UPSTREAM}defaults: {{quotas: [{{limit: x, per: y, by: z}}, {{name: '', limit: 1, per: 1}}]}}"
        ),
        &Env::empty(),
    );
    assert_eq!(errors.lines().count(), 5, "{errors}");
}
