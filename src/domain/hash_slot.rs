//! Where a key lies in a cluster of Redis or Valkey: one of 16384 slots, by the checksum of the
//! key or of what stands in its first braces (the cluster specification, "Key distribution").

/// A cluster has as many.
pub const SLOTS: u16 = 16_384;

/// The slot of a key.
#[must_use]
pub fn of(key: &[u8]) -> u16 {
    let tag = memchr::memchr(b'{', key).and_then(|begin| {
        let inside = key.get(begin + 1..)?;
        let end = memchr::memchr(b'}', inside)?;
        inside.get(..end).filter(|tag| !tag.is_empty())
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let crc = crc ^ (u16::from(*byte) << 8);
        (0..8).fold(crc, |crc: u16, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lie_where_the_specification_has_them() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(of(b"foo"), 12_182);
        assert_eq!(of(b"{user1000}.following"), of(b"{user1000}.followers"));
        assert_eq!(of(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(of(b"foo{{bar}}zap"), crc16(b"{bar") % SLOTS);
        assert_eq!(of(b"foo{bar}{zap}"), of(b"bar"));
    }
}
