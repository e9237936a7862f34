//! Which are kept: whole traces, whole replays, and as many as were asked for.

use std::time::Duration;

use super::*;
use crate::domain::category::{Categories, Category};
use crate::domain::glob::Glob;
use crate::domain::sampling::{self, Rate, Rule};

const TRACE: &str = "4a106cf6b15144eb9131ae7db1a157a3";

/// Where that trace stands (DESIGN trap 13).
const STANDS: f64 = 0.410_537_790_940_827_54;

const REPEAT: Repeat = Repeat {
    first: 1,
    then: 2,
    per: Duration::from_secs(1),
};

fn glob(text: &str) -> Glob {
    Glob::parse(text).unwrap()
}

fn rate(share: f64) -> Rate {
    Rate::of(share).unwrap()
}

fn sample(category: Category, share: f64) -> Sample {
    Sample {
        rules: Vec::new(),
        categories: vec![(Categories::of(&[category]), rate(share))],
    }
}

fn rule(environment: Option<&str>, release: Option<&str>, share: f64) -> Rule {
    Rule {
        categories: Categories::of(&[Category::Transaction]),
        environment: environment.map(glob),
        release: release.map(glob),
        rate: rate(share),
    }
}

fn trace(id: Option<&str>) -> Trace {
    Trace {
        id: id.map(|id| sampling::id(id).unwrap()),
        ..Trace::NOTHING
    }
}

#[track_caller]
fn check(sample: &Sample, kind: ItemKind, trace: &Trace, event: Option<&str>, kept: bool) {
    let event = event.map(|json| Event::read(json.as_bytes()).unwrap());
    let rates = Rates::new(sample);
    let about = About {
        trace,
        event: event.as_ref(),
        draw: 0,
    };
    let is = keeps(rates.of(kind, &about), kind, &about);
    assert_eq!(is, kept, "{kind:?}");
}

#[test]
fn a_rate_decides_by_the_trace_and_on_both_sides_of_where_it_stands() {
    let trace = trace(Some(TRACE));
    for kind in [ItemKind::Transaction, ItemKind::Span, ItemKind::Event] {
        let category = kind.category();
        check(&sample(category, STANDS), kind, &trace, None, false);
        check(&sample(category, STANDS + 1e-12), kind, &trace, None, true);
        check(&sample(category, 0.0), kind, &trace, None, false);
        check(&sample(category, 1.0), kind, &trace, None, true);
    }
    check(
        &sample(Category::Error, 0.0),
        ItemKind::Transaction,
        &trace,
        None,
        true,
    );
    check(
        &Sample::default(),
        ItemKind::Transaction,
        &trace,
        None,
        true,
    );
}

