//! Answers that go on: who listens to what, as server-sent events. Of each kind there is a bounded
//! number of listeners, each with a short queue. Never waits for any.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Either;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{Desk, Going, decisions, error_answer, guard, live, not_allowed};

/// Listeners of a kind at one time: a team's screens.
pub(super) const SEATS_MAX: usize = 16;

/// Events that wait for one dashboard: some sixteen seconds.
const QUEUE_MAX: usize = 8;

/// Whoever hears all that there is. One whose queue is full does not read, and loses its place.
#[derive(Debug, Default)]
pub(super) struct Seats(Vec<Seat>);

/// A listener's place.
#[derive(Debug)]
pub(super) struct Seat {
    /// Its queue.
    pub sender: Sender<Bytes>,
    /// Ends the connection, on which a peer that does not read may leave anything.
    hang_up: Rc<Notify>,
}

/// The body of an answer that goes on. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Listening(Receiver<Bytes>);

/// Whether an answer at this path goes on.
pub(super) fn goes_on(path: &str) -> bool {
    path == live::PATH || path == decisions::PATH
}

impl Desk {
    /// The answer at a path that goes on. `hang_up` ends the connection.
    pub(super) fn listen<B>(
        &self,
        request: &Request<B>,
        ends: guard::Ends,
        hang_up: Rc<Notify>,
    ) -> Going {
        if let Err(denied) = guard::check(&self.reloader.config().admin, request, ends) {
            return error_answer(denied.status, denied.detail).map(Either::Left);
        }
        if request.method() != Method::GET {
            return not_allowed("GET").map(Either::Left);
        }
        if self.shared.stopping.load(Ordering::Relaxed) {
            return busy("the edge is stopping");
        }
        match request.uri().path() {
            decisions::PATH => self.hear_decisions(request.uri().query(), hang_up),
            _ => self.watch(request.headers(), hang_up),
        }
    }
}

/// An answer that goes on.
pub(super) fn stream(listening: Listening) -> Going {
    let mut answer = Response::new(Either::Right(listening));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // What stands in front is asked not to keep it until it is whole, which it never is.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer
}

/// There is no place for another.
pub(super) fn busy(detail: &str) -> Going {
    let mut answer = error_answer(StatusCode::SERVICE_UNAVAILABLE, detail);
    let headers = answer.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
    answer.map(Either::Left)
}

impl Seat {
    /// A place with room for so many events, and a first to hear.
    pub(super) fn new(room: usize, first: Bytes, hang_up: Rc<Notify>) -> (Self, Listening) {
        let (sender, receiver) = channel(room);
        sender
            .try_send(first)
            .expect("a new queue has room for one");
        (Self { sender, hang_up }, Listening(receiver))
    }

    /// Ends the connection.
    pub(super) fn hang_up(&self) {
        self.hang_up.notify_one();
    }
}

impl Seats {
    /// A place, with a first event to hear. `None`: all are taken.
    pub(super) fn take(&mut self, first: Bytes, hang_up: Rc<Notify>) -> Option<Listening> {
        self.0.retain(|seat| !seat.sender.is_closed());
        if self.0.len() >= SEATS_MAX {
            return None;
        }
        let (seat, listening) = Seat::new(QUEUE_MAX, first, hang_up);
        self.0.push(seat);
        Some(listening)
    }

    /// Whether nobody listens.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells all; hangs up on those who do not keep up.
    pub(super) fn tell(&mut self, event: &Bytes) {
        self.0.retain(|seat| {
            let told = seat.sender.try_send(event.clone()).is_ok();
            if !told {
                seat.hang_up();
            }
            told
        });
    }

    /// Ends all listening, once what was told is read.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Body for Listening {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.poll_recv(context);
        next.map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sit(seats: &mut Seats) -> Option<Listening> {
        seats.take(Bytes::from_static(b"first"), Rc::default())
    }

    #[test]
    fn there_are_so_many_places_and_one_that_is_left_is_free() {
        let mut seats = Seats::default();
        let mut taken: Vec<_> = (0..SEATS_MAX).map(|_| sit(&mut seats).unwrap()).collect();
        assert!(sit(&mut seats).is_none(), "one too many");
        assert!(live::FULL.starts_with(&SEATS_MAX.to_string()));
        assert!(decisions::FULL.starts_with(&SEATS_MAX.to_string()));
        drop(taken.pop());
        assert!(sit(&mut seats).is_some());
    }

    #[test]
    fn whoever_does_not_read_loses_the_place_and_others_do_not() {
        let mut seats = Seats::default();
        let hang_up = Rc::new(Notify::new());
        let slow = seats.take(Bytes::new(), Rc::clone(&hang_up)).unwrap();
        let mut quick = sit(&mut seats).unwrap();
        for _ in 0..QUEUE_MAX {
            while quick.0.try_recv().is_ok() {}
            seats.tell(&Bytes::from_static(b"more"));
        }
        assert_eq!(seats.0.len(), 1);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(hang_up.notified());
        assert!(quick.0.try_recv().is_ok());
        drop(slow);
    }

    #[test]
    fn the_end_comes_behind_what_was_told() {
        let mut seats = Seats::default();
        let mut listening = sit(&mut seats).unwrap();
        seats.clear();
        assert!(listening.0.try_recv().is_ok());
        assert!(listening.0.try_recv().is_err());
        assert!(listening.0.is_closed());
    }
}
