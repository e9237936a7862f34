//! The control thread: signals, reloads, name look-ups, questions after an upstream's
//! health and the admin server, all that is slow. Workers never wait for it.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::Loaded;
use crate::telemetry::metrics::Metrics;

use crate::server::access_log;
use crate::server::acme::Issuance;
use crate::server::admin::{self, Page};
use crate::server::canary;
use crate::server::disk_guard::Keeper;
use crate::server::entrance::Renewing;
use crate::server::handover::elder::{Heir, Seat, wait_for_heir};
use crate::server::handover::upgrade::{upgrade_on_signal, upgrades};
use crate::server::holding::{Holding, Listening};
use crate::server::incidents::Watch;
use crate::server::memory::switches::Switchboard;
use crate::server::memory::{self, Memory};
use crate::server::reloader::Reloader;
use crate::server::supervisor;
use crate::server::upkeep::keep_up;
use crate::server::upstream::probe::keep_probing;
use crate::server::upstream::resolve::keep_resolving;
use crate::server::upstream::trust::keep_trusting;
use crate::server::worker::Shared;

/// How often it is looked whether all workers have ended.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// What the control thread needs to start.
pub(crate) struct Control {
    /// The configuration in force, and its file.
    pub loaded: Loaded,
    /// What the workers look at.
    pub shared: Arc<Shared>,
    /// All counters.
    pub metrics: Arc<Metrics>,
    /// Further pages of the admin server.
    pub pages: Vec<Page>,
    /// What outlives a restart.
    pub memory: Memory,
    /// What is switched on.
    pub switchboard: Switchboard,
    /// Who has certificates by ACME.
    pub issuance: Issuance,
    /// Turns true when the edge stops.
    pub stopped: watch::Receiver<bool>,
    /// Makes it turn true.
    pub stop: watch::Sender<bool>,
}

impl Control {
    /// Starts the thread, and returns once it hears signals: before, one would end the
    /// process without a drain. It ends when the workers have drained.
    pub(crate) fn start(self, listening: Listening) -> io::Result<JoinHandle<io::Result<()>>> {
        let (hears, heard) = sync_channel(1);
        let thread = Builder::new().name("control".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(tokio::runtime::LocalOptions::default())?;
            runtime.block_on(self.run(listening, &hears))
        })?;
        // A thread that fails before says why when it is joined.
        heard.recv().ok();
        Ok(thread)
    }

    async fn run(self, listening: Listening, hears: &SyncSender<()>) -> io::Result<()> {
        let mut stops = [
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ];
        let moved = access_log::reopening();
        let asked = upgrades();
        // Before the first client is called by it: a kill at once must not lose it.
        self.memory.keep_secret(&self.loaded.config);
        memory::limit_tables(&self.loaded.config, &self.metrics.control);
        let (stop, stopped) = (self.stop.clone(), self.stopped.clone());
        let (shared, metrics) = (Arc::clone(&self.shared), Arc::clone(&self.metrics));
        let holding = self.hold(listening)?;
        keep_all(&holding, &metrics);
        let log = Arc::clone(&shared.access_log);
        tokio::task::spawn_local(access_log::keep_reopening(moved, log));
        let seat = holding.seat();
        tokio::task::spawn_local(upgrade_on_signal(asked, seat.is_some()));
        hears.send(()).ok();
        let heir = tokio::select! {
            () = stop_asked(stopped, &mut stops) => None,
            heir = succeeded(seat.as_ref(), &holding) => Some(heir),
        };
        // A seat that an heir has taken is its own.
        drop(seat);
        match &heir {
            Some(heir) => leave(&shared, heir),
            None => {
                supervisor::stopping();
                shared.stopping.store(true, Ordering::Relaxed);
            }
        }
        holding.stop_listening();
        stop.send_replace(true);
        let drained = async {
            // Each worker holds a receiver, the edge itself one: alone again, all have drained.
            while stop.receiver_count() > 0 {
                sleep(DRAIN_LOOK).await;
            }
        };
        tokio::pin!(drained);
        tokio::select! {
            () = &mut drained => {}
            // It was leaving, and is to be quick.
            () = signalled(&mut stops) => {
                shared.stopping.store(true, Ordering::Relaxed);
                drained.await;
            }
        }
        match heir {
            Some(heir) => heir.tell(holding.last_words()).await,
            None => {
                if holding.is_let_go.get() {
                    holding.take_back().await;
                }
                holding.close().await;
            }
        }
        Ok(())
    }

    /// Takes up what only one process can have, and begins the work with it.
    fn hold(self, listening: Listening) -> io::Result<Rc<Holding>> {
        let memory = Rc::new(self.memory);
        let renewing = Renewing::new(Arc::clone(&self.shared), Arc::clone(&self.metrics));
        let certificates = Rc::clone(&renewing);
        begin("certificates", move || Rc::clone(&certificates).keep());
        let reloader = Rc::new(Reloader::new(
            self.loaded,
            Rc::clone(&memory),
            renewing,
            Arc::clone(&self.shared),
            Arc::clone(&self.metrics),
        ));
        let switchboard = Rc::new(self.switchboard);
        let public: Vec<SocketAddr> = listening.public.iter().map(|one| one.bound).collect();
        let desk = admin::Desk {
            switchboard: Rc::clone(&switchboard),
            reloader: Rc::clone(&reloader),
            shared: Arc::clone(&self.shared),
            metrics: Arc::clone(&self.metrics),
            pages: self.pages,
            public,
            live: admin::Live::new(&self.shared, &self.metrics),
            decisions: admin::Decisions::default(),
            canary: canary::Board::default(),
            incidents: Rc::new(Watch::new(&self.shared, &self.metrics)),
        };
        let holding = Holding {
            memory,
            switchboard,
            reloader,
            desk: Rc::new(desk),
            shared: self.shared,
            metrics: self.metrics,
            listening: RefCell::new(Some(listening)),
            chores: RefCell::default(),
            is_let_go: Cell::new(false),
        };
        holding.begin(self.issuance)?;
        Ok(Rc::new(holding))
    }
}

