//! What becomes of a request: its reply, its deadline, its place on the disk.

use bytes::Bytes;

use super::super::End;
use super::super::attempt::Tried;
use super::super::log::{Draft, Head, Place};
use super::edge::{Edge, Flight, Whose};
use super::quotas::load;
use super::quotas::who;
use super::senders::Item;
use super::weather::Reply;
use super::world::World;
use crate::domain::outcome::Reason;
use crate::domain::rate_limits::Scope;
use crate::policy::breaker::Heard;
use crate::policy::learned::LearnedLimit;
use crate::policy::quotas::Moment;
use crate::policy::replay::Held;
use crate::policy::replay::lane::Lanes;
use crate::policy::verdicts::Answer;

/// What is older is given up.
pub(super) const AGE_MS_MAX: u64 = 900_000;

const fn heard(reply: Reply) -> Heard {
    match reply {
        Reply::Status(502..=504) | Reply::Broken => Heard::Ill,
        Reply::Status(_) | Reply::Limited(_) => Heard::Well,
    }
}

impl World {
    /// A request under way is over.
    pub(super) fn replied(&mut self, number: u64, reply: Reply) {
        let Some(mut flight) = self.edge.flights.remove(&number) else {
            return;
        };
        if reply == Reply::Broken {
            self.judge.doubts(flight.item.id);
        }
        match flight.whose {
            Whose::Live => {
                self.gives_back(&mut flight, heard(reply));
                self.live_ends(&flight, reply);
            }
            Whose::Late(order) => self.late_ends(number, &flight, order, reply),
            Whose::Kept(order, weight) => {
                let tried = Tried {
                    end: End::Again,
                    heard: heard(reply),
                    answer: None,
                };
                let pass = flight.leave.as_ref().unwrap().0;
                self.gives_back(&mut flight, tried.weighed(weight, pass));
                self.kept_ends(&flight.item, order, reply, false);
            }
        }
    }

    /// Gives its leave back, with what was heard of the upstream.
    fn gives_back(&mut self, flight: &mut Flight, heard: Heard) {
        let now = self.millis();
        if let Some((pass, turn)) = flight.leave.take() {
            self.edge.breaker.tell(now, pass, heard);
            self.edge.pace.end(turn, heard);
        }
    }

    /// The upstream keeps a client waiting for too long: its event is kept and answered.
    pub(super) fn deadline(&mut self, number: u64) {
        let Some(mut flight) = self.edge.flights.remove(&number) else {
            return;
        };
        if matches!(flight.whose, Whose::Live) {
            self.gives_back(&mut flight, Heard::Ill);
            self.judge.doubts(flight.item.id);
            flight.whose = Whose::Late(None);
            self.wants(flight.item, flight.charged.unwrap(), Some(number));
        }
        self.edge.flights.insert(number, flight);
    }

    /// A client's request had its reply in time: it is the client's, or the event is kept.
    fn live_ends(&mut self, flight: &Flight, reply: Reply) {
        let (item, now) = (&flight.item, self.millis());
        let row = self.edge.row(item);
        let sender = item.sender();
        let answer = match reply {
            Reply::Status(200) => Answer::Accepted,
            Reply::Status(403) => Answer::Refused,
            Reply::Status(_) | Reply::Limited(_) | Reply::Broken => Answer::Other,
        };
        let edge = &mut self.edge;
        edge.verdicts.learn(now, &sender, answer, &mut edge.here);
        match reply {
            Reply::Status(200) => {
                self.edge.evidence.took(now);
                row.forwarded(1, item.bytes);
                self.judge.forwarded(item.id);
            }
            Reply::Status(500) => row.dropped(Reason::Upstream500, 1, item.bytes),
            Reply::Status(400..500) => row.dropped(Reason::Upstream4xx, 1, item.bytes),
            Reply::Limited(seconds) => {
                self.learns(item, seconds);
                row.dropped(Reason::Upstream429, 1, item.bytes);
            }
            Reply::Status(_) | Reply::Broken => {
                self.wants(*item, flight.charged.unwrap(), None);
            }
        }
    }

    fn learns(&mut self, item: &Item, seconds: u64) {
        let limit = LearnedLimit {
            categories: item.categories(),
            scope: Scope::Key,
            reason: None,
            for_ms: seconds * 1000,
        };
        self.edge.learned.learn(self.millis(), item.pair(), limit);
    }

    /// A request that its client waits for no more had its reply.
    fn late_ends(&mut self, number: u64, flight: &Flight, order: Option<u64>, reply: Reply) {
        match order {
            Some(order) => self.kept_ends(&flight.item, order, reply, true),
            // Where nothing was kept nobody asks; else the one who writes it down does.
            None => _ = self.early.insert(number, reply),
        }
    }

