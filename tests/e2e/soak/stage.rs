//! When who may do what: whoever makes trouble takes turns while its stage is open, and none
//! is under way once it is closed. And which of all that explains an answer.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::upstream::HANG;

/// How long after its end something still explains an answer: the longest limit that is
/// announced, an answer on its way, and a busy machine.
const SLACK: Duration = Duration::from_secs(3);

/// How long before a kill an arrival may have been, and still be forgotten with it: what is
/// done with is written down each second.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// Windows that ended so long ago explain nothing any more.
const KEPT: Duration = Duration::from_secs(900);

#[derive(Default)]
struct State {
    is_open: bool,
    is_over: bool,
    turns: usize,
}

/// Who shares one begins turns while it is open.
#[derive(Default)]
pub(super) struct Stage {
    state: Mutex<State>,
    changed: Condvar,
}

/// A turn under way.
pub(super) struct Turn<'a>(&'a Stage);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.turns -= 1);
    }
}

/// Ends its stages when dropped, also by a panic: who waits for a turn would wait for ever.
pub(super) struct Ends<'a>(pub(super) [&'a Stage; 2]);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        for stage in self.0 {
            stage.change(|state| state.is_over = true);
        }
    }
}

impl Stage {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    /// A turn, once there is one; `None`: there is none any more.
    pub(super) fn turn(&self) -> Option<Turn<'_>> {
        let state = self.state.lock().unwrap();
        let mut state = self
            .changed
            .wait_while(state, |state| !state.is_open && !state.is_over)
            .unwrap();
        if state.is_over {
            return None;
        }
        state.turns += 1;
        Some(Turn(self))
    }

    /// Whether turns go on: one that lasts should look.
    pub(super) fn is_open(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.is_open && !state.is_over
    }

    pub(super) fn open(&self) {
        self.change(|state| state.is_open = true);
    }

    /// Lets nobody begin any more, and waits until all turns are over.
    #[track_caller]
    pub(super) fn close(&self) {
        self.change(|state| state.is_open = false);
        let state = self.state.lock().unwrap();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, HANG, |state| state.turns > 0)
            .unwrap();
        assert_eq!(state.turns, 0, "turns that do not end");
    }
}

/// What explains an answer that is no 200, or none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The edge was killed, or stopped, and does not serve yet.
    EdgeGone,
    /// nginx lets its clients go.
    FrontLeaves,
    /// The upstream does not do what it should.
    Unwell,
    /// The upstream was killed, or is away.
    UpstreamGone,
    /// The upstream announces limits.
    Limited,
    /// The upstream answers 500, which is its word.
    Failing,
    /// Operators mute something.
    Muted,
    /// Nothing can be kept.
    NoRoom,
    /// An edge has just begun, and has yet to be lent a part of what is shared.
    Unlent,
}

struct Window {
    number: u64,
    cause: Cause,
    opened: Instant,
    closed: Option<Instant>,
}

#[derive(Default)]
struct Known {
    windows: Vec<Window>,
    next: u64,
}

/// What went on when.
#[derive(Default)]
pub(super) struct Windows(Mutex<Known>);

/// One that goes on until it is dropped.
pub(super) struct Open<'a> {
    windows: &'a Windows,
    number: u64,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut known = self.windows.0.lock().unwrap();
        let number = self.number;
        let mut windows = known.windows.iter_mut();
        if let Some(window) = windows.find(|window| window.number == number) {
            window.closed = Some(Instant::now());
        }
    }
}

impl Windows {
    /// From now on this explains what it explains.
    pub(super) fn open(&self, cause: Cause) -> Open<'_> {
        let now = Instant::now();
        let mut known = self.0.lock().unwrap();
        known
            .windows
            .retain(|window| window.closed.is_none_or(|closed| closed + KEPT > now));
        let number = known.next;
        known.next += 1;
        known.windows.push(Window {
            number,
            cause,
            opened: now,
            closed: None,
        });
        Open {
            windows: self,
            number,
        }
    }

    /// Whether one of these was the matter at some time since then.
    pub(super) fn explain(&self, causes: &[Cause], since: Instant) -> bool {
        let known = self.0.lock().unwrap();
        known.windows.iter().rev().any(|window| {
            causes.contains(&window.cause)
                && window.closed.is_none_or(|closed| closed + SLACK >= since)
        })
    }

    /// Whether the edge, or the upstream, ended so soon after then that it may not know any
    /// more what arrived at that time.
    pub(super) fn forgot(&self, arrival: Instant) -> bool {
        let known = self.0.lock().unwrap();
        known.windows.iter().any(|window| {
            matches!(window.cause, Cause::EdgeGone | Cause::UpstreamGone)
                && window.opened < arrival + FORGOTTEN
                && window.closed.is_none_or(|closed| closed > arrival)
        })
    }
}
