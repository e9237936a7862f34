//! Everything at once, for as long as one likes: clients of every kind and Sentry's SDKs, nginx
//! in front, an upstream that falls ill, dies and comes back, a Redis that does, a disk that fails, a project that has moved to another Sentry, clients that mean harm, reloads,
//! certificates, switches, upgrades, kills. In the end all that was answered 200 has arrived, the
//! books close, and the edge uses what it used at the beginning.
//!
//! `tests/soak --minutes 10 --seed 7` runs it; in the list of tests it is not, since it wants the
//! machine for itself. The seed draws who does what when; what comes of it when is the machine's.

mod mischief;
mod operator;
mod scene;
mod senders;
mod stage;
mod stand_in;
mod tally;

use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use libtest_mimic::Trial;

use crate::edge::KEY;
use crate::parts::{Part, node, promises, python};

use mischief::Try;
use operator::{Act, Change, Operator};
use scene::{Deck, MOVED, Scene};
use senders::{Steady, Way};
use stage::{Cause, Ends};
use tally::Held;

/// The variable that says for how many minutes, and that there is to be a soak.
const MINUTES: &str = "VIDETTE_SOAK_MINUTES";

/// Before the first rest: as long as it takes until caches and pools are filled.
const WARM_UP: Duration = Duration::from_secs(8);

/// One edge gives way to the next so many times, and not more often than that.
const LIVES: u32 = 6;
const LIFE_MIN: Duration = Duration::from_secs(20);

/// How long there is trouble again after a rest, before an edge goes.
const AFTER_REST: Duration = Duration::from_secs(4);

/// What an SDK sends a second, and what one does whose Sentry stores each event while it waits.
const SDK_RATE: u32 = 5;
const MOVED_RATE: u32 = 1;

pub(crate) fn trials() -> Vec<Trial> {
    match std::env::var_os(MINUTES) {
        None => Vec::new(),
        Some(_) => promises![&[Part::Nginx, Part::Python, Part::Node, Part::Redis];
            nothing_is_lost_however_long_it_lasts,
        ],
    }
}

fn lasts() -> Duration {
    let minutes = std::env::var(MINUTES).unwrap_or_default();
    let minutes: f64 = minutes.parse().expect("a number of minutes");
    Duration::from_secs_f64(minutes * 60.0)
}

/// Three SDKs: two through nginx, one over TLS; and one with the DSN of a project that has moved.
fn sdks(scene: &Scene, lasts: Duration) -> ([Steady; 3], Steady) {
    let places = &scene.places;
    let (front, secure) = (places.front, places.secure);
    let plain = format!("http://{KEY}@{front}/42");
    let over_tls = format!("https://{KEY}@{secure}/42");
    let authority = scene.authority.file().display().to_string();
    let (python, pace) = (python().unwrap(), (SDK_RATE, lasts));
    let moved = format!("http://{MOVED}@{front}/12");
    let moved = Steady::start(&python, "steady.py", &moved, (MOVED_RATE, lasts), &[]);
    let sdks = [
        Steady::start(&python, "steady.py", &plain, pace, &[]),
        Steady::start(&python, "steady.py", &over_tls, pace, &[&authority]),
        Steady::start(&node(), "steady.mjs", &plain, pace, &[]),
    ];
    (sdks, moved)
}

/// The course of it, until its time is over: what is done to the edge, and when one gives way to
/// another.
fn course<'a>(mut operator: Operator<'a>, lasts: Duration, rng: &mut Rng) -> Operator<'a> {
    let end = Instant::now() + lasts;
    let life = (lasts / LIVES).max(LIFE_MIN);
    let mut change_at = Instant::now() + life;
    let (mut acts, mut changes) = (Deck::of(Act::ALL), Deck::of(Change::ALL));
    while Instant::now() < end {
        if Instant::now() >= change_at {
            operator.rests();
            thread::sleep(AFTER_REST);
            operator = operator.changes(changes.draw(rng));
            change_at = Instant::now() + life;
        }
        operator.does(acts.draw(rng), rng);
        thread::sleep(Duration::from_millis(rng.u64(..1500)));
    }
    operator.rests();
    operator
}

/// How many of these the Sentry of the moved project does not have.
fn unstored(scene: &Scene, moved: &[u128]) -> usize {
    assert!(!moved.is_empty(), "its SDK has sent nothing");
    let stored = scene.other.stored_ids();
    let unstored = moved
        .iter()
        .filter(|id| !stored.contains(&format!("{id:032x}")));
    unstored.count()
}

/// All that three SDKs were told is taken, and what the SDK of the moved project was.
fn told(sdks: [Steady; 3], moved: Steady) -> (Vec<u128>, Vec<u128>) {
    let mut promised = Vec::new();
    for sdk in sdks {
        let by_sdk = sdk.ends();
        assert!(!by_sdk.is_empty(), "an SDK has sent nothing");
        promised.extend(by_sdk);
    }
    (promised, moved.ends())
}

fn nothing_is_lost_however_long_it_lasts() {
    let (lasts, seed) = (lasts(), crate::spool::seed());
    println!(
        "tests/soak --minutes {} --seed {seed}",
        lasts.as_secs_f64() / 60.0
    );
    let mut rng = Rng::with_seed(seed);
    let scene = Scene::set(seed);
    let operator = Operator::starts(&scene);
    let (sdks, moved) = sdks(&scene, lasts);
    let (numbers, began) = (AtomicU32::new(1), Instant::now());
    let operator = thread::scope(|scope| {
        let _ends = Ends([&scene.trouble, &scene.load]);
        for way in Way::ALL {
            let (scene, numbers) = (&scene, &numbers);
            let watched = (&*scene.windows, &*scene.tally);
            scope.spawn(move || {
                senders::client(*way, &scene.places, numbers, &scene.load, watched);
            });
        }
        let (weather, mischief) = (rng.fork(), rng.fork());
        scope.spawn(|| scene.weather(weather));
        scope.spawn(|| scene.mischief(mischief));
        {
            let _unlent = scene.windows.open(Cause::Unlent);
            scene.load.open();
            thread::sleep(WARM_UP);
        }
        for hostile in Try::ALL {
            hostile.on(&scene.places, &scene.tally, &mut rng);
        }
        let mut operator = operator;
        operator.rests();
        let operator = course(operator, lasts, &mut rng);
        scene.trouble.close();
        scene.load.close();
        operator
    });
    let lasted = began.elapsed();
    let mut promised = scene.tally.promised();
    let (by_sdks, moved) = told(sdks, moved);
    promised.extend(by_sdks);
    // A machine that is started anew: what has failed so often that it waits for minutes is
    // tried at once.
    let operator = operator.changes(Change::Stopped);
    let (begin, rests) = operator.closes();
    let unstored = unstored(&scene, &moved);
    scene.tally.elsewhere(moved.len(), unstored);
    let lost = scene.stand_in.lacks(&promised);
    let held = Held { begin, rests };
    scene
        .tally
        .print(lasted, scene.stand_in.events(), lost.len(), &held);
    let first: Vec<_> = lost.iter().take(5).map(|id| format!("{id:032x}")).collect();
    assert!(
        lost.is_empty(),
        "{} are lost, such as {first:?}",
        lost.len()
    );
    assert_eq!(
        unstored, 0,
        "lost on their way to the Sentry of the moved project"
    );
    scene.tally.judge();
}
