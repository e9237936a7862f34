//! Owns which encodings the stand-in takes, and the way of a body through the
//! decoder into its intake, with the limit on what comes out: memory stays flat
//! whatever a body unpacks to. Never looks at the bytes.

use crate::domain::coding::{self, Coding, DecodeError, DecodeLimits};

use super::intake::Intake;
use super::refused::Refused;
use super::scanner::Contents;

/// The most that a body may be, packed and unpacked: Sentry's own 200 MiB for
/// an envelope, and something to spare so that it is never us who refuse first.
pub(super) const BODY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What is unpacked in one step.
const STEP_BYTES: usize = 32 * 1024;

/// Takes a body as it arrives, chunk by chunk.
pub(super) struct Decoder {
    decoder: coding::Decoder,
    intake: Intake,
    slice: Vec<u8>,
}

impl Decoder {
    /// A decoder for the value of `Content-Encoding`.
    ///
    /// Empty and `UTF-8` are what two old SDKs write when they mean none.
    pub(super) fn new(encoding: Option<&[u8]>, intake: Intake) -> Result<Self, Refused> {
        Self::with_limit(encoding, intake, BODY_BYTES_MAX)
    }

    fn with_limit(
        encoding: Option<&[u8]>,
        intake: Intake,
        decoded_bytes: u64,
    ) -> Result<Self, Refused> {
        // Byte for byte and without zstd, as the strictest Sentry in use has it:
        // what the edge understands beyond that must not seem to pass here.
        let coding = match encoding.unwrap_or_default() {
            b"" | b"identity" | b"UTF-8" => Coding::Identity,
            b"gzip" => Coding::Gzip,
            b"deflate" => Coding::Deflate,
            b"br" => Coding::Brotli,
            _ => return Err(Refused::Encoding),
        };
        let limits = DecodeLimits {
            decoded_bytes,
            // The limit is enough for a stand-in, which takes a bomb of any ratio up to there.
            ratio: u64::MAX,
        };
        Ok(Self {
            decoder: coding::Decoder::new(coding, limits),
            intake,
            slice: vec![0; STEP_BYTES],
        })
    }

    /// Reads on. After an error the decoder is of no further use.
    pub(super) fn write(&mut self, chunk: &[u8]) -> Result<(), Refused> {
        let mut unread = chunk;
        loop {
            let progress = self
                .decoder
                .push(unread, &mut self.slice)
                .map_err(refused)?;
            self.intake
                .write(self.slice.get(..progress.written).unwrap_or_default())?;
            unread = unread.get(progress.read..).unwrap_or_default();
            if !progress.more {
                return Ok(());
            }
        }
    }

    /// The body's end: what it held. A packed body that stops early is an error.
    pub(super) fn finish(self) -> Result<Contents, Refused> {
        self.decoder.finish().map_err(refused)?;
        self.intake.finish()
    }
}

