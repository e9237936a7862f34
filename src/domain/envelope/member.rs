//! Where a value stands in an object of line one. Owns the search in a line that was found sound;
//! reads no value and changes nothing.

use std::ops::Range;

use super::cleaned::{member_end, string_length};

/// Where the string under a key of the object stands, both quotes counted.
pub(super) fn string(object: &[u8], key: &[u8]) -> Option<Range<usize>> {
    let start = value(object, key)?;
    let length = string_length(object.get(start..).filter(|rest| rest.starts_with(b"\""))?)?;
    Some(start..start + length)
}

/// Where the object under a key of the object stands, both braces counted.
pub(super) fn object(object: &[u8], key: &[u8]) -> Option<Range<usize>> {
    let start = value(object, key)?;
    let rest = object.get(start..).filter(|rest| rest.starts_with(b"{"))?;
    // The last member's value is followed by the brace that closes the object around it.
    let inside = rest.get(..rest.len().checked_sub(1)?)?;
    let end = member_end(inside).unwrap_or(inside.len());
    let length = inside.get(..end)?.trim_ascii_end().len();
    Some(start..start + length)
}

/// Where the value of a key begins.
fn value(object: &[u8], key: &[u8]) -> Option<usize> {
    let inside = object.strip_prefix(b"{")?.strip_suffix(b"}")?;
    let mut from = 0;
    loop {
        let rest = inside.get(from..)?;
        let comma = member_end(rest);
        let member = rest.get(..comma.unwrap_or(rest.len()))?;
        if let Some(start) = value_of(member, key) {
            // One for the opening brace.
            return Some(1 + from + start);
        }
        from += comma? + 1;
    }
}

/// Where a member's value begins, if its key is this one.
fn value_of(member: &[u8], key: &[u8]) -> Option<usize> {
    let blanks = |from: usize| {
        let rest = member.get(from..).unwrap_or_default();
        from + rest.len() - rest.trim_ascii_start().len()
    };
    let key_at = blanks(0);
    let key_end = key_at + string_length(member.get(key_at..)?)?;
    let spelled: String = serde_json::from_slice(member.get(key_at..key_end)?).ok()?;
    let colon = blanks(key_end);
    if spelled.as_bytes() != key || member.get(colon) != Some(&b':') {
        return None;
    }
    Some(blanks(colon + 1))
}
