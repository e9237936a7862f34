//! What workers tell, item by item, to whoever listens at that moment: as much a second as a
//! listener can have, through a queue of its own. Nothing waits for a listener: what has no room
//! is counted, and told with what comes next. While nobody listens all of it is one flag.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use crate::policy::one_in::OneIn;
use crate::telemetry::decisions::{Decision, Filter, Settled};

/// What a worker tells a listener in a second, at most and on the average: more than anybody reads,
/// and 50 KB.
const TOLD_A_SECOND: u64 = 200;

/// A listener, as workers know it.
#[derive(Debug)]
pub(crate) struct Ear {
    /// What it asks for.
    pub filter: Filter,
    /// Its queue.
    pub to: Sender<Bytes>,
}

/// All listeners.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    is_heard: AtomicBool,
    ears: ArcSwap<Vec<Arc<Ear>>>,
}

impl Feed {
    /// Whether anybody listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.is_heard.load(Ordering::Relaxed)
    }

    /// These listen from now on, and nobody else.
    pub(crate) fn is_heard_by(&self, ears: Vec<Arc<Ear>>) {
        let any = !ears.is_empty();
        self.ears.store(Arc::new(ears));
        self.is_heard.store(any, Ordering::Relaxed);
    }
}

/// A worker's own part: what it has told whom.
#[derive(Debug, Default)]
pub(crate) struct Teller(RefCell<Own>);

#[derive(Debug, Default)]
struct Own {
    /// The listeners as they were last seen.
    ears: Arc<Vec<Arc<Ear>>>,
    /// What each has had, in their order.
    told: Vec<Told>,
}

#[derive(Debug)]
struct Told {
    ear: Arc<Ear>,
    one_in: OneIn,
    /// What it was not told since it was last told something, beside what went by.
    lost: u64,
}

impl Teller {
    /// Tells all who ask for it. `decision` is made where anybody hears it.
    pub(crate) fn tell(&self, feed: &Feed, settled: &Settled, decision: impl Fn() -> Decision) {
        let mut own = self.0.borrow_mut();
        own.looks_at(feed);
        let mut made = None;
        for told in &mut own.told {
            if !told.ear.filter.wants(settled) {
                continue;
            }
            if let Some(stands_for) = told.one_in.takes(|most| fastrand::u64(1..=most)) {
                let decision = made.get_or_insert_with(&decision);
                told.tell(decision, stands_for - 1);
            }
        }
    }

    /// A second begins.
    pub(crate) fn begins_second(&self, feed: &Feed) {
        let mut own = self.0.borrow_mut();
        own.looks_at(feed);
        for told in &own.told {
            told.one_in.begins_second();
        }
    }
}

impl Own {
    fn looks_at(&mut self, feed: &Feed) {
        let now = feed.ears.load();
        if Arc::ptr_eq(&now, &self.ears) {
            return;
        }
        self.told
            .retain(|told| now.iter().any(|ear| Arc::ptr_eq(ear, &told.ear)));
        for ear in &**now {
            if !self.told.iter().any(|told| Arc::ptr_eq(ear, &told.ear)) {
                self.told.push(Told {
                    ear: Arc::clone(ear),
                    one_in: OneIn::new(TOLD_A_SECOND),
                    lost: 0,
                });
            }
        }
        self.ears = Arc::clone(&now);
    }
}

