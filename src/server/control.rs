//! The control thread: signals, reloads, name look-ups, questions after an upstream's
//! health and the admin server, all that is slow. Workers never wait for it.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::Loaded;
use crate::telemetry::metrics::Metrics;

use crate::server::access_log;
use crate::server::acme::Issuance;
use crate::server::admin::{self, Page};
use crate::server::disk_guard::Keeper;
use crate::server::entrance::Renewing;
use crate::server::memory::switches::Switchboard;
use crate::server::memory::{self, Memory};
use crate::server::reloader::{Reloader, reload_on_hangup, watch_file};
use crate::server::sentry::client_reports::Telling;
use crate::server::supervisor;
use crate::server::upstream::probe::keep_probing;
use crate::server::upstream::resolve::keep_resolving;
use crate::server::upstream::trust::keep_trusting;
use crate::server::worker::Shared;

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
    pub(crate) fn start(
        self,
        admin: StdListener,
        public: Vec<SocketAddr>,
    ) -> io::Result<JoinHandle<io::Result<()>>> {
        let (hears, heard) = sync_channel(1);
        let thread = Builder::new().name("control".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(tokio::runtime::LocalOptions::default())?;
            runtime.block_on(self.run(admin, public, &hears))
        })?;
        // A thread that fails before says why when it is joined.
        heard.recv().ok();
        Ok(thread)
    }

    async fn run(
        self,
        socket: StdListener,
        public: Vec<SocketAddr>,
        hears: &SyncSender<()>,
    ) -> io::Result<()> {
        let stops = [
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ];
        let hangup = signal(SignalKind::hangup());
        let moved = access_log::reopening();
        let memory = Rc::new(self.memory);
        // Before the first client is called by it: a kill at once must not lose it.
        memory.keep_secret(&self.loaded.config);
        hears.send(()).ok();
        memory::limit_tables(&self.loaded.config, &self.metrics.control);
        let renewing = Renewing::new(Arc::clone(&self.shared), Arc::clone(&self.metrics));
        tokio::task::spawn_local(Rc::clone(&renewing).keep());
        let reloader = Rc::new(Reloader::new(
            self.loaded,
            Rc::clone(&memory),
            renewing,
            Arc::clone(&self.shared),
            Arc::clone(&self.metrics),
        ));
        reloader.list_keys();
        let switchboard = Rc::new(self.switchboard);
        let desk = admin::Desk {
            switchboard: Rc::clone(&switchboard),
            reloader: Rc::clone(&reloader),
            shared: Arc::clone(&self.shared),
            metrics: Arc::clone(&self.metrics),
            pages: self.pages,
            public,
            live: admin::Live::new(&self.shared),
        };
        let socket = TcpListener::from_std(socket)?;
        tokio::task::spawn_local(admin::serve(Rc::new(desk), socket));
        let (shared, metrics) = (Arc::clone(&self.shared), Arc::clone(&self.metrics));
        tokio::task::spawn_local(async move { keep_resolving(&shared, &metrics).await });
        let (shared, metrics) = (Arc::clone(&self.shared), Arc::clone(&self.metrics));
        tokio::task::spawn_local(keep_probing(shared, metrics));
        let (shared, metrics) = (Arc::clone(&self.shared), Arc::clone(&self.metrics));
        tokio::task::spawn_local(keep_trusting(shared, metrics));
        let (shared, metrics) = (Arc::clone(&self.shared), Arc::clone(&self.metrics));
        tokio::task::spawn_local(Rc::clone(&memory).keep(shared, metrics));
        let (shared, metrics) = (Arc::clone(&self.shared), Arc::clone(&self.metrics));
        tokio::task::spawn_local(self.issuance.keep(shared, metrics));
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_local(Keeper::new(shared, Rc::clone(&switchboard)).keep());
        tokio::task::spawn_local(switchboard.keep());
        let (shared, metrics) = (Arc::clone(&self.shared), Arc::clone(&self.metrics));
        let telling = Telling::start(shared, metrics, memory.untold());
        tokio::task::spawn_local(watch_file(Rc::clone(&reloader)));
        tokio::task::spawn_local(Rc::clone(&reloader).keep_retiring());
        tokio::task::spawn_local(reload_on_hangup(hangup, reloader));
        tokio::task::spawn_local(supervisor::keep_alive(Arc::clone(&self.shared)));
        let log = Arc::clone(&self.shared.access_log);
        tokio::task::spawn_local(access_log::keep_reopening(moved, log));
        stop_asked(self.stopped.clone(), stops).await;
        supervisor::stopping();
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        // Each worker holds a receiver, the edge itself two: alone again, all have drained.
        drop(self.stopped);
        while self.stop.receiver_count() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
        let teller = telling.end().await;
        memory.close(&self.shared);
        // At last: the spool drops until it is closed.
        teller.close();
        Ok(())
    }
}

/// Completes on SIGTERM, SIGINT, or when the edge is dropped.
async fn stop_asked(mut stopped: watch::Receiver<bool>, signals: [Signal; 2]) {
    let [mut terminate, mut interrupt] = signals;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}
