//! How numbers are written: short, so that columns stay narrow.

/// Whole numbers in thousands: `1,234,567`.
pub(super) fn whole(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as a percentage; a small one with a digit more.
pub(super) fn share(share: f64) -> String {
    let digits = usize::from(share > 0.0 && share < 0.0995);
    format!("{:.digits$}%", share * 100.0)
}

/// So many a second.
pub(super) fn rate(per_second: f64) -> String {
    format!("{}/s", scaled(per_second, 1000.0, &["", "k", "M", "G"]))
}

/// So many bytes a second.
pub(super) fn byte_rate(per_second: f64) -> String {
    let text = scaled(per_second, 1024.0, &[" B", " KiB", " MiB", " GiB"]);
    format!("{text}/s")
}

/// Microseconds, in a unit that fits.
pub(super) fn took(us: f64) -> String {
    match us {
        us if us < 1000.0 => format!("{us:.0} us"),
        us if us < 10_000.0 => format!("{:.1} ms", us / 1000.0),
        us if us < 1_000_000.0 => format!("{:.0} ms", us / 1000.0),
        us => format!("{:.1} s", us / 1_000_000.0),
    }
}

fn scaled(n: f64, step: f64, units: &[&str]) -> String {
    let mut left = n;
    let mut named = "";
    for (place, unit) in units.iter().enumerate() {
        if place > 0 {
            if left < step {
                break;
            }
            left /= step;
        }
        named = unit;
    }
    let is_round = left.fract() < 0.05 || left >= 10.0;
    let digits = usize::from(!is_round);
    format!("{left:.digits$}{named}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (n, want) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(whole(n), want);
        }
        for (part, want) in [
            (0.0, "0%"),
            (0.004, "0.4%"),
            (0.099, "9.9%"),
            (0.1, "10%"),
            (1.0, "100%"),
        ] {
            assert_eq!(share(part), want);
        }
        for (n, want) in [
            (0.0, "0/s"),
            (0.4, "0.4/s"),
            (12.34, "12/s"),
            (999.0, "999/s"),
            (1_500.0, "1.5k/s"),
            (2e10, "20G/s"),
        ] {
            assert_eq!(rate(n), want);
        }
        for (n, want) in [(0.0, "0 B/s"), (1_536.0, "1.5 KiB/s"), (2e7, "19 MiB/s")] {
            assert_eq!(byte_rate(n), want);
        }
        for (us, want) in [
            (12.0, "12 us"),
            (2_100.0, "2.1 ms"),
            (25_000.0, "25 ms"),
            (1_500_000.0, "1.5 s"),
        ] {
            assert_eq!(took(us), want);
        }
    }
}
