//! What follows an envelope's line one: item headers and payloads, told apart as the
//! bytes come, in whatever pieces.
//!
//! Owns the grammar of PROTOCOL 3.1. A header is one JSON value, delimited as JSON and not
//! by lines, as Relay reads it: a reader that took lines would see other items, and what hides
//! between the two evades every limit. What cannot be followed exactly is an error. Holds no
//! payload, and copies a header only where it lies across pieces.

use std::borrow::Cow;

use super::item_header;

pub use super::item_header::{Flag, ItemHeader};

/// How long an item's header may be: no protocol limit exists, and SDKs write a hundred bytes.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;

/// How far a scanner goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    /// The most items in one envelope (`limits.items`).
    pub items_max: u32,
}

/// Why the items of a body cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// Something other than `{` stands where an item's header begins.
    #[error("item header does not begin with '{{'")]
    NotAnObject,
    /// Not JSON.
    #[error("item header is not valid JSON")]
    Malformed,
    /// Something stands between a header and its line feed: most often a carriage return.
    #[error("item header is not followed by a line feed")]
    TrailingBytes,
    /// A key that decides what an item is comes twice: two readers could take different ones.
    #[error("item header has {key:?} twice")]
    Duplicate {
        /// The key, one of ours.
        key: &'static str,
    },
    /// No `type`, or one that is no text.
    #[error("item header has no type")]
    NoType,
    /// A type that only a Relay may send.
    #[error("item type is for relays only")]
    RelaysOwn,
    /// A `length` that is no whole number.
    #[error("item length is not a whole number")]
    BadLength,
    /// A header beyond [`HEADER_BYTES_MAX`], or as many blanks before one.
    #[error("item header is over {HEADER_BYTES_MAX} bytes")]
    HeaderTooLong,
    /// More items than [`ScanLimits::items_max`].
    #[error("envelope has too many items")]
    TooManyItems,
    /// A payload goes on behind its announced length.
    #[error("item payload is not followed by a line feed")]
    LengthMissesLineFeed,
    /// The body ends inside a header or a payload.
    #[error("envelope ends inside an item")]
    Truncated,
    /// More than one line feed at the end.
    #[error("envelope ends with blank lines")]
    BlankAtEnd,
}

/// What one push took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How many bytes of the piece. More than none, unless the piece was empty.
    pub read: usize,
    /// What they are.
    pub what: What,
}

/// What bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Part of an item's header whose end has not come, or blanks before one.
    Header,
    /// Up to the end of an item's header, its line feed included.
    Item(ItemHeader),
    /// Payload of the current item.
    Payload {
        /// So much of it, without a closing line feed.
        bytes: usize,
        /// It was the last of it, the closing line feed read too.
        ends: bool,
    },
}

/// What the end of the body was the end of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing that was open.
    Nothing,
    /// A header without a line feed; its payload is empty.
    Item(ItemHeader),
    /// A payload without one.
    Payload,
}

/// Tells items apart. The first error is final; what follows one means nothing.
#[derive(Debug)]
pub struct Scanner {
    limits: ScanLimits,
    items: u32,
    state: State,
    /// A header as far as it lay in earlier pieces.
    held: Vec<u8>,
}

/// Where the scanner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a header, or at the end; behind so many blanks.
    Between { blanks: usize },
    /// Inside a header.
    Header(Depth),
    /// Behind a header's closing brace.
    HeaderEnd,
    /// Inside a payload of which so much is to come.
    Known(u64),
    /// Behind a payload of announced length.
    PayloadEnd,
    /// Inside a payload that the next line feed ends.
    Line,
}

/// How deep inside of a JSON value its reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Depth {
    open: usize,
    in_string: bool,
    escaped: bool,
}

impl Depth {
    /// Reads on. The offset behind the value's last byte, if that is here.
    fn end(&mut self, text: &[u8]) -> Option<usize> {
        for (at, byte) in text.iter().enumerate() {
            match (self.in_string, byte) {
                (true, _) if self.escaped => self.escaped = false,
                (true, b'\\') => self.escaped = true,
                (true, b'"') => self.in_string = false,
                (false, b'"') => self.in_string = true,
                (false, b'{' | b'[') => self.open += 1,
                (false, b'}' | b']') => {
                    self.open -= 1;
                    if self.open == 0 {
                        return Some(at + 1);
                    }
                }
                (true | false, _) => {}
            }
        }
        None
    }
}

impl Scanner {
    /// A scanner right behind line one and its line feed.
    #[must_use]
    pub fn new(limits: ScanLimits) -> Self {
        Self {
            limits,
            items: 0,
            state: State::Between { blanks: 0 },
            held: Vec::new(),
        }
    }

    /// How many items were met.
    #[must_use]
    pub fn items(&self) -> u32 {
        self.items
    }

    /// Takes some of a piece: one thing of it, or part of one.
    ///
    /// # Errors
    /// What cannot be followed.
    pub fn push(&mut self, piece: &[u8]) -> Result<Step, ScanError> {
        let Some(first) = piece.first() else {
            let what = What::Header;
            return Ok(Step { read: 0, what });
        };
        match self.state {
            State::Between { blanks } => self.begin(piece, blanks),
            State::Header(depth) => self.header(piece, 0, depth),
            State::HeaderEnd if *first == b'\n' => {
                let header = std::mem::take(&mut self.held);
                self.item(&header, 1)
            }
            State::HeaderEnd => Err(ScanError::TrailingBytes),
            State::Known(left) => Ok(self.known(piece, left)),
            State::PayloadEnd if *first == b'\n' => Ok(self.ends(0, 1)),
            State::PayloadEnd => Err(ScanError::LengthMissesLineFeed),
            State::Line => Ok(match memchr::memchr(b'\n', piece) {
                Some(end) => self.ends(end, end + 1),
                None => goes_on(piece.len()),
            }),
        }
    }

