//! One mirror's thread: what is new goes out at once where the mirror takes it, and into its store
//! where it does not; what is kept goes below that. A thread of its own, and one that makes way for
//! others at the processor, so that a mirror costs requests nothing but their copies.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::runtime::LocalRuntime;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep};

use crate::policy::breaker::{Heard, State};
use crate::policy::millis::Millis;
use crate::telemetry::labels::{MirrorPlace, Upstream};
use crate::telemetry::metrics::WorkerMetrics;
use crate::telemetry::mirrors::MirrorCounts;

use super::dropping::DROPS_MAX;
use super::store::{Bounds, Store};
use super::{MirrorRules, Twin, Wanted};
use crate::server::upkeep::keep_up;
use crate::server::upstream::Target;
use crate::server::upstream::leave::Leave;
use crate::server::worker::{InForce, Shared, Worker};

/// Requests under way at once: a mirror that hangs holds so many connections at most.
const UNDER_WAY_MAX: usize = 64;

/// Requests that share a sync of the disk.
pub(super) const BATCH_MAX: usize = 256;

/// How often the store is tidied, or asked for where another process has it.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// How often a mirror that keeps a request waiting is noticed.
const LISTEN_EVERY: Duration = Duration::from_millis(250);

/// The shortest rest while something waits and nothing may go.
pub(super) const REST: Duration = Duration::from_millis(20);

/// How much it makes way: of two threads that both want a processor, a worker gets nine tenths.
const NICE: i32 = 10;

/// What the thread needs to start.
pub(super) struct Plan {
    pub(super) place: MirrorPlace,
    pub(super) wanted: Wanted,
    pub(super) shared: Arc<Shared>,
    pub(super) metrics: Arc<WorkerMetrics>,
    pub(super) counts: Arc<MirrorCounts>,
    /// Turns true when no more comes.
    pub(super) closing: watch::Receiver<bool>,
}

impl Plan {
    pub(super) fn start(self) -> io::Result<JoinHandle<io::Result<()>>> {
        let name = format!("mirror-{}", self.place.get());
        Builder::new().name(name).spawn(move || {
            // Of the calling thread alone, on Linux.
            if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                tracing::debug!(%error, "a mirror's thread does not make way for others");
            }
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(tokio::runtime::LocalOptions::default())?;
            self.run(&runtime);
            Ok(())
        })
    }

    fn run(self, runtime: &LocalRuntime) {
        let desk = Rc::new(Desk {
            worker: Rc::new(Worker::new(self.shared, self.metrics)),
            place: self.place,
            counts: self.counts,
            store: RefCell::default(),
            fresh: RefCell::default(),
            kept: Cell::new(0),
            number: Cell::new(0),
            leaving: Cell::default(),
            awaited: Cell::new(false),
            left: RefCell::default(),
            erased: Arc::clone(&self.wanted.erased),
            told: Cell::new(false),
            changed: Notify::new(),
        });
        runtime.block_on(async {
            let ours = Rc::clone(&desk);
            let listening = keep_up("listening", move || listen(Rc::clone(&ours)));
            let listening = tokio::task::spawn_local(listening);
            desk.serve(self.wanted, self.closing).await;
            listening.abort();
        });
    }
}

/// All that the thread has.
pub(super) struct Desk {
    pub(super) worker: Rc<Worker>,
    pub(super) place: MirrorPlace,
    pub(super) counts: Arc<MirrorCounts>,
    /// `None`: nothing is kept, or another process has it.
    pub(super) store: RefCell<Option<Store>>,
    /// What is new and under way, by a number of its own.
    pub(super) fresh: RefCell<HashMap<u64, Rc<Twin>>>,
    /// How many of what is kept are under way.
    pub(super) kept: Cell<usize>,
    pub(super) number: Cell<u64>,
    /// Since when another process is to have the store.
    pub(super) leaving: Cell<Option<Instant>>,
    /// The process before has the store, and gives it away soon.
    pub(super) awaited: Cell<bool>,
    /// What waits for that, and was not taken.
    pub(super) left: RefCell<Vec<(Rc<Twin>, bool)>>,
    /// Grows with each step of what is overwritten.
    pub(super) erased: Arc<AtomicU64>,
    /// It was said why there is none.
    pub(super) told: Cell<bool>,
    /// Something ended.
    pub(super) changed: Notify,
}

/// Breaks off what has been silent too long, and closes what lies idle.
async fn listen(desk: Rc<Desk>) {
    let upstream = Upstream::Mirror(desk.place);
    let mut swept = Instant::now();
    loop {
        sleep(LISTEN_EVERY).await;
        let rules = desk.worker.rules();
        let pool = desk.worker.pool(upstream);
        pool.listen(LISTEN_EVERY, &rules);
        if swept.elapsed() >= TIDY_EVERY {
            swept = Instant::now();
            pool.sweep(swept, &rules);
        }
    }
}

