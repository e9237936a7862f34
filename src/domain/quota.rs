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
