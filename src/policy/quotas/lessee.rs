//! Who asks for leases: the counters of this process that the pool has heard of. Owns when each
//! is asked for, how much it wants and what it gives back; never sends anything, and never says
//! how much is lent: the pool does (`server::shared_quota`).
//!
//! **How much.** Of what nobody has used of a limit, a half lies with the edges in even parts, so
//! that each can go on when it is cut off; the other half is for those who want it. An edge wants
//! what comes in two seconds at its pace. What it holds beyond both it gives back with its next
//! question: a second later where it counts, and up to ten where it is idle. But the largest item
//! that it had to refuse for want of a lease it goes on to want at once, since that pace forgets it
//! before it comes again: until nothing is left to lend, or a window passes without one as large.
//!
//! **Questions can be lost, late or doubled.** Each says how things are (so much is used, so much
//! is held, so much is wanted in all), never what to add; each has a number, and the pool listens
//! to none that is older than what it knows. So a question without an answer is simply asked anew.

mod held;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Moment;
use super::counter::Counter;
use super::counters::Counters;
use super::identity::Whom;

use held::{Held, is_shared, window_of};

/// Questions that one turn asks: what is left comes with the next.
const ASKS_MAX: usize = 2048;

const SECOND_NS: u64 = 1_000_000_000;

/// From one question to the next about a counter that counts, and that has been idle for long.
const ASK_EVERY_NS: u64 = SECOND_NS;
const ASK_IDLE_NS: u64 = 10 * SECOND_NS;

/// How often all counters are looked through for those that are due.
const LOOK_EVERY_NS: u64 = SECOND_NS / 2;

/// Which counter: its quota's number in this process, and whom it is for.
type Place = (u64, Whom);

/// What an edge says of one window of one counter, and wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The counter's name and its window: the same on all edges. No white space.
    pub name: String,
    /// Higher than those before.
    pub number: u64,
    /// Used here.
    pub used: u64,
    /// So much is held, whatever the pool says.
    pub held: u64,
    /// So much is to be held if it can be.
    pub wanted: u64,
    /// All edges' limit.
    pub limit: u64,
    /// Of that, so much is kept for edges that have yet to ask.
    pub reserved: u64,
    /// By such a part of it, of [`WHOLE`](super::WHOLE), this edge held something before it asked.
    pub part: u64,
    /// Whether anything may be lent beyond what is held: the even part of what is left too.
    pub takes: bool,
    /// What an earlier question got that was never heard of is held as well.
    pub takes_up: bool,
    /// The pool has answered a question about this window: it has to know of it.
    pub heard: bool,
    /// The first second that is not of the window any more.
    pub ends_unix_s: u64,
    place: Place,
    window: u64,
}

/// What the pool says to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// So much is this edge's.
    pub leased: u64,
    /// All edges have used so much of it, as far as they said.
    pub all_used: u64,
    /// So much can still be lent.
    pub left: u64,
    /// So much is kept for edges that have yet to ask.
    pub kept: u64,
    /// All leases, and what is kept, are so much beyond the limit, which was lowered.
    pub over: u64,
    /// The pool has lost what it had heard of that window.
    pub lost: bool,
}

/// All that is asked for. The control thread's.
#[derive(Debug, Default)]
pub struct Lessee {
    held: HashMap<Place, Held>,
    last_number: u64,
    looks_at_ns: u64,
    /// Whether more could be had with the last turn.
    took: bool,
}

impl Lessee {
    /// One whose questions are newer than those of a process that began before that moment,
    /// in microseconds of Unix time.
    #[must_use]
    pub fn new(unix_us: u64) -> Self {
        Self {
            last_number: unix_us,
            ..Self::default()
        }
    }

    /// How many counters are shared here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Has every counter that is in use asked for anew, as if the pool had heard of none. Walks
    /// all counters.
    pub fn claim_all(&mut self, now: Moment, counters: &Counters) {
        for held in self.held.values_mut() {
            held.heard = None;
            held.due_at_ns = 0;
        }
        let mut used = Vec::new();
        counters.each(|counter| {
            if is_shared(counter) && counter.count().used > 0 {
                used.push(Arc::clone(counter));
            }
        });
        for counter in used {
            self.take_in(now, counter);
        }
        self.looks_at_ns = 0;
    }