fn refused(error: DecodeError) -> Refused {
    match error {
        DecodeError::Broken | DecodeError::Truncated => Refused::BadCompression,
        DecodeError::Bomb | DecodeError::TooLarge => Refused::TooLarge("the body"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use crate::domain::endpoint::Endpoint;

    use super::*;

    const ENVELOPE: &[u8] =
        b"{}\n{\"type\":\"attachment\",\"length\":4}\n\n\x00\n\n\n{\"type\":\"event\"}\n{}";
    const LENGTH: u64 = 60;

    /// `ENVELOPE` as brotli's encoder writes it: its whole in one uncompressed
    /// metablock (RFC 7932, section 9.2) and the empty last one.
    fn brotli(body: &[u8]) -> Vec<u8> {
        // Window 16 bits: one 0 bit. ISLAST 0, MNIBBLES 4: 0 00. MLEN-1 in 16
        // bits, ISUNCOMPRESSED 1, then bytes from the next whole byte on.
        let length_less_1 = u32::try_from(body.len() - 1).expect("a short body");
        let bits: u32 = length_less_1 << 4 | 1 << 20;
        let mut packed = bits.to_le_bytes().get(..3).expect("three of four").to_vec();
        packed.extend_from_slice(body);
        packed.push(0b11);
        packed
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).expect("writing to memory");
        encoder.finish().expect("writing to memory")
    }

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).expect("writing to memory");
        encoder.finish().expect("writing to memory")
    }

    fn decode(
        encoding: &str,
        body: &[u8],
        limit: u64,
        chunk_bytes: usize,
    ) -> Result<usize, Refused> {
        let intake = Intake::of(Endpoint::Envelope, None).expect("an endpoint here");
        let mut decoder = Decoder::with_limit(Some(encoding.as_bytes()), intake, limit)?;
        for chunk in body.chunks(chunk_bytes) {
            decoder.write(chunk)?;
        }
        decoder.finish().map(|contents| contents.items.len())
    }

    #[track_caller]
    fn check(encoding: &str, body: &[u8], limit: u64, want: Result<usize, Refused>) {
        assert_eq!(
            decode(encoding, body, limit, usize::MAX),
            want,
            "{encoding}, whole"
        );
        assert_eq!(
            decode(encoding, body, limit, 1),
            want,
            "{encoding}, byte by byte"
        );
    }

    #[test]
    fn every_encoding_of_the_protocol_is_read() {
        for (encoding, body) in [
            ("", ENVELOPE.to_vec()),
            ("identity", ENVELOPE.to_vec()),
            ("UTF-8", ENVELOPE.to_vec()),
            ("gzip", gzip(ENVELOPE)),
            ("deflate", zlib(ENVELOPE)),
            ("br", brotli(ENVELOPE)),
        ] {
            check(encoding, &body, 1000, Ok(2));
        }
    }

    #[test]
    fn other_encodings_are_refused_by_name() {
        for encoding in ["zstd", "GZIP", "x-gzip", "gzip, br", "gzip,gzip"] {
            check(encoding, ENVELOPE, 1000, Err(Refused::Encoding));
        }
    }

    #[test]
    fn the_limit_itself_still_passes_in_every_encoding() {
        assert_eq!(u64::try_from(ENVELOPE.len()), Ok(LENGTH));
        for (encoding, body) in [
            ("identity", ENVELOPE.to_vec()),
            ("gzip", gzip(ENVELOPE)),
            ("deflate", zlib(ENVELOPE)),
            ("br", brotli(ENVELOPE)),
        ] {
            check(encoding, &body, LENGTH, Ok(2));
            check(
                encoding,
                &body,
                LENGTH - 1,
                Err(Refused::TooLarge("the body")),
            );
        }
    }

    #[test]
    fn a_stream_that_stops_early_or_goes_on_too_long_is_broken() {
        for (encoding, body) in [
            ("gzip", gzip(ENVELOPE)),
            ("deflate", zlib(ENVELOPE)),
            ("br", brotli(ENVELOPE)),
        ] {
            for cut in 1..4 {
                let short = body.get(..body.len() - cut).expect("longer than that");
                check(encoding, short, 1000, Err(Refused::BadCompression));
            }
            check(
                encoding,
                &[&*body, b"x"].concat(),
                1000,
                Err(Refused::BadCompression),
            );
            check(encoding, ENVELOPE, 1000, Err(Refused::BadCompression));
            check(encoding, b"", 1000, Err(Refused::BadCompression));
        }
    }

    #[test]
    fn what_is_wrong_inside_is_said_as_such() {
        let short = b"{}\n{\"type\":\"a\",\"length\":9}\n1";
        let want = Err(Refused::Malformed("an item is shorter than its length"));
        check("gzip", &gzip(short), 1000, want);
        let long = b"{}\n{\"type\":\"a\",\"length\":1}\n123";
        let want = Err(Refused::Malformed("an item is longer than its length"));
        check("gzip", &gzip(long), 1000, want);
        check("br", &brotli(long), 1000, want);
    }

    #[test]
    fn a_bomb_goes_no_further_than_the_limit() {
        let mut zeros = b"{}\n{\"type\":\"a\"}\n".to_vec();
        zeros.resize(8 << 20, b'0');
        let limit = 1 << 20;
        let want = Err(Refused::TooLarge("the body"));
        assert_eq!(decode("gzip", &gzip(&zeros), limit, usize::MAX), want);
        assert_eq!(decode("deflate", &zlib(&zeros), limit, usize::MAX), want);
    }
}
