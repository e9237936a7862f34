//! What a receiver is yet to hear of incidents: that each started, and that it is over. Owns the
//! order, and what is left out; never sends anything.
//!
//! - A start is due once its incident has lasted for a while; one that is over sooner is not
//!   worth anybody's sleep, and neither its start nor its end is told.
//! - An end is told to whoever heard of the start, always, and behind it.
//! - At most [`STARTS_MAX`] starts wait. A further one takes the place of the oldest, whose end
//!   is then not told either. Ends need no bound of their own: each belongs to a start that
//!   waits, or to an incident that was active when its receiver went away.

use std::collections::{BTreeSet, VecDeque};

use crate::policy::millis::Millis;

use super::Incident;

/// Starts that wait to be told.
pub const STARTS_MAX: usize = 64;

/// Which of the two a letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tells {
    /// That it started.
    Start,
    /// That it is over.
    End,
}

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Of which incident, as it stood when this was written.
    pub incident: Incident,
    /// What of it.
    pub tells: Tells,
    due: Millis,
}

/// What waits to be told, in the order in which it is.
#[derive(Debug, Default)]
pub struct Letters {
    waiting: VecDeque<Letter>,
    /// Incidents whose start was told, and whose end has not come.
    told: BTreeSet<u64>,
    /// What is being told now, and is not dropped meanwhile.
    under_way: Option<(u64, Tells)>,
}

impl Letters {
    /// An incident has started; it is told of once it has lasted for so long. Yields how many
    /// letters that drops: the oldest start, and its end, where there is no room.
    pub fn start(&mut self, incident: Incident, after_ms: u64) -> u64 {
        let due = incident.since.at.plus(after_ms);
        self.waiting.push_back(Letter {
            incident,
            tells: Tells::Start,
            due,
        });
        let starts = self.waiting.iter().filter(|one| one.tells == Tells::Start);
        if starts.count() <= STARTS_MAX {
            return 0;
        }
        let under_way = self.under_way;
        let mut starts = self.waiting.iter().filter(|one| one.tells == Tells::Start);
        let oldest = starts.find(|one| under_way != Some((one.incident.number, one.tells)));
        oldest
            .map(|letter| letter.incident.number)
            .map_or(0, |number| self.remove(number))
    }

    /// Whether its receiver has heard that an incident started, or is about to.
    #[must_use]
    pub fn knows(&self, number: u64) -> bool {
        let mut waiting = self.waiting.iter();
        self.told.contains(&number) || waiting.any(|one| one.incident.number == number)
    }

    /// An incident is over.
    pub fn end(&mut self, now: Millis, incident: Incident) {
        let number = incident.number;
        let start = self
            .waiting
            .iter()
            .find(|one| one.incident.number == number);
        match start {
            // It did not last.
            Some(start) if start.due > now => _ = self.remove(number),
            Some(_) => self.push_end(now, incident),
            None if self.told.remove(&number) => self.push_end(now, incident),
            // Nobody heard that it started.
            None => {}
        }
    }

    fn push_end(&mut self, now: Millis, incident: Incident) {
        self.waiting.push_back(Letter {
            incident,
            tells: Tells::End,
            due: now,
        });
    }

    /// All letters on one incident.
    fn remove(&mut self, number: u64) -> u64 {
        let before = self.waiting.len();
        self.waiting.retain(|one| one.incident.number != number);
        count(before - self.waiting.len())
    }

    /// The first that is due. It waits on until one of [`told`](Self::told),
    /// [`refused`](Self::refused) and [`later`](Self::later) says what became of it.
    pub fn take(&mut self, now: Millis) -> Option<Letter> {
        let letter = self.waiting.iter().find(|one| one.due <= now)?.clone();
        self.under_way = Some((letter.incident.number, letter.tells));
        Some(letter)
    }

