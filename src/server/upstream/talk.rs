//! What goes on on one upstream connection, as far as its silence is concerned.
//! Looked at once a second for all connections, so that no request pays for a
//! timer; timeouts are that much coarse.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::super::body::BodyWatch;

/// Shared by a connection's socket, its request, and the pool that looks at it.
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
    still_for: Cell<Duration>,
    moves_before: Cell<u64>,
    /// The request's body, while it is still to come from the client.
    body: RefCell<Option<Rc<BodyWatch>>>,
    connection: RefCell<Option<AbortHandle>>,
}

impl Talk {
    /// The task that drives the connection, to be ended when it is silent.
    pub(crate) fn driven_by(&self, connection: AbortHandle) {
        *self.connection.borrow_mut() = Some(connection);
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
        self.body.take();
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

    /// Looks at the connection `after` the last look; one whose upstream has
    /// neither taken nor said anything for `patience` is broken off. While the
    /// client's body is what is waited for, the client's own limit counts.
    ///
    /// False: the connection is gone and need not be looked at again.
    pub(crate) fn look(&self, after: Duration, patience: Duration) -> bool {
        let connection = self.connection.borrow();
        let Some(connection) = connection.as_ref().filter(|task| !task.is_finished()) else {
            return false;
        };
        let moves = self.moves.get();
        let waits_for_client = self
            .body
            .borrow()
            .as_ref()
            .is_some_and(|body| body.waits_for_client());
        if !self.waiting.get() || waits_for_client || moves != self.moves_before.get() {
            self.moves_before.set(moves);
            self.still_for.set(Duration::ZERO);
            return true;
        }
        self.still_for.set(self.still_for.get() + after);
        if self.still_for.get() >= patience {
            self.silent.set(true);
            connection.abort();
            return false;
        }
        true
    }
}
