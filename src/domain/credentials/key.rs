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

    /// The sixteen bytes that the digits spell: half the memory, for tables of a million keys.
    pub fn packed(&self) -> [u8; 16] {
        let mut packed = [0; 16];
        let (digits, _) = self.0.as_chunks::<8>();
        let (bytes, _) = packed.as_chunks_mut::<4>();
        for (digits, bytes) in digits.iter().zip(bytes) {
            *bytes = pack(*digits);
        }
        packed
    }

    /// The key that [`packed`](Self::packed) made these bytes of.
    pub fn unpacked(packed: [u8; 16]) -> Self {
        let mut digits = [0; 32];
        let (pairs, _) = digits.as_chunks_mut::<2>();
        for (byte, pair) in packed.into_iter().zip(pairs) {
            *pair = [digit(byte >> 4), digit(byte & 0x0f)];
        }
        Self(digits)
    }

    /// The key as people may see it: its first four digits and three dots.
    pub const fn masked(&self) -> Masked {
        let [first, second, third, fourth, ..] = self.0;
        Masked([first, second, third, fourth])
    }
}

/// Eight hex digits at once, since this runs for each request: each byte becomes its digit's value,
/// then neighbours are joined into bytes, pairs and fours.
fn pack(digits: [u8; 8]) -> [u8; 4] {
    let text = u64::from_be_bytes(digits);
    // A letter has bit 6 set and lies nine below its value.
    let values = (text & 0x0f0f_0f0f_0f0f_0f0f) + ((text >> 6) & 0x0101_0101_0101_0101) * 9;
    let bytes = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    let [_, _, _, _, packed @ ..] = (pairs | pairs >> 16).to_be_bytes();
    packed
}

fn digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        _ => b'a' + (value - 10),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_packed_key_is_the_number_that_its_digits_spell() {
        let key = Key::parse(b"00019abcdef0a94ae32be2584e0bbd7f").expect("a key");
        let want = 0x0001_9abc_def0_a94a_e32b_e258_4e0b_bd7f_u128;
        assert_eq!(u128::from_be_bytes(key.packed()), want);
    }

    proptest! {
        #[test]
        fn packing_loses_nothing(bytes in any::<[u8; 16]>()) {
            let key = Key::unpacked(bytes);
            prop_assert_eq!(Key::parse(key.as_str().as_bytes()), Some(key));
            prop_assert_eq!(key.packed(), bytes);
        }
    }
}
