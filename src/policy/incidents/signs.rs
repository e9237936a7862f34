//! Signs in the counters: what they say together over some minutes. Owns the thresholds, which
//! `config/prometheus/alerts.yml` has too; never counts, and remembers six hours at most.

use std::collections::BTreeMap;

use crate::domain::incident::{Condition, Kind};
use crate::policy::lookback::LookBack;
use crate::policy::millis::Millis;

use super::Loss;

const MINUTE_MS: u64 = 60_000;

/// What was lost within the last five minutes is being lost, as for the alert.
const LATELY_MS: u64 = 5 * MINUTE_MS;

/// Failures are a share of so much time.
const FAILED_WITHIN_MS: u64 = 2 * MINUTE_MS;

/// Private addresses are a share of so much time, and of so many requests at the least: three
/// from inside say nothing of who is outside.
const PRIVATE_WITHIN_MS: u64 = 15 * MINUTE_MS;
const PRIVATE_OF_MIN: u64 = 20;

/// Unknown keys are many beside the six hours before these ten minutes.
const UNKNOWN_WITHIN_MS: u64 = 10 * MINUTE_MS;

const SPAN_MS: u64 = 6 * 60 * MINUTE_MS + UNKNOWN_WITHIN_MS;
const EVERY_MS: u64 = MINUTE_MS / 2;

/// The counters at one moment, as they stand since the start.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Requests with events that ended.
    pub events: u64,
    /// Those that were answered 5xx.
    pub failed: u64,
    /// Requests whose client was looked for.
    pub clients: u64,
    /// Those whose client has a private address.
    pub private: u64,
    /// Items whose key nobody knows.
    pub unknown: u64,
    /// What was lost.
    pub lost: Loss,
    /// Items for which there was no room, by project; those without any may be left out.
    pub limited: BTreeMap<String, u64>,
}

/// What of a reading is looked back on.
#[derive(Debug, Clone, Copy, Default)]
struct Note {
    events: u64,
    failed: u64,
    clients: u64,
    private: u64,
    unknown: u64,
}

/// What was read so far.
#[derive(Debug)]
pub struct Signs {
    notes: LookBack<Note, SPAN_MS, EVERY_MS>,
    lost: Grown,
    limited: Grown,
}

impl Signs {
    /// From these counters on.
    #[must_use]
    pub fn new(now: Millis, first: &Reading) -> Self {
        let mut signs = Self {
            notes: LookBack::default(),
            lost: Grown::default(),
            limited: Grown::default(),
        };
        signs.notes.note(now, first.note());
        for (reason, lost) in first.lost.by_reason() {
            signs.lost.begin(reason.as_str(), lost.items);
        }
        for (project, items) in &first.limited {
            signs.limited.begin(project, *items);
        }
        signs
    }

    /// What the counters say now.
    pub fn read(&mut self, now: Millis, reading: &Reading) -> Vec<Condition> {
        for (reason, lost) in reading.lost.by_reason() {
            self.lost.note(now, reason.as_str(), lost.items);
        }
        for (project, items) in &reading.limited {
            self.limited.note(now, project, *items);
        }
        let note = reading.note();
        let mut holding = Vec::new();
        holding.extend(self.lost.lately(now).map(|reason| {
            let says = format!("events are lost that nobody's policy dropped: {reason}");
            Condition::new(Kind::Loss, reason, &says)
        }));
        holding.extend(self.failing(now, note));
        holding.extend(self.limited.lately(now).map(|project| {
            let says = format!("project {project} is limited");
            Condition::new(Kind::ProjectLimited, project, &says)
        }));
        holding.extend(self.private(now, note));
        holding.extend(self.unknown(now, note));
        self.notes.note(now, note);
        holding
    }

    /// More than a hundredth of what was answered.
    fn failing(&self, now: Millis, note: Note) -> Option<Condition> {
        let (_, before) = self.notes.within(now, FAILED_WITHIN_MS)?;
        let all = note.events.saturating_sub(before.events);
        let failed = note.failed.saturating_sub(before.failed);
        let says = format!(
            "{failed} of {all} requests with events of the last two minutes were answered 5xx"
        );
        let many = failed.saturating_mul(100) > all;
        (failed > 0 && many).then(|| Condition::new(Kind::IngestErrors, "ingest", &says))
    }

