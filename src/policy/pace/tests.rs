//! What a pace promises, against an upstream that is simulated millisecond by
//! millisecond.

use std::sync::atomic::AtomicU64;
use std::thread;

use super::*;

const BOUNDS: Bounds = Bounds {
    min: 1,
    max: 500,
    replay_percent: 50,
};

/// Works on so many at once, each for so long. What comes beyond is refused at once, or waits.
struct Upstream {
    capacity: usize,
    service_ms: u64,
    queues: bool,
}

/// One that the upstream has, and the turn of whoever still waits for it.
struct Job {
    turn: Option<Turn>,
    came_ms: u64,
    /// When it is answered, once it is worked on, and how.
    answer: Option<(u64, Heard)>,
}

/// How long an answer may take.
const DEADLINE_MS: u64 = 2000;

struct Simulation {
    pace: Pace,
    upstream: Upstream,
    now_ms: u64,
    jobs: Vec<Job>,
    /// How many live requests there are at once, where the pace lets them.
    live: u64,
    replays: bool,
    /// What live traffic met: well, ill.
    met: [u64; 2],
}

impl Simulation {
    fn new(bounds: Bounds, start: u16, upstream: Upstream) -> Self {
        Self {
            pace: Pace::new(bounds, start),
            upstream,
            now_ms: 0,
            jobs: Vec::new(),
            live: 0,
            replays: false,
            met: [0, 0],
        }
    }

    fn step(&mut self) {
        for job in &mut self.jobs {
            let heard = match job.answer {
                Some((when, heard)) if when <= self.now_ms => heard,
                _ if self.now_ms - job.came_ms >= DEADLINE_MS => Heard::Ill,
                _ => continue,
            };
            let Some(turn) = job.turn.take() else {
                continue;
            };
            if turn.whose == Whose::Live {
                self.met[usize::from(heard == Heard::Ill)] += 1;
            }
            self.pace.end(turn, heard);
        }
        let over = |job: &Job| job.answer.is_some_and(|(when, _)| when <= self.now_ms);
        self.jobs.retain(|job| !over(job));
        while self.pace.live_now() < self.live {
            let Some(turn) = self.pace.try_begin() else {
                break;
            };
            self.arrive(turn);
        }
        while self.replays {
            let Some(turn) = self.pace.try_begin_replay(self.pace.live_now()) else {
                break;
            };
            self.arrive(turn);
        }
        // Who waits longest is worked on next.
        let working = |job: &&Job| matches!(job.answer, Some((_, Heard::Well)));
        let free = self
            .upstream
            .capacity
            .saturating_sub(self.jobs.iter().filter(working).count());
        let waiting = self.jobs.iter_mut().filter(|job| job.answer.is_none());
        for job in waiting.take(free) {
            job.answer = Some((self.now_ms + self.upstream.service_ms, Heard::Well));
        }
        self.now_ms += 1;
    }

    fn arrive(&mut self, turn: Turn) {
        let worked_on = |job: &&Job| !matches!(job.answer, Some((_, Heard::Ill)));
        let full = self.jobs.iter().filter(worked_on).count() >= self.upstream.capacity;
        let refused = full && !self.upstream.queues;
        self.jobs.push(Job {
            turn: Some(turn),
            came_ms: self.now_ms,
            answer: refused.then_some((self.now_ms + 1, Heard::Ill)),
        });
    }

    fn run(&mut self, ms: u64) {
        self.run_with(ms, |_| {});
    }

    fn run_with(&mut self, ms: u64, mut look: impl FnMut(&Self)) {
        for _ in 0..ms {
            self.step();
            look(self);
        }
    }
}

const fn refusing(capacity: usize, service_ms: u64) -> Upstream {
    Upstream {
        capacity,
        service_ms,
        queues: false,
    }
}

/// With more to send than it can take, the window stays around the capacity.
#[track_caller]
fn check(capacity: usize, start: u16, service_ms: u64) {
    let mut simulation = Simulation::new(BOUNDS, start, refusing(capacity, service_ms));
    simulation.live = 1000;
    simulation.run(service_ms * 250);
    let capacity = u64::try_from(capacity).unwrap();
    simulation.run_with(service_ms * 100, |simulation| {
        let window = simulation.pace.window();
        let around = capacity.div_ceil(2)..=capacity * 2;
        assert!(
            around.contains(&window),
            "{window} for {capacity}, from {start}"
        );
    });
}

#[test]
fn it_finds_what_the_upstream_bears() {
    for capacity in [1, 2, 5, 17, 100] {
        for start in [1, 20, 500] {
            check(capacity, start, 20);
        }
    }
    check(200, 500, 5);
    check(40, 1, 100);
}

#[test]
fn it_follows_an_upstream_that_shrinks_and_grows() {
    let mut simulation = Simulation::new(BOUNDS, 100, refusing(80, 20));
    simulation.live = 1000;
    for capacity in [80, 8, 60] {
        simulation.upstream.capacity = capacity;
        simulation.run(5000);
        let window = simulation.pace.window();
        let capacity = u64::try_from(capacity).unwrap();
        let around = capacity / 2..=capacity * 2;
        assert!(around.contains(&window), "{window} for {capacity}");
    }
}

#[test]
fn a_slow_upstream_is_not_buried() {
    let slow = Upstream {
        capacity: 4,
        service_ms: 100,
        queues: true,
    };
    let mut simulation = Simulation::new(BOUNDS, 500, slow);
    simulation.live = 1000;
    simulation.run(60_000);
    // Eighty are answered within the deadline; those that missed it still lie there.
    simulation.run_with(60_000, |simulation| {
        let there = simulation.jobs.len();
        assert!(there <= 200, "{there} wait there");
    });
    let hung = Upstream {
        capacity: 4,
        service_ms: 10_000,
        queues: true,
    };
    let mut simulation = Simulation::new(BOUNDS, 500, hung);
    simulation.live = 1000;
    simulation.run(60_000);
    assert_eq!(simulation.pace.window(), 1, "nothing is answered in time");
}

