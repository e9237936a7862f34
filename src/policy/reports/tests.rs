//! What is gathered, merged, told and put back; hours are added, never waited for.

mod untold;

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;
use crate::policy::millis::Millis;
use crate::policy::pair::Pair;

const HOUR: u64 = 3_600_000;
/// Seconds of Unix time at the edge's own 0.
const EPOCH_S: u64 = 1_700_000_000;

fn pair(number: u64) -> Pair {
    let key = Key::parse(format!("{number:032x}").as_bytes()).unwrap();
    Pair::new(&key, ProjectId::parse(b"42"))
}

fn limited(limit: &str, items: u64) -> Dropped<'_> {
    Dropped {
        reason: Reason::Quota,
        limit: Some(limit),
        category: Category::Error,
        items,
        bytes: 10 * items,
    }
}

fn of(reason: Reason, category: Category) -> Dropped<'static> {
    Dropped {
        reason,
        limit: None,
        category,
        items: 1,
        bytes: 100,
    }
}

fn gathered(all: &[(u64, Dropped<'_>)]) -> Gathered {
    let mut gathered = Gathered::default();
    for (number, dropped) in all {
        gathered.add(pair(*number), Standing::Vouched, *dropped);
    }
    gathered
}

/// What reports say, as `list reason category`, in sums, and at which seconds.
fn said(reports: &[Report], now: Millis) -> (BTreeMap<String, u64>, Vec<u64>) {
    let (mut sums, mut times) = (BTreeMap::new(), Vec::new());
    for report in reports {
        let envelope = report.envelope(now, EPOCH_S + now.seconds());
        let payload = envelope.split(|byte| *byte == b'\n').nth(2).unwrap();
        let payload: Value = serde_json::from_slice(payload).unwrap();
        for (list, entries) in payload.as_object().unwrap() {
            match entries.as_array() {
                Some(entries) => entries.iter().for_each(|entry| {
                    let word = |name: &str| entry[name].as_str().unwrap().to_owned();
                    let name = format!("{list} {} {}", word("reason"), word("category"));
                    *sums.entry(name).or_default() += entry["quantity"].as_u64().unwrap();
                }),
                None => times.push(entries.as_u64().unwrap() - EPOCH_S),
            }
        }
    }
    (sums, times)
}

#[track_caller]
fn check(pending: &mut Pending, now: Millis, want: &[(&str, u64)]) {
    let reports = pending.take(usize::MAX, |_| true);
    let (sums, _) = said(&reports, now);
    let want: BTreeMap<_, _> = want
        .iter()
        .map(|(name, n)| ((*name).to_owned(), *n))
        .collect();
    assert_eq!(sums, want);
}

#[test]
fn like_is_added_to_like_over_all_threads() {
    let mut pending = Pending::default();
    for _ in 0..2 {
        let more = gathered(&[
            (1, limited("errors-1h", 2)),
            (1, limited("errors-1d", 3)),
            (1, limited("errors-1h", 5)),
            (1, of(Reason::Origin, Category::Attachment)),
        ]);
        pending.merge(Millis(1000), more);
    }
    let want = [
        ("rate_limited_events errors-1h error", 14),
        ("rate_limited_events errors-1d error", 6),
        ("discarded_events invalid attachment", 200),
        ("discarded_events invalid attachment_item", 2),
    ];
    check(&mut pending, Millis(1000), &want);
    check(&mut pending, Millis(1000), &[]);
    assert_eq!(pending.take_lost(), 0);
}

#[test]
fn what_sentry_is_not_told_of_is_not_gathered() {
    let mut all = Gathered::default();
    for reason in [Reason::Upstream429, Reason::ClientGone, Reason::UnknownKey] {
        all.add(pair(1), Standing::Vouched, of(reason, Category::Error));
    }
    for category in [Category::ClientReport, Category::Unknown] {
        all.add(pair(1), Standing::Vouched, of(Reason::Quota, category));
    }
    assert!(all.is_empty());
}

#[test]
fn each_sender_is_told_apart_and_only_of_those_who_are_vouched_for() {
    let mut pending = Pending::default();
    pending.merge(
        Millis(0),
        gathered(&[(1, limited("a", 1)), (2, limited("a", 1))]),
    );
    let first = pending.take(usize::MAX, |known| *known == pair(1));
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].pair, pair(1));
    assert_eq!(first[0].items, 1);
    let rest = pending.take(usize::MAX, |_| true);
    assert_eq!(rest.len(), 1, "kept until somebody vouches for it");
    assert_eq!(rest[0].pair, pair(2));
}

#[test]
fn who_has_waited_longest_goes_first() {
    let mut pending = Pending::default();
    for number in [3, 1, 2] {
        let at = Millis(number * HOUR);
        pending.merge(at, gathered(&[(number, limited("a", 1))]));
    }
    let order: Vec<_> = (0..3)
        .flat_map(|_| pending.take(1, |_| true))
        .map(|report| report.pair)
        .collect();
    assert_eq!(order, [pair(1), pair(2), pair(3)]);
}

#[test]
fn what_did_not_arrive_is_told_with_the_next_and_of_its_own_hour() {
    let mut pending = Pending::default();
    pending.merge(Millis(1000), gathered(&[(1, limited("a", 1))]));
    let unsent = pending.take(9, |_| true);
    unsent
        .into_iter()
        .for_each(|report| pending.put_back(report));
    pending.merge(Millis(31_000), gathered(&[(1, limited("a", 2))]));
    let reports = pending.take(9, |_| true);
    let now = Millis(31_000);
    let name = "rate_limited_events a error".to_owned();
    let one = BTreeMap::from([(name.clone(), 3)]);
    assert_eq!(said(&reports, now), (one, vec![31]), "one report");
    reports
        .into_iter()
        .for_each(|report| pending.put_back(report));
    pending.merge(Millis(2 * HOUR), gathered(&[(1, limited("a", 4))]));
    let reports = pending.take(9, |_| true);
    let both = BTreeMap::from([(name, 7)]);
    let now = Millis(2 * HOUR);
    assert_eq!(said(&reports, now), (both, vec![31, 7200]));
}

