//! nginx's sizes, times and rates in our words.

use std::time::Duration;

/// A size as nginx writes one (`100m`, `64k`, plain bytes), in bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (number, shift) = match lower.strip_suffix(['k', 'm', 'g']) {
        Some(number) if lower.ends_with('k') => (number, 10),
        Some(number) if lower.ends_with('m') => (number, 20),
        Some(number) => (number, 30),
        None => (lower.as_str(), 0),
    };
    let number: u64 = number.parse().ok()?;
    number.checked_mul(1 << shift)
}

/// A time as nginx writes one (`90s`, `1m30s`, plain seconds).
pub(super) fn time(text: &str) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|ch: char| !ch.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(digits)?;
        let number: u32 = number.parse().ok()?;
        let unit_ends = after
            .find(|ch: char| ch.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_ends)?;
        let unit = match unit.trim() {
            "ms" => Duration::from_millis(1),
            "s" | "" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            "d" => Duration::from_hours(24),
            _ => return None,
        };
        sum = sum.checked_add(unit.checked_mul(number)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

/// What `limit_req` admits, as a limit and the time it is for: `burst` at once, and then so many
/// in that time. `rate` is nginx's (`10r/s`, `30r/m`).
pub(super) fn quota(rate: &str, burst: u64) -> Option<(u64, Duration)> {
    let (number, per) = rate.split_once("r/")?;
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    let (number, per_ms) = match per {
        "s" => (number, 1_000),
        "m" => (number, 60_000),
        _ => return None,
    };
    let limit = burst.max(1).max(number * 1_000 / per_ms);
    let whole_ms = limit.checked_mul(per_ms)? / number;
    // From a minute on it would be a window, which is another thing.
    let span = Duration::from_millis(whole_ms.clamp(1, 59_999));
    Some((limit, span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::{show_duration, show_size};

    #[test]
    fn sizes_are_read_and_written() {
        for (text, want) in [
            ("100m", Some("100MiB")),
            ("64K", Some("64KiB")),
            ("2g", Some("2GiB")),
            ("1536k", Some("1536KiB")),
            ("1000", Some("1KB")),
            ("1.5m", None),
            ("m", None),
            ("", None),
            ("99999999999999g", None),
        ] {
            assert_eq!(bytes(text).map(show_size).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn times_are_read_and_written() {
        for (text, want) in [
            ("90s", Some("90s")),
            ("90", Some("90s")),
            ("1m", Some("1m")),
            ("1h30m", Some("90m")),
            ("500ms", Some("500ms")),
            ("1s500ms", Some("1500ms")),
            ("5y", None),
            ("", None),
            ("s", None),
        ] {
            assert_eq!(time(text).map(show_duration).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn a_rate_with_a_burst_is_a_limit_in_a_time() {
        let of = |rate, burst| quota(rate, burst).map(|(limit, per)| (limit, show_duration(per)));
        assert_eq!(of("10r/s", 20), Some((20, "2s".to_owned())));
        assert_eq!(of("10r/s", 0), Some((10, "1s".to_owned())));
        assert_eq!(of("100r/s", 50), Some((100, "1s".to_owned())));
        assert_eq!(of("30r/m", 5), Some((5, "10s".to_owned())));
        assert_eq!(of("1r/m", 10), Some((10, "59999ms".to_owned())));
        assert_eq!(of("0r/s", 10), None);
        assert_eq!(of("10r/h", 10), None);
        assert_eq!(of("fast", 10), None);
    }
}
