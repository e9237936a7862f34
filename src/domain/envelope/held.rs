//! Line one of an envelope that was held back for a while.
//!
//! A server tells a wrong clock by how far `sent_at` lies behind the time of arrival, and from
//! 55 minutes on moves all times of the envelope by that much. What lay here for an hour would be
//! moved by an hour. So `sent_at` grows by the time held: what is left between the two is again
//! what the device's clock is off by. Never adds one where the client wrote none.

use std::time::Duration;

use jiff::Timestamp;

use super::member::string;

/// The line with its `sent_at` moved by `held`, and nothing else changed. `None`: it has none, or
/// none that is an RFC 3339 time, and is to leave as it is.
#[must_use]
pub fn sent_later(line: &[u8], held: Duration) -> Option<Vec<u8>> {
    let place = string(line, b"sent_at")?;
    let text: String = serde_json::from_slice(line.get(place.clone())?).ok()?;
    let moved = text.parse::<Timestamp>().ok()?.checked_add(held).ok()?;
    let mut later = Vec::with_capacity(line.len() + 8);
    later.extend_from_slice(line.get(..place.start)?);
    later.push(b'"');
    later.extend_from_slice(moved.to_string().as_bytes());
    later.push(b'"');
    later.extend_from_slice(line.get(place.end..)?);
    Some(later)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[track_caller]
    fn check(line: &str, held: Duration, want: Option<&str>) {
        let later = sent_later(line.as_bytes(), held);
        let later = later.map(|line| String::from_utf8(line).unwrap());
        assert_eq!(later.as_deref(), want, "{line}");
    }

    #[test]
    fn the_time_moves_by_what_it_was_held() {
        check(
            r#"{"event_id":"a","sent_at":"2026-11-26T10:30:00Z","dsn":"x"}"#,
            2 * HOUR,
            Some(r#"{"event_id":"a","sent_at":"2026-11-26T12:30:00Z","dsn":"x"}"#),
        );
        check(
            r#"{"sent_at":"2026-12-31T23:59:59.250Z"}"#,
            Duration::from_millis(1750),
            Some(r#"{"sent_at":"2027-01-01T00:00:01Z"}"#),
        );
    }

    /// What a server takes for the error of a device's clock: how far `sent_at` lies behind the
    /// arrival. From 55 minutes on it moves the envelope's times by that.
    fn told_error(line: &[u8], arrives: &str) -> Duration {
        let place = string(line, b"sent_at").unwrap();
        let sent: String = serde_json::from_slice(&line[place]).unwrap();
        let sent: Timestamp = sent.parse().unwrap();
        let arrives: Timestamp = arrives.parse().unwrap();
        arrives.duration_since(sent).unsigned_abs()
    }

    #[test]
    fn two_hours_here_are_no_error_of_a_devices_clock_and_three_hours_of_its_own_are() {
        const SHIFTS_FROM: Duration = Duration::from_secs(55 * 60);
        let (comes, leaves) = ("2026-11-26T10:00:00Z", "2026-11-26T12:00:00Z");
        let right = br#"{"sent_at":"2026-11-26T09:59:58Z"}"#;
        assert!(told_error(right, leaves) > SHIFTS_FROM, "without a move");
        let moved = sent_later(right, 2 * HOUR).unwrap();
        assert_eq!(told_error(&moved, leaves), Duration::from_secs(2));
        for off in ["2026-11-26T07:00:00Z", "2026-11-26T13:00:00Z"] {
            let line = format!("{{\"sent_at\":\"{off}\"}}");
            let moved = sent_later(line.as_bytes(), 2 * HOUR).unwrap();
            let at_once = told_error(line.as_bytes(), comes);
            assert_eq!((told_error(&moved, leaves), at_once), (3 * HOUR, 3 * HOUR));
        }
    }

    #[test]
    fn another_zone_is_the_same_moment() {
        check(
            r#"{"sent_at":"2026-11-26T10:30:00+02:00"}"#,
            HOUR,
            Some(r#"{"sent_at":"2026-11-26T09:30:00Z"}"#),
        );
    }

    #[test]
    fn blanks_and_escapes_are_read_and_kept() {
        check(
            r#"{ "a" : { "sent_at" : "1" } , "sent\u005fat" : "2026-11-26T10:30:00.5Z" }"#,
            HOUR,
            Some(r#"{ "a" : { "sent_at" : "1" } , "sent\u005fat" : "2026-11-26T11:30:00.5Z" }"#),
        );
    }

    #[test]
    fn none_is_added_and_what_is_no_time_stays() {
        for line in [
            "{}",
            r#"{"event_id":"a"}"#,
            r#"{"sent_at":null}"#,
            r#"{"sent_at":1700000000}"#,
            r#"{"sent_at":"yesterday"}"#,
            r#"{"trace":{"sent_at":"2026-11-26T10:30:00Z"}}"#,
            "not an object",
            "",
        ] {
            check(line, HOUR, None);
        }
    }

    #[test]
    fn a_time_beyond_all_times_stays() {
        check(
            r#"{"sent_at":"9999-12-30T22:00:00Z"}"#,
            Duration::from_secs(u64::MAX),
            None,
        );
    }
}
