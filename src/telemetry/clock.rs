//! How a moment is written, RFC 3339, in UTC, with milliseconds; and how a length of time
//! is said. Never reads a clock.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY_S: u64 = 86_400;

/// The moment as `2026-01-02T03:04:05.678Z`. One before 1970 is written as 1970's first.
#[must_use]
pub fn rfc3339(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / DAY_S);
    let of_day = seconds % DAY_S;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let milli = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The moment as logs of web servers have it: `02/Jan/2026:03:04:05 +0000`.
#[must_use]
pub fn clf(moment: SystemTime) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let seconds = moment
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (year, month, day) = date(seconds / DAY_S);
    let place = usize::try_from(month.saturating_sub(1)).unwrap_or_default();
    let name = MONTHS.get(place).copied().unwrap_or_default();
    let of_day = seconds % DAY_S;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{day:02}/{name}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
}

/// A length of time in the largest unit of which there are two: `90 s`, `4 min`, `18 h`, `3 d`.
#[must_use]
pub fn lasting(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / DAY_S),
    }
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// The year is taken to begin in March: the leap day is then its last, and the
/// months before it follow one rule (153 days for each five months).
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let era = days / DAYS_OF_400_YEARS;
    let of_era = days % DAYS_OF_400_YEARS;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(milliseconds: u64, want: &str) {
        assert_eq!(
            rfc3339(UNIX_EPOCH + Duration::from_millis(milliseconds)),
            want
        );
    }

    #[test]
    fn moments_are_written_as_utc_with_milliseconds() {
        check(0, "1970-01-01T00:00:00.000Z");
        check(1_700_000_000_123, "2023-11-14T22:13:20.123Z");
        check(1_767_225_599_999, "2025-12-31T23:59:59.999Z");
        check(1_767_225_600_000, "2026-01-01T00:00:00.000Z");
    }

    #[test]
    fn logs_of_web_servers_name_the_month() {
        let at = |seconds| clf(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "01/Jan/1970:00:00:00 +0000");
        assert_eq!(at(1_700_000_000), "14/Nov/2023:22:13:20 +0000");
        assert_eq!(at(1_767_225_599), "31/Dec/2025:23:59:59 +0000");
    }

    #[test]
    fn leap_days_stand_where_the_calendar_has_them() {
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(951_868_800_000, "2000-03-01T00:00:00.000Z");
        check(1_709_164_800_000, "2024-02-29T00:00:00.000Z");
        check(4_107_456_000_000, "2100-02-28T00:00:00.000Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn lengths_are_said_in_a_unit_of_which_there_are_two() {
        for (seconds, want) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 d"),
            (30 * DAY_S, "30 d"),
        ] {
            assert_eq!(lasting(seconds), want);
        }
    }

    #[test]
    fn a_moment_before_1970_is_not_an_error() {
        assert_eq!(
            rfc3339(UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00.000Z"
        );
    }
}
