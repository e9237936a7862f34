//! The first line of an envelope, looked at before anything is passed on: which
//! DSN it names, and whether it holds fields that only a Relay may write. Never
//! looks behind the line, and leaves every other byte as it came.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::Bytes;

use crate::domain::coding::{Coding, DecodeError, DecodeLimits, Decoder, Peek, Sight};
use crate::domain::dsn_map::DsnMap;
use crate::domain::envelope::cleaned;
use crate::domain::envelope::moved::moved;

use crate::server::client::stream::Stream;
use crate::server::delivery::body::Outgoing;
use crate::server::ingest::inflating::{Inflating, Place};
use crate::server::ingest::unpacked::Unpacked;

/// How long line one may be, decoded: several kilobytes are seen in practice, and
/// no protocol limit exists.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Why there is no line to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoLine {
    /// It does not end within what is read for it.
    TooLong,
    /// The body does not decode.
    Coding(DecodeError),
}

/// How much of a body is waited for before line one is looked for; a packed one
/// that has not shown it by then never will. zstd shows nothing of a block before
/// all of it is there, 128 KiB at most (RFC 8878, section 3.1.1.2.4), and a line as
/// long as is allowed may not pack at all.
pub(crate) const WAITED_FOR_BYTES: u64 = 160 * 1024;

/// How line one must be rewritten before it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// It has fields that only a Relay may write.
    pub forged: bool,
    /// It names a DSN that leads elsewhere.
    pub moved: bool,
}

impl Change {
    /// Whether it must be.
    pub(crate) const fn is_due(self) -> bool {
        self.forged || self.moved
    }

    /// The line as it is to leave. `None`: it is no header.
    fn made(self, line: &[u8], moves: &DsnMap) -> Option<Vec<u8>> {
        let cleaned = match self.forged {
            true => cleaned::without_forged(line)?,
            false => line.to_vec(),
        };
        Some(match self.moved {
            true => moved(&cleaned, moves).unwrap_or(cleaned),
            false => cleaned,
        })
    }
}

/// Line one of a body, found.
pub(crate) enum LineOne {
    /// In the chunks themselves, so many bytes without its end.
    Plain(usize),
    /// Behind a coding. No decoder lives longer than the look, but for a body
    /// that has to be changed.
    Packed {
        /// The decoder, and what it has given.
        peek: Box<Peek>,
        /// How many chunks it was given.
        given: usize,
        /// What is left of the last of them.
        left: Bytes,
    },
}

impl LineOne {
    /// Looks for the line in a body as far as it is here.
    pub(crate) fn find(
        begun: &Begun,
        coding: Coding,
        limits: DecodeLimits,
    ) -> Result<Self, NoLine> {
        if coding == Coding::Identity {
            let line = line_of(&begun.chunks);
            let ends = begun.rest.is_none() || has_line_feed(&begun.chunks);
            return match ends && line.len() <= LINE_BYTES_MAX {
                true => Ok(Self::Plain(line.len())),
                false => Err(NoLine::TooLong),
            };
        }
        let mut peek = Box::new(Peek::new(Decoder::new(coding, limits), LINE_BYTES_MAX));
        for (given, chunk) in (1..).zip(&begun.chunks) {
            let looked = peek.push(chunk).map_err(NoLine::Coding)?;
            match looked.sight {
                Sight::Line => {
                    let left = chunk.slice(looked.read..);
                    return Ok(Self::Packed { peek, given, left });
                }
                Sight::TooLong => return Err(NoLine::TooLong),
                Sight::Unended => {}
            }
        }
        match begun.rest {
            Some(_) => Err(NoLine::TooLong),
            // The body ends without a line feed: all of it is the line, if all is there.
            None => {
                peek.finish().map_err(NoLine::Coding)?;
                Ok(Self::Packed {
                    peek,
                    given: begun.chunks.len(),
                    left: Bytes::new(),
                })
            }
        }
    }

    /// The line without its end. Copied only where it lies across chunks.
    pub(crate) fn text<'l>(&'l self, chunks: &'l VecDeque<Bytes>) -> Cow<'l, [u8]> {
        match self {
            Self::Packed { peek, .. } => Cow::Borrowed(peek.line()),
            Self::Plain(bytes) => match chunks.front().and_then(|first| first.get(..*bytes)) {
                Some(line) => Cow::Borrowed(line),
                None => line_of(chunks),
            },
        }
    }

    /// Whether the body has to be unpacked for a change in it.
    pub(crate) fn is_packed(&self) -> bool {
        matches!(self, Self::Packed { .. })
    }

    /// The line as it is to leave, without its end, and the body behind it, which begins
    /// with that end. A packed body leaves unpacked, and holds `place` that long. `None`: the
    /// line is no header.
    pub(crate) fn part(
        self,
        begun: Begun,
        (change, moves): (Change, &DsnMap),
        place: Option<Place>,
    ) -> Option<(Bytes, Unpacked)> {
        let line = match change.is_due() {
            true => Some(change.made(&self.text(&begun.chunks), moves)?),
            false => None,
        };
        Some(self.part_with(begun, line.map(Bytes::from), place))
    }