#[test]
fn what_is_not_used_does_not_grow() {
    let mut simulation = Simulation::new(BOUNDS, 20, refusing(400, 10));
    simulation.live = 10;
    simulation.run(5000);
    assert_eq!(simulation.pace.window(), 20);
    simulation.live = 15;
    simulation.run(20_000);
    assert!(
        simulation.pace.window() <= 30,
        "{}",
        simulation.pace.window()
    );
}

#[test]
fn what_was_under_way_together_shrinks_it_once() {
    let pace = Pace::new(BOUNDS, 100);
    let turns: Vec<_> = (0..50).filter_map(|_| pace.try_begin()).collect();
    assert_eq!(turns.len(), 50);
    for turn in turns {
        pace.end(turn, Heard::Ill);
    }
    assert_eq!(pace.window(), 70);
    let turn = pace.try_begin().unwrap();
    pace.end(turn, Heard::Ill);
    assert_eq!(pace.window(), 49);
}

#[test]
fn what_tells_nothing_moves_nothing() {
    let pace = Pace::new(BOUNDS, 1);
    for _ in 0..100 {
        let turn = pace.try_begin().unwrap();
        assert!(pace.try_begin().is_none());
        pace.end(turn, Heard::Nothing);
    }
    assert_eq!((pace.window(), pace.live_now()), (1, 0));
}

#[test]
fn bounds_hold_whatever_they_say() {
    let none = Bounds {
        min: 0,
        max: 0,
        replay_percent: 0,
    };
    let pace = Pace::new(none, 0);
    let turn = pace.try_begin().unwrap();
    assert!(pace.try_begin().is_none());
    assert_eq!(pace.room_for_replay(1), 0);
    pace.end(turn, Heard::Ill);
    assert_eq!((pace.window(), pace.room_for_replay(0)), (1, 1));
    pace.retune(Bounds { min: 5, ..BOUNDS });
    assert_eq!((pace.window(), pace.room_for_replay(0)), (5, 1));
    for _ in 0..10_000 {
        let turns: Vec<_> = std::iter::from_fn(|| pace.try_begin()).collect();
        for turn in turns {
            pace.end(turn, Heard::Well);
        }
    }
    assert_eq!(pace.window(), 500);
}

#[test]
fn replay_has_a_share_of_what_live_traffic_leaves() {
    let pace = Pace::new(BOUNDS, 100);
    for (live_now, share) in [(0, 50), (40, 30), (97, 1), (99, 1), (100, 0), (130, 0)] {
        assert_eq!(pace.share(live_now), share, "{live_now}");
    }
    assert_eq!(pace.room_for_replay(0), 1, "it begins with one");
}

#[test]
fn replay_alone_finds_what_the_upstream_bears() {
    for start in [1, 30, 500] {
        for replay_percent in [10, 50, 100] {
            let bounds = Bounds {
                max: 1000,
                replay_percent,
                ..BOUNDS
            };
            let mut simulation = Simulation::new(bounds, start, refusing(40, 10));
            simulation.replays = true;
            simulation.run(30_000);
            let mut sum = 0;
            simulation.run_with(2000, |simulation| sum += simulation.pace.replays_now());
            let mean = sum / 2000;
            assert!(
                (20..=41).contains(&mean),
                "{mean} at once from {start} with {replay_percent} percent"
            );
        }
    }
}

#[test]
fn replay_stays_below_live_traffic_and_hardly_hurts_it() {
    for live in [4, 20, 30, 38] {
        let mut simulation = Simulation::new(BOUNDS, 200, refusing(40, 10));
        simulation.live = live;
        simulation.replays = true;
        simulation.run(20_000);
        simulation.met = [0, 0];
        let mut sum = 0;
        simulation.run_with(20_000, |simulation| sum += simulation.pace.replays_now());
        let mean = sum / 20_000;
        assert!(mean <= 40 - live, "{mean} replayed beside {live}");
        let [well, ill] = simulation.met;
        assert!(
            ill * 50 <= well,
            "{ill} of live traffic ill, {well} well, beside {live}"
        );
        // When live traffic comes back in full, replay is gone within a few round trips.
        simulation.live = 40;
        simulation.run(1000);
        let replays = simulation.pace.replays_now();
        assert!(well > 0 && replays <= 4, "{replays} replayed");
    }
}

#[test]
fn what_replay_meets_never_narrows_live_traffic() {
    let pace = Pace::new(BOUNDS, 100);
    for _ in 0..100 {
        let turn = pace.try_begin_replay(0).unwrap();
        pace.end(turn, Heard::Ill);
    }
    assert_eq!((pace.window(), pace.room_for_replay(0)), (100, 1));
}

#[test]
fn threads_never_begin_more_than_fit() {
    let pace = Pace::new(BOUNDS, 3);
    let most = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (pace, most) = (&pace, &most);
            scope.spawn(move || {
                for _ in 0..20_000 {
                    let turn = match thread {
                        0 => pace.try_begin_replay(0),
                        _ => pace.try_begin(),
                    };
                    let Some(turn) = turn else { continue };
                    most.fetch_max(pace.live_now(), Relaxed);
                    pace.end(turn, Heard::Nothing);
                }
            });
        }
    });
    assert!(most.into_inner() <= 3);
    assert_eq!((pace.live_now(), pace.replays_now()), (0, 0));
}