    /// Whether the pool has heard of all of them.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.held.values().all(|held| held.heard.is_some())
    }

    /// When the latest of the windows began that counters are in.
    #[must_use]
    pub fn newest_s(&self) -> u64 {
        let begins = self.held.values().map(Held::begins_unix_s);
        begins.max().unwrap_or(0)
    }

    /// The questions that are due; unless it `takes`, none wants more than is held. The answer to
    /// each is for [`heard`](Self::heard); without one it is asked anew in a second.
    pub fn asks(&mut self, now: Moment, takes: bool, counters: &Counters) -> Vec<Ask> {
        let now_ns = now.since_start_ns;
        if takes && !std::mem::replace(&mut self.took, takes) {
            // What could not be had so far is asked for now, by idle counters as well.
            self.held.values_mut().for_each(|held| held.due_at_ns = 0);
            self.looks_at_ns = 0;
        }
        self.took = takes;
        let mut due: HashSet<Place> = HashSet::new();
        for counter in counters.leasing.wanting() {
            if let Some(place) = self.take_in(now, counter) {
                due.insert(place);
            }
        }
        if now_ns >= self.looks_at_ns {
            self.looks_at_ns = now_ns.saturating_add(LOOK_EVERY_NS);
            self.held.retain(|_, held| held.goes_on(now));
            let over = self.held.iter();
            let over =
                over.filter(|(_, held)| held.due_at_ns <= now_ns || held.has_another_limit());
            due.extend(over.map(|(place, _)| *place));
        }
        let sharers = counters.leasing.sharers();
        let mut asks = Vec::new();
        for place in due {
            let Some(held) = self.held.get_mut(&place) else {
                continue;
            };
            if asks.len() >= ASKS_MAX {
                // Looked for again with the next turn.
                held.due_at_ns = 0;
                self.looks_at_ns = 0;
            } else {
                self.last_number += 1;
                let mut ask = held.ask(now, (place, self.last_number), sharers, counters);
                if !takes {
                    ask.wanted = ask.held;
                    ask.takes = false;
                }
                asks.push(ask);
            }
        }
        asks
    }

    /// Takes an answer in.
    pub fn heard(&mut self, now: Moment, ask: &Ask, lease: Lease) {
        let Some(held) = self.held.get_mut(&ask.place) else {
            return;
        };
        if held.window.number != ask.window {
            return;
        }
        let more = held
            .heard
            .is_none_or(|before| before.leased != lease.leased);
        let idle = ask.used == held.used && held.pace == 0 && !more;
        held.rests_ns = match idle {
            true => held.rests_ns.saturating_mul(2).min(ASK_IDLE_NS),
            false => ASK_EVERY_NS,
        };
        held.due_at_ns = now.since_start_ns.saturating_add(held.rests_ns);
        if lease.over > 0 && lease.leased > ask.used && (more || !held.is_over()) {
            // What is too much is given back with the next turn.
            held.due_at_ns = 0;
            self.looks_at_ns = 0;
        }
        if lease.left == 0 && std::mem::take(&mut held.large) > 0 && lease.leased > ask.used {
            // Others may need what is kept for what may never come again.
            held.due_at_ns = 0;
            self.looks_at_ns = 0;
        }
        held.heard = Some(lease);
        let low = ask
            .used
            .saturating_add(lease.leased.saturating_sub(ask.used) / 2);
        let others = lease.all_used.saturating_sub(ask.used);
        let most = ask.limit.saturating_sub(lease.kept);
        let spent = lease.left == 0 && lease.all_used >= most && ask.limit > 0;
        let words = [lease.leased, low, others];
        held.counter.lent().hear(ask.window, words, spent);
    }

    /// The pool knows of a later question of this edge than that one.
    pub fn outrun(&mut self, ask: &Ask, number: u64) {
        self.last_number = self.last_number.max(number);
        if let Some(held) = self.held.get_mut(&ask.place) {
            held.due_at_ns = 0;
        }
    }

    /// What is held and not used, to be given back for good: nothing is charged here any more.
    pub fn parting(&mut self, now: Moment, counters: &Counters) -> Vec<Ask> {
        let mut asks = Vec::new();
        for (place, held) in &mut self.held {
            if held.goes_on(now) {
                self.last_number += 1;
                let mut ask = held.ask(now, (*place, self.last_number), 1, counters);
                (ask.held, ask.wanted) = (ask.used, ask.used);
                (ask.takes, ask.takes_up) = (false, false);
                asks.push(ask);
            }
        }
        asks
    }

    /// What is lent to this process and not used yet, of all windows that are on: how many
    /// counters have anything.
    #[must_use]
    pub fn leased(&self) -> usize {
        let all = self.held.values();
        all.filter(|held| held.heard.is_some_and(|lease| lease.leased > 0))
            .count()
    }

    /// Where a counter is; `None`: its windows are not shared.
    fn take_in(&mut self, now: Moment, counter: Arc<Counter>) -> Option<Place> {
        if !is_shared(&counter) {
            return None;
        }
        let window = window_of(&counter, now)?;
        let place = (counter.named().number, counter.whom());
        let held = self.held.entry(place).or_insert_with(|| Held {
            counter: Arc::clone(&counter),
            window,
            heard: None,
            limit: 0,
            used: 0,
            missed: false,
            large: 0,
            asked_at_ns: now.since_start_ns,
            pace: 0,
            rests_ns: ASK_EVERY_NS,
            due_at_ns: 0,
        });
        if !Arc::ptr_eq(&held.counter, &counter) {
            // The table had dropped that one: what is lent is this one's.
            held.counter = counter;
            held.heard = None;
            held.used = 0;
        }
        Some(place)
    }
}
