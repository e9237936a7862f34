//! What a quota says: how much of what, in how long, counted for whom.
//!
//! Owns the values and the calendar of their windows. Never counts: `policy::quotas`
//! does, and never knows which project a quota belongs to.

use std::fmt;
use std::time::Duration;

use super::category::Categories;

/// A quota as it was written, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Unique among the quotas of its project; also the reason in `X-Sentry-Rate-Limits`.
    pub name: Box<str>,
    /// What it counts. Empty: everything but client reports.
    pub categories: Categories,
    /// How much.
    pub limit: Limit,
    /// In how long.
    pub per: Per,
    /// For whom.
    pub by: By,
}

/// How much a quota admits. Zero admits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// So many items; a container counts what it holds.
    Items(u64),
    /// So many bytes of payload.
    Bytes(u64),
}

impl Limit {
    /// The number, whatever it counts.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Items(number) | Self::Bytes(number) => number,
        }
    }
}

/// The time a quota's limit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// Less than a minute: a rate, at most `limit + limit * t / per` in any interval t.
    Rate(Duration),
    /// Whole seconds, a minute or more: windows on multiples of it in UTC, counted from 1970.
    Window {
        /// The window's length.
        seconds: u64,
    },
    /// A calendar month in UTC.
    Month,
}

/// Who shares one count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// The whole project; of a global quota, everybody.
    Project,
    /// Each key.
    Key,
    /// Each client address; of IPv6, each /64.
    Ip,
}

/// The highest limit: a counter keeps the number of its window in the other 16 bits.
pub const COUNTED_MAX: u64 = (1 << 48) - 1;

/// The shortest time: below, a rate says the same in other words.
pub const PER_MIN: Duration = Duration::from_millis(100);

/// The name of the quota that a budget is: no other may have it.
pub const BUDGET: &str = "budget";

/// The longest time: more is a slip of the unit.
pub const PER_MAX: Duration = Duration::from_secs(366 * 86_400);

/// The shortest time that is counted in windows.
pub const SHORTEST_WINDOW: Duration = Duration::from_secs(60);

impl Per {
    /// A rate below a minute, else a window. `None`: longer than a minute and no whole
    /// number of seconds, or nothing.
    #[must_use]
    pub fn of(time: Duration) -> Option<Self> {
        match time {
            Duration::ZERO => None,
            time if time < SHORTEST_WINDOW => Some(Self::Rate(time)),
            time if time.subsec_nanos() == 0 => Some(Self::Window {
                seconds: time.as_secs(),
            }),
            _ => None,
        }
    }
}

/// One turn of a quota's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many there were since 1970, before this one.
    pub number: u64,
    /// The first second that is not of it any more.
    pub ends_unix_s: u64,
}

const DAY_S: u64 = 86_400;

/// The calendar is reckoned in years that begin in March, so that a leap day is the last of its
/// year. This many days before 1970, the year 0 began so.
const DAYS_BEFORE_1970: u64 = 719_468;

/// As many months from there to January 1970.
const MONTHS_BEFORE_1970: u64 = 1969 * 12 + 10;

/// Days in four hundred years, after which the calendar repeats.
const ERA_DAYS: u64 = 146_097;

impl Per {
    /// The window that a second lies in. `None`: a rate has none.
    #[must_use]
    pub const fn window(self, unix_s: u64) -> Option<Window> {
        match self {
            Self::Rate(_) => None,
            // Nobody can write it: `of` makes rates of what is short.
            Self::Window { seconds: 0 } => None,
            Self::Window { seconds } => {
                let number = unix_s / seconds;
                Some(Window {
                    number,
                    ends_unix_s: (number * seconds).saturating_add(seconds),
                })
            }
            Self::Month => Some(month(unix_s)),
        }
    }
}

impl Per {
    /// The first second of a window.
    #[must_use]
    pub const fn begins_unix_s(self, window: Window) -> u64 {
        match self {
            Self::Rate(_) => window.ends_unix_s,
            Self::Window { seconds } => window.number.saturating_mul(seconds),
            Self::Month => first_day(window.number).saturating_mul(DAY_S),
        }
    }
}

const fn month(unix_s: u64) -> Window {
    let days = unix_s / DAY_S + DAYS_BEFORE_1970;
    let (era, day) = (days / ERA_DAYS, days % ERA_DAYS);
    // 1460, 36524 and 146096 are the last days of four, a hundred and four hundred years: what
    // the leap days before this one add up to is taken out, and all years have 365 days.
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    // From March on, five months have 153 days, over and over.
    let month = (5 * day_of_year + 2) / 153;
    let number = (era * 400 + year) * 12 + month - MONTHS_BEFORE_1970;
    Window {
        number,
        ends_unix_s: first_day(number + 1).saturating_mul(DAY_S),
    }
}

/// The first day of a month, both counted from 1970.
const fn first_day(number: u64) -> u64 {
    let months = number + MONTHS_BEFORE_1970;
    let (year, month) = (months / 12, months % 12);
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 - DAYS_BEFORE_1970
}

/// As it is written: `500ms`, `90s`, `1h`, `1d`, `1mo`.
impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u128); 5] = [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1000),
            ("ms", 1),
        ];
        let millis = match self {
            Self::Month => return f.write_str("1mo"),
            Self::Rate(time) => time.as_millis(),
            Self::Window { seconds } => u128::from(*seconds) * 1000,
        };
        let unit = UNITS
            .iter()
            .find(|(_, scale)| millis.is_multiple_of(*scale));
        let (unit, scale) = unit.unwrap_or(&("ms", 1));
        write!(f, "{}{unit}", millis / scale)
    }
}