#[test]
fn a_day_later_it_is_given_up_and_counted() {
    let mut pending = Pending::default();
    pending.merge(Millis(0), gathered(&[(1, limited("a", 5))]));
    pending.merge(Millis(HOUR), gathered(&[(1, limited("a", 7))]));
    pending.expire(Millis(24 * HOUR));
    assert_eq!(pending.take_lost(), 0);
    pending.expire(Millis(24 * HOUR + 1));
    assert_eq!((pending.take_lost(), pending.take_lost()), (5, 0));
    check(
        &mut pending,
        Millis(25 * HOUR),
        &[("rate_limited_events a error", 7)],
    );
}

#[test]
fn what_is_switched_off_is_given_up_at_once() {
    let mut pending = Pending::default();
    pending.merge(Millis(0), gathered(&[(1, limited("a", 5))]));
    pending.clear();
    assert_eq!(pending.take_lost(), 5);
    check(&mut pending, Millis(0), &[]);
}

#[test]
fn one_sender_has_room_for_so_many_sums() {
    let names: Vec<String> = (0..ROWS_MAX + 3)
        .map(|n| format!("limit-{n:060}"))
        .collect();
    let mut all = Gathered::default();
    for name in names.iter().chain(&names) {
        all.add(pair(1), Standing::Vouched, limited(name, 1));
    }
    let mut pending = Pending::default();
    pending.merge(Millis(0), all);
    assert_eq!(pending.take_lost(), 6, "three, twice");
    let reports = pending.take(9, |_| true);
    assert!(reports.len() > 1, "more than one report holds");
    let told: u64 = reports.iter().map(|report| report.items).sum();
    assert_eq!(usize::try_from(told), Ok(2 * ROWS_MAX));
    let (sums, _) = said(&reports, Millis(0));
    assert_eq!(sums.len(), ROWS_MAX);
    assert!(sums.values().all(|n| *n == 2), "{sums:?}");
}

/// Keys can be made up: those who do so crowd out each other, and nobody else.
#[test]
fn strangers_crowd_out_strangers_alone() {
    let mut pending = Pending::default();
    for round in 0..4 {
        let mut all = Gathered::default();
        for number in 0..3_000 {
            let made_up = pair(10_000 + round * 3_000 + number);
            all.add(made_up, Standing::Stranger, limited("a", 1));
        }
        all.add(pair(1), Standing::Vouched, limited("a", 1));
        pending.merge(Millis(round), all);
    }
    let kept = pending.take(usize::MAX, |_| true);
    let own = kept.iter().filter(|report| report.pair == pair(1));
    assert_eq!(own.map(|report| report.items).sum::<u64>(), 4);
    assert_eq!(kept.len(), 2_001);
    assert_eq!(pending.take_lost(), 12_000 - 2_000);
    assert!(pending.take(1, |_| true).is_empty());
    let mut more = Gathered::default();
    more.add(pair(7), Standing::Stranger, limited("a", 1));
    pending.merge(Millis(9), more);
    assert_eq!(
        pending.take(1, |_| true).len(),
        1,
        "their room is free again"
    );
}

#[test]
fn all_that_waits_is_bounded() {
    let mut pending = Pending::default();
    for round in 0..3_u64 {
        let mut all = Gathered::default();
        for number in 0..11_000 {
            let sender = pair(round * 11_000 + number);
            all.add(sender, Standing::Vouched, limited("a", 1));
        }
        pending.merge(Millis(0), all);
    }
    assert_eq!(pending.take_lost(), 33_000 - 20_000);
    assert_eq!(pending.take(usize::MAX, |_| true).len(), 20_000);
}

/// The same numbers in each run (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31) % end
    }
}

/// Whatever comes of each try, every item is told once, given up once, or still waits.
#[test]
fn nothing_is_doubled_or_forgotten_whatever_comes_of_a_try() {
    let mut random = Random(0x5eed);
    let mut pending = Pending::default();
    let (mut came, mut told, mut lost, mut now) = (0, 0, 0, Millis(0));
    for _ in 0..2_000 {
        now = now.plus(random.below(3 * HOUR));
        let mut all = Gathered::default();
        for _ in 0..random.below(5) {
            let items = 1 + random.below(8);
            let name = ["a", "b"][usize::from(random.below(2) == 1)];
            all.add(
                pair(random.below(4)),
                Standing::Vouched,
                limited(name, items),
            );
            came += items;
        }
        pending.merge(now, all);
        pending.expire(now);
        let vouched = random.below(6);
        for report in pending.take(usize::try_from(random.below(4)).unwrap(), |known| {
            *known != pair(vouched)
        }) {
            match random.below(3) {
                0 => pending.put_back(report),
                1 => told += said(&[report], now).0.values().sum::<u64>(),
                // Nobody knows whether it arrived: it is not told again.
                _ => lost += report.items,
            }
        }
        lost += pending.take_lost();
    }
    let waits = pending.take(usize::MAX, |_| true);
    let waits: u64 = waits.iter().map(|report| report.items).sum();
    assert_eq!(came, told + lost + waits);
}
