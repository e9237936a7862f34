//! The part of the model that knows what is set aside.

use super::*;
use crate::policy::evidence::Lately;

pub(super) fn waits(tried: &Tried, due: u64) -> Stands {
    match tried.points >= 20 {
        true => Stands::Aside { due },
        // These waits are kept in tenths of a second.
        false => Stands::Waiting {
            due: due.div_ceil(100) * 100,
        },
    }
}

pub(super) fn fail(
    replay: &mut Replay<u64>,
    model: &mut Model,
    now: u64,
    place: usize,
    took: bool,
) {
    let (held, stands, tried) = &mut model.records[place];
    let was_aside = tried.points >= 20;
    tried.times = (tried.times + 1).min(TRIES_MAX);
    tried.points = match (was_aside, took) {
        (true, _) => (tried.points + 1).min(24),
        (false, true) => tried.points + 4,
        (false, false) => tried.points,
    };
    let wait_ms = match tried.points.checked_sub(20) {
        None => backoff_ms(tried.times),
        Some(times) => (60_000 << times).min(600_000),
    };
    let due = now + wait_ms;
    *stands = waits(tried, due);
    let lately = Lately {
        took: took.then_some(at(now)),
        healthy: None,
    };
    let want = match tried.points >= 20 && !was_aside {
        true => Failed::SetAside(*held),
        false => Failed::Rests(at(due)),
    };
    assert_eq!(replay.failed(at(now), held.order, lately), Some(want));
}

pub(super) fn take_aside(replay: &mut Replay<u64>, model: &mut Model, now: u64) {
    let next = replay.next_aside(at(now));
    let pauses = &model.pauses;
    let may = |(held, stands, _): &&mut (Held<u64>, Stands, Tried)| {
        let whose = (held.project, held.lane);
        let paused = pauses
            .iter()
            .any(|pause| (pause.0, pause.1) == whose && pause.2 > now);
        matches!(stands, Stands::Aside { due } if *due <= now) && !paused
    };
    let mut may: Vec<_> = model.records.iter_mut().filter(may).collect();
    match next {
        None => assert!(may.is_empty() || model.paused, "{may:?} may go at {now}"),
        Some(next) => {
            let found = may.iter_mut().find(|(held, ..)| *held == next);
            found.unwrap().1 = Stands::UnderWay;
        }
    }
}
