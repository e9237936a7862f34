//! What is promised of silence, of spikes and of the file, in minutes that are counted by hand.

mod kept;

use super::*;

/// A Monday's midnight, eight weeks of which are past it.
const START: u64 = (4 + 7 * 2900) * 24 * 60;
const DAY: u64 = 24 * 60;

const TERMS: Terms = Terms {
    silence: true,
    spikes: Some(Spikes {
        times: 5,
        floor: 100,
    }),
    held_minutes: 6,
    projects_max: 10,
};

fn project(id: u64) -> ProjectId {
    ProjectId::parse(id.to_string().as_bytes()).unwrap()
}

/// Baselines with the books that they are fed with.
struct Watched {
    baselines: Baselines,
    minute: u64,
    books: BTreeMap<(ProjectId, Category), Counted>,
    terms: Terms,
    held: bool,
}

impl Watched {
    fn new() -> Self {
        let mut own = Self {
            baselines: Baselines::default(),
            minute: START,
            books: BTreeMap::new(),
            terms: TERMS,
            held: false,
        };
        assert_eq!(own.look(), []);
        own
    }

    /// One that has seen so many days of a project that sends so many errors a minute.
    fn after(days: u64, errors: u64) -> Self {
        let mut own = Self::new();
        for _ in 0..days * DAY {
            own.sends(42, errors);
            assert_eq!(own.passes(1), [], "a project that is as always");
        }
        own
    }

    fn books(&mut self, id: u64, category: Category) -> &mut Counted {
        let key = (project(id), category);
        self.books.entry(key).or_insert(Counted {
            project: key.0,
            category,
            received: 0,
            accepted: 0,
            held_back: 0,
        })
    }

    fn sends(&mut self, id: u64, errors: u64) {
        let row = self.books(id, Category::Error);
        row.received += errors;
        row.accepted += errors;
    }

    fn is_refused(&mut self, id: u64, errors: u64) {
        let row = self.books(id, Category::Error);
        row.received += errors;
        row.held_back += errors;
    }

    fn look(&mut self) -> Vec<Change> {
        let rows: Vec<Counted> = self.books.values().copied().collect();
        let held = self.held;
        self.baselines
            .look(self.minute, &rows, &self.terms, |_| held)
    }

    /// So many minutes pass, and at the end of each somebody looks.
    fn passes(&mut self, minutes: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        for _ in 0..minutes {
            self.minute += 1;
            changes.extend(self.look());
        }
        changes
    }

    /// So many minutes pass at once.
    fn jumps(&mut self, minutes: u64) -> Vec<Change> {
        self.minute += minutes;
        self.look()
    }

    fn told(&self) -> Told {
        let mut told = self.baselines.told(&self.terms);
        told.next().expect("the one project is followed")
    }
}

#[test]
fn a_project_that_sends_each_minute_is_silent_after_twenty_without() {
    let mut watched = Watched::after(4, 3);
    let since = watched.minute - 1;
    assert_eq!(watched.passes(19), []);
    let silent = Change::Silent {
        project: project(42),
        since,
    };
    assert_eq!(watched.passes(1), [silent]);
    assert_eq!(watched.passes(100), [], "told once");
    assert_eq!(watched.told().silent_since, Some(since));
    watched.sends(42, 1);
    let heard = Change::Heard {
        project: project(42),
        minutes: 121,
    };
    assert_eq!(watched.passes(1), [heard]);
    assert_eq!(watched.told().silent_since, None);
    assert_eq!(watched.passes(19), []);
}

#[test]
fn what_is_dropped_was_sent_all_the_same() {
    let mut watched = Watched::after(4, 3);
    for _ in 0..100 {
        watched.books(42, Category::Error).received += 1;
        assert_eq!(watched.passes(1), []);
    }
}

#[test]
fn a_burst_each_hour_is_one_busy_minute_and_missed_for_twenty_hours() {
    let mut watched = Watched::new();
    for _ in 0..4 * 24 {
        watched.sends(42, 60);
        assert_eq!(watched.passes(60), []);
    }
    assert_eq!(watched.passes(19 * 60), []);
    assert_eq!(watched.passes(2 * 60).len(), 1);
}