#[test]
fn line_one_says_which_trace_then_the_event_then_ids_stand_in() {
    let sample = sample(Category::Transaction, 0.4);
    // Zero stands at 0.389: kept, where the trace is not.
    let zero = "00000000000000000000000000000000";
    let kind = ItemKind::Transaction;
    let of_trace = |id: &str| format!(r#"{{"contexts":{{"trace":{{"trace_id":"{id}"}}}}}}"#);
    check(
        &sample,
        kind,
        &trace(Some(TRACE)),
        Some(&of_trace(zero)),
        false,
    );
    check(&sample, kind, &trace(None), Some(&of_trace(TRACE)), false);
    check(&sample, kind, &trace(None), Some(&of_trace(zero)), true);
    let by_event = Trace {
        event_id: sampling::id(TRACE),
        ..Trace::NOTHING
    };
    check(&sample, kind, &by_event, Some(&of_trace(zero)), true);
    check(&sample, kind, &by_event, Some("{}"), false);
    let own = format!(r#"{{"event_id":"{TRACE}"}}"#);
    check(&sample, kind, &trace(None), Some(&own), false);
    check(&sample, kind, &trace(None), None, true);
}

#[test]
fn a_replay_and_a_profilers_run_are_kept_or_left_out_whole() {
    let replays = sample(Category::Replay, 0.4);
    let of = |id: &str| format!(r#"{{"replay_id":"{id}","event_id":"{}"}}"#, "1".repeat(32));
    for kind in [ItemKind::ReplayEvent, ItemKind::ReplayRecording] {
        check(&replays, kind, &trace(None), Some(&of(TRACE)), false);
        check(
            &replays,
            kind,
            &trace(Some("0".repeat(32).as_str())),
            Some(&of(TRACE)),
            false,
        );
        let by_envelope = Trace {
            event_id: sampling::id(TRACE),
            ..Trace::NOTHING
        };
        check(&replays, kind, &by_envelope, None, false);
    }
    let profiles = sample(Category::ProfileChunk, 0.4);
    let of = |id: &str| {
        format!(
            r#"{{"profiler_id":"{id}","chunk_id":"{}"}}"#,
            "1".repeat(32)
        )
    };
    check(
        &profiles,
        ItemKind::ProfileChunk,
        &trace(None),
        Some(&of(TRACE)),
        false,
    );
    check(
        &profiles,
        ItemKind::ProfileChunk,
        &trace(None),
        Some(&of(&"0".repeat(32))),
        true,
    );
}

#[test]
fn what_counts_or_tells_of_others_is_never_sampled() {
    let mut all = Sample::default();
    all.rules.push(Rule {
        categories: Categories::EMPTY,
        environment: None,
        release: None,
        rate: rate(0.0),
    });
    for kind in ItemKind::ALL {
        let whole = [ItemKind::Session, ItemKind::CheckIn, ItemKind::ClientReport].contains(kind);
        check(&all, *kind, &trace(Some(TRACE)), None, whole);
        assert_eq!(Rates::may(kind.category()), !whole);
    }
}

#[test]
fn the_first_rule_that_matches_decides_and_before_it_what_the_trace_says() {
    let mut sample = sample(Category::Transaction, 1.0);
    sample.rules = vec![
        rule(Some("stag*"), Some("shop@2*"), 0.0),
        rule(Some("stag*"), None, 1.0),
        rule(None, Some("*beta"), 0.0),
    ];
    let part = |environment: Option<&str>, release: Option<&str>| Trace {
        environment: environment.map(Box::from),
        release: release.map(Box::from),
        ..trace(Some(TRACE))
    };
    let kind = ItemKind::Transaction;
    check(
        &sample,
        kind,
        &part(Some("staging"), Some("shop@2.1")),
        None,
        false,
    );
    check(
        &sample,
        kind,
        &part(Some("staging"), Some("shop@1.1-beta")),
        None,
        true,
    );
    check(
        &sample,
        kind,
        &part(Some("prod"), Some("shop@1.1-beta")),
        None,
        false,
    );
    check(&sample, kind, &part(Some("prod"), None), None, true);
    let own = r#"{"release":"shop@1-beta","environment":"staging"}"#;
    check(&sample, kind, &part(None, None), Some(own), true);
    check(&sample, kind, &part(Some("prod"), None), Some(own), false);
    let of_another = ItemKind::Event;
    check(&sample, of_another, &part(None, Some("1-beta")), None, true);
    let rates = Rates::new(&sample);
    for (environment, release, want) in [
        (Some("staging"), Some("shop@2.1"), "rules[0]"),
        (Some("prod"), Some("1-beta"), "rules[2]"),
        (Some("prod"), None, "transaction"),
    ] {
        let about = About {
            trace: &part(environment, release),
            event: None,
            draw: 0,
        };
        let (_, key) = rates.decides(kind, &about).unwrap();
        assert_eq!(key.to_string(), want);
    }
}

#[test]
fn a_payload_is_read_only_where_something_is_missing() {
    let read = |sample: &Sample, kind, trace: &Trace| Rates::new(sample).read(kind, trace);
    let half = sample(Category::Transaction, 0.5);
    let known = trace(Some(TRACE));
    assert!(!read(&half, ItemKind::Transaction, &known));
    assert!(read(&half, ItemKind::Transaction, &trace(None)));
    assert!(
        !read(&half, ItemKind::Event, &trace(None)),
        "no rate for it"
    );
    for certain in [0.0, 1.0] {
        let certain = sample(Category::Transaction, certain);
        assert!(!read(&certain, ItemKind::Transaction, &trace(None)));
    }
    assert!(read(
        &sample(Category::Replay, 0.5),
        ItemKind::ReplayEvent,
        &known
    ));
    assert!(read(
        &sample(Category::ProfileChunk, 0.5),
        ItemKind::ProfileChunk,
        &known
    ));
    // What says nothing of itself is not copied for it.
    for (category, kind) in [
        (Category::Replay, ItemKind::ReplayRecording),
        (Category::Error, ItemKind::CrashAttachment),
        (Category::LogItem, ItemKind::Log),
    ] {
        assert!(
            !read(&sample(category, 0.5), kind, &trace(None)),
            "{kind:?}"
        );
    }
    let mut ruled = Sample::default();
    ruled.rules.push(rule(Some("prod"), None, 0.0));
    assert!(read(&ruled, ItemKind::Transaction, &known));
    let placed = Trace {
        environment: Some("prod".into()),
        ..known
    };
    assert!(!read(&ruled, ItemKind::Transaction, &placed));
}

/// Ids as SDKs draw them, of one seed (SplitMix64).
struct Ids(u64);

impl Ids {
    fn half(&mut self) -> u128 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        u128::from(word ^ word >> 31)
    }

    fn next(&mut self) -> u128 {
        self.half() << 64 | self.half()
    }
}

/// Two edges know nothing of each other, and a hundred thousand traces.
#[test]
fn a_hundred_thousand_traces_at_a_tenth_are_a_tenth_and_the_same_everywhere() {
    let seed = 0x5eed_u64;
    println!("seed {seed:#x}");
    let mut ids = Ids(seed);
    let edges = [(); 2].map(|()| Rates::new(&sample(Category::Transaction, 0.1)));
    let mut kept = 0_u32;
    for _ in 0..100_000 {
        let trace = Trace {
            id: Some(ids.next()),
            ..Trace::NOTHING
        };
        let about = About {
            trace: &trace,
            event: None,
            draw: ids.next(),
        };
        let kind = ItemKind::Transaction;
        let [here, there] = [0, 1].map(|edge: usize| {
            let rates: &Rates = &edges[edge];
            keeps(rates.of(kind, &about), kind, &about)
        });
        assert_eq!(here, there, "{trace:?}");
        kept += u32::from(here);
    }
    // Six standard deviations of 100,000 throws at a tenth: one in a billion goes beyond.
    assert!((9_431..=10_569).contains(&kept), "{kept} of 100000");
}

#[test]
fn a_project_replaces_each_default_whole() {
    let [one, two, three] = [1_u64, 2, 3].map(|id| ProjectId::parse(id.to_string().as_bytes()));
    let own_sample = sample(Category::Error, 0.5);
    let nothing = filter::Filters::default();
    let own = [
        Own {
            project: one.unwrap(),
            filters: Some(&nothing),
            sample: None,
            repeats: Some(None),
            sentry: None,
        },
        Own {
            project: two.unwrap(),
            filters: None,
            sample: Some(&own_sample),
            repeats: None,
            sentry: None,
        },
    ];
    let some = filter::Filters {
        localhost: true,
        ..filter::Filters::default()
    };
    let wanted = Wanted::new(
        &some,
        &sample(Category::Transaction, 0.5),
        Some(REPEAT),
        own,
    );
    let says = |project| {
        let wishes = wanted.of(project);
        let share = |kind: ItemKind| {
            let about = About {
                trace: &Trace::NOTHING,
                event: None,
                draw: 0,
            };
            wishes.rates.of(kind, &about).share()
        };
        let rates = (share(ItemKind::Transaction), share(ItemKind::Event));
        (wishes.filters.is_empty(), rates, wishes.repeats)
    };
    assert_eq!(says(one), (true, (0.5, 1.0), None));
    assert_eq!(says(two), (false, (1.0, 0.5), Some(REPEAT)));
    for follower in [three, None] {
        assert_eq!(says(follower), (false, (0.5, 1.0), Some(REPEAT)));
    }
    assert!(Wanted::default().of(one).is_empty());
}