impl Told {
    fn tell(&mut self, decision: &Decision, went_by: u64) {
        let skipped = self.lost.saturating_add(went_by);
        let event = decision.event(skipped);
        self.lost = match self.ear.to.try_send(event.into()) {
            Ok(()) => 0,
            Err(TrySendError::Full(_)) => skipped.saturating_add(1),
            // Nobody will ask.
            Err(TrySendError::Closed(_)) => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::domain::category::Category;
    use crate::domain::outcome::Reason;
    use crate::telemetry::decisions::Outcome;

    fn settled(category: Category) -> Settled {
        Settled {
            project: None,
            category,
            outcome: Outcome::Dropped,
            reason: Some(Reason::Rate),
            items: 1,
            bytes: 2,
        }
    }

    fn listener(query: &str, room: usize) -> (Arc<Ear>, Receiver<Bytes>) {
        let (to, heard) = channel(room);
        let filter = Filter::read(query).unwrap();
        (Arc::new(Ear { filter, to }), heard)
    }

    fn tell(teller: &Teller, feed: &Feed, category: Category) {
        let settled = settled(category);
        teller.tell(feed, &settled, || Decision {
            at_ms: 0,
            settled,
            key: None,
            client: None,
        });
    }

    /// The category and what was skipped, of all that waits.
    fn heard(receiver: &mut Receiver<Bytes>) -> Vec<(String, u64)> {
        let next = || receiver.try_recv().ok();
        let told = std::iter::from_fn(next).map(|event| {
            let text = String::from_utf8(event.to_vec()).unwrap();
            let json = text.strip_prefix("data: ").unwrap();
            let event: Value = serde_json::from_str(json).unwrap();
            let category = event["category"].as_str().unwrap().to_owned();
            (category, event["skipped"].as_u64().unwrap())
        });
        told.collect()
    }

    #[test]
    fn each_hears_what_it_asks_for() {
        let (feed, teller) = (Feed::default(), Teller::default());
        let (errors, mut of_errors) = listener("category=error", 9);
        let (all, mut of_all) = listener("", 9);
        assert!(!feed.is_heard());
        feed.is_heard_by(vec![errors, Arc::clone(&all)]);
        assert!(feed.is_heard());
        tell(&teller, &feed, Category::Error);
        tell(&teller, &feed, Category::Session);
        assert_eq!(heard(&mut of_errors), [("error".to_owned(), 0)]);
        assert_eq!(heard(&mut of_all).len(), 2);
        feed.is_heard_by(vec![all]);
        tell(&teller, &feed, Category::Error);
        assert_eq!(heard(&mut of_errors), [], "it is gone");
        assert!(of_errors.is_closed());
        assert_eq!(heard(&mut of_all).len(), 1, "it stays");
        feed.is_heard_by(Vec::new());
        assert!(!feed.is_heard());
    }

    #[test]
    fn what_has_no_room_is_told_as_a_number() {
        let (feed, teller) = (Feed::default(), Teller::default());
        let (slow, mut of_slow) = listener("", 2);
        feed.is_heard_by(vec![slow]);
        for _ in 0..5 {
            tell(&teller, &feed, Category::Error);
        }
        let error = |skipped| ("error".to_owned(), skipped);
        assert_eq!(heard(&mut of_slow), [error(0), error(0)]);
        tell(&teller, &feed, Category::Error);
        tell(&teller, &feed, Category::Error);
        assert_eq!(heard(&mut of_slow), [error(3), error(0)]);
    }

    #[test]
    fn under_load_a_share_is_told_and_the_rest_is_a_number() {
        let (feed, teller) = (Feed::default(), Teller::default());
        let (busy, mut of_busy) = listener("category=error", 10_000);
        let (calm, mut of_calm) = listener("category=session", 10_000);
        feed.is_heard_by(vec![busy, calm]);
        let (mut told, mut stood) = (0, 0);
        for _ in 0..10 {
            for _ in 0..20_000 {
                tell(&teller, &feed, Category::Error);
            }
            tell(&teller, &feed, Category::Session);
            teller.begins_second(&feed);
            for (_, skipped) in heard(&mut of_busy) {
                told += 1;
                stood += skipped + 1;
            }
        }
        let most = TOLD_A_SECOND * 10 + 500;
        assert!((TOLD_A_SECOND * 5..most).contains(&told), "{told}");
        assert!((180_000..=200_000).contains(&stood), "{stood}");
        // A flood of what somebody else asks for takes nothing from it.
        assert_eq!(heard(&mut of_calm).len(), 10);
    }
}
