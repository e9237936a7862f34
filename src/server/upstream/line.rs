//! One open upstream connection, moved on by whoever uses it: a request's own
//! task writes it, reads it and takes its answer's body, so that no exchange waits
//! for a second task to be scheduled. Nobody moves it while it lies idle; whether
//! it still stands is seen by the next look. Never reads more than it is asked for.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::HOST;
use http::request::Parts as Asked;
use http::response::Parts as Answered;
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::domain::reach::ReachFault;

use super::errand::Errand;
use super::framing::{Fault, Framing, Step};
use super::head::HeadReader;
use super::pool::Slot;
use super::sending::{Left, Sending};
use super::server::{Address, Named};
use super::stream::{Look, Stream};
use super::talk::Talk;
use crate::server::client::stream::BodyError;
use crate::server::delivery::body::{BodyWatch, Outgoing};
use crate::tls;

/// Bytes of one read: few at first, since most answers are small; more as long as
/// reads are filled; never so many that a slow reader of an answer pins much.
const READ_BYTES_MIN: usize = 4 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;

/// Less room than this at a buffer's end is not worth a read.
const ROOM_BYTES_MIN: usize = 1024;

/// Slices that leave in one call. A small body is one, a large one is many of which
/// the socket takes a few.
const SLICES_MAX: usize = 16;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The connection was gone before anything left: the request can go elsewhere.
    Unsent,
    /// It ended, and no byte came back.
    Unheard,
    /// Its server does not accept our certificate, and has looked at nothing.
    Refused(ReachFault),
    /// The request's own body failed.
    Body(BodyError),
    /// The upstream was silent for too long.
    Silent,
    /// It keeps the request waiting. Nothing is over: `ask_on` waits on.
    Late,
    /// It broke amid the answer's head, or that cannot be read.
    Broken(Fault),
}

