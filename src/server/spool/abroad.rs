//! What is kept here while another process still sends it, or waits for an answer to it: the
//! one before this, which hands over. Owns what is known of that; what becomes of them is told
//! like any other end.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::beginning::{Plan, Taken};
use super::clerk::{Clerk, Going};
use super::courier::Courier;
use super::orders::{Order, Steer, Wanted, Whose};
use super::parcel::Parcel;
use super::{Due, End, Kept, NotKept, Spool};
use crate::server::handover::post::Post;

/// A request whose end another process will tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abroad {
    /// Its upstream was asked before it was kept.
    pub late: bool,
    /// And may have taken it.
    pub maybe_sent: bool,
    /// An operator has dropped it: unless it is taken it is overwritten.
    pub purged: bool,
}

/// What is known of what lies in the directory before it is read.
#[derive(Debug, Default)]
pub(crate) struct Heritage {
    /// It stands in the books already.
    pub booked: bool,
    /// What another process is sending, or has an answer to come.
    pub abroad: Vec<(Kept, Abroad)>,
}

impl Spool {
    /// The same for a request of the process before this one, which will tell its end: what is
    /// yielded says when it is kept.
    pub(crate) fn bring(
        &self,
        parcel: Parcel,
        due: Due,
    ) -> Result<oneshot::Receiver<Result<Kept, NotKept>>, NotKept> {
        self.want(parcel, due, Whose::Abroad)
    }

    /// Gives the directory to another process, and what is to be kept from now on to the post.
    /// Yields what is under way here. `None`: the clerk does not answer.
    pub(crate) async fn hand_over(&self, post: Post) -> Option<Vec<(Kept, Abroad)>> {
        if self.desk.is_none() {
            return Some(Vec::new());
        }
        self.ask(|told| Steer::Yield { post, told }).await
    }

    /// Takes the directory back from a process that is gone. `false`: somebody has it still.
    pub(crate) async fn take_back(&self) -> bool {
        match self.desk {
            None => true,
            Some(_) => self.ask(|told| Steer::TakeBack { told }).await == Some(true),
        }
    }

    /// The process before this one is gone: what it was sending is sent here.
    pub(crate) fn is_alone(&self) {
        if let Some(desk) = &self.desk {
            // An answer that is waited for is lost only where the clerk is.
            desk.orders.send(Order::Steer(Steer::Alone)).ok();
        }
    }
}

/// One that is to be carried, and whose end is awaited.
#[derive(Debug)]
pub(super) struct Awaited {
    pub(super) going: Going,
    /// It came before its request was carried.
    pub(super) end: Option<End>,
}

/// What is known of what lies in the directory.
#[derive(Default)]
pub(super) struct Estate {
    /// It stands in the books already.
    pub(super) booked: bool,
    pub(super) abroad: HashMap<u64, Awaited>,
    /// What was ordered meanwhile.
    pub(super) orders: Vec<Order>,
}

impl From<Heritage> for Estate {
    fn from(heritage: Heritage) -> Self {
        let awaited = |(kept, abroad): (Kept, Abroad)| (kept.0, awaited(abroad, true));
        Self {
            booked: heritage.booked,
            abroad: heritage.abroad.into_iter().map(awaited).collect(),
            ..Self::default()
        }
    }
}

/// A request under way, with another process or with this one.
pub(super) const fn awaited(abroad: Abroad, with_another: bool) -> Awaited {
    Awaited {
        going: Going {
            late: abroad.late,
            maybe_sent: abroad.maybe_sent,
            purged: abroad.purged,
            abroad: with_another,
        },
        end: None,
    }
}

impl Taken {
    /// Begins with keeping these.
    pub(super) fn keeping(mut self, wanted: Vec<Wanted>) -> Self {
        let wanted = wanted.into_iter().map(Order::Keep);
        self.estate.orders.extend(wanted);
        self
    }

    /// Does these before all that comes.
    pub(super) fn before(mut self, others: impl IntoIterator<Item = Steer>) -> Self {
        let others = others.into_iter().map(Order::Steer);
        self.estate.orders.extend(others);
        self
    }
}

impl Clerk {
    /// An end of one that is not carried yet stands until it is.
    pub(super) fn ends_before_it_is_carried(&mut self, order: u64, end: &End) {
        if let Some(awaited) = self.abroad.get_mut(&order) {
            awaited.end = Some(end.clone());
        }
    }

    /// The other process is gone: what it has not told of is sent here, in its turn.
    pub(super) fn is_alone(&mut self) {
        self.abroad.retain(|_, awaited| awaited.end.is_some());
        let going = self.going.iter();
        let untold: Vec<u64> = going
            .filter_map(|(order, going)| going.abroad.then_some(*order))
            .collect();
        for order in untold {
            self.end(Kept(order), &End::Unsent);
        }
        self.due.notify_one();
    }

    /// Writes down what is done, lets go of the directory, and says what is under way.
    pub(super) fn hand_over(
        mut self,
        post: Post,
        told: oneshot::Sender<Vec<(Kept, Abroad)>>,
    ) -> Courier {
        // What stands in no book yet would never stand in one.
        while !self.uncarried.is_empty() {
            self.carry();
        }
        self.log.close();
        let abroad = |going: &Going| Abroad {
            late: going.late,
            maybe_sent: going.maybe_sent,
            purged: going.purged,
        };
        let going = self.going.iter();
        let going: Vec<_> = going
            .map(|(order, going)| (Kept(*order), abroad(going)))
            .collect();
        let plan = Plan {
            path: self.path,
            rules: self.rules,
            ledger: self.ledger,
            reports: self.reports,
            state: self.state,
            due: self.due,
            queued_bytes: self.queued_bytes,
            epoch: self.epoch,
        };
        let courier = Courier::new(post, plan, &going);
        let disk = self.log.disk().clone();
        drop(self.log);
        disk.release();
        // Who asked may have given up: then it asks to take it back.
        told.send(going).ok();
        courier
    }
}