    /// More than nineteen of twenty.
    fn private(&self, now: Millis, note: Note) -> Option<Condition> {
        let (_, before) = self.notes.within(now, PRIVATE_WITHIN_MS)?;
        let all = note.clients.saturating_sub(before.clients);
        let private = note.private.saturating_sub(before.private);
        let says =
            format!("{private} of {all} clients of the last 15 min seem to have private addresses");
        let many = private.saturating_mul(100) > all.saturating_mul(95);
        let found = all >= PRIVATE_OF_MIN && many;
        found.then(|| Condition::new(Kind::PrivateClients, "clients", &says))
    }

    /// More than one a second, and three times what was usual.
    fn unknown(&self, now: Millis, note: Note) -> Option<Condition> {
        let (at, before) = self.notes.within(now, UNKNOWN_WITHIN_MS)?;
        let (from, oldest) = self.notes.oldest()?;
        let lately = note.unknown.saturating_sub(before.unknown);
        let usual = before.unknown.saturating_sub(oldest.unknown);
        let per_hour = |count: u64, ms: u64| {
            let hours = u128::from(count) * 3_600_000;
            hours.checked_div(u128::from(ms)).unwrap_or(0)
        };
        let lately = per_hour(lately, now.since(at));
        let usual = per_hour(usual, at.since(from));
        let says =
            format!("{lately} items an hour come with keys that nobody knows; {usual} are usual");
        let many = lately > 3_600 + 3 * usual;
        many.then(|| Condition::new(Kind::UnknownKeys, "keys", &says))
    }
}

impl Reading {
    fn note(&self) -> Note {
        Note {
            events: self.events,
            failed: self.failed,
            clients: self.clients,
            private: self.private,
            unknown: self.unknown,
        }
    }
}

/// Counters, and when each was last seen to grow. One that is never asked for again stays: there
/// are as many as projects have numbers in the books.
#[derive(Debug, Default)]
struct Grown(BTreeMap<String, (u64, Option<Millis>)>);

impl Grown {
    /// So much was there before.
    fn begin(&mut self, key: &str, count: u64) {
        self.0.insert(key.to_owned(), (count, None));
    }

    fn note(&mut self, now: Millis, key: &str, count: u64) {
        match self.0.get_mut(key) {
            Some(grown) if grown.0 != count => *grown = (count, Some(now)),
            Some(_) => {}
            None => _ = self.0.insert(key.to_owned(), (count, Some(now))),
        }
    }

