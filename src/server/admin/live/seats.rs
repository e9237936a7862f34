//! Who listens: a bounded number of listeners, each with a short queue. One whose queue is full
//! does not read, and loses its place. Never waits for any.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Listeners at one time: a team's screens. Each costs what is told to it, twice at most.
pub(super) const SEATS_MAX: usize = 16;

/// Why there is no place for another.
pub(super) const FULL: &str = "16 dashboards listen already, and no more can: close one";

/// Events that wait for one listener: some sixteen seconds.
const QUEUE_MAX: usize = 8;

/// All listeners.
#[derive(Debug, Default)]
pub(super) struct Seats(Vec<Seat>);

#[derive(Debug)]
struct Seat {
    sender: Sender<Bytes>,
    /// Ends the connection, on which a peer that does not read may leave anything.
    hang_up: Rc<Notify>,
}

/// The body of an answer that goes on. Dropping it frees the place.
#[derive(Debug)]
pub(in crate::server::admin) struct Listening(Receiver<Bytes>);

impl Seats {
    /// A place, with a first event to hear. `None`: all are taken.
    pub(super) fn take(&mut self, first: Bytes, hang_up: Rc<Notify>) -> Option<Listening> {
        self.0.retain(|seat| !seat.sender.is_closed());
        if self.0.len() >= SEATS_MAX {
            return None;
        }
        let (sender, receiver) = channel(QUEUE_MAX);
        sender.try_send(first).ok()?;
        self.0.push(Seat { sender, hang_up });
        Some(Listening(receiver))
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
                seat.hang_up.notify_one();
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
        assert!(FULL.starts_with(&SEATS_MAX.to_string()));
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
