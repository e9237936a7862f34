//! What a crash cannot do: admit anything twice, or hold back more than a hundredth.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn journalling(spec: &QuotaSpec) -> Limiter {
    let limiter = Limiter::new(spec);
    limiter.counters.enable_journal();
    limiter
}

fn sole(limit: u64, by: By) -> QuotaSpec {
    defaults(&[quota("a", ERROR, limit, MINUTE, by)])
}

#[test]
fn without_a_journal_and_for_what_none_keeps_nothing_is_asked() {
    let load = items(ERROR, 1);
    let asked = |limiter: &Limiter| {
        let granted = limiter.charge(at(0), &who(1, 1, 1), &load).unwrap();
        granted.unreserved.len() + granted.ahead.len()
    };
    assert_eq!(asked(&Limiter::new(&sole(5, By::Project))), 0);
    assert_eq!(asked(&journalling(&sole(5, By::Ip))), 0);
    assert_eq!(
        asked(&journalling(&defaults(&[quota(
            "r",
            ERROR,
            5,
            SECOND,
            By::Key
        )]))),
        0
    );
    assert_eq!(asked(&journalling(&sole(5, By::Key))), 1);
}

#[test]
fn a_mark_is_one_step_ahead_and_asked_for_before_it_is_needed() {
    let limiter = journalling(&sole(1000, By::Project));
    let charge = || {
        limiter
            .charge(at(0), &who(1, 1, 1), &items(ERROR, 1))
            .unwrap()
    };
    let first = charge().unreserved.remove(0);
    assert_eq!(
        first.identity().to_string(),
        "default/a/1m/project:project=1"
    );
    let mark = first.next_mark().unwrap();
    assert_eq!(mark.used, 11);
    assert!(!first.is_covered());
    first.reserved(mark);
    assert!(first.is_covered());
    let asked: Vec<_> = (2..=12)
        .map(|_| charge())
        .map(|granted| (granted.unreserved.len(), granted.ahead.len()))
        .collect();
    let quiet = (0, 0);
    let mut want = vec![quiet; 11];
    want[5] = (0, 1);
    want[10] = (1, 0);
    assert_eq!(asked, want, "used 2 to 12 under a mark of 11");
}

#[test]
fn a_mark_never_lies_above_the_limit_and_small_limits_are_exact() {
    for (limit, charged, used) in [(99, 50, 50), (100, 50, 51), (1000, 995, 1000), (9, 9, 9)] {
        let limiter = journalling(&sole(limit, By::Key));
        let granted = limiter
            .charge(at(0), &who(1, 1, 1), &items(ERROR, charged))
            .unwrap();
        let mark = granted.unreserved[0].next_mark().unwrap();
        assert_eq!(mark.used, used, "{charged} of {limit}");
    }
}

#[test]
fn what_was_written_counts_again_whether_quotas_or_marks_come_first() {
    let spec = QuotaSpec {
        global: vec![quota("g", ERROR, 9, HOUR, By::Project)],
        defaults: vec![
            quota("d", ERROR, 8, HOUR, By::Project),
            quota("k", ERROR, 7, HOUR, By::Key),
        ],
        projects: vec![(project(3), None)],
        ..QuotaSpec::default()
    };
    let before = journalling(&spec);
    assert_eq!(before.passes(at(0), &who(3, 1, 1), 4), 4);
    assert_eq!(before.passes(at(0), &who(4, 2, 1), 2), 2);
    let marks = before.counters.marks(at(0));
    let restore = |counters: &Counters| {
        for mark in &marks {
            let (window, used) = (mark.window, mark.used);
            assert!(counters.restore(&mark.identity().to_string(), Mark { window, used }));
        }
    };
    let first = counters();
    restore(&first);
    let quotas = Quotas::compile(&spec, &first);
    let mut after = Limiter::new(&spec);
    restore(&after.counters);
    for limiter in [
        &Limiter {
            counters: first,
            quotas,
        },
        &after,
    ] {
        let room = |sender: Who| {
            let applying = limiter.quotas.of(&sender);
            let fits = |count: &u64| {
                applying
                    .look(at(0), &items(ERROR, *count), &limiter.counters)
                    .is_none()
            };
            (0..20).take_while(fits).last().unwrap()
        };
        assert_eq!(room(who(3, 1, 1)), 3);
        assert_eq!(room(who(3, 9, 1)), 3);
        assert_eq!(room(who(4, 2, 1)), 3);
        assert_eq!(room(who(5, 1, 1)), 3);
    }
    after.reload(&spec);
    assert_eq!(
        after.passes(at(0), &who(5, 5, 1), 9),
        3,
        "nine in all, six are used"
    );
    assert_eq!(
        after.passes(at(3_600_000), &who(5, 5, 1), 9),
        7,
        "an hour later"
    );
}

