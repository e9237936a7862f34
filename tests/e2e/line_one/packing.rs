//! How clients pack their bodies, spelled out by libraries that the edge's own
//! decoders have never met: what one packs the other must unpack. Never unpacks.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Packing {
    /// All of them, the plain one first.
    pub(crate) const ALL: [Self; 5] = [
        Self::Plain,
        Self::Gzip,
        Self::Deflate,
        Self::Brotli,
        Self::Zstd,
    ];

    /// The headers that name it.
    pub(crate) fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Plain => &[],
            Self::Gzip => &[("Content-Encoding", "gzip")],
            Self::Deflate => &[("Content-Encoding", "deflate")],
            Self::Brotli => &[("Content-Encoding", "br")],
            Self::Zstd => &[("Content-Encoding", "zstd")],
        }
    }

    /// The bytes, packed.
    pub(crate) fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => bytes.to_vec(),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Self::Brotli => brotli_stored(bytes),
            Self::Zstd => zstd::bulk::compress(bytes, 1).unwrap(),
        }
    }
}

/// A brotli stream that packs nothing: a window of 4 MiB, then meta-blocks of up
/// to 64 KiB as they are, then an empty last one (RFC 7932, sections 9.1 and 9.2).
/// No encoder is among this project's crates, and a decoder cannot tell.
fn brotli_stored(bytes: &[u8]) -> Vec<u8> {
    const WINDOW: u32 = 0b1011;
    let mut packed = Vec::with_capacity(bytes.len() + bytes.len() / 8192 + 8);
    for (number, block) in bytes.chunks(1 << 16).enumerate() {
        // Not the last, four nibbles of length, the length less one, not compressed.
        let length = u32::try_from(block.len() - 1).unwrap();
        let head = length << 3 | 1 << 19;
        // The window's four bits stand before the first block's twenty; later
        // blocks' twenty are filled up to a whole byte.
        let head = match number {
            0 => WINDOW | head << 4,
            _ => head,
        };
        packed.extend_from_slice(&head.to_le_bytes()[..3]);
        packed.extend_from_slice(block);
    }
    packed.push(0b11);
    packed
}
