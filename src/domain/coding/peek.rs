//! Line one of a body, packed or not.
//!
//! Owns how far it is looked for. Never reads what the line says, and decodes no more than it
//! must: the rest of the body can be had from the same decoder, or be left packed.

use super::decoder::{DecodeError, Decoder};

/// What is decoded in one go. Line one is a few hundred bytes as a rule.
const STEP_BYTES: usize = 2 * 1024;

/// Looks for line one in a body that arrives in chunks.
///
/// Holds what was decoded so far, at most `line_bytes_max` and one more byte; so a look at a chunk
/// costs at most reading the chunk and writing that line, and yielding between chunks is enough.
pub struct Peek {
    decoder: Decoder,
    seen: Vec<u8>,
    line_bytes_max: usize,
    line_feed: Option<usize>,
}

/// What a look at one chunk gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// How much of the chunk is used up: where the decoder goes on, if it is to.
    pub read: usize,
    /// Whether the line is there.
    pub sight: Sight,
}

/// Where the search for line one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Its line feed was seen; no further chunk is needed.
    Line,
    /// The chunk is used up without one. If the body ends here, all of it is line one.
    Unended,
    /// It is longer than it may be; no further chunk helps.
    TooLong,
}

impl Peek {
    /// A search from where `decoder` stands, for a line of at most `line_bytes_max` bytes without
    /// its line feed.
    pub fn new(decoder: Decoder, line_bytes_max: usize) -> Self {
        Self {
            decoder,
            seen: Vec::new(),
            line_bytes_max,
            line_feed: None,
        }
    }

    /// Looks on in the body's next chunk, up to the line's end and little further.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Looked, DecodeError> {
        let mut read = 0;
        // Each round reads or writes something, and what is written is bounded.
        loop {
            let sight = self.sight();
            let rest = chunk.get(read..).unwrap_or_default();
            if sight != Sight::Unended {
                return Ok(Looked { read, sight });
            }
            let before = self.seen.len();
            let room = self.line_bytes_max.saturating_add(1) - before;
            self.seen.resize(before + room.min(STEP_BYTES), 0);
            let fresh = self.seen.get_mut(before..).unwrap_or_default();
            let progress = self.decoder.push(rest, fresh)?;
            self.seen.truncate(before + progress.written);
            let fresh = self.seen.get(before..).unwrap_or_default();
            self.line_feed = memchr::memchr(b'\n', fresh).map(|at| before + at);
            read += progress.read;
            if !progress.more {
                let sight = self.sight();
                return Ok(Looked { read, sight });
            }
        }
    }

    /// Whether the body may end where the search stands, all of it being here.
    pub fn finish(&self) -> Result<(), DecodeError> {
        self.decoder.finish()
    }

    /// Line one without its line feed; without one in sight, all that was decoded.
    pub fn line(&self) -> &[u8] {
        let end = self.line_feed.unwrap_or(self.seen.len());
        self.seen.get(..end).unwrap_or_default()
    }

    /// The decoder, to go on with, and all that it has given: the line, its line feed, and what
    /// came out with them.
    pub fn into_parts(self) -> (Decoder, Vec<u8>) {
        (self.decoder, self.seen)
    }

    fn sight(&self) -> Sight {
        match self.line_feed {
            Some(_) => Sight::Line,
            None if self.seen.len() > self.line_bytes_max => Sight::TooLong,
            None => Sight::Unended,
        }
    }
}
