//! The rings: what a frame holds, how many there are, and what is told of them.

use super::*;

const COLUMNS: [Column; 3] = [
    Column {
        family: "items",
        label: "error",
        kind: Kind::Sum,
    },
    Column {
        family: "open",
        label: "all",
        kind: Kind::Level,
    },
    Column {
        family: "took_us",
        label: "event",
        kind: Kind::Durations,
    },
];

/// So many items since the start, so many open now, so many quick requests since the start.
fn reading(items: u64, open: u64, quick: u64) -> Reading {
    let mut values = vec![items, open];
    values.push(quick);
    values.resize(2 + SLOTS, 0);
    Reading {
        columns: COLUMNS.to_vec(),
        values,
    }
}

fn after(readings: u64) -> History {
    let mut history = History::new(0, Reading::default());
    for number in 1..=readings {
        let now_ms = number * FINE_MS;
        history.note(now_ms, 1_000_000 + now_ms, reading(number * 3, number, 0));
    }
    history
}

#[test]
fn a_frame_is_what_was_counted_since_the_one_before() {
    let mut history = History::new(500, Reading::default());
    history.note(2_500, 10_000, reading(7, 4, 0));
    history.note(4_600, 12_100, reading(9, 2, 100));
    assert_eq!(
        history.fine_json(0),
        "[[1,10000,2000,7,4,null,null,null],[2,12100,2100,2,2,250,475,495]]"
    );
    assert_eq!(
        history.columns_json(),
        "[[\"items\",\"error\",\"sum\"],[\"open\",\"all\",\"level\"],\
         [\"took_us\",\"event.p50\",\"quantile\"],[\"took_us\",\"event.p95\",\"quantile\"],\
         [\"took_us\",\"event.p99\",\"quantile\"]]"
    );
}

#[test]
fn what_was_counted_before_the_start_is_in_no_frame() {
    let mut history = History::new(500, reading(1_000_000, 9, 70));
    history.note(2_500, 10_000, reading(1_000_007, 4, 70));
    assert_eq!(history.fine_json(0), "[[1,10000,2000,7,4,null,null,null]]");
}

#[test]
fn what_went_back_counts_as_nothing() {
    let mut history = History::new(0, Reading::default());
    history.note(2_000, 0, reading(9, 0, 0));
    history.note(4_000, 0, reading(5, 0, 0));
    history.note(6_000, 0, reading(6, 0, 0));
    let counted: Vec<u64> = history.fine.iter().map(|frame| frame.values[0]).collect();
    assert_eq!(counted, [9, 0, 1]);
}

#[test]
fn fifteen_fine_frames_are_a_coarse_one() {
    let history = after(FOLDED - 1);
    assert_eq!(history.coarse_json(0), "[]", "one is missing");
    let history = after(2 * FOLDED + 3);
    assert_eq!(
        history.coarse_json(0),
        "[[15,1030000,30000,45,15,null,null,null],[30,1060000,30000,45,30,null,null,null]]"
    );
}

#[test]
fn the_rings_never_grow_beyond_their_limits() {
    let history = after(5_000);
    assert_eq!(
        (history.fine.len(), history.coarse.len()),
        (FINE_MAX, COARSE_MAX)
    );
    assert_eq!(history.fine.front().map(|frame| frame.number), Some(4_701));
    assert_eq!(history.number(), 5_000);
}

#[test]
fn whoever_comes_back_hears_what_was_missed_or_that_it_is_gone() {
    let history = after(1_000);
    assert!(history.reaches(1_000), "nothing was missed");
    assert!(history.reaches(700), "all that was missed is here");
    assert!(!history.reaches(699), "frame 700 is gone");
    assert!(!history.reaches(1_001), "this edge never told it");
    assert_eq!(history.fine_json(1_000), "[]");
    assert_eq!(
        history.fine_json(999),
        "[[1000,3000000,2000,3,1000,null,null,null]]"
    );
}
