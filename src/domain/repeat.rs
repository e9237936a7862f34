//! What is said of the same error of the same client over and over: so many in full, then
//! samples.
//!
//! Owns the values, and what makes two errors the same. Never counts: `policy::repeats` does.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::event::Event;

/// How many of the same are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// So many in each window pass, at least one.
    pub first: u64,
    /// Of the rest one in so many, at least two.
    pub then: u64,
    /// The window, from the first of them on; whole milliseconds.
    pub per: Duration,
}

impl Repeat {
    /// Whether the `nth` of its window passes, counted from 1.
    #[must_use]
    pub const fn passes(&self, nth: u64) -> bool {
        match nth.checked_sub(self.first) {
            None | Some(0) => true,
            Some(beyond) => beyond.is_multiple_of(self.then),
        }
    }
}

/// How much of a message tells two errors apart, in bytes.
const TOLD_BYTES: usize = 256;

/// What makes an error the same as another, cheaply: the exception that was raised, or the
/// message, without its digits, which count, address and date what is the same otherwise.
/// `None`: it says neither.
pub fn feed(event: &Event<'_>, hasher: &mut impl Hasher) -> Option<()> {
    // Causes come first: the last one is what the program saw.
    if let Some(raised) = event.exceptions().last() {
        raised.kind().hash(hasher);
        told(raised.value().unwrap_or_default(), hasher);
        return Some(());
    }
    told(event.messages().next()?, hasher);
    Some(())
}

fn told(text: &str, hasher: &mut impl Hasher) {
    let bytes = text.bytes().take(TOLD_BYTES);
    for byte in bytes.filter(|byte| !byte.is_ascii_digit()) {
        hasher.write_u8(byte);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::hash_map::DefaultHasher;

    use super::*;

    #[test]
    fn the_first_pass_and_then_one_in_so_many() {
        let repeat = Repeat {
            first: 3,
            then: 4,
            per: Duration::from_secs(1),
        };
        let passed: Vec<u64> = (1..=16).filter(|nth| repeat.passes(*nth)).collect();
        assert_eq!(passed, [1, 2, 3, 7, 11, 15]);
    }

    fn signature(json: &str) -> Option<u64> {
        let event = Event::read(json.as_bytes()).unwrap();
        let mut hasher = DefaultHasher::new();
        feed(&event, &mut hasher).map(|()| hasher.finish())
    }

    #[track_caller]
    fn check(one: &str, other: &str, same: bool) {
        assert_eq!(signature(one) == signature(other), same, "{one} {other}");
    }

    #[test]
    fn errors_are_the_same_by_what_was_raised_or_said() {
        let raised = |kind: &str, value: &str| {
            let cause = r#"{"type":"Cause","value":"x"}"#;
            format!(
                r#"{{"exception":{{"values":[{cause},{{"type":"{kind}","value":"{value}"}}]}}}}"#
            )
        };
        let one = raised("TypeError", "no item 17 at 0x7f3");
        check(&one, &raised("TypeError", "no item 4 at 0x8f99"), true);
        check(&one, &raised("TypeError", "no thing 17 at 0x7f3"), false);
        check(&one, &raised("RangeError", "no item 17 at 0x7f3"), false);
        check(
            r#"{"message":"late by 3 s"}"#,
            r#"{"logentry":{"message":"late by 12 s"}}"#,
            true,
        );
        check(r#"{"message":"late"}"#, r#"{"message":"early"}"#, false);
        let long = |end: &str| format!(r#"{{"message":"{}{end}"}}"#, "x".repeat(TOLD_BYTES));
        check(&long("a"), &long("b"), true);
        assert_eq!(signature(r#"{"release":"1"}"#), None, "it says nothing");
    }
}
