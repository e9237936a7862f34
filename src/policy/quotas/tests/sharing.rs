//! What two processes can never do together: use more than the limit; and that what the elder
//! left is not lost.

use proptest::prelude::*;

use super::*;

/// An elder that has used so much of a quota, and an heir that has taken over.
fn two(limit: u64, used: u64, per: Per) -> (Limiter, Limiter) {
    let spec = || defaults(&[quota("a", ERROR, limit, per, By::Project)]);
    let (elder, heir) = (Limiter::new(&spec()), Limiter::new(&spec()));
    elder.counters.enable_journal();
    assert_eq!(use_up(&elder, 0, used), used);
    elder.counters.hand_over();
    elder.counters.settle();
    heir.counters.leave_elders_part();
    for live in elder.counters.marks(at(0)) {
        let (window, used) = (live.window, live.written);
        let identity = live.identity().to_string();
        assert!(heir.counters.restore(&identity, Mark { window, used }));
    }
    (elder, heir)
}

/// Charges one by one, at most so many, and says how many found room.
fn use_up(limiter: &Limiter, at_ms: u64, most: u64) -> u64 {
    let charge = |_: &u64| {
        let charged = limiter.charge(at(at_ms), &who(1, 1, 1), &items(ERROR, 1));
        charged.is_ok()
    };
    let charged = (0..most).take_while(charge).count();
    u64::try_from(charged).unwrap()
}

/// Ends the elder.
fn end(elder: &Limiter, heir: &Limiter, at_ms: u64) {
    for spent in elder.counters.spent(at(at_ms)) {
        assert!(heir.counters.spend(&spent.identity, spent.mark));
    }
    heir.counters.take_elders_part();
}

#[test]
fn an_elder_has_an_eighth_and_its_heir_the_rest_until_it_is_gone() {
    let (elder, heir) = two(800, 300, HOUR);
    assert_eq!(use_up(&elder, 0, 1000), 100);
    assert_eq!(use_up(&heir, 0, 1000), 400);
    end(&elder, &heir, 0);
    assert_eq!(use_up(&heir, 0, 1000), 0);
}

#[test]
fn what_an_elder_leaves_is_its_heirs() {
    let (elder, heir) = two(800, 300, HOUR);
    assert_eq!(use_up(&elder, 0, 10), 10);
    assert_eq!(use_up(&heir, 0, 1000), 400);
    end(&elder, &heir, 0);
    assert_eq!(use_up(&heir, 0, 1000), 90);
}

#[test]
fn of_a_window_that_is_nearly_used_up_the_elder_has_what_is_left() {
    let (elder, heir) = two(800, 750, HOUR);
    assert_eq!(use_up(&heir, 0, 1000), 0);
    assert_eq!(use_up(&elder, 0, 1000), 50);
    end(&elder, &heir, 0);
    assert_eq!(use_up(&heir, 0, 1000), 0);
}

#[test]
fn a_window_that_begins_meanwhile_is_shared_too() {
    let (elder, heir) = two(80, 80, MINUTE);
    assert_eq!(use_up(&elder, 60_000, 1000), 10);
    assert_eq!(use_up(&heir, 60_000, 1000), 70);
    end(&elder, &heir, 61_000);
    assert_eq!(use_up(&heir, 62_000, 1000), 0);
    assert_eq!(use_up(&heir, 120_000, 1000), 80);
}

#[test]
fn the_part_of_an_elder_that_is_gone_without_a_word_counts_as_used() {
    let (_, heir) = two(80, 0, MINUTE);
    heir.counters.lose_elders_part(at(1_000).unix_s);
    assert_eq!(use_up(&heir, 2_000, 1000), 70);
    assert_eq!(use_up(&heir, 60_000, 1000), 80);
}

#[test]
fn an_elder_that_takes_it_back_has_all_of_it() {
    let (elder, _) = two(80, 8, MINUTE);
    assert_eq!(use_up(&elder, 0, 1000), 10);
    elder.counters.take_back();
    assert_eq!(use_up(&elder, 0, 1000), 62);
}

#[test]
fn rates_are_each_processes_own() {
    let (elder, heir) = two(8, 8, SECOND);
    assert_eq!((use_up(&elder, 0, 9), use_up(&heir, 0, 9)), (0, 8));
}

proptest! {
    #[test]
    fn both_together_never_use_more_than_the_limit_and_in_the_end_all_of_it(
        limit in 1_u64..200,
        used in 0_u64..200,
        turns in prop::collection::vec((any::<bool>(), 0_u64..60, 0_u64..70_000), 0..12),
    ) {
        let used = used.min(limit);
        let (elder, heir) = two(limit, used, MINUTE);
        let mut turns = turns;
        turns.sort_by_key(|turn| turn.2);
        let mut sums = [used, 0];
        for (is_elder, most, at_ms) in turns {
            let limiter = if is_elder { &elder } else { &heir };
            sums[usize::from(at_ms >= 60_000)] += use_up(limiter, at_ms, most);
        }
        prop_assert!(sums.iter().all(|sum| *sum <= limit), "{sums:?} of {limit}");
        end(&elder, &heir, 70_000);
        sums[1] += use_up(&heir, 71_000, 1000);
        prop_assert_eq!(sums[1], limit);
    }
}

#[test]
fn of_what_is_lent_an_elder_has_an_eighth_of_the_rest() {
    let lent = |used: u64| {
        let counters = counters();
        counters.share();
        let spec = global(&[quota("a", ERROR, 10_000, HOUR, By::Project)]);
        let quotas = Quotas::compile(&spec, &counters);
        let window = HOUR.window(at(0).unix_s).unwrap().number;
        counters.each(|counter| counter.lent().hear(window, [800, 800, 0], false));
        let limiter = Limiter { counters, quotas };
        assert_eq!(use_up(&limiter, 0, used), used);
        limiter
    };
    let (elder, heir) = (lent(80), lent(0));
    elder.counters.hand_over();
    elder.counters.settle();
    heir.counters.leave_elders_part();
    for live in elder.counters.marks(at(0)) {
        let (window, used) = (live.window, live.written);
        let identity = live.identity().to_string();
        assert!(heir.counters.restore(&identity, Mark { window, used }));
    }
    assert_eq!(use_up(&elder, 0, 10_000), 90);
    assert_eq!(use_up(&heir, 0, 10_000), 620);
    end(&elder, &heir, 0);
    assert_eq!(use_up(&heir, 0, 10_000), 10);
}
