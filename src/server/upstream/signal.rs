//! The waker of one upstream connection: stands between the connection and the
//! task that moves it on. Deaf while that task hands something to the connection
//! which it is about to drive: it would otherwise wake itself, or whoever used the
//! connection before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Wakes whoever moves the connection on.
///
/// A `Waker` must be able to cross threads, hence the lock and the atomic; both
/// are only ever touched by one worker's thread and cost next to nothing.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    mover: Mutex<Option<Waker>>,
    deaf: AtomicBool,
}

impl Signal {
    /// From now on this task is woken.
    pub(crate) fn goes_to(&self, mover: &Waker) {
        let mut known = self.mover.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *known {
            Some(known) => known.clone_from(mover),
            None => *known = Some(mover.clone()),
        }
    }

    /// Wakes nobody until the guard is dropped. Whoever holds it drives the
    /// connection before waiting.
    pub(crate) fn deafen(&self) -> Deaf<'_> {
        self.deaf.store(true, Ordering::Relaxed);
        Deaf(self)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.deaf.load(Ordering::Relaxed) {
            return;
        }
        let known = self.mover.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mover) = &*known {
            mover.wake_by_ref();
        }
    }
}

/// While it lives, the signal wakes nobody.
#[derive(Debug)]
pub(crate) struct Deaf<'s>(&'s Signal);

impl Drop for Deaf<'_> {
    fn drop(&mut self) {
        self.0.deaf.store(false, Ordering::Relaxed);
    }
}