/// Whether a status says that the upstream could not serve, not what it thinks of the
/// request: it may be asked again another time.
pub(crate) fn is_outage(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

/// One open connection. Dropping it closes the socket, whatever is under way.
#[derive(Debug)]
pub(crate) struct Line {
    /// What goes on on it.
    pub talk: Rc<Talk>,
    /// The server's address.
    pub address: Address,
    stream: Stream,
    sending: Sending,
    /// Writing failed. Reading tells of what, and may bring an answer all the same.
    stuck: bool,
    head: HeadReader,
    head_bytes_max: usize,
    /// Bytes that were read and not taken yet.
    read: BytesMut,
    read_bytes: usize,
    /// What of the answer's body is still to come.
    framing: Framing,
    /// The upstream keeps the connection open behind this answer.
    stays: bool,
    _slot: Slot,
}

impl Line {
    /// A connection on which nothing has been said. Answers whose head is over
    /// `head_bytes_max` are refused.
    pub(crate) fn new(stream: Stream, address: Address, head_bytes_max: usize, slot: Slot) -> Self {
        Self {
            talk: Rc::default(),
            address,
            stream,
            sending: Sending::default(),
            stuck: false,
            head: HeadReader::default(),
            head_bytes_max,
            read: BytesMut::new(),
            read_bytes: READ_BYTES_MIN,
            framing: Framing::Over,
            stays: true,
            _slot: slot,
        }
    }

    /// Takes a request up, to be sent by `ask`.
    pub(crate) fn load(&mut self, mut head: Box<Asked>, body: Outgoing, named: Named) {
        if named == Named::AsServer {
            head.headers.insert(HOST, self.address.server.host.clone());
        }
        self.sending.load(&head, body);
        let headers = std::mem::take(&mut head.headers);
        self.head.expect(head.method == Method::HEAD, headers);
    }

    /// Whether the request stays at hand until its answer, to be sent again.
    pub(crate) fn keep(&mut self, kept: bool) {
        self.sending.keep(kept);
    }

    /// Makes the request ready to leave once more. False where it cannot.
    pub(crate) fn rewind(&mut self) -> bool {
        self.sending.rewind()
    }

    /// The request, if all of it has come: as it is kept, or, once, as it was copied.
    pub(crate) fn kept(&mut self) -> Option<Left> {
        self.sending.copy().or_else(|| self.sending.take_copy())
    }

    /// The request, for another connection.
    pub(crate) fn hand_over(&mut self) -> Box<Errand> {
        Box::new(Errand {
            sending: std::mem::take(&mut self.sending),
            head: std::mem::take(&mut self.head),
        })
    }

    /// Takes over what another connection could not bring to its end, and of which nothing
    /// has left.
    pub(crate) fn take_over(&mut self, errand: Box<Errand>, named: Named) {
        let Errand { sending, head } = *errand;
        self.sending = sending;
        if named == Named::AsServer {
            self.sending.rename(self.address.server.host.as_bytes());
        }
        self.head = head;
        self.head.restart();
    }

    /// Sends the request and waits for its answer's head. Dropped before that, the
    /// future leaves the line fit for nothing but to be dropped too.
    pub(crate) async fn ask(&mut self, watch: &Rc<BodyWatch>) -> Result<Answered, Failure> {
        match self.stream.look() {
            Look::Open => {}
            Look::Over => return Err(Failure::Unsent),
            Look::Refused(fault) => return Err(Failure::Refused(fault)),
        }
        self.stays = false;
        self.talk.ask(watch);
        self.ask_on().await
    }

    /// Waits on for the head of an answer that is late.
    pub(crate) async fn ask_on(&mut self) -> Result<Answered, Failure> {
        let answered = poll_fn(|cx| self.poll_head(cx)).await;
        match &answered {
            Err(Failure::Late) => return answered,
            // Such an answer is not the request's end, if somebody keeps it.
            Ok(head) if is_outage(head.status) => {}
            Ok(_) => self.sending.answered(),
            Err(_) => {}
        }
        self.talk.answered();
        answered
    }

    /// Both ways are driven: an upstream may answer before it has read everything.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answered, Failure>> {
        if self.talk.is_silent() {
            return Poll::Ready(Err(Failure::Silent));
        }
        if self.talk.take_late() {
            return Poll::Ready(Err(Failure::Late));
        }
        self.talk.is_signalled_by(cx.waker());
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            return Poll::Ready(Err(Failure::Body(error)));
        }
        if self.stuck && !self.sending.has_begun() {
            return Poll::Ready(Err(Failure::Unsent));
        }
        loop {
            let room = self.head_bytes_max.saturating_sub(self.read.len());
            if room == 0 {
                return Poll::Ready(Err(Failure::Broken(Fault::TooLong)));
            }
            match ready!(self.poll_read(cx, room)) {
                Ok(0) if !self.talk.is_heard() => return Poll::Ready(Err(Failure::Unheard)),
                Err(error) if !self.talk.is_heard() => {
                    let refused = tls::refusal(&error).map(Failure::Refused);
                    return Poll::Ready(Err(refused.unwrap_or(Failure::Unheard)));
                }
                Ok(0) | Err(_) => return Poll::Ready(Err(Failure::Broken(Fault::Cut))),
                Ok(_) => {}
            }
            if let Some(head) = self.head.take(&mut self.read).map_err(Failure::Broken)? {
                self.framing = head.framing;
                self.stays = head.stays;
                return Poll::Ready(Ok(head.parts));
            }
        }
    }

    /// The next of the answer's body: what was read already, else what the
    /// connection brings now.
    pub(crate) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let brought = self.poll_brought(cx);
        self.talk.wants_more(brought.is_pending());
        brought.map(Result::transpose)
    }

    fn poll_brought(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>> {
        loop {
            match self.framing.take(&mut self.read)? {
                Step::Chunk(chunk) => return Poll::Ready(Ok(Some(chunk))),
                Step::End => return Poll::Ready(Ok(None)),
                Step::More => {}
            }
            if self.talk.is_silent() {
                return Poll::Ready(Err(Fault::Silent));
            }
            self.talk.is_signalled_by(cx.waker());
            // What is left of the request still leaves. If it cannot, the line is not
            // used again; the answer is no worse for it.
            if let Poll::Ready(Err(_)) = self.poll_write(cx) {
                self.stuck = true;
            }
            match ready!(self.poll_read(cx, READ_BYTES_MAX)) {
                Ok(0) => self.framing.close()?,
                Ok(_) => {}
                Err(_) => return Poll::Ready(Err(Fault::Cut)),
            }
        }
    }

    /// The bytes of the answer's body to come, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.framing.length()
    }

    /// Whether it can serve a next request: this one has left and its answer is
    /// here, both to their last byte and no further.
    pub(crate) fn is_fit(&self) -> bool {
        self.stays
            && self.framing == Framing::Over
            && self.read.is_empty()
            && self.sending.is_over()
            && !self.stream.owes()
            && !self.stuck
    }

    /// Whether part of the request is still to leave, to an upstream that will read
    /// it: it answered early, and did not say that it closes.
    pub(crate) fn owes(&self) -> bool {
        self.stays && !self.stuck && (!self.sending.is_over() || self.stream.owes())
    }

    /// Sends what is left of a request whose answer came early, then closes. Its
    /// sender has been told that it was taken.
    pub(crate) async fn settle(mut self: Box<Self>) {
        self.talk.wants_more(true);
        let sent = poll_fn(|cx| match self.talk.is_silent() {
            true => Poll::Ready(Ok(())),
            false => {
                self.talk.is_signalled_by(cx.waker());
                self.poll_write(cx)
            }
        });
        if let Err(error) = sent.await {
            tracing::debug!(%error, "the rest of an answered request is lost");
        }
    }

    /// Lies down until its next request; what a large answer needed goes.
    pub(crate) fn rest(&mut self) {
        self.sending.answered();
        if self.read_bytes > READ_BYTES_MIN || self.read.capacity() > READ_BYTES_MIN {
            self.read = BytesMut::new();
        }
        self.read_bytes = READ_BYTES_MIN;
    }

    /// Whether it stands, after a look at what happened on it while nobody used it.
    /// Bytes that nobody asked for are as bad as its end: the next answer would be
    /// taken for another's.
    pub(crate) fn looks_open(&mut self) -> bool {
        self.stream.look() == Look::Open
    }

    /// Writes what can be written; ready once there is nothing more to write.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        if self.stream.owes() && !self.stuck {
            // Before a wait for more of the body: the upstream may wait for this.
            self.stuck = ready!(pin!(self.stream.flush()).poll(cx)).is_err();
        }
        while !self.stuck && !self.sending.is_over() {
            ready!(self.sending.poll_fill(cx))?;
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let taken = self.sending.slices(&mut slices);
            let slices = slices.get(..taken).unwrap_or_default();
            if slices.is_empty() {
                break;
            }
            match ready!(self.stream.poll_send(cx, slices)) {
                Ok(bytes) => {
                    self.talk.wrote();
                    self.sending.advance(bytes);
                }
                Err(error) => {
                    tracing::debug!(%error, "an upstream takes no more of its request");
                    self.stuck = true;
                    if self.stream.is_sealed() {
                        // Part of it may have left before: nobody can tell.
                        self.sending.advance(0);
                    }
                }
            }
        }
        match self.stream.owes() && !self.stuck {
            true => Poll::Pending,
            false => Poll::Ready(Ok(())),
        }
    }

    /// Reads up to `bytes_max` bytes; 0 is the connection's end.
    fn poll_read(&mut self, cx: &mut Context<'_>, bytes_max: usize) -> Poll<io::Result<usize>> {
        if self.read.capacity() - self.read.len() < ROOM_BYTES_MIN {
            self.read.reserve(self.read_bytes);
        }
        let room = self.read.capacity() - self.read.len();
        let mut part = (&mut self.read).limit(bytes_max.min(READ_BYTES_MAX));
        let read = ready!(pin!(self.stream.read_buf(&mut part)).poll(cx));
        match &read {
            Ok(0) => {}
            Ok(bytes) => {
                self.talk.read();
                if *bytes >= room {
                    self.read_bytes = (self.read_bytes * 4).min(READ_BYTES_MAX);
                }
            }
            Err(error) => tracing::debug!(%error, "an upstream's connection broke"),
        }
        Poll::Ready(read)
    }
}
