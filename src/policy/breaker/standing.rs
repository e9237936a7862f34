//! What a breaker's one word says, and how each event changes it. Owns the rules;
//! never compares or swaps.

use super::super::millis::Millis;
use super::{GOOD_MIN, Heard, PROBE_LOST_MS, Pass, State, Term, WINDOW_MS};

/// What the one word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) state: State,
    /// Which term it is, in a circle: no pass outlives four thousand terms, of which most last a
    /// probe's interval.
    pub(super) term: u64,
    /// Probes of this term that are under way.
    pub(super) under_way: u64,
    /// Closed: ill answers in a row. Half open: good probes in a row.
    pub(super) run: u64,
    /// Closed: when the run began. Else: when a probe may go although others are under way, or,
    /// with none under way, when the next may.
    pub(super) at: Millis,
}

pub(super) const TERM_BITS: u32 = 12;
const COUNT_BITS: u32 = 6;
/// Eight years of milliseconds since the start: after them an open breaker holds nobody back.
const AT_BITS: u32 = 38;

pub(super) const fn low(word: u64, bits: u32) -> u64 {
    word & ((1 << bits) - 1)
}

impl Standing {
    pub(super) const START: Self = Self {
        state: State::Closed,
        term: 0,
        under_way: 0,
        run: 0,
        at: Millis(0),
    };

    pub(super) const fn packed(self) -> u64 {
        let state: u64 = match self.state {
            State::Closed => 0,
            State::HalfOpen => 1,
            State::Open => 2,
        };
        let at = match self.at.0 >> AT_BITS {
            0 => self.at.0,
            _ => (1 << AT_BITS) - 1,
        };
        let counts = state << TERM_BITS | self.term;
        let counts = counts << COUNT_BITS | low(self.under_way, COUNT_BITS);
        let counts = counts << COUNT_BITS | low(self.run, COUNT_BITS);
        counts << AT_BITS | at
    }

    pub(super) const fn unpacked(word: u64) -> Self {
        let counts = word >> AT_BITS;
        Self {
            state: match counts >> (COUNT_BITS * 2 + TERM_BITS) {
                0 => State::Closed,
                1 => State::HalfOpen,
                _ => State::Open,
            },
            term: low(counts >> (COUNT_BITS * 2), TERM_BITS),
            under_way: low(counts >> COUNT_BITS, COUNT_BITS),
            run: low(counts, COUNT_BITS),
            at: Millis(low(word, AT_BITS)),
        }
    }

    pub(super) fn is(&self, state: State, term: u64) -> bool {
        self.state == state && self.term == term
    }

    pub(super) const fn with_run(self, run: u64) -> Self {
        Self { run, ..self }
    }

    /// Closed, and one more was ill. A run is one of the last seconds: an older one begins anew.
    pub(super) fn ill(self, now: Millis) -> Self {
        match self.run > 0 && now.since(self.at) < WINDOW_MS {
            true => self.with_run(self.run + 1),
            false => Self {
                run: 1,
                at: now,
                ..self
            },
        }
    }

    /// Another term begins, with nothing under way.
    pub(super) const fn next_term(self, state: State, run: u64, at: Millis) -> Self {
        Self {
            state,
            term: low(self.term + 1, TERM_BITS),
            under_way: 0,
            run,
            at,
        }
    }

    pub(super) const fn opened(self, probe_at: Millis) -> Self {
        self.next_term(State::Open, 0, probe_at)
    }

    pub(super) fn asked(self, now: Millis, interval_ms: u64) -> Option<(Self, Pass)> {
        let may = match self.state {
            // Closed a moment ago, by another thread.
            State::Closed => return Some((self, Pass::Go(Term(self.term)))),
            // As many at a time as were answered well: twice as many each round trip.
            State::HalfOpen => self.under_way < self.run || now >= self.at,
            State::Open => now >= self.at,
        };
        if !may {
            return None;
        }
        // Of those under way nothing was told in time. What is told of them yet is of another term.
        let lost = self.under_way > 0 && now >= self.at;
        let mut next = match lost {
            true => self.next_term(self.state, self.run, self.at),
            false => self,
        };
        next.under_way += 1;
        next.at = now.plus(interval_ms).plus(PROBE_LOST_MS);
        Some((next, Pass::Probe(Term(next.term))))
    }

    /// What is told of a probe of this term.
    pub(super) fn probed(self, now: Millis, probe_at: Millis, heard: Heard) -> Self {
        let left = Self {
            under_way: self.under_way.saturating_sub(1),
            ..self
        };
        match (heard, self.state) {
            (Heard::Ill, _) => self.opened(probe_at),
            (Heard::Nothing, State::Open) => Self { at: now, ..left },
            (Heard::Nothing, _) => left,
            (Heard::Well, State::Open) => self.next_term(State::HalfOpen, 1, probe_at),
            (Heard::Well, _) if self.run + 1 >= GOOD_MIN => {
                self.next_term(State::Closed, 0, Millis(0))
            }
            (Heard::Well, _) => left.with_run(self.run + 1),
        }
    }
}
