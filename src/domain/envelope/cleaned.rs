//! Line one without the fields that only a Relay may write.
//!
//! Owns the list of those fields and their removal. Reads a line that `header` found sound and
//! rewrites nothing that stays: keys and values keep the bytes that the client gave them.

use super::header;

/// Whether only a Relay writes this key into an envelope's header.
///
/// Each of them outweighs what the request itself says: who sent it, with what, and how it is to
/// be treated. From a client they are forgeries. SDKs send none of them.
pub(super) fn is_relays_own(key: &[u8]) -> bool {
    matches!(
        key,
        b"forwarded_for"
            | b"remote_addr"
            | b"user_agent"
            | b"client"
            | b"version"
            | b"origin"
            | b"client_hints"
            | b"no_cache"
            | b"retention"
    )
}

/// The line without the top-level keys that make it `forged`, and nothing else changed.
///
/// Order, spelling and blanks of what stays are kept byte for byte; a key written with escapes is
/// what it decodes to. The result is one line, valid as far as the line was, and no longer than
/// it. `None`: the line is not an envelope's header. Costs a pass and a copy of the line: ask only
/// where [`header::parse`] said that it is forged.
pub fn without_forged(line: &[u8]) -> Option<Vec<u8>> {
    header::parse(line).ok()?;
    let mut rest = line.strip_prefix(b"{")?.strip_suffix(b"}")?;
    let mut cleaned = Vec::with_capacity(line.len());
    cleaned.push(b'{');
    loop {
        let comma = member_end(rest);
        let member = rest.get(..comma.unwrap_or(rest.len()))?;
        if !is_forged(member)? {
            if cleaned.len() > 1 {
                cleaned.push(b',');
            }
            cleaned.extend_from_slice(member);
        }
        match comma {
            Some(comma) => rest = rest.get(comma + 1..)?,
            None => break,
        }
    }
    cleaned.push(b'}');
    Some(cleaned)
}

/// Where the comma behind the first member of a sound object's inside stands.
pub(super) fn member_end(inside: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut depth = 0_usize;
    while let Some(byte) = inside.get(at) {
        match byte {
            b'"' => at += string_length(inside.get(at..)?)?,
            b',' if depth == 0 => return Some(at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            _ => at += 1,
        }
    }
    None
}

/// The length of the string that `json` begins with, both quotes counted.
pub(super) fn string_length(json: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        let next = memchr::memchr2(b'"', b'\\', json.get(at..)?)?;
        match json.get(at + next)? {
            b'"' => return Some(at + next + 1),
            // The byte behind a backslash never ends the string; of `\u005c` no digit does.
            _ => at += next + 2,
        }
    }
}

/// Whether a member's key is a forgery. An object without members has one blank one, kept as it is.
fn is_forged(member: &[u8]) -> Option<bool> {
    let member = member.trim_ascii_start();
    if member.is_empty() {
        return Some(false);
    }
    let spelling = member.get(..string_length(member)?)?;
    let key: String = serde_json::from_slice(spelling).ok()?;
    Some(is_relays_own(key.as_bytes()))
}

#[cfg(test)]
mod tests;
