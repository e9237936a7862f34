//! Promises about what is wanted: shares, rules and filters, in every place that takes them.

use std::time::Duration;

use super::*;
use crate::domain::category::{Categories, Category};
use crate::domain::filter::Filters;
use crate::domain::glob::Glob;
use crate::domain::repeat::Repeat;
use crate::domain::sampling::{Rate, Rule, Sample};

#[track_caller]
fn sample(text: &str) -> Sample {
    let text = format!("defaults: {{sample: {text}}}");
    accepted(&text, &Env::empty()).defaults.sample
}

#[track_caller]
fn filters(text: &str) -> Filters {
    let text = format!("defaults: {{filters: {text}}}");
    accepted(&text, &Env::empty()).defaults.filters
}

/// A value in both places that take it; `@` in `wrong` is its path.
#[track_caller]
fn check(key: &str, value: &str, wrong: &str) {
    for (text, path) in [
        ("defaults: {KEY: VALUE}", "defaults"),
        ("projects: [{id: 42, KEY: VALUE}]", "projects[0]"),
    ] {
        let text = text.replace("KEY", key).replace("VALUE", value);
        check_value(&text, &wrong.replace('@', &format!("{path}.{key}")));
    }
}

fn rate(share: f64) -> Rate {
    Rate::of(share).unwrap()
}

fn globs(texts: &[&str]) -> Vec<Glob> {
    texts
        .iter()
        .map(|text| Glob::parse(text).unwrap())
        .collect()
}

#[test]
fn a_sample_says_which_share_of_what_is_kept() {
    let only = |category| Categories::of(&[category]);
    let want = Sample {
        categories: vec![
            (only(Category::Transaction), rate(0.1)),
            (only(Category::Replay), rate(0.05)),
        ],
        rules: vec![
            Rule {
                categories: Categories::of(&[Category::Transaction, Category::Span]),
                environment: Some(Glob::parse("stag*").unwrap()),
                release: None,
                rate: rate(0.01),
            },
            Rule {
                categories: Categories::EMPTY,
                environment: None,
                release: Some(Glob::parse("*-beta").unwrap()),
                rate: rate(1.0),
            },
        ],
    };
    let text = "{transaction: 0.1, replay: 5%, rules: [\
        {categories: [transaction, span], environment: \"stag*\", rate: 1%}, \
        {release: \"*-beta\", rate: 1}]}";
    assert_eq!(sample(text), want);
    assert_eq!(sample("{}"), Sample::default());
    for whole in ["{error: 0}", "{error: 0%}"] {
        assert_eq!(
            sample(whole).categories,
            [(only(Category::Error), rate(0.0))]
        );
    }
}

#[test]
fn a_share_lies_between_none_and_all() {
    for share in ["1.01", "101%", "2"] {
        check(
            "sample",
            &format!("{{error: {share}}}"),
            "out of bounds in @.error",
        );
    }
    for share in ["-0.1", "half", "1e-1", ".nan", "'%'"] {
        check(
            "sample",
            &format!("{{error: {share}}}"),
            "not a share in @.error",
        );
    }
    check("sample", "{error: []}", "a list in @.error");
}

#[test]
fn a_share_counts_to_the_millionth() {
    for share in ["0.00000001", "0.0000009", "0.00009%"] {
        check(
            "sample",
            &format!("{{error: {share}}}"),
            "under a millionth in @.error",
        );
    }
    assert_eq!(sample("{error: 0.000001}"), sample("{error: 0.0001%}"));
}

