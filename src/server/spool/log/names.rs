//! What the files of a log are called, and what a name says. Owns the names; opens
//! nothing. A segment's salt is part of its name, so that a damaged head costs none
//! of its records.

use std::fmt;

/// Which segment: its number, and the salt of its marks and checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentId {
    /// Counts up from 1; never given twice while anything of an earlier one is left.
    pub number: u32,
    /// Drawn anew for each file. Nobody who sends payloads knows it, so that nobody
    /// can send one that holds a record when damage makes recovery search for one.
    pub salt: u64,
}

impl SegmentId {
    /// The bytes that each record of the segment begins with; never zero.
    pub(super) fn mark(self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.salt.to_le_bytes();
        [a | 1, b, c, d]
    }

    /// A checksum that the segment's salt has begun.
    pub(super) fn hasher(self) -> crc32fast::Hasher {
        let [.., e, f, g, h] = self.salt.to_le_bytes();
        crc32fast::Hasher::new_with_initial(u32::from_le_bytes([e, f, g, h]))
    }

    /// The checksum of some bytes, begun by the salt.
    pub(super) fn crc(self, bytes: &[u8]) -> u32 {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// A file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// Records.
    Segment(SegmentId),
    /// Which of a segment's records are done with.
    Acks(SegmentId),
    /// A segment that lost records and whose others are done with.
    Damaged(SegmentId),
    /// A large body.
    Body(u64),
    /// A large body that is not as it was written.
    DamagedBody(u64),
    /// A large body that never got its name, where unnamed files cannot be.
    Temporary,
}

/// The end of a name whose file is dropped at the next start.
pub(super) const TEMPORARY: &str = ".tmp";

impl Name {
    /// What a name says; `None` if the file is not the log's.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if name.ends_with(TEMPORARY) {
            return Some(Self::Temporary);
        }
        let (stem, kind) = name.split_once('.')?;
        let id = || {
            let (number, salt) = stem.split_once('-')?;
            Some(SegmentId {
                number: u32::from_str_radix(number, 16).ok()?,
                salt: u64::from_str_radix(salt, 16).ok()?,
            })
        };
        let parsed = match kind {
            "log" => Self::Segment(id()?),
            "acks" => Self::Acks(id()?),
            "log.damaged" => Self::Damaged(id()?),
            "body" => Self::Body(u64::from_str_radix(stem, 16).ok()?),
            "body.damaged" => Self::DamagedBody(u64::from_str_radix(stem, 16).ok()?),
            _ => return None,
        };
        // One file, one name: no other spelling of a number counts.
        (parsed.to_string() == name).then_some(parsed)
    }

    /// The segment's number that this name takes up, zero for none.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Segment(id) | Self::Acks(id) | Self::Damaged(id) => id.number,
            // The upper half of a body's number was a segment's that came next.
            Self::DamagedBody(number) => u32::try_from(number >> 32).unwrap_or(u32::MAX),
            Self::Body(_) | Self::Temporary => 0,
        }
    }

    /// The older a file is of those that are kept for their damage, the less this is.
    pub(super) fn since(self) -> u64 {
        match self {
            Self::Segment(id) | Self::Acks(id) | Self::Damaged(id) => u64::from(id.number) << 32,
            Self::Body(number) | Self::DamagedBody(number) => number,
            Self::Temporary => 0,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, kind) = match self {
            Self::Segment(id) => (id, "log"),
            Self::Acks(id) => (id, "acks"),
            Self::Damaged(id) => (id, "log.damaged"),
            Self::Body(number) => return write!(f, "{number:016x}.body"),
            Self::DamagedBody(number) => return write!(f, "{number:016x}.body.damaged"),
            Self::Temporary => return write!(f, "{TEMPORARY}"),
        };
        write!(f, "{:08x}-{:016x}.{kind}", id.number, id.salt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, want: Option<Name>) {
        assert_eq!(Name::parse(name), want, "{name}");
    }

    #[test]
    fn a_name_is_read_in_its_one_spelling() {
        let id = SegmentId {
            number: 0x1f,
            salt: 0xabc,
        };
        check("0000001f-0000000000000abc.log", Some(Name::Segment(id)));
        check("0000001f-0000000000000abc.acks", Some(Name::Acks(id)));
        check(
            "0000001f-0000000000000abc.log.damaged",
            Some(Name::Damaged(id)),
        );
        check(
            "0000000200000001.body",
            Some(Name::Body(0x0000_0002_0000_0001)),
        );
        check(
            "0000000200000001.body.damaged",
            Some(Name::DamagedBody(0x0000_0002_0000_0001)),
        );
        check("7.tmp", Some(Name::Temporary));
        for foreign in [
            "lock",
            "1f-abc.log",
            "0000001F-0000000000000abc.log",
            "+000001f-0000000000000abc.log",
            "0000001f-0000000000000abc.logs",
            "0000001f.log",
            "",
            ".",
        ] {
            check(foreign, None);
        }
    }
}
