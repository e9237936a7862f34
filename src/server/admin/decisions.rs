//! `/api/v1/decisions`: what becomes of each item, told to whoever listens as it happens. Owns who
//! listens. One that does not keep up is told less, and how much less; one that reads nothing for
//! a while loses its place. Never decides what becomes of an item.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Either;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::listening::{Listening, SEATS_MAX, Seat, busy, stream};
use super::{Desk, Going, error_answer};
use crate::server::feed::{Ear, Feed};
use crate::telemetry::decisions::Filter;

/// The path.
pub(super) const PATH: &str = "/api/v1/decisions";

/// Why there is no place for another.
pub(super) const FULL: &str = "16 listen to decisions already, and no more can: end one";

/// Events that wait for one listener: some 120 KB, and at least two seconds of one worker.
const QUEUE_MAX: usize = 512;

/// How often it is looked who is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// After so many looks each hears a comment: whoever stands between closes connections on which
/// nothing comes, mostly after 30 s or a minute.
const COMMENT_EVERY: u32 = 15;

/// So many looks in a row find the queue of one full that reads nothing.
const FULL_MAX: u32 = 60;

/// What is no event: a listener knows by it that it listens.
const COMMENT: Bytes = Bytes::from_static(b": vidette\n\n");

/// Who listens.
#[derive(Debug, Default)]
pub(in crate::server) struct Decisions(RefCell<Vec<Place>>);

#[derive(Debug)]
struct Place {
    seat: Seat,
    ear: Arc<Ear>,
    /// Looks in a row that found its queue full.
    full: u32,
}

impl Decisions {
    /// A place for another.
    fn take(&self, feed: &Feed, filter: Filter, hang_up: Rc<Notify>) -> Option<Listening> {
        let mut places = self.0.borrow_mut();
        places.retain(|place| !place.seat.sender.is_closed());
        if places.len() >= SEATS_MAX {
            return None;
        }
        let (seat, listening) = Seat::new(QUEUE_MAX, COMMENT, hang_up);
        let to = seat.sender.clone();
        places.push(Place {
            seat,
            ear: Arc::new(Ear { filter, to }),
            full: 0,
        });
        publish(&places, feed);
        Some(listening)
    }

    /// Lets go of who has left, and of who reads nothing.
    fn look(&self, feed: &Feed, comments: bool) {
        let mut places = self.0.borrow_mut();
        let before = places.len();
        places.retain_mut(Place::stays);
        if comments {
            for place in &*places {
                // One whose queue is full hears enough.
                place.seat.sender.try_send(COMMENT).ok();
            }
        }
        if places.len() != before {
            publish(&places, feed);
        }
    }

    /// Ends all listening.
    fn clear(&self, feed: &Feed) {
        if !self.0.take().is_empty() {
            publish(&[], feed);
        }
    }
}

impl Place {
    fn stays(&mut self) -> bool {
        let sender = &self.seat.sender;
        self.full = match sender.capacity() {
            0 => self.full + 1,
            _ => 0,
        };
        let reads = self.full < FULL_MAX;
        if !reads {
            self.seat.hang_up();
        }
        reads && !sender.is_closed()
    }
}

fn publish(places: &[Place], feed: &Feed) {
    let ears = places.iter().map(|place| Arc::clone(&place.ear));
    feed.is_heard_by(ears.collect());
}

impl Desk {
    /// `/api/v1/decisions`. `hang_up` ends the connection.
    pub(super) fn hear_decisions(&self, query: Option<&str>, hang_up: Rc<Notify>) -> Going {
        let filter = match Filter::read(query.unwrap_or_default()) {
            Ok(filter) => filter,
            Err(error) => {
                let answer = error_answer(StatusCode::BAD_REQUEST, &error.to_string());
                return answer.map(Either::Left);
            }
        };
        let taken = self.decisions.take(&self.shared.feed, filter, hang_up);
        taken.map_or_else(|| busy(FULL), stream)
    }
}

/// Looks after the listeners until the control thread ends. A stop ends all listening.
pub(in crate::server) async fn keep(desk: Rc<Desk>) {
    let mut ticks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0_u32;
    loop {
        ticks.tick().await;
        looks = looks.wrapping_add(1);
        let feed = &desk.shared.feed;
        match desk.shared.stopping.load(Ordering::Relaxed) {
            true => desk.decisions.clear(feed),
            false => desk
                .decisions
                .look(feed, looks.is_multiple_of(COMMENT_EVERY)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_nobody_is_told_of_one_that_is_left() {
        let (decisions, feed) = (Decisions::default(), Feed::default());
        let take = || decisions.take(&feed, Filter::default(), Rc::default());
        let mut taken: Vec<_> = (0..SEATS_MAX).map(|_| take().unwrap()).collect();
        assert!(take().is_none(), "one too many");
        drop(taken.pop());
        taken.push(take().unwrap());
        assert!(feed.is_heard());
        drop(taken);
        decisions.look(&feed, false);
        assert!(!feed.is_heard());
    }

    #[test]
    fn who_reads_nothing_for_a_minute_loses_the_place() {
        let (decisions, feed) = (Decisions::default(), Feed::default());
        let hang_up = Rc::new(Notify::new());
        let deaf = decisions.take(&feed, Filter::default(), Rc::clone(&hang_up));
        for _ in 1..QUEUE_MAX {
            decisions.look(&feed, true);
        }
        assert_eq!(decisions.0.borrow()[0].seat.sender.capacity(), 0);
        for _ in 1..FULL_MAX {
            decisions.look(&feed, true);
            assert!(feed.is_heard());
        }
        decisions.look(&feed, true);
        assert!(!feed.is_heard());
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(hang_up.notified());
        drop(deaf);
    }

    #[test]
    fn a_stop_ends_all_listening() {
        let (decisions, feed) = (Decisions::default(), Feed::default());
        let listening = decisions.take(&feed, Filter::default(), Rc::default());
        decisions.clear(&feed);
        assert!(!feed.is_heard());
        drop(listening);
    }
}