/// Keys have no order: the first that was written went before the other.
#[test]
fn no_two_shares_are_of_the_same_items() {
    for (one, other) in [
        ("transaction", "transaction_indexed"),
        ("log_item", "log_byte"),
        ("attachment", "attachment_item"),
        ("profile", "profile_indexed"),
        ("span", "span_indexed"),
        ("feedback", "user_report_v2"),
    ] {
        for (one, other) in [(one, other), (other, one)] {
            check(
                "sample",
                &format!("{{{one}: 1, error: 0.5, {other}: 0}}"),
                &format!("\"{one}\" and \"{other}\" in @ are of the same items"),
            );
        }
    }
    let apart = "{profile_chunk: 0, profile_chunk_ui: 1, profile: 0, error: 1, attachment: 0}";
    assert_eq!(sample(apart).categories.len(), 5);
    let error = refused(
        &format!("{UPSTREAM}defaults:\n  sample:\n    span: 1\n    span_indexed: 0\n"),
        &Env::empty(),
    );
    assert_eq!(
        error,
        "v.yml:5:5: error: \"span\" and \"span_indexed\" in defaults.sample are of the same items; keep one"
    );
}

#[test]
fn what_is_meant_by_another_word_is_told() {
    for (text, want) in [
        (
            "{log: 0.1}",
            "unknown key \"log\" in @; did you mean \"log_item\"?",
        ),
        (
            "{rule: []}",
            "unknown key \"rule\" in @; did you mean \"rules\"?",
        ),
        (
            "{rules: [{category: [error], rate: 1}]}",
            "unknown key \"category\" in @.rules[0]; did you mean \"categories\"?",
        ),
        (
            "{client_report: 1}",
            "client_report is never sampled in @.client_report; write error",
        ),
        (
            "{check_in: 1}",
            "monitor is never sampled in @.check_in; write error",
        ),
        (
            "{sessions: 1}",
            "session is never sampled in @.sessions; write error",
        ),
        (
            "{rules: [{categories: [client_report], rate: 1}]}",
            "client_report is never sampled in @.rules[0].categories[0]; write error",
        ),
    ] {
        let error = refused(
            &format!("{UPSTREAM}defaults: {{sample: {text}}}"),
            &Env::empty(),
        );
        let want = want.replace('@', "defaults.sample");
        assert!(error.contains(&want), "{text}: {error}");
    }
}

#[test]
fn what_is_no_sample_is_refused() {
    for other in ["0.1", "[transaction]"] {
        check("sample", other, "no shares in @");
    }
    check(
        "sample",
        "{rules: [{categories: [error]}]}",
        "no \"rate\" in @.rules[0]",
    );
    check("sample", "{rules: [0.1]}", "no rate in @.rules[0]");
    let many = ["{rate: 0.1}"; 51].join(", ");
    let wrong = "more than 50 rules in @.rules";
    check("sample", &format!("{{rules: [{many}]}}"), wrong);
}

#[test]
fn what_is_never_sampled_is_refused_by_name() {
    for category in ["session", "monitor"] {
        let text = format!("defaults: {{sample: {{{category}: 0.5}}}}");
        let text = format!("{UPSTREAM}{text}");
        let error = refused(&text, &Env::empty());
        let want = format!("{category} is never sampled in defaults.sample.{category}");
        assert!(error.contains(&want), "{error}");
    }
    let error = refused(
        &format!("{UPSTREAM}defaults: {{sample: {{errors: 1}}}}"),
        &Env::empty(),
    );
    let want = "unknown key \"errors\" in defaults.sample; did you mean \"error\"?";
    assert!(error.contains(want), "{error}");
}

#[test]
fn filters_say_what_nobody_wants() {
    let want = Filters {
        client_ips: vec![
            "203.0.113.0/24".parse().unwrap(),
            "::1/128".parse().unwrap(),
        ],
        user_agents: globs(&["*bot*"]),
        crawlers: true,
        releases: globs(&["1.*"]),
        environments: globs(&["dev", "test"]),
        error_messages: globs(&["*Timeout*"]),
        localhost: true,
    };
    let text = "{client_ips: [203.0.113.0/24, \"::1\"], user_agents: [\"*bot*\"], crawlers: true, \
        releases: [\"1.*\"], environments: [dev, test], error_messages: [\"*Timeout*\"], \
        localhost: true}";
    assert_eq!(filters(text), want);
    assert_eq!(filters("{}"), Filters::default());
}

