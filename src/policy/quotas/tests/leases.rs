//! Edges that share a quota over a pool that loses, delays and doubles what it is told: together
//! they never admit more than the limit, and not much less where nothing is wrong.

mod pool;
mod seldom;
mod world;

use proptest::prelude::*;

use super::*;
use pool::Pool;
use world::{TICK_MS, World, answered, unreliable};

/// A minute that all edges have from its beginning, and what they admitted in it together.
#[track_caller]
fn check_use(edges: usize, (limit, by_head): (u64, bool), load: impl Fn(usize) -> u64) {
    let mut world = World::new(1, edges, (limit, edges != 2));
    world.by_head = by_head;
    for _ in 0..600 {
        world.step(answered, 0);
    }
    let window = world.now_ms / 60_000 + 1;
    while world.now_ms < (window + 1) * 60_000 - SKEW_S * 1000 {
        for place in 0..edges {
            world.load(place, load(place));
        }
        world.step(answered, 0);
    }
    let admitted = world.admitted[&window];
    assert!(
        admitted * 100 >= limit * 95,
        "{admitted} of {limit} by {edges}, by their heads: {by_head}"
    );
}

#[test]
fn nearly_all_of_a_limit_is_used_however_the_load_is_spread() {
    for edges in [1, 2, 8, 50] {
        for (limit, by_head) in [(100, true), (100, false), (1000, true), (100_000, false)] {
            check_use(edges, (limit, by_head), |_| limit / 100);
            let of_one = |place| u64::from(place == 0) * limit / 100;
            check_use(edges, (limit, by_head), of_one);
        }
    }
}

#[test]
fn a_limit_below_the_number_of_edges_is_used_whole() {
    for by_head in [false, true] {
        check_use(8, (3, by_head), |_| 1);
        check_use(8, (1, by_head), |place| u64::from(place == 5));
    }
}

#[test]
fn what_strangers_are_refused_is_not_asked_for() {
    let mut world = World::new(1, 1, (1000, true));
    for _ in 0..100 {
        world.step(answered, 0);
    }
    // An idle counter is asked for every ten seconds.
    let now_ms = world.now_ms + 10_000;
    let node = &mut world.nodes[0];
    let (now, limiter) = (node.now(now_ms), &node.limiter);
    let stranger = Who {
        trust: Trust::Stranger,
        ..who(1, 1, 1)
    };
    let (other, load) = (items(SPAN, 1), items(ERROR, 1));
    let applying = limiter.quotas.of(&stranger);
    let mut admitted = 0;
    for _ in 0..5000 {
        admitted += usize::from(applying.charge(now, &load, &limiter.counters).is_ok());
        let by_head = applying.refuses_all(now, &limiter.counters);
        admitted += usize::from(
            by_head.is_none() && applying.charge(now, &other, &limiter.counters).is_ok(),
        );
    }
    assert_eq!(admitted, 50, "a twentieth");
    let asks = node.lessee.asks(now, true, &node.limiter.counters);
    let wanted: Vec<u64> = asks.iter().map(|ask| ask.wanted - ask.used).collect();
    assert!(matches!(wanted[..], [..=100]), "{wanted:?}");
}

#[test]
fn an_edge_alone_has_all_but_a_hundredth() {
    let mut world = World::new(1, 1, (2000, false));
    for _ in 0..200 {
        world.step(answered, 100);
    }
    assert!(world.admitted.values().all(|admitted| *admitted >= 1980));
}

#[test]
fn who_is_cut_off_goes_on_with_what_it_holds_and_then_with_its_even_part() {
    let mut world = World::new(1, 4, (1000, true));
    for _ in 0..300 {
        world.step(answered, 0);
    }
    let until_ms = world.now_ms + 3 * 60_000;
    world.nodes[0].cut_until_ms = until_ms;
    world.step(answered, 0);
    // A half of all is held in even parts, of which each has one in four.
    let held = world.load(0, 1000);
    assert!((115..=125).contains(&held), "{held}");
    while world.now_ms < until_ms - 30_000 {
        world.step(answered, 0);
    }
    // Minutes began since.
    assert_eq!(world.load(0, 1000), 250);
    for _ in 0..100 {
        for place in 1..4 {
            world.load(place, 100);
        }
        world.step(answered, 0);
    }
    let admitted = world.admitted.values().max().unwrap();
    assert!((950..=1000).contains(admitted), "{admitted}");
}

