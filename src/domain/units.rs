//! Owns how sizes, durations and rates are written: a whole number and a unit,
//! read and shown. Bounds are not its business.

use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Largest first within each family, so that showing finds the shortest form.
const SIZES: [(&str, u64); 9] = [
    ("TiB", TIB),
    ("GiB", GIB),
    ("MiB", MIB),
    ("KiB", KIB),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// In milliseconds, the finest that is told apart; largest first.
const DURATIONS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// In seconds.
const PERIODS: [(&str, u64); 3] = [("/h", 3_600), ("/m", 60), ("/s", 1)];

/// Reads `64MiB`, `10MB` or plain bytes; case does not matter, a blank before
/// the unit neither. `None` for all else, and for what no `u64` holds.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let scale = match unit {
        "" => 1,
        unit => {
            SIZES
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))?
                .1
        }
    };
    number.checked_mul(scale)
}

/// Reads `500ms`, `30s`, `5m`, `1h` or `1d`. A number without a unit is none:
/// half its readers would take it for the wrong one.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let scale = DURATIONS.iter().find(|(name, _)| *name == unit)?.1;
    number.checked_mul(scale).map(Duration::from_millis)
}

/// Reads `50/s`, `600/m` or `1000/h` as a count and the time it is for.
pub fn rate(text: &str) -> Option<(u64, Duration)> {
    let (count, unit) = split(text)?;
    let seconds = PERIODS.iter().find(|(name, _)| *name == unit)?.1;
    Some((count, Duration::from_secs(seconds)))
}

/// Shows bytes so that [`size`] reads the same number: binary units where they
/// divide it, else decimal ones.
pub fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES).unwrap_or_else(|| bytes.to_string())
}

/// The same, with a unit always: where a number alone counts something else.
pub fn show_size_with_unit(bytes: u64) -> String {
    let shown = show_size(bytes);
    match shown.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("{shown}B"),
        false => shown,
    }
}

/// Bytes as people read them: to a tenth, in the largest binary unit of which there is one.
pub fn about_size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(name, unit)| {
            let tenths = u128::from(bytes) * 10 / u128::from(*unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        },
    )
}

/// Shows a duration so that [`duration`] reads the same, to the millisecond.
pub fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    show(millis, &DURATIONS).unwrap_or_else(|| "0s".to_owned())
}

/// Shows a rate in the unit it was read in; a time that is no unit counts as the
/// next shorter one.
pub fn show_rate(count: u64, per: Duration) -> String {
    let unit = PERIODS
        .iter()
        .find(|(_, seconds)| per.as_secs() >= *seconds);
    let (name, _) = unit.unwrap_or(&("/s", 1));
    format!("{count}{name}")
}

fn show(number: u64, units: &[(&str, u64)]) -> Option<String> {
    let (name, scale) = units
        .iter()
        .find(|(_, scale)| number > 0 && number.is_multiple_of(*scale))?;
    Some(match *name {
        "B" => number.to_string(),
        name => format!("{}{name}", number / scale),
    })
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check_size(text: &str, want: Option<u64>, shown: &str) {
        assert_eq!(size(text), want, "{text}");
        assert_eq!(want.map(show_size).unwrap_or_default(), shown, "{text}");
    }

    #[test]
    fn sizes_are_read_in_binary_and_decimal_units() {
        check_size("64MiB", Some(64 << 20), "64MiB");
        check_size("64 mib", Some(64 << 20), "64MiB");
        check_size("10MB", Some(10_000_000), "10MB");
        check_size("512KiB", Some(512 << 10), "512KiB");
        check_size("1024", Some(1024), "1KiB");
        check_size("1025", Some(1025), "1025");
        check_size("1025B", Some(1025), "1025");
        check_size("0", Some(0), "0");
        check_size(
            "18446744073709551615",
            Some(u64::MAX),
            "18446744073709551615",
        );
    }

    #[test]
    fn sizes_are_told_to_a_tenth() {
        for (bytes, want) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (5 * GIB + GIB / 2, "5.5 GiB"),
            (3 * TIB, "3.0 TiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(about_size(bytes), want);
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "", "MiB", "-1", "+1", "1.5MiB", "64M", "64MiBs", "6 4", "0x10", "1_000", " 1", "١",
        ] {
            check_size(text, None, "");
        }
        check_size("18446744073709551616", None, "");
        check_size("16777216TiB", None, "");
    }

    #[track_caller]
    fn check_duration(text: &str, want_ms: Option<u64>, shown: &str) {
        let want = want_ms.map(Duration::from_millis);
        assert_eq!(duration(text), want, "{text}");
        assert_eq!(want.map(show_duration).unwrap_or_default(), shown, "{text}");
    }

    #[test]
    fn durations_carry_a_unit() {
        check_duration("500ms", Some(500), "500ms");
        check_duration("1500ms", Some(1_500), "1500ms");
        check_duration("30s", Some(30_000), "30s");
        check_duration("60s", Some(60_000), "1m");
        check_duration("75s", Some(75_000), "75s");
        check_duration("5m", Some(300_000), "5m");
        check_duration("1h", Some(3_600_000), "1h");
        check_duration("48h", Some(172_800_000), "2d");
        check_duration("0s", Some(0), "0s");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "1.5s",
            "-1s",
            "30S",
            "1mo",
            "1 week",
            "213503982335d",
        ] {
            check_duration(text, None, "");
        }
    }

    #[track_caller]
    fn check_rate(text: &str, want: Option<(u64, u64)>, shown: &str) {
        let want = want.map(|(count, seconds)| (count, Duration::from_secs(seconds)));
        assert_eq!(rate(text), want, "{text}");
        let back = want.map(|(count, per)| show_rate(count, per));
        assert_eq!(back.unwrap_or_default(), shown, "{text}");
    }

    #[test]
    fn rates_keep_the_unit_they_were_written_in() {
        check_rate("50/s", Some((50, 1)), "50/s");
        check_rate("60/m", Some((60, 60)), "60/m");
        check_rate("1 /h", Some((1, 3_600)), "1/h");
        check_rate("0/s", Some((0, 1)), "0/s");
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "50",
            "/s",
            "50/",
            "50s",
            "50/S",
            "50/ s",
            "50/sec",
            "50/2s",
            "-1/s",
            "1.5/s",
            "50/d",
            "50/ms",
            "18446744073709551616/s",
        ] {
            check_rate(text, None, "");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_shown_reads_back(bytes: u64, millis: u64) {
            prop_assert_eq!(size(&show_size(bytes)), Some(bytes));
            let shown = show_size_with_unit(bytes);
            prop_assert_eq!(size(&shown), Some(bytes));
            prop_assert!(shown.ends_with('B'));
            let span = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show_duration(span)), Some(span));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let read = (size(&text), duration(&text), rate(&text));
            prop_assert!(read.0.is_none() || text.starts_with(|c: char| c.is_ascii_digit()));
        }
    }
}
