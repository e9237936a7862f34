//! Where an answer's body ends (RFC 9112, sections 6.3 and 7.1): told by a length, by
//! chunks, or by the connection's end. Takes the payload out of what was read, as
//! slices of it. Never reads by itself, and never guesses: what two readers could
//! understand differently is a fault.

use bytes::{Buf as _, Bytes, BytesMut};

#[cfg(test)]
mod tests;

/// The longest line between chunks: a size with its extensions, or a trailer.
/// Nobody is known to send more than a few dozen bytes.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// All trailers of an answer together.
const TRAILERS_BYTES_MAX: usize = 16 * 1024;

/// Why an answer cannot be read to its end. Its connection is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// Bytes that are no answer of HTTP/1.
    #[error("the upstream's answer is not HTTP/1")]
    Nonsense,
    /// More head than the limit allows.
    #[error("the head of the upstream's answer is over its limit")]
    TooLong,
    /// A head whose framing can be read in two ways, or in none.
    #[error("the framing of the upstream's answer is ambiguous")]
    Ambiguous,
    /// A protocol that nobody asked for.
    #[error("the upstream switches to another protocol")]
    Switch,
    /// Chunks that are none.
    #[error("the chunks of the upstream's answer cannot be read")]
    Chunks,
    /// The connection's end before the answer's.
    #[error("the upstream's answer was cut short")]
    Cut,
    /// Silence for the upstream's whole timeout.
    #[error("the upstream fell silent amid its answer")]
    Silent,
}

/// What of an answer's body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Nothing.
    Over,
    /// So many bytes, never 0.
    Length(u64),
    /// All that comes before the connection ends.
    UntilClose,
    /// Chunks, from this place on.
    Chunks(Place),
}

/// A place in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before a chunk's size.
    Size,
    /// Amid a chunk, so many bytes before its end.
    Chunk(u64),
    /// Before the line end that follows a chunk.
    ChunkEnd,
    /// Behind the last chunk and so many bytes of trailers.
    Trailers(usize),
}

/// The next step of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Payload; never empty.
    Chunk(Bytes),
    /// The body is over.
    End,
    /// Nothing without more bytes.
    More,
}

impl Framing {
    /// A body of so many bytes.
    pub(crate) fn of_length(bytes: u64) -> Self {
        match bytes {
            0 => Self::Over,
            bytes => Self::Length(bytes),
        }
    }

    /// Takes the next payload out of what was read. What lies behind the body's
    /// end stays there.
    pub(crate) fn take(&mut self, read: &mut BytesMut) -> Result<Step, Fault> {
        loop {
            match *self {
                Self::Over => return Ok(Step::End),
                _ if read.is_empty() => return Ok(Step::More),
                Self::UntilClose => return Ok(Step::Chunk(read.split().freeze())),
                Self::Length(left) => {
                    let (chunk, left) = split(read, left);
                    *self = Self::of_length(left);
                    return Ok(Step::Chunk(chunk));
                }
                Self::Chunks(Place::Chunk(left)) => {
                    let (chunk, left) = split(read, left);
                    *self = Self::Chunks(match left {
                        0 => Place::ChunkEnd,
                        left => Place::Chunk(left),
                    });
                    return Ok(Step::Chunk(chunk));
                }
                Self::Chunks(place) => match between(place, read)? {
                    Some(next) => *self = next,
                    None => return Ok(Step::More),
                },
            }
        }
    }

    /// The connection has ended: for some bodies that is their end.
    pub(crate) fn close(&mut self) -> Result<(), Fault> {
        match self {
            Self::Over | Self::UntilClose => {
                *self = Self::Over;
                Ok(())
            }
            Self::Length(_) | Self::Chunks(_) => Err(Fault::Cut),
        }
    }

    /// The bytes to come, where that is known.
    pub(crate) fn length(self) -> Option<u64> {
        match self {
            Self::Over => Some(0),
            Self::Length(bytes) => Some(bytes),
            Self::UntilClose | Self::Chunks(_) => None,
        }
    }
}

/// Up to `left` bytes, and how many are left then.
fn split(read: &mut BytesMut, left: u64) -> (Bytes, u64) {
    let here = usize::try_from(left).unwrap_or(usize::MAX).min(read.len());
    let chunk = read.split_to(here).freeze();
    let n = u64::try_from(here).unwrap_or(u64::MAX);
    (chunk, left.saturating_sub(n))
}

/// Reads one line of what stands between chunks; `None` until it is here in full.
fn between(place: Place, read: &mut BytesMut) -> Result<Option<Framing>, Fault> {
    let Some(end) = memchr::memchr(b'\n', read) else {
        return match read.len() > LINE_BYTES_MAX {
            true => Err(Fault::Chunks),
            false => Ok(None),
        };
    };
    let line = read.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.ok_or(Fault::Chunks)?;
    if line.len() > LINE_BYTES_MAX || memchr::memchr(b'\r', line).is_some() {
        return Err(Fault::Chunks);
    }
    let next = match place {
        Place::Size => match size(line)? {
            0 => Framing::Chunks(Place::Trailers(0)),
            bytes => Framing::Chunks(Place::Chunk(bytes)),
        },
        Place::ChunkEnd if line.is_empty() => Framing::Chunks(Place::Size),
        Place::ChunkEnd | Place::Chunk(_) => return Err(Fault::Chunks),
        Place::Trailers(_) if line.is_empty() => Framing::Over,
        // Nobody asked for trailers, so nobody gets them.
        Place::Trailers(before) => match before + line.len() {
            bytes if bytes > TRAILERS_BYTES_MAX => return Err(Fault::Chunks),
            bytes => Framing::Chunks(Place::Trailers(bytes)),
        },
    };
    read.advance(end + 1);
    Ok(Some(next))
}

/// A chunk's size: hexadecimal digits, then nothing or extensions, which are for
/// whoever invented them.
fn size(line: &[u8]) -> Result<u64, Fault> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit());
    let (digits, behind) = line.split_at(end.unwrap_or(line.len()));
    let behind = match behind.iter().position(|byte| !matches!(byte, b' ' | b'\t')) {
        Some(blanks) => behind.get(blanks..).unwrap_or_default(),
        None => b"",
    };
    if digits.is_empty() || digits.len() > 16 || !behind.is_empty() && !behind.starts_with(b";") {
        return Err(Fault::Chunks);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| Fault::Chunks)?;
    u64::from_str_radix(digits, 16).map_err(|_| Fault::Chunks)
}
