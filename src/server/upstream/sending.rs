//! A request as it leaves for an upstream: its head as bytes, its body beside it,
//! and how much of both has left. Never touches a socket, and copies no payload.

use std::io::IoSlice;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;

use crate::server::client::stream::BodyError;
use crate::server::delivery::body::Outgoing;

#[cfg(test)]
mod tests;

/// A head's buffer that grew beyond this goes with its request: an idle connection
/// shall not keep what one long head needed.
const LEAD_BYTES_KEPT: usize = 8 * 1024;

/// A request on its way. The default is none, of which nothing is left to send.
///
/// What leaves together is one frame: the head with a body that is here in full, or
/// with the first chunk of one that is not; later each chunk with its size. The
/// frame stays as it is until all of it has left, so that a socket may take it in
/// any portions.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    /// What goes before the payload: the head, later a chunk's size.
    lead: Vec<u8>,
    body: Option<Outgoing>,
    /// The payload under way of a body that is not here in full.
    chunk: Bytes,
    /// What goes behind it.
    tail: &'static [u8],
    rest: Rest,
    /// Bytes of the frame that have left, and that have not.
    gone: usize,
    left: usize,
    /// Something has left, of this frame or of an earlier one.
    begun: bool,
    /// It may have to leave once more.
    kept: bool,
}

/// A request that has not been answered, as far as it is still at hand.
#[derive(Debug)]
pub(crate) struct Left {
    /// Its head as bytes; empty where it has left for good.
    pub head: Vec<u8>,
    /// Its body: all of it, or what has yet to come.
    pub body: Outgoing,
}

/// What of the body is in no frame yet.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Nothing.
    #[default]
    Nothing,
    /// So many bytes, since that is what the head says.
    Length(u64),
    /// Chunks, until the body says that it is over.
    Chunks,
}

impl Sending {
    /// Takes a request up. Its head is written out at once: it is never needed as
    /// anything but these bytes again.
    pub(crate) fn load(&mut self, head: &Parts, body: Outgoing) {
        let length = body.length();
        self.clear();
        encode(&mut self.lead, head, length);
        self.left = self.lead.len();
        match (body.chunks(), length) {
            (Some(chunks), _) => self.left += chunks.iter().map(Bytes::len).sum::<usize>(),
            (None, Some(0)) => {}
            (None, Some(bytes)) => self.rest = Rest::Length(bytes),
            (None, None) => self.rest = Rest::Chunks,
        }
        self.body = Some(body);
    }

    /// Whether all of it stays at hand until `answered`, to leave once more. Only a
    /// body that is here in full can.
    pub(crate) fn keep(&mut self, kept: bool) {
        let whole = self.body.as_ref().and_then(Outgoing::chunks).is_some();
        self.kept = kept && whole;
    }

    /// A copy of the request, while all of it stays at hand.
    pub(crate) fn copy(&self) -> Option<Left> {
        let chunks = self.body.as_ref().filter(|_| self.kept)?.chunks()?;
        Some(Left {
            head: self.lead.clone(),
            body: Outgoing::whole(chunks.clone()),
        })
    }

    /// The copy of a body that has left in full, once: the request is not at hand after that.
    pub(crate) fn take_copy(&mut self) -> Option<Left> {
        let over = self.is_over();
        let copied = |body: &mut Outgoing| over && body.has_copy();
        let body = self.body.take_if(copied)?;
        let head = Vec::new();
        Some(Left { head, body })
    }

    /// What is still at hand.
    pub(crate) fn into_left(self) -> Option<Left> {
        Some(Left {
            head: if self.kept { self.lead } else { Vec::new() },
            body: self.body?,
        })
    }

    /// From the first byte again. False, and nothing changes, where that is gone.
    pub(crate) fn rewind(&mut self) -> bool {
        if self.kept {
            self.left += self.gone;
            self.gone = 0;
            self.begun = false;
        }
        self.kept
    }

    /// Calls its server by another name: one of which nothing has left goes elsewhere.
    pub(crate) fn rename(&mut self, host: &[u8]) {
        /// As `encode` writes it. Neither a target nor a value holds a line's end.
        const LINE: &[u8] = b"\r\nhost: ";
        if self.gone > 0 {
            return;
        }
        let Some(start) = memchr::memmem::find(&self.lead, LINE) else {
            return;
        };
        let start = start + LINE.len();
        let rest = self.lead.get(start..).unwrap_or_default();
        let before = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
        self.lead
            .splice(start..start + before, host.iter().copied());
        self.left = self.left + host.len() - before;
    }

