//! Whether an upstream is asked at all. Owns what was heard of it lately and when it
//! is tried again; never decides what counts as ill, never sends a probe.
//!
//! Closed, everybody asks. Open, nobody does, but for one probe at a time. Half open,
//! a few more each time one is answered well: 1, 2, 4 and so on a round trip, until
//! enough were. One that is answered ill opens it again.
//!
//! All that decides lies in one word that workers compare and swap: a look at a closed
//! breaker is one read, and no two of them are ever given the same probe. What was
//! heard in the last seconds lies beside it, in a few counts; a thread may read them
//! while another adds, and open one answer early or late.
//!
//! Each [`Pass`] carries the term it was given in. What is told of an earlier term
//! moves nothing: an answer that was on its way for a minute neither opens a breaker
//! that has closed since, nor closes one that has opened.

mod lately;
mod standing;

use super::atomic::{AtomicU64, Ordering::Relaxed};
use super::millis::Millis;
use super::word;
use lately::Lately;
use standing::Standing;

/// So many ill answers in a row open it: fewer are a restart of one process behind a balancer.
pub const BREAKER_MIN: u64 = 5;

/// How long an answer counts.
pub const WINDOW_MS: u64 = 10_000;

/// A probe of which nothing was told for so long, beyond the interval, is forgotten. Longer than
/// any deadline within which a probe's sender would have told.
const PROBE_LOST_MS: u64 = 30_000;

/// So many good probes in a row close it: the first, and round trips of 1, 2, 4 and 8 at most.
const GOOD_MIN: u64 = 15;

/// Which requests may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All.
    Closed,
    /// A few at a time.
    HalfOpen,
    /// One probe at a time.
    Open,
}

impl State {
    /// As the metric `vidette_breaker_state` has it.
    #[must_use]
    pub const fn as_gauge(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }

    /// The word for it in answers to an operator.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// When a [`Pass`] was given, for [`Breaker::tell`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term(u64);

/// Whether one request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a probe of which nothing is told holds all others back"]
pub enum Pass {
    /// It may, as all others.
    Go(Term),
    /// It may, and all others wait for what is told of it.
    Probe(Term),
    /// Not now.
    Hold,
}

/// What came of a request that went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// An answer that says the upstream is there: a refusal too.
    Well,
    /// No connection, a reset, no answer in time, or 502, 503, 504.
    Ill,
    /// Nothing that says anything of the upstream: the client left, or it was not sent.
    Nothing,
}

/// One upstream's, shared by all workers. Without locks, without allocation; survives a reload.
///
/// Lies on cache lines of its own: each request reads it, and a neighbour's counts would drag it
/// from core to core.
#[derive(Debug)]
#[repr(align(128))]
pub struct Breaker {
    standing: AtomicU64,
    lately: Lately,
    opened_at_ms: AtomicU64,
    probe_interval_ms: AtomicU64,
}

impl Breaker {
    /// A closed one. Once open, it lets a probe through each `probe_interval_ms`.
    #[must_use]
    pub fn new(probe_interval_ms: u64) -> Self {
        Self {
            standing: AtomicU64::new(Standing::START.packed()),
            lately: Lately::new(),
            opened_at_ms: AtomicU64::new(0),
            probe_interval_ms: AtomicU64::new(probe_interval_ms),
        }
    }

    /// Changes the interval from the next probe on, and nothing else.
    pub fn retune(&self, probe_interval_ms: u64) {
        self.probe_interval_ms.store(probe_interval_ms, Relaxed);
    }

    /// Whether a request may go now. Who gets a [`Pass::Probe`] and never tells holds all others
    /// back for half a minute.
    pub fn ask(&self, now: Millis) -> Pass {
        let standing = self.standing();
        if standing.state == State::Closed {
            return Pass::Go(Term(standing.term));
        }
        let interval_ms = self.probe_interval_ms.load(Relaxed);
        self.change(|standing| standing.asked(now, interval_ms))
            .unwrap_or(Pass::Hold)
    }

    /// What came of a request. Call it once for each pass that was given, early rather than late:
    /// at the deadline, not when the answer comes after all.
    pub fn tell(&self, now: Millis, pass: Pass, heard: Heard) {
        match pass {
            Pass::Go(term) => self.tell_of_one(now, term.0, heard),
            Pass::Probe(term) => self.tell_of_probe(now, term.0, heard),
            Pass::Hold => {}
        }
    }

    /// Which requests may go.
    #[must_use]
    pub fn state(&self) -> State {
        self.standing().state
    }

    /// When it opened, unless it is closed: for eyes, since another thread may move it meanwhile.
    /// An outage through which probes come and go is one.
    #[must_use]
    pub fn open_since(&self) -> Option<Millis> {
        match self.state() {
            State::Closed => None,
            State::HalfOpen | State::Open => Some(Millis(self.opened_at_ms.load(Relaxed))),
        }
    }

    fn standing(&self) -> Standing {
        Standing::unpacked(self.standing.load(Relaxed))
    }

    fn change<T>(&self, step: impl Fn(Standing) -> Option<(Standing, T)>) -> Option<T> {
        word::change(&self.standing, |word| {
            let (next, told) = step(Standing::unpacked(word))?;
            Some((next.packed(), told))
        })
    }

    fn tell_of_one(&self, now: Millis, term: u64, heard: Heard) {
        let standing = self.standing();
        if heard == Heard::Nothing || !standing.is(State::Closed, term) {
            return;
        }
        self.lately.count(now, term, heard);
        let closed = |standing: Standing| standing.is(State::Closed, term).then_some(standing);
        if heard == Heard::Well {
            if standing.run > 0 {
                self.change(|standing| Some((closed(standing)?.with_run(0), ())));
            }
            return;
        }
        let half = self.lately.is_half_ill(now, term);
        let probe_at = now.plus(self.probe_interval_ms.load(Relaxed));
        let opened = self.change(|standing| {
            let next = closed(standing)?.ill(now);
            match half || next.run >= BREAKER_MIN {
                true => Some((next.opened(probe_at), true)),
                false => Some((next, false)),
            }
        });
        if opened == Some(true) {
            self.opened_at_ms.store(now.0, Relaxed);
        }
    }

    fn tell_of_probe(&self, now: Millis, term: u64, heard: Heard) {
        let probe_at = now.plus(self.probe_interval_ms.load(Relaxed));
        self.change(|standing| {
            if standing.term != term || standing.state == State::Closed {
                return None;
            }
            Some((standing.probed(now, probe_at, heard), ()))
        });
    }
}

#[cfg(test)]
mod tests;
