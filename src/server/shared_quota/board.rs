//! How the sharing of quotas stands, for whoever asks. Written by the keeper alone.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::policy::quotas::Contact;

use super::link::LinkFault;

/// How it stood at the last turn; nothing where quotas are not shared.
#[derive(Debug, Default)]
pub(crate) struct Board(ArcSwapOption<Standing>);

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Whether this edge is heard.
    pub contact: Contact,
    /// Nothing is taken yet of servers that may have lost something.
    pub settles: bool,
    /// Why they were last out of reach.
    pub fault: Option<LinkFault>,
    /// Edges that are there, this one included.
    pub present: u64,
    /// All of them.
    pub sharers: u64,
    /// This edge's part is one in so many; 0: it has none.
    pub one_in: u64,
    /// Counters that something is lent for here.
    pub counters: usize,
    /// Counters that admit nothing until the servers are back, or their window is over.
    pub refusing: usize,
    /// When this edge was last heard, in seconds of Unix time.
    pub heard_unix_s: Option<u64>,
    /// How long the last exchange took.
    pub took_us: u64,
    /// Exchanges that went well, and that did not.
    pub exchanges: u64,
    /// And that did not.
    pub failures: u64,
    /// They drop keys where their memory is full, as far as they say.
    pub evicts: bool,
    /// Windows that they had lost while this edge reached them, since it began.
    pub lost_windows: u64,
}

impl Board {
    /// How it stands; `None`: nothing is shared.
    pub(crate) fn read(&self) -> Option<Arc<Standing>> {
        self.0.load_full()
    }

    pub(super) fn show(&self, standing: Standing) {
        self.0.store(Some(Arc::new(standing)));
    }
}