#[test]
fn a_project_that_rests_at_night_is_not_silent_then() {
    let mut watched = Watched::new();
    let noon = |minute: u64| (8 * 60..20 * 60).contains(&(minute % DAY));
    for _ in 0..4 * DAY {
        if noon(watched.minute) {
            watched.sends(42, 2);
        }
        assert_eq!(watched.passes(1), []);
    }
    // A Friday on which nobody comes.
    assert_eq!(watched.passes(8 * 60 + 19), []);
    assert_eq!(watched.passes(1).len(), 1);
}

#[test]
fn a_first_weekend_says_nothing_and_a_second_is_as_the_first() {
    let mut watched = Watched::new();
    let works = |minute: u64| (minute - START) / DAY % 7 < 5;
    for _ in 0..14 * DAY {
        if works(watched.minute) {
            watched.sends(42, 2);
        }
        assert_eq!(watched.passes(1), []);
    }
    assert_eq!(watched.passes(20).len(), 1, "a Monday is no weekend");
}

#[test]
fn minutes_that_nobody_watched_are_not_missed() {
    let mut watched = Watched::after(4, 3);
    assert_eq!(watched.passes(19), []);
    assert_eq!(watched.jumps(4), [], "the machine slept");
    assert_eq!(watched.jumps(10 * 60), []);
    assert_eq!(watched.jumps(3).len(), 1, "a look that is a little late");
}

#[test]
fn clients_that_are_held_back_are_not_missed() {
    let mut watched = Watched::after(4, 3);
    watched.held = true;
    assert_eq!(watched.passes(300), []);
    watched.held = false;
    assert_eq!(watched.passes(19), []);
    watched.is_refused(42, 5);
    // The minute of the refusal and five more.
    assert_eq!(watched.passes(6 + 19), []);
    assert_eq!(watched.passes(1).len(), 1);
}

#[test]
fn before_there_is_a_habit_nothing_is_missed_and_no_spike_is_seen() {
    let mut watched = Watched::new();
    for _ in 0..5 * 60 {
        watched.sends(42, 3);
        watched.passes(1);
    }
    watched.sends(42, 1_000_000);
    assert_eq!(watched.passes(1), []);
    assert_eq!(watched.told().kinds[0].limit, None);
    assert_eq!(watched.passes(600), []);
}

#[test]
fn silence_can_be_switched_off_and_forgets_what_it_told() {
    let mut watched = Watched::after(4, 3);
    assert_eq!(watched.passes(20).len(), 1);
    watched.terms.silence = false;
    assert_eq!(watched.passes(1), []);
    assert_eq!(watched.told().silent_since, None);
    watched.sends(42, 1);
    assert_eq!(watched.passes(200), []);
}

#[test]
fn what_is_silent_for_eight_days_is_forgotten() {
    let mut watched = Watched::after(4, 3);
    let changes = watched.passes(9 * DAY);
    let forgotten = Change::Forgotten {
        project: project(42),
    };
    assert!(matches!(changes[..], [Change::Silent { .. }, last] if last == forgotten));
    assert!(watched.baselines.is_empty());
}

#[test]
fn a_bucket_holds_an_hours_limit_and_is_refilled_in_an_hour() {
    // 600 an hour; five times that is a spike.
    let mut watched = Watched::after(4, 10);
    watched.sends(42, 3000);
    assert_eq!(watched.passes(1), []);
    assert_eq!(watched.told().kinds[0].would_drop, 0);
    watched.sends(42, 51);
    let spike = Change::Spike {
        project: project(42),
        category: Category::Error,
        limit: 3000,
    };
    assert_eq!(watched.passes(1), [spike], "50 came back in a minute");
    assert_eq!(watched.told().kinds[0].would_drop, 1);
    watched.sends(42, 150);
    assert_eq!(watched.passes(3), []);
    let told = watched.told();
    assert_eq!(
        told.kinds[0].would_drop, 101,
        "all of it came in one minute"
    );
    assert_eq!(told.kinds[0].spike_since, Some(watched.minute - 4));
}

