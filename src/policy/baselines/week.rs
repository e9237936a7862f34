//! Numbers by the hour, the last eight days of them, and what they let one expect of an hour.
//! Owns the rule of that expectation; never what the numbers are of.
//!
//! **The rule.** What the same hour of the day brought on each of the last seven days: the median is
//! usual, from the lower to the upper quartile is no surprise. Once the same hour a week ago is
//! known, that and the median are the low end, and nobody expects a Tuesday of a Sunday; if it
//! was above the upper quartile, it is the high end too. In a project's first week nothing is
//! expected of a weekend. Before there are three days the last 24 hours stand in, if six of them
//! are known, and only for what is much: a first night is no silence. Before that nothing is
//! known at all. Medians and quartiles, since one bad day of seven moves none of them.
//!
//! Hours are those of UTC, and an hour is known that was watched for three quarters of its time:
//! what it brought then is taken for a whole hour.

/// A whole week before the hour that is counted now, and that one.
pub(super) const HOURS: usize = 8 * 24;

const HOUR_MINUTES: u64 = 60;
const DAY_HOURS: u64 = 24;
const WEEK_DAYS: u64 = 7;

/// An hour that was watched for less says too little of the rest.
const WATCHED_MINUTES_MIN: u64 = 45;

/// So few days are chance.
const DAYS_MIN: usize = 3;

/// A quarter of a day: of less, nights and days are not told apart.
const LAST_HOURS_MIN: usize = 6;

/// A number for each hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Week<T>(Box<[T]>);

impl<T: Copy + Default> Default for Week<T> {
    fn default() -> Self {
        Self(vec![T::default(); HOURS].into())
    }
}

impl<T: Copy + Default + PartialEq> Week<T> {
    /// An hour's place: any [`HOURS`] that follow each other have one of their own.
    fn place(hour: u64) -> usize {
        let hours = u64::try_from(HOURS).unwrap_or(u64::MAX);
        usize::try_from(hour % hours).unwrap_or(0)
    }

    /// What is noted of an hour.
    pub(super) fn at(&self, hour: u64) -> T {
        self.0.get(Self::place(hour)).copied().unwrap_or_default()
    }

    /// Notes something else.
    pub(super) fn set(&mut self, hour: u64, number: T) {
        if let Some(place) = self.0.get_mut(Self::place(hour)) {
            *place = number;
        }
    }

    /// Forgets whatever is noted of these hours.
    pub(super) fn forget(&mut self, from: u64, to: u64) {
        for hour in from..=to {
            self.set(hour, T::default());
        }
    }

    /// Whether nothing is noted of any hour.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|number| *number == T::default())
    }

    /// All numbers, the oldest first, where this is the last hour.
    pub(super) fn until(&self, hour: u64) -> impl Iterator<Item = T> {
        let before = u64::try_from(HOURS).unwrap_or(u64::MAX);
        (1..=before).map(move |ahead| self.at(hour.wrapping_add(ahead)))
    }

    /// Takes up what [`Week::until`] yielded; `None`: these are another number of hours.
    pub(super) fn of(hour: u64, numbers: impl Iterator<Item = T>) -> Option<Self> {
        let mut week = Self::default();
        let mut count = 0;
        for number in numbers {
            count += 1;
            if count > HOURS {
                return None;
            }
            week.set(hour.wrapping_add(u64::try_from(count).ok()?), number);
        }
        (count == HOURS).then_some(week)
    }
}

/// What an hour may bring without surprising anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Less would be little.
    pub low: u64,
    /// The median.
    pub usual: u64,
    /// More would be much.
    pub high: u64,
}

/// What to expect of an hour, from what is known of others; `rate` yields what one brought.
pub(super) fn expected(hour: u64, rate: impl Fn(u64) -> Option<u64>) -> Option<Expected> {
    let ago = |hours: u64| rate(hour.checked_sub(hours)?);
    let mut days: Vec<u64> = (1..=WEEK_DAYS)
        .filter_map(|days| ago(days * DAY_HOURS))
        .collect();
    let week_ago = ago(WEEK_DAYS * DAY_HOURS);
    if days.len() < DAYS_MIN {
        let mut hours: Vec<u64> = (1..=DAY_HOURS).filter_map(ago).collect();
        let known = hours.len() >= LAST_HOURS_MIN;
        let expected = quartiles(&mut hours).filter(|_| known)?;
        return Some(Expected { low: 0, ..expected });
    }
    let expected = quartiles(&mut days)?;
    Some(match week_ago {
        Some(then) => Expected {
            low: expected.usual.min(then),
            high: expected.high.max(then),
            ..expected
        },
        None if is_weekend(hour) => Expected { low: 0, ..expected },
        None => expected,
    })
}

/// What an hour brought, had it been watched to its end.
pub(super) fn whole_hour(count: u64, watched_minutes: u8) -> Option<u64> {
    let watched = u64::from(watched_minutes);
    let known = watched >= WATCHED_MINUTES_MIN;
    known.then(|| count.saturating_mul(HOUR_MINUTES) / watched)
}

