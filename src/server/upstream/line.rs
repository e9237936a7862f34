//! One open upstream connection, moved on by whoever uses it: a request's own
//! task writes it, reads it and takes its answer's body, so that no exchange waits
//! for a second task to be scheduled. Nobody moves it while it lies idle; whether
//! it still stands is seen by the next look.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::super::body::Outgoing;
use super::connect::UpstreamIo;
use super::pool::Slot;
use super::signal::Signal;
use super::talk::Talk;

/// hyper's half of a connection that does the work.
type Driver = Connection<TokioIo<UpstreamIo>, Outgoing>;

/// What comes back for a request.
type Answered = Result<Response<Incoming>, TrySendError<Request<Outgoing>>>;

/// One open connection. Dropping it closes the socket, whatever is under way.
#[derive(Debug)]
pub(crate) struct Line {
    /// What goes on on it.
    pub talk: Rc<Talk>,
    /// The server's address.
    pub address: SocketAddr,
    sender: SendRequest<Outgoing>,
    /// `None` once it is over: what it still held has been handed back.
    driver: Option<Pin<Box<Driver>>>,
    signal: Arc<Signal>,
    /// The signal as hyper takes it.
    waker: Waker,
    /// Whom the signal wakes.
    mover: Option<Waker>,
    _slot: Slot,
}

impl Line {
    /// A connection on which nothing has been said.
    pub(crate) fn new(
        sender: SendRequest<Outgoing>,
        driver: Driver,
        talk: Rc<Talk>,
        address: SocketAddr,
        slot: Slot,
    ) -> Self {
        let signal = Arc::new(Signal::default());
        let waker = Waker::from(Arc::clone(&signal));
        talk.is_signalled_by(waker.clone());
        Self {
            talk,
            address,
            sender,
            driver: Some(Box::pin(driver)),
            signal,
            waker,
            mover: None,
            _slot: slot,
        }
    }

    /// Sends a request and drives the connection until its answer's head is here.
    /// Dropped before that, the future leaves the line fit for nothing but to be
    /// dropped too.
    pub(crate) async fn ask(&mut self, request: Request<Outgoing>) -> Answered {
        let answer = {
            // hyper wakes its driver for the request, and the signal still goes
            // to whoever used the connection last.
            let _deaf = self.signal.deafen();
            self.sender.try_send_request(request)
        };
        let mut answer = std::pin::pin!(answer);
        std::future::poll_fn(|cx| {
            self.drive(cx.waker());
            // Only `drive` can bring it, and it has just been called: a waker of
            // its own would schedule this task once more for nothing.
            answer
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    /// What hyper has of the answer's body, else what the connection brings now.
    pub(crate) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut Incoming,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let here = self.look_at(body);
        if here.is_ready() {
            return here;
        }
        self.drive(cx.waker());
        let brought = self.look_at(body);
        self.talk.wants_more(brought.is_pending());
        brought
    }

    /// What hyper has of the body. Asking tells its driver to read on, which is
    /// done by calling it, not by a wake; and only calling it brings more, so that
    /// the body needs no waker.
    fn look_at(&self, body: &mut Incoming) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let _deaf = self.signal.deafen();
        Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    /// Whether it can take a request, as far as is known. One that the upstream
    /// has closed meanwhile is found out by the request's first step, before a
    /// byte is written: it hands the request back.
    pub(crate) fn is_ready(&mut self) -> bool {
        self.is_open() && self.sender.is_ready() || self.looks_ready()
    }

    /// The same, after a look at what happened on it while nobody used it.
    pub(crate) fn looks_ready(&mut self) -> bool {
        self.drive(Waker::noop());
        self.is_open() && self.sender.is_ready()
    }

    /// Whether it stood when it was last looked at.
    pub(crate) fn is_open(&self) -> bool {
        self.driver.is_some() && !self.sender.is_closed()
    }

    /// Writes what can be written and reads what is here. `mover` is woken when
    /// there is more to do, or when the upstream was silent too long.
    fn drive(&mut self, mover: &Waker) {
        let Some(driver) = &mut self.driver else {
            return;
        };
        if !self
            .mover
            .as_ref()
            .is_some_and(|known| known.will_wake(mover))
        {
            self.signal.goes_to(mover);
            self.mover = Some(mover.clone());
        }
        if self.talk.is_silent() {
            self.driver = None;
            return;
        }
        // Not deaf here: the driver wakes itself when it yields before its work is done.
        let polled = driver.as_mut().poll(&mut Context::from_waker(&self.waker));
        if let Poll::Ready(ended) = polled {
            if let Err(error) = ended {
                tracing::debug!(%error, "upstream connection broke");
            }
            self.driver = None;
        }
    }
}
