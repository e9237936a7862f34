//! Which transactions Sentry's rules keep, and of which nothing is known for certain.

use super::place::place;
use super::*;
use crate::domain::sampling::id;

/// What is read of such a set. What is not certain, and nothing else, is told of.
fn told(text: &str) -> StateSampling {
    let raw = RawValue::from_string(text.to_owned()).unwrap();
    let mut left_out = BTreeSet::new();
    let read = read(&raw, &mut left_out);
    let says = left_out.contains("sampling");
    assert_eq!(says, read == StateSampling::Uncertain, "{text}");
    read
}

fn rules(text: &str) -> Option<Arc<SentrySampling>> {
    told(text).rules().cloned()
}

/// One rule with this value and condition.
fn one(level: &str, value: &str, condition: &str) -> String {
    format!(r#"{{"id":1000,"type":"{level}","samplingValue":{value},"condition":{condition}}}"#)
}

fn set(rules: &[String]) -> String {
    format!(r#"{{"version":2,"rules":[{}]}}"#, rules.join(","))
}

const ALL: &str = r#"{"op":"and","inner":[]}"#;
const TENTH: &str = r#"{"type":"sampleRate","value":0.1}"#;
const HALF: &str = r#"{"type":"sampleRate","value":0.5}"#;
const TWICE: &str = r#"{"type":"factor","value":2}"#;

#[track_caller]
fn check_place(uuid: &str, want: f64) {
    let (place, least) = (place(id(uuid).unwrap()), 1.0 / 4_503_599_627_370_496.0);
    assert!((place - want).abs() <= least, "{uuid}: {place}");
    let at = |share| Rate::of(share).unwrap();
    assert!(sentry_keeps(at(place + least), id(uuid).unwrap()), "{uuid}");
    assert!(!sentry_keeps(at(place), id(uuid).unwrap()), "{uuid}");
}

/// PROTOCOL 7 has these, recomputed twice.
#[test]
fn an_id_stands_where_it_stands_for_a_relay() {
    check_place("4a106cf6b15144eb9131ae7db1a157a3", 0.229_376_399_181_109_52);
    check_place("771a43a4192642f0b136d5159a501700", 0.084_458_025_231_688_88);
    check_place("12c2d058d58442709aa2eca08bf20986", 0.150_354_856_870_017_7);
    check_place("00000000000000000000000000000000", 0.217_230_146_493_197_83);
    check_place("ffffffffffffffffffffffffffffffff", 0.466_700_089_897_549_3);
}

/// What follows from rules for a transaction `checkout` of a trace from release 1.0 in staging.
#[track_caller]
fn check(all: &[String], want: ControlFlow<f64, f64>) {
    let read = rules(&set(all)).unwrap_or_else(|| panic!("nothing is certain in {all:?}"));
    let facts = Facts {
        trace: Words {
            release: Some("1.0"),
            environment: Some("staging"),
            transaction: None,
        },
        event: Words {
            transaction: Some("checkout"),
            ..Words::default()
        },
    };
    let own = read.ask(Level::Transaction, 1.0, &facts, 500);
    let told = match own {
        ControlFlow::Break(rate) => ControlFlow::Break(rate),
        ControlFlow::Continue(factor) => read.ask(Level::Trace, factor, &facts, 500),
    };
    let told = match told {
        ControlFlow::Break(rate) => ControlFlow::Break(rate.share()),
        ControlFlow::Continue(factor) => ControlFlow::Continue(factor),
    };
    assert_eq!(told, want, "{all:?}");
}

#[test]
fn the_first_rate_that_matches_ends_it_and_factors_before_it_count() {
    use ControlFlow::{Break, Continue};
    check(&[one("trace", TENTH, ALL)], Break(0.1));
    check(
        &[one("trace", TENTH, ALL), one("trace", HALF, ALL)],
        Break(0.1),
    );
    // Those of the transaction go before those of its trace, wherever they stand.
    check(
        &[one("trace", TENTH, ALL), one("transaction", HALF, ALL)],
        Break(0.5),
    );
    check(
        &[one("trace", TENTH, ALL), one("transaction", TWICE, ALL)],
        Break(0.2),
    );
    check(
        &[one("trace", TWICE, ALL), one("trace", HALF, ALL)],
        Break(1.0),
    );
    let ten = r#"{"type":"factor","value":10}"#;
    check(
        &[one("trace", ten, ALL), one("trace", HALF, ALL)],
        Break(1.0),
    );
    check(&[one("trace", TWICE, ALL)], Continue(2.0));
}

#[test]
fn a_rule_is_on_what_its_condition_says() {
    let holds = |condition: &str, holds: bool| {
        let want = match holds {
            true => ControlFlow::Break(0.1),
            false => ControlFlow::Continue(1.0),
        };
        check(&[one("transaction", TENTH, condition)], want);
    };
    let eq = |name: &str, value: &str, more: &str| {
        format!(r#"{{"op":"eq","name":"{name}","value":{value}{more}}}"#)
    };
    holds(&eq("trace.release", "\"1.0\"", ""), true);
    holds(&eq("trace.release", "[\"2.0\",\"1.0\"]", ""), true);
    holds(&eq("trace.release", "[]", ""), false);
    holds(&eq("trace.release", "\"1.1\"", ""), false);
    holds(&eq("event.release", "\"1.0\"", ""), false);
    holds(&eq("event.transaction", "\"checkout\"", ""), true);
    let ignores = r#","options":{"ignoreCase":true}"#;
    holds(&eq("trace.environment", "\"Staging\"", ""), false);
    holds(&eq("trace.environment", "\"Staging\"", ignores), true);
    let glob = r#"{"op":"glob","name":"trace.environment","value":["prod*","stag*"]}"#;
    holds(glob, true);
    let other = r#"{"op":"glob","name":"trace.transaction","value":["*"]}"#;
    holds(other, false);
    let join =
        |op: &str, inner: &[&str]| format!(r#"{{"op":"{op}","inner":[{}]}}"#, inner.join(","));
    holds(&join("and", &[glob, other]), false);
    holds(&join("or", &[glob, other]), true);
    holds(&join("or", &[]), false);
    holds(&format!(r#"{{"op":"not","inner":{other}}}"#), true);
    holds(&format!(r#"{{"op":"not","inner":{glob}}}"#), false);
}

#[test]
fn a_rule_has_its_time_and_may_fade() {
    let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap().to_string();
    let timed = |from: i64, until: i64, fades: &str| {
        let all = one("trace", HALF, ALL);
        let all = all.strip_suffix('}').unwrap();
        let range = format!(
            r#""timeRange":{{"start":"{}","end":"{}"}}"#,
            at(from),
            at(until)
        );
        vec![format!("{all},{range}{fades}}}")]
    };
    check(&timed(500, 900, ""), ControlFlow::Break(0.5));
    check(&timed(501, 900, ""), ControlFlow::Continue(1.0));
    check(&timed(0, 500, ""), ControlFlow::Break(0.5));
    check(&timed(0, 499, ""), ControlFlow::Continue(1.0));
    let constant = r#","decayingFn":{"type":"constant"}"#;
    check(&timed(0, 1000, constant), ControlFlow::Break(0.5));
    let linear = r#","decayingFn":{"type":"linear","decayedValue":0.25}"#;
    check(&timed(0, 1000, linear), ControlFlow::Break(0.375));
}

#[track_caller]
fn check_uncertain(rule: &str) {
    let both = set(&[one("trace", TENTH, ALL), rule.to_owned()]);
    assert_eq!(told(&both), StateSampling::Uncertain, "{rule}");
}

/// Who leaves out more than Sentry would loses what nobody can bring back.
#[test]
fn a_set_in_which_something_is_not_certain_is_uncertain_and_not_none() {
    check_uncertain("1");
    check_uncertain(&one("project", TENTH, ALL));
    for value in [
        r#"{"type":"reservoir","limit":10}"#,
        r#"{"type":"minimumSampleRate","value":0.5}"#,
        r#"{"type":"sampleRate","value":"0.5"}"#,
        r#"{"type":"sampleRate","value":-0.1}"#,
        r#"{"type":"sampleRate"}"#,
    ] {
        check_uncertain(&one("trace", value, ALL));
    }
    for condition in [
        r#"{"op":"gt","name":"event.duration","value":1}"#,
        r#"{"op":"eq","name":"event.user.id","value":"1"}"#,
        r#"{"op":"eq","name":"trace.release","value":null}"#,
        r#"{"op":"eq","name":"trace.release","value":["a",1]}"#,
        r#"{"op":"glob","name":"trace.release","value":["[a"]}"#,
        r#"{"op":"and"}"#,
        r#"{"op":"not","inner":[]}"#,
        "{}",
    ] {
        check_uncertain(&one("trace", TENTH, condition));
    }
    let linear = r#""decayingFn":{"type":"linear","decayedValue":0.3}"#;
    let all = one("trace", TENTH, ALL);
    let timeless = format!("{},{linear}}}", all.strip_suffix('}').unwrap());
    check_uncertain(&timeless);
    let deep = (0..NESTING_MAX).fold(ALL.to_owned(), |inner, _| {
        format!(r#"{{"op":"not","inner":{inner}}}"#)
    });
    check_uncertain(&one("trace", TENTH, &deep));
    let many = vec![one("trace", TENTH, ALL); RULES_MAX];
    assert!(rules(&set(&many)).is_some());
    let over = set(&[many, vec![all.clone()]].concat());
    assert_eq!(told(&over), StateSampling::Uncertain);
    for version in ["1", "3", "\"2\"", "null"] {
        let other = format!(r#"{{"version":{version},"rules":[{all}]}}"#);
        assert_eq!(told(&other), StateSampling::Uncertain, "{version}");
    }
    let older = format!(r#"{{"rulesV2":[{all}]}}"#);
    assert_eq!(told(&older), StateSampling::Uncertain);
}

#[test]
fn no_rules_are_nothing_to_tell_of() {
    for none in [
        "null",
        "{}",
        "[]",
        r#"{"version":2,"rules":[]}"#,
        r#"{"version":9}"#,
    ] {
        assert_eq!(told(none), StateSampling::Silent, "{none}");
    }
}

#[test]
fn what_a_rule_goes_by_is_known() {
    let named = r#"{"op":"not","inner":{"op":"eq","name":"event.release","value":"1"}}"#;
    let read = rules(&set(&[
        one("trace", TENTH, ALL),
        one("transaction", TENTH, named),
    ]))
    .unwrap();
    assert!(read.has(Level::Trace) && read.has(Level::Transaction));
    assert!(read.reads(Level::Transaction) && !read.reads(Level::Trace));
}
