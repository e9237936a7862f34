//! Bytes without end that both sides of a test can make: what arrives is held
//! against what must have been sent, however large, without keeping either.

use std::io::Write as _;
use std::sync::OnceLock;

/// A prime, so that no power of two hides a misplaced piece.
const PERIOD: usize = 1_048_573;

fn period() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        // Twice over, so that any slice of up to one period is contiguous.
        let once: Vec<u8> = (0..PERIOD)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .collect();
        [once.as_slice(), &once].concat()
    })
}

/// So many bytes of the stream with this number, from an offset on.
pub(crate) fn slice(stream: u64, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let start = start(stream, offset + bytes.len() as u64);
        let piece = (length - bytes.len()).min(PERIOD);
        bytes.extend_from_slice(&period()[start..start + piece]);
    }
    bytes
}

/// Whether a piece, of at most a period, is what the stream holds at this offset.
pub(crate) fn matches(stream: u64, offset: u64, piece: &[u8]) -> bool {
    let start = start(stream, offset);
    &period()[start..start + piece.len()] == piece
}

fn start(stream: u64, offset: u64) -> usize {
    let period = u64::try_from(PERIOD).unwrap();
    usize::try_from((stream * 7919 + offset) % period).unwrap()
}

/// The bytes, compressed.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