    /// What is kept had a reply.
    fn kept_ends(&mut self, item: &Item, order: u64, reply: Reply, is_late: bool) {
        let now = self.millis();
        let held = self.edge.replay.going(order).expect("it is under way");
        let is_over = self.unix_ms().saturating_sub(held.at) > AGE_MS_MAX;
        match reply {
            Reply::Status(200) => {
                self.edge.evidence.took(now);
                self.judge.taken(order);
                self.leaves(item, &held, None);
            }
            Reply::Status(400..500) => self.leaves(item, &held, Some(Reason::Upstream4xx)),
            _ if is_over => self.leaves(item, &held, Some(Reason::SpoolExpired)),
            Reply::Limited(seconds) => {
                self.learns(item, seconds);
                assert!(self.edge.replay.put_back(order));
                let lanes = Lanes::limited(item.categories());
                let until = now.plus(seconds * 1000);
                self.edge.replay.pause(held.project, lanes, until);
            }
            Reply::Status(_) | Reply::Broken if is_late => {
                assert!(self.edge.replay.put_back(order));
            }
            Reply::Status(_) | Reply::Broken => {
                let lately = self.edge.evidence.lately();
                let failed = self.edge.replay.failed(now, order, lately);
                assert!(failed.is_some(), "it is under way");
            }
        }
    }

    /// What was kept, and is under way, leaves the log: for the upstream, or for this reason.
    fn leaves(&mut self, item: &Item, held: &Held<Place>, reason: Option<Reason>) {
        assert_eq!(self.edge.replay.done(held.order), Some(*held));
        self.lets_go(item, held, reason);
    }

    /// The log lets go of one that is held no longer.
    pub(super) fn lets_go(&mut self, item: &Item, held: &Held<Place>, reason: Option<Reason>) {
        let row = self.edge.row(item);
        row.left_spool(1, item.bytes);
        match reason {
            None => row.forwarded(1, item.bytes),
            Some(reason) => {
                row.dropped(reason, 1, item.bytes);
                self.judge.dropped(held.order, reason);
            }
        }
        self.edge.log.ack(held.place);
    }

    /// All who wait for the disk are written down together.
    pub(super) fn writes(&mut self) {
        let wanted = std::mem::take(&mut self.edge.wanted);
        let (mut orders, mut payloads) = (Vec::new(), Vec::new());
        let is_sound = self.disk.is_sound();
        for wanted in &wanted {
            if !self.edge.has_room()
                || self.edge.replay.len() + orders.len() >= super::edge::RECORDS_MAX
            {
                orders.push(None);
                continue;
            }
            self.next_order += 1;
            self.judge.offered(self.next_order, wanted.item);
            payloads.push([Bytes::from(wanted.item.payload())]);
            orders.push(Some(self.head(self.next_order, &wanted.item)));
        }
        let mut drafts: Vec<_> = orders
            .iter()
            .flatten()
            .zip(&payloads)
            .map(|(head, payload)| Draft {
                head: *head,
                payload,
                body: None,
            })
            .collect();
        let mut answers = self.edge.log.append(&mut drafts).into_iter();
        for (wanted, head) in wanted.iter().zip(orders) {
            let place = head.map(|head| (head, answers.next().unwrap()));
            match place {
                Some((head, Ok(place))) => {
                    self.keeps(&wanted.item, wanted.late, &head, place);
                }
                Some((_, Err(error))) => {
                    assert!(!is_sound, "a sound disk: {error}");
                    self.refuses(&wanted.item, wanted.charged, wanted.late);
                }
                None => self.refuses(&wanted.item, wanted.charged, wanted.late),
            }
        }
    }

    fn head(&self, order: u64, item: &Item) -> Head {
        Head {
            order,
            at_unix_ms: self.unix_ms(),
            project: Some(item.project().get()),
            lane: item.lane().number(),
            items: 1,
        }
    }

    /// It is on disk: its client hears 200.
    fn keeps(&mut self, item: &Item, late: Option<u64>, head: &Head, place: Place) {
        self.judge.owes(head.order);
        self.edge.row(item).spooled(1, item.bytes);
        self.holds(item, head, place, late.is_some());
        self.counts_kept();
        let Some(number) = late else { return };
        match self.early.remove(&number) {
            Some(reply) => self.kept_ends(item, head.order, reply, true),
            None => {
                let flight = self.edge.flights.get_mut(&number).unwrap();
                flight.whose = Whose::Late(Some(head.order));
            }
        }
    }

    pub(super) fn holds(&mut self, item: &Item, head: &Head, place: Place, goes_on: bool) {
        let held = Held {
            place,
            order: head.order,
            at: head.at_unix_ms,
            project: Some(item.project()),
            lane: item.lane(),
            bytes: u32::try_from(item.bytes).unwrap(),
        };
        self.edge.holds(item, held, goes_on);
    }

    /// Its client hears 503, and what never arrived counts for nobody.
    fn refuses(&mut self, item: &Item, charged: Moment, late: Option<u64>) {
        self.edge
            .row(item)
            .dropped(Reason::SpoolFull, 1, item.bytes);
        if late.is_none() {
            let now = self.moment();
            give_back(&self.edge, item, now, charged);
            self.charges.given_back(item, charged);
        }
    }
}

fn give_back(edge: &Edge, item: &Item, now: Moment, charged: Moment) {
    let limiter = &edge.limiter;
    let applying = limiter.quotas.of(&who(item));
    applying.give_back(now, charged, &load(item), &limiter.counters);
}
