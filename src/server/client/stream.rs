//! A client's body as it comes: within its limit, as long as it keeps coming. Passes
//! hyper's chunks on, never a copy; never looks into them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::domain::coding::DecodeError;
use crate::domain::envelope::scan::ScanError;
use crate::telemetry::labels::Route;

use crate::server::access_log::visit::Visit;
use crate::server::client::client_io::Pulse;
use crate::server::ingest::chunks::total_bytes;
use crate::server::passage::upload::Upload;
use crate::server::worker::Worker;

/// Why a body did not arrive whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client closed, reset, or broke its framing.
    #[error("the client left before its body was complete")]
    Gone,
    /// No byte for `limits.body_idle`.
    #[error("the client's body stood still")]
    Slow,
    /// Over its route's limit.
    #[error("the body is over its limit")]
    TooLarge,
    /// It does not decode within its limits.
    #[error("the body does not decode")]
    Coding(DecodeError),
    /// Its items cannot be told apart.
    #[error(transparent)]
    Envelope(ScanError),
    /// A limit has no room for the rest of an item that is under way.
    #[error("a limit has no room for the rest of the body")]
    Full,
    /// The file it was read ahead into failed.
    #[error("the body could not be kept on disk")]
    Disk,
}

/// What has to come within `limits.body_idle`: a client that sends a byte now and then moves, and
/// holds its place all the same. A modem of 1980 sends that much in half a minute.
const MOVES_BYTES: u64 = 1024;

/// A client's body as it comes: chunks already read first, then hyper's.
#[derive(Debug)]
pub(crate) struct Stream {
    ahead: VecDeque<Bytes>,
    incoming: Incoming,
    /// `Content-Length`; `None` when chunked.
    announced: Option<u64>,
    received: u64,
    limit: u64,
    idle: Duration,
    patience: Option<Pin<Box<Sleep>>>,
    /// What has come since patience began.
    meanwhile: u64,
    /// Patience was asked since the last chunk: its end is the client's, not of whoever did not
    /// read on.
    is_asked: bool,
    waited: bool,
    on_bytes: Meter,
}

/// Tells the books of each chunk that came in.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    /// The counters of the worker that reads it.
    pub worker: Rc<Worker>,
    /// The route it counts under.
    pub route: Route,
    /// What the connection's keeper must know of it.
    pub pulse: Rc<Pulse>,
    /// Its request, as the access log sees it.
    pub visit: Option<Rc<Visit>>,
    /// Its place among the uploads under way, if it is one.
    pub upload: Option<Rc<Upload>>,
}

impl Meter {
    fn add(&self, bytes: u64) {
        self.worker
            .metrics
            .request_bytes
            .at(self.route.index())
            .add(bytes);
        if let Some(visit) = &self.visit {
            visit.receives(bytes);
        }
        if let Some(upload) = &self.upload {
            upload.receives(bytes);
        }
    }
}

impl Stream {
    /// The body of a request, refused beyond `limit` bytes or when it stands
    /// still for `idle`.
    pub(crate) fn new(
        incoming: Incoming,
        announced: Option<u64>,
        limit: u64,
        idle: Duration,
        on_bytes: Meter,
    ) -> Self {
        Self {
            ahead: VecDeque::new(),
            incoming,
            announced,
            received: 0,
            limit,
            idle,
            patience: None,
            meanwhile: 0,
            is_asked: false,
            waited: false,
            on_bytes,
        }
    }

    /// `Content-Length`, if the client sent one.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.announced
    }

    /// Somebody had to wait for some of it: what time it was before may be long ago.
    pub(crate) fn has_waited(&self) -> bool {
        self.waited
    }

    /// All of an announced length has been handed on.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.announced == Some(self.received) && self.ahead.is_empty()
    }

    /// How much can still be handed on: up to the announced length, else up to the limit.
    pub(crate) fn left_bytes_max(&self) -> u64 {
        let most = self.announced.unwrap_or(self.limit);
        let coming = most.saturating_sub(self.received);
        total_bytes(&self.ahead).saturating_add(coming)
    }

    /// Puts chunks that were read for a look back in front.
    pub(crate) fn put_back(&mut self, chunks: VecDeque<Bytes>) {
        let mut chunks = chunks;
        chunks.append(&mut self.ahead);
        self.ahead = chunks;
    }

    /// The next chunk; `None` at the clean end.
    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, BodyError>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// hyper's body back, for one who only wants to throw the rest away.
    pub(crate) fn into_incoming(self) -> Incoming {
        self.incoming
    }

    /// As `chunk`, for one who is polled.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        if let Some(chunk) = self.ahead.pop_front() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
                return self.poll_patience(cx);
            };
            self.is_asked = false;
            return Poll::Ready(match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => Some(self.accept(chunk)),
                    // Trailers end here: nothing upstream reads them.
                    Err(_) => {
                        self.on_bytes.pulse.trailers.set(true);
                        continue;
                    }
                },
                // HTTP/2 tells of a reset after the last byte; the body is whole all the same.
                Some(Err(_)) if self.announced == Some(self.received) => None,
                Some(Err(_)) => Some(Err(BodyError::Gone)),
                None => None,
            });
        }
    }

    fn accept(&mut self, chunk: Bytes) -> Result<Bytes, BodyError> {
        let n = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(n);
        self.on_bytes.add(n);
        if self.patience.is_some() {
            self.meanwhile = self.meanwhile.saturating_add(n);
            if self.meanwhile >= MOVES_BYTES {
                self.patience = None;
            }
        }
        if self.received > self.limit {
            return Err(BodyError::TooLarge);
        }
        Ok(chunk)
    }

    /// The timer exists only while a body makes somebody wait.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.waited = true;
        let (idle, asked) = (self.idle, std::mem::replace(&mut self.is_asked, true));
        let stale = |patience: &Pin<Box<Sleep>>| !asked && patience.is_elapsed();
        if self.patience.as_ref().is_none_or(stale) {
            self.meanwhile = 0;
            self.patience = Some(Box::pin(sleep(idle)));
        }
        let Some(patience) = &mut self.patience else {
            return Poll::Pending;
        };
        ready!(patience.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::Slow)))
    }
}

/// Throws the rest of a refused request's body away, so that its answer is read
/// and its connection stays usable: at most `bytes`, at most until `deadline`.
pub(crate) async fn discard(
    mut incoming: Incoming,
    bytes: u64,
    deadline: Instant,
    pulse: &Pulse,
) -> bool {
    let mut left = bytes;
    let drained = tokio::time::timeout_at(deadline, async {
        while let Some(frame) =
            std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await
        {
            let Ok(frame) = frame else { return false };
            pulse
                .trailers
                .set(pulse.trailers.get() || frame.is_trailers());
            let n = frame
                .data_ref()
                .map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
            match left.checked_sub(n) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    });
    drained.await.unwrap_or(false)
}
