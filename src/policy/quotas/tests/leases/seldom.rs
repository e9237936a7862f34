//! What comes seldom, or is large, or is met first: not refused what nobody uses.

use super::world::spec;
use super::*;

/// A project that sends one event in so many minutes, by defaults that it follows by itself or as
/// its entry says, over edges of which it meets one: how many of six are refused.
#[track_caller]
fn check_quiet(edges: usize, (limit, is_listed): (u64, bool), every: u64, refused: u64) {
    let mut world = World::new(1, edges, (limit, false));
    if is_listed {
        let written = QuotaSpec {
            defaults: spec(limit, false).defaults,
            ..listed(1, None)
        };
        for node in &mut world.nodes {
            node.limiter.reload(&written);
        }
    }
    next_minute(&mut world);
    next_minute(&mut world);
    let mut taken = 0;
    for event in 0..6 {
        for _ in 0..every {
            next_minute(&mut world);
        }
        for _ in 0..event * 90 {
            world.step(answered, 0);
        }
        taken += world.load(0, 1);
    }
    let told = format!("{limit} for {edges}, listed: {is_listed}, every {every} minutes");
    assert_eq!(taken, 6 - refused, "{told}");
}

#[test]
fn who_comes_once_in_a_while_is_not_refused_what_nobody_uses() {
    for (edges, limit) in [(1, 100), (1, 20), (2, 100), (3, 100), (8, 160)] {
        check_quiet(edges, (limit, false), 1, 0);
        check_quiet(edges, (limit, false), 3, 0);
    }
    // Nothing of it is an edge's before it asks: listed ones are asked for without an event.
    check_quiet(8, (20, true), 1, 0);
    check_quiet(8, (20, true), 3, 0);
    // And others once they were missed.
    check_quiet(8, (20, false), 1, 1);
}

#[test]
fn a_large_item_that_comes_again_is_not_refused_what_nobody_uses() {
    let mut world = World::new(1, 2, (400, true));
    next_minute(&mut world);
    let minute = next_minute(&mut world);
    for post in 0..3 {
        assert_eq!(world.post(0, 110), post > 0, "{post}");
        for _ in 0..120 {
            world.step(answered, 0);
        }
    }
    // What is kept for one more is for whoever needs it.
    while world.now_ms < (minute + 1) * 60_000 - 3000 {
        world.load(1, 20);
        world.step(answered, 0);
    }
    let all = world.admitted[&minute];
    assert!(all >= 390, "{all}");
}

#[test]
fn what_is_larger_than_the_limit_is_not_asked_for() {
    let mut world = World::new(1, 2, (400, true));
    next_minute(&mut world);
    next_minute(&mut world);
    for (size, wanted) in [(401, 0), (400, 400)] {
        assert!(!world.post(0, size));
        let now_ms = world.now_ms;
        let node = &mut world.nodes[0];
        let (now, counters) = (node.now(now_ms), &node.limiter.counters);
        let asks = node.lessee.asks(now, true, counters);
        let most = asks.iter().map(|ask| ask.wanted).max();
        assert_eq!(most.unwrap_or(0), wanted, "{size}");
    }
}

#[test]
fn what_an_edge_meets_first_while_it_is_cut_off_waits_for_its_next_window() {
    let mut world = World::new(1, 2, (1000, true));
    next_minute(&mut world);
    next_minute(&mut world);
    world.nodes[0].cut_until_ms = u64::MAX;
    for _ in 0..200 {
        world.step(answered, 0);
    }
    let without = |world: &World| {
        let node = &world.nodes[0];
        node.limiter.counters.without_room(node.now(world.now_ms))
    };
    assert!(world.load(0, 10) > 0);
    assert_eq!(without(&world), 0);
    // The same by another name.
    let renamed = quota("b", Categories::of(&[]), 1000, MINUTE, By::Project);
    world.nodes[0].limiter.reload(&global(&[renamed]));
    assert_eq!(world.load(0, 10), 8, "what is kept");
    assert_eq!(without(&world), 1);
    next_minute(&mut world);
    assert_eq!(without(&world), 0);
    assert_eq!(world.load(0, 1000), 500, "its part");
}

/// So many counters are asked for after one request was refused.
#[track_caller]
fn check_asked(trust: Trust, by_head: bool, asked: usize) {
    let counters = counters();
    counters.share();
    let quotas = Quotas::compile(
        &defaults(&[
            quota("first", ERROR, 100, HOUR, By::Project),
            quota("all", Categories::of(&[]), 100, MINUTE, By::Project),
            quota("other", SPAN, 100, MINUTE, By::Project),
            quota("key", ERROR, 100, MINUTE, By::Key),
            quota("rate", ERROR, 100, SECOND, By::Project),
        ]),
        &counters,
    );
    let limiter = Limiter { counters, quotas };
    let sender = Who {
        trust,
        ..who(1, 1, 1)
    };
    match by_head {
        true => {
            let applying = limiter.quotas.of(&sender);
            assert!(applying.refuses_all(at(0), &limiter.counters).is_some());
        }
        false => assert_eq!(
            limiter.refusal(at(0), &sender, &items(ERROR, 1)),
            ("first".to_owned(), 1)
        ),
    }
    let asks = Lessee::new(1).asks(at(0), true, &limiter.counters);
    assert_eq!(asks.len(), asked, "{asks:?}");
}

#[test]
fn one_refusal_has_all_that_count_for_its_sender_asked_for() {
    for by_head in [false, true] {
        check_asked(Trust::Whole, by_head, 4);
        check_asked(Trust::Stranger, by_head, 3);
    }
}
