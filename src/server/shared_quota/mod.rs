//! Quotas that many edges share, over Redis or Valkey: asks for leases off the request's path, ten
//! times a second and many at once, and puts in force what comes of it. The control thread's;
//! workers know of nothing but the words that it writes. `policy::quotas` says what is asked, what
//! holds, and what each edge may do without an answer; the scripts here, what the pool says.
//!
//! **Keys.** All begin with the configured prefix, and none is Sentry's: `vidette:{edges}` and
//! `vidette:{edges}:process` (who shares), `vidette:{edges}:switches` (what is switched on), `vidette:q:NAME@WINDOW` (a window of a quota, kept until
//! ten minutes after its end). Each script touches one of these, or the first two, so that a
//! cluster can have them anywhere.

mod asking;
mod board;
mod fleet;
mod keeper;
mod link;
mod name;
mod switches;

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::server::memory::state::StateFolder;
use crate::server::memory::switches::Switchboard;
use crate::server::worker::Shared;

pub(crate) use board::{Board, Standing};

use keeper::Keeper;

/// Who asks, as the chores of the control thread have it.
pub(crate) struct Sharing {
    ends: Rc<Notify>,
    task: JoinHandle<()>,
}

impl Sharing {
    /// Begins, where anything is shared.
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        switchboard: &Rc<Switchboard>,
        folder: Option<StateFolder>,
    ) -> Option<Self> {
        let config = shared.rules.load().config.shared_quota.clone();
        if !shared.counters.is_shared() {
            return None;
        }
        let ends = Rc::new(Notify::new());
        let ours = (Arc::clone(shared), Rc::clone(switchboard));
        let keeper = Keeper::new(config, ours, folder);
        let task = tokio::task::spawn_local(keeper.keep(Rc::clone(&ends)));
        Some(Self { ends, task })
    }

    /// Asks no more, and gives nothing back: another process goes on with what is held.
    pub(crate) async fn break_off(self) {
        self.task.abort();
        self.task.await.ok();
    }

    /// Gives back what is held, and leaves.
    pub(crate) async fn end(self) {
        self.ends.notify_one();
        self.task.await.ok();
    }
}
