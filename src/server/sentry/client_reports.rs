//! Tells Sentry what was dropped here, so that its Stats counts that too: once an interval,
//! one report for each key that is known to be real. Never tells anything twice: what may
//! have arrived counts as told, what surely did not is told with the next, and at a stop left
//! to the next start.

mod post;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::policy::breaker::State;
use crate::policy::millis::Millis;
use crate::policy::pair::Pair;
use crate::policy::reports::{Pending, Report, START_MS};
use crate::telemetry::labels::{Reported, Upstream};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process;

use crate::server::memory::untold::Untold;
use crate::server::rules::Rules;
use crate::server::worker::Shared;
use post::Told;

/// Senders told of in one interval, those first who have waited longest: a thousand reports
/// are less than a second's work of the upstream.
const SENDERS_MAX: usize = 1_000;

/// How often the interval is looked at, which a reload may change.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a stop waits until Sentry is told of what was dropped of late.
const TELL_AT_LAST: Duration = Duration::from_secs(2);

/// The telling of drops, which goes on until it is asked for the last.
#[derive(Debug)]
pub(crate) struct Telling {
    teller: Rc<Teller>,
    last: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Telling {
    /// Tells nothing more: what is left waits for [`Teller::close`].
    pub(crate) async fn break_off(self) -> Rc<Teller> {
        self.task.abort();
        // Until it has put back what it had taken out.
        self.task.await.ok();
        self.teller
    }

    /// Begins with what an earlier run left.
    pub(crate) fn start(shared: Arc<Shared>, metrics: Arc<Metrics>, untold: Untold) -> Self {
        let teller = Teller {
            shared,
            metrics,
            untold,
            pending: RefCell::default(),
            failing: Cell::new(false),
            broken_off: Cell::new(0),
        };
        let left = teller.untold.recall(teller.now(), process::now_s());
        teller.pending.replace(left);
        let (teller, (last, asked)) = (Rc::new(teller), oneshot::channel());
        let task = tokio::task::spawn_local(Rc::clone(&teller).tell(asked));
        Self { teller, last, task }
    }

    /// Tells what may be told yet, for as long as a stop may take. What is left then, and what
    /// is dropped from now on, waits for [`Teller::close`].
    pub(crate) async fn end(mut self) -> Rc<Teller> {
        self.last.send(()).ok();
        if timeout(TELL_AT_LAST, &mut self.task).await.is_err() {
            self.task.abort();
            // Until it has put back what it had taken out.
            self.task.await.ok();
        }
        self.teller
    }
}

/// What tells of drops.
#[derive(Debug)]
pub(crate) struct Teller {
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    untold: Untold,
    pending: RefCell<Pending>,
    /// The log says that reports do not arrive.
    failing: Cell<bool>,
    /// Items of reports that a stop broke off.
    broken_off: Cell<u64>,
}

/// What is told at once.
struct Round<'t> {
    teller: &'t Teller,
    rules: &'t Rules,
    waiting: RefCell<VecDeque<Report>>,
    /// Who did not answer one: a bit for each, by its index. The others for it wait.
    silent: Cell<u8>,
    /// One has arrived.
    sent: Cell<bool>,
    /// One has not.
    failed: Cell<Option<Told>>,
}

/// A report on its way. Broken off it waits again, but where it may have arrived.
struct Underway<'t> {
    teller: &'t Teller,
    report: Option<Report>,
    has_left: bool,
}

impl Teller {
    /// Tells of drops once an interval, and once more when `last` asks for it, which ends it.
    async fn tell(self: Rc<Self>, mut last: oneshot::Receiver<()>) {
        loop {
            let began = Instant::now();
            let is_last = loop {
                let interval = self.shared.rules.load().config.client_reports.interval;
                let left = interval.saturating_sub(began.elapsed());
                if left.is_zero() {
                    break false;
                }
                if timeout(left.min(LOOK_EVERY), &mut last).await.is_ok() {
                    break true;
                }
            };
            self.round().await;
            if is_last {
                return;
            }
        }
    }

    /// Leaves what was not told to the next start. Blocks for as long as the disk takes.
    pub(crate) fn close(&self) {
        self.gather(&self.shared.rules.load());
        let broken_off = self.broken_off.get();
        if broken_off > 0 {
            tracing::warn!(
                items = broken_off,
                "stopped before Sentry answered a client report: it may have it, and is not told again"
            );
        }
        let mut pending = self.pending.borrow_mut();
        if !self.untold.keep(&pending, self.now(), process::now_s()) {
            pending.clear();
        }
        self.count(Reported::Expired, pending.take_lost());
    }

    /// A moment as [`Pending`] counts them.
    fn now(&self) -> Millis {
        self.shared.millis(Instant::now()).plus(START_MS)
    }

