//! One process hands its work over to the next, on the same configuration, without a client
//! noticing: the listening sockets, what is kept on disk, the counts of quotas, the books. The
//! process that runs is the elder, the one that takes over its heir.
//!
//! They meet at a socket in `state.path`, [`SOCKET`], which the elder serves: whoever may
//! write to that folder may be an heir, and nobody else (its mode, and the peer's user).
//! `wire` says how frames lie on it, `elder` and `heir` are the two sides, `sockets` says who
//! accepts from which socket, `estate` how books and counts are written, `post` carries
//! requests that the elder has yet to keep to the heir's spool, and `activation` takes
//! sockets of a service manager, which are inherited like an elder's.
//!
//! # The conversation
//!
//! | heir | elder | |
//! |---|---|---|
//! | `Hello` | | the protocol's number and who asks |
//! | | `Hello`, or `Refused` in words, or `Busy` | busy: its own elder still finishes |
//! | | `Sockets`.. `All` | each address once, with its sockets |
//! | `Yield` | | from here on the elder has only what is under way |
//! | | `Books` `Going`.. `Yielded` | with one end of a socket for `post` |
//! | `Serving` | | from here on the elder takes nothing new |
//! | | `Books` `Spent`.. `Reports` `Gone` | its last words, when it has finished |
//!
//! Up to `Serving` nothing is lost that cannot be taken back: where the heir goes away before,
//! or says something else, the elder takes its locks and files again and goes on. The elder
//! goes on serving all that time. What needs the spool between `Yield` and `Serving` waits for
//! the heir, at most as long as `post` has patience, and is refused then as by a full one.
//!
//! # What is handed over, and what is not
//!
//! Everything that a restart would find on disk; the books, to the last item; windows of
//! quotas, of which both use their part while both run (`policy::quotas`). As after a restart,
//! begun anew are: rates, windows by address, limits that the upstream told of, the breaker,
//! and metrics that are not the books'.

pub(crate) mod activation;
pub(crate) mod elder;
pub(crate) mod estate;
pub(crate) mod heir;
pub(crate) mod post;
pub(crate) mod sockets;
pub(crate) mod upgrade;
pub(crate) mod wire;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

/// The socket's name in `state.path`.
const SOCKET: &str = "handover.sock";

/// The number of the conversation above. One that is not known is refused, in words.
const PROTOCOL: u32 = 1;

/// How this process stands with the one before and the one after it.
#[derive(Debug, Default)]
pub(crate) struct Succession {
    /// The process before this one, until it has finished.
    elder: Mutex<Option<Predecessor>>,
    /// This process finishes what is under way: an heir has the rest.
    leaving: AtomicBool,
    /// The listeners that the heir did not take.
    dropped: OnceLock<Vec<usize>>,
    /// What the process before has yet to tell Sentry of, as it wrote it.
    untold: Mutex<Vec<Vec<u8>>>,
}

/// The process before this one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Predecessor {
    /// Its number.
    pub pid: u32,
    /// When this one took over.
    pub since: Instant,
}

impl Succession {
    /// Of a process that has taken over.
    pub(crate) fn after(elder: Option<Predecessor>) -> Self {
        Self {
            elder: Mutex::new(elder),
            ..Self::default()
        }
    }

    /// The process before, while it finishes.
    pub(crate) fn elder(&self) -> Option<Predecessor> {
        self.elder.lock().ok().and_then(|elder| *elder)
    }

    /// It has finished. `reports`: what Sentry is still to be told of its drops.
    fn elder_has_ended(&self, reports: Option<Vec<u8>>) {
        if let Ok(mut untold) = self.untold.lock() {
            untold.extend(reports);
        }
        if let Ok(mut elder) = self.elder.lock() {
            *elder = None;
        }
    }

    /// Takes what the process before had yet to tell Sentry of.
    pub(crate) fn take_untold(&self) -> Vec<Vec<u8>> {
        let untold = self.untold.lock();
        untold.map_or_else(|_| Vec::new(), |mut untold| std::mem::take(&mut *untold))
    }

    /// Whether this process only finishes.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// From now on it does. `dropped`: the listeners that the heir did not take.
    pub(crate) fn leave(&self, dropped: Vec<usize>) {
        self.dropped.set(dropped).ok();
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether nobody takes connections from a listener once this process does not.
    pub(crate) fn is_dropped(&self, listener: usize) -> bool {
        let dropped = self.dropped.get();
        dropped.is_some_and(|dropped| dropped.contains(&listener))
    }
}