    /// The same with another line in its place, if there is one.
    pub(crate) fn part_with(
        self,
        begun: Begun,
        line: Option<Bytes>,
        place: Option<Place>,
    ) -> (Bytes, Unpacked) {
        let line_bytes = self.text(&begun.chunks).len();
        let Begun { chunks, rest, .. } = begun;
        match self {
            Self::Plain(_) => {
                let (first, chunks) = split(chunks, line_bytes);
                (line.unwrap_or(first), Unpacked::Plain { chunks, rest })
            }
            Self::Packed { peek, given, left } => {
                let (decoder, decoded) = peek.into_parts();
                let decoded = Bytes::from(decoded);
                let first = line.unwrap_or_else(|| decoded.slice(..line_bytes));
                let ahead = VecDeque::from([decoded.slice(line_bytes..)]);
                let mut packed: VecDeque<Bytes> = chunks.into_iter().skip(given).collect();
                packed.push_front(left);
                let inflating = Inflating::new(place, decoder, ahead, packed, rest);
                (first, Unpacked::Packed(Box::new(inflating)))
            }
        }
    }
}

/// A body as far as it was read; none of it, to begin with.
#[derive(Default)]
pub(crate) struct Begun {
    /// What is here, in the chunks that came.
    pub chunks: VecDeque<Bytes>,
    /// What is still to come; `None` when all is here.
    pub rest: Option<Stream>,
    /// Some of it was waited for.
    pub waited: bool,
}

impl Begun {
    /// The body as it came.
    pub(crate) fn unchanged(self) -> Outgoing {
        match self.rest {
            None => Outgoing::whole(self.chunks),
            Some(mut stream) => {
                stream.put_back(self.chunks);
                Outgoing::stream(stream)
            }
        }
    }
}

fn has_line_feed(chunks: &VecDeque<Bytes>) -> bool {
    let in_one = |chunk: &Bytes| memchr::memchr(b'\n', chunk).is_some();
    chunks.iter().any(in_one)
}

fn line_of(chunks: &VecDeque<Bytes>) -> Cow<'_, [u8]> {
    let mut line: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    for chunk in chunks {
        let end = memchr::memchr(b'\n', chunk);
        let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        match line.is_empty() {
            true => line = Cow::Borrowed(part),
            false => line.to_mut().extend_from_slice(part),
        }
        if end.is_some() {
            break;
        }
    }
    line
}

/// The chunks behind their first bytes, and those bytes: shared, but copied together
/// where they lie in several.
fn split(chunks: VecDeque<Bytes>, bytes: usize) -> (Bytes, VecDeque<Bytes>) {
    let mut left = bytes;
    let mut first = VecDeque::new();
    let mut rest = VecDeque::with_capacity(chunks.len() + 1);
    for mut chunk in chunks {
        let cut = left.min(chunk.len());
        left -= cut;
        let part = chunk.split_to(cut);
        if !part.is_empty() {
            first.push_back(part);
        }
        if !chunk.is_empty() {
            rest.push_back(chunk);
        }
    }
    let first = match (first.pop_front(), first.is_empty()) {
        (None, _) => Bytes::new(),
        (Some(only), true) => only,
        (Some(part), false) => {
            let parts = std::iter::once(part).chain(first);
            parts.flatten().collect::<Vec<u8>>().into()
        }
    };
    (first, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(parts: &[&'static str]) -> VecDeque<Bytes> {
        parts
            .iter()
            .map(|part| Bytes::from_static(part.as_bytes()))
            .collect()
    }

    #[track_caller]
    fn check_line(parts: &[&'static str], want: &str, borrowed: bool) {
        let chunks = chunks(parts);
        let line = line_of(&chunks);
        assert_eq!(&*line, want.as_bytes(), "{parts:?}");
        assert_eq!(matches!(line, Cow::Borrowed(_)), borrowed, "{parts:?}");
    }

    #[test]
    fn a_line_in_one_chunk_is_borrowed_and_one_across_chunks_joined() {
        check_line(&["{}\nrest"], "{}", true);
        check_line(&["{", "}", "\nrest\n"], "{}", false);
        check_line(&["", "{}", "\n"], "{}", false);
        check_line(&["{}"], "{}", true);
        check_line(&["\n"], "", true);
        check_line(&[], "", true);
    }

    #[test]
    fn what_follows_the_line_is_shared_not_copied() {
        let first = Bytes::from_static(b"{\"a\":1}\nitem");
        let from = first.as_ptr().wrapping_add(7);
        let (line, kept) = split(VecDeque::from([first, Bytes::from_static(b"more")]), 7);
        assert_eq!(
            (line, &kept),
            (Bytes::from("{\"a\":1}"), &chunks(&["\nitem", "more"]))
        );
        assert_eq!(kept.front().unwrap().as_ptr(), from);
        let (line, kept) = split(chunks(&["{", "}", "\nitem"]), 2);
        assert_eq!((line, kept), (Bytes::from("{}"), chunks(&["\nitem"])));
    }

    #[test]
    fn a_line_as_long_as_allowed_is_found_and_a_longer_one_is_not() {
        let limits = DecodeLimits {
            decoded_bytes: 1 << 20,
            ratio: 200,
        };
        for (bytes, found) in [(LINE_BYTES_MAX, true), (LINE_BYTES_MAX + 1, false)] {
            let begun = Begun {
                chunks: VecDeque::from([Bytes::from(vec![b'x'; bytes])]),
                rest: None,
                waited: false,
            };
            let looked = LineOne::find(&begun, Coding::Identity, limits);
            assert_eq!(looked.is_ok(), found, "{bytes} bytes");
        }
    }
}
