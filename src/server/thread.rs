//! A worker's thread: one runtime, its own sockets, its own pools. Never waits
//! for another thread.

use std::io;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, Builder};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::LocalRuntime;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use crate::telemetry::metrics::WorkerMetrics;

use crate::server::client::listen::{accept, empty};
use crate::server::heap;
use crate::server::spool::replay;
use crate::server::upkeep::keep_up;
use crate::server::worker::{Shared, Worker};

/// How often a worker shows that it comes round, idle upstream connections are looked through, the
/// board is told where requests come from, and unused memory is given back.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How often upstreams that keep a request waiting are noticed, and how long a line of the access
/// log is kept back.
const LISTEN_EVERY: Duration = Duration::from_millis(250);

/// How often a stopping worker looks whether its connections are gone.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Threads that read and write a worker's bodies on disk: more would only queue
/// at the same disk, and each keeps memory of its own.
const DISK_THREADS_MAX: usize = 4;

/// What a worker needs to start.
pub(crate) struct Plan {
    /// Its number, for the thread's name.
    pub place: usize,
    /// The bound sockets of each listener, in their order: one, or several that were inherited.
    pub sockets: Vec<Vec<StdListener>>,
    /// What it shares.
    pub shared: Arc<Shared>,
    /// Its counters.
    pub metrics: Arc<WorkerMetrics>,
    /// Turns true when the edge stops.
    pub stopped: watch::Receiver<bool>,
}

impl Plan {
    /// Starts the thread. It ends after a stop, once it has drained.
    pub(crate) fn start(self) -> io::Result<thread::JoinHandle<io::Result<()>>> {
        let name = format!("worker-{}", self.place);
        Builder::new().name(name).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(DISK_THREADS_MAX)
                .build_local(tokio::runtime::LocalOptions::default())?;
            self.run(&runtime)
        })
    }

    fn run(mut self, runtime: &LocalRuntime) -> io::Result<()> {
        let worker = Rc::new(Worker::new(self.shared, self.metrics));
        runtime.block_on(async {
            let mut accepting = JoinSet::new();
            let mut sockets = Vec::new();
            for (listener, own) in self.sockets.into_iter().enumerate() {
                for socket in own {
                    let socket = Rc::new(TcpListener::from_std(socket)?);
                    let (worker, own) = (Rc::clone(&worker), Rc::clone(&socket));
                    let accept = move || accept(Rc::clone(&worker), listener, Rc::clone(&own));
                    accepting.spawn_local(keep_up("accepting", accept));
                    sockets.push((listener, socket));
                }
            }
            let place = self.place;
            let upkeep = [
                begin("sweeping", &worker, move |worker| sweep(worker, place)),
                begin("listening", &worker, listen),
            ];
            // One is enough: what was kept goes below what comes.
            let replaying = (place == 0).then(|| begin("replaying", &worker, replay::run));
            // An error means that the sender is gone, and with it the edge.
            if self.stopped.wait_for(|stopped| *stopped).await.is_err() {
                tracing::debug!("the edge was dropped without a stop");
            }
            accepting.shutdown().await;
            if worker.shared.succession.is_leaving() {
                leave(&worker, sockets).await;
            } else {
                drop(sockets);
            }
            worker.wake_stopping();
            drain(&worker).await;
            upkeep.iter().chain(&replaying).for_each(JoinHandle::abort);
            worker.shared.pulses.end(self.place);
            Ok(())
        })
    }
}

/// Begins work that goes on for as long as the worker.
fn begin<F>(
    what: &'static str,
    worker: &Rc<Worker>,
    work: impl Fn(Rc<Worker>) -> F + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + 'static,
{
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(keep_up(what, move || work(Rc::clone(&worker))))
}

/// Lets clients go at their next answer, for as long as they may keep silent.
async fn leave(worker: &Rc<Worker>, sockets: Vec<(usize, Rc<TcpListener>)>) {
    for (listener, socket) in &sockets {
        // The others are accepted from by the heir.
        if worker.shared.succession.is_dropped(*listener) {
            empty(worker, *listener, socket).await;
        }
    }
    drop(sockets);
    worker.wake_leaving();
    let until = Instant::now() + worker.rules().config.limits.keep_alive;
    while is_busy(worker) && !worker.is_stopping() {
        if Instant::now() >= until {
            // Whoever is idle by now has had the time of every idle client.
            worker.shared.stopping.store(true, Ordering::Relaxed);
        }
        sleep(DRAIN_LOOK).await;
    }
}

fn open(worker: &Worker) -> i64 {
    let open = worker.metrics.connections.iter();
    open.map(|level| level.value()).sum()
}

fn is_busy(worker: &Worker) -> bool {
    open(worker) > 0 || worker.finishing.get() > 0
}

/// Waits until no request is under way, or `limits.drain` is over.
async fn drain(worker: &Rc<Worker>) {
    let until = Instant::now() + worker.rules().config.limits.drain;
    while is_busy(worker) {
        if Instant::now() >= until {
            tracing::warn!(
                connections = open(worker),
                "stopped with connections still open"
            );
            return;
        }
        sleep(DRAIN_LOOK).await;
    }
}

async fn listen(worker: Rc<Worker>) {
    loop {
        sleep(LISTEN_EVERY).await;
        let rules = worker.rules();
        for pool in worker.pools(&rules) {
            pool.listen(LISTEN_EVERY, &rules);
        }
        worker.desk.hand_over();
    }
}

async fn sweep(worker: Rc<Worker>, place: usize) {
    loop {
        sleep(SWEEP_EVERY).await;
        let rules = worker.rules();
        let now = Instant::now();
        worker.shared.pulses.beat(place, worker.shared.millis(now));
        for pool in worker.pools(&rules) {
            pool.sweep(now, &rules);
        }
        worker.watch.report(place, &worker.shared.sightings);
        worker.lookout.report(&worker.shared.looks);
        worker.teller.begins_second(&worker.shared.feed);
        heap::give_back();
    }
}
