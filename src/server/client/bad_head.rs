//! A request's head that cannot be read: what its sender is told, and what it
//! counts under. Never repeats a byte of it.

use crate::domain::outcome::Reason;

/// What can be wrong with a head before anybody could look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadHead {
    /// It is not HTTP.
    Malformed,
    /// Its target is too long.
    TargetTooLong,
    /// It is over `limits.header_bytes`, or has more than a hundred fields.
    TooLarge,
    /// It came in the clear where TLS is spoken.
    InTheClear,
}

impl BadHead {
    /// The one that hyper answers with this status.
    pub(crate) fn answered_with(status: &[u8]) -> Option<Self> {
        Self::OF_HYPER
            .into_iter()
            .find(|bad| bad.status_text().as_bytes() == status)
    }

    const OF_HYPER: [Self; 3] = [Self::Malformed, Self::TargetTooLong, Self::TooLarge];

    /// The status it is answered with.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Malformed | Self::InTheClear => 400,
            Self::TargetTooLong => 414,
            Self::TooLarge => 431,
        }
    }

    /// What it counts under.
    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::Malformed | Self::InTheClear => Reason::Malformed,
            Self::TargetTooLong | Self::TooLarge => Reason::HeadersTooLarge,
        }
    }

    const fn status_text(self) -> &'static str {
        match self {
            Self::Malformed | Self::InTheClear => "400",
            Self::TargetTooLong => "414",
            Self::TooLarge => "431",
        }
    }

    /// A whole answer in JSON, like any other refusal's.
    pub(crate) fn answer(self) -> String {
        let reason = self.reason();
        let (phrase, detail) = match self {
            Self::Malformed => ("Bad Request", "the request's head is not valid HTTP/1.1"),
            Self::InTheClear => (
                "Bad Request",
                "this port speaks TLS: ask it by https, not by http",
            ),
            Self::TargetTooLong => ("URI Too Long", "the request's target is too long"),
            Self::TooLarge => (
                "Request Header Fields Too Large",
                "the request's head has more than 100 fields, which no key changes, or is over limits.header_bytes",
            ),
        };
        let body = serde_json::json!({"detail": detail, "causes": [reason.as_str()]}).to_string();
        format!(
            "HTTP/1.1 {} {phrase}\r\ncontent-type: application/json\r\nx-sentry-error: {detail}\r\n\
             access-control-allow-origin: *\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.status_text(),
            body.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: &[u8], causes: &str) {
        let answer = BadHead::answered_with(status).unwrap().answer();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.as_bytes()
                .starts_with(&[b"HTTP/1.1 ", status].concat()),
            "{head}"
        );
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{head}"
        );
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["causes"][0], causes);
    }

    #[test]
    fn each_bad_head_is_told_in_json() {
        check(b"400", "malformed");
        check(b"414", "headers_too_large");
        check(b"431", "headers_too_large");
    }

    #[test]
    fn who_speaks_in_the_clear_is_told_what_to_speak() {
        let answer = BadHead::InTheClear.answer();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(
            answer.contains("x-sentry-error: this port speaks TLS"),
            "{answer}"
        );
        assert!(answer.contains("connection: close"), "{answer}");
    }

    #[test]
    fn other_answers_are_left_alone() {
        assert_eq!(BadHead::answered_with(b"404"), None);
        assert_eq!(BadHead::answered_with(b"200"), None);
    }
}
