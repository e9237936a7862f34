//! What only one process can have, as the control thread has it: the work that goes on from it,
//! and how it is let go of and taken back. Never talks to the process that gets it.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::policy::reports::{Pending, START_MS};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process;

use crate::server::acme::Issuance;
use crate::server::admin::{self, Desk};
use crate::server::canary;
use crate::server::habits;
use crate::server::handover::elder::{LastWords, Seat, Yielded};
use crate::server::handover::estate::Books;
use crate::server::handover::post::Post;
use crate::server::handover::sockets::Heirloom;
use crate::server::incidents::keep_telling;
use crate::server::memory::Memory;
use crate::server::memory::switches::Switchboard;
use crate::server::reloader::{Reloader, reload_on_hangup, watch_file, watch_project_files};
use crate::server::sentry::client_reports::Telling;
use crate::server::shared_quota::Sharing;
use crate::server::upkeep::keep_up;
use crate::server::worker::Shared;

/// How often what another process had is asked for again.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The sockets that are accepted from.
#[derive(Debug)]
pub(crate) struct Listening {
    /// The public ones, in the order of the listeners.
    pub public: Vec<Heirloom>,
    /// The admin server's.
    pub admin: Heirloom,
}

/// What only one process can have.
pub(crate) struct Holding {
    pub memory: Rc<Memory>,
    pub switchboard: Rc<Switchboard>,
    pub reloader: Rc<Reloader>,
    pub desk: Rc<Desk>,
    pub shared: Arc<Shared>,
    pub metrics: Arc<Metrics>,
    pub listening: RefCell<Option<Listening>>,
    pub chores: RefCell<Option<Chores>>,
    /// Some of it may be another process's.
    pub is_let_go: Cell<bool>,
}

/// The work that goes on from it.
pub(crate) struct Chores {
    tasks: Vec<JoinHandle<()>>,
    telling: Telling,
    sharing: Option<Sharing>,
}

#[derive(Default)]
struct Tasks(Vec<JoinHandle<()>>);

impl Tasks {
    fn begin<T: 'static, F>(
        &mut self,
        what: &'static str,
        of: &Rc<T>,
        mut work: impl FnMut(Rc<T>) -> F + 'static,
    ) where
        F: Future<Output = ()> + 'static,
    {
        let of = Rc::clone(of);
        let task = tokio::task::spawn_local(keep_up(what, move || work(Rc::clone(&of))));
        self.0.push(task);
    }
}

impl Holding {
    /// Begins the work.
    pub(crate) fn begin(&self, issuance: Issuance) -> io::Result<()> {
        let mut tasks = Tasks::default();
        if let Some(admin) = self.admin_socket()? {
            let admin = Rc::new(TcpListener::from_std(admin)?);
            tasks.begin("admin", &self.desk, move |desk| {
                admin::serve(desk, Rc::clone(&admin))
            });
        }
        let (shared, metrics) = (Arc::clone(&self.shared), Arc::clone(&self.metrics));
        let issuing = issuance.keep(shared, metrics);
        tasks.0.push(tokio::task::spawn_local(issuing));
        tasks.begin("incidents", &self.desk, keep_telling);
        tasks.begin("switches", &self.switchboard, Switchboard::keep);
        self.reloader.ask_sentry();
        tasks.begin("project files", &self.reloader, watch_project_files);
        tasks.begin("configuration file", &self.reloader, watch_file);
        // One that comes before the work has begun is heard, too.
        let mut heard = Some(signal(SignalKind::hangup()));
        tasks.begin("SIGHUP", &self.reloader, move |reloader| {
            let hangup = heard.take();
            reload_on_hangup(
                hangup.unwrap_or_else(|| signal(SignalKind::hangup())),
                reloader,
            )
        });
        tasks.begin("habits", &self.desk, |desk| {
            habits::keep(Arc::clone(&desk.shared))
        });
        tasks.begin("canary", &self.desk, canary::keep);
        let (shared, metrics) = (Arc::clone(&self.shared), Arc::clone(&self.metrics));
        let telling = Telling::start(shared, metrics, self.memory.untold());
        let sharing = Sharing::begin(
            &self.shared,
            &self.switchboard,
            self.memory.folder().cloned(),
        );
        let chores = Chores {
            tasks: tasks.0,
            telling,
            sharing,
        };
        self.chores.replace(Some(chores));
        Ok(())
    }

    fn admin_socket(&self) -> io::Result<Option<StdListener>> {
        let listening = self.listening.borrow();
        let admin = listening.as_ref().map(|it| &it.admin.sockets);
        let first = admin.and_then(|sockets| sockets.first());
        first.map(StdListener::try_clone).transpose()
    }

