//! Owns the decoding of a body while it arrives, and the limit on what comes
//! out: memory stays flat whatever a body unpacks to. Never looks at the bytes.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::{Decompress, FlushDecompress, Status};

use super::intake::Intake;
use super::refused::Refused;
use super::scanner::Contents;

/// The most that a body may be, packed and unpacked: Sentry's own 200 MiB for
/// an envelope, and something to spare so that it is never us who refuse first.
pub(super) const BODY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What is unpacked in one step.
const STEP_BYTES: usize = 32 * 1024;

/// Takes a body as it arrives, chunk by chunk.
pub(super) enum Decoder {
    /// The bytes as they are.
    Identity(Capped),
    /// gzip, or zlib: what HTTP calls deflate.
    Inflate(Box<Inflate>, Capped),
    /// Brotli, the choice of sentry-sdk where it can.
    Brotli(Box<DecompressorWriter<Capped>>),
}

impl Decoder {
    /// A decoder for the value of `Content-Encoding`.
    ///
    /// Empty and `UTF-8` are what two old SDKs write when they mean none.
    pub(super) fn new(encoding: Option<&[u8]>, intake: Intake) -> Result<Self, Refused> {
        Self::with_limit(encoding, intake, BODY_BYTES_MAX)
    }

    fn with_limit(encoding: Option<&[u8]>, intake: Intake, left: u64) -> Result<Self, Refused> {
        let capped = Capped {
            intake,
            left,
            refused: None,
        };
        match encoding.unwrap_or_default() {
            b"" | b"identity" | b"UTF-8" => Ok(Self::Identity(capped)),
            b"gzip" => Ok(Self::Inflate(
                Box::new(Inflate::new(Decompress::new_gzip(15))),
                capped,
            )),
            b"deflate" => Ok(Self::Inflate(
                Box::new(Inflate::new(Decompress::new(true))),
                capped,
            )),
            b"br" => Ok(Self::Brotli(Box::new(DecompressorWriter::new(
                capped, STEP_BYTES,
            )))),
            _ => Err(Refused::Encoding),
        }
    }

    /// Reads on. After an error the decoder is of no further use.
    pub(super) fn write(&mut self, chunk: &[u8]) -> Result<(), Refused> {
        match self {
            Self::Identity(capped) => capped.take(chunk),
            Self::Inflate(inflate, capped) => inflate.write(chunk, capped),
            Self::Brotli(writer) => {
                let written = writer.write_all(chunk);
                written.map_err(|_| writer.get_mut().reason())
            }
        }
    }

    /// The body's end: what it held. A packed body that stops early is an error.
    pub(super) fn finish(self) -> Result<Contents, Refused> {
        match self {
            Self::Identity(capped) => capped.intake.finish(),
            Self::Inflate(inflate, capped) if inflate.ended => capped.intake.finish(),
            Self::Inflate(..) => Err(Refused::BadCompression),
            Self::Brotli(writer) => match writer.into_inner() {
                Ok(capped) => capped.intake.finish(),
                Err(mut capped) => Err(capped.reason()),
            },
        }
    }
}

/// What receives the unpacked bytes, up to a limit.
#[derive(Debug)]
pub(super) struct Capped {
    intake: Intake,
    left: u64,
    refused: Option<Refused>,
}

impl Capped {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.left = self
            .left
            .checked_sub(length)
            .ok_or(Refused::TooLarge("the body"))?;
        self.intake.write(bytes)
    }

    /// Why writing stopped: our own reason if there was one, else the stream's.
    fn reason(&mut self) -> Refused {
        self.refused.take().unwrap_or(Refused::BadCompression)
    }
}

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.take(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(refused) => {
                self.refused = Some(refused);
                Err(io::Error::other(refused))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Inflation under our own loop: flate2's writer does not say that a zlib
/// stream stopped before its end.
pub(super) struct Inflate {
    stream: Decompress,
    out: Vec<u8>,
    ended: bool,
}

impl Inflate {
    fn new(stream: Decompress) -> Self {
        Self {
            stream,
            out: vec![0; STEP_BYTES],
            ended: false,
        }
    }

    fn write(&mut self, chunk: &[u8], capped: &mut Capped) -> Result<(), Refused> {
        let mut unread = chunk;
        loop {
            if self.ended {
                return if unread.is_empty() {
                    Ok(())
                } else {
                    Err(Refused::BadCompression)
                };
            }
            let (read_before, made_before) = (self.stream.total_in(), self.stream.total_out());
            let status = self
                .stream
                .decompress(unread, &mut self.out, FlushDecompress::None)
                .map_err(|_| Refused::BadCompression)?;
            let read = place(self.stream.total_in() - read_before);
            let made = place(self.stream.total_out() - made_before);
            capped.take(self.out.get(..made).unwrap_or_default())?;
            unread = unread.get(read..).unwrap_or_default();
            self.ended = matches!(status, Status::StreamEnd);
            if read == 0 && made == 0 && !self.ended {
                return if unread.is_empty() {
                    Ok(())
                } else {
                    Err(Refused::BadCompression)
                };
            }
        }
    }
}

/// What one step read or made is at most a buffer's length.
fn place(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
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