    /// Those that have grown within the last five minutes.
    fn lately(&self, now: Millis) -> impl Iterator<Item = &str> {
        let grown = self.0.iter();
        let lately =
            grown.filter(move |(_, (_, at))| at.is_some_and(|at| now.since(at) < LATELY_MS));
        lately.map(|(key, _)| key.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Reason;

    /// Counters over time, and whether a kind was seen at each step of a second.
    struct Course {
        now: Millis,
        reading: Reading,
        signs: Signs,
    }

    impl Course {
        fn begin(reading: Reading) -> Self {
            let now = Millis(1_000_000);
            let signs = Signs::new(now, &reading);
            Self {
                now,
                reading,
                signs,
            }
        }

        /// So many seconds, in each of which `each` happens; the last look's subjects of a kind.
        fn pass(&mut self, seconds: u64, kind: Kind, each: impl Fn(&mut Reading)) -> Vec<String> {
            let mut last = Vec::new();
            for _ in 0..seconds {
                self.now = self.now.plus(1000);
                each(&mut self.reading);
                last = self.signs.read(self.now, &self.reading);
            }
            let of_kind = last.into_iter().filter(|one| one.kind == kind);
            of_kind.map(|one| one.subject).collect()
        }
    }

    fn nothing(_: &mut Reading) {}

    #[test]
    fn what_was_counted_before_the_start_is_no_sign() {
        let mut before = Reading {
            events: 10,
            failed: 10,
            clients: 100,
            private: 100,
            unknown: 1_000_000,
            ..Reading::default()
        };
        before.lost.add(Reason::SpoolFull, 3, 3);
        before.limited.insert("42".to_owned(), 9);
        let mut course = Course::begin(before);
        for kind in Kind::ALL {
            assert_eq!(course.pass(1, *kind, nothing), [""; 0], "{}", kind.as_str());
        }
    }

    #[test]
    fn a_loss_is_a_sign_for_five_minutes_by_its_reason() {
        let mut course = Course::begin(Reading::default());
        let lose = |reading: &mut Reading| {
            reading.lost.add(Reason::NoUpstream, 1, 10);
            reading.lost.add(Reason::Quota, 1, 10);
        };
        assert_eq!(course.pass(1, Kind::Loss, lose), ["no_upstream"]);
        assert_eq!(course.pass(299, Kind::Loss, nothing), ["no_upstream"]);
        assert_eq!(course.pass(1, Kind::Loss, nothing), [""; 0]);
    }

    #[test]
    fn a_project_is_limited_for_five_minutes_after_its_last_item_without_room() {
        let mut course = Course::begin(Reading::default());
        let limit = |reading: &mut Reading| {
            *reading.limited.entry("42".to_owned()).or_default() += 1;
            reading.limited.insert("7".to_owned(), 5);
        };
        let both = course.pass(2, Kind::ProjectLimited, limit);
        assert_eq!(both, ["42", "7"]);
        let left = course.pass(299, Kind::ProjectLimited, nothing);
        assert_eq!(left, ["42"]);
        assert_eq!(course.pass(1, Kind::ProjectLimited, nothing), [""; 0]);
    }

    #[test]
    fn failures_are_a_sign_above_a_hundredth() {
        let with = |failed: u64| {
            move |reading: &mut Reading| {
                reading.events += 1000;
                reading.failed += failed;
            }
        };
        let mut course = Course::begin(Reading::default());
        assert_eq!(course.pass(200, Kind::IngestErrors, with(10)), [""; 0]);
        let mut course = Course::begin(Reading::default());
        assert_eq!(course.pass(200, Kind::IngestErrors, with(11)), ["ingest"]);
        assert_eq!(course.pass(120, Kind::IngestErrors, with(0)), [""; 0]);
    }

    #[test]
    fn one_failure_of_few_is_over_before_it_counts() {
        let mut course = Course::begin(Reading::default());
        let one = |reading: &mut Reading| {
            reading.events += 1;
            reading.failed += 1;
        };
        assert_eq!(course.pass(1, Kind::IngestErrors, one), ["ingest"]);
        let held = (1..).find(|_| course.pass(1, Kind::IngestErrors, nothing).is_empty());
        assert!(held.unwrap() <= Kind::IngestErrors.hold_s(), "{held:?} s");
    }

    #[test]
    fn private_addresses_are_a_sign_above_nineteen_of_twenty_from_twenty_on() {
        let seen = |clients: u64, private: u64| {
            let mut course = Course::begin(Reading::default());
            let come = |reading: &mut Reading| {
                reading.clients += clients;
                reading.private += private;
            };
            !course.pass(1, Kind::PrivateClients, come).is_empty()
        };
        assert!(seen(20, 20));
        assert!(!seen(19, 19), "too few to say");
        assert!(!seen(100, 95));
        assert!(seen(100, 96));
    }

    #[test]
    fn unknown_keys_are_a_sign_above_one_a_second_and_three_times_the_usual() {
        let with = |each: u64| move |reading: &mut Reading| reading.unknown += each;
        let mut course = Course::begin(Reading::default());
        assert_eq!(course.pass(700, Kind::UnknownKeys, with(1)), [""; 0]);
        assert_eq!(course.pass(600, Kind::UnknownKeys, with(2)), [""; 0]);
        let mut course = Course::begin(Reading::default());
        assert_eq!(course.pass(600, Kind::UnknownKeys, with(2)), ["keys"]);
        // Two a second are usual: seven are no more than three times that and one.
        let mut course = Course::begin(Reading::default());
        course.pass(6 * 3600, Kind::UnknownKeys, with(2));
        assert_eq!(course.pass(600, Kind::UnknownKeys, with(7)), [""; 0]);
        let mut course = Course::begin(Reading::default());
        course.pass(6 * 3600, Kind::UnknownKeys, with(2));
        assert_eq!(course.pass(600, Kind::UnknownKeys, with(8)), ["keys"]);
    }
}