    /// A socket at which another process can ask for it. `None`: there is nowhere for one.
    pub(crate) fn seat(&self) -> Option<Seat> {
        self.memory.folder().and_then(Seat::take)
    }

    /// Whether the process that this one took over from still finishes.
    pub(crate) fn has_elder(&self) -> bool {
        self.shared.succession.elder().is_some()
    }

    /// Copies of all sockets, and which of them is the admin server's.
    ///
    /// # Errors
    /// There are no more descriptors, or this process has stopped to listen.
    pub(crate) fn listening(&self) -> io::Result<Vec<(bool, Heirloom)>> {
        let listening = self.listening.borrow();
        let listening = listening.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let all = listening.public.iter().map(|one| (false, one));
        let all = all.chain([(true, &listening.admin)]);
        all.map(|(admin, one)| {
            let sockets: io::Result<Vec<StdListener>> =
                one.sockets.iter().map(StdListener::try_clone).collect();
            let copy = Heirloom {
                sockets: sockets?,
                ..*one
            };
            Ok((admin, copy))
        })
        .collect()
    }

    /// Listens no more, but where others have the same sockets.
    pub(crate) fn stop_listening(&self) {
        self.listening.replace(None);
    }

    /// Ends the work, and lets go of everything: it is on disk, exactly, for another process.
    ///
    /// # Errors
    /// The spool does not let go, or there are no more descriptors. Then all of it has to be
    /// [taken back](Self::take_back), as after any other failure.
    pub(crate) async fn let_go(&self) -> io::Result<Yielded> {
        self.is_let_go.set(true);
        self.reloader.stop_asking_sentry();
        let chores = self.chores.borrow_mut().take();
        if let Some(chores) = chores {
            for task in chores.tasks {
                task.abort();
                // Its folder is locked until it is gone.
                task.await.ok();
            }
            if let Some(sharing) = chores.sharing {
                sharing.break_off().await;
            }
            chores.telling.break_off().await.close();
        }
        let (own, theirs) = Post::pair()?;
        let going = self.shared.spool.hand_over(own).await;
        let going = going.ok_or_else(|| io::Error::other("the spool does not let go"))?;
        self.memory.hand_over(&self.shared);
        Ok(Yielded {
            books: self.books(),
            going,
            post: theirs,
        })
    }

    fn books(&self) -> Books {
        Books {
            since: self.shared.ledger.since(),
            lines: self.shared.ledger.lines(),
        }
    }

    /// Takes everything back from a process that is gone or will be, however long that takes.
    pub(crate) async fn take_back(&self) {
        let mut told = false;
        loop {
            match self.try_to_take_back().await {
                Ok(()) => break,
                Err(error) if !std::mem::replace(&mut told, true) => {
                    tracing::error!(%error, "what was handed over is still another process's: it is tried again");
                }
                Err(_) => {}
            }
            sleep(ASK_EVERY).await;
        }
        self.is_let_go.set(false);
        tracing::info!("everything is this process's again");
    }

    async fn try_to_take_back(&self) -> io::Result<()> {
        self.memory.take_back(&self.shared)?;
        if !self.shared.spool.take_back().await {
            return Err(io::Error::other("spool.path is in use"));
        }
        if self.chores.borrow().is_none() {
            let started = self.reloader.started();
            let issuance = Issuance::recall(started, &self.shared.acme);
            self.begin(issuance.map_err(io::Error::other)?)?;
        }
        Ok(())
    }

    /// Ends the work for good, where it is still this process's.
    pub(crate) async fn close(&self) {
        let chores = self.chores.borrow_mut().take();
        let mut teller = None;
        if let Some(chores) = chores {
            if let Some(sharing) = chores.sharing {
                sharing.end().await;
            }
            teller = Some(chores.telling.end().await);
        }
        self.memory.close(&self.shared);
        // At last: the spool drops until it is closed.
        if let Some(teller) = teller {
            teller.close();
        }
    }

    /// Ends what this process had left to do beside its heir, and yields what it has to say.
    pub(crate) fn last_words(&self) -> LastWords {
        self.memory.close(&self.shared);
        let (now, now_s) = (
            self.shared.millis(Instant::now()).plus(START_MS),
            process::now_s(),
        );
        let mut pending = Pending::default();
        for gathered in self.shared.reports.take() {
            pending.merge(now, gathered);
        }
        LastWords {
            books: self.books(),
            spent: self
                .shared
                .counters
                .spent(self.shared.moment(Instant::now())),
            reports: (pending.items() > 0).then(|| pending.encode(now, now_s)),
        }
    }
}