    /// Whether a byte of it has left.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether all of it has left.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0 && self.rest == Rest::Nothing
    }

    /// Its answer is here: it will not leave once more. What has not left yet stays.
    pub(crate) fn answered(&mut self) {
        self.kept = false;
        if self.is_over() {
            self.body.iter_mut().for_each(Outgoing::bequeaths);
            self.clear();
        }
    }

    /// Lets go of everything.
    pub(crate) fn clear(&mut self) {
        let mut lead = std::mem::take(&mut self.lead);
        lead.clear();
        if lead.capacity() > LEAD_BYTES_KEPT {
            lead = Vec::new();
        }
        *self = Self {
            lead,
            ..Self::default()
        };
    }

    /// Sees to it that there is something to send, unless all has left. Fetches one
    /// chunk at most beyond what the socket has taken, so that a client is read no
    /// faster than its upstream; a head does not wait for a chunk.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        while self.rest != Rest::Nothing && self.chunk.is_empty() {
            let Some(body) = &mut self.body else {
                return Poll::Ready(Err(BodyError::Gone));
            };
            match body.poll_chunk(cx) {
                Poll::Ready(Some(Ok(chunk))) => self.add(chunk)?,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => self.end()?,
                Poll::Pending if self.left > 0 => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Puts a chunk into the frame. An empty one would end a chunked body.
    fn add(&mut self, chunk: Bytes) -> Result<(), BodyError> {
        let before = self.lead.len();
        match self.rest {
            Rest::Length(bytes) => {
                let n = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                // More than was announced: the rest would be read as a next request.
                let rest = bytes.checked_sub(n).ok_or(BodyError::Gone)?;
                self.rest = match rest {
                    0 => Rest::Nothing,
                    rest => Rest::Length(rest),
                };
            }
            Rest::Chunks if !chunk.is_empty() => {
                push_number(&mut self.lead, chunk.len(), 16);
                self.lead.extend_from_slice(b"\r\n");
                self.tail = b"\r\n";
            }
            Rest::Chunks | Rest::Nothing => {}
        }
        self.left += self.lead.len() - before + chunk.len() + self.tail.len();
        self.chunk = chunk;
        Ok(())
    }

    /// The body says that it is over.
    fn end(&mut self) -> Result<(), BodyError> {
        match self.rest {
            Rest::Length(_) => return Err(BodyError::Gone),
            Rest::Chunks => {
                self.lead.extend_from_slice(b"0\r\n\r\n");
                self.left += 5;
            }
            Rest::Nothing => {}
        }
        self.rest = Rest::Nothing;
        Ok(())
    }

    /// The frame's slices that have not left, as far as there is room for them.
    pub(crate) fn slices<'s>(&'s self, room: &mut [IoSlice<'s>]) -> usize {
        let whole = self.body.as_ref().and_then(Outgoing::chunks);
        let payload = whole.into_iter().flatten().chain([&self.chunk]);
        let parts = [self.lead.as_slice()]
            .into_iter()
            .chain(payload.map(Bytes::as_ref))
            .chain([self.tail]);
        let mut gone = self.gone;
        let mut taken = 0;
        let mut places = room.iter_mut();
        for part in parts {
            match part.get(gone..) {
                Some(rest) if !rest.is_empty() => {
                    let Some(place) = places.next() else { break };
                    *place = IoSlice::new(rest);
                    taken += 1;
                    gone = 0;
                }
                Some(_) | None => gone -= part.len(),
            }
        }
        taken
    }

    /// So many bytes have left.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.begun = true;
        self.gone += bytes;
        self.left = self.left.saturating_sub(bytes);
        if self.left > 0 || self.kept {
            return;
        }
        self.lead.clear();
        self.chunk = Bytes::new();
        self.tail = b"";
        self.gone = 0;
        // A copy stays until the answer: the upstream may read all of it and take none.
        let copied = self.body.as_ref().is_some_and(Outgoing::has_copy);
        if self.rest == Rest::Nothing && !copied {
            self.body = None;
        }
    }
}

/// A request's head as bytes, for one whose body is no longer than it turns out to be.
pub(crate) fn head_bytes(head: &Parts) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes, head, None);
    bytes
}

/// Writes a request's head. Its framing is written from the body's length alone:
/// two words about it could differ.
fn encode(lead: &mut Vec<u8>, head: &Parts, length: Option<u64>) {
    let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    lead.extend_from_slice(head.method.as_str().as_bytes());
    lead.push(b' ');
    if !target.starts_with(['/', '*']) {
        lead.push(b'/');
    }
    lead.extend_from_slice(target.as_bytes());
    lead.extend_from_slice(b" HTTP/1.1\r\n");
    let mut announced = false;
    for (name, value) in &head.headers {
        if name == CONTENT_LENGTH {
            announced = true;
            continue;
        }
        if name == TRANSFER_ENCODING {
            continue;
        }
        lead.extend_from_slice(name.as_str().as_bytes());
        lead.extend_from_slice(b": ");
        lead.extend_from_slice(value.as_bytes());
        lead.extend_from_slice(b"\r\n");
    }
    match length {
        // A request without a body says nothing of one, unless its client did.
        Some(0) if !announced => {}
        Some(bytes) => {
            lead.extend_from_slice(b"content-length: ");
            push_number(lead, usize::try_from(bytes).unwrap_or(usize::MAX), 10);
            lead.extend_from_slice(b"\r\n");
        }
        None => lead.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    lead.extend_from_slice(b"\r\n");
}

/// Writes a number's digits to this base, lower case. By hand: the standard
/// library's formatting costs more than all the rest of a head.
fn push_number(lead: &mut Vec<u8>, number: usize, base: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [b'0'; 20];
    let mut rest = number;
    let mut first = digits.len();
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        *digit = DIGITS.get(rest % base).copied().unwrap_or(b'0');
        first = place;
        rest /= base;
        if rest == 0 {
            break;
        }
    }
    lead.extend_from_slice(digits.get(first..).unwrap_or_default());
}