#[test]
fn what_could_not_be_had_of_a_new_pool_is_had_once_it_has_settled() {
    let mut world = World::new(1, 2, (1000, true));
    world.pool.began_ms = world.now_ms;
    for _ in 0..SETTLE_MS / TICK_MS - 2 {
        world.step(answered, 0);
    }
    let leased = |world: &World| -> u64 {
        let windows = world.pool.windows.values();
        windows
            .flat_map(|kept| kept.edges.values())
            .map(|edge| edge.1)
            .sum()
    };
    assert_eq!(leased(&world), 0, "no more than is used");
    for _ in 0..5 {
        world.step(answered, 0);
    }
    assert!(leased(&world) >= 490, "{}", leased(&world));
}

#[test]
fn who_has_never_reached_the_pool_counts_alone() {
    let mut world = World::new(1, 2, (1000, true));
    for node in &mut world.nodes {
        node.cut_until_ms = u64::MAX;
    }
    assert_eq!(world.load(0, 2000), 0, "before it has tried");
    world.now_ms += PRESENT_MS;
    world.turn(0, answered);
    assert_eq!(world.load(0, 2000), 1000);
}

#[test]
fn what_a_dead_process_held_is_its_successors() {
    let mut world = World::new(1, 2, (1000, true));
    for _ in 0..100 {
        world.step(answered, 1);
    }
    world.restarted(0);
    world.restarted(1);
    for _ in 0..200 {
        world.step(answered, 20);
    }
    let admitted = world.admitted.values().max().unwrap();
    assert!(*admitted >= 980, "{admitted}");
}

/// Goes on until a minute begins at all edges, and yields which.
fn next_minute(world: &mut World) -> u64 {
    let minute = world.now_ms / 60_000 + 1;
    while world.now_ms < minute * 60_000 + 1000 {
        world.step(answered, 0);
    }
    minute
}

#[test]
fn who_is_idle_keeps_nothing_of_what_another_needs() {
    let mut world = World::new(1, 8, (20, true));
    next_minute(&mut world);
    let minute = next_minute(&mut world);
    for place in 0..8 {
        assert_eq!(world.load(place, 1), 1, "an even part");
    }
    while world.now_ms < (minute + 1) * 60_000 - 20_000 {
        world.step(answered, 0);
        world.load(0, 5);
    }
    assert_eq!(world.admitted[&minute], 20);
    for place in 0..8 {
        world.load(place, 1);
        for _ in 0..20 {
            world.step(answered, 0);
        }
        let node = &world.nodes[place];
        let load = items(ERROR, 1);
        let (_, wait_s) = node
            .limiter
            .refusal(node.now(world.now_ms), &who(1, 1, 1), &load);
        assert!(wait_s > 1, "{place}: to the end of its window");
    }
}

#[test]
fn an_heir_whose_elder_ended_without_a_word_gives_back_what_it_does_not_need() {
    let mut world = World::new(1, 2, (1000, true));
    next_minute(&mut world);
    let node = &world.nodes[0];
    let now_s = node.now(world.now_ms).unix_s;
    node.limiter.counters.leave_elders_part();
    node.limiter.counters.lose_elders_part(now_s);
    let minute = next_minute(&mut world);
    for _ in 0..10 {
        world.load(0, 20);
        world.step(answered, 0);
    }
    while world.now_ms < (minute + 1) * 60_000 - 5000 {
        world.step(answered, 0);
        world.load(1, 50);
    }
    let admitted = world.admitted[&minute];
    assert!(admitted >= 950, "{admitted}");
}

/// Four edges whose limit a reload lowers, a second before more comes than there is.
#[track_caller]
fn check_lowered((before, after): (u64, u64), named: bool, pace: [u64; 4]) {
    let mut world = World::new(1, 4, (before, named));
    next_minute(&mut world);
    let minute = next_minute(&mut world);
    for _ in 0..10 {
        for (place, pace) in pace.into_iter().enumerate() {
            world.load(place, pace);
        }
        world.step(answered, 0);
    }
    world.reload(after);
    for _ in 0..10 {
        world.step(answered, 0);
    }
    while world.now_ms < (minute + 1) * 60_000 - 5000 {
        for place in 0..4 {
            world.load(place, after / 20);
        }
        world.step(answered, 0);
    }
    let admitted = world.admitted[&minute];
    assert!(admitted * 100 >= after * 95, "{admitted} of {after}");
}

