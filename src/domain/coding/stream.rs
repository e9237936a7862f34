//! One step of one packed stream, whatever its coding.
//!
//! Owns the libraries and the memory each may take: 32 KiB of window for gzip and deflate, 16 MiB
//! for brotli and 8 MiB for zstd, allocated as a stream asks for them. Never counts what comes out.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as ZstdContext, Operation as _};

use super::Coding;

/// The window of gzip at its largest, as a power of two.
const GZIP_WINDOW_LOG: u8 = 15;

/// The window of zstd at its largest, as a power of two: what RFC 9659 allows in HTTP. The format
/// goes up to 2 GiB, which a frame of twenty bytes could demand.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Every member of a gzip file begins with this byte.
const GZIP_FIRST_BYTE: u8 = 0x1f;

/// A stream being unpacked.
pub(super) enum Stream {
    Identity,
    Gzip(Decompress),
    Deflate(Decompress),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(ZstdContext<'static>),
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// How much of the input is used up.
    pub(super) read: usize,
    /// How much of the output is filled.
    pub(super) written: usize,
    /// Whether a part of the stream ended here, all of it written.
    pub(super) ended: bool,
}

impl Stream {
    pub(super) fn of(coding: Coding) -> Self {
        match coding {
            Coding::Identity => Self::Identity,
            Coding::Gzip => Self::Gzip(Decompress::new_gzip(GZIP_WINDOW_LOG)),
            Coding::Deflate => Self::Deflate(Decompress::new(true)),
            Coding::Brotli => Self::Brotli(Box::new(BrotliState::new_strict(
                StandardAlloc::default(),
                StandardAlloc::default(),
                StandardAlloc::default(),
            ))),
            Coding::Zstd => {
                let mut context = ZstdContext::new().expect("a context without dictionary");
                context
                    .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))
                    .expect("a window within the library's bounds");
                Self::Zstd(context)
            }
        }
    }

    /// Unpacks until `input` is used up, `out` is full or a part ends. `None`: the stream is broken.
    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Option<Step> {
        match self {
            Self::Identity => {
                let length = input.len().min(out.len());
                out.get_mut(..length)?.copy_from_slice(input.get(..length)?);
                Some(Step {
                    read: length,
                    written: length,
                    ended: false,
                })
            }
            Self::Gzip(inflate) | Self::Deflate(inflate) => {
                let (read_before, made_before) = (inflate.total_in(), inflate.total_out());
                let status = inflate.decompress(input, out, FlushDecompress::None).ok()?;
                Some(Step {
                    read: usize::try_from(inflate.total_in() - read_before).ok()?,
                    written: usize::try_from(inflate.total_out() - made_before).ok()?,
                    ended: matches!(status, Status::StreamEnd),
                })
            }
            Self::Brotli(state) => unbrotli(state, input, out),
            Self::Zstd(context) => {
                let status = context.run_on_buffers(input, out).ok()?;
                Some(Step {
                    read: status.bytes_read,
                    written: status.bytes_written,
                    ended: status.remaining == 0,
                })
            }
        }
    }

    /// Makes ready for another part that begins with `first`. `None`: the coding knows no such part.
    pub(super) fn begin_another(&mut self, first: u8) -> Option<()> {
        match self {
            Self::Identity | Self::Deflate(_) | Self::Brotli(_) => None,
            Self::Gzip(_) if first != GZIP_FIRST_BYTE => None,
            Self::Gzip(inflate) => {
                // Its own reset would forget that this is gzip.
                *inflate = Decompress::new_gzip(GZIP_WINDOW_LOG);
                Some(())
            }
            // The library goes on to the next frame by itself, and looks at its first bytes.
            Self::Zstd(_) => Some(()),
        }
    }
}

fn unbrotli(
    state: &mut BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    input: &[u8],
    out: &mut [u8],
) -> Option<Step> {
    let (mut left, mut read) = (input.len(), 0);
    let (mut room, mut written) = (out.len(), 0);
    let mut total = 0;
    let result = BrotliDecompressStream(
        &mut left,
        &mut read,
        input,
        &mut room,
        &mut written,
        out,
        &mut total,
        state,
    );
    let ended = match result {
        BrotliResult::ResultSuccess => true,
        BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => false,
        BrotliResult::ResultFailure => return None,
    };
    Some(Step {
        read,
        written,
        ended,
    })
}
