//! A project's number.
//!
//! Owns its form. Never knows whether such a project exists.

use std::fmt;
use std::num::NonZeroU64;

/// A project's number, as the path of an ingestion request names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(NonZeroU64);

impl ProjectId {
    /// Reads decimal digits that begin with 1 to 9: no sign, no leading zero, nothing over 64 bits.
    pub fn parse(digits: &[u8]) -> Option<Self> {
        let (b'1'..=b'9', _) = digits.split_first()? else {
            return None;
        };
        let value = digits.iter().try_fold(0_u64, |value, &byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            value.checked_mul(10)?.checked_add(digit)
        })?;
        NonZeroU64::new(value).map(Self)
    }

    /// The number itself, never 0.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_that_a_sentry_can_issue_are_read() {
        for (digits, want) in [
            ("1", Some(1)),
            ("42", Some(42)),
            ("101010", Some(101_010)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("99999999999999999999999", None),
            ("", None),
            ("0", None),
            ("042", None),
            ("+1", None),
            ("-1", None),
            ("1 ", None),
            ("1a", None),
            ("\u{661}", None),
        ] {
            let got = ProjectId::parse(digits.as_bytes()).map(ProjectId::get);
            assert_eq!(got, want, "{digits:?}");
        }
    }

    #[test]
    fn a_project_prints_as_its_number() {
        let project = ProjectId::parse(b"42").expect("a number");
        assert_eq!(format!("{project} {project:>4}"), "42   42");
    }
}
