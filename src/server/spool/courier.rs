//! The clerk's work once the directory is another process's: what workers bring goes there, and
//! what they say of it. Never keeps anything itself; where the other process is gone it takes
//! the directory back, and all that was under way with it.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::abroad::{Estate, awaited};
use super::beginning::{Plan, Taken};
use super::clerk::BATCH_MAX;
use super::log::{DiskError, RealDisk};
use super::orders::{Order, Steer, Wanted};
use super::replay::NextUp;
use super::{Abroad, Due, End, Kept, NotKept, queued_bytes};
use crate::domain::outcome::Reason;
use crate::server::handover::post::Post;

/// How often it is looked whether there is nobody left to work for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the directory is asked for where the post has broken: the system may take a moment
/// to let go of what a killed process held.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often, meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// The way to the other process.
pub(super) struct Courier {
    /// `None`: it is broken.
    post: Option<Post>,
    /// How to begin again.
    plan: Plan,
    /// What is under way here.
    going: HashMap<u64, Abroad>,
}

/// What came of trying to take the directory back.
enum Back {
    Taken(Box<Taken>),
    NotYet(Courier),
}

impl Courier {
    /// Begins with what was under way.
    pub(super) fn new(post: Post, plan: Plan, going: &[(Kept, Abroad)]) -> Self {
        let going = going.iter().map(|(kept, abroad)| (kept.0, *abroad));
        Self {
            post: Some(post),
            plan,
            going: going.collect(),
        }
    }

    /// Carries until it is told to end, or has the directory back.
    pub(super) fn carry(mut self, orders: &Receiver<Order>) -> Option<Taken> {
        loop {
            let first = match orders.recv_timeout(LOOK_EVERY) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return None,
            };
            let more = orders.try_iter().take(BATCH_MAX - 1);
            let mut wanted = Vec::new();
            let mut others = Vec::new();
            for order in std::iter::once(first).chain(more) {
                match order {
                    Order::Keep(keep) => wanted.push(keep),
                    Order::Steer(other) => others.push(other),
                }
            }
            let unkept = self.keep(wanted);
            if !unkept.is_empty() {
                match self.take_back(unkept) {
                    Back::Taken(taken) => return Some(taken.before(others)),
                    Back::NotYet(own) => self = own,
                }
            }
            let mut others = others.into_iter();
            while let Some(order) = others.next() {
                match order {
                    Steer::End { kept, end } => self.end(kept, &end),
                    Steer::Next { told, .. } => drop(told.send(NextUp::default())),
                    Steer::TakeBack { told } => match self.take_back(Vec::new()) {
                        Back::Taken(taken) => {
                            told.send(true).ok();
                            return Some(taken.before(others));
                        }
                        Back::NotYet(own) => {
                            told.send(false).ok();
                            self = own;
                        }
                    },
                    // Whoever asks is told that nobody answers.
                    Steer::Overview { .. } | Steer::Purge { .. } | Steer::Yield { .. } => {}
                    Steer::Alone => {}
                    Steer::Close => return None,
                }
            }
        }
    }

    /// Has requests kept. Yields those of which nobody knows what became.
    fn keep(&mut self, wanted: Vec<Wanted>) -> Vec<Wanted> {
        let Some(post) = self.post.as_ref().filter(|_| !wanted.is_empty()) else {
            return wanted;
        };
        let sent = wanted
            .iter()
            .try_for_each(|one| post.keep(&one.parcel, one.due))
            .and_then(|()| post.flush());
        let mut waiting = wanted.into_iter();
        let answered = sent.and_then(|()| {
            while !waiting.as_slice().is_empty() {
                let answer = post.answer()?;
                let Some(one) = waiting.next() else {
                    break;
                };
                self.plan
                    .queued_bytes
                    .fetch_sub(queued_bytes(&one.parcel), Relaxed);
                if let Ok(kept) = answer
                    && one.due == Due::WhenTold
                {
                    let abroad = Abroad {
                        late: true,
                        maybe_sent: one.parcel.maybe_sent,
                        purged: false,
                    };
                    self.going.insert(kept.0, abroad);
                }
                // Nobody waits for it any more, and it stands in no book: it goes again.
                if let (Err(_), Ok(kept)) = (one.told.send(answer), answer) {
                    post.end(kept, &End::Refused(Reason::Internal))?;
                }
            }
            Ok(())
        });
        if let Err(error) = answered {
            self.is_broken(&error);
        }
        waiting.collect()
    }

    fn is_broken(&mut self, error: &io::Error) {
        tracing::warn!(%error, "the process that took over keeps nothing for this one any more");
        self.post = None;
    }

    /// Says what became of a request.
    fn end(&mut self, kept: Kept, end: &End) {
        self.going.remove(&kept.0);
        let told = self.post.as_ref().map(|post| post.end(kept, end));
        if let Some(Err(error)) = told {
            self.is_broken(&error);
        }
    }

    /// Takes the directory back, with these to be kept, if that goes soon. Else they are refused.
    ///
    /// All that lies there stays, whoever wrote it. Among it may be what was brought to the other
    /// process and is brought again, as its answer was not heard: better twice than never, since
    /// nobody can tell it from what that process promised its own clients.
    fn take_back(self, wanted: Vec<Wanted>) -> Back {
        let until = Instant::now() + PATIENCE;
        let disk = loop {
            match RealDisk::open(&self.plan.path) {
                Ok(disk) => break disk,
                Err(DiskError::Busy(_)) if Instant::now() < until => {
                    std::thread::sleep(ASK_EVERY);
                }
                Err(error) => {
                    tracing::warn!(%error, "spool.path cannot be taken back");
                    return Back::NotYet(self.refuse(wanted));
                }
            }
        };
        let going = self.going.iter();
        let abroad = going.map(|(order, abroad)| (*order, awaited(*abroad, false)));
        let estate = Estate {
            booked: true,
            abroad: abroad.collect(),
            orders: Vec::new(),
        };
        match self.plan.clone().take_up(disk, estate) {
            Ok(taken) => Back::Taken(Box::new(taken.keeping(wanted))),
            Err(error) => {
                tracing::error!(%error, "spool.path cannot be read again");
                Back::NotYet(self.refuse(wanted))
            }
        }
    }

    fn refuse(self, wanted: Vec<Wanted>) -> Self {
        for one in wanted {
            self.plan
                .queued_bytes
                .fetch_sub(queued_bytes(&one.parcel), Relaxed);
            one.told.send(Err(NotKept::Busy)).ok();
        }
        self
    }
}
