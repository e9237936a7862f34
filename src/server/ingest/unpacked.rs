//! An envelope's bytes behind its line one, unpacked if they came packed, one slice
//! at a time. Never looks at them.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::domain::coding::DecodeError;
use crate::domain::envelope::scan::ScanError;

use crate::server::client::stream::{BodyError, Stream};
use crate::server::ingest::chunks::total_bytes;
use crate::server::ingest::inflating::Inflating;

/// Where they come from.
#[expect(
    clippy::large_enum_variant,
    reason = "most come plain: a box would be an allocation for each of them"
)]
pub(crate) enum Unpacked {
    /// As they came.
    Plain {
        /// What is here.
        chunks: VecDeque<Bytes>,
        /// What is still to come; `None` when all is here.
        rest: Option<Stream>,
    },
    /// Out of a decoder.
    Packed(Box<Inflating>),
}

impl Unpacked {
    /// The next slice; `None` at the clean end.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        match self {
            Self::Packed(inflating) => inflating.poll_chunk(cx),
            Self::Plain { chunks, rest } => match (chunks.pop_front(), rest) {
                (Some(chunk), _) => Poll::Ready(Some(Ok(chunk))),
                (None, Some(rest)) => Poll::Ready(ready!(rest.poll_chunk(cx))),
                (None, None) => Poll::Ready(None),
            },
        }
    }

    /// Whether so many more bytes can come.
    ///
    /// # Errors
    /// They are more than the client announced, or than any body may have.
    pub(crate) fn holds(&self, bytes: u64) -> Result<(), BodyError> {
        let (most, error) = match self {
            Self::Packed(inflating) => (
                inflating.left_bytes_max(),
                BodyError::Coding(DecodeError::TooLarge),
            ),
            Self::Plain { chunks, rest } => {
                let coming = rest.as_ref().map_or(0, Stream::left_bytes_max);
                let announced = rest.as_ref().is_none_or(|rest| rest.announced().is_some());
                let error = match announced {
                    true => BodyError::Envelope(ScanError::Truncated),
                    false => BodyError::TooLarge,
                };
                (total_bytes(chunks).saturating_add(coming), error)
            }
        };
        if bytes > most { Err(error) } else { Ok(()) }
    }

    /// Whether nothing is still to come from a client.
    pub(crate) fn is_here(&self) -> bool {
        match self {
            Self::Plain { rest, .. } => rest.is_none(),
            Self::Packed(inflating) => inflating.is_here(),
        }
    }

    /// Whether the next byte is the client's to send.
    pub(crate) fn waits_for_client(&self) -> bool {
        match self {
            Self::Plain { chunks, rest } => chunks.is_empty() && rest.is_some(),
            Self::Packed(inflating) => inflating.waits_for_client(),
        }
    }

    /// All of an announced length has been handed on.
    pub(crate) fn is_exhausted(&self) -> bool {
        match self {
            Self::Plain { chunks, rest } => {
                chunks.is_empty() && rest.as_ref().is_none_or(Stream::is_exhausted)
            }
            Self::Packed(_) => false,
        }
    }
}
