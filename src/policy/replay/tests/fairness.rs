//! Long runs with queues that never end. Each prints the seed that it began with.

use super::*;

/// A sequence that a seed decides: splitmix64.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }
}

/// Each project sends records of sizes of its own.
const SIZES: [u64; 5] = [100, 1500, 20_000, 300_000, 1_000_000];

struct Run {
    replay: Replay<u64>,
    sequence: Sequence,
    order: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            replay: Replay::new(10_000),
            sequence: Sequence(seed),
            order: 0,
        }
    }

    fn push(&mut self, number: u64, lane: Lane, size: u64) {
        self.order += 1;
        let bytes = u32::try_from(1 + self.sequence.below(size * 2)).unwrap();
        let record = Held {
            bytes,
            ..held(self.order, number, lane)
        };
        self.replay.push(record).unwrap();
    }
}

#[test]
fn no_project_gets_twice_the_bytes_of_another() {
    for seed in 0..10 {
        let mut run = Run::new(seed);
        for number in 1..=5 {
            for lane in [Lane::Error, Lane::Attachment] {
                run.push(number, lane, SIZES[usize::try_from(number).unwrap() - 1]);
            }
        }
        let mut sent = [0_u64; 5];
        let mut orders = Vec::new();
        while sent.iter().sum::<u64>() < 200_000_000 {
            let record = run.replay.next(at(0)).expect("none of them ends");
            let place = usize::try_from(record.project.unwrap().get()).unwrap() - 1;
            sent[place] += u64::from(record.bytes);
            orders.push((record.project, record.lane, record.order));
            // Every fifth attempt fails and comes again, the rest make room for another.
            if run.sequence.below(5) == 0 {
                run.replay.put_back(record.order);
            } else {
                run.replay.done(record.order);
                let number = record.project.unwrap().get();
                run.push(number, record.lane, SIZES[place]);
            }
        }
        let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
        assert!(most < &(least * 2), "seed {seed}: {sent:?}");
        orders.sort_by_key(|(project, lane, _)| (*project, *lane));
        let ascending = |pair: &[(Name, Lane, u64)]| {
            let same = pair[0].0 == pair[1].0 && pair[0].1 == pair[1].1;
            !same || pair[0].2 <= pair[1].2
        };
        assert!(
            orders.windows(2).all(ascending),
            "seed {seed}: out of order"
        );
    }
}

#[test]
fn no_lane_of_a_project_starves() {
    for seed in 0..10 {
        let mut run = Run::new(seed);
        let lanes: Vec<_> = Lane::ALL.into_iter().skip(1).collect();
        for lane in &lanes {
            run.push(1, *lane, 1000);
        }
        let mut sent = [0_u64; 5];
        for _ in 0..20_000 {
            let record = run.replay.next(at(0)).expect("none of them ends");
            let place = lanes.iter().position(|lane| *lane == record.lane).unwrap();
            sent[place] += u64::from(record.bytes);
            run.replay.done(record.order);
            run.push(1, record.lane, 1000);
        }
        let total: u64 = sent.iter().sum();
        for (place, pair) in sent.windows(2).enumerate() {
            let ratio = pair[0] * 10 / pair[1];
            assert!(
                (17..=23).contains(&ratio),
                "seed {seed}: {sent:?} at {place}"
            );
        }
        assert!(sent[4] * 40 > total, "seed {seed}: {sent:?}");
    }
}

#[test]
fn nobody_saves_up_while_it_has_nothing_to_send() {
    let mut run = Run::new(0);
    for _ in 0..1000 {
        run.push(1, Lane::Error, 1000);
    }
    for _ in 0..500 {
        assert!(run.replay.next(at(0)).is_some());
    }
    for _ in 0..1000 {
        run.push(2, Lane::Error, 1000);
    }
    let mut sent = [0_u64; 2];
    for _ in 0..500 {
        let record = run.replay.next(at(0)).unwrap();
        sent[usize::try_from(record.project.unwrap().get()).unwrap() - 1] +=
            u64::from(record.bytes);
    }
    assert!(
        sent[0] * 11 > sent[1] * 10 && sent[1] * 11 > sent[0] * 10,
        "{sent:?}"
    );
}

#[test]
fn a_recovery_of_many_is_quick_and_holds_them_all() {
    let mut run = Run::new(7);
    run.replay = Replay::new(300_000);
    for _ in 0..300_000 {
        let number = run.sequence.below(50);
        let lane = Lane::ALL[usize::try_from(run.sequence.below(6)).unwrap()];
        run.push(number, lane, 1000);
    }
    assert_eq!(run.replay.len(), 300_000);
    let mut last = std::collections::HashMap::new();
    let mut gone = 0;
    while let Some(record) = run.replay.next(at(0)) {
        let before = last.insert((record.project, record.lane), record.order);
        assert!(before < Some(record.order));
        run.replay.done(record.order);
        gone += 1;
    }
    assert_eq!(
        (gone, run.replay.len(), run.replay.bytes()),
        (300_000, 0, 0)
    );
}
