//! Looking back to say when: what was noted of late, and how long something takes that goes
//! on like that. Owns how much is remembered and that one sum; never what the numbers are of.

use std::collections::VecDeque;

use super::millis::Millis;

/// Notes of the last `SPAN_MS`, one in `EVERY_MS` at most: so many are there at the most.
#[derive(Debug, Default)]
pub struct LookBack<T, const SPAN_MS: u64, const EVERY_MS: u64> {
    notes: VecDeque<(Millis, T)>,
}

impl<T: Copy, const SPAN_MS: u64, const EVERY_MS: u64> LookBack<T, SPAN_MS, EVERY_MS> {
    /// Notes how it stands, unless that was done a moment ago.
    pub fn note(&mut self, now: Millis, how: T) {
        while let Some((at, _)) = self.notes.front()
            && now.since(*at) > SPAN_MS
        {
            self.notes.pop_front();
        }
        let last = self.notes.back();
        if last.is_none_or(|(at, _)| now.since(*at) >= EVERY_MS) {
            self.notes.push_back((now, how));
        }
    }

    /// Forgets all: what was seen says nothing of what comes.
    pub fn forget(&mut self) {
        self.notes.clear();
    }

    /// The oldest note.
    #[must_use]
    pub fn oldest(&self) -> Option<(Millis, T)> {
        self.notes.front().copied()
    }

    /// The oldest of the notes that are at most so old.
    #[must_use]
    pub fn within(&self, now: Millis, ms: u64) -> Option<(Millis, T)> {
        let mut notes = self.notes.iter();
        notes.find(|(at, _)| now.since(*at) <= ms).copied()
    }

    /// The latest note.
    #[must_use]
    pub fn latest(&self) -> Option<(Millis, T)> {
        self.notes.back().copied()
    }
}

/// In how many seconds an amount is used up of which so much went in so long. `None`: never.
#[must_use]
pub fn reached_in_s(amount: u64, change: u64, took_ms: u64) -> Option<u64> {
    let ms = (u128::from(amount) * u128::from(took_ms)).checked_div(u128::from(change))?;
    Some(u64::try_from(ms.div_ceil(1000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_by_span_and_pace() {
        let mut back = LookBack::<u64, 1000, 100>::default();
        for ms in 0..5000 {
            back.note(Millis(ms), ms);
            assert!(back.notes.len() <= 11, "{} notes", back.notes.len());
        }
        assert_eq!(back.oldest(), Some((Millis(4000), 4000)));
        assert_eq!(back.latest(), Some((Millis(4900), 4900)));
        assert_eq!(back.within(Millis(4999), 299), Some((Millis(4700), 4700)));
        assert_eq!(back.within(Millis(4999), 98), None);
        back.forget();
        assert_eq!(back.oldest(), None);
    }

    #[test]
    fn when_is_an_amount_by_its_pace() {
        assert_eq!(reached_in_s(100, 10, 1000), Some(10));
        assert_eq!(reached_in_s(101, 10, 1000), Some(11));
        assert_eq!(reached_in_s(0, 10, 1000), Some(0));
        assert_eq!(reached_in_s(1, 0, 1000), None);
        assert_eq!(reached_in_s(u64::MAX, 1, u64::MAX), Some(u64::MAX));
    }
}
