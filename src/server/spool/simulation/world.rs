//! The world's clock and what happens on it, one event after the other. Owns all that outlives a
//! process.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use fastrand::Rng;

use super::super::log::Damaged;
use super::super::log::tests::disk::SimDisk;
use super::edge::{Edge, Flight, REPLAYS_MAX, Wanted, Whose};
use super::judge::Judge;
use super::quotas::{Charges, Journal, load, who};
use super::senders::{self, Item, Kind};
use super::told::Told;
use super::weather::{Network, Reply};
use crate::domain::category::Category;
use crate::domain::outcome::Reason;
use crate::domain::sampling::Rate;
use crate::domain::switch::Switch;
use crate::policy::breaker::{Heard, Pass, State};
use crate::policy::millis::Millis;
use crate::policy::quotas::Moment;
use crate::policy::verdicts::Verdict;

/// New Year 2026, when the world begins.
const BEGIN_UNIX_MS: u64 = 1_767_225_600_000;

/// How long the upstream may keep a client waiting.
const DEADLINE_MS: u64 = 1000;

/// How much is kept of transactions.
const TRANSACTIONS: f64 = 0.5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A sender's next request.
    Comes(usize),
    /// The disk is ready for who waits.
    Writes,
    Deadline(u64),
    /// The upstream has taken an item.
    Arrives(u64),
    Replied(u64),
    /// What is kept is looked at, by the process of this number.
    Round(u64),
    Tidy,
    Weather,
    Disk,
    Operator,
    Fate,
}

