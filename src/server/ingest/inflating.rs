//! A packed body on its way upstream in the clear, since something in it was
//! changed. Holds one slice at a time, whatever it unpacks to, and lets others run
//! between slices. Its decoder alone may take 16 MiB, so places for it are counted; both are
//! given back once it has come to its end.

use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::sync::Notify;

use crate::domain::coding::Decoder;

use crate::server::client::stream::{BodyError, Stream};
use crate::server::ingest::chunks::total_bytes;

/// What is unpacked in one go.
pub(crate) const SLICE_BYTES: usize = 64 * 1024;

/// The places of one worker for bodies that are being unpacked.
#[derive(Debug, Default)]
pub(crate) struct Places(Rc<Notify>);

/// One of them; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place(Rc<Notify>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Places {
    /// A place, while fewer than `most` are taken.
    pub(crate) fn take(&self, most: u64) -> Option<Place> {
        // One of those who hold it is the worker itself.
        let taken = u64::try_from(Rc::strong_count(&self.0) - 1).unwrap_or(u64::MAX);
        (taken < most).then(|| Place(Rc::clone(&self.0)))
    }

    /// A place, as soon as fewer than `most` are taken. Whoever waits holds nothing yet.
    pub(crate) async fn wait(&self, most: u64) -> Place {
        loop {
            match self.take(most) {
                Some(place) => return place,
                None => self.0.notified().await,
            }
        }
    }
}

/// The unpacked body.
pub(crate) struct Inflating {
    /// `None`: it has come to its end.
    decoder: Option<Decoder>,
    /// Unpacked already.
    ahead: VecDeque<Bytes>,
    /// Packed, and here.
    packed: VecDeque<Bytes>,
    /// Packed, and still to come.
    rest: Option<Stream>,
    /// A slice that is still unwritten.
    slice: BytesMut,
    /// The decoder holds more than its last slice.
    more: bool,
    /// A slice was handed out: others first.
    yields: bool,
    place: Option<Place>,
}

impl std::fmt::Debug for Inflating {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflating").finish_non_exhaustive()
    }
}

impl Inflating {
    /// `place` is given back at the body's end. `ahead` leaves first; `packed` and then `rest` are
    /// what the decoder is given next.
    pub(crate) fn new(
        place: Option<Place>,
        decoder: Decoder,
        ahead: VecDeque<Bytes>,
        packed: VecDeque<Bytes>,
        rest: Option<Stream>,
    ) -> Self {
        Self {
            decoder: Some(decoder),
            ahead,
            packed,
            rest,
            slice: BytesMut::new(),
            more: true,
            yields: false,
            place,
        }
    }

    /// How much can still be handed on, if its decoder is let go to its limit.
    pub(crate) fn left_bytes_max(&self) -> u64 {
        let coming = self.decoder.as_ref().map_or(0, Decoder::left_bytes_max);
        total_bytes(&self.ahead).saturating_add(coming)
    }

    /// Whether nothing of it is still to come from a client.
    pub(crate) fn is_here(&self) -> bool {
        self.rest.is_none()
    }

    /// Whether the next byte is the client's to send.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.rest.is_some() && self.ahead.is_empty() && self.packed.is_empty() && !self.more
    }

    /// The next slice; `None` at the clean end.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        while let Some(chunk) = self.ahead.pop_front() {
            if !chunk.is_empty() {
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
        if std::mem::take(&mut self.yields) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if !self.more && self.packed.is_empty() {
                match self.rest.as_mut().map(|rest| rest.poll_chunk(cx)) {
                    Some(polled) => match ready!(polled) {
                        Some(Ok(chunk)) => self.packed.push_back(chunk),
                        Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                        None => self.rest = None,
                    },
                    None => {
                        let ended = self.decoder.as_ref().map_or(Ok(()), Decoder::finish);
                        if let Err(error) = ended {
                            return Poll::Ready(Some(Err(BodyError::Coding(error))));
                        }
                        (self.decoder, self.place) = (None, None);
                        return Poll::Ready(None);
                    }
                }
                continue;
            }
            let slice = match self.unpack() {
                Ok(slice) => slice,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            if !slice.is_empty() {
                self.yields = true;
                return Poll::Ready(Some(Ok(slice)));
            }
        }
    }

    fn unpack(&mut self) -> Result<Bytes, BodyError> {
        // One into which nothing was written is as good for the next chunk: bodies may
        // come in the smallest.
        let mut slice = match std::mem::take(&mut self.slice) {
            unused if !unused.is_empty() => unused,
            _ => BytesMut::zeroed(SLICE_BYTES),
        };
        let input = self.packed.front().map_or(&[][..], |chunk| chunk);
        let decoder = self.decoder.as_mut().ok_or(BodyError::Gone)?;
        let progress = decoder.push(input, &mut slice).map_err(BodyError::Coding)?;
        self.more = progress.more;
        if let Some(chunk) = self.packed.front_mut() {
            chunk.advance(progress.read);
            if chunk.is_empty() {
                self.packed.pop_front();
            }
        }
        if progress.written == 0 {
            self.slice = slice;
            return Ok(Bytes::new());
        }
        slice.truncate(progress.written);
        Ok(slice.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_once_its_body_is_gone() {
        let places = Places::default();
        let (first, second) = (places.take(2), places.take(2));
        assert!(first.is_some() && second.is_some());
        assert!(places.take(2).is_none(), "a third");
        assert!(places.take(3).is_some(), "a reload may allow more");
        drop(first);
        assert!(places.take(2).is_some());
    }
}
