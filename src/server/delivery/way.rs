//! Whether an event is sent to its upstream at all, or kept at once: while somebody works
//! on it, while its breaker is open, and while more are under way than it bears. Never
//! holds up what cannot be kept: that is tried all the same.

use std::rc::Rc;

use http::response::Parts;
use tokio::time::Instant;

use crate::policy::breaker::{Heard, Pass, State};
use crate::policy::pace::Turn;
use crate::telemetry::labels::Upstream;

use crate::server::delivery::body::BodyWatch;
use crate::server::upstream::connect::ConnectError;
use crate::server::upstream::line::is_outage;
use crate::server::upstream::send::{Ended, SendError};
use crate::server::worker::{InForce, Worker};

/// Leave to send one event. Dropped without [`close`](Self::close), nothing is told of the
/// upstream: its client has left.
#[derive(Debug)]
pub(crate) struct Way {
    worker: Rc<Worker>,
    rules: Rc<InForce>,
    to: Upstream,
    pass: Pass,
    place: Place,
    told: bool,
}

/// What an event takes while it is under way.
#[derive(Debug)]
enum Place {
    /// A turn of the upstream's.
    Turn(Turn),
    /// One of those for bodies that are still to come from their clients.
    Stream,
    /// None: there is no turn, and nothing can be kept for later.
    Nowhere,
}

impl Way {
    /// A way to an upstream for an event that came at `at`. `None`: it is to be kept.
    pub(crate) fn open(
        worker: &Rc<Worker>,
        rules: &Rc<InForce>,
        to: Upstream,
        at: Instant,
        body: &BodyWatch,
    ) -> Option<Self> {
        // It is the first Sentry that somebody works on.
        if to == Upstream::Ingest && worker.shared.maintenance.is_on() {
            return None;
        }
        let now = worker.millis(at);
        let target = rules.target(to);
        let streams = !body.is_complete();
        // All others would wait for a probe whose client takes its time.
        if streams && target.breaker.state() != State::Closed {
            return None;
        }
        let pass = match target.breaker.ask(now) {
            Pass::Hold => return None,
            pass @ (Pass::Go(_) | Pass::Probe(_)) => pass,
        };
        let place = match streams {
            true => stream_place(worker, rules, to),
            false => target.pace.try_begin().map(Place::Turn),
        };
        // What cannot be kept is tried all the same.
        let nowhere =
            || Some(Place::Nowhere).filter(|_| worker.shared.spool.state().takes_nothing());
        match place.or_else(nowhere) {
            Some(place) => Some(Self {
                worker: Rc::clone(worker),
                rules: Rc::clone(rules),
                to,
                pass,
                place,
                told: false,
            }),
            None => {
                target.breaker.tell(now, pass, Heard::Nothing);
                None
            }
        }
    }

    /// What came of it.
    pub(crate) fn close(mut self, ended: &Ended) {
        if let Ended::Answered(answer) = ended
            && answer.head.status.is_success()
        {
            let now = self.worker.millis(answer.at);
            self.rules.target(self.to).evidence.took(now);
        }
        let (at, heard) = match ended {
            Ended::Answered(answer) => (answer.at, heard(&answer.head)),
            Ended::Failed(error, _) => (Instant::now(), heard_of(*error)),
            Ended::Late(_) => (Instant::now(), Heard::Ill),
        };
        self.tell(at, heard);
    }

    fn tell(&mut self, at: Instant, heard: Heard) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let (now, target) = (self.worker.millis(at), self.rules.target(self.to));
        target.tell(now, self.pass, heard);
        match std::mem::replace(&mut self.place, Place::Nowhere) {
            Place::Turn(turn) => target.pace.end(turn, heard),
            Place::Stream => {
                let streaming = self.worker.streaming(self.to);
                streaming.set(streaming.get().saturating_sub(1));
            }
            Place::Nowhere => {}
        }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.tell(Instant::now(), Heard::Nothing);
    }
}

/// A place for a body that is still to come. Such bodies take no turns, of which a few slow
/// clients would hold all, but have half of the worker's connections at most: beyond, one is
/// kept whole first.
fn stream_place(worker: &Worker, rules: &InForce, to: Upstream) -> Option<Place> {
    let workers = u64::try_from(rules.workers()).unwrap_or(1);
    let most = (rules.config.upstream.connections / workers.max(1) / 2).max(1);
    let streaming = worker.streaming(to);
    (streaming.get() < most).then(|| {
        streaming.set(streaming.get() + 1);
        Place::Stream
    })
}

/// What it says of the upstream that there is no answer.
pub(crate) fn heard_of(error: SendError) -> Heard {
    match error {
        // It was never asked, or has yet to hear the end of the question: whoever holds all
        // connections with slow bodies, or sends what does not unpack, opens no breaker.
        SendError::Connect(ConnectError::Full) | SendError::Held | SendError::Body(_) => {
            Heard::Nothing
        }
        SendError::Connect(ConnectError::Unresolved | ConnectError::Unreachable)
        | SendError::Broken
        | SendError::Silent => Heard::Ill,
    }
}

/// What an answer says of the upstream.
pub(crate) fn heard(head: &Parts) -> Heard {
    match is_outage(head.status) {
        true => Heard::Ill,
        false => Heard::Well,
    }
}
