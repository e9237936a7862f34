//! A history of all that can happen to what is held, against a list that is searched.

use proptest::prelude::*;

use super::*;

mod aside;

use aside::{fail, take_aside, waits};

#[derive(Debug, Clone)]
enum Event {
    /// `back`: so many orders before the last one, where that is free.
    Push {
        number: u64,
        lane: Lane,
        bytes: u32,
        back: u64,
        under_way: bool,
    },
    Next,
    Done {
        which: usize,
    },
    Again {
        which: usize,
        wait_ms_min: u64,
    },
    /// The upstream did, or did not, take another's meanwhile.
    Fail {
        which: usize,
        took: bool,
    },
    NextAside,
    PutBack {
        which: usize,
    },
    Withdraw {
        which: usize,
    },
    Pause {
        number: u64,
        lane: Lane,
        for_ms: u64,
    },
    PauseAll {
        on: bool,
    },
    Wait {
        ms: u64,
    },
    Expire {
        max_age_ms: u64,
        most: usize,
    },
    DropProject {
        number: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let lane = || prop::sample::select(Lane::ALL.to_vec());
    prop_oneof![
        12 => (0..4_u64, lane(), 0..5000_u32, prop_oneof![5 => Just(0), 1 => 1..6_u64], prop::bool::weighted(0.1))
            .prop_map(|(number, lane, bytes, back, under_way)| Event::Push { number, lane, bytes, back, under_way }),
        14 => Just(Event::Next),
        4 => any::<usize>().prop_map(|which| Event::Done { which }),
        5 => (any::<usize>(), prop_oneof![Just(0), 0..9000_u64])
            .prop_map(|(which, wait_ms_min)| Event::Again { which, wait_ms_min }),
        9 => (any::<usize>(), prop::bool::weighted(0.8))
            .prop_map(|(which, took)| Event::Fail { which, took }),
        2 => Just(Event::NextAside),
        2 => any::<usize>().prop_map(|which| Event::PutBack { which }),
        1 => any::<usize>().prop_map(|which| Event::Withdraw { which }),
        1 => (0..4_u64, lane(), 0..9000_u64)
            .prop_map(|(number, lane, for_ms)| Event::Pause { number, lane, for_ms }),
        1 => prop::bool::weighted(0.2).prop_map(|on| Event::PauseAll { on }),
        5 => prop_oneof![0..200_u64, 500..5000_u64].prop_map(|ms| Event::Wait { ms }),
        1 => (0..2000_u64, 0..4_usize).prop_map(|(max_age_ms, most)| Event::Expire { max_age_ms, most }),
        1 => (0..4_u64).prop_map(|number| Event::DropProject { number }),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stands {
    Waiting { due: u64 },
    Aside { due: u64 },
    UnderWay,
}

#[derive(Default)]
struct Model {
    records: Vec<(Held<u64>, Stands, Tried)>,
    pauses: Vec<(Name, Lane, u64)>,
    paused: bool,
}

impl Model {
    fn under_way(&self, which: usize) -> Option<usize> {
        let going = |place: &usize| self.records[*place].1 == Stands::UnderWay;
        let places: Vec<_> = (0..self.records.len()).filter(going).collect();
        (!places.is_empty()).then(|| places[which % places.len()])
    }

    fn waiting(&self) -> impl Iterator<Item = &(Held<u64>, Stands, Tried)> {
        self.records
            .iter()
            .filter(|(_, stands, _)| *stands != Stands::UnderWay)
    }

    /// What may go now, of each lane of each project.
    fn may_go(&self, now: u64) -> Vec<Held<u64>> {
        let mut may = Vec::new();
        for number in 0..4 {
            for lane in Lane::ALL {
                let whose = (project(number), lane);
                let mine = |pause: &&(Name, Lane, u64)| (pause.0, pause.1) == whose;
                if self.paused || self.pauses.iter().filter(mine).any(|pause| pause.2 > now) {
                    continue;
                }
                let mine = self.waiting().filter(|(held, stands, _)| {
                    let aside = matches!(stands, Stands::Aside { .. });
                    (held.project, held.lane) == whose && !aside
                });
                let mut mine: Vec<_> = mine.collect();
                mine.sort_by_key(|(held, ..)| held.order);
                mine.truncate(queue::REST_MAX);
                let is_due =
                    |stands: &Stands| matches!(stands, Stands::Waiting { due } if *due <= now);
                may.extend(
                    mine.iter()
                        .find(|(_, stands, _)| is_due(stands))
                        .map(|(held, ..)| *held),
                );
            }
        }
        may
    }

    fn is_aside(&self, order: u64) -> bool {
        let mut records = self.records.iter();
        let found = records.find(|(held, ..)| held.order == order);
        found.is_some_and(|(_, stands, _)| matches!(stands, Stands::Aside { .. }))
    }

    /// Pauses of projects of which nothing is held are forgotten.
    fn forget(&mut self) {
        let records = &self.records;
        self.pauses
            .retain(|(name, ..)| records.iter().any(|(held, ..)| held.project == *name));
    }
}

#[track_caller]
fn compare(replay: &Replay<u64>, model: &Model) {
    assert_eq!(replay.len(), model.records.len());
    let bytes = model.records.iter().map(|(held, ..)| u64::from(held.bytes));
    assert_eq!(replay.bytes(), bytes.sum::<u64>());
    let oldest = model.records.iter().map(|(held, ..)| held.at).min();
    assert_eq!(replay.oldest_at(), oldest);
    let mut told = replay.summary(9);
    told.sort_by_key(|told| told.project);
    let mut want = Vec::new();
    for number in 0..4 {
        let mine = model
            .records
            .iter()
            .filter(|(held, ..)| held.project == project(number));
        let mine: Vec<_> = mine.map(|(held, ..)| held).collect();
        if let Some(oldest_at) = mine.iter().map(|held| held.at).min() {
            want.push(ProjectHeld {
                project: project(number),
                records: mine.len(),
                bytes: mine.iter().map(|held| u64::from(held.bytes)).sum(),
                oldest_at,
            });
        }
    }
    assert_eq!(told, want);
    let aside = model
        .records
        .iter()
        .filter(|(held, ..)| model.is_aside(held.order));
    assert_eq!(replay.aside(), aside.count());
}

fn take_turn(replay: &mut Replay<u64>, model: &mut Model, now: u64) -> Result<(), TestCaseError> {
    let may = model.may_go(now);
    let Some(next) = replay.next(at(now)) else {
        prop_assert!(may.is_empty(), "{:?} may go at {}", may, now);
        return Ok(());
    };
    prop_assert!(
        may.contains(&next),
        "{:?} is not of {:?} at {}",
        next,
        may,
        now
    );
    let check_ins = may.iter().any(|held| held.lane == Lane::CheckIn);
    prop_assert!(
        next.lane == Lane::CheckIn || !check_ins,
        "{:?} before check-ins",
        next
    );
    let found = model
        .records
        .iter_mut()
        .find(|(held, ..)| held.order == next.order);
    found.unwrap().1 = Stands::UnderWay;
    Ok(())
}

fn expire(replay: &mut Replay<u64>, model: &mut Model, now_unix_ms: u64, age: (u64, usize)) {
    let (max_age_ms, most) = age;
    let mut old: Vec<_> = model.waiting().map(|(held, ..)| *held).collect();
    old.retain(|held| now_unix_ms.saturating_sub(held.at) > max_age_ms);
    // What is set aside goes before.
    let in_turn = |held: &Held<u64>| !model.is_aside(held.order);
    old.sort_by_key(|held| (in_turn(held), held.order));
    old.truncate(most);
    assert_eq!(replay.expire(now_unix_ms, max_age_ms, most), old);
    model.records.retain(|(held, ..)| !old.contains(held));
}

fn drop_project(replay: &mut Replay<u64>, model: &mut Model, name: Name) {
    let mut mine: Vec<_> = model.waiting().map(|(held, ..)| *held).collect();
    mine.retain(|held| held.project == name);
    mine.sort_by_key(|held| match model.is_aside(held.order) {
        true => (true, Lane::CheckIn, held.order),
        false => (false, held.lane, held.order),
    });
    assert_eq!(replay.drop_project(name).collect::<Vec<_>>(), mine);
    model.pauses.retain(|(paused, ..)| *paused != name);
    model.records.retain(|(held, ..)| !mine.contains(held));
}

fn push(replay: &mut Replay<u64>, model: &mut Model, last: &mut u64, event: &Event) {
    let Event::Push {
        number,
        lane,
        bytes,
        back,
        under_way,
    } = event
    else {
        return;
    };
    *last += 3;
    let order = last.saturating_sub(*back).max(1);
    if model.records.iter().any(|(held, ..)| held.order == order) {
        return;
    }
    let record = Held {
        bytes: *bytes,
        ..held(order, *number, *lane)
    };
    let (pushed, stands) = match under_way {
        true => (replay.push_under_way(record), Stands::UnderWay),
        false => (replay.push(record), Stands::Waiting { due: 0 }),
    };
    assert_eq!(pushed, Ok(()));
    model.records.push((record, stands, Tried::default()));
}

fn again(replay: &mut Replay<u64>, model: &mut Model, now: u64, place: usize, wait_ms_min: u64) {
    let (held, stands, tried) = &mut model.records[place];
    tried.times = (tried.times + 1).min(TRIES_MAX);
    let due = now + backoff_ms(tried.times).max(wait_ms_min);
    let told = replay.again(at(now), held.order, wait_ms_min);
    assert_eq!(told, Some(at(due)));
    *stands = waits(tried, due);
}

proptest! {
    #[test]
    fn nothing_is_lost_or_handed_out_twice_or_out_of_turn(
        events in prop::collection::vec(event(), 1..300),
    ) {
        let mut replay = Replay::new(10_000);
        let mut model = Model::default();
        let (mut now, mut last) = (0, 0);
        for event in &events {
            match event {
                Event::Push { .. } => push(&mut replay, &mut model, &mut last, event),
                Event::Next => take_turn(&mut replay, &mut model, now)?,
                Event::Done { which } => {
                    if let Some(place) = model.under_way(*which) {
                        let (held, ..) = model.records.remove(place);
                        prop_assert_eq!(replay.done(held.order), Some(held));
                    }
                }
                Event::Again { which, wait_ms_min } => {
                    if let Some(place) = model.under_way(*which) {
                        again(&mut replay, &mut model, now, place, *wait_ms_min);
                    }
                }
                Event::Fail { which, took } => {
                    if let Some(place) = model.under_way(*which) {
                        fail(&mut replay, &mut model, now, place, *took);
                    }
                }
                Event::NextAside => take_aside(&mut replay, &mut model, now),
                Event::PutBack { which } => {
                    if let Some(place) = model.under_way(*which) {
                        let (held, stands, tried) = &mut model.records[place];
                        prop_assert!(replay.put_back(held.order));
                        *stands = waits(tried, 0);
                    }
                }
                Event::Withdraw { which } => {
                    let waiting: Vec<_> = model.waiting().map(|(held, ..)| *held).collect();
                    if !waiting.is_empty() {
                        let held = waiting[which % waiting.len()];
                        let taken = replay.withdraw(held.project, held.lane, held.order);
                        prop_assert_eq!(taken, Some(held));
                        model.records.retain(|(other, ..)| *other != held);
                    }
                }
                Event::Pause { number, lane, for_ms } => {
                    let until = now + for_ms;
                    replay.pause(project(*number), Lanes::only(*lane), at(until));
                    model.pauses.push((project(*number), *lane, until));
                }
                Event::PauseAll { on } => {
                    replay.pause_all(*on);
                    model.paused = *on;
                }
                Event::Wait { ms } => now += ms,
                Event::Expire { max_age_ms, most } => {
                    let now_unix_ms = 1_000_000 + last;
                    expire(&mut replay, &mut model, now_unix_ms, (*max_age_ms, *most));
                }
                Event::DropProject { number } => {
                    drop_project(&mut replay, &mut model, project(*number));
                }
            }
            model.forget();
            compare(&replay, &model);
        }
        // Whatever happened, in the end all of it goes.
        replay.pause_all(false);
        for record in &model.records {
            replay.put_back(record.0.order);
        }
        let gone = std::iter::from_fn(|| {
            let later = at(now + 700_000);
            let next = replay.next(later).or_else(|| replay.next_aside(later))?;
            replay.done(next.order)
        });
        prop_assert_eq!(gone.take(10_000).count(), model.records.len());
        prop_assert!(replay.is_empty());
    }
}
