//! The decoder that the edge's loops drive: a chunk in, at most a slice out, then a turn for others.
//!
//! Owns the caps, and where a stream may end. Never holds unpacked bytes: they go into the caller's
//! slice, so memory stays flat whatever a body unpacks to.

use super::Coding;
use super::stream::Stream;

/// What a body may unpack to before its ratio is looked at.
///
/// Small bodies pack well for honest reasons: a page of blanks, a stack that repeats. So little
/// harms nobody, and a ratio measured on a few bytes says nothing.
pub const RATIO_FLOOR_BYTES: u64 = 1024 * 1024;

/// How much packed input one push may use up. What comes out is capped by the caller's slice; this
/// caps the work on input that makes no output: empty blocks, tables, frames to be skipped.
const INPUT_BYTES_MAX: usize = 16 * 1024;

/// How many parts one body may have: members of gzip, frames of zstd. Clients write one; tools that
/// append, or that pack blocks side by side, write more. A new part takes a dozen bytes and costs
/// microseconds, so without a limit a body would buy far more work than it is long.
const PARTS_MAX: u32 = 1024;

/// How far a body may unpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The most bytes that may come out (`limits.decoded_bytes`).
    pub decoded_bytes: u64,
    /// The most bytes that may come out for each that went in (`limits.decode_ratio`); counts once
    /// more than [`RATIO_FLOOR_BYTES`] came out.
    pub ratio: u64,
}

/// Why a body does not unpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not a stream of its coding, or one that goes on after its end.
    #[error("body is not in the coding it names")]
    Broken,
    /// It unpacks to too many times its length.
    #[error("body unpacks to too many times its length")]
    Bomb,
    /// It unpacks to more than the limit.
    #[error("body is too large once unpacked")]
    TooLarge,
    /// It stopped before its end.
    #[error("body ends inside its coding")]
    Truncated,
}

/// What one push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// How much of the input is used up; the rest is to be offered again.
    pub read: usize,
    /// How much of the slice is filled, from its beginning.
    pub written: usize,
    /// Whether to push again before the next chunk, with what is left of this one (perhaps
    /// nothing). It may turn out that no byte was pending; without it everything was read and given.
    pub more: bool,
}

/// Unpacks one body as it arrives.
///
/// Dropping it frees what its stream allocated, up to 16 MiB for brotli: their number at one time
/// is for the caller to bound. The first error is final; what follows one means nothing.
pub struct Decoder {
    stream: Stream,
    limits: DecodeLimits,
    read_bytes: u64,
    made_bytes: u64,
    parts_left: u32,
    /// The last part ended; nothing of another has come.
    between_parts: bool,
    /// The last slice was filled: the stream may hold more that did not fit.
    filled: bool,
}

impl Decoder {
    /// A decoder at the beginning of a body.
    pub fn new(coding: Coding, limits: DecodeLimits) -> Self {
        Self {
            stream: Stream::of(coding),
            limits,
            read_bytes: 0,
            made_bytes: 0,
            parts_left: PARTS_MAX - 1,
            between_parts: false,
            filled: false,
        }
    }

    /// Unpacks some of `input` into `out`: a bounded piece of work, after which others can have
    /// their turn.
    ///
    /// Ends when `out` is full, at 16 KiB of input, or at the end of a part. An empty `out` makes
    /// no progress and says that there is more. Identity is copied like the rest: whoever can read
    /// the chunks themselves should.
    ///
    /// gzip members and zstd frames that follow one another are one body, as their formats say: a
    /// reader that stops after the first would not see what another reads. Anything else after the
    /// end is [`DecodeError::Broken`].
    ///
    /// On an error the slice may hold bytes that nobody counted: leave them.
    pub fn push(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, DecodeError> {
        let offered = input.get(..INPUT_BYTES_MAX).unwrap_or(input);
        if out.is_empty() {
            return Ok(Progress {
                more: self.filled || !input.is_empty(),
                ..Progress::default()
            });
        }
        match offered.first() {
            None if !self.filled => return Ok(Progress::default()),
            Some(first) if self.between_parts => self.begin_part(*first)?,
            None | Some(_) => {}
        }
        let step = self.stream.step(offered, out).ok_or(DecodeError::Broken)?;
        let stuck = step.read == 0 && step.written == 0 && !step.ended;
        if stuck && !offered.is_empty() {
            return Err(DecodeError::Broken);
        }
        self.count(step.read, step.written)?;
        self.between_parts = step.ended;
        self.filled = step.written == out.len() && !step.ended;
        Ok(Progress {
            read: step.read,
            written: step.written,
            more: self.filled || step.read < input.len(),
        })
    }

    /// Whether the body may end here, once all of it was pushed and nothing more was pending.
    ///
    /// A packed body of no bytes is truncated too.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.between_parts || matches!(self.stream, Stream::Identity) {
            Ok(())
        } else {
            Err(DecodeError::Truncated)
        }
    }

    /// How many bytes came out so far.
    pub const fn decoded_bytes(&self) -> u64 {
        self.made_bytes
    }

    /// How many more may come out.
    pub const fn left_bytes_max(&self) -> u64 {
        self.limits.decoded_bytes.saturating_sub(self.made_bytes)
    }

    fn begin_part(&mut self, first: u8) -> Result<(), DecodeError> {
        let left = self.parts_left.checked_sub(1).ok_or(DecodeError::Broken)?;
        self.stream
            .begin_another(first)
            .ok_or(DecodeError::Broken)?;
        self.parts_left = left;
        self.between_parts = false;
        Ok(())
    }

    /// The ratio is that of what was read so far, the only one that stops a body before it has
    /// done its harm: one that begins with megabytes of nothing is refused though it might have
    /// gone on denser.
    fn count(&mut self, read: usize, written: usize) -> Result<(), DecodeError> {
        let bytes = |length| u64::try_from(length).unwrap_or(u64::MAX);
        self.read_bytes = self.read_bytes.saturating_add(bytes(read));
        self.made_bytes = self.made_bytes.saturating_add(bytes(written));
        if self.made_bytes > self.limits.decoded_bytes {
            return Err(DecodeError::TooLarge);
        }
        let fair = self.read_bytes.saturating_mul(self.limits.ratio);
        if self.made_bytes > RATIO_FLOOR_BYTES && self.made_bytes > fair {
            return Err(DecodeError::Bomb);
        }
        Ok(())
    }
}