/// Begins what goes on to the end, whoever has the rest.
fn keep_all(holding: &Rc<Holding>, metrics: &Arc<Metrics>) {
    let ours = || (Arc::clone(&holding.shared), Arc::clone(metrics));
    let (shared, metrics) = ours();
    begin("resolving", move || {
        let (shared, metrics) = (Arc::clone(&shared), Arc::clone(&metrics));
        async move { keep_resolving(&shared, &metrics).await }
    });
    let (shared, metrics) = ours();
    begin("probing", move || {
        keep_probing(Arc::clone(&shared), Arc::clone(&metrics))
    });
    let (shared, metrics) = ours();
    begin("trust", move || {
        keep_trusting(Arc::clone(&shared), Arc::clone(&metrics))
    });
    let (shared, metrics) = ours();
    let memory = Rc::clone(&holding.memory);
    begin("remembering", move || {
        Rc::clone(&memory).keep(Arc::clone(&shared), Arc::clone(&metrics))
    });
    let reloader = Rc::clone(&holding.reloader);
    begin("retiring", move || Rc::clone(&reloader).keep_retiring());
    let (shared, switchboard) = (Arc::clone(&holding.shared), Rc::clone(&holding.switchboard));
    begin("guarding disks", move || {
        Keeper::new(Arc::clone(&shared), Rc::clone(&switchboard)).keep()
    });
    let desk = Rc::clone(&holding.desk);
    begin("live numbers", move || admin::keep_live(Rc::clone(&desk)));
    let desk = Rc::clone(&holding.desk);
    begin("decisions", move || admin::keep_decisions(Rc::clone(&desk)));
    let shared = Arc::clone(&holding.shared);
    begin("signs of life", move || {
        supervisor::keep_alive(Arc::clone(&shared))
    });
}

/// Begins work that ends with the control thread.
fn begin<F>(what: &'static str, work: impl FnMut() -> F + 'static)
where
    F: Future<Output = ()> + 'static,
{
    tokio::task::spawn_local(keep_up(what, work));
}

/// From now on everything new is another process's.
fn leave(shared: &Shared, heir: &Heir) {
    let connections = shared.connections.load(Ordering::Relaxed);
    tracing::info!(
        pid = heir.pid,
        connections,
        "another process serves: this one finishes what was begun"
    );
    shared.succession.leave(heir.dropped.clone());
}

/// Completes when another process serves in this one's place; never where nobody can ask.
async fn succeeded(seat: Option<&Seat>, holding: &Holding) -> Heir {
    match seat {
        Some(seat) => wait_for_heir(seat, holding).await,
        None => std::future::pending().await,
    }
}

/// Completes on SIGTERM, SIGINT, or when the edge is dropped.
async fn stop_asked(mut stopped: watch::Receiver<bool>, signals: &mut [Signal; 2]) {
    tokio::select! {
        () = signalled(signals) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

async fn signalled(signals: &mut [Signal; 2]) {
    let [terminate, interrupt] = signals;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
}
