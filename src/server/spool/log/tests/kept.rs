//! A record as the model of a log remembers it, and what may have become of it.

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Append said `Ok`: it must be there.
    Kept,
    /// Append said no, or never answered: it may be there.
    Offered,
    /// Only a crash or a failing disk may bring it back.
    Acked,
    /// As above, and its bytes must never be seen again.
    Erased,
    /// An erasure failed half-way: it may be anything but somebody else.
    Erasing,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub head: Head,
    pub payload: Vec<u8>,
    pub body: Option<Vec<u8>>,
    pub fate: Fate,
    /// Where it is in the log that is open.
    pub place: Option<Place>,
}

impl Kept {
    pub(super) fn frame_bytes(&self) -> u64 {
        64 + frame::size(self.payload.len())
    }

    pub(super) fn body_bytes(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| frame::size(body.len()))
    }
}
