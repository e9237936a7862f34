//! Whether an event is sent to its upstream at all, or kept at once: while somebody works
//! on it, while its breaker is open, and while more are under way than it bears. Never
//! holds up what cannot be kept: that is tried all the same.

use std::rc::Rc;

use http::response::Parts;
use tokio::time::Instant;

use crate::policy::breaker::{Heard, Pass};
use crate::policy::pace::Turn;

use super::upstream::connect::ConnectError;
use super::upstream::line::is_outage;
use super::upstream::send::{Ended, SendError};
use super::worker::{InForce, Worker};

/// Leave to send one event. Dropped without [`close`](Self::close), nothing is told of the
/// upstream: its client has left.
#[derive(Debug)]
pub(crate) struct Way {
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    pass: Pass,
    turn: Option<Turn>,
}

impl Way {
    /// A way for an event that came at `at`. `None`: it is to be kept.
    pub(crate) fn open(worker: &Rc<Worker>, rules: &Rc<InForce>, at: Instant) -> Option<Self> {
        if worker.shared.maintenance.is_on() {
            return None;
        }
        let now = worker.millis(at);
        let target = &rules.ingest;
        let pass = match target.breaker.ask(now) {
            Pass::Hold => return None,
            pass @ (Pass::Go(_) | Pass::Probe(_)) => pass,
        };
        match target.pace.try_begin() {
            Some(turn) => Some(Self {
                worker: Rc::clone(worker),
                rules: Rc::clone(rules),
                pass,
                turn: Some(turn),
            }),
            None => {
                target.breaker.tell(now, pass, Heard::Nothing);
                None
            }
        }
    }

    /// What came of it.
    pub(crate) fn close(mut self, ended: &Ended) {
        let (at, heard) = match ended {
            Ended::Answered(answer) => (answer.at, heard(&answer.head)),
            Ended::Failed(error, _) => (Instant::now(), heard_in(*error)),
            Ended::Late(_) => (Instant::now(), Heard::Ill),
        };
        self.tell(at, heard);
    }

    fn tell(&mut self, at: Instant, heard: Heard) {
        let Some(turn) = self.turn.take() else {
            return;
        };
        let (now, target) = (self.worker.millis(at), &self.rules.ingest);
        target.breaker.tell(now, self.pass, heard);
        target.pace.end(turn, heard);
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        if self.turn.is_some() {
            self.tell(Instant::now(), Heard::Nothing);
        }
    }
}

/// What an answer says of the upstream.
pub(crate) fn heard(head: &Parts) -> Heard {
    match is_outage(head.status) {
        true => Heard::Ill,
        false => Heard::Well,
    }
}

/// What the lack of one says.
pub(crate) fn heard_in(error: SendError) -> Heard {
    match error {
        // The client's fault, or our own limit.
        SendError::Body(_) | SendError::Held | SendError::Connect(ConnectError::Full) => {
            Heard::Nothing
        }
        SendError::Connect(ConnectError::Unresolved | ConnectError::Unreachable)
        | SendError::Broken
        | SendError::Silent => Heard::Ill,
    }
}
