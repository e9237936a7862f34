//! What learned limits promise.

use super::*;
use crate::domain::category::Category;
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

const ALL: Categories = Categories::EMPTY;
const ERRORS: Categories = Categories::of(&[Category::Error]);
const SPANS: Categories = Categories::of(&[Category::Span]);

fn pair(project: u64) -> Pair {
    let key = Key::parse(b"a94ae32be2584e0bbd7a4cbb95971fee").unwrap();
    Pair::new(&key, ProjectId::parse(project.to_string().as_bytes()))
}

fn limit(categories: Categories, for_ms: u64) -> LearnedLimit {
    LearnedLimit {
        categories,
        scope: Scope::Project,
        reason: Some("quota".into()),
        for_ms,
    }
}

/// Learns limits for pair 1 at these milliseconds, and asks for an item's categories.
#[track_caller]
fn check(limits: &[(u64, Categories, u64)], at: u64, item: Categories, left_ms: Option<u64>) {
    let learned = Learned::new(10);
    for (at, categories, for_ms) in limits {
        learned.learn(Millis(*at), pair(1), limit(*categories, *for_ms));
    }
    let covered = learned.covers(Millis(at), &pair(1), item);
    let got = covered.map(|covered| covered.left_ms);
    assert_eq!(got, left_ms, "{limits:?} at {at} for {item:?}");
}

#[test]
fn a_limit_covers_its_categories_until_it_is_over() {
    check(&[(0, ERRORS, 1000)], 0, ERRORS, Some(1000));
    check(&[(0, ERRORS, 1000)], 999, ERRORS, Some(1));
    check(&[(0, ERRORS, 1000)], 1000, ERRORS, None);
    check(&[(0, ERRORS, 1000)], 0, SPANS, None);
    check(&[(0, ERRORS, 0)], 0, ERRORS, None);
    check(&[], 0, ERRORS, None);
}

#[test]
fn a_limit_on_everything_covers_what_has_no_category_too() {
    check(&[(0, ALL, 1000)], 0, SPANS, Some(1000));
    check(&[(0, ALL, 1000)], 0, ALL, Some(1000));
    check(&[(0, ERRORS, 1000)], 0, ALL, None);
    let learned = Learned::new(10);
    learned.learn(Millis(0), pair(1), limit(ERRORS, 1000));
    assert_eq!(learned.covers_all(Millis(0), &pair(1)), None);
    learned.learn(Millis(0), pair(1), limit(ALL, 500));
    let covered = learned.covers_all(Millis(0), &pair(1)).unwrap();
    assert_eq!((covered.left_ms, covered.categories), (500, ALL));
    assert_eq!(covered.reason.as_deref(), Some("quota"));
}

#[test]
fn the_longest_deadline_stands() {
    check(
        &[(0, ERRORS, 1000), (0, ERRORS, 500)],
        0,
        ERRORS,
        Some(1000),
    );
    check(
        &[(0, ERRORS, 500), (100, ERRORS, 600)],
        100,
        ERRORS,
        Some(600),
    );
    check(&[(0, ERRORS, 500), (0, ALL, 900)], 0, ERRORS, Some(900));
}

#[test]
fn a_limit_is_of_one_pair() {
    let learned = Learned::new(10);
    learned.learn(Millis(0), pair(1), limit(ALL, 1000));
    assert_eq!(learned.covers(Millis(0), &pair(2), ERRORS), None);
}

#[test]
fn a_pair_has_sixteen_limits_and_keeps_the_longest() {
    let learned = Learned::new(10);
    let mut ends = 1000;
    for category in &Category::ALL[..20] {
        ends += 1;
        learned.learn(
            Millis(0),
            pair(1),
            limit(Categories::of(&[*category]), ends),
        );
    }
    let kept = |category: &Category| {
        let item = Categories::of(&[*category]);
        learned.covers(Millis(0), &pair(1), item).is_some()
    };
    let kept: Vec<bool> = Category::ALL[..20].iter().map(kept).collect();
    assert_eq!(kept, [vec![false; 4], vec![true; 16]].concat());
    learned.learn(
        Millis(0),
        pair(1),
        limit(Categories::of(&[Category::Default]), 1),
    );
    assert!(!kept.is_empty() && learned.table().entries == 1);
}

#[test]
fn a_full_table_keeps_whom_it_has_and_makes_room_in_time() {
    let learned = Learned::new(2);
    for project in 1..=3 {
        learned.learn(Millis(0), pair(project), limit(ALL, 1000));
    }
    assert!(learned.covers_all(Millis(0), &pair(1)).is_some());
    assert!(learned.covers_all(Millis(0), &pair(2)).is_some());
    assert_eq!(learned.covers_all(Millis(0), &pair(3)), None);
    learned.sweep(Millis(999));
    assert_eq!(learned.table().entries, 2);
    learned.sweep(Millis(1000));
    assert_eq!(learned.table().entries, 0);
    learned.learn(Millis(1000), pair(3), limit(ALL, 1000));
    assert!(learned.covers_all(Millis(1000), &pair(3)).is_some());
}

#[test]
fn an_upstreams_long_reason_is_cut_between_characters() {
    let learned = Learned::new(1);
    let reason = Some("ä".repeat(40).into());
    let long = LearnedLimit {
        reason,
        ..limit(ALL, 5)
    };
    learned.learn(Millis(0), pair(1), long);
    let covered = learned.covers_all(Millis(0), &pair(1)).unwrap();
    assert_eq!(covered.reason.unwrap().len(), 64);
}

#[test]
fn what_is_held_counts_pairs_and_knows_the_longest() {
    let learned = Learned::new(10);
    assert_eq!(learned.held(Millis(0)), Held::default());
    learned.learn(Millis(0), pair(1), limit(ERRORS, 1000));
    learned.learn(Millis(0), pair(1), limit(SPANS, 3000));
    learned.learn(Millis(0), pair(2), limit(ALL, 2000));
    let held = |now| {
        let held = learned.held(Millis(now));
        (held.pairs, held.longest_ms)
    };
    assert_eq!(held(500), (2, 2500));
    assert_eq!(held(2000), (1, 1000), "one is over, and not swept yet");
    assert_eq!(held(3000), (0, 0));
}