    /// When the next is due, if any waits.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        self.waiting.iter().map(|one| one.due).min()
    }

    /// The receiver has it.
    pub fn told(&mut self, letter: &Letter) {
        self.under_way = None;
        let number = letter.incident.number;
        let place = self
            .waiting
            .iter()
            .position(|one| (one.incident.number, one.tells) == (number, letter.tells));
        // Gone: it made room, or there is no receiver any more.
        let Some(place) = place else { return };
        self.waiting.remove(place);
        let end_waits = self.waiting.iter().any(|one| one.incident.number == number);
        if letter.tells == Tells::Start && !end_waits {
            self.told.insert(number);
        }
    }

    /// The receiver does not want it: it is not told again, and neither is its end.
    pub fn refused(&mut self, letter: &Letter) {
        self.under_way = None;
        self.remove(letter.incident.number);
    }

    /// It did not arrive, and is told again.
    pub fn later(&mut self) {
        self.under_way = None;
    }

    /// Another receiver, which has heard of nothing yet: it gets the starts that wait, with their
    /// ends, and no end of what only the one before it has heard start. Yields how many letters
    /// that drops.
    pub fn exchange(&mut self) -> u64 {
        self.under_way = None;
        self.told.clear();
        let starts = self.waiting.iter().filter(|one| one.tells == Tells::Start);
        let unheard: BTreeSet<u64> = starts.map(|one| one.incident.number).collect();
        let before = self.waiting.len();
        self.waiting
            .retain(|one| unheard.contains(&one.incident.number));
        count(before - self.waiting.len())
    }

    /// There is no receiver any more. Yields how many letters that drops.
    pub fn clear(&mut self) -> u64 {
        let dropped = count(self.waiting.len());
        *self = Self::default();
        dropped
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn count(letters: usize) -> u64 {
    u64::try_from(letters).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::incident::{Condition, Kind};
    use crate::policy::incidents::{Loss, Moment};

    const AFTER_MS: u64 = 60_000;

    fn incident(number: u64, since: u64) -> Incident {
        let at = Millis(since);
        Incident {
            number,
            condition: Condition::new(Kind::Loss, "spool_full", "lost"),
            since: Moment { at, unix_ms: since },
            ended: None,
            unwatched: false,
            loss: Loss::default(),
        }
    }

    /// Tells all that is due, and yields what that was.
    fn tell(letters: &mut Letters, now: u64) -> Vec<(u64, Tells)> {
        let mut told = Vec::new();
        while let Some(letter) = letters.take(Millis(now)) {
            letters.told(&letter);
            told.push((letter.incident.number, letter.tells));
        }
        told
    }

    #[test]
    fn a_start_is_told_once_it_has_lasted_and_its_end_behind_it() {
        let mut letters = Letters::default();
        letters.start(incident(1, 1000), AFTER_MS);
        assert_eq!(letters.next_due(), Some(Millis(61_000)));
        assert_eq!(tell(&mut letters, 60_999), []);
        assert_eq!(tell(&mut letters, 61_000), [(1, Tells::Start)]);
        letters.end(Millis(70_000), incident(1, 1000));
        assert_eq!(tell(&mut letters, 70_000), [(1, Tells::End)]);
        assert!(letters.is_empty());
    }

    #[test]
    fn what_did_not_last_is_not_told_at_all() {
        let mut letters = Letters::default();
        letters.start(incident(1, 0), AFTER_MS);
        letters.end(Millis(59_999), incident(1, 0));
        assert!(letters.is_empty());
        letters.start(incident(2, 0), AFTER_MS);
        letters.end(Millis(60_000), incident(2, 0));
        let both = [(2, Tells::Start), (2, Tells::End)];
        assert_eq!(tell(&mut letters, 60_000), both);
    }

    #[test]
    fn what_is_refused_has_no_end_and_what_failed_is_told_again() {
        let mut letters = Letters::default();
        letters.start(incident(1, 0), 0);
        let letter = letters.take(Millis(0)).unwrap();
        letters.later();
        assert_eq!(letters.take(Millis(0)), Some(letter.clone()));
        letters.end(Millis(1), incident(1, 0));
        letters.refused(&letter);
        letters.end(Millis(2), incident(1, 0));
        assert!(letters.is_empty());
    }

    #[test]
    fn the_oldest_start_makes_room_with_its_end_and_what_is_under_way_stays() {
        let mut letters = Letters::default();
        let last = u64::try_from(STARTS_MAX).unwrap();
        for number in 1..=last {
            assert_eq!(letters.start(incident(number, 0), 0), 0);
        }
        letters.end(Millis(1), incident(2, 0));
        let first = letters.take(Millis(1)).unwrap();
        assert_eq!(letters.start(incident(last + 1, 1), 0), 2, "2 and its end");
        letters.told(&first);
        letters.end(Millis(2), incident(1, 0));
        letters.end(Millis(2), incident(2, 0));
        let told = tell(&mut letters, 2);
        assert_eq!(told.first(), Some(&(3, Tells::Start)));
        assert_eq!(told.last(), Some(&(1, Tells::End)));
    }

    #[test]
    fn another_receiver_hears_no_end_of_what_it_has_not_heard_start() {
        let mut letters = Letters::default();
        for number in 1..=3 {
            letters.start(incident(number, 0), 0);
        }
        assert_eq!(
            letters.take(Millis(0)).map(|one| letters.told(&one)),
            Some(())
        );
        letters.end(Millis(1), incident(1, 0));
        letters.end(Millis(1), incident(2, 0));
        assert_eq!(
            letters.take(Millis(1)).map(|one| one.incident.number),
            Some(2)
        );
        assert_eq!(letters.exchange(), 1, "the end of 1");
        letters.end(Millis(2), incident(3, 0));
        let whole = [
            (2, Tells::Start),
            (3, Tells::Start),
            (2, Tells::End),
            (3, Tells::End),
        ];
        assert_eq!(tell(&mut letters, 2), whole);
        letters.start(incident(4, 3), 0);
        assert_eq!(tell(&mut letters, 3), [(4, Tells::Start)]);
        assert_eq!(letters.exchange(), 0);
        letters.end(Millis(4), incident(4, 3));
        assert!(letters.is_empty());
    }

    #[test]
    fn with_nobody_to_hear_them_all_are_dropped_and_counted() {
        let mut letters = Letters::default();
        letters.start(incident(1, 0), 0);
        letters.start(incident(2, 0), 0);
        letters.end(Millis(1), incident(1, 0));
        assert_eq!(letters.clear(), 3);
        letters.end(Millis(2), incident(2, 0));
        assert!(letters.is_empty());
    }

    proptest! {
        /// Incidents start and end, the receiver comes and goes: what it heard is whole.
        #[test]
        fn ends_follow_their_starts_and_none_is_missing(
            steps in proptest::collection::vec((0_u8..4, 0_u64..200), 1..300),
        ) {
            let (mut letters, mut now, mut next) = (Letters::default(), 0_u64, 1_u64);
            let mut active: Vec<u64> = Vec::new();
            let mut heard: Vec<(u64, Tells)> = Vec::new();
            for (step, n) in steps {
                now += 1000;
                match step {
                    0 | 1 => {
                        letters.start(incident(next, now), 5_000);
                        active.push(next);
                        next += 1;
                    }
                    2 if !active.is_empty() => {
                        let at = usize::try_from(n).unwrap() % active.len();
                        letters.end(Millis(now), incident(active.remove(at), now));
                    }
                    _ => match letters.take(Millis(now)) {
                        Some(_) if n.is_multiple_of(3) => letters.later(),
                        Some(letter) => {
                            letters.told(&letter);
                            heard.push((letter.incident.number, letter.tells));
                        }
                        None => {}
                    },
                }
                let starts = letters.waiting.iter().filter(|one| one.tells == Tells::Start);
                prop_assert!(starts.count() <= STARTS_MAX);
            }
            now += 10_000;
            for number in active {
                letters.end(Millis(now), incident(number, now));
            }
            heard.extend(tell(&mut letters, now));
            prop_assert!(letters.is_empty() && letters.told.is_empty());
            let place = |what: (u64, Tells)| heard.iter().position(|one| *one == what);
            for number in 1..next {
                let (start, end) = (place((number, Tells::Start)), place((number, Tells::End)));
                prop_assert_eq!(start.is_some(), end.is_some(), "of {}", number);
                prop_assert!(start <= end);
            }
            let mut once = heard.clone();
            once.sort_unstable();
            once.dedup();
            prop_assert_eq!(once.len(), heard.len());
        }
    }
}
