//! Content codings: how a body's bytes are packed, and looking into them within limits.
//!
//! Owns the names that the edge understands, the decoders and their caps, and the reading of line
//! one. Never packs anything, never repairs a stream, and never judges whether the upstream takes
//! a coding: bodies leave as they came, and the header that names their coding with them.

mod decoder;
mod peek;
mod stream;

pub use decoder::{DecodeError, DecodeLimits, Decoder, Progress, RATIO_FLOOR_BYTES};
pub use peek::{Looked, Peek, Sight};

/// How a body is packed, as `Content-Encoding` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// What HTTP calls deflate: zlib's wrapping (RFC 1950) around it, never the bare stream.
    Deflate,
    /// Brotli (RFC 7932), with windows of at most 16 MiB.
    Brotli,
    /// Zstandard (RFC 8878), with windows of at most 8 MiB (RFC 9659).
    Zstd,
}

/// A `Content-Encoding` that the edge does not understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("content-encoding is not one of gzip, deflate, br, zstd, identity")]
pub struct UnknownCoding;

impl Coding {
    /// Its name, as `Content-Encoding` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// The coding of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::of_header(Some(name.as_bytes())).ok()
    }

    /// Reads the value of `Content-Encoding`: exactly one name.
    ///
    /// An empty value and `UTF-8` are what two old SDKs write when they mean none. More is
    /// understood here than some upstreams accept (any case, `x-gzip`, blanks around): the edge
    /// reads the name to look inside, and whether it is a good one the upstream still judges.
    /// Lists are unknown, also lists of one coding and `identity`: no client sends them.
    pub fn of_header(value: Option<&[u8]>) -> Result<Self, UnknownCoding> {
        let name = value.unwrap_or_default().trim_ascii();
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if name.is_empty() || is("identity") || is("utf-8") {
            Ok(Self::Identity)
        } else if is("gzip") || is("x-gzip") {
            Ok(Self::Gzip)
        } else if is("deflate") {
            Ok(Self::Deflate)
        } else if is("br") {
            Ok(Self::Brotli)
        } else if is("zstd") {
            Ok(Self::Zstd)
        } else {
            Err(UnknownCoding)
        }
    }
}

#[cfg(test)]
mod tests;
