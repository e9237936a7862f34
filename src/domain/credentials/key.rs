//! The public key.
//!
//! Owns its form and how it may be shown. Never knows whether a key exists.

use std::fmt;

/// A public key: 32 lower-case hex digits, the only form that Sentry issues.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// Reads exactly 32 digits of `[0-9a-f]`. `KEY.flag`, a form that Relays use among themselves,
    /// is refused: no client has business with the flags.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits: [u8; 32] = text.try_into().ok()?;
        digits
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            .then_some(Self(digits))
    }

    /// The key in full. It identifies a customer: mask it before it reaches a log.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("parse admits ASCII alone")
    }

    /// The key as people may see it: its first four digits and three dots.
    pub const fn masked(&self) -> Masked {
        let [first, second, third, fourth, ..] = self.0;
        Masked([first, second, third, fourth])
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.masked())
    }
}

/// What is shown of a key in logs, decisions and tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masked([u8; 4]);

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.0).expect("the digits of a key are ASCII"))?;
        f.write_str("...")
    }
}
