//! How a mirror is sent what is new and what was kept, and what follows from its answer. Never
//! says when.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::request::Parts;

use crate::domain::coding::Coding;
use crate::policy::breaker::Heard;
use crate::policy::pair::Pair;
use crate::telemetry::labels::{MirrorLoss, Upstream};

use super::store::Going;
use super::thread::Desk;
use super::{Body, First, Twin};
use crate::server::ingest::chunks::joined;
use crate::server::ingest::moving::move_head;
use crate::server::spool::attempt::{Leaving, Tried, attempt};
use crate::server::spool::departure::{self, Rewriting, Unpacking};
use crate::server::spool::{End, parcel};
use crate::server::upstream::leave::Leave;
use crate::server::worker::InForce;

impl Desk {
    /// Sends what is new; it stays at hand until it is known what came of it.
    pub(super) fn send(self: &Rc<Self>, rules: &Rc<InForce>, twin: Rc<Twin>, leave: Leave) {
        let number = self.number.get();
        self.number.set(number + 1);
        self.fresh.borrow_mut().insert(number, Rc::clone(&twin));
        let (own, rules) = (Rc::clone(self), Rc::clone(rules));
        tokio::task::spawn_local(async move {
            own.deliver(&rules, (number, twin), leave).await;
            own.fresh.borrow_mut().remove(&number);
            own.changed.notify_one();
        });
    }

    async fn deliver(&self, rules: &InForce, (number, twin): (u64, Rc<Twin>), leave: Leave) {
        let Some(head) = parcel::read_head(&twin.head) else {
            self.give_back(rules, Some(leave), Heard::Nothing);
            return self.counts.loses(MirrorLoss::Damaged, 1);
        };
        let body = match &twin.body {
            Body::Whole(chunks) => departure::Body::Here(joined(chunks)),
            Body::File(spill) => {
                let (file, bytes) = spill.file();
                departure::Body::File(Arc::clone(file), bytes)
            }
        };
        let leaving = self.leaving(
            rules,
            Box::new(head),
            body,
            (Some(twin.sender), twin.envelope),
        );
        let tried = self.attempt(rules, leaving, Duration::ZERO).await;
        self.give_back(rules, Some(leave), tried.heard);
        let maybe_sent = tried.end == End::Again;
        match &tried.end {
            End::Taken => {
                self.counts.sent.fetch_add(1, Relaxed);
                if let (First::Took(first), Some((_, _, mirror))) = (twin.first, &tried.answer) {
                    self.counts.compare(first, *mirror);
                }
            }
            End::Refused(_) | End::Damaged => self.counts.loses(MirrorLoss::Refused, 1),
            // It is kept already, by an heir.
            End::Again | End::Unsent | End::Limited(_)
                if !self.fresh.borrow().contains_key(&number) => {}
            end @ (End::Again | End::Unsent | End::Limited(_)) => {
                let project = twin.project;
                self.keep(rules, vec![(twin, maybe_sent)]);
                if let (End::Limited(limits), Some(store)) = (end, &mut *self.store.borrow_mut()) {
                    // Once something of it is kept: a project of which nothing is has no pauses.
                    store.pause(project, limits, most_s(rules));
                }
            }
        }
    }

    /// Keeps what the mirror did not take, once there is a store. Where there is none it is lost.
    pub(super) fn keep(&self, rules: &InForce, twins: Vec<(Rc<Twin>, bool)>) {
        match &mut *self.store.borrow_mut() {
            Some(store) => store.keep(twins, self.bounds(rules)),
            None if self.awaited.get() => self.left.borrow_mut().extend(twins),
            None => {
                let requests = u64::try_from(twins.len()).unwrap_or(u64::MAX);
                self.counts.loses(MirrorLoss::Undelivered, requests);
            }
        }
    }

    pub(super) async fn deliver_kept(self: Rc<Self>, rules: &InForce, going: Going, leave: Leave) {
        let Going {
            order,
            held,
            weight,
            sender,
            envelope,
            head,
            body,
            checksum,
        } = going;
        let (end, heard) = match body.is_whole(checksum).await {
            Ok(true) => {
                let leaving = self.leaving(rules, head, body, (sender, envelope));
                let tried = self.attempt(rules, leaving, held).await;
                let heard = tried.weighed(weight, leave.pass);
                (tried.end, heard)
            }
            Ok(false) => (End::Damaged, Heard::Nothing),
            Err(error) => {
                tracing::error!(%error, "a body that is kept for a mirror cannot be read");
                (End::Again, Heard::Nothing)
            }
        };
        self.give_back(rules, Some(leave), heard);
        self.kept.set(self.kept.get() - 1);
        if let Some(store) = &mut *self.store.borrow_mut() {
            let lately = self.mirror(rules).target.evidence.lately();
            store.end(order, &end, lately, most_s(rules));
        }
        self.changed.notify_one();
    }

    /// A request as this mirror is to get it.
    fn leaving(
        &self,
        rules: &InForce,
        mut head: Box<Parts>,
        body: departure::Body,
        (sender, envelope): (Option<Pair>, Option<Coding>),
    ) -> Leaving {
        let moves = self.mirror(rules).moves.clone();
        let moved = moves.as_ref().zip(sender).and_then(|(moves, sender)| {
            let (_, moved) = moves.find(&sender.key(), sender.project())?;
            Some(moved)
        });
        if let Some(moved) = moved {
            move_head(&mut head, moved);
        }
        Leaving {
            upstream: Upstream::Mirror(self.place),
            head,
            body,
            envelope,
            rewriting: Rewriting {
                held: Duration::ZERO,
                moves,
            },
        }
    }

    async fn attempt(&self, rules: &InForce, mut leaving: Leaving, held: Duration) -> Tried {
        leaving.rewriting.held = held;
        let spool = &self.worker.shared.spool;
        let unpacking = Unpacking {
            limits: rules.decode,
            folder: spool.folder(),
            disk: spool.copies_disk(&rules.config.spool),
        };
        let tried = attempt(&self.worker, rules, leaving, unpacking).await;
        match &tried.answer {
            Some((head, at, _)) => {
                self.counts.answers(Some(head.status.as_u16()));
                if tried.end == End::Taken {
                    let target = &self.mirror(rules).target;
                    target.evidence.took(self.worker.millis(*at));
                }
            }
            None => self.counts.answers(None),
        }
        tried
    }
}

/// The longest that a mirror's limits are obeyed.
fn most_s(rules: &InForce) -> u64 {
    rules.config.limits.retry_after_max.as_secs()
}