    /// The body is over.
    ///
    /// # Errors
    /// It ended where it may not.
    pub fn finish(&mut self) -> Result<Ended, ScanError> {
        match self.state {
            State::Between { blanks: 0 } => Ok(Ended::Nothing),
            State::Between { .. } => Err(ScanError::BlankAtEnd),
            State::Header(_) | State::Known(_) => Err(ScanError::Truncated),
            State::PayloadEnd | State::Line => Ok(Ended::Payload),
            State::HeaderEnd => {
                let header = std::mem::take(&mut self.held);
                let item = self.read(&header)?;
                match item.length {
                    None | Some(0) => Ok(Ended::Item(item)),
                    Some(_) => Err(ScanError::Truncated),
                }
            }
        }
    }

    /// Where a header may begin. Blanks before it count as its own: whoever waits for its end
    /// holds them too.
    fn begin(&mut self, piece: &[u8], before: usize) -> Result<Step, ScanError> {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let blanks = piece.iter().take_while(|byte| is_blank(byte)).count();
        if before + blanks > HEADER_BYTES_MAX {
            return Err(ScanError::HeaderTooLong);
        }
        match piece.get(blanks) {
            None => {
                let blanks_so_far = before + blanks;
                self.state = State::Between {
                    blanks: blanks_so_far,
                };
                let what = What::Header;
                Ok(Step { read: blanks, what })
            }
            Some(b'{') => match self.at_a_glance(piece, blanks) {
                Some(step) => Ok(step),
                None => self.header(piece, blanks, Depth::default()),
            },
            Some(_) => Err(ScanError::NotAnObject),
        }
    }

    /// A header as SDKs write it: plain, on a line of its own, all of it here.
    fn at_a_glance(&mut self, piece: &[u8], from: usize) -> Option<Step> {
        let rest = piece.get(from..)?;
        let line = rest.get(..memchr::memchr(b'\n', rest)?)?;
        if line.len() > HEADER_BYTES_MAX || self.items == self.limits.items_max {
            return None;
        }
        let item = item_header::skim(line)?;
        self.meet(&item);
        Some(Step {
            read: from + line.len() + 1,
            what: What::Item(item),
        })
    }

    /// A header of whatever form, from an offset on, or what is here of one.
    fn header(&mut self, piece: &[u8], from: usize, mut depth: Depth) -> Result<Step, ScanError> {
        let text = piece.get(from..).unwrap_or_default();
        let end = depth.end(text);
        let here = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
        if self.held.len() + here.len() > HEADER_BYTES_MAX {
            return Err(ScanError::HeaderTooLong);
        }
        match (end, end.and_then(|end| text.get(end))) {
            (Some(end), Some(b'\n')) => {
                let mut held = std::mem::take(&mut self.held);
                let header = match held.is_empty() {
                    true => Cow::Borrowed(here),
                    false => {
                        held.extend_from_slice(here);
                        Cow::Owned(held)
                    }
                };
                self.item(&header, from + end + 1)
            }
            (Some(_), Some(_)) => Err(ScanError::TrailingBytes),
            (end, None) | (end @ None, Some(_)) => {
                self.held.extend_from_slice(here);
                self.state = match end {
                    Some(_) => State::HeaderEnd,
                    None => State::Header(depth),
                };
                let (read, what) = (piece.len(), What::Header);
                Ok(Step { read, what })
            }
        }
    }

    fn item(&mut self, header: &[u8], read: usize) -> Result<Step, ScanError> {
        let what = What::Item(self.read(header)?);
        Ok(Step { read, what })
    }

    fn read(&mut self, header: &[u8]) -> Result<ItemHeader, ScanError> {
        if self.items == self.limits.items_max {
            return Err(ScanError::TooManyItems);
        }
        let item = item_header::parse(header)?;
        self.meet(&item);
        Ok(item)
    }

    fn meet(&mut self, item: &ItemHeader) {
        self.items += 1;
        self.state = match item.length {
            None => State::Line,
            Some(0) => State::PayloadEnd,
            Some(bytes) => State::Known(bytes),
        };
    }

    /// Payload of announced length, with its line feed if that is here.
    fn known(&mut self, piece: &[u8], left: u64) -> Step {
        let all = usize::try_from(left).ok().filter(|all| *all <= piece.len());
        let Some(all) = all else {
            let taken = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            self.state = State::Known(left - taken);
            return goes_on(piece.len());
        };
        match piece.get(all) {
            Some(b'\n') => self.ends(all, all + 1),
            // What stands there instead is told by the next push, in one piece as in two.
            None | Some(_) => {
                self.state = State::PayloadEnd;
                goes_on(all)
            }
        }
    }

    fn ends(&mut self, bytes: usize, read: usize) -> Step {
        self.state = State::Between { blanks: 0 };
        let what = What::Payload { bytes, ends: true };
        Step { read, what }
    }
}

/// Payload without an end yet.
fn goes_on(bytes: usize) -> Step {
    let what = What::Payload { bytes, ends: false };
    Step { read: bytes, what }
}

#[cfg(test)]
mod tests;
