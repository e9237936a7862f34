//! What befalls a process: its disk, its operator, its end and the next one's beginning; and how
//! a history ends.

use std::collections::HashSet;

use super::super::log::Compacted;
use super::super::log::tests::disk::Fault;
use super::edge::Edge;
use super::ends::AGE_MS_MAX;
use super::senders::project;
use super::told::Told;
use super::world::{What, World};
use crate::domain::category::Category;
use crate::domain::outcome::Reason;
use crate::domain::switch::{Effect, Switch};
use crate::policy::switches::Switches;

/// In the end nothing waits longer: what was set aside is tried each ten minutes at least.
const END_MS_MAX: u64 = 1_500_000;

impl World {
    /// What is done each second.
    pub(super) fn tidies(&mut self) {
        let (now, at) = (self.millis(), self.moment());
        let old = self.edge.replay.expire(self.unix_ms(), AGE_MS_MAX, 64);
        for held in old {
            let age_ms = self.unix_ms() - held.at;
            assert!(age_ms > AGE_MS_MAX, "given up at {age_ms} ms");
            let item = self.judge.item(held.order);
            self.lets_go(&item, &held, Some(Reason::SpoolExpired));
        }
        let edge = &mut self.edge;
        edge.log.flush_acks();
        for _ in 0..2 {
            match edge.log.compact(false) {
                Ok(Compacted::Moved { .. }) => {}
                Ok(Compacted::Nothing | Compacted::Stuck) | Err(_) => break,
            }
        }
        edge.learned.sweep(now);
        edge.verdicts.sweep(now);
        edge.limiter.counters.sweep(at);
        edge.judge();
        self.charges.forget(at.unix_s);
        self.at(1000, What::Tidy);
    }

    /// The disk becomes another.
    pub(super) fn disk_turns(&mut self) {
        self.told.faults += 1;
        match self.rng.u8(..6) {
            0 => self.disk.write_short(true),
            1 => self.disk.write_short(false),
            2 => {
                let used: u64 = self.disk.files().iter().map(|(_, bytes)| bytes).sum();
                self.disk.set_room(used + self.rng.u64(..6000));
                self.is_forgetful = true;
            }
            3 | 4 => self.disk.set_room(u64::MAX),
            _ => {
                self.disk.fail_in(self.rng.u64(..30), Fault::Eio);
                self.is_forgetful = true;
            }
        }
        let next = self.rng.u64(200..6000);
        self.at(next, What::Disk);
    }

    /// An operator switches something on, or off, or declares maintenance.
    pub(super) fn operator(&mut self) {
        let unix_s = self.unix_s();
        match self.rng.u8(..4) {
            0 | 1 => {
                let categories = [None, Some(Category::Error), Some(Category::Transaction)];
                let mute = Switch {
                    project: project(self.rng.u64(1..4)),
                    category: self.rng.choice(categories).unwrap(),
                    effect: Effect::Mute { keep: None },
                    until_unix_s: unix_s + self.rng.u64(..4),
                };
                self.mutes.retain(|other| !mute.is_in_place_of(other));
                self.mutes.push(mute);
            }
            2 => self.mutes.clear(),
            _ => self.edge.in_maintenance = !self.edge.in_maintenance,
        }
        self.mutes.retain(|mute| !mute.is_over(unix_s));
        self.switches_on();
        let next = self.rng.u64(200..8000);
        self.at(next, What::Operator);
    }

    fn switches_on(&mut self) {
        let counters = &self.edge.limiter.counters;
        self.edge.switches = Switches::compile(&self.mutes, None, counters);
    }

    /// The process ends, in one of the ways in which they do.
    pub(super) fn fate(&mut self) {
        match self.rng.u8(..8) {
            0..3 => {
                self.told.kills += 1;
                self.dies(false);
            }
            3..5 => {
                self.told.power_losses += 1;
                self.dies(true);
            }
            5 => self.disk.fail_in(self.rng.u64(..40), Fault::PowerOff),
            _ => {
                self.told.stops += 1;
                self.stops();
            }
        }
        let next = self.rng.u64(1000..20_000);
        self.at(next, What::Fate);
    }

    /// It is gone without a word, with the power or alone.
    pub(super) fn dies(&mut self, with_power: bool) {
        self.is_forgetful = true;
        self.charges.crashed();
        self.changes(with_power, false);
    }

    /// It writes down what it knows, and another begins.
    fn stops(&mut self) {
        // What is under way is not waited for: who sends it hears nothing.
        self.journal
            .closes(&self.edge.limiter.counters, self.moment());
        self.edge.log.close();
        self.changes(false, true);
    }

    fn changes(&mut self, with_power: bool, is_clean: bool) {
        for flight in self.edge.flights.values() {
            self.judge.doubts(flight.item.id);
        }
        self.disk.heal();
        if with_power {
            self.disk.crash();
        }
        self.disk.set_room(u64::MAX);
        let (edge, found) = Edge::born(&self.disk, &self.journal);
        std::mem::replace(&mut self.edge, edge).dies();
        self.life += 1;
        self.early.clear();
        let orders: HashSet<u64> = found.iter().map(|found| found.head.order).collect();
        assert_eq!(orders.len(), found.len(), "an order twice");
        self.judge.found(&orders, self.is_forgetful);
        self.is_forgetful = false;
        for found in found {
            let item = self.judge.item(found.head.order);
            self.edge.row(&item).carried(1, item.bytes);
            self.holds(&item, &found.head, found.place, false);
        }
        if is_clean {
            self.charges.stopped();
        }
        self.switches_on();
        self.edge.judge();
        self.at(1, What::Round(self.life));
    }

    /// All is well again, and nothing new comes: all that is owed arrives, and the books close.
    pub(super) fn ends(&mut self) -> Told {
        self.is_over = true;
        self.network.mend();
        self.disk.heal();
        self.disk.set_room(u64::MAX);
        self.disk.write_short(false);
        self.edge.in_maintenance = false;
        let until = self.now_ms + END_MS_MAX;
        loop {
            let edge = &self.edge;
            if edge.replay.is_empty() && edge.flights.is_empty() && edge.wanted.is_empty() {
                break;
            }
            assert!(
                self.now_ms < until,
                "{} are held for ever",
                edge.replay.len()
            );
            self.step();
        }
        self.edge.judge();
        self.judge.closes();
        for line in self.edge.ledger.lines() {
            assert_eq!(line.in_flight().items, 0, "{line:?}");
            assert_eq!(line.in_flight().bytes, 0, "{line:?}");
            assert_eq!(line.spooled.items, 0, "{line:?}");
        }
        Told {
            virtual_s: self.now_ms / 1000,
            promised: self.judge.promised,
            twice: self.judge.twice,
            expired: self.judge.expired,
            over_quota: self.charges.refused(),
            ..self.told.clone()
        }
    }
}