#[test]
fn what_is_no_filter_is_refused() {
    check("filters", "[]", "no filters in @");
    check(
        "filters",
        "{crawlers: maybe}",
        "not true or false in @.crawlers",
    );
    let net = |wrong: &str| format!("{wrong} in @.client_ips[0]");
    check(
        "filters",
        "{client_ips: [here]}",
        &net("not a CIDR or an address"),
    );
    check(
        "filters",
        "{client_ips: [10.0.0.1/8]}",
        &net("bits set behind the prefix"),
    );
    let glob = |wrong: &str| format!("{wrong} in @.releases[0]");
    check("filters", "{releases: [\"\"]}", &glob("an empty pattern"));
    let longest = "a".repeat(256);
    check(
        "filters",
        &format!("{{releases: [{longest}a]}}"),
        &glob("too long a pattern"),
    );
    assert_eq!(
        filters(&format!("{{releases: [{longest}]}}"))
            .releases
            .len(),
        1
    );
}

/// They passed, and matched nothing.
#[test]
fn a_pattern_that_is_none_is_refused_where_it_stands() {
    let glob = |wrong: &str| format!("{wrong} in @.releases[0]");
    for (pattern, wrong) in [
        ("1.[a-z", "a [ that is never closed (character 3)"),
        ("{a", "a { that is never closed (character 1)"),
        ("{a}", "only one between braces (character 1)"),
        ("[z-a]", "a range that ends before it begins (character 2)"),
        ("a\\", "a \\ with nothing behind it"),
    ] {
        check(
            "filters",
            &format!("{{releases: ['{pattern}']}}"),
            &glob(wrong),
        );
    }
    check(
        "sample",
        "{rules: [{release: '[', rate: 1}]}",
        "a [ that is never closed (character 1) in @.rules[0].release",
    );
    let error = refused(
        &format!("{UPSTREAM}defaults:\n  filters:\n    releases: [ok, '[a']\n"),
        &Env::empty(),
    );
    assert!(error.starts_with("v.yml:4:20: error: a [ that"), "{error}");
    for pattern in ["[!3].[0-9].*", "{Timeout,Type}Error: *", "f(x) }"] {
        let read = filters(&format!("{{error_messages: ['{pattern}']}}"));
        assert_eq!(read.error_messages, globs(&[pattern]));
    }
}

#[test]
fn what_repeats_is_let_through_in_part_or_whole() {
    let repeats = |text: &str| {
        let text = format!("defaults: {{repeats: {text}}}");
        accepted(&text, &Env::empty()).defaults.repeats
    };
    let want = Repeat {
        first: 1,
        then: 2,
        per: Duration::from_secs(1),
    };
    assert_eq!(repeats("{first: 1, then: 2, per: 1s}"), Some(want));
    assert_eq!(repeats("off"), None);
    check("repeats", "on", "no counts in @");
    check("repeats", "{first: 1, then: 2}", "no \"per\" in @");
    for (first, then, per, wrong) in [
        ("0", "2", "1s", "out of bounds in @.first"),
        ("1", "1", "1s", "out of bounds in @.then"),
        ("1", "1000001", "1s", "out of bounds in @.then"),
        ("1", "two", "1s", "not a number in @.then"),
        ("1", "2", "999ms", "out of bounds in @.per"),
        ("1", "2", "25h", "out of bounds in @.per"),
        ("1", "2", "1", "not a duration in @.per"),
    ] {
        let text = format!("{{first: {first}, then: {then}, per: {per}}}");
        check("repeats", &text, wrong);
    }
    assert!(repeats("{first: 1000000, then: 1000000, per: 1d}").is_some());
}

#[test]
fn a_projects_own_wishes_are_kept_apart_from_the_default() {
    let text = "defaults: {sample: {error: 0.5}}\n\
        projects: [{id: 1, sample: {}}, {id: 2, filters: {localhost: true}}]\n";
    let config = accepted(text, &Env::empty());
    let [one, two] = &config.projects[..] else {
        panic!("two projects")
    };
    assert_eq!(
        (one.sample.clone(), one.filters.is_none()),
        (Some(Sample::default()), true)
    );
    assert_eq!(two.sample, None);
    assert!(two.filters.as_ref().is_some_and(|own| own.localhost));
}