pub(super) struct World {
    pub(super) now_ms: u64,
    queue: BinaryHeap<Reverse<(u64, u64, What)>>,
    queued: u64,
    pub(super) rng: Rng,
    pub(super) disk: SimDisk,
    pub(super) network: Network,
    pub(super) judge: Judge,
    pub(super) charges: Charges,
    pub(super) journal: Journal,
    pub(super) edge: Edge,
    /// The number of the process.
    pub(super) life: u64,
    /// Replies to what is not written down yet.
    pub(super) early: HashMap<u64, Reply>,
    replies: HashMap<u64, Reply>,
    pub(super) mutes: Vec<Switch>,
    traces: HashMap<u128, bool>,
    next_id: u64,
    pub(super) next_order: u64,
    next_flight: u64,
    /// Acks may have been forgotten.
    pub(super) is_forgetful: bool,
    /// Nothing new comes, and nothing fails.
    pub(super) is_over: bool,
    pub(super) told: Told,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let (disk, journal) = (SimDisk::new(seed), Journal::default());
        let (edge, _) = Edge::born(&disk, &journal);
        let mut world = Self {
            now_ms: 0,
            queue: BinaryHeap::new(),
            queued: 0,
            rng: Rng::with_seed(seed),
            disk,
            network: Network::well(),
            judge: Judge::default(),
            charges: Charges::default(),
            journal,
            edge,
            life: 0,
            early: HashMap::new(),
            replies: HashMap::new(),
            mutes: Vec::new(),
            traces: HashMap::new(),
            next_id: 0,
            next_order: 0,
            next_flight: 0,
            is_forgetful: false,
            is_over: false,
            told: Told::default(),
        };
        for sender in 0..senders::COUNT {
            world.at(1, What::Comes(sender));
        }
        for (in_ms, what) in [
            (500, What::Weather),
            (700, What::Disk),
            (900, What::Operator),
            (3000, What::Fate),
            (1000, What::Tidy),
            (1, What::Round(0)),
        ] {
            world.at(in_ms, what);
        }
        world
    }

    pub(super) fn at(&mut self, in_ms: u64, what: What) {
        self.queued += 1;
        self.queue
            .push(Reverse((self.now_ms + in_ms, self.queued, what)));
    }

    pub(super) const fn millis(&self) -> Millis {
        Millis(self.now_ms)
    }

    pub(super) const fn unix_ms(&self) -> u64 {
        BEGIN_UNIX_MS + self.now_ms
    }

    pub(super) const fn unix_s(&self) -> u64 {
        self.unix_ms() / 1000
    }

    pub(super) const fn moment(&self) -> Moment {
        Moment {
            since_start_ns: self.now_ms * 1_000_000,
            unix_s: self.unix_s(),
        }
    }

    /// The next thing that happens.
    pub(super) fn step(&mut self) {
        let Reverse((at, _, what)) = self.queue.pop().expect("the clock goes on");
        self.now_ms = at;
        self.told.steps += 1;
        match what {
            What::Comes(_) | What::Weather | What::Disk | What::Operator | What::Fate
                if self.is_over => {}
            What::Comes(sender) => self.comes(sender),
            What::Writes => self.writes(),
            What::Deadline(flight) => self.deadline(flight),
            What::Arrives(id) => self.judge.arrives(id),
            What::Replied(flight) => {
                let reply = self.replies.remove(&flight).expect("one for each");
                self.replied(flight, reply);
            }
            What::Round(life) if life == self.life => self.round(),
            What::Round(_) => {}
            What::Tidy => self.tidies(),
            What::Weather => {
                self.told.moods += 1;
                let lasts = self.network.turns(&mut self.rng);
                self.at(lasts, what);
            }
            What::Disk => self.disk_turns(),
            What::Operator => self.operator(),
            What::Fate => self.fate(),
        }
        if !self.disk.has_power() {
            self.told.power_losses += 1;
            self.dies(true);
        }
    }

    /// A request comes: the checks in their order.
    fn comes(&mut self, sender: usize) {
        let next = self.rng.u64(1..100);
        self.at(next, What::Comes(sender));
        self.next_id += 1;
        self.told.items += 1;
        let item = Item::drawn(self.next_id, sender, &mut self.rng);
        let row = self.edge.row(&item);
        row.received(1, item.bytes);
        if let Some(reason) = self.refusal(&item) {
            row.dropped(reason, 1, item.bytes);
            return;
        }
        let at = self.moment();
        let limiter = &self.edge.limiter;
        let applying = limiter.quotas.of(&who(&item));
        let said = applying.charge(at, &load(&item), &limiter.counters);
        self.charges.judge(&item, at, &said);
        match said {
            Ok(granted) => {
                self.journal.writes(&granted);
                self.delivers(item, at);
            }
            Err(full) => row.dropped(full.reason, 1, item.bytes),
        }
    }

    /// What keeps it here before any quota is asked.
    fn refusal(&mut self, item: &Item) -> Option<Reason> {
        let (now, unix_s) = (self.millis(), self.unix_s());
        let edge = &mut self.edge;
        match edge.verdicts.admit(now, &item.sender(), &mut edge.here) {
            Verdict::Pass => {}
            refused @ (Verdict::Refused | Verdict::OverUnprovenRate) => {
                assert!(item.kind() != Kind::Named, "a named key: {refused:?}");
                return Some(Reason::UnknownKey);
            }
        }
        let on = edge.switches.of(Some(item.project()));
        let muted = on.and_then(|on| on.mutes(item.categories(), unix_s, 0));
        let wants = self.mutes.iter().any(|mute| {
            mute.project == item.project()
                && mute.category.is_none_or(|of| of == item.category)
                && mute.until_unix_s > unix_s
        });
        assert_eq!(muted.is_some(), wants, "{item:?} and {:?}", self.mutes);
        if wants {
            return Some(Reason::Muted);
        }
        let learned = edge.learned.covers(now, &item.pair(), item.categories());
        if let Some(limit) = learned {
            assert!(
                limit.left_ms <= 3000,
                "{limit:?} stands for longer than told"
            );
            return Some(Reason::Learned);
        }
        let is_sampled = item.category == Category::Transaction;
        if is_sampled && !self.has_luck(item.trace()) {
            return Some(Reason::Sampled);
        }
        None
    }

    /// Whether a trace is kept: now as ever.
    fn has_luck(&mut self, trace: u128) -> bool {
        let keeps = Rate::of(TRANSACTIONS).unwrap().keeps(trace);
        assert_eq!(*self.traces.entry(trace).or_insert(keeps), keeps);
        keeps
    }

    /// It is sent at once, or kept.
    fn delivers(&mut self, item: Item, charged: Moment) {
        if self.edge.in_maintenance {
            return self.wants(item, charged, None);
        }
        let Some(turn) = self.edge.pace.try_begin() else {
            return self.wants(item, charged, None);
        };
        let pass = self.asks();
        if pass == Pass::Hold {
            self.edge.pace.end(turn, Heard::Nothing);
            return self.wants(item, charged, None);
        }
        let flight = Flight {
            item,
            charged: Some(charged),
            leave: Some((pass, turn)),
            whose: Whose::Live,
        };
        let number = self.sends(flight);
        self.at(DEADLINE_MS, What::Deadline(number));
    }

    /// Whether the upstream is asked; while it is away one at a time finds out.
    fn asks(&self) -> Pass {
        let breaker = &self.edge.breaker;
        let was = breaker.state();
        let pass = breaker.ask(self.millis());
        if was == State::Open && matches!(pass, Pass::Probe(_)) {
            assert_eq!(self.edge.beside(pass), 0, "two probes at a time");
        }
        pass
    }

    fn sends(&mut self, flight: Flight) -> u64 {
        self.next_flight += 1;
        let number = self.next_flight;
        let fate = self.network.fate(&flight.item, &mut self.rng);
        if let Some(in_ms) = fate.taken_in {
            self.at(in_ms, What::Arrives(flight.item.id));
        }
        self.replies.insert(number, fate.reply);
        self.at(fate.replied_in, What::Replied(number));
        self.edge.flights.insert(number, flight);
        number
    }

    /// It is to be kept, once the disk is ready.
    pub(super) fn wants(&mut self, item: Item, charged: Moment, late: Option<u64>) {
        if self.edge.wanted.is_empty() {
            let in_ms = self.rng.u64(..4);
            self.at(in_ms, What::Writes);
        }
        self.edge.wanted.push(Wanted {
            item,
            charged,
            late,
        });
    }

    /// One more was kept.
    pub(super) const fn counts_kept(&mut self) {
        self.told.kept += 1;
    }

    /// Sends what may be sent of what is kept.
    fn round(&mut self) {
        let now = self.millis();
        let kept = |flight: &&Flight| matches!(flight.whose, Whose::Kept(..));
        let going = self.edge.flights.values().filter(kept).count();
        for _ in going..REPLAYS_MAX {
            if self.edge.in_maintenance || !self.sends_kept(now) {
                break;
            }
        }
        let next = self.rng.u64(5..40);
        self.at(next, What::Round(self.life));
    }

    fn sends_kept(&mut self, now: Millis) -> bool {
        let live_now = self.edge.pace.live_now();
        let Some(turn) = self.edge.pace.try_begin_replay(live_now) else {
            return false;
        };
        let pass = self.asks();
        if pass == Pass::Hold {
            self.edge.pace.end(turn, Heard::Nothing);
            return false;
        }
        let is_well = self.edge.breaker.state() == State::Closed;
        let replay = &mut self.edge.replay;
        let next = replay.next(now);
        let next = next.or_else(|| is_well.then(|| replay.next_aside(now)).flatten());
        if let Some(held) = &next {
            self.edge.sets_out(held);
        }
        let read = next.map(|held| (held, self.edge.log.read(held.place)));
        let Some((held, Ok(record))) = read else {
            self.edge.breaker.tell(now, pass, Heard::Nothing);
            self.edge.pace.end(turn, Heard::Nothing);
            if let Some((held, Err(error))) = read {
                let is_io = matches!(error, Damaged::Io(_));
                let is_hurt = self.is_forgetful || !self.disk.has_power();
                assert!(is_io && is_hurt, "{}: {error}", held.order);
                self.edge.replay.again(now, held.order, 0);
            }
            return false;
        };
        let item = self.judge.item(held.order);
        assert!(
            record.payload == item.payload(),
            "{}: other bytes",
            held.order
        );
        let age_ms = self.unix_ms().saturating_sub(held.at);
        let weight = self.edge.replay.weight(held.order, age_ms);
        self.sends(Flight {
            item,
            charged: None,
            leave: Some((pass, turn)),
            whose: Whose::Kept(held.order, weight),
        });
        true
    }
}
