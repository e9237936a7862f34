//! Whose rules count for a transaction, and what is kept for want of knowing.

use super::*;
use crate::domain::project_state::ProjectState;

/// Stands at 0.229 for Sentry (PROTOCOL 7).
const LOW: &str = "4a106cf6b15144eb9131ae7db1a157a3";

/// Stands at 0.467.
const HIGH: &str = "ffffffffffffffffffffffffffffffff";

const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

fn key(text: &str) -> Key {
    Key::parse(text.as_bytes()).unwrap()
}

fn sampling(level: &str, value: f64, condition: &str) -> StateSampling {
    let kind = if value > 1.0 { "factor" } else { "sampleRate" };
    let text = format!(
        r#"{{"config":{{"sampling":{{"version":2,"rules":[{{"type":"{level}",
        "samplingValue":{{"type":"{kind}","value":{value}}},"condition":{condition}}}]}}}}}}"#
    );
    ProjectState::read(&text).unwrap().sampling
}

const ALL: &str = r#"{"op":"and","inner":[]}"#;
const NAMED: &str = r#"{"op":"glob","name":"event.transaction","value":"/health*"}"#;

fn roots(organization: u64, said: &StateSampling) -> Arc<Roots> {
    Arc::new(Roots::new(
        [(key(KEY), organization, said.clone())].into_iter(),
    ))
}

const SILENT: &StateSampling = &StateSampling::Silent;

fn line(trace: &str, root: &str) -> Trace {
    let line = format!(
        r#"{{"event_id":"{HIGH}","trace":{{"trace_id":"{trace}","public_key":"{root}","release":"1"}}}}"#
    );
    Trace::read_whole(line.as_bytes())
}

/// The share at which a transaction is left out, if it is.
#[track_caller]
fn check(rules: Option<&SentryRules>, trace: &Trace, event: Option<&str>, want: Option<f64>) {
    let event = event.map(|json| Event::read(json.as_bytes()).unwrap());
    let about = About {
        trace,
        event: event.as_ref(),
        draw: 0,
    };
    let rules = rules.expect("there are rules");
    let left_out = rules.leaves_out(ItemKind::Transaction, &about, 1_700_000_000);
    assert_eq!(left_out.map(Rate::share), want, "{trace:?} {event:?}");
    for kind in [ItemKind::Event, ItemKind::Span, ItemKind::ReplayEvent] {
        assert_eq!(rules.leaves_out(kind, &about, 0), None, "{kind:?}");
        assert!(!rules.read(kind, trace), "{kind:?}");
    }
}

const NOBODY: &str = "b94ae32be2584e0bbd7a4cbb95971fee";

#[test]
fn rules_of_a_trace_are_those_of_where_it_began_in_the_same_organization() {
    let rules = sampling("trace", 0.3, ALL);
    let of = |organization| SentryRules::new(SILENT, organization, &roots(7, &rules));
    check(of(Some(7)).as_ref(), &line(LOW, KEY), None, None);
    check(of(Some(7)).as_ref(), &line(HIGH, KEY), None, Some(0.3));
    check(of(Some(7)).as_ref(), &line(HIGH, NOBODY), None, None);
    check(of(Some(8)).as_ref(), &line(HIGH, KEY), None, None);
    // Without line one nobody says where it began.
    check(of(Some(7)).as_ref(), &Trace::NOTHING, Some("{}"), None);
    assert!(of(None).is_none());
    let none = Arc::new(Roots::default());
    assert!(SentryRules::new(&rules, Some(7), &none).is_none());
}

#[test]
fn rules_of_its_own_project_go_by_what_a_transaction_says_and_by_its_id() {
    let none = Arc::new(Roots::default());
    let rules = sampling("transaction", 0.3, NAMED);
    let rules = SentryRules::new(&rules, None, &none);
    let health = |id: &str| format!(r#"{{"event_id":"{id}","transaction":"/health/x"}}"#);
    let line = line(LOW, KEY);
    check(rules.as_ref(), &line, Some(&health(HIGH)), Some(0.3));
    check(rules.as_ref(), &line, Some(&health(LOW)), None);
    // Line one has the id, too.
    let nameless = r#"{"transaction":"/health/x"}"#;
    check(rules.as_ref(), &line, Some(nameless), Some(0.3));
    check(rules.as_ref(), &Trace::NOTHING, Some(nameless), None);
    let other = format!(r#"{{"event_id":"{HIGH}","transaction":"/"}}"#);
    check(rules.as_ref(), &line, Some(&other), None);
    // What could not be read may be anything.
    check(rules.as_ref(), &line, None, None);
    assert!(rules.unwrap().read(ItemKind::Transaction, &line));
}

#[test]
fn a_factor_of_the_own_project_counts_for_the_rate_of_the_trace() {
    let own = sampling("transaction", 1.5, ALL);
    let roots = roots(7, &sampling("trace", 0.25, ALL));
    let rules = SentryRules::new(&own, Some(7), &roots);
    check(rules.as_ref(), &line(HIGH, KEY), None, Some(0.375));
    check(rules.as_ref(), &line(LOW, KEY), None, None);
    // No rate has the last word.
    check(rules.as_ref(), &line(HIGH, NOBODY), None, None);
}

/// Of a project with rules that nobody understands here Sentry may keep everything, whatever the
/// trace's rate.
#[test]
fn where_the_own_rules_are_not_certain_nobody_elses_leave_anything_out() {
    let own = sampling("transaction", 1.0, r#"{"op":"new"}"#);
    assert_eq!(own, StateSampling::Uncertain);
    let of_trace = sampling("trace", 0.3, ALL);
    assert!(SentryRules::new(&own, Some(7), &roots(7, &of_trace)).is_none());
    // Nor do a trace's: the last word on its project is the one that is not certain.
    let said = |last: &StateSampling| {
        let both = [of_trace.clone(), last.clone()];
        let roots = Roots::new(both.into_iter().map(|said| (key(KEY), 7, said)));
        SentryRules::new(SILENT, Some(7), &Arc::new(roots))
    };
    assert!(said(&own).is_none());
    check(said(SILENT).as_ref(), &line(HIGH, KEY), None, Some(0.3));
}

#[test]
fn a_payload_is_asked_for_where_a_rule_goes_by_it() {
    let read = |condition| {
        let roots = roots(7, &sampling("trace", 0.5, condition));
        let rules = SentryRules::new(SILENT, Some(7), &roots).unwrap();
        rules.read(ItemKind::Transaction, &line(LOW, KEY))
    };
    assert!(read(NAMED) && !read(ALL));
}