    /// Tells what may be told now.
    async fn round(&self) {
        let rules = self.shared.rules.load_full();
        self.gather(&rules);
        let round = Round {
            teller: self,
            rules: &rules,
            waiting: RefCell::new(self.due(&rules).into()),
            silent: Cell::new(0),
            sent: Cell::new(false),
            failed: Cell::new(None),
        };
        // So many at once: what they take is taken from events.
        tokio::join!(round.lane(), round.lane(), round.lane(), round.lane());
        self.say(round.sent.get(), round.failed.get());
        drop(round);
        let lost = self.pending.borrow_mut().take_lost();
        self.count(Reported::Expired, lost);
    }

    /// Takes up what was gathered, and gives up what has waited too long.
    fn gather(&self, rules: &Rules) {
        let now = self.now();
        let pending = &mut *self.pending.borrow_mut();
        for gathered in self.shared.reports.take() {
            pending.merge(now, gathered);
        }
        for left in self.shared.succession.take_untold() {
            match Pending::decode(&left, now, process::now_s()) {
                Ok(left) => pending.absorb(left),
                Err(error) => {
                    tracing::error!(%error, "what the process before had yet to tell Sentry of cannot be read: it is never told");
                }
            }
        }
        match rules.config.client_reports.enabled {
            true => pending.expire(now),
            false => pending.clear(),
        }
    }

    /// Takes out what is to be told, to whom it can be.
    fn due(&self, rules: &Rules) -> Vec<Report> {
        let shared = &self.shared;
        let is_there = |to: Upstream| {
            let worked_on = to == Upstream::Ingest && shared.maintenance.is_on();
            !worked_on && rules.target(to).breaker.state() == State::Closed
        };
        let due = |pair: &Pair| {
            is_there(rules.destination(pair)) && rules.gate.vouches_for(pair, &shared.verdicts)
        };
        self.pending.borrow_mut().take(SENDERS_MAX, due)
    }

    /// Tells the log when reports begin to fail, and when all arrive again.
    fn say(&self, sent: bool, failed: Option<Told>) {
        let was_failing = self.failing.get();
        self.failing.set(failed.is_some() || was_failing && !sent);
        match failed {
            Some(told) if !was_failing => tracing::warn!(
                outcome = told.name(),
                "Sentry did not take a client report: what surely did not arrive is told later, for a day at most"
            ),
            None if was_failing && sent => tracing::info!("client reports are taken again"),
            Some(_) | None => {}
        }
    }

    fn count(&self, reported: Reported, items: u64) {
        self.metrics.control.reports(reported, items);
    }
}

impl Round<'_> {
    /// Tells one after the other, until there is none left. Where an upstream is away, the others
    /// for it wait for the next round, and hold up nobody's.
    async fn lane(&self) {
        let teller = self.teller;
        loop {
            let next = self.waiting.borrow_mut().pop_front();
            let Some(report) = next else {
                return;
            };
            let now = (teller.now(), process::now_s());
            let (pair, to) = whose(self.rules, &report.pair);
            if self.silent.get() >> to.index() & 1 == 1 {
                teller.pending.borrow_mut().put_back(report);
                continue;
            }
            let request = post::request(&report, &pair, now);
            let mut underway = Underway {
                teller,
                report: Some(report),
                has_left: false,
            };
            let trust = &teller.shared.trust;
            let told = match request {
                Some(request) => {
                    post::send(trust, self.rules, to, request, &mut underway.has_left).await
                }
                None => Told::Refused,
            };
            underway.end(told);
            match told {
                Told::Sent => self.sent.set(true),
                Told::Refused | Told::Unsure | Told::Later | Told::Away => {
                    self.failed.set(Some(told));
                }
            }
            if matches!(told, Told::Unsure | Told::Away) {
                self.silent.set(self.silent.get() | 1 << to.index());
            }
        }
    }
}

/// Whose a report is in the Sentry that has the project, and which that is.
fn whose(rules: &Rules, pair: &Pair) -> (Pair, Upstream) {
    let moves = &rules.gate.moves;
    match moves.away(&pair.key(), pair.project()) {
        None => (*pair, Upstream::Ingest),
        Some(to) => (
            Pair::new(&to.to_key, Some(to.to_project)),
            rules.destination(pair),
        ),
    }
}

/// Puts back what nobody has tried to tell.
impl Drop for Round<'_> {
    fn drop(&mut self) {
        let mut pending = self.teller.pending.borrow_mut();
        for report in self.waiting.get_mut().drain(..) {
            pending.put_back(report);
        }
    }
}

impl Underway<'_> {
    fn end(mut self, told: Told) {
        let Some(report) = self.report.take() else {
            return;
        };
        match told {
            Told::Sent => self.teller.count(Reported::Sent, report.items),
            Told::Refused => self.teller.count(Reported::Refused, report.items),
            Told::Unsure => self.teller.count(Reported::Unsure, report.items),
            Told::Later | Told::Away => self.teller.pending.borrow_mut().put_back(report),
        }
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        let Some(report) = self.report.take() else {
            return;
        };
        if self.has_left {
            let broken_off = &self.teller.broken_off;
            broken_off.set(broken_off.get().saturating_add(report.items));
            self.teller.count(Reported::Unsure, report.items);
        } else {
            self.teller.pending.borrow_mut().put_back(report);
        }
    }
}
