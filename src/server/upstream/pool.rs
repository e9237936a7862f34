//! One worker's connections to one upstream: the freshest idle one first.
//! No locks, since nobody else sees them; never waits, and never dials.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry::labels::Upstream;
use crate::telemetry::metrics::WorkerMetrics;

use super::Target;
use super::line::Line;
use super::server::Address;
use super::talk::Talk;
use crate::server::rules::Rules;
use crate::server::worker::Worker;

/// How long an address that failed is spared while there are others. Each worker finds it out
/// by itself: one request in so long.
const SPARED_FOR: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Idle {
    line: Box<Line>,
    since: Instant,
}

/// The idle connections, and how many are open in all.
#[derive(Debug)]
pub(crate) struct Pool {
    upstream: Upstream,
    idle: RefCell<Vec<Idle>>,
    talks: RefCell<Vec<Rc<Talk>>>,
    open: Rc<Cell<u64>>,
    turn: Cell<usize>,
    /// Addresses that failed lately, and until when they are spared.
    spared: RefCell<Vec<(Address, Instant)>>,
}

impl Pool {
    /// An empty pool.
    pub(crate) fn new(upstream: Upstream) -> Self {
        Self {
            upstream,
            idle: RefCell::default(),
            talks: RefCell::default(),
            open: Rc::default(),
            turn: Cell::new(0),
            spared: RefCell::default(),
        }
    }

    /// An address failed: for a while others go first, if there are any.
    pub(crate) fn spare(&self, address: &Address, now: Instant) {
        let mut spared = self.spared.borrow_mut();
        spared.retain(|(other, until)| other != address && *until > now);
        spared.push((address.clone(), now + SPARED_FOR));
    }

    /// Whether an address failed lately.
    pub(crate) fn is_spared(&self, address: &Address, now: Instant) -> bool {
        let spared = self.spared.borrow();
        spared
            .iter()
            .any(|(other, until)| other == address && *until > now)
    }

    /// The freshest connection to where the upstream is now, if it has not lain too
    /// long. One that the upstream has closed meanwhile is found out by the request's
    /// first step, before a byte is written.
    pub(crate) fn checkout(&self, now: Instant, rules: &Rules) -> Option<Box<Line>> {
        let mut idle = self.idle.borrow_mut();
        let addresses = rules.target(self.upstream).addresses();
        // What is popped and leads elsewhere is closed: on a busy edge no sweep meets it.
        while let Some(Idle { line, since }) = idle.pop() {
            if now.saturating_duration_since(since) > self.life(rules) {
                // The others have lain even longer.
                idle.clear();
                return None;
            }
            let spared = addresses.len() > 1 && self.is_spared(&line.address, now);
            if addresses.contains(&line.address) && !spared {
                return Some(line);
            }
        }
        None
    }

    /// Keeps an eye on a new connection's silence.
    pub(crate) fn watch(&self, talk: Rc<Talk>) {
        self.talks.borrow_mut().push(talk);
    }

    /// Breaks off what has been silent too long over a request, and tells those that
    /// hurry of it sooner. Called `after` the last time.
    pub(crate) fn listen(&self, after: Duration, rules: &Rules) {
        let upstream = &rules.config.upstream;
        let patience = match self.upstream {
            Upstream::Ingest | Upstream::Mirror(_) => upstream.timeouts.ingest,
            Upstream::Web => upstream.timeouts.web,
        };
        self.talks.borrow_mut().retain(|talk| {
            talk.look(after, upstream.ingest_deadline, patience);
            // Alone with it: the connection is gone.
            Rc::strong_count(talk) > 1
        });
    }

    /// Closes what has been idle too long, and what leads to an address that the
    /// upstream's name no longer resolves to.
    pub(crate) fn sweep(&self, now: Instant, rules: &Rules) {
        let addresses = rules.target(self.upstream).addresses();
        let life = self.life(rules);
        self.idle.borrow_mut().retain_mut(|idle| {
            idle.line.looks_open()
                && now.saturating_duration_since(idle.since) <= life
                && addresses.contains(&idle.line.address)
        });
    }

    /// Closes all idle connections.
    pub(crate) fn clear(&self) {
        self.idle.borrow_mut().clear();
    }

    /// Room for one more connection, if fewer than `share` are open.
    pub(crate) fn slot(&self, share: u64, metrics: &Arc<WorkerMetrics>) -> Option<Slot> {
        if self.open.get() >= share {
            return None;
        }
        self.open.set(self.open.get() + 1);
        metrics
            .upstream_connections
            .at(self.upstream.index())
            .shift(1);
        let open = Rc::clone(&self.open);
        Some(Slot {
            open,
            metrics: Arc::clone(metrics),
            upstream: self.upstream,
        })
    }

    /// Which of several addresses is dialled first this time.
    pub(crate) fn turn(&self) -> usize {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        turn
    }

    fn life(&self, rules: &Rules) -> Duration {
        match self.upstream {
            Upstream::Ingest | Upstream::Mirror(_) => rules.config.upstream.idle.ingest,
            Upstream::Web => rules.config.upstream.idle.web,
        }
    }
}

/// An open connection's place in the count; given back when it closes.
#[derive(Debug)]
pub(crate) struct Slot {
    open: Rc<Cell<u64>>,
    metrics: Arc<WorkerMetrics>,
    upstream: Upstream,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.metrics
            .upstream_connections
            .at(self.upstream.index())
            .shift(-1);
    }
}

/// A connection in use. Given back it serves the next request; dropped it closes.
#[derive(Debug)]
pub(crate) struct Lease {
    worker: Rc<Worker>,
    upstream: Upstream,
    /// The connection itself.
    pub line: Box<Line>,
    /// It had served a request before this one.
    pub reused: bool,
}

impl Lease {
    /// A connection that was just opened.
    pub(crate) fn new(worker: Rc<Worker>, line: Box<Line>, target: &Target) -> Self {
        Self {
            worker,
            upstream: target.upstream,
            line,
            reused: false,
        }
    }

    /// A connection from the pool.
    pub(crate) fn reused(worker: Rc<Worker>, line: Box<Line>, upstream: Upstream) -> Self {
        Self {
            worker,
            upstream,
            line,
            reused: true,
        }
    }

    /// Puts the connection where the next request finds it, if it can serve again.
    /// Only after its answer was read to the end.
    pub(crate) fn give_back(self, now: Instant) {
        let Self {
            worker,
            upstream,
            mut line,
            ..
        } = self;
        if worker.is_stopping() {
            return;
        }
        if line.is_fit() {
            line.rest();
            let idle = Idle { line, since: now };
            worker.pool(upstream).idle.borrow_mut().push(idle);
        } else if line.owes() {
            tokio::task::spawn_local(line.settle());
        }
    }
}
