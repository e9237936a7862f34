//! When a certificate is renewed, and how long is waited where that fails. Knows no clock and
//! draws nothing: both are arguments, times in seconds of Unix time.

/// So long is waited after a failure at least, and before an authority is asked the same
/// again, whatever it says.
pub const WAIT_MIN_S: i64 = 60;

/// So long at most where the authority asks for nothing. Let's Encrypt forgives five failed
/// proofs an hour; a day has room for four of these.
const WAIT_MAX_S: i64 = 6 * 3600;

/// An authority that asks for more than its own longest window, a week, is not heard.
const ASKED_MAX_S: i64 = 7 * 86_400;

/// A day, beyond which no answer about renewals is believed (RFC 9773, section 4.3.2).
const LOOK_MAX_S: i64 = 86_400;

/// So long an authority is left alone after it gave a certificate, even where it says at once
/// that this one is to be renewed too.
const REST_MAX_S: i64 = 3600;

/// An even draw that says where in a window something happens: this many parts.
const DRAWS: i64 = 1 << 16;

/// When a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// From here on.
    pub from_s: i64,
    /// Until here.
    pub until_s: i64,
}

/// When its authority would have a certificate renewed (RFC 9773).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From here on.
    pub start_s: i64,
    /// Until here.
    pub end_s: i64,
}

impl Life {
    /// When the certificate is to be renewed: at the place in its authority's window that
    /// `draw` says, else when two thirds of its life are over. Never so late that nothing
    /// could be tried again: a tenth is left.
    #[must_use]
    pub fn due_s(self, window: Option<Window>, draw: u16) -> i64 {
        let span_s = self.until_s.saturating_sub(self.from_s).max(0);
        let wanted_s = match window {
            Some(Window { start_s, end_s }) => {
                let open_s = end_s.saturating_sub(start_s).clamp(0, span_s);
                start_s.saturating_add(open_s * i64::from(draw) / DRAWS)
            }
            None => self.from_s.saturating_add(span_s * 2 / 3),
        };
        wanted_s.min(self.until_s.saturating_sub(span_s / 10))
    }

    /// Whether it should have been renewed by now: less than a third is left.
    #[must_use]
    pub fn is_late(self, now_s: i64) -> bool {
        let span_s = self.until_s.saturating_sub(self.from_s).max(0);
        self.until_s.saturating_sub(now_s) < span_s / 3
    }

    /// How long its authority is left alone after it gave this one.
    #[must_use]
    pub fn rest_s(self) -> i64 {
        let span_s = self.until_s.saturating_sub(self.from_s);
        (span_s / 4).clamp(1, REST_MAX_S)
    }
}

/// How long is waited after so many failures in a row, the last among them: about a minute,
/// then twice as long each time up to six hours, drawn from the upper half, so that many edges
/// do not come back at once. What the authority has asked for counts where it is longer.
#[must_use]
pub fn wait_s(failures: u32, asked_s: Option<u64>, draw: u16) -> i64 {
    let doubled = failures.min(16);
    let longest_s = WAIT_MIN_S
        .saturating_mul(1 << doubled)
        .clamp(WAIT_MIN_S, WAIT_MAX_S);
    let half_s = longest_s / 2;
    let drawn_s = half_s + half_s * i64::from(draw) / DRAWS;
    drawn_s.max(WAIT_MIN_S).max(held_s(asked_s))
}

/// What an authority has asked for, as far as it is heard.
#[must_use]
pub fn held_s(asked_s: Option<u64>) -> i64 {
    let asked_s = i64::try_from(asked_s.unwrap_or(0)).unwrap_or(i64::MAX);
    asked_s.min(ASKED_MAX_S)
}

/// How long an answer about renewals stands.
#[must_use]
pub fn stands_s(asked_s: u64) -> i64 {
    let asked_s = i64::try_from(asked_s).unwrap_or(i64::MAX);
    asked_s.clamp(WAIT_MIN_S, LOOK_MAX_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: i64 = 86_400;

    const LIFE: Life = Life {
        from_s: 1_000,
        until_s: 1_000 + 90 * DAY_S,
    };

    #[track_caller]
    fn check(window: Option<(i64, i64)>, draw: u16, want_days: i64) {
        let window = window.map(|(start, end)| Window {
            start_s: LIFE.from_s + start * DAY_S,
            end_s: LIFE.from_s + end * DAY_S,
        });
        let due_s = LIFE.due_s(window, draw);
        assert_eq!(due_s, LIFE.from_s + want_days * DAY_S, "{window:?}, {draw}");
    }

    #[test]
    fn a_certificate_is_renewed_when_two_thirds_are_over() {
        check(None, 0, 60);
        check(None, u16::MAX, 60);
    }

    #[test]
    fn an_authoritys_window_goes_before_and_the_draw_says_where_in_it() {
        check(Some((40, 44)), 0, 40);
        check(Some((40, 44)), 1 << 15, 42);
        check(Some((-9, -7)), 1 << 15, -8);
    }

    #[test]
    fn a_window_that_cannot_be_meant_lets_no_certificate_end() {
        check(Some((200, 300)), 0, 81);
        check(Some((80, 300)), u16::MAX, 81);
        check(Some((44, 40)), 1 << 15, 44);
        let extreme = Window {
            start_s: i64::MIN,
            end_s: i64::MAX,
        };
        assert!(LIFE.due_s(Some(extreme), u16::MAX) < LIFE.from_s);
    }

    #[test]
    fn a_renewal_is_late_when_less_than_a_third_is_left() {
        assert!(!LIFE.is_late(LIFE.from_s + 60 * DAY_S));
        assert!(LIFE.is_late(LIFE.from_s + 60 * DAY_S + 1));
        assert!(LIFE.is_late(LIFE.until_s + DAY_S));
    }

    #[test]
    fn an_authority_rests_for_an_hour_or_a_quarter_of_a_short_life() {
        assert_eq!(LIFE.rest_s(), 3600);
        let short = Life {
            from_s: 0,
            until_s: 100,
        };
        assert_eq!(short.rest_s(), 25);
        let none = Life {
            from_s: 9,
            until_s: 0,
        };
        assert_eq!(none.rest_s(), 1);
    }

    #[test]
    fn waits_double_from_a_minute_to_six_hours() {
        for (failures, least, most) in [
            (0, 60, 60),
            (1, 60, 120),
            (2, 120, 240),
            (3, 240, 480),
            (9, 10_800, 21_600),
            (u32::MAX, 10_800, 21_600),
        ] {
            assert_eq!(wait_s(failures, None, 0), least, "{failures}");
            let longest = wait_s(failures, None, u16::MAX);
            assert!((least..=most).contains(&longest), "{failures}: {longest}");
        }
        assert!(wait_s(3, None, 1 << 15) > wait_s(3, None, 0));
    }

    #[test]
    fn what_the_authority_asks_for_is_waited_for() {
        assert_eq!(wait_s(1, Some(5), 0), 60);
        assert_eq!(wait_s(1, Some(7_200), 0), 7_200);
        assert_eq!(wait_s(1, Some(u64::MAX), 0), 7 * DAY_S);
    }

    #[test]
    fn an_answer_about_renewals_stands_for_a_minute_to_a_day() {
        assert_eq!(stands_s(0), 60);
        assert_eq!(stands_s(21_600), 21_600);
        assert_eq!(stands_s(u64::MAX), DAY_S);
    }
}
