//! The two envelopes that every proxy carries.

use crate::event::envelope_of;

/// One size of envelope.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) label: &'static str,
    /// The whole envelope, to the byte.
    pub(crate) bytes: usize,
    pub(crate) file: &'static str,
}

/// A small error, and one with a deep stack: the sizes that the budgets name.
pub(crate) const BODIES: [Body; 2] = [
    Body {
        label: "1.4 KB",
        bytes: 1_400,
        file: "small.envelope",
    },
    Body {
        label: "20 KB",
        bytes: 20_000,
        file: "large.envelope",
    },
];

impl Body {
    /// An error event of exactly this size.
    pub(crate) fn envelope(self) -> Vec<u8> {
        envelope_of(self.bytes)
    }
}