impl Quota {
    /// A budget: so many bytes of everything in each day of UTC.
    #[must_use]
    pub fn budget(bytes: u64) -> Self {
        Self {
            name: BUDGET.into(),
            categories: Categories::EMPTY,
            limit: Limit::Bytes(bytes),
            per: Per::Window { seconds: DAY_S },
            by: By::Project,
        }
    }

    /// The name of a quota that was given none: `<categories|all>-<per>[-by-ip|-by-key]`.
    #[must_use]
    pub fn default_name(categories: Categories, per: Per, by: By) -> String {
        let mut name = String::new();
        for category in categories.iter() {
            if !name.is_empty() {
                name.push('+');
            }
            name.push_str(category.name());
        }
        if name.is_empty() {
            name.push_str("all");
        }
        let by = match by {
            By::Project => "",
            By::Key => "-by-key",
            By::Ip => "-by-ip",
        };
        format!("{name}-{per}{by}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::category::Category;

    #[track_caller]
    fn check_per(millis: u64, shown: Option<&str>) {
        let per = Per::of(Duration::from_millis(millis));
        assert_eq!(
            per.map(|per| per.to_string()).as_deref(),
            shown,
            "{millis} ms"
        );
    }

    #[test]
    fn below_a_minute_is_a_rate_and_from_there_on_a_window() {
        check_per(500, Some("500ms"));
        check_per(59_000, Some("59s"));
        assert!(matches!(
            Per::of(Duration::from_secs(59)),
            Some(Per::Rate(_))
        ));
        let minute = Per::of(Duration::from_secs(60));
        assert_eq!(minute, Some(Per::Window { seconds: 60 }));
        check_per(90_000, Some("90s"));
        check_per(3_600_000, Some("1h"));
        check_per(172_800_000, Some("2d"));
        assert_eq!(Per::Month.to_string(), "1mo");
        check_per(0, None);
        check_per(60_500, None);
    }

    /// The month of a second, as its number and its last second.
    #[track_caller]
    fn check_month(unix_s: u64, year: u64, month: u64, ends_unix_s: u64) {
        let number = (year - 1970) * 12 + month - 1;
        let want = Window {
            number,
            ends_unix_s,
        };
        assert_eq!(Per::Month.window(unix_s), Some(want), "at {unix_s}");
    }

    #[test]
    fn windows_lie_on_multiples_of_their_length() {
        let hour = Per::Window { seconds: 3600 };
        let at = |unix_s| hour.window(unix_s).map(|w| (w.number, w.ends_unix_s));
        assert_eq!(at(0), Some((0, 3600)));
        assert_eq!(at(3599), Some((0, 3600)));
        assert_eq!(at(3600), Some((1, 7200)));
        assert_eq!(hour.begins_unix_s(hour.window(7199).unwrap()), 3600);
        assert_eq!(at(u64::MAX).map(|(_, ends)| ends), Some(u64::MAX));
        assert_eq!(Per::Rate(Duration::from_secs(1)).window(7), None);
    }

    #[test]
    fn months_are_the_calendars() {
        check_month(0, 1970, 1, 2_678_400);
        check_month(2_678_399, 1970, 1, 2_678_400);
        check_month(2_678_400, 1970, 2, 5_097_600);
        // A leap year: February ends a day later.
        check_month(951_782_399, 2000, 2, 951_868_800);
        check_month(951_868_799, 2000, 2, 951_868_800);
        check_month(951_868_800, 2000, 3, 954_547_200);
        // The last second of a year, and the first of the next.
        check_month(1_735_689_599, 2024, 12, 1_735_689_600);
        check_month(1_735_689_600, 2025, 1, 1_738_368_000);
        check_month(1_709_164_800, 2024, 2, 1_709_251_200);
        // 2100 is no leap year: March begins after the 28th.
        check_month(4_107_542_399, 2100, 2, 4_107_542_400);
        check_month(4_107_542_400, 2100, 3, 4_110_220_800);
    }

    #[test]
    fn no_second_is_without_a_month_or_in_two() {
        let mut ends_unix_s = 0;
        for number in 0..6000 {
            let first = Per::Month.window(ends_unix_s).unwrap();
            assert_eq!(first.number, number);
            assert_eq!(Per::Month.begins_unix_s(first), ends_unix_s);
            let days = (first.ends_unix_s - ends_unix_s) / DAY_S;
            assert!((28..=31).contains(&days), "month {number} has {days} days");
            let last = Per::Month.window(first.ends_unix_s - 1).unwrap();
            assert_eq!(last, first);
            ends_unix_s = first.ends_unix_s;
        }
        assert!(Per::Month.window(u64::MAX).is_some());
    }

    #[test]
    fn a_quota_without_a_name_is_called_by_what_it_does() {
        let hour = Per::Window { seconds: 3600 };
        let some = Categories::of(&[Category::Security, Category::Error]);
        let name = Quota::default_name(some, hour, By::Project);
        assert_eq!(name, "error+security-1h");
        let second = Per::Rate(Duration::from_secs(1));
        let name = Quota::default_name(Categories::EMPTY, second, By::Ip);
        assert_eq!(name, "all-1s-by-ip");
        let name = Quota::default_name(Categories::EMPTY, Per::Month, By::Key);
        assert_eq!(name, "all-1mo-by-key");
    }
}