#[test]
fn a_spike_is_over_a_quarter_of_an_hour_after_its_last_drop() {
    let mut watched = Watched::after(4, 10);
    watched.sends(42, 4000);
    assert_eq!(watched.passes(1).len(), 1);
    assert_eq!(watched.passes(5), []);
    watched.sends(42, 1000);
    assert_eq!(watched.passes(15), []);
    let over = Change::SpikeOver {
        project: project(42),
        category: Category::Error,
        minutes: 7,
        dropped: 1000 + 1000 - 6 * 50,
    };
    assert_eq!(watched.passes(1), [over]);
    assert_eq!(watched.told().kinds[0].would_drop, 1700);
    assert_eq!(watched.told().kinds[0].spike_since, None);
}

#[test]
fn below_the_floor_nothing_is_a_spike() {
    let mut watched = Watched::new();
    for _ in 0..4 * 24 {
        watched.sends(42, 1);
        watched.passes(60);
    }
    watched.sends(42, 100);
    assert_eq!(watched.passes(1), []);
    watched.sends(42, 2);
    assert_eq!(watched.passes(1).len(), 1);
}

#[test]
fn what_would_have_been_dropped_does_not_become_usual() {
    let mut watched = Watched::after(4, 10);
    for _ in 0..3 * DAY {
        watched.sends(42, 1000);
        watched.passes(1);
    }
    // A third day of it has the second's hours for its measure; none was above five times that.
    let usual = watched.told().kinds[0].expected.unwrap().usual;
    assert!(usual <= 600 * 5, "{usual}");
}

#[test]
fn each_category_has_a_bucket_of_its_own() {
    let mut watched = Watched::after(4, 10);
    let row = watched.books(42, Category::Transaction);
    (row.received, row.accepted) = (1_000_000, 1_000_000);
    assert_eq!(watched.passes(1), [], "of these nothing is known yet");
}

#[test]
fn spikes_can_be_switched_off_in_the_midst_of_one() {
    let mut watched = Watched::after(4, 10);
    watched.sends(42, 4000);
    assert_eq!(watched.passes(1).len(), 1);
    watched.terms.spikes = None;
    let changes = watched.passes(1);
    assert!(
        matches!(changes[..], [Change::SpikeOver { .. }]),
        "{changes:?}"
    );
    watched.sends(42, 1_000_000);
    assert_eq!(watched.passes(20), []);
}

#[test]
fn a_number_that_sinks_for_a_moment_is_no_news_when_it_is_back() {
    let mut watched = Watched::after(4, 10);
    let before = watched.told().kinds[0].so_far;
    watched.sends(42, 10);
    watched.passes(1);
    watched.books(42, Category::Error).accepted -= 5;
    watched.passes(1);
    watched.books(42, Category::Error).accepted += 5;
    watched.passes(1);
    assert_eq!(watched.told().kinds[0].so_far - before, 10);
}

#[test]
fn what_was_counted_before_is_not_news() {
    let mut watched = Watched::new();
    watched.sends(42, 1000);
    let rows: Vec<Counted> = watched.books.values().copied().collect();
    watched.baselines.begin(&rows);
    watched.passes(1);
    assert!(watched.baselines.is_empty());
    watched.sends(42, 1);
    watched.passes(1);
    assert_eq!(watched.told().kinds[0].so_far, 1);
}

#[test]
fn no_more_projects_are_followed_than_may_be() {
    let mut watched = Watched::new();
    for id in 1..=11 {
        watched.sends(id, 1);
    }
    watched.passes(1);
    assert_eq!(watched.baselines.len(), 10);
    for id in 1..=11 {
        watched.sends(id, 1);
    }
    watched.passes(1);
    assert_eq!(watched.baselines.len(), 10, "who has a place keeps it");
}

#[test]
fn a_clock_that_is_set_costs_hours_and_makes_nobody_silent() {
    let mut watched = Watched::after(8, 3);
    let known = watched.told().hours_known;
    assert!(known > 190, "{known}");
    assert_eq!(watched.jumps(2 * 60), []);
    watched.minute -= 2 * 60;
    assert_eq!(watched.look(), []);
    let left = watched.told().hours_known;
    assert!((known - 4..known).contains(&left), "{left}");
    assert_eq!(watched.passes(19), []);
    assert_eq!(watched.jumps(400 * DAY), []);
    assert!(watched.baselines.is_empty());
}
