//! What goes on on one upstream connection, as far as its silence is concerned.
//! Looked at four times a second for all connections, so that no request pays for a
//! timer; timeouts are that much coarse.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use crate::server::delivery::body::BodyWatch;

/// Shared by a connection and the pool that looks at it.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    /// A byte came back since the request was handed over.
    heard: Cell<bool>,
    /// Grows with each read and write that moved bytes.
    moves: Cell<u64>,
    /// A request waits for its answer's head.
    waiting: Cell<bool>,
    /// The connection was broken off for its silence.
    silent: Cell<bool>,
    /// The request wants to hear when its upstream keeps it waiting.
    hurried: Cell<bool>,
    /// It does.
    late: Cell<bool>,
    still_for: Cell<Duration>,
    moves_before: Cell<u64>,
    /// The request's body, while it is still to come from the client.
    body: RefCell<Option<Rc<BodyWatch>>>,
    /// Wakes the task that moves the connection on, to be told of its silence. Stays
    /// when an exchange is over, until the next one's task takes its place.
    signal: RefCell<Option<Waker>>,
}

impl Talk {
    /// What wakes the task that moves the connection on.
    pub(crate) fn is_signalled_by(&self, signal: &Waker) {
        let mut known = self.signal.borrow_mut();
        match &mut *known {
            Some(known) => known.clone_from(signal),
            None => *known = Some(signal.clone()),
        }
    }

    /// A request is handed over.
    pub(crate) fn ask(&self, body: &Rc<BodyWatch>) {
        self.heard.set(false);
        self.waiting.set(true);
        self.still_for.set(Duration::ZERO);
        if !body.is_complete() {
            *self.body.borrow_mut() = Some(Rc::clone(body));
        }
    }

    /// Its answer's head is here, or will never be.
    pub(crate) fn answered(&self) {
        self.waiting.set(false);
        if self.body.borrow().is_some() {
            self.body.take();
        }
    }

    /// More of its answer's body is wanted, or for now is not.
    pub(crate) fn wants_more(&self, wanted: bool) {
        self.waiting.set(wanted);
    }

    /// Bytes came back.
    pub(crate) fn read(&self) {
        self.heard.set(true);
        self.wrote();
    }

    /// Bytes left.
    pub(crate) fn wrote(&self) {
        self.moves.set(self.moves.get().wrapping_add(1));
    }

    /// Whether a byte of an answer has come.
    pub(crate) fn is_heard(&self) -> bool {
        self.heard.get()
    }

    /// Whether the connection was broken off for its silence.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent.get()
    }

    /// From now on its task is woken once the upstream keeps it waiting, or is not.
    pub(crate) fn hurries(&self, hurries: bool) {
        self.hurried.set(hurries);
        self.late.set(false);
    }

    /// Whether its upstream keeps the request waiting: told once.
    pub(crate) fn take_late(&self) -> bool {
        self.late.replace(false)
    }

    /// Looks at the connection `after` the last look. One whose upstream has neither
    /// taken nor said anything for `deadline` is late, if its request hurries; for
    /// `patience`, it is to be broken off; by the task that moves it. While the client's
    /// body is what is waited for, the client's own limit counts.
    pub(crate) fn look(&self, after: Duration, deadline: Duration, patience: Duration) {
        let moves = self.moves.get();
        let waits_for_client = self
            .body
            .borrow()
            .as_ref()
            .is_some_and(|body| body.waits_for_client());
        if !self.waiting.get() || waits_for_client || moves != self.moves_before.get() {
            self.moves_before.set(moves);
            self.still_for.set(Duration::ZERO);
            return;
        }
        self.still_for.set(self.still_for.get() + after);
        let silent = self.still_for.get() >= patience;
        let late = self.still_for.get() >= deadline && self.hurried.replace(false);
        if silent {
            self.silent.set(true);
        }
        if late {
            self.late.set(true);
        }
        if (silent || late)
            && let Some(signal) = &*self.signal.borrow()
        {
            signal.wake_by_ref();
        }
    }
}
