//! Proven pairs as bytes, to outlive a restart. Owns the format: bytes in, values
//! out; never opens a file and never trusts one.
//!
//! ```text
//! vidette-proven-keys 1
//! a94ae32be2584e0bbd7a4cbb95971fee 42 1790000000     key, project (0: none), last accepted
//! end 1 5d3c1e6f0a9b8c77                             how many, checksum of all above
//! ```
//!
//! Text, so that an operator can look at it. It names customers' keys: whoever
//! writes it keeps it from others' eyes.

use std::cmp::Reverse;
use std::io::Write;

use super::proven::{FORGOTTEN_S, ProvenPair};
use crate::domain::credentials::Key;
use crate::domain::endpoint::ProjectId;

const MAGIC: &[u8] = b"vidette-proven-keys ";
const VERSION: &[u8] = b"1";

/// A key, two numbers of at most twenty digits, two blanks and the line's end.
const LINE_BYTES_MAX: usize = 32 + 2 * 20 + 3;

/// The first and the last line together are shorter.
const FRAME_BYTES_MAX: usize = 128;

/// Why bytes are not a table of proven pairs.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvenFileError {
    /// Somebody else's file, or an empty one.
    #[error("not a file of proven keys")]
    Foreign,
    /// A newer vidette wrote it.
    #[error("a file of proven keys of another version; this one reads version 1")]
    Version,
    /// Its writer was stopped half-way.
    #[error("the file of proven keys ends early")]
    Truncated,
    /// Something changed it.
    #[error("the file of proven keys is damaged: its checksum does not match")]
    Damaged,
    /// Its writer was wrong, since the checksum is right.
    #[error("line {line} of the file of proven keys is not a pair")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// As above.
    #[error("the file of proven keys holds another number of pairs than it says")]
    Count,
}

/// The longest file that so many pairs make: reading more than this is a waste.
#[must_use]
pub const fn bytes_max(pairs_max: usize) -> usize {
    pairs_max
        .saturating_mul(LINE_BYTES_MAX)
        .saturating_add(FRAME_BYTES_MAX)
}

/// Writes the pairs in the order given.
#[must_use]
pub fn encode(pairs: &[ProvenPair]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(bytes_max(pairs.len()));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(VERSION);
    bytes.push(b'\n');
    for pair in pairs {
        let project = pair.project.map_or(0, ProjectId::get);
        let (key, accepted) = (pair.key.as_str(), pair.last_accepted_unix_s);
        writeln!(bytes, "{key} {project} {accepted}").expect("memory takes what is written");
    }
    let sum = checksum(&bytes);
    writeln!(bytes, "end {} {sum:016x}", pairs.len()).expect("memory takes what is written");
    bytes
}

/// Reads what [`encode`] wrote, leaving out pairs that were not accepted for thirty days. Of more
/// than `pairs_max` the latest accepted stay.
///
/// # Errors
/// What is wrong with the bytes, without repeating any. Nothing of a damaged file is used: a key
/// with a flipped bit would be somebody else's.
pub fn decode(
    bytes: &[u8],
    pairs_max: usize,
    now_unix_s: u64,
) -> Result<Vec<ProvenPair>, ProvenFileError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(ProvenFileError::Foreign)?;
    let (version, _) = split_line(rest).ok_or(ProvenFileError::Truncated)?;
    if version != VERSION {
        return Err(ProvenFileError::Version);
    }
    let (body, count) = checked_body(bytes)?;
    let mut pairs = Vec::new();
    let mut lines = 0;
    let mut rest = body;
    while let Some((line, after)) = split_line(rest) {
        rest = after;
        lines += 1;
        // The first line was read above.
        if lines == 1 {
            continue;
        }
        let pair = parse_pair(line).ok_or(ProvenFileError::Line { line: lines })?;
        if now_unix_s.saturating_sub(pair.last_accepted_unix_s) < FORGOTTEN_S {
            pairs.push(pair);
        }
    }
    if lines != count.saturating_add(1) {
        return Err(ProvenFileError::Count);
    }
    if pairs.len() > pairs_max {
        pairs.sort_unstable_by_key(|pair| Reverse(pair.last_accepted_unix_s));
        pairs.truncate(pairs_max);
    }
    Ok(pairs)
}

/// All lines but the last, once that one vouches for them, and how many pairs it tells of.
fn checked_body(bytes: &[u8]) -> Result<(&[u8], usize), ProvenFileError> {
    let whole = bytes
        .strip_suffix(b"\n")
        .ok_or(ProvenFileError::Truncated)?;
    let cut = memchr::memrchr(b'\n', whole).ok_or(ProvenFileError::Truncated)?;
    let (body, last) = bytes
        .split_at_checked(cut + 1)
        .ok_or(ProvenFileError::Truncated)?;
    let last = last
        .strip_prefix(b"end ")
        .and_then(|last| str::from_utf8(last).ok())
        .and_then(|last| last.strip_suffix('\n')?.split_once(' '))
        .ok_or(ProvenFileError::Truncated)?;
    let (count, sum) = last;
    if sum != format!("{:016x}", checksum(body)) {
        return Err(ProvenFileError::Damaged);
    }
    // The last line is not under the checksum, so a wrong number there is damage or a slip.
    let count = count.parse().map_err(|_| ProvenFileError::Count)?;
    Ok((body, count))
}

fn parse_pair(line: &[u8]) -> Option<ProvenPair> {
    let mut fields = line.splitn(3, |byte| *byte == b' ');
    let (key, project, accepted) = (fields.next()?, fields.next()?, fields.next()?);
    let project = match project {
        b"0" => None,
        digits => Some(ProjectId::parse(digits)?),
    };
    Some(ProvenPair {
        key: Key::parse(key)?,
        project,
        last_accepted_unix_s: str::from_utf8(accepted).ok()?.parse().ok()?,
    })
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'\n', bytes)?;
    let (line, after) = bytes.split_at_checked(at)?;
    Some((line, after.strip_prefix(b"\n")?))
}

/// FNV-1a: finds damage, not malice. Each step is reversible, so no single changed byte goes unseen.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