fn quartiles(numbers: &mut [u64]) -> Option<Expected> {
    numbers.sort_unstable();
    let last = numbers.len().checked_sub(1)?;
    let quarter = last / 4;
    Some(Expected {
        low: *numbers.get(quarter)?,
        usual: *numbers.get(last / 2)?,
        high: *numbers.get(last - quarter)?,
    })
}

/// Saturday or Sunday.
fn is_weekend(hour: u64) -> bool {
    // 1970 began with a Thursday.
    const THURSDAY: u64 = 3;
    (hour / DAY_HOURS + THURSDAY) % WEEK_DAYS >= 5
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Monday's noon.
    const MONDAY: u64 = (4 + 7 * 2900) * 24 + 12;

    /// Expects something of an hour of which so many hours ago brought so much, and nothing else
    /// is known.
    #[track_caller]
    fn check(hour: u64, known: &[(u64, u64)], want: Option<(u64, u64, u64)>) {
        let rate = |other: u64| {
            let mut known = known.iter();
            let found = known.find(|(ago, _)| hour - ago == other);
            found.map(|(_, brought)| *brought)
        };
        let got = expected(hour, rate).map(|it| (it.low, it.usual, it.high));
        assert_eq!(got, want, "{known:?}");
    }

    #[test]
    fn three_days_are_enough_and_two_are_chance() {
        check(MONDAY, &[(24, 10), (48, 30)], None);
        let three = [(24, 10), (48, 30), (72, 20)];
        check(MONDAY, &three, Some((10, 20, 30)));
        // Another hour of the day is nobody's measure then.
        let with_nights = [&three[..], &[(1, 9000), (2, 9000), (30, 0)]].concat();
        check(MONDAY, &with_nights, Some((10, 20, 30)));
    }

    #[test]
    fn one_bad_day_moves_no_quartile() {
        let mut week: Vec<(u64, u64)> = (1..=7).map(|day| (day * 24, 100)).collect();
        check(MONDAY, &week, Some((100, 100, 100)));
        week[2].1 = 0;
        check(MONDAY, &week, Some((100, 100, 100)));
        week[2].1 = 1_000_000;
        check(MONDAY, &week, Some((100, 100, 100)));
        // A weekend, and a holiday.
        week[3].1 = 0;
        week[4].1 = 0;
        week[2].1 = 0;
        check(MONDAY, &week, Some((100, 100, 100)));
        week[5].1 = 0;
        check(MONDAY, &week, Some((0, 0, 100)));
    }

    #[test]
    fn the_same_hour_a_week_ago_is_usual_whatever_the_days_since_were() {
        let mut week: Vec<(u64, u64)> = (1..=7).map(|day| (day * 24, 100)).collect();
        week[6].1 = 3;
        check(MONDAY, &week, Some((3, 100, 100)));
        week[6].1 = 900;
        check(MONDAY, &week, Some((100, 100, 900)));
    }

    #[test]
    fn before_there_are_days_six_of_the_last_hours_stand_in() {
        let hours: Vec<(u64, u64)> = (1..=6).map(|hour| (hour, hour * 10)).collect();
        check(MONDAY, &hours[..5], None);
        check(MONDAY, &hours, Some((0, 30, 50)));
        check(
            MONDAY,
            &[(25, 1), (26, 1), (27, 1), (28, 1), (29, 1), (30, 1)],
            None,
        );
    }

    #[test]
    fn nothing_is_expected_of_a_projects_first_weekend() {
        let days = [(24, 10), (48, 10), (72, 10)];
        for (day, low) in [(3, 10), (4, 10), (5, 0), (6, 0), (7, 10)] {
            check(MONDAY + day * 24, &days, Some((low, 10, 10)));
        }
        let with_week = [&days[..], &[(168, 10)]].concat();
        check(MONDAY + 5 * 24, &with_week, Some((10, 10, 10)));
    }

    #[test]
    fn an_hour_is_known_that_was_watched_for_three_quarters() {
        assert_eq!(whole_hour(44, 44), None);
        assert_eq!(whole_hour(45, 45), Some(60));
        assert_eq!(whole_hour(45, 60), Some(45));
    }

    #[test]
    fn a_week_is_read_back_as_it_was_told() {
        let mut week = Week::<u32>::default();
        assert!(week.is_empty());
        for hour in 0..500 {
            week.set(1000 + hour, u32::try_from(hour).unwrap());
        }
        let told: Vec<u32> = week.until(1499).collect();
        assert_eq!(told, (308..500).collect::<Vec<_>>());
        assert_eq!(Week::of(1499, told.iter().copied()), Some(week.clone()));
        assert_eq!(Week::of(1499, told.iter().copied().skip(1)), None);
        assert_eq!(Week::of(1499, told.into_iter().chain([1])), None);
        week.forget(1400, 1499);
        assert_eq!((week.at(1399), week.at(1400), week.at(1499)), (399, 0, 0));
    }
}
