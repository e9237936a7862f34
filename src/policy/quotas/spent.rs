//! How much of a window is spent, and when all of it will be at the pace of the window so
//! far. Owns that reckoning; the counting is `measure`'s.

use crate::domain::switch::Share;
use crate::policy::lookback::reached_in_s;

/// Less of a window says nothing of its pace.
const LEAST_S: u64 = 60;

/// A window of bytes with less room than this is spent: most events are larger, or soon are.
const COMMON_BYTES: u64 = 32 << 10;

/// What is used of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Used.
    pub used: u64,
    /// Of so much.
    pub limit: u64,
    /// Both are bytes, not items.
    pub is_bytes: bool,
    /// The window's first second.
    pub begins_unix_s: u64,
    /// The first second that is not of it any more.
    pub ends_unix_s: u64,
}

impl Spent {
    /// The share that is used: all of nothing.
    #[must_use]
    pub fn share(&self) -> Share {
        Share::of(self.used, self.limit).unwrap_or(Share::ALL)
    }

    /// Whether most of what comes is refused: of bytes some are nearly always left.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        let left = self.limit.saturating_sub(self.used);
        let little = match self.is_bytes {
            true => COMMON_BYTES.min(self.limit / 100),
            false => 0,
        };
        left <= little
    }

    /// How much came in an hour of the window so far; `None`: it has only begun.
    #[must_use]
    pub fn per_hour(&self, unix_s: u64) -> Option<u64> {
        let took_s = self.took_s(unix_s)?;
        let hourly = u128::from(self.used) * 3600;
        Some(u64::try_from(hourly / u128::from(took_s)).unwrap_or(u64::MAX))
    }

    /// In how many seconds all of it is used at that pace. `None`: it is already, the window
    /// ends before, or has only begun.
    #[must_use]
    pub fn reached_in_s(&self, unix_s: u64) -> Option<u64> {
        if self.is_spent() {
            return None;
        }
        let took_ms = self.took_s(unix_s)?.saturating_mul(1000);
        let left = self.limit.saturating_sub(self.used);
        let in_s = reached_in_s(left, self.used, took_ms)?;
        (in_s < self.ends_unix_s.saturating_sub(unix_s)).then_some(in_s)
    }

    /// For how many days such an amount of bytes lasts at that pace.
    #[must_use]
    pub fn days_of(&self, bytes: u64, unix_s: u64) -> Option<u64> {
        let daily = self.per_hour(unix_s)?.saturating_mul(24);
        bytes.checked_div(daily).filter(|_| self.is_bytes)
    }

    fn took_s(&self, unix_s: u64) -> Option<u64> {
        let took_s = unix_s.saturating_sub(self.begins_unix_s);
        (took_s >= LEAST_S).then_some(took_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u64 = 86_400;
    const GIB: u64 = 1 << 30;

    fn day(used: u64, limit: u64) -> Spent {
        Spent {
            used,
            limit,
            is_bytes: true,
            begins_unix_s: 10 * DAY_S,
            ends_unix_s: 11 * DAY_S,
        }
    }

    /// Seen so many hours into the day.
    #[track_caller]
    fn check(spent: Spent, hours: u64, per_hour: Option<u64>, reached_in_s: Option<u64>) {
        let at = 10 * DAY_S + hours * 3600;
        assert_eq!(spent.per_hour(at), per_hour, "the pace");
        assert_eq!(spent.reached_in_s(at), reached_in_s, "its end");
    }

    #[test]
    fn a_budget_is_spent_at_the_pace_of_the_day() {
        check(day(5 * GIB, 10 * GIB), 10, Some(GIB / 2), Some(36_000));
        // At midnight it begins anew.
        check(day(5 * GIB, 10 * GIB), 12, Some(5 * GIB / 12), None);
        check(day(5 * GIB, 10 * GIB), 13, Some(5 * GIB / 13), None);
        check(day(0, 10 * GIB), 10, Some(0), None);
        check(day(10 * GIB, 10 * GIB), 10, Some(GIB), None);
        check(day(1, 10 * GIB), 0, None, None);
    }

    #[test]
    fn what_is_left_of_bytes_is_too_little_before_it_is_nothing() {
        for (used, limit, spent) in [
            (10 * GIB - (32 << 10), 10 * GIB, true),
            (10 * GIB - (32 << 10) - 1, 10 * GIB, false),
            (990, 1000, true),
            (989, 1000, false),
            (0, 0, true),
        ] {
            assert_eq!(day(used, limit).is_spent(), spent, "{used} of {limit}");
        }
        let items = Spent {
            is_bytes: false,
            ..day(999, 1000)
        };
        assert!(!items.is_spent());
        assert_eq!(day(1, 0).share(), Share::ALL);
        assert_eq!(day(4, 5).share().short(), "80.0%");
    }

    #[test]
    fn free_space_is_so_many_days_of_this_one() {
        let at = 10 * DAY_S + 12 * 3600;
        assert_eq!(day(5 * GIB, 10 * GIB).days_of(100 * GIB, at), Some(10));
        assert_eq!(day(0, 10 * GIB).days_of(100 * GIB, at), None);
        let items = Spent {
            is_bytes: false,
            ..day(5, 10)
        };
        assert_eq!(items.days_of(100, at), None);
    }
}