#[test]
fn a_line_that_this_process_would_not_write_is_refused() {
    let counters = counters();
    let mark = Mark { window: 1, used: 1 };
    assert!(counters.restore("global/a/1h/project", mark));
    for line in [
        "",
        "global/a/1s/project",
        "global/a/1h/ip:rest",
        "a b",
        "global/a/1h/project:x",
    ] {
        assert!(!counters.restore(line, mark), "{line:?} was taken");
    }
}

#[test]
fn of_several_marks_the_highest_of_the_latest_window_stands() {
    let window = NEW_YEAR_S / 60;
    let spec = global(&[quota("a", ERROR, 10, MINUTE, By::Project)]);
    let mut lines = [(window, 5), (window, 7), (window - 1, 9), (window, 6)];
    for _ in 0..lines.len() {
        lines.rotate_left(1);
        let limiter = Limiter::new(&spec);
        for (window, used) in lines {
            let mark = Mark { window, used };
            assert!(limiter.counters.restore("global/a/1m/project", mark));
        }
        assert_eq!(limiter.passes(at(0), &who(1, 1, 1), 20), 3, "{lines:?}");
    }
}

#[derive(Debug, Clone)]
enum Event {
    Charge {
        key: u64,
        items: u64,
    },
    /// The journal writes what the oldest waiting charge asks for.
    Write,
    Wait {
        seconds: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..2_u64, 1..30_u64).prop_map(|(key, items)| Event::Charge { key, items }),
        4 => Just(Event::Write),
        1 => (1..30_u64).prop_map(|seconds| Event::Wait { seconds }),
    ]
}

proptest! {
    #[test]
    fn a_crash_at_any_point_admits_nothing_twice_and_holds_back_a_hundredth(
        limit in prop_oneof![1..100_u64, 100..2000_u64],
        events in prop::collection::vec(event(), 1..120),
    ) {
        let spec = sole(limit, By::Key);
        let limiter = journalling(&spec);
        let mut now_ms = 0;
        // What is on disk; what waits for it; what was sent on, by key and window.
        let mut disk: Vec<(String, Mark)> = Vec::new();
        let mut waiting: Vec<(u64, u64, u64, Unreserved)> = Vec::new();
        let mut forwarded: HashMap<(u64, u64), u64> = HashMap::new();
        for event in events {
            let window = at(now_ms).unix_s / 60;
            match event {
                Event::Charge { key, items: count } => {
                    let granted = limiter.charge(at(now_ms), &who(1, key, 1), &items(ERROR, count));
                    match granted.map(|granted| granted.unreserved.into_iter().next()) {
                        Ok(Some(asked)) => waiting.push((key, window, count, asked)),
                        Ok(None) => *forwarded.entry((key, window)).or_default() += count,
                        Err(_) => {}
                    }
                }
                Event::Write => {
                    let first = waiting.first().map(|(_, _, _, asked)| asked);
                    if let Some((asked, mark)) = first.and_then(|asked| Some((asked, asked.next_mark()?))) {
                        disk.push((asked.identity().to_string(), mark));
                        asked.reserved(mark);
                    }
                    waiting.retain(|(key, window, count, asked)| {
                        let covered = asked.is_covered() || asked.next_mark().is_none();
                        if covered {
                            *forwarded.entry((*key, *window)).or_default() += count;
                        }
                        !covered
                    });
                }
                Event::Wait { seconds } => now_ms += seconds * 1000,
            }
            let window = at(now_ms).unix_s / 60;
            let next = Limiter::new(&spec);
            for (identity, mark) in &disk {
                prop_assert!(next.counters.restore(identity, *mark));
            }
            let used = |limiter: &Limiter, key: u64| {
                let marks = limiter.counters.marks(at(now_ms));
                let mine = format!("key={}", super::key(key).as_str());
                let mut mine = marks.iter().filter(|live| live.identity().to_string().ends_with(&mine));
                mine.next().map_or(0, |live| live.used)
            };
            for key in 0..2 {
                let (before, after) = (used(&limiter, key), used(&next, key));
                let sent = forwarded.get(&(key, window)).copied().unwrap_or_default();
                prop_assert!(after >= sent, "{} sent, {} remembered", sent, after);
                prop_assert!(after <= before + limit / 100, "{} used, {} remembered", before, after);
                prop_assert!(after <= limit);
            }
        }
    }
}