impl Desk {
    async fn serve(self: &Rc<Self>, wanted: Wanted, mut closing: watch::Receiver<bool>) {
        let Wanted {
            mut taken,
            mut drops,
            ..
        } = wanted;
        let mut tidied: Option<Instant> = None;
        let mut next = VecDeque::new();
        let mut dropping = Vec::new();
        while !*closing.borrow() {
            let rules = self.worker.rules();
            if tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
                tidied = Some(Instant::now());
                match self.worker.is_leaving() {
                    true => self.give_away(&rules, || {
                        let queued = std::iter::from_fn(|| taken.try_recv().ok());
                        std::mem::take(&mut next)
                            .into_iter()
                            .chain(queued)
                            .collect()
                    }),
                    false => self.tidy(&rules),
                }
            }
            // Once the process before has given its store away.
            if !self.awaited.get() {
                for one in dropping.drain(..) {
                    self.drop_copies(one, &mut next, &mut taken);
                }
            }
            let rest = self.round(&rules, &mut next, &mut taken);
            // One that is here waits for its turn: nothing is taken out of the queue behind it.
            let takes = next.is_empty();
            tokio::select! {
                biased;
                ended = closing.changed() => if ended.is_err() { break },
                twin = taken.recv(), if takes => match twin {
                    Some(twin) => next.push_back(twin),
                    None => break,
                },
                Some(one) = drops.recv(), if dropping.len() < DROPS_MAX => dropping.push(one),
                () = self.changed.notified() => {}
                () = sleep(rest) => {}
            }
        }
        self.close(next, &mut taken).await;
    }

    pub(super) fn mirror<'r>(&self, rules: &'r InForce) -> &'r MirrorRules {
        rules.mirror(self.place)
    }

    /// Sends what may be sent, keeps what may not, and says when to look again.
    fn round(
        self: &Rc<Self>,
        rules: &Rc<InForce>,
        next: &mut VecDeque<Twin>,
        taken: &mut mpsc::Receiver<Twin>,
    ) -> Duration {
        let mut keeps = Vec::new();
        let has_store = self.store.borrow().is_some();
        while keeps.len() < BATCH_MAX {
            let leave = self.leave(rules, Leave::for_fresh);
            if leave.is_none() && !has_store {
                break;
            }
            let Some(twin) = next.pop_front().or_else(|| taken.try_recv().ok()) else {
                self.give_back(rules, leave, Heard::Nothing);
                break;
            };
            let paused = {
                let store = self.store.borrow();
                store
                    .as_ref()
                    .is_some_and(|store| store.is_paused(twin.project, twin.lane))
            };
            match leave {
                Some(leave) if !paused => self.send(rules, Rc::new(twin), leave),
                leave @ (Some(_) | None) => {
                    self.give_back(rules, leave, Heard::Nothing);
                    keeps.push((Rc::new(twin), false));
                }
            }
        }
        if let Some(store) = &mut *self.store.borrow_mut() {
            store.keep(keeps, self.bounds(rules));
        }
        let rest = self.send_kept(rules);
        match self.erase_some() {
            true => Duration::ZERO,
            false => rest,
        }
    }

    /// Sends what is kept, as far as it may go, and says when to look again.
    fn send_kept(self: &Rc<Self>, rules: &Rc<InForce>) -> Duration {
        if self.worker.is_leaving() {
            return REST;
        }
        loop {
            let mut store = self.store.borrow_mut();
            let Some(store) = store.as_mut().filter(|store| !store.is_empty()) else {
                return TIDY_EVERY;
            };
            let Some(leave) = self.leave(rules, Leave::for_kept) else {
                return REST;
            };
            let well = self.mirror(rules).target.breaker.state() == State::Closed;
            let Some(going) = store.next(well) else {
                self.give_back(rules, Some(leave), Heard::Nothing);
                let wait = store.wait().unwrap_or(TIDY_EVERY);
                return wait.clamp(REST, TIDY_EVERY);
            };
            self.kept.set(self.kept.get() + 1);
            let (own, rules) = (Rc::clone(self), Rc::clone(rules));
            tokio::task::spawn_local(async move { own.deliver_kept(&rules, going, leave).await });
        }
    }

    pub(super) fn leave(
        &self,
        rules: &InForce,
        of: impl FnOnce(&Target, Millis) -> Option<Leave>,
    ) -> Option<Leave> {
        let under_way = self.fresh.borrow().len() + self.kept.get();
        let room = under_way < UNDER_WAY_MAX;
        room.then(|| {
            of(
                &self.mirror(rules).target,
                self.worker.millis(Instant::now()),
            )
        })
        .flatten()
    }

    pub(super) fn give_back(&self, rules: &InForce, leave: Option<Leave>, heard: Heard) {
        if let Some(leave) = leave {
            let target = &self.mirror(rules).target;
            leave.end(target, self.worker.millis(Instant::now()), heard);
        }
    }

    pub(super) fn bounds<'r>(&self, rules: &'r InForce) -> Bounds<'r> {
        let spool = &rules.config.spool;
        let used = self.worker.shared.spool.state().bytes.load(Relaxed);
        Bounds {
            spool: &self.mirror(rules).spool,
            free_floor: spool
                .free_floor
                .saturating_add(spool.max_bytes.saturating_sub(used)),
        }
    }
}
