//! A whole edge but for its sockets, and the world around it: clients, an upstream, a network, a
//! disk, an operator and a clock, all drawn from one number. What decides is the code that runs:
//! verdicts, switches, learned limits, sampling, quotas and their journal, breaker, pace, replay,
//! log and books. The upstream is well, or refuses, hangs, resets, limits and lies; the disk is
//! full, fails, writes half and loses power; the edge is killed and stopped. Promises are judged
//! at each step (`judge`), and in the end, once all is well, everything that was answered 200 is
//! upstream, or in the books with its reason.
//!
//! `tests/simulate --seed 7 --steps 3000000` runs one history; the same number is the same history.

#[path = "simulation/edge.rs"]
mod edge;
#[path = "simulation/ends.rs"]
mod ends;
#[path = "simulation/judge.rs"]
mod judge;
#[path = "simulation/lives.rs"]
mod lives;
#[path = "simulation/quotas.rs"]
mod quotas;
#[path = "simulation/senders.rs"]
mod senders;
#[path = "simulation/told.rs"]
mod told;
#[path = "simulation/weather.rs"]
mod weather;
#[path = "simulation/world.rs"]
mod world;

use world::World;

/// Histories that each run of the tests has; one more has a seed of its own.
const SEEDS: std::ops::Range<u64> = 0..8;

/// The steps of each, unless `VIDETTE_STEPS` says otherwise.
const STEPS: u64 = 40_000;

/// Says how to have a history again, should it fail.
struct Printed(u64, u64);

impl Drop for Printed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again: tests/simulate --seed {} --steps {}", self.0, self.1);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn simulate(seed: u64, steps: u64) {
    let printed = Printed(seed, steps);
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
    }
    let told = world.ends();
    println!("seed {seed}: {told}");
    drop(printed);
}

#[test]
fn what_was_promised_is_kept_however_the_world_turns() {
    let steps = number("VIDETTE_STEPS").unwrap_or(STEPS);
    match number("VIDETTE_SEED") {
        Some(seed) => simulate(seed, steps),
        None => {
            SEEDS.for_each(|seed| simulate(seed, steps));
            simulate(fastrand::u64(..), steps);
        }
    }
}

#[test]
fn the_same_number_is_the_same_history() {
    let told = |seed| {
        let mut world = World::new(seed);
        (0..5000).for_each(|_| world.step());
        world.ends().to_string()
    };
    assert_eq!(told(7), told(7));
    assert_ne!(told(7), told(8));
}