#[test]
fn a_limit_that_a_reload_lowers_is_all_edges_limit_within_a_second() {
    for named in [true, false] {
        check_lowered((1000, 100), named, [1, 1, 1, 1]);
        check_lowered((1000, 100), named, [9, 1, 0, 0]);
        check_lowered((100_000, 10_000), named, [200, 200, 200, 200]);
        check_lowered((100_000, 10_000), named, [900, 20, 20, 20]);
    }
}

#[test]
fn a_window_that_the_pool_forgets_while_all_reach_it_is_told_anew() {
    for idle_s in [1, 20] {
        let mut world = World::new(1, 3, (1000, true));
        next_minute(&mut world);
        let minute = next_minute(&mut world);
        for _ in 0..10 {
            world.load(0, 30);
            world.load(1, 30);
            world.step(answered, 0);
        }
        for _ in 0..idle_s * 10 {
            world.step(answered, 0);
        }
        world.pool.windows.clear();
        while world.now_ms < (minute + 1) * 60_000 - 3000 {
            world.load(1, 20);
            world.step(answered, 0);
        }
        let admitted = world.admitted[&minute];
        assert!(admitted >= 950, "{admitted}");
    }
}

#[test]
fn who_said_nothing_for_long_on_a_whole_connection_claims_before_it_reports() {
    let at_s = |s: u64| at(s * 1000);
    let roll = |one_in| Roll {
        known: true,
        one_in,
        present: 2,
        sharers: 2,
        ..Roll::default()
    };
    let mut membership = Membership::new(0);
    membership.reached(at_s(10), "pool", (60_000, 0));
    assert!(membership.begins_claiming());
    membership.claimed();
    assert!(membership.report(at_s(10), || 0).is_some());
    membership.confirmed(at_s(10), at_s(10), roll(2));
    let late_s = 10 + PRESENT_MS / 1000;
    let just = Moment {
        since_start_ns: at_s(late_s).since_start_ns - 1,
        ..at_s(late_s)
    };
    assert!(membership.report(just, || 0).is_some(), "just in time");
    membership.confirmed(at_s(10), just, roll(2));
    // It stood still meanwhile.
    assert_eq!(membership.report(at_s(40), || 0), None);
    assert_eq!(membership.standing(at_s(40)).away, None);
    assert!(membership.begins_claiming());
    membership.claimed();
    assert!(membership.report(at_s(40), || 0).is_some(), "once");
    membership.confirmed(at_s(40), at_s(40), roll(2));
    assert!(membership.takes(at_s(40)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn together_they_never_admit_more_than_the_limit(
        seed: u64,
        edges in 1_usize..7,
        limit in prop_oneof![1_u64..40, 100_u64..3000],
        load in 0_u64..60,
        named: bool,
        loses: bool,
        by_head: bool,
    ) {
        let mut world = World::new(seed, edges, (limit, named));
        world.by_head = by_head;
        for _ in 0..2000 {
            let place = world.draws.place(edges);
            let is_cut = world.nodes[place].cut_until_ms > world.now_ms;
            match world.draws.below(300) {
                // Who starts while it is cut off is the exception.
                0 if !is_cut => world.restarted(place),
                // What the dead have used is lost with what the pool knows.
                1 if !is_cut && !loses => {
                    let node = world.node();
                    world.nodes[place] = node;
                }
                2..4 => {
                    let lasts_ms = world.draws.below(200_000);
                    world.cut_off(place, lasts_ms);
                }
                4 => {
                    let lasts_ms = world.draws.below(200_000);
                    for place in 0..edges {
                        world.cut_off(place, lasts_ms);
                    }
                }
                // It begins anew and has lost all, while everybody reaches it.
                5 if loses && world.nodes.iter().all(|node| node.cut_until_ms < world.now_ms) => {
                    world.pool = Pool {
                        incarnation: world.pool.incarnation + 1,
                        began_ms: world.now_ms,
                        ..Pool::default()
                    };
                    for node in &mut world.nodes {
                        node.connected = false;
                    }
                    world.late.clear();
                    for _ in 0..60 {
                        world.step(answered, load);
                    }
                }
                _ => {}
            }
            world.step(unreliable, load);
        }
    }
}
